"""People log in with flytekit itself, in each of its ways, at an external issuer, and service accounts at ours."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from deployment_issuer import ForeignIssuer
from deployment_processes import Deployment, Wire, environment

from airspace.access.v1 import access_service_pb2 as access_pb
from airspace.project.v1 import project_service_pb2 as pb
from airspace.type.v1 import identifiers_pb2

BROWSER = Path(__file__).with_name("browser.py")
WHO = """
import sys
from flytekit.configuration import Config
from flytekit.remote import FlyteRemote
remote = FlyteRemote(Config.auto(config_file=sys.argv[1]), default_project="vision", default_domain="development")
projects, _ = remote.client.list_projects_paginated()
print("projects", [project.id for project in projects])
"""


@pytest.fixture(scope="module")
def issuer() -> Iterator[ForeignIssuer]:
    with ForeignIssuer() as serving:
        yield serving


@pytest.fixture(scope="module", params=["one issuer", "both issuers"])
def deployment(
    request: pytest.FixtureRequest, issuer: ForeignIssuer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """A server that knows the issuer's users, alone or beside service accounts of its own."""
    built_in = request.param == "both issuers"
    served = Deployment(
        tmp_path_factory.mktemp("login"),
        mode="production",
        sandbox="false",
        built_in_issuer=str(built_in).lower(),
        oidc_issuer=issuer.url,
        oidc_audience="airspace",
        oidc_client_id="people",
        bootstrap_admin="service-account:robot" if built_in else "user:root",
    )
    try:
        served.start("admin")
        token = served.token("robot") if built_in else issuer.token("root")
        with Wire(served.admin, token) as root:
            created = pb.CreateProjectRequest(project="vision")
            root.call("/airspace.project.v1.ProjectService/CreateProject", created, pb.CreateProjectResponse)
            pattern = identifiers_pb2.ScopePattern(project="vision", domain="development")
            bound = access_pb.CreateBindingRequest(member="group:cv", role="viewer", pattern=pattern)
            root.call("/airspace.access.v1.AccessService/CreateBinding", bound, access_pb.CreateBindingResponse)
        yield served
    finally:
        served.discard()


def projects(deployment: Deployment, folder: Path, **admin: object) -> str:
    """Ask for the projects with FlyteRemote, in a process of its own that logs in as the client file says."""
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump({"admin": {"endpoint": f"dns:///{deployment.admin}", "insecure": True, **admin}}))
    own = environment({}) | {
        "BROWSER": f"{sys.executable} {BROWSER} %s",
        "HOME": str(folder),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }
    command = [sys.executable, "-c", WHO, str(config)]
    ran = subprocess.run(command, capture_output=True, text=True, env=own, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout.splitlines()[-1]


def test_a_person_logs_in_with_a_browser(issuer: ForeignIssuer, deployment: Deployment, tmp_path: Path):
    assert projects(deployment, tmp_path, authType="Pkce") == "projects ['vision']"
    assert issuer.grants[-1] == "authorization_code"
    asked = issuer.asked[-1]
    assert (asked["client_id"], asked["scope"]) == ("people", "openid profile email offline_access")


def test_a_person_logs_in_from_a_machine_without_a_browser(
    issuer: ForeignIssuer, deployment: Deployment, tmp_path: Path
):
    assert projects(deployment, tmp_path, authType="DeviceFlow") == "projects ['vision']"
    assert [grant.rpartition(":")[2] for grant in issuer.grants[-2:]] == ["device_code", "device_code"]
    assert issuer.asked[-1]["client_id"] == "people"


def test_a_person_brings_a_token_by_a_command(issuer: ForeignIssuer, deployment: Deployment, tmp_path: Path):
    token = tmp_path / "token"
    token.write_text(issuer.token("ann", "cv"))
    command = {"authType": "ExternalCommand", "command": ["cat", str(token)]}
    assert projects(deployment, tmp_path, **command) == "projects ['vision']"


@pytest.mark.parametrize("deployment", ["both issuers"], indirect=True)
def test_a_service_account_logs_in_with_its_secret_beside_people(deployment: Deployment, tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_text((deployment.data / "clients" / "robot.secret").read_text())
    login = {"authType": "ClientSecret", "clientId": "robot", "clientSecretLocation": str(secret)}
    assert projects(deployment, tmp_path, **login) == "projects ['vision']"
