"""Who comes with a wrong secret or a token that does not count, through real clients."""

import grpc
import pytest
from e2e_clients import IN_DEVELOPMENT, Account
from joserfc import jwt
from joserfc.jwk import ECKey

from airspace_server.access.keys import signing_key

UNAUTHENTICATED = 64 + grpc.StatusCode.UNAUTHENTICATED.value[0]
LIST = "airspace.project.v1.ProjectService/ListProjects"


@pytest.fixture
def impostor(server, tmp_path) -> Account:
    """Somebody with the developer's name and another secret."""
    (tmp_path / "wrong.secret").write_text("not-the-secret")
    secret = Account(server, "developer").settings["clientSecretLocation"]
    client_file = tmp_path / "impostor.yaml"
    client_file.write_text(server.client_file("developer").read_text().replace(secret, str(tmp_path / "wrong.secret")))
    return Account(server, "impostor", client_file)


def test_a_wrong_secret_opens_nothing_to_any_client(impostor, flows):
    by_pyflyte = impostor.pyflyte("get", "launchplan", *IN_DEVELOPMENT)
    by_us = impostor.airspace("projects", "list")

    assert by_pyflyte.code != 0
    assert "double_lp" not in by_pyflyte.text
    assert "401" in by_pyflyte.text
    assert by_us.code == 3


def test_an_expired_token_is_refused_as_expired(developer, server):
    key = signing_key(server.data / "keys")
    token = jwt.decode(developer.token, key, algorithms=["ES256"])
    expired = jwt.encode(token.header, {**token.claims, "exp": token.claims["iat"] - 1}, key, algorithms=["ES256"])

    refused = developer.grpcurl(LIST, {}, token=expired)

    assert refused.code == UNAUTHENTICATED
    assert '"reason":"TOKEN_EXPIRED"' in refused.err


def test_a_token_of_another_signer_is_refused(developer, server):
    own = signing_key(server.data / "keys")
    token = jwt.decode(developer.token, own, algorithms=["ES256"])
    other = ECKey.generate_key("P-256")
    forged = jwt.encode(token.header, token.claims, other, algorithms=["ES256"])

    refused = developer.grpcurl(LIST, {}, token=forged)

    assert refused.code == UNAUTHENTICATED
    assert '"reason":"TOKEN_INVALID"' in refused.err


@pytest.mark.parametrize("token", ["x", "a.b.c", "e30.e30."])
def test_what_is_no_token_is_refused(developer, token):
    refused = developer.grpcurl(LIST, {}, token=token)

    assert refused.code == UNAUTHENTICATED
    assert '"reason":"TOKEN_INVALID"' in refused.err


def test_files_with_secrets_are_private(server):
    secrets = [*(server.data / "keys").iterdir(), *(server.data / "clients").iterdir()]

    assert secrets
    assert {path.stat().st_mode & 0o777 for path in secrets} == {0o600}
