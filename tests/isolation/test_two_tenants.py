"""Two tenants call everything at random on a real server: nothing that one is shown has a mark of the other.

Everything in the server has marks, each in one place alone (tenants.py). What a tenant itself put into a request may
come back to it; any other mark of the other tenant, in an answer, an error, a list, a page token, a stream, a file or a
line of the log about its calls, fails the walk. RANDOM_SEED and RANDOM_CALLS make another and a longer one.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import grpc
import httpx
import pytest
import yaml
from e2e_server import Server
from flyteidl.service import dataproxy_pb2
from google.protobuf.message_factory import GetMessageClass
from rpc_expected import AUDIT, DATA, EXECUTIONS, NEEDS, PLANS, PROJECT, PUBLIC, REGISTRY
from rpc_servers import METHODS, NATIVE, Answer, Caller
from tenants import CONTENT, NAME, Requests, Tenant, marks, of_tenant

from airspace.audit.v1 import audit_service_pb2 as audit_pb
from airspace.project.v1 import project_service_pb2 as project_pb
from airspace_client import AirspaceClient
from airspace_server.artifacts.local import LocalArtifactStore

SEED = os.environ.get("RANDOM_SEED", "airspace")
CALLS = int(os.environ.get("RANDOM_CALLS", "3000"))
ROLES = ("admin", "contributor", "viewer", "operator")
STREAM_SECONDS = 0.3
RECORDS = (f"{AUDIT}/ListRecords", f"{AUDIT}/ExportRecords")


@dataclass
class Walk:
    """The server, both tenants, and what was sent and seen."""

    server: Server
    tenants: tuple[Tenant, Tenant]
    requests: Requests
    chance: Random
    http: httpx.Client
    sent: dict[str, tuple[str, frozenset[bytes]]] = field(default_factory=dict)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    shown: set[bytes] = field(default_factory=set)

    def call(self, tenant: Tenant, role: str, path: str, request: Any, story: str) -> Answer:
        """Make a call, and check that nothing in its answer is the other tenant's."""
        id_ = f"walk-{len(self.sent):07d}"
        sent = marks(request.SerializeToString())
        self.sent[id_] = (tenant.letter, sent)
        answer = _called(tenant.accounts[role], path, request, id_)
        messages = map(_without_who_tried, answer.messages) if path in RECORDS else answer.messages
        seen = b"\0".join((answer.text.encode(), *answer.wire[2:], *messages))
        self.check(tenant, sent, seen, f"{story} {role} {path}\n{request}\n{answer}")
        self.outcomes[path, answer.reason] += 1
        return answer

    def check(self, tenant: Tenant, sent: frozenset[bytes], seen: bytes, story: str) -> None:
        """Fail where something that a tenant is shown has a mark of the other one that it did not send itself."""
        found = marks(seen)
        self.shown |= of_tenant(found, tenant.letter)
        leaked = of_tenant(found, "ab"["ab".index(tenant.letter) - 1]) - sent
        assert not leaked, f"{leaked} shown to tenant {tenant.letter} with RANDOM_SEED={SEED}: {story}"


def _called(caller: Caller, path: str, request: Any, id_: str) -> Answer:
    if not METHODS[path].server_streaming:
        return caller(path, request, request_id=id_)
    metadata = (("authorization", f"Bearer {caller.token}"), ("x-request-id", id_))
    stream = caller.channel.unary_stream(path)(request.SerializeToString(), metadata=metadata, timeout=STREAM_SECONDS)
    messages: list[bytes] = []
    try:
        messages.extend(stream)
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
            return caller(path, request, request_id=id_)  # the refusal, with its status
    return Answer(grpc.StatusCode.OK, "", None, id_, tuple(messages))


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    server = Server(tmp_path_factory.mktemp("walk") / "data")
    chance = Random(SEED)
    store = LocalArtifactStore(server.data.absolute() / "artifacts")
    requests = Requests(chance, SimpleNamespace(parts=SimpleNamespace(artifacts=store)))
    tenants = (Tenant("a", chance), Tenant("b", chance))
    options = [("grpc.enable_retries", 0)]
    with (
        grpc.insecure_channel(server.grpc, options=options) as channel,
        AirspaceClient.from_config(server.client_file("admin")) as admin,
        httpx.Client(trust_env=False) as http,
    ):
        made = Walk(server, tenants, requests, chance, http)
        token_url = yaml.safe_load(server.client_file("admin").read_text())["admin"]["tokenUrl"]
        for tenant in tenants:
            labels = {"team": tenant.mark(CONTENT)}
            description = tenant.mark(CONTENT)
            admin.projects.create(tenant.project, name=tenant.mark(NAME), description=description, labels=labels)
            for role in ROLES:
                account = admin.access.create_service_account(tenant.mark(NAME))
                member = f"service-account:{account.name}"
                admin.access.create_binding(member, role, project=tenant.project, domain="*")
                form = {"grant_type": "client_credentials"}
                token = http.post(token_url, data=form, auth=(account.name, account.secret)).raise_for_status().json()
                tenant.accounts[role] = Caller(channel, token["access_token"])
            for path in (
                f"{REGISTRY}/RegisterTask",
                f"{REGISTRY}/RegisterWorkflow",
                f"{PLANS}/RegisterLaunchPlan",
                f"{PLANS}/ActivateLaunchPlan",
                f"{EXECUTIONS}/LaunchExecution",
            ):
                request = requests.make(path, tenant, tenant)
                if path.startswith(EXECUTIONS):
                    request.name = tenant.thing
                for kind in {"task", "workflow", "launch_plan"} & set(request.DESCRIPTOR.fields_by_name):
                    if hasattr(getattr(request, kind), "version"):
                        getattr(request, kind).version = "v1"
                answer = made.call(tenant, "admin", path, request, "set-up")
                assert not answer.status, answer
        yield made
        if server.process.poll() is None:
            server.stop()


def take(walk: Walk, path: str, story: str) -> None:
    """Take one step: somebody calls something about what is its own, the other's, or a mixture of both."""
    tenant, other = walk.chance.sample(walk.tenants, 2)
    role = walk.chance.choice(ROLES)
    if story == "mixed":
        request = walk.requests.mixed(path, tenant, other)
    else:
        request = walk.requests.make(path, tenant, tenant if story == "own" else other)
    answer = walk.call(tenant, role, path, request, story)
    if story == "other's" and path in NEEDS:
        assert answer.status, f"{path} of the other tenant was let in with RANDOM_SEED={SEED}\n{request}"
    if not answer.status:
        _follow(walk, tenant, other, path, answer, story)


def _follow(walk: Walk, tenant: Tenant, other: Tenant, path: str, answer: Answer, story: str) -> None:
    """Use what an answer gives: page tokens, signed URLs; and take back what would end the walk."""
    if path.endswith(("/ArchiveProject", "/UpdateProject")):
        restore = project_pb.RestoreProjectRequest(project=tenant.project)
        walk.call(tenant, "admin", f"{PROJECT}/RestoreProject", restore, "set right")
    for message in answer.messages if path in NATIVE else ():
        response = GetMessageClass(METHODS[path].output_type).FromString(message)
        if getattr(response, "next_page_token", ""):
            tenant.page_tokens.setdefault(path, []).append(response.next_page_token)
    if path.startswith(DATA):
        response = GetMessageClass(METHODS[path].output_type).FromString(answer.messages[0])
        if isinstance(response, dataproxy_pb2.GetDataResponse | dataproxy_pb2.CreateDownloadLinkResponse):
            urls = response.pre_signed_urls.signed_url
        else:
            urls = [response.signed_url]
        for url in urls:
            _use(walk, tenant, other, url, upload=isinstance(response, dataproxy_pb2.CreateUploadLocationResponse))


def _without_who_tried(message: bytes) -> bytes:
    """Take out of audit records who was refused: whoever has tried to get in is named to those who live there."""
    response = audit_pb.ListRecordsResponse.FromString(message)  # an exported record has the same place in its answer
    for record in response.records:
        if record.kind == audit_pb.RECORD_KIND_DENIAL:
            record.principal = record.request_id = ""
    return response.SerializeToString()


def _use(walk: Walk, tenant: Tenant, other: Tenant, url: str, *, upload: bool) -> None:
    """Use a signed URL, and try the same one on the other tenant's files."""
    if upload:
        walk.http.put(url, content=tenant.mark(CONTENT).encode())
    stolen = url.replace(tenant.project, other.project)
    for target in (url, stolen):
        got = walk.http.get(target)
        sent = marks(target.encode())
        walk.check(tenant, sent, got.content + str(dict(got.headers)).encode(), f"GET {target}")
        assert target == url or got.status_code == 403


def test_nothing_that_a_tenant_is_shown_is_the_other_ones(walk: Walk):
    paths = sorted(METHODS)
    for path in paths:
        take(walk, path, "other's")
    for _ in range(CALLS):
        take(walk, walk.chance.choice(paths), walk.chance.choices(("own", "other's", "mixed"), (55, 25, 20))[0])

    let_in = {path for path, reason in walk.outcomes if not reason}
    refused = {path for path, reason in walk.outcomes if reason == "PERMISSION_MISSING"}
    everywhere = {path for path, needs in NEEDS.items() if any(where == "everywhere" for _, where in needs)}
    # A walk in which nothing happens would prove nothing.
    assert set(NEEDS) <= refused, f"never refused: {sorted(set(NEEDS) - refused)}"
    assert not everywhere & let_in
    assert len(let_in) > 40, sorted(let_in)
    assert let_in >= PUBLIC
    assert sum(chr(mark[3]) == CONTENT for mark in walk.shown) > 20


def test_a_mark_that_is_shown_is_noticed(walk: Walk):
    """An administrator of both sees both: what the walk looks for is there to be found."""
    with AirspaceClient.from_config(walk.server.client_file("admin")) as admin:
        both = "".join(f"{project.id}{project.description}" for project in admin.projects.list()).encode()
    first, second = walk.tenants
    assert of_tenant(marks(both), "a")
    assert of_tenant(marks(both), "b")
    for tenant in (first, second):
        with pytest.raises(AssertionError, match="shown to tenant"):
            walk.check(tenant, frozenset(), both, "on purpose")


def test_no_line_of_the_log_about_a_tenants_call_has_a_mark_of_the_other(walk: Walk):
    """The last test of the walk: it ends the server, so that every line is written."""
    assert walk.server.stop() == 0
    lines = [line for line in Path(walk.server.log).read_bytes().splitlines() if line.startswith(b"{")]
    about = Counter()
    for line in lines:
        found = marks(line)
        assert not {mark for mark in found if chr(mark[3]) == CONTENT}, line
        letter, sent = walk.sent.get(json.loads(line).get("request_id", ""), ("", frozenset()))
        if letter:
            other = "ab"["ab".index(letter) - 1]
            assert of_tenant(found, other) <= sent, line
        else:
            # What the worker says of an execution is one tenant's; what an administrator did at set-up is too.
            assert not (of_tenant(found, "a") and of_tenant(found, "b")), line
        about[letter] += 1
    assert about["a"] + about["b"] >= len(walk.sent)
