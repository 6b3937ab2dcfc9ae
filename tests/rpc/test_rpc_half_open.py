"""Calls that never send their message hold no thread that others need."""

import threading
from collections.abc import Iterator

import grpc
import pytest
from rpc_servers import Airspace

from airspace_server.rpc.rationing import THREADS
from airspace_server.rpc.receiving import Receiver

GET = "/flyteidl.service.AdminService/GetVersion"
PUBLIC = "/flyteidl.service.AuthMetadataService/GetPublicClientConfig"
HEALTH = "/grpc.health.v1.Health/Check"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


@pytest.mark.parametrize("path", [GET, PUBLIC, HEALTH, REFLECTION])
def test_calls_without_a_token_and_without_a_message_hold_nobody_up(server: Airspace, path: str):
    name = f"admin-{path.rpartition('/')[2].lower()}"
    server.account(name, ("admin", "*/*"))
    release = threading.Event()

    def nothing() -> Iterator[bytes]:
        release.wait()
        yield from ()

    with server.served() as callers:
        caller = callers(name)
        held = [caller.channel.stream_stream(path)(nothing(), timeout=60) for _ in range(THREADS + 12)]
        try:
            assert caller(GET).code is grpc.StatusCode.OK
        finally:
            release.set()
            for call in held:
                call.cancel()


def test_a_message_that_does_not_come_ends_the_call():
    cancelled = threading.Event()

    class Context:
        def cancel(self) -> None:
            cancelled.set()

    def messages() -> Iterator[bytes]:
        assert cancelled.wait(30)
        raise grpc.RpcError
        yield b""

    with pytest.raises(Exception, match="before its message came"):
        Receiver(seconds=0.05).message(messages(), Context())
    assert cancelled.is_set()
