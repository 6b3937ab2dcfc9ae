"""TLS by two files: every listener speaks it, the client files know it, and nothing is said in plain text."""

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from deployment_processes import BIN, Deployment, Ended, Wire, environment
from deployment_tls import certificate

from airspace.execution.v1 import execution_service_pb2 as pb
from airspace.type.v1 import identifiers_pb2
from airspace_client import AirspaceClient

LIST = "/airspace.execution.v1.ExecutionService/ListExecutions"
SCOPE = identifiers_pb2.Scope(project="vision", domain="development")


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("tls")
    certificate(folder / "cert.pem", folder / "key.pem")
    files = {"tls_certificate": folder / "cert.pem", "tls_key": folder / "key.pem", "tls_roots": folder / "cert.pem"}
    deployment = Deployment(folder, **{name: str(path) for name, path in files.items()})
    try:
        deployment.start("admin", "execution")
        yield deployment
        assert [deployment.stop(name) for name in ("admin", "execution")] == [0, 0]
    finally:
        deployment.discard()


def test_the_written_client_file_is_all_that_a_client_needs(encrypted: Deployment):
    with AirspaceClient.from_config(encrypted.data / "clients" / "admin.yaml") as client:
        client.projects.create("vision")
        assert [project.id for project in client.projects.list()] == ["vision"]
        assert list(client.executions.list("vision", "development")) == []  # which the admin process forwards


def test_every_listener_speaks_tls_and_the_forwarded_call_does_too(encrypted: Deployment):
    roots = (encrypted.data.parent / "cert.pem").read_bytes()
    context = ssl.create_default_context(cadata=roots.decode())
    token = encrypted.token("admin", context)
    request = pb.ListExecutionsRequest(scope=SCOPE)
    for target in (encrypted.admin, encrypted.execution):
        with Wire(target, token, roots=roots) as wire:
            wire.call(LIST, request, pb.ListExecutionsResponse)
    with httpx.Client(trust_env=False, verify=context) as client:
        assert client.get(f"{encrypted.http}/healthz").text == "ok"


ASKING = """
from flytekit import task, workflow
from flytekit.configuration import Config
from flytekit.remote import FlyteRemote


@task
def seen() -> str:
    projects, _ = FlyteRemote(Config.auto()).client.list_projects_paginated(limit=10)
    return ",".join(project.id for project in projects)


@workflow
def asking() -> str:
    return seen()
"""


def test_pyflyte_speaks_tls_and_so_does_a_task_that_calls_back(encrypted: Deployment, tmp_path: Path):
    client_file = str(encrypted.data / "clients" / "admin.yaml")
    with AirspaceClient.from_config(client_file) as client:
        for project in ("asking", "unasked"):
            client.projects.create(project)
    (tmp_path / "asking.py").write_text(ASKING)
    command = ["run", "--remote", "-p", "asking", "-d", "development", "--wait", "--poll-interval", "1"]
    encrypted.start("worker")
    ran = subprocess.run(
        [BIN / "pyflyte", "--config", client_file, *command, "asking.py", "asking"],
        cwd=tmp_path,
        env=environment({}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert encrypted.stop("worker") == 0
    assert ran.returncode == 0, ran.stdout + ran.stderr
    with AirspaceClient.from_config(client_file) as client:
        (execution,) = client.executions.list("asking", "development")
        assert client.executions.handle("asking", "development", execution.name).outputs() == {"o0": "asking"}


def test_who_speaks_plain_text_or_trusts_another_authority_is_not_served(encrypted: Deployment):
    for target in (encrypted.admin, encrypted.execution):
        with Wire(target) as wire:
            answer = wire.raw(LIST, pb.ListExecutionsRequest(scope=SCOPE), timeout=5)
            assert isinstance(answer, Ended)
            assert answer.code is grpc.StatusCode.UNAVAILABLE
    with httpx.Client(trust_env=False) as client:
        with pytest.raises(httpx.HTTPError):
            client.get(encrypted.http.replace("https", "http") + "/healthz")
        with pytest.raises(httpx.ConnectError, match="certificate"):
            client.get(f"{encrypted.http}/healthz")
