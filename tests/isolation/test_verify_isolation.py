"""`airspace verify-isolation` finds nothing in a server as it is, and whatever hole is made in it."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from deployment_processes import BIN, READY, Deployment, Process, environment

from airspace_client import AirspaceClient
from airspace_client._auth import ClientCredentials
from airspace_client._channel import open_channel
from airspace_client._config import read_config
from airspace_client.isolation import expected, verify

HOLED = Path(__file__).with_name("holed_server.py")
REFUSED, LET_IN = "what must be refused is", "what may be done is not refused"
ALIKE, SHOWN = "what is there looks like what is not", "nothing of the other project is shown"
AS_LONG = "what is there is not refused later than what is not"
SIGNED, KNOWN = "signed URLs hold for one file and one use", "every RPC is known"


def verified(data: Path, status: int) -> dict[str, Any]:
    """Run the command and return its report."""
    config = str(data / "clients" / "admin.yaml")
    command = [BIN / "airspace", "--config", config, "verify-isolation", "-o", "json"]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment({}), timeout=300, check=False)
    assert ran.returncode == status, ran.stdout[-2000:] + ran.stderr[-2000:]
    return json.loads(ran.stdout)


def faults(report: dict[str, Any]) -> dict[str, set[str]]:
    return {check["name"]: {fault["rpc"] for fault in check["faults"]} for check in report["checks"] if check["faults"]}


@contextmanager
def holed(hole: str, folder: Path) -> Iterator[Path]:
    """Serve with a hole."""
    settings = {"data": str(folder / "data"), "grpc_port": "0", "http_port": "0", "execution_port": "0"}
    command = (str(HOLED), hole, "serve")
    process = Process(command, settings, folder / "log", program=Path(sys.executable))
    process.start(READY["admin"])
    try:
        yield folder / "data"
    finally:
        process.discard()


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Admin and execution apart."""
    deployment = Deployment(tmp_path_factory.mktemp("verified"))
    try:
        deployment.start("admin", "execution")
        yield deployment
    finally:
        deployment.discard()


def test_a_server_as_it_is_has_no_fault_and_keeps_nothing_active(split: Deployment):
    report = verified(split.data, 0)
    assert faults(report) == {}
    cells = {check["name"]: check["cells"] for check in report["checks"]}
    assert cells[KNOWN] > 110
    assert cells[REFUSED] > 3_000
    assert cells[LET_IN] > 1_000
    assert cells[SHOWN] > 4_000
    assert len(report["timings"]) == 3
    with AirspaceClient.from_config(split.data / "clients" / "admin.yaml") as admin:
        assert [project.id for project in admin.projects.list()] == []
        made = [account for account in admin.access.list_service_accounts() if account.name.startswith("verify-")]
        assert made
        assert all(account.disabled for account in made)
        assert not [each for each in admin.access.list_bindings() if each.project.startswith("verify-")]


@pytest.mark.parametrize(
    ("hole", "check"),
    [
        ("unguarded", REFUSED),
        ("walled", LET_IN),
        ("telling", ALIKE),
        ("lingering", AS_LONG),
        ("unfiltered", SHOWN),
        ("unsigned", SIGNED),
    ],
)
def test_a_hole_is_found(hole: str, check: str, tmp_path: Path):
    with holed(hole, tmp_path) as data:
        found = faults(verified(data, 1))
    assert check in found
    if hole == "lingering":
        assert len(found[AS_LONG]) == 3
    if hole in ("unguarded", "walled"):
        assert found[check] == {"/airspace.registry.v1.RegistryService/GetTask"}


def test_an_rpc_that_nobody_has_published_a_rule_for_is_found(split: Deployment, monkeypatch: pytest.MonkeyPatch):
    unknown = "/airspace.audit.v1.AuditService/ListRecords"
    monkeypatch.setattr(verify, "rules", _without(unknown))
    config = read_config(split.data / "clients" / "admin.yaml")
    assert isinstance(config.credentials, ClientCredentials)
    with (
        AirspaceClient.connect(config.target, credentials=config.credentials) as admin,
        open_channel(config.target, tls=False) as channel,
    ):
        report = verify.Verification(admin, channel, config.credentials).run()
    assert [(fault.check, fault.rpc) for fault in report.faults] == [(KNOWN, unknown)]


def _without(path: str) -> Callable[[], dict[str, expected.Rule]]:
    return lambda: {known: rule for known, rule in expected.rules().items() if known != path}
