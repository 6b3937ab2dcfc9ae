"""Tokens: whose count, whose do not, and what happens while an issuer is away."""

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OctKey, RSAKey
from sqlalchemy import delete, update

from airspace_server.access import authenticate as module
from airspace_server.access import oidc as oidc_module
from airspace_server.access.authenticate import CACHED_SECONDS, MAX_TOKEN, Authenticator
from airspace_server.access.identity import Principal
from airspace_server.access.issuer import Issuer
from airspace_server.access.keys import signing_key
from airspace_server.access.oidc import KEEP_SECONDS, REFRESH_SECONDS, RETRY_SECONDS, OidcIssuer
from airspace_server.access.store import change as count_revision
from airspace_server.access.trusted import BuiltInIssuer
from airspace_server.core.errors import ApiError, Reason
from airspace_server.storage.tables import ServiceAccountRow, table

LOCAL = "http://127.0.0.1:8088"
AUDIENCE = "airspace"
TEXTS = {
    Reason.TOKEN_MISSING: "this call needs a bearer token",
    Reason.TOKEN_INVALID: "the token is not valid here",
    Reason.TOKEN_EXPIRED: "the token has expired",
    Reason.ACCOUNT_DISABLED: "the service account is disabled or does not exist",
    Reason.UNAVAILABLE: "the token cannot be verified at the moment",
}


@dataclass
class Oidc:
    """A real issuer on loopback. What it publishes can be changed while it runs."""

    server: ThreadingHTTPServer
    keys: list[Key]
    claimed_issuer: str = ""
    status: int = 200
    jwks: Any = None
    endpoints: dict[str, Any] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def document(self, path: str) -> Any:
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.claimed_issuer or self.url, "jwks_uri": f"{self.url}/keys", **self.endpoints}
        if self.jwks is not None:
            return self.jwks
        return {"keys": [key.as_dict(private=False) for key in self.keys]}

    def sign(self, clock, key: Key | None = None, header: dict | None = None, **claims: Any) -> str:
        key = key or self.keys[0]
        body = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "ann@example.org",
            "groups": ["ads", "maps"],
            "iat": int(clock.now),
            "exp": int(clock.now) + 3600,
        } | claims
        body = {name: value for name, value in body.items() if value is not None}
        head = {"alg": "RS256" if key.key_type == "RSA" else "ES256", "kid": key.kid} | (header or {})
        head = {name: value for name, value in head.items() if value is not None}
        return jwt.encode(head, body, key, algorithms=[head["alg"]], default_type=None)


@pytest.fixture(scope="module")
def rsa() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig"})


def ec(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"})


@pytest.fixture
def oidc(rsa: RSAKey) -> Iterator[Oidc]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            oidc.requests.append(self.path)
            body = json.dumps(oidc.document(self.path)).encode()
            self.send_response(oidc.status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    oidc = Oidc(server, [rsa])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield oidc
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def issuer(setup, clock, tmp_path: Path) -> Issuer:
    return Issuer(setup.database, signing_key(tmp_path / "keys"), LOCAL, AUDIENCE, clock)


@pytest.fixture
def external(oidc: Oidc, clock) -> OidcIssuer:
    return OidcIssuer(oidc.url, AUDIENCE, clock=clock.seconds)


@pytest.fixture
def authenticator(setup, clock, issuer: Issuer, external: OidcIssuer) -> Authenticator:
    return Authenticator([BuiltInIssuer(issuer.key, LOCAL, AUDIENCE), external], setup.policy, lambda _: None, clock)


def refusal(authenticator: Authenticator, header: str | None) -> Reason:
    with pytest.raises(ApiError) as caught:
        authenticator.authenticate(header)
    assert caught.value.message == TEXTS[caught.value.reason]
    assert not caught.value.metadata
    return caught.value.reason


def forged(header: dict, claims: dict, signature: bytes = b"signature") -> str:
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


# --- headers


@pytest.mark.parametrize("header", [None, ""])
def test_no_token(authenticator: Authenticator, header: str | None):
    assert refusal(authenticator, header) is Reason.TOKEN_MISSING


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Basic YTpi", "token", "Bearer a b", "Bearer a.b", "Bearer ü"])
def test_something_else_than_a_bearer_token(authenticator: Authenticator, header: str):
    assert refusal(authenticator, header) is Reason.TOKEN_INVALID


def test_the_scheme_is_read_in_any_case(setup, authenticator: Authenticator, issuer: Issuer):
    token = issuer.token("ci", setup.account("ci"), "").access_token
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert authenticator.authenticate(f"{scheme} {token}").member == "service-account:ci"


def test_a_huge_token_is_not_looked_at(authenticator: Authenticator, oidc: Oidc, clock):
    assert refusal(authenticator, "Bearer " + oidc.sign(clock, name="x" * MAX_TOKEN)) is Reason.TOKEN_INVALID
    assert oidc.requests == []


# --- service accounts of the built-in issuer


def test_a_service_account_is_known_by_its_name(setup, authenticator: Authenticator, issuer: Issuer):
    token = issuer.token("ci", setup.account("ci"), "").access_token
    assert authenticator.authenticate(f"Bearer {token}") == Principal("service-account:ci")


def test_an_own_token_ends_to_the_second(setup, authenticator: Authenticator, issuer: Issuer, clock):
    token = issuer.token("ci", setup.account("ci"), "").access_token
    clock.now += 1799.9
    setup.policy.refresh()
    authenticator.authenticate(f"Bearer {token}")
    clock.now += 0.1
    assert refusal(authenticator, f"Bearer {token}") is Reason.TOKEN_EXPIRED


def test_an_expired_own_token_is_refused_when_it_was_never_seen_before(setup, authenticator, issuer: Issuer, clock):
    token = issuer.token("ci", setup.account("ci"), "").access_token
    clock.now += 1800
    assert refusal(authenticator, f"Bearer {token}") is Reason.TOKEN_EXPIRED


@pytest.mark.parametrize("how", ["disabled", "deleted"])
def test_a_disabled_account_is_out_at_once_although_its_token_was_seen(setup, authenticator, issuer: Issuer, how: str):
    token = issuer.token("ci", setup.account("ci"), "").access_token
    authenticator.authenticate(f"Bearer {token}")
    accounts = table(ServiceAccountRow)
    statement = update(accounts).values(disabled=True) if how == "disabled" else delete(accounts)
    with setup.database.write() as tx:
        count_revision(tx)
        tx.execute(statement)
    setup.policy.refresh()
    assert refusal(authenticator, f"Bearer {token}") is Reason.ACCOUNT_DISABLED


def test_an_account_cannot_be_told_from_an_old_policy(setup, authenticator: Authenticator, issuer: Issuer, clock):
    token = issuer.token("ci", setup.account("ci"), "").access_token
    authenticator.authenticate(f"Bearer {token}")
    clock.now += 31
    with pytest.raises(ApiError) as caught:
        authenticator.authenticate(f"Bearer {token}")
    assert caught.value.reason is Reason.UNAVAILABLE


@pytest.mark.parametrize(
    "change",
    [
        {"airspace_member_kind": None},
        {"airspace_member_kind": "user"},
        {"sub": "Not A Name"},
        {"sub": ""},
        {"sub": 7},
        {"airspace_secret_generation": None},
        {"airspace_secret_generation": 0},
        {"airspace_secret_generation": 2},
        {"airspace_secret_generation": "1"},
        {"aud": "other"},
        {"aud": [AUDIENCE, "other"]},
        {"iss": "http://127.0.0.1:9"},
        {"iat": 1_800_000_031},
        {"nbf": 1_800_000_031},
        {"exp": None},
        {"aud": None},
        {"iss": None},
        {"sub": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": [1]},
    ],
)
def test_own_claims_that_do_not_fit_are_refused(setup, authenticator: Authenticator, issuer: Issuer, change: dict):
    setup.account("ci")
    claims = {"iss": LOCAL, "aud": AUDIENCE, "sub": "ci", "airspace_member_kind": "service-account"}
    claims |= {"airspace_secret_generation": 1, "iat": 1_800_000_000, "exp": 1_800_000_900}
    header = {"alg": "ES256", "kid": issuer.key.kid, "typ": "at+jwt"}
    assert authenticator.authenticate("Bearer " + jwt.encode(header, claims, issuer.key)).member == "service-account:ci"
    changed = {name: value for name, value in (claims | change).items() if value is not None}
    assert refusal(authenticator, "Bearer " + jwt.encode(header, changed, issuer.key)) is Reason.TOKEN_INVALID


@pytest.mark.parametrize(
    "change",
    [
        {"typ": "JWT"},
        {"typ": None},
        {"typ": "id+jwt"},
        {"typ": 3},
        {"kid": "other"},
        {"kid": None},
        {"kid": 3},
        {"crit": ["b64"], "b64": True},
        {"crit": ["exp"], "exp": 1},
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": None},
        {"alg": ["ES256"]},
    ],
)
def test_own_headers_that_do_not_fit_are_refused(setup, authenticator: Authenticator, issuer: Issuer, change: dict):
    token = issuer.token("ci", setup.account("ci"), "").access_token
    _, payload, _ = token.split(".")
    header = {"alg": "ES256", "kid": issuer.key.kid, "typ": "at+jwt"} | change
    header = {name: value for name, value in header.items() if value is not None}
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    assert refusal(authenticator, f"Bearer {head}.{payload}.{sign(issuer.key, f'{head}.{payload}')}") is (
        Reason.TOKEN_INVALID
    )
    assert authenticator.authenticate(f"Bearer {token}")


def sign(key: ECKey, text: str) -> str:
    signature = module.jws.JWSRegistry.algorithms["ES256"].sign(text.encode(), key)
    return base64.urlsafe_b64encode(signature).rstrip(b"=").decode()


def test_the_signing_helper_of_these_tests_makes_good_signatures(setup, authenticator: Authenticator, issuer: Issuer):
    head, payload, _ = issuer.token("ci", setup.account("ci"), "").access_token.split(".")
    assert authenticator.authenticate(f"Bearer {head}.{payload}.{sign(issuer.key, f'{head}.{payload}')}")


# --- forgeries


def test_another_key_of_the_same_id_does_not_do(setup, authenticator: Authenticator, issuer: Issuer, oidc: Oidc, clock):
    setup.account("ci")
    impostor = ec(str(issuer.key.kid))
    claims = {"iss": LOCAL, "aud": AUDIENCE, "sub": "ci", "airspace_member_kind": "service-account"}
    claims |= {"airspace_secret_generation": 1, "iat": int(clock.now), "exp": int(clock.now) + 900}
    header = {"alg": "ES256", "kid": impostor.kid, "typ": "at+jwt"}
    assert refusal(authenticator, "Bearer " + jwt.encode(header, claims, impostor)) is Reason.TOKEN_INVALID
    stranger = RSAKey.generate_key(2048, {"kid": "rsa-1"})
    assert refusal(authenticator, "Bearer " + oidc.sign(clock, stranger)) is Reason.TOKEN_INVALID


def test_no_algorithm_is_no_signature(authenticator: Authenticator, oidc: Oidc, clock):
    claims = {"iss": oidc.url, "aud": AUDIENCE, "sub": "ann", "exp": clock.now + 60}
    for alg in ("none", "None", "NONE", ""):
        assert refusal(authenticator, "Bearer " + forged({"alg": alg, "kid": "rsa-1"}, claims)) is Reason.TOKEN_INVALID
        unsigned = forged({"alg": alg, "kid": "rsa-1"}, claims, b"")
        assert refusal(authenticator, "Bearer " + unsigned) is Reason.TOKEN_INVALID


def test_a_public_key_is_no_shared_secret(authenticator: Authenticator, oidc: Oidc, rsa: RSAKey, clock):
    shared = OctKey.import_key(base64.urlsafe_b64encode(rsa.as_der(private=False)))
    claims = {"iss": oidc.url, "aud": AUDIENCE, "sub": "ann", "exp": int(clock.now) + 60}
    token = jwt.encode({"alg": "HS256", "kid": "rsa-1"}, claims, shared, algorithms=["HS256"])
    assert refusal(authenticator, f"Bearer {token}") is Reason.TOKEN_INVALID


def test_a_shared_secret_among_the_published_keys_is_ignored(authenticator: Authenticator, oidc: Oidc, rsa, clock):
    shared = OctKey.import_key({"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0", "kid": "shared"})
    oidc.jwks = {"keys": [shared.as_dict(private=True), rsa.as_dict(private=False)]}
    claims = {"iss": oidc.url, "aud": AUDIENCE, "sub": "ann", "exp": int(clock.now) + 60}
    token = jwt.encode({"alg": "HS256", "kid": "shared"}, claims, shared, algorithms=["HS256"])
    assert refusal(authenticator, f"Bearer {token}") is Reason.TOKEN_INVALID
    assert authenticator.authenticate("Bearer " + oidc.sign(clock)).member == "user:ann@example.org"


def test_a_key_inside_the_token_is_ignored(authenticator: Authenticator, oidc: Oidc, clock):
    own = ec("mine")
    header = {"kid": "mine", "jwk": own.as_dict(private=False)}
    assert refusal(authenticator, "Bearer " + oidc.sign(clock, own, header)) is Reason.TOKEN_INVALID
    header = {"kid": "rsa-1", "jwk": own.as_dict(private=False)}
    assert refusal(authenticator, "Bearer " + oidc.sign(clock, own, header)) is Reason.TOKEN_INVALID


def test_one_issuer_cannot_speak_for_another(setup, authenticator: Authenticator, issuer: Issuer, oidc: Oidc, clock):
    setup.account("ci")
    as_ours = {"iss": LOCAL, "sub": "ci", "airspace_member_kind": "service-account"}
    assert refusal(authenticator, "Bearer " + oidc.sign(clock, **as_ours)) is Reason.TOKEN_INVALID
    as_theirs = oidc.sign(clock, issuer.key, {"alg": "ES256", "typ": "at+jwt"})
    assert refusal(authenticator, f"Bearer {as_theirs}") is Reason.TOKEN_INVALID


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(data=st.data())
def test_no_change_of_a_good_token_is_accepted(setup, authenticator: Authenticator, issuer: Issuer, data):
    if "ci" not in setup.secrets:
        setup.account("ci")
    token = issuer.token("ci", setup.secrets["ci"], "").access_token
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("ABCxyz019-_.=~ \0é"))
    if token[place] == letter:
        return
    assert refusal(authenticator, f"Bearer {token[:place]}{letter}{token[place + 1 :]}") is Reason.TOKEN_INVALID


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(
    header=json_values | st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64"]), json_values),
    claims=json_values | st.dictionaries(st.sampled_from(["iss", "aud", "sub", "exp", "nbf"]), json_values),
)
def test_any_rubbish_is_just_not_valid(authenticator: Authenticator, header, claims):
    if isinstance(claims, dict):
        claims = {"iss": LOCAL} | claims
    assert refusal(authenticator, "Bearer " + forged(header, claims)) is Reason.TOKEN_INVALID


def test_deeply_nested_rubbish_is_just_not_valid(authenticator: Authenticator):
    deep = base64.urlsafe_b64encode(b"[" * 9_000).rstrip(b"=").decode()
    head = base64.urlsafe_b64encode(b'{"alg":"ES256"}').rstrip(b"=").decode()
    assert refusal(authenticator, f"Bearer {head}.{deep}.AAAA") is Reason.TOKEN_INVALID
    assert refusal(authenticator, f"Bearer {deep[:600]}.{deep[:600]}.AAAA") is Reason.TOKEN_INVALID


# --- users of an external issuer


def test_a_user_has_the_groups_that_its_token_names(authenticator: Authenticator, oidc: Oidc, clock):
    token = oidc.sign(clock, name="Ann", email="ann@example.org")
    assert authenticator.authenticate(f"Bearer {token}") == Principal(
        "user:ann@example.org", frozenset({"group:ads", "group:maps"}), "Ann", "ann@example.org"
    )


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ("ads", {"group:ads"}),
        (None, set()),
        ([], set()),
        ({"ads": True}, set()),
        (7, set()),
        (["ads", "", "a b", 7, None, ["x"], "*", "\n", "x" * 500, "ads"], {"group:ads"}),
    ],
)
def test_groups_that_no_binding_can_name_are_dropped(authenticator, oidc: Oidc, clock, groups: Any, expected: set):
    assert authenticator.authenticate("Bearer " + oidc.sign(clock, groups=groups)).groups == expected


def test_the_claims_for_members_and_groups_can_be_chosen(setup, oidc: Oidc, clock):
    issuer = OidcIssuer(oidc.url, AUDIENCE, groups_claim="roles", member_claim="preferred_username")
    authenticator = Authenticator([issuer], setup.policy, lambda _: None, clock)
    token = oidc.sign(clock, roles="ads", preferred_username="ann")
    assert authenticator.authenticate(f"Bearer {token}") == Principal("user:ann", frozenset({"group:ads"}))
    assert refusal(authenticator, "Bearer " + oidc.sign(clock)) is Reason.TOKEN_INVALID


def test_an_email_names_a_user_only_when_it_was_verified(setup, oidc: Oidc, clock):
    issuer = OidcIssuer(oidc.url, AUDIENCE, member_claim="email")
    authenticator = Authenticator([issuer], setup.policy, lambda _: None, clock)
    good = oidc.sign(clock, email="ann@example.org", email_verified=True)
    assert authenticator.authenticate(f"Bearer {good}").member == "user:ann@example.org"
    for verified in (None, False, "true", 1):
        token = oidc.sign(clock, email="ann@example.org", email_verified=verified)
        assert refusal(authenticator, f"Bearer {token}") is Reason.TOKEN_INVALID


def test_an_external_token_is_never_a_service_account(setup, authenticator: Authenticator, oidc: Oidc, clock):
    setup.account("ci")
    for subject in ("ci", "service-account:ci"):
        token = oidc.sign(clock, header={"typ": "at+jwt"}, sub=subject, airspace_member_kind="service-account")
        assert authenticator.authenticate(f"Bearer {token}").member == f"user:{subject}"


def test_an_audience_alone_in_a_list_is_the_audience(authenticator: Authenticator, oidc: Oidc, clock):
    token = oidc.sign(clock, sub="ann", aud=[AUDIENCE])
    assert authenticator.authenticate("Bearer " + token).member == "user:ann"


@pytest.mark.parametrize("subject", ["", " ", "a b", "ann\n", "*", "x" * 201, 7, None, ["ann"]])
def test_a_user_that_no_binding_can_name_is_refused(authenticator: Authenticator, oidc: Oidc, clock, subject: Any):
    assert refusal(authenticator, "Bearer " + oidc.sign(clock, sub=subject)) is Reason.TOKEN_INVALID


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "other"},
        {"aud": [AUDIENCE, "other"]},
        {"aud": []},
        {"aud": None},
        {"aud": ""},
        {"iss": None},
        {"exp": None},
        {"iss": "https://elsewhere.example.org"},
    ],
)
def test_a_token_for_or_from_somebody_else_is_refused(authenticator: Authenticator, oidc: Oidc, clock, claims: dict):
    assert refusal(authenticator, "Bearer " + oidc.sign(clock, **claims)) is Reason.TOKEN_INVALID


def test_an_issuer_is_compared_to_the_letter(authenticator: Authenticator, oidc: Oidc, clock):
    assert refusal(authenticator, "Bearer " + oidc.sign(clock, iss=oidc.url + "/")) is Reason.TOKEN_INVALID


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "at+jwt", "application/at+jwt"])
def test_access_tokens_of_every_usual_type_are_read(authenticator: Authenticator, oidc: Oidc, clock, typ: str | None):
    assert authenticator.authenticate("Bearer " + oidc.sign(clock, header={"typ": typ}))


@pytest.mark.parametrize("typ", ["logout+jwt", "dpop+jwt", "JOSE", "x"])
def test_other_tokens_are_no_access_tokens(authenticator: Authenticator, oidc: Oidc, clock, typ: str):
    assert refusal(authenticator, "Bearer " + oidc.sign(clock, header={"typ": typ})) is Reason.TOKEN_INVALID


def test_unknown_headers_are_ignored_as_the_standard_says(authenticator: Authenticator, oidc: Oidc, clock, rsa: RSAKey):
    registry = module.jws.JWSRegistry(algorithms=["RS256"], strict_check_header=False)
    claims = {"iss": oidc.url, "aud": AUDIENCE, "sub": "ann", "exp": int(clock.now) + 60}
    token = jwt.encode({"alg": "RS256", "kid": "rsa-1", "nonce": "x"}, claims, rsa, registry=registry)
    assert authenticator.authenticate(f"Bearer {token}").member == "user:ann"


def test_clocks_may_be_half_a_minute_apart(authenticator: Authenticator, oidc: Oidc, clock):
    now = int(clock.now)
    assert authenticator.authenticate("Bearer " + oidc.sign(clock, iat=now + 30, nbf=now + 30))
    assert authenticator.authenticate("Bearer " + oidc.sign(clock, exp=now - 29))
    assert refusal(authenticator, "Bearer " + oidc.sign(clock, exp=now - 30)) is Reason.TOKEN_EXPIRED
    assert refusal(authenticator, "Bearer " + oidc.sign(clock, nbf=now + 31)) is Reason.TOKEN_INVALID
    assert refusal(authenticator, "Bearer " + oidc.sign(clock, iat=now + 31)) is Reason.TOKEN_INVALID


def test_a_seen_token_expires_too(authenticator: Authenticator, oidc: Oidc, clock):
    token = oidc.sign(clock, exp=int(clock.now) + 100)
    authenticator.authenticate(f"Bearer {token}")
    clock.now += 129.9
    authenticator.authenticate(f"Bearer {token}")
    clock.now += 0.1
    assert refusal(authenticator, f"Bearer {token}") is Reason.TOKEN_EXPIRED


# --- an issuer's keys


def test_keys_are_fetched_once_and_by_discovery(authenticator: Authenticator, oidc: Oidc, clock):
    for number in range(5):
        authenticator.authenticate("Bearer " + oidc.sign(clock, sub=f"user-{number}"))
    assert oidc.requests == ["/.well-known/openid-configuration", "/keys"]


def test_a_new_key_is_found_at_once_and_an_old_one_goes(authenticator: Authenticator, oidc: Oidc, clock):
    old = oidc.sign(clock)
    authenticator.authenticate(f"Bearer {old}")
    oidc.keys = [ec("ec-2")]
    clock.now += RETRY_SECONDS
    assert authenticator.authenticate("Bearer " + oidc.sign(clock)).member == "user:ann@example.org"
    clock.now += CACHED_SECONDS
    assert refusal(authenticator, f"Bearer {old}") is Reason.TOKEN_INVALID


def test_made_up_key_ids_do_not_make_this_server_flood_the_issuer(authenticator: Authenticator, oidc: Oidc, clock):
    authenticator.authenticate("Bearer " + oidc.sign(clock))
    for number in range(50):
        assert refusal(authenticator, "Bearer " + oidc.sign(clock, ec(f"made-up-{number}"))) is Reason.TOKEN_INVALID
        clock.now += 1
    assert len(oidc.requests) == 2 * 5
    authenticator.authenticate("Bearer " + oidc.sign(clock))


def test_keys_are_looked_at_again_every_ten_minutes(authenticator: Authenticator, oidc: Oidc, clock, rsa: RSAKey):
    authenticator.authenticate("Bearer " + oidc.sign(clock))
    withdrawn = oidc.sign(clock, rsa, sub="bob", exp=int(clock.now) + 10_000)
    oidc.keys = [ec("ec-2")]
    clock.now += REFRESH_SECONDS
    assert refusal(authenticator, f"Bearer {withdrawn}") is Reason.TOKEN_INVALID


def test_known_keys_serve_for_an_hour_while_the_issuer_is_away(authenticator: Authenticator, oidc: Oidc, clock):
    authenticator.authenticate("Bearer " + oidc.sign(clock))
    oidc.status = 503
    clock.now += KEEP_SECONDS
    assert authenticator.authenticate("Bearer " + oidc.sign(clock, sub="bob"))
    assert refusal(authenticator, "Bearer " + oidc.sign(clock, ec("new"))) is Reason.TOKEN_INVALID
    clock.now += 1
    assert refusal(authenticator, "Bearer " + oidc.sign(clock, sub="carl")) is Reason.UNAVAILABLE
    oidc.status = 200
    clock.now += RETRY_SECONDS
    assert authenticator.authenticate("Bearer " + oidc.sign(clock, sub="carl"))


def test_without_any_key_nobody_can_tell(authenticator: Authenticator, oidc: Oidc, clock):
    oidc.status = 503
    assert refusal(authenticator, "Bearer " + oidc.sign(clock)) is Reason.UNAVAILABLE
    assert refusal(authenticator, "Bearer " + oidc.sign(clock)) is Reason.UNAVAILABLE
    assert len(oidc.requests) == 1
    oidc.status = 200
    clock.now += RETRY_SECONDS
    assert authenticator.authenticate("Bearer " + oidc.sign(clock))


def test_an_issuer_that_does_not_answer_at_all(setup, clock, oidc: Oidc):
    oidc.server.socket.close()
    authenticator = Authenticator(
        [OidcIssuer(oidc.url, AUDIENCE, clock=clock.seconds)], setup.policy, lambda _: None, clock
    )
    assert refusal(authenticator, "Bearer " + oidc.sign(clock)) is Reason.UNAVAILABLE


@pytest.mark.parametrize("claimed", ["https://elsewhere.example.org", "{url}/"])
def test_an_issuer_that_says_it_is_another_one_is_not_believed(authenticator, oidc: Oidc, clock, claimed: str):
    oidc.claimed_issuer = claimed.format(url=oidc.url)
    assert refusal(authenticator, "Bearer " + oidc.sign(clock)) is Reason.UNAVAILABLE
    assert "/keys" not in oidc.requests


@pytest.mark.parametrize("jwks", [[], {}, {"keys": None}, {"keys": 7}, "x" * (1 << 20)])
def test_keys_that_cannot_be_read_are_no_keys(authenticator: Authenticator, oidc: Oidc, clock, jwks: Any):
    oidc.jwks = jwks
    assert refusal(authenticator, "Bearer " + oidc.sign(clock)) is Reason.UNAVAILABLE


def test_an_issuer_that_withdraws_all_keys_is_believed(authenticator: Authenticator, oidc: Oidc, clock):
    authenticator.authenticate("Bearer " + oidc.sign(clock))
    oidc.keys, signed = [], oidc.sign(clock, sub="bob")
    clock.now += REFRESH_SECONDS
    assert refusal(authenticator, f"Bearer {signed}") is Reason.TOKEN_INVALID


def test_one_strange_key_does_not_spoil_the_others(authenticator: Authenticator, oidc: Oidc, clock, rsa: RSAKey):
    weak = {"kty": "RSA", "kid": "weak", "e": "AQAB", "n": "q" * 171}
    strange = [7, {}, {"kty": "AKP"}, {"kty": "EC", "crv": "P-999", "x": "", "y": ""}, {"kty": "RSA", "n": 3}, weak]
    encrypting = ec("enc").as_dict(private=False) | {"use": "enc"}
    oidc.jwks = {"keys": [*strange, encrypting, rsa.as_dict(private=False)]}
    assert authenticator.authenticate("Bearer " + oidc.sign(clock))


def test_a_token_without_a_key_id_is_read_when_there_is_only_one_key(authenticator: Authenticator, oidc: Oidc, clock):
    assert authenticator.authenticate("Bearer " + oidc.sign(clock, header={"kid": None}))
    oidc.keys.append(ec("ec-2"))
    clock.now += REFRESH_SECONDS
    assert refusal(authenticator, "Bearer " + oidc.sign(clock, header={"kid": None})) is Reason.TOKEN_INVALID


def test_while_one_thread_fetches_keys_the_others_do_not_wait(setup, oidc: Oidc, clock, monkeypatch):
    issuer = OidcIssuer(oidc.url, AUDIENCE, clock=clock.seconds)
    authenticator = Authenticator([issuer], setup.policy, lambda _: None, clock)
    asked, answer = threading.Event(), threading.Event()
    fetch = oidc_module._fetch_keys

    def slow(url: str) -> Any:
        asked.set()
        assert answer.wait(10)
        return fetch(url)

    monkeypatch.setattr(oidc_module, "_fetch_keys", slow)
    found: list[Principal] = []
    first = threading.Thread(target=lambda: found.append(authenticator.authenticate("Bearer " + oidc.sign(clock))))
    first.start()
    assert asked.wait(10)
    assert refusal(authenticator, "Bearer " + oidc.sign(clock)) is Reason.UNAVAILABLE
    answer.set()
    first.join()
    assert found
    assert authenticator.authenticate("Bearer " + oidc.sign(clock)) == found[0]


# --- the cache


def test_a_seen_token_is_not_verified_again_for_a_while(setup, authenticator, issuer: Issuer, clock, monkeypatch):
    token = "Bearer " + issuer.token("ci", setup.account("ci"), "").access_token
    verified = 0
    validate = module.jws.validate_compact

    def counted(*args: Any, **rest: Any) -> bool:
        nonlocal verified
        verified += 1
        return validate(*args, **rest)

    monkeypatch.setattr(module.jws, "validate_compact", counted)
    for _ in range(10):
        authenticator.authenticate(token)
    assert verified == 1
    clock.now += CACHED_SECONDS
    setup.policy.refresh()
    authenticator.authenticate(token)
    assert verified == 2


def test_the_cache_is_bounded_and_drops_the_least_used(monkeypatch):
    monkeypatch.setattr(module, "CACHED_TOKENS", 3)
    cache = module._VerifiedTokens()
    identity = module.Identity(Principal("user:ann"), None, 0, 1e12)
    for name in (b"a", b"b", b"c"):
        cache.put(name, identity, 0.0)
    assert cache.get(b"a", 1.0)
    cache.put(b"d", identity, 1.0)
    assert [name for name in (b"a", b"b", b"c", b"d") if cache.get(name, 1.0)] == [b"a", b"c", b"d"]


# --- construction


@pytest.mark.parametrize(
    ("url", "audience"),
    [
        ("", AUDIENCE),
        ("https://id.example.org", ""),
        ("http://id.example.org", AUDIENCE),
        ("id.example.org", AUDIENCE),
        ("file:///etc/passwd", AUDIENCE),
        ("https://", AUDIENCE),
        ("https://[", AUDIENCE),
        ("http://127.0.0.1.example.org", AUDIENCE),
        ("http://localhost.example.org", AUDIENCE),
        ("http://127.0.0.1@id.example.org", AUDIENCE),
        ("http://0.0.0.0", AUDIENCE),
        ("http://[::]", AUDIENCE),
    ],
)
def test_an_issuer_that_cannot_be_trusted_is_refused_at_start(url: str, audience: str):
    with pytest.raises(ValueError, match="issuer"):
        OidcIssuer(url, audience)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "[::1]", "localhost", "LOCALHOST"])
def test_an_issuer_on_this_machine_may_speak_plain_text(host: str):
    assert OidcIssuer(f"http://{host}:5556/dex", AUDIENCE).issuer_url == f"http://{host}:5556/dex"


@pytest.mark.parametrize(
    "url", ["http://id.example.org/token", "https://[", "https://", "ftp://localhost/", "", 7, None]
)
def test_clients_are_not_sent_where_what_they_send_can_be_read(oidc: Oidc, external: OidcIssuer, url: Any):
    oidc.endpoints = {"token_endpoint": url, "authorization_endpoint": "http://[::1]:80/authorize"}
    assert external.endpoints().token == ""
    assert external.endpoints().authorization == "http://[::1]:80/authorize"


def test_a_built_in_issuer_without_names_is_refused_at_start(tmp_path: Path):
    key = signing_key(tmp_path)
    for url, audience in (("", AUDIENCE), (LOCAL, "")):
        with pytest.raises(ValueError, match="issuer"):
            BuiltInIssuer(key, url, audience)


def test_claims_without_names_are_refused_at_start():
    for rest in ({"groups_claim": ""}, {"member_claim": ""}):
        with pytest.raises(ValueError, match="claims"):
            OidcIssuer("https://id.example.org", AUDIENCE, **rest)


def test_an_authenticator_needs_issuers_that_can_be_told_apart(setup, clock):
    one = OidcIssuer("https://id.example.org", AUDIENCE)
    for issuers in ([], [one, OidcIssuer("https://id.example.org", "other")]):
        with pytest.raises(ValueError, match="issuers"):
            Authenticator(issuers, setup.policy, lambda _: None, clock)
