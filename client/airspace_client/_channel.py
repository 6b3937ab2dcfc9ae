"""Channels to a server, as every part of this package opens them."""

from importlib.metadata import version
from typing import Final

import grpc

from airspace_client._tls import TLS, is_loopback

MAX_MESSAGE: Final = 20 * 1024 * 1024
"""Largest answer, in bytes; what Flyte's own clients take."""


def open_channel(target: str, tls: TLS | bool | None) -> grpc.Channel:
    """Open a channel to a gRPC target; `tls` as in `AirspaceClient.connect`."""
    local = is_loopback(target)
    if tls is None:
        tls = not local
    options = [
        ("grpc.primary_user_agent", f"airspace-client/{version('airspace')}"),
        ("grpc.max_receive_message_length", MAX_MESSAGE),
        ("grpc.keepalive_time_ms", 30_000),  # a watched execution may be silent for hours
        ("grpc.initial_reconnect_backoff_ms", 100),  # reconnect as fast as calls are repeated
        ("grpc.max_reconnect_backoff_ms", 5_000),
        ("grpc.enable_http_proxy", 0 if local else 1),
    ]
    if tls is False:
        return grpc.insecure_channel(target, options)
    tls = TLS() if tls is True else tls
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(tls.roots(), tls.key, tls.certificate), options)
