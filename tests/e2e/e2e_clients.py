"""The clients that people have, each as an account of a server."""

import json
import subprocess
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path

import httpx
import yaml
from e2e_server import BIN, Server, clean_environment
from flytekit.configuration import Config
from flytekit.remote import FlyteRemote

PROJECT = "recommendation-engine"
SCOPE = {"project": PROJECT, "domain": "development"}
IN_DEVELOPMENT = ("--project", PROJECT, "--domain", "development")
EXECUTIONS = "airspace.execution.v1.ExecutionService"
SECONDS = 120


@dataclass(frozen=True)
class Ran:
    """What a process left."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err

    def json(self):
        return json.loads(self.out)


class Account:
    """Somebody, with every client."""

    def __init__(self, server: Server, name: str, client_file: Path | None = None) -> None:
        self.server = server
        self.name = name
        self.client_file = client_file or server.client_file(name)

    def run(self, *command: str | Path, cwd: Path | None = None) -> Ran:
        done = subprocess.run(
            [BIN / command[0], *command[1:]],
            cwd=cwd,
            env=clean_environment(
                FLYTECTL_CONFIG=str(self.client_file),
                AIRSPACE_CONFIG=str(self.client_file),
                COLUMNS="1000",  # rich breaks lines otherwise
                NO_COLOR="1",
            ),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def pyflyte(self, *arguments: str, cwd: Path | None = None) -> Ran:
        return self.run("pyflyte", *arguments, cwd=cwd)

    def airspace(self, *arguments: str) -> Ran:
        return self.run("airspace", *arguments)

    def airspace_json(self, *arguments: str):
        ran = self.run("airspace", "-o", "json", *arguments)
        assert ran.code == 0, ran.text
        return ran.json()

    def grpcurl(self, method: str, request: dict, *, token: str | None = None) -> Ran:
        header = f"authorization: Bearer {self.token if token is None else token}"
        return self.run("grpcurl", "-plaintext", "-H", header, "-d", json.dumps(request), self.server.grpc, method)

    @cached_property
    def token(self) -> str:
        admin = self.settings
        secret = Path(admin["clientSecretLocation"]).read_text()
        form = {"grant_type": "client_credentials"}
        with httpx.Client(trust_env=False) as client:
            answer = client.post(admin["tokenUrl"], data=form, auth=(admin["clientId"], secret))
        return answer.raise_for_status().json()["access_token"]

    @property
    def settings(self) -> dict[str, str]:
        """What the client file says."""
        return yaml.safe_load(self.client_file.read_text())["admin"]

    @cached_property
    def remote(self) -> FlyteRemote:
        config = Config.auto(config_file=str(self.client_file))
        return FlyteRemote(config, default_project=PROJECT, default_domain="development")

    def launch(self, workflow: str, **inputs):
        """Launch a version of the registered workflows through FlyteRemote."""
        plan = self.remote.fetch_launch_plan(name=f"flows.quick.{workflow}", version="v1")
        return self.remote.execute(plan, inputs=inputs)

    def wait(self, execution):
        return self.remote.wait(execution, timeout=timedelta(seconds=SECONDS), poll_interval=timedelta(seconds=0.2))


def register(
    account: Account, source: Path, *, project: str = PROJECT, version: str = "v1", domain: str = "development"
) -> Ran:
    """Run pyflyte register on the package `flows` in `source`."""
    scope = ("--project", project, "--domain", domain)
    return account.pyflyte("register", *scope, "--version", version, "flows", cwd=source)


def create_project(admin: Account, project: str) -> None:
    created = admin.airspace("projects", "create", project, "--name", project)
    assert created.code == 0, created.text
