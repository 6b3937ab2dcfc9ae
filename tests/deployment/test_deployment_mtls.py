"""Certificates of clients, with real processes: between them, and as who calls without a token."""

import datetime
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from deployment_processes import Deployment, Ended, Process, Wire, free_ports, login, until
from deployment_tls import CLIENT, SERVER, THIS_MACHINE, Authority, Issued
from flyte_samples import double, task_spec
from flyteidl.admin import execution_pb2
from flyteidl.core import identifier_pb2
from wing_doors import DEV, PROD, flyte_id, integers, moved, register_task, scope_message

from airspace.access.v1 import access_service_pb2 as access_pb
from airspace.audit.v1 import audit_service_pb2 as audit_pb
from airspace.execution.v1 import execution_service_pb2 as pb
from airspace.project.v1 import project_service_pb2 as project_v1
from airspace.registry.v1 import registry_service_pb2 as registry_pb
from airspace.type.v1 import identifiers_pb2
from airspace_client import TLS, AirspaceClient, PermissionDenied
from airspace_server.core.scope import EntityId, Scope

ADMIN = "/flyteidl.service.AdminService"
EXECUTIONS = "/airspace.execution.v1.ExecutionService"
PROJECTS = "/airspace.project.v1.ProjectService"
ACCESS = "/airspace.access.v1.AccessService"
GET = f"{PROJECTS}/GetProject"
LIST = f"{EXECUTIONS}/ListExecutions"
TASK = EntityId(DEV, double.name, "v1")
CI = x509.UniformResourceIdentifier("spiffe://example.org/ci")
RUNNER = x509.DNSName("runner.example.org")
ACCOUNTS = "URI:spiffe://example.org/ci=ci, DNS:runner.example.org=runner"


@dataclass
class Office:
    """An authority for servers, one for clients, and settings that use both."""

    folder: Path
    servers: Authority = field(default_factory=Authority)
    clients: Authority = field(default_factory=Authority)

    def settings(self) -> dict[str, str]:
        certificate, key = self.servers.issue(*THIS_MACHINE, usage=(SERVER,)).write(self.folder, "server")
        own, own_key = self.clients.issue(x509.DNSName("admin.internal")).write(self.folder, "forwarding")
        (self.folder / "servers.pem").write_bytes(self.servers.certificate)
        (self.folder / "clients.pem").write_bytes(self.clients.certificate)
        return {
            "tls_certificate": certificate,
            "tls_key": key,
            "tls_roots": str(self.folder / "servers.pem"),
            "tls_client_roots": str(self.folder / "clients.pem"),
            "tls_client_accounts": ACCOUNTS,
            "tls_client_certificate": own,
            "tls_client_key": own_key,
        }

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.servers.certificate.decode())

    def wire(self, target: str, shown: Issued | None = None, token: str = "") -> Wire:
        identity = (shown.certificate, shown.key) if shown else None
        return Wire(target, token, roots=self.servers.certificate, identity=identity)


@dataclass
class Mutual:
    """A deployment whose execution listener and one of whose admin listeners ask for certificates."""

    office: Office
    deployment: Deployment
    mtls: str
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def asking(self) -> tuple[str, str]:
        """The listeners that ask."""
        return self.mtls, self.deployment.execution

    def wire(self, target: str, shown: Issued | None = None, account: str = "") -> Wire:
        return self.office.wire(target, shown, self.tokens[account] if account else "")


@pytest.fixture(scope="module")
def mutual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mutual]:
    folder = tmp_path_factory.mktemp("mtls")
    office = Office(folder)
    (port,) = free_ports(1)
    deployment = Deployment(folder, mtls_port=str(port), slots="1", **office.settings())
    made = Mutual(office, deployment, f"127.0.0.1:{port}")
    try:
        deployment.start("admin", "execution")
        for account in ("admin", "developer"):
            made.tokens[account] = deployment.token(account, office.context())
        with made.wire(deployment.admin, account="admin") as admin:
            begin(admin)
        yield made
        assert [deployment.stop(name) for name in ("admin", "execution")] == [0, 0]
    finally:
        deployment.discard()


def begin(admin: Wire) -> None:
    """Make the accounts of the certificates, of which one may work in development, and something to work with."""
    created = project_v1.CreateProjectRequest(project="vision")
    admin.call(f"{PROJECTS}/CreateProject", created, project_v1.CreateProjectResponse)
    for name, role in (("ci", "contributor"), ("runner", "viewer")):
        account = access_pb.CreateServiceAccountRequest(name=name)
        admin.call(f"{ACCESS}/CreateServiceAccount", account, access_pb.CreateServiceAccountResponse)
        pattern = identifiers_pb2.ScopePattern(project="vision", domain="development")
        binding = access_pb.CreateBindingRequest(member=f"service-account:{name}", role=role, pattern=pattern)
        admin.call(f"{ACCESS}/CreateBinding", binding, access_pb.CreateBindingResponse)
    spec = moved(task_spec(double), DEV, "v1")
    register = "/airspace.registry.v1.RegistryService/RegisterTask"
    admin.call(register, register_task(TASK, spec), registry_pb.RegisterTaskResponse)


VISION = project_v1.GetProjectRequest(project="vision")


def listing(scope: Scope = DEV) -> pb.ListExecutionsRequest:
    return pb.ListExecutionsRequest(scope=scope_message(scope))


def launching() -> execution_pb2.ExecutionCreateRequest:
    request = execution_pb2.ExecutionCreateRequest(project="vision", domain="development", inputs=integers(x=1))
    request.spec.launch_plan.CopyFrom(flyte_id(TASK, identifier_pb2.TASK))
    return request


def reason(answer: bytes | Ended) -> str:
    """Why a call was refused, "" when it was not, and "NO CONNECTION" when there was nobody to refuse it."""
    if isinstance(answer, bytes):
        return ""
    return answer.info.reason if answer.details else "NO CONNECTION"


def test_a_listed_certificate_alone_calls_as_its_account_on_every_way(mutual: Mutual):
    shown = mutual.office.clients.issue(CI)
    with mutual.wire(mutual.mtls, shown) as here, mutual.wire(mutual.deployment.execution, shown) as direct:
        here.call(GET, VISION, project_v1.GetProjectResponse)  # answered there
        until(lambda: not reason(direct.raw(LIST, listing())))  # the execution process has heard of the account
        for wire in (here, direct):  # forwarded, and at the execution listener itself
            assert reason(wire.raw(LIST, listing(PROD))) == "PERMISSION_MISSING"
            launched = wire.call(f"{ADMIN}/CreateExecution", launching(), execution_pb2.ExecutionCreateResponse)
            name = identifiers_pb2.ExecutionId(scope=scope_message(DEV), name=launched.id.name)
            got = wire.call(
                f"{EXECUTIONS}/GetExecution", pb.GetExecutionRequest(execution=name), pb.GetExecutionResponse
            )
            assert got.execution.principal == "service-account:ci"
            watched = wire.stream(f"{EXECUTIONS}/WatchExecution", pb.WatchExecutionRequest(execution=name))
            assert pb.WatchExecutionResponse.FromString(next(watched)).sequence == 1
            watched.cancel()
    with mutual.wire(mutual.mtls, mutual.office.clients.issue(RUNNER)) as runner:
        runner.call(LIST, listing(), pb.ListExecutionsResponse)
        assert reason(runner.raw(f"{ADMIN}/CreateExecution", launching())) == "PERMISSION_MISSING"


def test_our_client_needs_nothing_but_its_certificate(mutual: Mutual):
    ci = mutual.office.clients.issue(CI)
    shown = TLS(ca=mutual.office.servers.certificate, certificate=ci.certificate, key=ci.key)
    with AirspaceClient.connect(mutual.mtls, tls=shown) as client:
        assert [project.id for project in client.projects.list()] == ["vision"]
        list(client.executions.list("vision", "development"))  # which the admin process forwards
        with pytest.raises(PermissionDenied):
            list(client.executions.list("vision", "production"))


def test_a_certificate_that_is_not_listed_connects_and_authenticates_nobody(mutual: Mutual):
    issue = mutual.office.clients.issue
    strangers = {
        "not listed": issue(x509.UniformResourceIdentifier("spiffe://example.org/cd")),
        "listed as another kind": issue(x509.UniformResourceIdentifier("runner.example.org")),
        "listed in its subject": issue(subject="runner.example.org"),
        "the admin process's own": issue(x509.DNSName("admin.internal")),
        "of two accounts": issue(CI, RUNNER),
    }
    with mutual.wire(mutual.deployment.admin) as nobody:
        expected = {method: nobody.raw(method, request) for method, request in ((GET, VISION), (LIST, listing()))}
    assert {reason(answer) for answer in expected.values()} == {"TOKEN_MISSING"}
    for what, shown in strangers.items():
        with mutual.wire(mutual.mtls, shown) as here, mutual.wire(mutual.deployment.execution, shown) as direct:
            assert here.raw(GET, VISION) == expected[GET], what
            assert here.raw(LIST, listing()) == expected[LIST], what
            assert direct.raw(LIST, listing()) == expected[LIST], what
        with mutual.wire(mutual.mtls, shown, "developer") as wire:  # a token counts there as everywhere
            wire.call(LIST, listing(), pb.ListExecutionsResponse)


def test_who_shows_no_certificate_of_the_authority_cannot_connect_even_with_a_token(mutual: Mutual):
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=1)
    for shown in (
        None,
        Authority().issue(CI),  # of the same name and another key
        mutual.office.servers.issue(CI),
        mutual.office.clients.issue(CI, expires=past),
        mutual.office.clients.issue(CI, usage=(SERVER,)),
    ):
        for target in mutual.asking:
            with mutual.wire(target, shown, "admin") as wire:
                assert reason(wire.raw(LIST, listing(), timeout=3)) == "NO CONNECTION"


def test_the_ordinary_listener_asks_nobody_for_a_certificate_and_takes_none(mutual: Mutual):
    with AirspaceClient.from_config(mutual.deployment.data / "clients" / "admin.yaml") as client:
        assert [project.id for project in client.projects.list()] == ["vision"]
        list(client.executions.list("vision", "development"))  # which the admin process forwards
    with mutual.wire(mutual.deployment.admin, mutual.office.clients.issue(CI)) as wire:
        assert reason(wire.raw(GET, VISION)) == "TOKEN_MISSING"
        assert reason(wire.raw(LIST, listing())) == "TOKEN_MISSING"


def test_a_token_beside_a_certificate_is_the_caller_or_nobody_is(mutual: Mutual):
    ci, runner = mutual.office.clients.issue(CI), mutual.office.clients.issue(RUNNER)
    for target in mutual.asking:
        with mutual.wire(target, runner, "admin") as wire:
            until(lambda wire=wire: not reason(wire.raw(LIST, listing(PROD))))
        with mutual.wire(target, ci, "developer") as wire:
            launched = wire.call(f"{ADMIN}/CreateExecution", launching(), execution_pb2.ExecutionCreateResponse)
            name = identifiers_pb2.ExecutionId(scope=scope_message(DEV), name=launched.id.name)
            get = pb.GetExecutionRequest(execution=name)
            got = wire.call(f"{EXECUTIONS}/GetExecution", get, pb.GetExecutionResponse)
            assert got.execution.principal == "service-account:developer"
        for bad in ("no.valid.token", mutual.tokens["developer"] + "x"):
            with mutual.office.wire(target, ci, bad) as wire:
                assert reason(wire.raw(LIST, listing())) == "TOKEN_INVALID"


def test_no_header_makes_the_forwarding_certificate_or_anybody_elses_the_caller(mutual: Mutual):
    ci = mutual.office.clients.issue(CI)
    for target, shown in ((mutual.deployment.admin, None), *((target, ci) for target in mutual.asking)):
        certificate, key = (shown.certificate, shown.key) if shown else (None, None)
        credentials = grpc.ssl_channel_credentials(mutual.office.servers.certificate, key, certificate)
        with grpc.secure_channel(target, credentials) as channel:
            for sent in (
                [("authorization", "")],
                [("authorization", " ")],
                [("authorization", "Bearer")],
                [("authorization", ""), ("x-forwarded-client-cert", "URI=spiffe://example.org/ci")],
            ):
                with pytest.raises(grpc.RpcError) as caught:
                    channel.unary_unary(LIST)(listing().SerializeToString(), metadata=sent, timeout=10)
                assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED, (target, sent)


def test_a_certificate_counts_no_longer_than_it_is_valid_on_connections_that_are_open_too(mutual: Mutual):
    expires = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=5)
    shown = mutual.office.clients.issue(CI, expires=expires)
    with mutual.wire(mutual.mtls, shown) as here, mutual.wire(mutual.deployment.execution, shown) as direct:
        for wire in (here, direct):
            wire.call(LIST, listing(), pb.ListExecutionsResponse)
        for wire in (here, direct):
            until(lambda wire=wire: reason(wire.raw(LIST, listing())) == "TOKEN_MISSING")
        assert reason(here.raw(GET, VISION)) == "TOKEN_MISSING"


def test_refusals_of_certificates_are_in_the_audit_and_changes_name_the_account(mutual: Mutual):
    method = "/airspace.registry.v1.RegistryService/RegisterTask"
    with mutual.wire(mutual.mtls, mutual.office.clients.issue(CI)) as ci:
        spec = moved(task_spec(double), DEV, "v2")
        ci.call(method, register_task(EntityId(DEV, TASK.name, "v2"), spec), registry_pb.RegisterTaskResponse)
    with mutual.wire(mutual.mtls, mutual.office.clients.issue(subject="x")) as stranger:
        assert reason(stranger.raw(LIST, listing(), request_id="a-stranger")) == "TOKEN_MISSING"
    audited = "/airspace.audit.v1.AuditService/ListRecords"
    with mutual.wire(mutual.deployment.admin, account="admin") as admin:

        def records(project: str) -> list[audit_pb.Record]:
            wanted = audit_pb.RecordFilter(pattern=identifiers_pb2.ScopePattern(project=project, domain="*"))
            request = audit_pb.ListRecordsRequest(filter=wanted)
            return list(admin.call(audited, request, audit_pb.ListRecordsResponse).records)

        until(lambda: [each for each in records("*") if each.request_id == "a-stranger"])
        changes = [each.principal for each in records("vision") if each.method == method]
        assert "service-account:ci" in changes


def test_an_account_that_is_disabled_is_out_with_its_certificate_in_every_process(mutual: Mutual):
    shown = mutual.office.clients.issue(RUNNER)
    with mutual.wire(mutual.mtls, shown) as here, mutual.wire(mutual.deployment.execution, shown) as direct:
        until(lambda: not reason(direct.raw(LIST, listing())))
        with mutual.wire(mutual.deployment.admin, account="admin") as admin:
            disable = access_pb.DisableServiceAccountRequest(name="runner")
            admin.call(f"{ACCESS}/DisableServiceAccount", disable, access_pb.DisableServiceAccountResponse)
        assert reason(here.raw(GET, VISION)) == "ACCOUNT_DISABLED"
        assert reason(here.raw(LIST, listing())) == "ACCOUNT_DISABLED"
        until(lambda: reason(direct.raw(LIST, listing())) == "ACCOUNT_DISABLED", 3)


def test_everything_in_one_process_has_the_port_for_certificates_too(tmp_path: Path):
    office = Office(tmp_path)
    ports = {"grpc_port": "0", "http_port": "0", "mtls_port": "0"}
    process = Process(("serve",), {"data": str(tmp_path / "data"), **ports, **office.settings()}, tmp_path / "log")
    try:
        process.start("airspace ready")
        said = dict(word.split("=", 1) for word in process.lines[-1].split() if "=" in word)
        secret = (tmp_path / "data" / "clients" / "admin.secret").read_text()
        token = login(f"https://{said['http']}", "admin", secret, office.context())
        with office.wire(said["grpc"], token=token) as admin:
            begin(admin)
        with office.wire(said["mtls"], office.clients.issue(CI, usage=(CLIENT, SERVER))) as ci:
            ci.call(GET, VISION, project_v1.GetProjectResponse)
            ci.call(LIST, listing(), pb.ListExecutionsResponse)
        with office.wire(said["mtls"], token=token) as bare:
            assert reason(bare.raw(GET, VISION, timeout=3)) == "NO CONNECTION"
        assert process.stop() == 0
    finally:
        process.discard()
