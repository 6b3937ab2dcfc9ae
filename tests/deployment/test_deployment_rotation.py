"""Certificates that are replaced while a server runs: what counts for new connections, and what open ones see of it."""

import datetime
import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from deployment_processes import Deployment, free_ports, until
from deployment_tls import SERVER, THIS_MACHINE, Authority, Issued
from flyteidl.admin import execution_pb2
from test_deployment_mtls import (
    ADMIN,
    CI,
    EXECUTIONS,
    GET,
    LIST,
    RUNNER,
    VISION,
    Mutual,
    Office,
    begin,
    launching,
    listing,
    reason,
)
from wing_doors import DEV, scope_message

from airspace.execution.v1 import execution_service_pb2 as pb
from airspace.type.v1 import identifiers_pb2
from airspace_server import certificates
from airspace_server.certificates import LOOK_SECONDS, Watched
from airspace_server.settings import SettingsError


@pytest.fixture
def mutual(tmp_path: Path) -> Iterator[Mutual]:
    office = Office(tmp_path)
    (port,) = free_ports(1)
    deployment = Deployment(tmp_path, mtls_port=str(port), **office.settings())
    made = Mutual(office, deployment, f"127.0.0.1:{port}")
    try:
        deployment.start("admin", "execution")
        made.tokens["admin"] = deployment.token("admin", office.context())
        with made.wire(deployment.admin, account="admin") as admin:
            begin(admin)
        yield made
        assert [deployment.stop(name) for name in ("admin", "execution")] == [0, 0]
    finally:
        deployment.discard()


def connects(mutual: Mutual, servers: Authority, shown: Issued) -> dict[str, bool]:
    """Who lets a new client in that believes one authority, and shows a certificate where it is asked."""
    there = Office(mutual.office.folder, servers, mutual.office.clients)
    answers = {}
    for name, target in (
        ("admin", mutual.deployment.admin),
        ("mtls", mutual.mtls),
        ("execution", mutual.deployment.execution),
    ):
        with there.wire(target, None if name == "admin" else shown, mutual.tokens["admin"]) as wire:
            answers[name] = reason(wire.raw(LIST, listing(), timeout=3)) != "NO CONNECTION"
    with httpx.Client(trust_env=False, verify=there.context()) as client:
        try:
            answers["http"] = client.get(f"{mutual.deployment.http}/healthz").text == "ok"
        except httpx.ConnectError:
            answers["http"] = False
    return answers


EVERYWHERE = {"admin": True, "mtls": True, "execution": True, "http": True}
NOWHERE = dict.fromkeys(EVERYWHERE, False)


def logged(mutual: Mutual, process: str, text: str) -> bool:
    lines = (mutual.deployment.data.parent / f"{process}.log").read_text().splitlines()
    return any(text in json.loads(line)["message"] for line in lines if line.startswith("{"))


def test_a_new_server_certificate_counts_for_new_connections_and_open_ones_go_on(mutual: Mutual):
    office, shown = mutual.office, mutual.office.clients.issue(CI)
    new = Authority("the next one")
    assert connects(mutual, office.servers, shown) == EVERYWHERE
    assert connects(mutual, new, shown) == NOWHERE
    with mutual.wire(mutual.deployment.admin, account="admin") as wire:
        launched = wire.call(f"{ADMIN}/CreateExecution", launching(), execution_pb2.ExecutionCreateResponse)
        name = identifiers_pb2.ExecutionId(scope=scope_message(DEV), name=launched.id.name)
        watched = wire.stream(f"{EXECUTIONS}/WatchExecution", pb.WatchExecutionRequest(execution=name))
        next(watched)

        new.issue(*THIS_MACHINE, usage=(SERVER,)).write(office.folder, "server")
        (office.folder / "servers.pem").write_bytes(new.certificate)

        until(lambda: connects(mutual, new, shown) == EVERYWHERE)
        assert connects(mutual, office.servers, shown) == NOWHERE
        terminate = pb.TerminateExecutionRequest(execution=name)
        wire.call(f"{EXECUTIONS}/TerminateExecution", terminate, pb.TerminateExecutionResponse)
        seen = pb.WatchExecutionResponse.FromString(next(watched))
        assert seen.execution.phase == pb.EXECUTION_PHASE_ABORTING
        watched.cancel()


def test_the_admin_process_forwards_with_what_its_files_hold_now(mutual: Mutual):
    office = mutual.office
    servers, clients = Authority("servers"), Authority("clients")
    servers.issue(*THIS_MACHINE, usage=(SERVER,)).write(office.folder, "server")
    clients.issue().write(office.folder, "forwarding")
    (office.folder / "servers.pem").write_bytes(servers.certificate)
    (office.folder / "clients.pem").write_bytes(clients.certificate)
    assert mutual.deployment.stop("execution") == 0
    mutual.deployment.start("execution")  # which knows nothing of the old files

    there = Office(office.folder, servers, clients)
    until(lambda: connects(mutual, servers, clients.issue(CI)) == EVERYWHERE)
    with there.wire(mutual.deployment.admin, token=mutual.tokens["admin"]) as wire:
        until(lambda: not reason(wire.raw(LIST, listing())))


def test_an_authority_of_clients_that_was_taken_away_lets_nobody_in_any_more(mutual: Mutual):
    office, new = mutual.office, Authority("clients")
    old_ci, new_ci = office.clients.issue(CI), new.issue(CI)
    (office.folder / "clients.pem").write_bytes(office.clients.certificate + new.certificate)
    until(lambda: connects(mutual, office.servers, new_ci) == EVERYWHERE)
    assert connects(mutual, office.servers, old_ci) == EVERYWHERE

    (office.folder / "clients.pem").write_bytes(new.certificate)
    asked_nobody = {"admin": True, "http": True, "mtls": False, "execution": False}
    until(lambda: connects(mutual, office.servers, old_ci) == asked_nobody)
    with mutual.wire(mutual.mtls, new_ci) as wire:
        assert not reason(wire.raw(GET, VISION))


def test_files_that_cannot_be_used_leave_the_old_ones_in_use_and_are_told_of(mutual: Mutual):
    office, shown = mutual.office, mutual.office.clients.issue(CI)
    new = Authority("the next one")
    issued = new.issue(*THIS_MACHINE, usage=(SERVER,))
    (office.folder / "server.pem").write_bytes(issued.certificate)  # and its key does not come yet
    (office.folder / "clients.pem").write_bytes(b"half a fi")

    def told() -> bool:
        assert connects(mutual, office.servers, shown) == EVERYWHERE
        return all(
            logged(mutual, process, text)
            for process in ("admin", "execution")
            for text in ("do not hold a certificate and its own key", "holds no certificates")
        )

    until(told)
    issued.write(office.folder, "server")
    (office.folder / "clients.pem").write_bytes(office.clients.certificate)
    (office.folder / "servers.pem").write_bytes(new.certificate)
    until(lambda: connects(mutual, new, shown) == EVERYWHERE)


def test_a_certificate_of_an_account_is_never_taken_for_forwarding(mutual: Mutual):
    mutual.office.clients.issue(RUNNER).write(mutual.office.folder, "forwarding")
    with mutual.wire(mutual.deployment.admin, account="admin") as wire:

        def told() -> bool:
            assert not reason(wire.raw(LIST, listing()))
            return logged(mutual, "admin", "must not have DNS:runner.example.org")

        until(told)


# --- what is looked at, and when


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def watched(path: Path, clock: Clock, reads: list[str]) -> Watched[str]:
    def read() -> str:
        try:
            content = path.read_text()
        except OSError as error:
            raise SettingsError(str(error)) from None
        reads.append(content)
        if "bad" in content:
            raise SettingsError(content)
        return content

    return Watched([path], read, clock)


def test_files_are_looked_at_once_a_second_and_read_when_they_changed(tmp_path: Path, clock: Clock):
    path, reads = tmp_path / "file", []
    path.write_text("one")
    content = watched(path, clock, reads)
    path.write_text("two!")
    assert content() == "one"
    clock.now += LOOK_SECONDS
    assert [content(), content()] == ["two!", "two!"]
    clock.now += LOOK_SECONDS
    assert content() == "two!"
    assert reads == ["one", "two!"]


def replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_text("two")
    other.rename(path)


def linked(path: Path) -> None:
    """As Kubernetes changes what a secret holds."""
    other = path.with_name("other")
    other.write_text("two")
    path.unlink()
    path.symlink_to(other)


@pytest.mark.parametrize("change", [replaced, linked])
def test_files_of_the_same_size_that_took_the_place_of_others_are_read(change: Callable, tmp_path: Path, clock: Clock):
    path = tmp_path / "file"
    path.write_text("one")
    content = watched(path, clock, [])
    change(path)
    clock.now += LOOK_SECONDS
    assert content() == "two"


def test_what_is_bad_or_gone_leaves_what_was_and_is_said_once(tmp_path: Path, clock: Clock, caplog):
    path, reads = tmp_path / "file", []
    path.write_text("one")
    content = watched(path, clock, reads)
    path.write_text("bad")
    for _ in range(3):
        clock.now += LOOK_SECONDS
        assert content() == "one"
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    path.unlink()
    clock.now += LOOK_SECONDS
    assert content() == "one"
    path.write_text("two")
    clock.now += LOOK_SECONDS
    assert content() == "two"


def test_a_certificate_of_tomorrow_counts_from_tomorrow_on(tmp_path: Path, clock: Clock, monkeypatch):
    """It is put there once, and nobody touches the file again."""
    authority = Authority()
    paths = [Path(path) for path in authority.issue(*THIS_MACHINE).write(tmp_path, "own")]
    content = Watched(paths, lambda: certificates.identity(*paths), clock)
    before = content()
    now = datetime.datetime.now(datetime.UTC)
    issued = authority.issue(*THIS_MACHINE)
    issued.write(tmp_path, "own")

    class Earlier(datetime.datetime):
        @classmethod
        def now(cls, tz=None):  # noqa: ARG003 -- as datetime has it
            return now - datetime.timedelta(days=1)

    with monkeypatch.context() as patch:
        patch.setattr(certificates, "datetime", Earlier)
        clock.now += LOOK_SECONDS
        assert content() == before
    clock.now += LOOK_SECONDS
    assert content().certificate == issued.certificate


def test_a_start_refuses_what_cannot_be_used(tmp_path: Path, clock: Clock):
    (tmp_path / "file").write_text("bad")
    with pytest.raises(SettingsError):
        watched(tmp_path / "file", clock, [])


def test_a_client_that_names_no_host_is_shown_the_certificate_too(tmp_path: Path):
    """Clients of an address, as 127.0.0.1, send no name for Python's callback to see."""
    authority = Authority()
    paths = [Path(path) for path in authority.issue(*THIS_MACHINE, usage=(SERVER,)).write(tmp_path, "own")]
    server_context = certificates.choosing(lambda: certificates.identity(*paths))
    client_context = ssl.create_default_context(cadata=authority.certificate.decode())
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    done: set[ssl.SSLObject] = set()
    for _ in range(10):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            done.add(side)
    assert done == {client, server}
