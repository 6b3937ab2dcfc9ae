"""Which hosts surely are this machine: what is sent to them needs no encryption."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Tell whether a host, with or without the brackets of IPv6, is this machine and no name that others answer for."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False
