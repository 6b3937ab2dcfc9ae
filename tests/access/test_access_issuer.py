"""Tokens for service accounts."""

import json
from base64 import urlsafe_b64decode
from datetime import timedelta
from pathlib import Path

import pytest
from joserfc import jwt
from sqlalchemy import select, update

from airspace_server.access.accounts import create_service_account
from airspace_server.access.issuer import (
    FailureLimit,
    InvalidClientError,
    Issuer,
    TooManyFailuresError,
)
from airspace_server.access.keys import signing_key
from airspace_server.access.limits import REMEMBERED
from airspace_server.core.errors import ApiError, Reason
from airspace_server.storage.tables import ServiceAccountRow, table

ACCOUNTS = table(ServiceAccountRow)
URL = "http://127.0.0.1:8088"


@pytest.fixture
def issuer(setup, clock, tmp_path: Path) -> Issuer:
    return Issuer(setup.database, signing_key(tmp_path / "keys"), URL, "airspace", clock)


def disable(setup, name: str) -> None:
    with setup.database.write() as tx:
        tx.execute(update(ACCOUNTS).where(ACCOUNTS.c.name == name).values(disabled=True))


def test_a_token_says_who_for_whom_and_how_long(setup, issuer: Issuer, clock):
    answer = issuer.token("ci", setup.account("ci"), "all")
    assert (answer.expires_in, answer.scope, answer.token_type) == (1800, "all", "Bearer")
    token = jwt.decode(answer.access_token, issuer.key, algorithms=["ES256"])
    assert token.header == {"alg": "ES256", "typ": "at+jwt", "kid": issuer.key.kid}
    assert token.claims.pop("jti")
    assert token.claims == {
        "iss": URL,
        "aud": "airspace",
        "sub": "ci",
        "client_id": "ci",
        "airspace_member_kind": "service-account",
        "airspace_secret_generation": 1,
        "iat": int(clock.now),
        "exp": int(clock.now) + 1800,
    }


def test_every_token_is_another(setup, issuer: Issuer):
    secret = setup.account("ci")
    tokens = {issuer.token("ci", secret, "").access_token for _ in range(20)}
    ids = {json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))["jti"] for token in tokens}
    assert len(ids) == 20


def test_the_lifetime_is_as_set(setup, clock, tmp_path: Path):
    issuer = Issuer(setup.database, signing_key(tmp_path), URL, "airspace", clock, timedelta(minutes=5))
    assert issuer.token("ci", setup.account("ci"), "").expires_in == 300


@pytest.mark.parametrize(("url", "audience"), [("", "airspace"), (URL, "")])
def test_an_issuer_without_a_url_or_an_audience_is_refused(setup, clock, tmp_path: Path, url: str, audience: str):
    with pytest.raises(ValueError, match="audience"):
        Issuer(setup.database, signing_key(tmp_path), url, audience, clock)


def test_unknown_wrong_and_disabled_get_one_answer(setup, issuer: Issuer):
    secret, other = setup.account("ci"), setup.account("cd")
    disable(setup, "cd")
    answers = []
    for client_id, tried in (("ci", other), ("ci", ""), ("nobody", secret), ("cd", other), ("", ""), ("ci\0", secret)):
        with pytest.raises(InvalidClientError) as caught:
            issuer.token(client_id, tried, "all")
        answers.append(str(caught.value))
    assert set(answers) == {""}


def test_secrets_are_kept_as_a_hash_only(setup):
    secret = setup.account("ci")
    assert len(urlsafe_b64decode(secret + "=")) == 32
    with setup.database.read() as tx:
        row = tx.one(select(ACCOUNTS))
    assert secret not in repr(row)
    assert len(row.secret_hash) == 64


def test_a_taken_name_is_refused_and_its_secret_stays(setup, issuer: Issuer):
    secret = setup.account("ci")
    with pytest.raises(ApiError) as caught, setup.database.write() as tx:
        create_service_account(tx, "ci", "user:test", 8)
    assert caught.value.reason is Reason.ALREADY_EXISTS
    assert issuer.token("ci", secret, "").access_token


def test_failures_that_come_too_fast_are_told_to_wait(setup, issuer: Issuer, clock):
    setup.account("ci")
    for _ in range(FailureLimit.CLIENT_BURST):
        with pytest.raises(InvalidClientError):
            issuer.token("ci", "guess", "")
    with pytest.raises(TooManyFailuresError) as caught:
        issuer.token("ci", "guess", "")
    assert caught.value.retry_after == 5
    clock.now += 5
    with pytest.raises(InvalidClientError):
        issuer.token("ci", "guess", "")
    with pytest.raises(TooManyFailuresError):
        issuer.token("ci", "guess", "")


def test_a_client_cannot_be_locked_out_by_the_failures_of_others(setup, issuer: Issuer):
    secret = setup.account("ci")
    for _ in range(3 * FailureLimit.CLIENT_BURST):
        with pytest.raises((InvalidClientError, TooManyFailuresError)):
            issuer.token("ci", "guess", "")
    assert issuer.token("ci", secret, "").access_token


def test_made_up_clients_meet_the_limit_on_all_and_use_no_more_memory():
    limit = FailureLimit()
    waits = [limit.count(f"client-{number}", f"peer-{number}", 0.0) for number in range(5 * REMEMBERED)]
    assert waits[: FailureLimit.ALL_BURST] == [0] * FailureLimit.ALL_BURST
    assert all(waits[FailureLimit.ALL_BURST :])
    assert len(limit._clients) == len(limit._peers) == REMEMBERED
    assert limit.count("client-0", "peer-0", 60.0) == 0


def test_a_clock_that_goes_back_gives_nothing_away():
    limit = FailureLimit()
    for _ in range(FailureLimit.CLIENT_BURST):
        assert limit.count("ci", "peer", 1000.0) == 0
    assert limit.count("ci", "peer", 0.0) > 0


def fail(issuer: Issuer, peer: str, times: int) -> None:
    for number in range(times):
        with pytest.raises((InvalidClientError, TooManyFailuresError)):
            issuer.token(f"made-up-{number}", "guess", "", peer)


def test_a_peer_that_fails_too_often_is_refused_before_it_makes_work(setup, issuer: Issuer, clock, monkeypatch):
    secret = setup.account("ci")
    fail(issuer, "192.0.2.1", FailureLimit.PEER_BURST)
    with monkeypatch.context() as patch:
        patch.setattr(issuer, "_database", None)
        for _ in range(3):
            with pytest.raises(TooManyFailuresError) as caught:
                issuer.token("ci", secret, "", "192.0.2.1")
            assert caught.value.retry_after == 1
    clock.now += 1
    assert issuer.token("ci", secret, "", "192.0.2.1").access_token


def test_the_failures_of_one_peer_are_nothing_to_another(setup, issuer: Issuer):
    secret = setup.account("ci")
    fail(issuer, "192.0.2.1", 3 * FailureLimit.PEER_BURST)
    assert issuer.token("ci", secret, "", "192.0.2.2").access_token


def test_who_shares_an_address_with_somebody_who_fails_goes_on_with_a_secret_that_was_right(setup, issuer: Issuer):
    secret, other = setup.account("ci"), setup.account("cd")
    assert issuer.token("ci", secret, "", "198.51.100.9").access_token
    fail(issuer, "192.0.2.1", 3 * FailureLimit.PEER_BURST)
    assert issuer.token("ci", secret, "", "192.0.2.1").access_token
    for client_id, tried in (("ci", "guess"), ("ci", other), ("cd", secret), ("cd", other)):
        with pytest.raises(TooManyFailuresError):
            issuer.token(client_id, tried, "", "192.0.2.1")
    disable(setup, "ci")
    with pytest.raises(TooManyFailuresError):
        issuer.token("ci", secret, "", "192.0.2.1")
