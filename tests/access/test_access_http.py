"""The token endpoint as OAuth2 clients see it."""

import asyncio
import base64
import threading
from collections.abc import AsyncIterator, Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, quote_plus

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy.exc import OperationalError
from starlette.applications import Starlette

from airspace_server.access.http import ALL_BURST, MAX_BODY, PEER_BURST, PEER_RATE, routes
from airspace_server.access.issuer import FailureLimit, Issuer
from airspace_server.access.keys import signing_key
from airspace_server.core.errors import ApiError, Reason

URL = "http://127.0.0.1:8088"
FORM = {"grant_type": "client_credentials", "scope": "all"}
Send = Callable[..., httpx.Response]


@pytest.fixture
def issuer(setup, clock, tmp_path: Path) -> Issuer:
    return Issuer(setup.database, signing_key(tmp_path / "keys"), URL, "airspace", clock)


@pytest.fixture
def send(issuer: Issuer) -> Send:
    app = Starlette(routes=routes(issuer))

    def send_one(method: str, path: str, **rest) -> httpx.Response:
        async def go() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=URL) as client:
                return await client.request(method, path, **rest)

        return asyncio.run(go())

    return send_one


def basic(client_id: str, secret: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


def is_refused(answer: httpx.Response, status: int, error: str) -> bool:
    assert answer.headers["cache-control"] == "no-store"
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert set(answer.json()) == {"error", "error_description"}
    return (answer.status_code, answer.json()["error"]) == (status, error)


def test_a_client_gets_a_token_the_way_flytekit_asks(setup, send: Send, issuer: Issuer):
    secret = setup.account("ci")
    answer = send("POST", "/oauth2/token", data=FORM, headers=basic("ci", quote_plus(secret)))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    body = answer.json()
    assert jwt.decode(body.pop("access_token"), issuer.key, algorithms=["ES256"]).claims["sub"] == "ci"
    assert body == {"token_type": "Bearer", "expires_in": 1800, "scope": "all"}


def test_url_encoded_credentials_are_understood(setup, send: Send):
    secret = setup.account("ci")
    encoded = "".join(f"%{byte:02X}" for byte in secret.encode())
    assert send("POST", "/oauth2/token", data=FORM, headers=basic("%63i", encoded)).status_code == 200


def test_credentials_may_stand_in_the_form(setup, send: Send):
    form = FORM | {"client_id": "ci", "client_secret": setup.account("ci")}
    assert send("POST", "/oauth2/token", data=form).status_code == 200


def test_the_id_may_stand_in_the_form_beside_the_header(setup, send: Send):
    headers = basic("ci", setup.account("ci"))
    assert send("POST", "/oauth2/token", data=FORM | {"client_id": "ci"}, headers=headers).status_code == 200
    other = send("POST", "/oauth2/token", data=FORM | {"client_id": "cd"}, headers=headers)
    assert is_refused(other, 401, "invalid_client")


def test_wrong_credentials_get_one_answer_whatever_is_wrong(setup, send: Send):
    setup.account("ci")
    answers = [
        send("POST", "/oauth2/token", data=FORM, headers=headers)
        for headers in (
            basic("ci", "wrong"),
            basic("nobody", "wrong"),
            {},
            {"authorization": "Basic"},
            {"authorization": "Basic !!!"},
            {"authorization": "Basic " + base64.b64encode(b"no colon").decode()},
            {"authorization": "Basic " + base64.b64encode(b"\xff:\xff").decode()},
            {"authorization": "Bearer " + base64.b64encode(b"ci:x").decode()},
        )
    ]
    assert all(is_refused(answer, 401, "invalid_client") for answer in answers)
    assert len({answer.content for answer in answers}) == 1


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({}, 400, "invalid_request"),
        ({"grant_type": ""}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, 400, "unsupported_grant_type"),
        ({"grant_type": ["client_credentials", "client_credentials"]}, 400, "invalid_request"),
        (FORM | {"client_secret": "x"}, 400, "invalid_request"),
        (FORM | {f"field{number}": "x" for number in range(40)}, 400, "invalid_request"),
    ],
)
def test_requests_against_the_standard_are_refused(setup, send: Send, form: dict, status: int, error: str):
    headers = basic("ci", setup.account("ci"))
    assert is_refused(send("POST", "/oauth2/token", data=form, headers=headers), status, error)


def test_only_forms_are_read(setup, send: Send):
    answer = send("POST", "/oauth2/token", json=FORM, headers=basic("ci", setup.account("ci")))
    assert is_refused(answer, 400, "invalid_request")
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert is_refused(send("POST", "/oauth2/token", content=b"\xff=\xff", headers=form), 400, "invalid_request")


def test_a_large_body_is_refused_before_it_is_read(send: Send):
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1024
            yield b"x" * 1024

    form = {"content-type": "application/x-www-form-urlencoded"}
    answer = send("POST", "/oauth2/token", content=endless(), headers=form)
    assert is_refused(answer, 413, "invalid_request")
    assert sent <= MAX_BODY + 2048


def test_too_many_failures_say_when_to_come_back(setup, send: Send):
    setup.account("ci")
    for _ in range(FailureLimit.CLIENT_BURST):
        send("POST", "/oauth2/token", data=FORM, headers=basic("ci", "wrong"))
    answer = send("POST", "/oauth2/token", data=FORM, headers=basic("ci", "wrong"))
    assert is_refused(answer, 429, "temporarily_unavailable")
    assert int(answer.headers["retry-after"]) > 0


def test_a_database_that_is_gone_is_not_the_clients_fault(issuer: Issuer, send: Send, monkeypatch):
    def gone(*_args) -> None:
        raise OperationalError("select secret", {}, Exception("no such host"))

    monkeypatch.setattr(issuer, "token", gone)
    answer = send("POST", "/oauth2/token", data=FORM, headers=basic("ci", "x"))
    assert is_refused(answer, 503, "temporarily_unavailable")
    assert "host" not in answer.text


def test_the_published_keys_verify_tokens_and_keep_the_private_part(setup, send: Send, issuer: Issuer):
    answer = send("GET", "/oauth2/jwks")
    (key,) = answer.json()["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "use", "alg", "kid"}
    token = issuer.token("ci", setup.account("ci"), "").access_token
    assert jwt.decode(token, KeySet.import_key_set(answer.json()), algorithms=["ES256"]).claims["sub"] == "ci"


def test_the_metadata_leads_to_the_endpoints(setup, send: Send):
    about = send("GET", "/.well-known/oauth-authorization-server").json()
    assert about == {
        "issuer": URL,
        "token_endpoint": f"{URL}/oauth2/token",
        "jwks_uri": f"{URL}/oauth2/jwks",
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "scopes_supported": ["all"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
    }
    assert send("GET", about["jwks_uri"].removeprefix(URL)).status_code == 200
    assert send("GET", about["token_endpoint"].removeprefix(URL)).status_code == 405


# --- beside an external issuer


PEOPLE = ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"]


def post(app: Starlette, peer: str = "127.0.0.1", **form: str) -> httpx.Response:
    async def go() -> httpx.Response:
        transport = httpx.ASGITransport(app, client=(peer, 4711))
        async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
            return await client.post("/oauth2/token", data=form, headers=basic("ci", "a secret of ours"))

    return asyncio.run(go())


@pytest.mark.parametrize("grant", PEOPLE)
def test_how_people_get_tokens_is_refused_where_there_is_no_external_issuer(send: Send, grant: str):
    assert is_refused(send("POST", "/oauth2/token", data={"grant_type": grant}), 400, "unsupported_grant_type")


@pytest.mark.parametrize("grant", PEOPLE)
def test_what_is_for_the_external_issuer_goes_there_without_secrets_and_comes_back_as_it_is(issuer: Issuer, grant: str):
    seen: list[tuple[str, bytes]] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append((str(self.headers), self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(418)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Elsewhere)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/token"
    answer = post(Starlette(routes=routes(issuer, lambda: url)), grant_type=grant, code="c")
    thread.join()
    server.server_close()
    assert (answer.status_code, answer.content, answer.headers["cache-control"]) == (418, b"{}", "no-store")
    ((headers, body),) = seen
    assert "authorization" not in headers.lower()
    assert dict(parse_qsl(body.decode())) == {"grant_type": grant, "code": "c"}


def test_an_external_issuer_that_cannot_be_reached_is_no_fault_of_the_caller(issuer: Issuer):
    def unknown() -> str:
        raise ApiError(Reason.UNAVAILABLE, "not at the moment")

    for elsewhere in (lambda: "http://127.0.0.1:1/token", unknown):
        answer = post(Starlette(routes=routes(issuer, elsewhere)), grant_type=PEOPLE[0], code="c")
        assert is_refused(answer, 503, "temporarily_unavailable")


class Relay:
    """A token endpoint in front of an external issuer that cannot be reached: what is passed on gets 503."""

    def __init__(self, issuer: Issuer) -> None:
        self.now = 0.0
        self.asked = 0
        self.app = Starlette(routes=routes(issuer, self._elsewhere, lambda: self.now))

    def _elsewhere(self) -> str:
        self.asked += 1
        raise ApiError(Reason.UNAVAILABLE, "not at the moment")

    def post(self, peer: str, grant: str = PEOPLE[1]) -> httpx.Response:
        return post(self.app, peer, grant_type=grant, refresh_token="guess")


def test_one_peer_cannot_have_more_passed_on_than_its_share(issuer: Issuer):
    relay = Relay(issuer)
    for _ in range(PEER_BURST):
        assert relay.post("192.0.2.1").status_code == 503
    for grant in PEOPLE[:2]:
        answer = relay.post("192.0.2.1", grant)
        assert is_refused(answer, 429, "temporarily_unavailable")
        assert answer.headers["retry-after"] == "1"
    assert is_refused(relay.post("192.0.2.1", PEOPLE[2]), 400, "slow_down")  # in the words of RFC 8628
    assert relay.asked == PEER_BURST
    assert relay.post("192.0.2.2").status_code == 503
    relay.now += 1
    assert [relay.post("192.0.2.1").status_code for _ in range(int(PEER_RATE) + 1)] == [503] * int(PEER_RATE) + [429]


def test_many_peers_cannot_make_this_server_flood_the_external_issuer(issuer: Issuer):
    relay = Relay(issuer)
    statuses = [relay.post(f"192.0.2.{number % 200}").status_code for number in range(ALL_BURST + 5)]
    assert statuses == [503] * ALL_BURST + [429] * 5
    assert relay.asked == ALL_BURST


def test_people_who_log_in_are_not_counted_with_failures_of_accounts(setup, issuer: Issuer):
    relay = Relay(issuer)
    statuses = [post(relay.app, "192.0.2.1", **FORM).status_code for _ in range(2 * FailureLimit.PEER_BURST)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    assert relay.post("192.0.2.1").status_code == 503
