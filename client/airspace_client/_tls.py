"""Whose certificates are believed, and who may be talked to in plain text."""

import ipaddress
import ssl
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from airspace_client._errors import ConfigError


@dataclass(frozen=True, slots=True)
class TLS:
    """Encryption with a checked server certificate.

    `ca` holds the PEM certificates to believe; None believes those that this machine believes. `certificate` and `key`,
    a chain and its private key in PEM, are shown to servers that ask for one: where the operator has listed it, calls
    need no token. Raises ConfigError for one of them without the other.
    """

    ca: bytes | None = field(default=None, repr=False)
    certificate: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ConfigError("a client's certificate and its key go together")

    def roots(self) -> bytes | None:
        """Return the believed certificates as PEM; None when this machine has no list of its own."""
        if self.ca is not None:
            return self.ca
        certificates = ssl.create_default_context().get_ca_certs(binary_form=True)
        return "".join(map(ssl.DER_cert_to_PEM_cert, certificates)).encode() or None

    def context(self) -> ssl.SSLContext:
        """Return the same for Python's own TLS."""
        return ssl.create_default_context(cadata=self.ca.decode() if self.ca is not None else None)


def is_loopback(target: str) -> bool:
    """Tell whether a gRPC target surely is this machine: a loopback address, "localhost" or a Unix socket."""
    if target.startswith(("unix:", "unix-abstract:")):
        return True
    return is_loopback_url("//" + target.removeprefix("dns:///"))


def is_loopback_url(url: str) -> bool:
    """Tell whether a URL surely leads to this machine."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # neither a URL nor an address: surely nothing
        return False
