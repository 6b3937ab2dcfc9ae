"""What callers see while the database cannot be reached, and while what they were allowed is taken back."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from rpc_expected import ACCESS, ADMIN, EXECUTIONS, NEEDS, PROJECT
from rpc_requests import forward, request_for
from rpc_servers import METHODS, OURS, Airspace, postgres
from sqlalchemy.engine import make_url

WATCH, GET = f"{EXECUTIONS}/WatchExecution", f"{EXECUTIONS}/GetExecution"
WITHOUT_DATABASE = {
    *(f"{PROJECT}/ListDomains", f"{ACCESS}/ListRoles", f"{ADMIN}/GetDomains", f"{ADMIN}/GetVersion"),
}


@contextlib.contextmanager
def outage(server: Airspace) -> Iterator[None]:
    """Make the database refuse every connection, as one does that is down."""
    url = make_url(server.url)
    if url.get_backend_name() == "sqlite":
        server.parts.database.close()
        file = Path(str(url.database))
        kept = file.rename(file.with_suffix(".away"))
        file.mkdir()
        try:
            yield
        finally:
            file.rmdir()
            kept.rename(file)
        return
    name, admin = url.database, url.set(database="postgres")
    postgres(admin, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    postgres(admin, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    try:
        yield
    finally:
        postgres(admin, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


def test_without_a_database_calls_are_unavailable_and_later_answered_again(populated: Airspace):
    requests = {path: forward(request_for(path, OURS, populated)) for path in METHODS}
    with populated.served() as caller:
        admin = caller("admin")
        before = admin(GET, requests[GET])
        with outage(populated):
            answers = {path: admin(path, request) for path, request in requests.items()}
        after = admin(GET, requests[GET])
    assert not before.status
    assert after.messages == before.messages
    reached = {path for path, answer in answers.items() if answer.code is grpc.StatusCode.UNAVAILABLE}
    assert {answers[path].reason for path in reached} == {"UNAVAILABLE"}
    assert not WITHOUT_DATABASE & reached
    assert reached > {path for path in NEEDS if path.startswith("/airspace.")}
    # What did not need it answered as ever.
    assert {answers[path].code.name for path in answers.keys() - reached} <= {"OK", "UNIMPLEMENTED"}
    for path in reached:
        assert answers[path].text == "a part of the server cannot be reached; try again", path


def test_a_stream_ends_soon_after_its_caller_may_no_longer_see_it(populated: Airspace):
    name = "watcher"
    populated.account(name, ("viewer", "ours/*"))
    with populated.served() as caller:
        stream = caller(name).stream(WATCH, request_for(WATCH, OURS, populated))
        assert next(stream)
        request = request_for(f"{ACCESS}/DeleteBinding", OURS, populated)
        request.member, request.role, request.pattern.domain = f"service-account:{name}", "viewer", "*"
        assert not caller("admin")(f"{ACCESS}/DeleteBinding", request).status
        with pytest.raises(grpc.RpcError):
            list(stream)
        assert stream.code() is grpc.StatusCode.PERMISSION_DENIED
        assert "execution.view" in stream.details()


def test_streams_are_bounded_and_calls_still_answered(populated: Airspace):
    request = request_for(WATCH, OURS, populated)
    with populated.served() as caller:
        admin, streams = caller("admin"), []
        for number in range(12):
            populated.account(f"watcher-{number}", ("viewer", "ours/*"))
        for name in populated.tokens:
            if name.startswith("watcher-"):
                streams.append(caller(name).stream(WATCH, request))
                assert next(streams[-1])
        assert admin(WATCH, request).reason == "TOO_MANY_STREAMS"
        assert not admin(GET, request_for(GET, OURS, populated)).status
        for stream in streams:
            stream.cancel()
