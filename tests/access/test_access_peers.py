"""Certificates of clients: for whose account one stands, when for nobody's, and what it is beside a token."""

import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from deployment_tls import Authority

from airspace_server.access.accounts import disable, rotate_secret
from airspace_server.access.authenticate import Authenticator
from airspace_server.access.identity import Principal
from airspace_server.access.issuer import Issuer
from airspace_server.access.keys import signing_key
from airspace_server.access.peers import Peers
from airspace_server.access.trusted import BuiltInIssuer
from airspace_server.core.errors import ApiError, Reason

CI = "spiffe://example.org/ci"
PEERS = Peers({f"URI:{CI}": "ci", "DNS:runner.example.org": "runner", "DNS:ci.example.org": "ci"})
AUTHORITY = Authority()
TODAY = datetime.datetime.now(datetime.UTC).timestamp()
URL = "http://127.0.0.1:8088"


def uri(name: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(name)


def dns(name: str) -> x509.GeneralName:
    return x509.DNSName(name)


NOBODYS = {
    "no name at all": (),
    "a name that is not listed": (uri("spiffe://example.org/cd"),),
    "the beginning of a listed name": (uri("spiffe://example.org/c"),),
    "more than a listed name": (uri(CI + "/x"), dns("ci.example.org.evil")),
    "a listed URI in other letters": (uri("spiffe://example.org/CI"),),
    "a listed URI as a host": (dns(CI),),
    "a listed host as a URI": (uri("ci.example.org"),),
    "the words of the list itself": (uri(f"URI:{CI}"), dns("DNS:ci.example.org")),
    "a pattern for a listed host": (dns("*.example.org"),),
    "a listed host with a zero byte behind": (dns("ci.example.org\0"),),
    "a listed name as an address of mail": (x509.RFC822Name("ci.example.org"),),
    "a listed name as a registered id beside others": (x509.RegisteredID(x509.ObjectIdentifier("1.2.3")), dns("x")),
    "names of two accounts": (uri(CI), dns("runner.example.org")),
}


@pytest.mark.parametrize("names", NOBODYS.values(), ids=NOBODYS)
def test_a_certificate_is_nobodys_that_has(names: tuple[x509.GeneralName, ...]):
    assert PEERS.account(AUTHORITY.issue(*names, subject="ci.example.org").certificate, TODAY) is None


@pytest.mark.parametrize("what", [b"", b"spiffe://example.org/ci", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_what_is_no_certificate_is_nobodys(what: bytes):
    assert PEERS.account(what, TODAY) is None


def test_a_certificate_of_an_odd_version_is_nobodys():
    der = ssl.PEM_cert_to_DER_cert(AUTHORITY.issue(uri(CI)).certificate.decode())
    third, second = (b"\xa0\x03\x02\x01" + bytes([version]) for version in (2, 1))
    assert der.count(third) == 1
    odd = ssl.DER_cert_to_PEM_cert(der.replace(third, second)).encode()
    with pytest.raises(x509.InvalidVersion):
        x509.load_pem_x509_certificate(odd)
    assert PEERS.account(odd, TODAY) is None


@pytest.mark.parametrize(
    ("names", "account"),
    [
        ((uri(CI),), "ci"),
        ((dns("Runner.Example.ORG"),), "runner"),
        ((uri(CI), dns("ci.example.org")), "ci"),
        ((uri("spiffe://example.org/other"), uri(CI), dns("localhost")), "ci"),
    ],
)
def test_a_certificate_stands_for_the_account_that_the_list_has_for_its_names(names, account: str):
    assert PEERS.account(AUTHORITY.issue(*names).certificate, TODAY) == account


def test_a_certificate_is_nobodys_from_the_moment_when_it_expires():
    expires = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    certificate = AUTHORITY.issue(uri(CI), expires=expires).certificate
    assert PEERS.account(certificate, expires.timestamp() - 1) == "ci"
    assert PEERS.account(certificate, expires.timestamp()) is None


# --- beside tokens


@pytest.fixture
def issuer(setup, clock, tmp_path: Path) -> Issuer:
    clock.now = TODAY
    return Issuer(setup.database, signing_key(tmp_path / "keys"), URL, "airspace", clock)


@pytest.fixture
def authenticator(setup, clock, issuer: Issuer) -> Authenticator:
    built_in = BuiltInIssuer(issuer.key, URL, "airspace")
    return Authenticator([built_in], setup.policy, lambda _: None, clock, PEERS)


def shown() -> bytes:
    return AUTHORITY.issue(uri(CI)).certificate


def unread() -> bytes:
    pytest.fail("the certificate was asked for")


def refusal(authenticator: Authenticator, header: str | None, certificate=shown) -> Reason:
    with pytest.raises(ApiError) as caught:
        authenticator.authenticate(header, certificate)
    return caught.value.reason


def test_without_a_token_the_caller_is_the_account_of_the_certificate(setup, authenticator: Authenticator):
    assert refusal(authenticator, None) is Reason.ACCOUNT_DISABLED  # there is no such account yet
    setup.account("ci")
    assert authenticator.authenticate(None, shown) == Principal("service-account:ci")


def test_a_certificate_of_nobody_is_answered_as_no_certificate(setup, authenticator: Authenticator):
    setup.account("ci")
    stranger = AUTHORITY.issue(uri("spiffe://example.org/cd")).certificate
    assert refusal(authenticator, None, lambda: stranger) is Reason.TOKEN_MISSING
    assert refusal(authenticator, None, lambda: None) is Reason.TOKEN_MISSING


def test_a_token_names_the_caller_and_the_certificate_is_not_even_read(setup, authenticator, issuer: Issuer):
    setup.account("ci")
    token = issuer.token("cd", setup.account("cd"), "").access_token
    assert authenticator.authenticate(f"Bearer {token}", unread) == Principal("service-account:cd")


def test_no_certificate_makes_a_token_good_that_does_not_count(setup, authenticator, issuer: Issuer, clock):
    setup.account("ci")
    token = issuer.token("cd", setup.account("cd"), "").access_token
    assert refusal(authenticator, "", unread) is Reason.TOKEN_MISSING
    for header in ("Bearer", "Bearer ", "Basic Y2k6Y2k=", f"Bearer {token}x", token):
        assert refusal(authenticator, header, unread) is Reason.TOKEN_INVALID
    clock.now += 1801
    assert refusal(authenticator, f"Bearer {token}", unread) is Reason.TOKEN_EXPIRED


def test_a_disabled_account_is_out_with_its_certificate_too(setup, authenticator: Authenticator):
    setup.account("ci")
    with setup.database.write() as tx:
        disable(tx, "ci")
    setup.policy.refresh()
    assert refusal(authenticator, None) is Reason.ACCOUNT_DISABLED


def test_a_new_secret_ends_tokens_and_not_the_certificate(setup, authenticator, issuer: Issuer):
    setup.account("ci")
    before = authenticator.certified(shown)
    token = issuer.sign(*before)
    assert authenticator.authenticate(f"Bearer {token}").member == "service-account:ci"
    with setup.database.write() as tx:
        rotate_secret(tx, Principal("user:test"), "ci")
    setup.policy.refresh()
    assert refusal(authenticator, f"Bearer {token}") is Reason.TOKEN_INVALID
    after = authenticator.certified(shown)
    assert after != before
    assert authenticator.authenticate(f"Bearer {issuer.sign(*after)}").member == "service-account:ci"
