"""Limits of logins on the wire: whom a request counts for, as itself and behind a proxy, and who goes on logging in."""

from collections.abc import Iterator

import httpx
import pytest
from deployment_issuer import ForeignIssuer
from deployment_processes import Deployment, until

FAILING = 60
"""More failures than one peer may have at once."""


@pytest.fixture(scope="module")
def issuer() -> Iterator[ForeignIssuer]:
    with ForeignIssuer() as serving:
        yield serving


@pytest.fixture(params=["", "127.0.0.1"], ids=["alone", "behind a proxy"])
def admin(request: pytest.FixtureRequest, issuer: ForeignIssuer, tmp_path) -> Iterator[Deployment]:
    oidc = {"oidc_issuer": issuer.url, "oidc_audience": "airspace"}
    deployment = Deployment(tmp_path, http_proxies=request.param, **oidc)
    try:
        deployment.start("admin")
        yield deployment
        assert deployment.stop("admin") == 0
    finally:
        deployment.discard()


class Peers:
    """Requests to the token endpoint that a proxy on this machine would make, or somebody who pretends to be one."""

    def __init__(self, deployment: Deployment, client: httpx.Client) -> None:
        self._url = f"{deployment.http}/oauth2/token"
        self._client = client

    def login(self, address: str, account: str, secret: str) -> int:
        form = {"grant_type": "client_credentials", "client_id": account, "client_secret": secret}
        return self._client.post(self._url, data=form, headers={"x-forwarded-for": address}).status_code

    def refresh(self, address: str) -> int:
        form = {"grant_type": "refresh_token", "refresh_token": "guess"}
        return self._client.post(self._url, data=form, headers={"x-forwarded-for": address}).status_code


def test_a_request_counts_for_its_peer_and_for_whom_a_proxy_names_only_if_the_operator_knows_it(
    admin: Deployment, issuer: ForeignIssuer
):
    behind_proxy = bool(admin.settings["http_proxies"])
    secrets = {name: (admin.data / "clients" / f"{name}.secret").read_text() for name in ("admin", "developer")}
    with httpx.Client(trust_env=False) as client:
        peers = Peers(admin, client)
        assert peers.login("198.51.100.1", "admin", secrets["admin"]) == 200
        # Each of another address, as far as the header says.
        spread = [peers.login(f"198.51.{number}.7", f"made-up-{number}", "guess") for number in range(FAILING)]
        assert spread[0] == 401
        # The developer's secret was not seen yet: where all those were one peer, it has to wait.
        assert peers.login("198.51.100.2", "developer", secrets["developer"]) == (200 if behind_proxy else 429)
        assert peers.login("198.51.100.2", "admin", secrets["admin"]) == 200
        for number in range(FAILING):
            peers.login("203.0.113.9", f"made-up-{number}", "guess")
        assert peers.login("203.0.113.9", "developer", secrets["developer"]) == (200 if behind_proxy else 429)

        before = len(issuer.grants)
        answers = [peers.refresh(f"198.51.{number}.7") for number in range(200)]
        assert set(answers) == ({400} if behind_proxy else {400, 429})
        assert len(issuer.grants) - before == answers.count(400)  # the issuer's own answer; others never reached it
        until(lambda: peers.refresh("203.0.113.9") == 429)
