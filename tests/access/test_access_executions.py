"""Tokens of executions: good for one execution, as long as it runs and its launcher may still act, and for no other."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from airspace_server.access.authenticate import Authenticator
from airspace_server.access.executions import LIFETIME, TOKEN_TYPE, ExecutionIssuer
from airspace_server.access.identity import Principal
from airspace_server.access.issuer import KIND_CLAIM, SERVICE_ACCOUNT, Issuer
from airspace_server.access.issuer import TOKEN_TYPE as ACCOUNTS_TYPE
from airspace_server.access.keys import signing_key
from airspace_server.access.store import change as count_revision
from airspace_server.access.trusted import BuiltInIssuer
from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.scope import ExecutionId, Scope
from airspace_server.storage.tables import ServiceAccountRow, table

URL, AUDIENCE = "http://127.0.0.1:8088", "airspace"
RUN = ExecutionId(Scope("vision", "development"), "a1")
ANN = Principal("user:ann", frozenset({"group:cv"}))
ACCOUNTS = table(ServiceAccountRow)


@dataclass
class Server:
    """Both issuers of a server, what runs on it, and who asks it."""

    key: ECKey
    executions: ExecutionIssuer
    accounts: Issuer
    ask: Callable[[str], Any]
    running: dict[ExecutionId, Principal] = field(default_factory=dict)

    def token(self, key: ECKey | None = None, header: dict[str, str] | None = None, **claims: Any) -> str:
        """Make a token as the issuer does, but for what is given."""
        now = 1_800_000_000
        issuer = self.executions.issuer_url
        body = {"iss": issuer, "aud": AUDIENCE, "sub": str(RUN), "iat": now, "exp": now + 60} | claims
        key = key or self.key
        head = {"alg": "ES256", "kid": key.kid, "typ": TOKEN_TYPE} | (header or {})
        return jwt.encode(head, body, key, algorithms=["ES256"])

    def refusal(self, token: str) -> Reason:
        with pytest.raises(ApiError) as caught:
            self.ask(f"Bearer {token}")
        return caught.value.reason


@pytest.fixture
def server(setup, clock, tmp_path: Path) -> Server:
    executions = ExecutionIssuer(tmp_path, URL, AUDIENCE, clock)
    accounts = Issuer(setup.database, signing_key(tmp_path), URL, AUDIENCE, clock)
    trusted = [executions, BuiltInIssuer(accounts.key, URL, AUDIENCE)]
    running: dict[ExecutionId, Principal] = {}
    authenticator = Authenticator(trusted, setup.policy, running.get, clock)
    return Server(signing_key(tmp_path, "execution-tokens"), executions, accounts, authenticator.authenticate, running)


def test_a_token_is_of_one_execution_and_stands_on_its_launcher_while_that_runs(server: Server):
    token = server.executions.token(RUN)
    assert server.refusal(token) is Reason.TOKEN_INVALID  # it does not run yet
    server.running[RUN] = ANN
    found = server.ask(f"Bearer {token}")
    assert (found.member, found.execution, found.origin) == ("execution:vision/development/a1", RUN, ANN)
    assert found.members == (found.member,)  # the groups are the launcher's
    del server.running[RUN]
    assert server.refusal(token) is Reason.TOKEN_INVALID  # and not any more, although the token was seen before


def test_a_token_lives_a_day_at_most(server: Server, setup, clock):
    server.running[RUN] = ANN
    token = server.executions.token(RUN)
    clock.now += LIFETIME - 1
    setup.policy.refresh()  # as every second does
    assert server.ask(f"Bearer {token}")
    clock.now += 1
    assert server.refusal(token) is Reason.TOKEN_EXPIRED


def test_a_token_is_worth_nothing_once_the_account_that_launched_is_disabled(server: Server, setup):
    setup.account("ci")
    server.running[RUN] = Principal("service-account:ci")
    token = server.executions.token(RUN)
    assert server.ask(f"Bearer {token}").launcher == Principal("service-account:ci")
    with setup.database.write() as tx:
        count_revision(tx)
        tx.execute(ACCOUNTS.update().where(ACCOUNTS.c.name == "ci").values(disabled=True))
    setup.policy.refresh()
    assert server.refusal(token) is Reason.ACCOUNT_DISABLED


@pytest.mark.parametrize(
    "subject", ["", "vision", "vision/development", "vision/development/a1/n0", "Vision/development/a1", "*/*/a1", "//"]
)
def test_a_subject_that_is_no_execution_is_nobody(server: Server, subject: str):
    server.running[RUN] = ANN
    assert server.refusal(server.token(sub=subject)) is Reason.TOKEN_INVALID


def test_neither_issuer_signs_for_the_other(server: Server):
    server.running[RUN] = ANN
    assert server.ask(f"Bearer {server.token()}")
    account = {"sub": "ci", "iss": URL, KIND_CLAIM: SERVICE_ACCOUNT}
    forged = [
        server.token(key=server.accounts.key),
        server.token(key=ECKey.generate_key("P-256", {"kid": server.key.kid})),
        server.token(header={"typ": ACCOUNTS_TYPE}),
        server.token(aud="elsewhere"),
        server.token(iss=URL),
        server.token(**account),
        server.token(**account, header={"typ": ACCOUNTS_TYPE}),
        server.token(key=server.accounts.key, header={"typ": ACCOUNTS_TYPE}, iss=URL, **{KIND_CLAIM: "execution"}),
    ]
    assert {server.refusal(token) for token in forged} == {Reason.TOKEN_INVALID}
