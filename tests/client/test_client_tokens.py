import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from client_samples import PROJECT_PB, D, P, transition
from client_servers import ScriptedServer, TokenEndpoint, fail, needs_token
from hypothesis import given
from hypothesis import strategies as st

from airspace.project.v1 import project_service_pb2 as project_pb
from airspace_client import (
    AirspaceClient,
    ClientCredentials,
    CommandToken,
    ConfigError,
    StaticToken,
    Unauthenticated,
    Unavailable,
)
from airspace_client._auth import MARGIN, renewal_time
from airspace_client._tls import TLS, is_loopback, is_loopback_url

FOUND = project_pb.GetProjectResponse(project=PROJECT_PB)


def credentials(endpoint: TokenEndpoint, **options: object) -> ClientCredentials:
    return ClientCredentials(endpoint.url, endpoint.client_id, endpoint.secret, **options)


def test_a_service_account_gets_one_token_for_many_calls(server: ScriptedServer, endpoint: TokenEndpoint) -> None:
    server.always("GetProject", needs_token({"token-1"}, FOUND))
    with AirspaceClient.connect(
        server.target, credentials=credentials(endpoint, scopes=["all", "more"], audience="airspace")
    ) as client:
        for _ in range(3):
            client.projects.get(P)
        expires = client.credentials.token().expires
    assert endpoint.forms == [{"grant_type": ["client_credentials"], "scope": ["all more"], "audience": ["airspace"]}]
    assert abs(expires - datetime.now(UTC) - timedelta(hours=1)) < timedelta(minutes=1)


def test_a_refused_token_is_replaced_once_and_the_call_repeated(
    server: ScriptedServer, endpoint: TokenEndpoint
) -> None:
    accepted = {"token-1"}
    server.always("CreateRole", needs_token(accepted, FOUND))
    server.always("GetProject", needs_token(accepted, FOUND))
    with AirspaceClient.connect(server.target, credentials=credentials(endpoint)) as client:
        client.projects.get(P)
        accepted.clear()
        accepted.add("token-2")
        client.projects.get(P)
        assert [call.metadata["authorization"] for call in server.calls] == [
            "Bearer token-1",
            "Bearer token-1",
            "Bearer token-2",
        ]
        accepted.clear()
        with pytest.raises(Unauthenticated) as caught:
            client.access.create_role("r", [])  # even this: a refused call did nothing
        assert caught.value.reason == "TOKEN_EXPIRED"
    assert len(server.called("CreateRole")) == 2
    assert len(endpoint.forms) == 3


def test_a_watch_goes_on_with_a_new_token(server: ScriptedServer, endpoint: TokenEndpoint) -> None:
    def refused_later(request, context):
        yield transition(1, "QUEUED")
        fail("UNAUTHENTICATED", "TOKEN_EXPIRED")(request, context)

    server.script("WatchExecution", refused_later, refused_later, [transition(2, "FAILED")])
    with AirspaceClient.connect(server.target, credentials=credentials(endpoint)) as client:
        assert [t.sequence for t in client.executions.handle(P, D, "run-1").watch()] == [1, 1, 2]
    assert [call.metadata["authorization"] for call in server.calls] == [f"Bearer token-{n}" for n in (1, 2, 3)]


def test_threads_that_are_refused_together_get_one_new_token(endpoint: TokenEndpoint) -> None:
    source = credentials(endpoint)
    first = source.token()
    with ThreadPoolExecutor(8) as threads:
        renewed = list(threads.map(lambda _: source.renew(first), range(8)))
    assert {token.value for token in renewed} == {"token-2"}
    assert len(endpoint.forms) == 2


def test_a_token_that_is_about_to_end_is_not_used(endpoint: TokenEndpoint) -> None:
    endpoint.expires_in = 0
    source = credentials(endpoint)
    assert [source.token().value, source.token().value] == ["token-1", "token-2"]


def test_a_token_without_an_end_is_kept_until_it_is_refused(endpoint: TokenEndpoint) -> None:
    endpoint.expires_in = None
    source = credentials(endpoint)
    first = source.token()
    assert source.token() is first
    assert first.expires is None


@given(st.integers(min_value=0, max_value=10**6))
def test_a_token_is_used_for_at_least_half_of_its_life_and_replaced_a_minute_early_at_most(seconds: int) -> None:
    issued = datetime(2026, 1, 1, tzinfo=UTC)
    expires = issued + timedelta(seconds=seconds)
    renewal = renewal_time(issued, expires)
    assert expires - MARGIN <= renewal <= expires
    assert renewal - issued >= (expires - issued) / 2


def test_a_wrong_secret_is_unauthenticated_and_not_shown(server: ScriptedServer, endpoint: TokenEndpoint) -> None:
    wrong = ClientCredentials(endpoint.url, "developer", "hunter2")
    with (
        AirspaceClient.connect(server.target, credentials=wrong) as client,
        pytest.raises(Unauthenticated, match="refused client 'developer': invalid_client") as caught,
    ):
        client.projects.get(P)
    assert "hunter2" not in str(caught.value)
    assert not server.calls


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((200, b"<html>"), Unauthenticated),
        ((200, b"[]"), Unauthenticated),
        ((200, b'{"access_token": 7}'), Unauthenticated),
        ((302, b"{}"), Unauthenticated),
        ((503, b"{}"), Unavailable),
    ],
)
def test_an_answer_without_a_token_is_an_error(
    answer: tuple[int, bytes], error: type[Exception], endpoint: TokenEndpoint
) -> None:
    endpoint.answer = answer
    with pytest.raises(error, match=endpoint.url):
        credentials(endpoint).token()


def test_a_token_endpoint_that_is_not_there_is_unavailable() -> None:
    endpoint = TokenEndpoint()
    endpoint.stop()
    with pytest.raises(Unavailable, match="cannot be reached"):
        credentials(endpoint).token()


def test_a_read_waits_for_the_token_endpoint(server: ScriptedServer, endpoint: TokenEndpoint) -> None:
    class Faltering(ClientCredentials):
        failures = 2

        def token(self):
            if self.failures:
                self.failures -= 1
                raise Unavailable("not yet")
            return super().token()

    server.script("GetProject", FOUND)
    source = Faltering(endpoint.url, endpoint.client_id, endpoint.secret)
    with AirspaceClient.connect(server.target, credentials=source) as client:
        assert client.projects.get(P).id == P


def test_a_token_that_was_got_elsewhere_is_sent_as_it_is_and_never_replaced(server: ScriptedServer) -> None:
    server.always("GetProject", needs_token({"good"}, FOUND))
    with AirspaceClient.connect(server.target, credentials="good") as client:
        client.projects.get(P)
    with (
        AirspaceClient.connect(server.target, credentials=StaticToken("bad")) as client,
        pytest.raises(Unauthenticated),
    ):
        client.projects.get(P)
    assert len(server.calls) == 2


def test_without_credentials_no_token_is_sent(server: ScriptedServer) -> None:
    server.always("GetProject", needs_token(set(), FOUND))
    with AirspaceClient.connect(server.target) as client, pytest.raises(Unauthenticated):
        client.projects.get(P)
    (call,) = server.calls
    assert "authorization" not in call.metadata


def test_a_command_prints_a_token_and_is_asked_again_when_it_is_refused(server: ScriptedServer, tmp_path: Path) -> None:
    script = tmp_path / "token.py"
    script.write_text(
        "import pathlib\n"
        f"count = pathlib.Path({str(tmp_path / 'count')!r})\n"
        "n = int(count.read_text()) + 1 if count.exists() else 1\n"
        "count.write_text(str(n))\n"
        "print(f'command-{n}')\n"
    )
    server.always("GetProject", needs_token({"command-2"}, FOUND))
    with AirspaceClient.connect(server.target, credentials=CommandToken([sys.executable, str(script)])) as client:
        client.projects.get(P)
        client.projects.get(P)
    assert [call.metadata["authorization"][-1] for call in server.calls] == ["1", "2", "2"]


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["/nowhere/at-all"], "cannot be run"),
        ([sys.executable, "-c", "raise SystemExit(3)"], "ended with status 3 and printed no token"),
        ([sys.executable, "-c", "print('x'); raise SystemExit(3)"], "ended with status 3"),
        ([sys.executable, "-c", ""], "ended with status 0 and printed no token"),
    ],
)
def test_a_command_that_gives_no_token_says_why(command: list[str], why: str) -> None:
    with pytest.raises(Unauthenticated, match=why):
        CommandToken(command).token()


@pytest.mark.parametrize(
    "target",
    [
        "127.0.0.1:8089",
        "dns:///127.0.0.1:8089",
        "localhost:1",
        "dns:///localhost",
        "[::1]:8089",
        "127.9.9.9",
        "unix:/s",
    ],
)
def test_this_machine_is_known(target: str) -> None:
    assert is_loopback(target)


@pytest.mark.parametrize(
    "target",
    ["10.0.0.1:8089", "dns:///airspace.example.com:443", "0.0.0.0:80", "localhost.example.com:1", "", "[::", "dns:///"],
)
def test_whatever_is_not_surely_this_machine_is_not(target: str) -> None:
    assert not is_loopback(target)


def test_a_secret_goes_unencrypted_to_this_machine_only_unless_one_insists() -> None:
    url = "http://tokens.example.com/token"
    with pytest.raises(ConfigError, match="unencrypted"):
        ClientCredentials(url, "id", "secret")
    with pytest.raises(ConfigError):
        ClientCredentials("ftp://127.0.0.1/token", "id", "secret", insecure=True)
    ClientCredentials(url, "id", "secret", insecure=True)
    ClientCredentials("http://127.0.0.1:1/token", "id", "secret")
    assert is_loopback_url("http://[::1]:80/x")


def test_tls_believes_the_machines_certificates_or_only_those_given() -> None:
    assert TLS(b"pem").roots() == b"pem"
    roots = TLS().roots()
    assert roots is None or roots.startswith(b"-----BEGIN CERTIFICATE-----")


def test_a_certificate_without_its_key_is_refused():
    for half in ({"certificate": b"c"}, {"key": b"k"}):
        with pytest.raises(ConfigError):
            TLS(**half)
    assert "private" not in repr(TLS(certificate=b"c", key=b"private"))
