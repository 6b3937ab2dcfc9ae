"""Bad requests to the real doors of a real server, from a caller who may do everything.

Whatever is sent, the answer says what is wrong by a reason, and by the field if it is one; it is never INTERNAL,
UNKNOWN or UNAVAILABLE, and a call that is refused has written nothing.
"""

import random
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from rpc_expected import ACCESS, ADMIN, EXECUTIONS, PLANS, PROJECT, REFERENCES, REGISTRY, SETTINGS
from rpc_mutations import NUL, Bad, flyte_mutations, native_mutations, scrambled
from rpc_requests import THING, VERSION, forward, request_for
from rpc_servers import FLYTE, METHODS, NATIVE, OURS, Airspace, Answer, Caller

from airspace.execution.v1 import execution_service_pb2 as execution_pb
from airspace_server.core.errors import CODES, Reason
from airspace_server.core.notifications import Channel, Event, Notice, Target
from airspace_server.core.scope import Scope
from airspace_server.storage.notifications import notify
from airspace_server.storage.tables import PromotionRow, TickRow, table

FAULTS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE}
OF_A_FIELD = {"INVALID_FIELD", "UNKNOWN_DOMAIN", "UNKNOWN_FIELD", "INVALID_PAGE_TOKEN", "INPUT_INVALID"}


@pytest.fixture(scope="module")
def admin(populated: Airspace) -> Iterator[Caller]:
    with populated.served() as caller:
        yield caller("admin")


def faults_of(server: Airspace, admin: Caller, path: str, bad: Iterable[Bad]) -> list[tuple]:
    """Send bad requests; return those whose answer is not what every answer must be."""
    wrong = []
    before = server.rows()
    for each in bad:
        answer = admin.begin(path, each.request)
        problem = problem_of(answer, each)
        after = server.rows()
        if answer.status and after != before:
            problem = f"refused, and yet it wrote {set(after.items()) - set(before.items())}"
        before = after
        if problem:
            wrong.append((each.label, problem, answer.code.name, answer.text[:200]))
    return wrong


def problem_of(answer: Answer, bad: Bad) -> str:
    if answer.code in FAULTS or (answer.code is not grpc.StatusCode.OK and not answer.status):
        return "no answer that says what is wrong"
    if not answer.status:
        return f"let in, {bad.field} unseen" if bad.field else ""
    if answer.info.domain != "airspace" or answer.reason not in Reason.__members__:
        return "no reason"
    if answer.reason in OF_A_FIELD and not (answer.fields and all(answer.fields)):
        return "no field"
    if bad.field and answer.reason != bad.reason:
        return f"not {bad.reason}"
    if bad.field and not any(field.startswith(bad.field.strip("*")) for field in answer.fields):
        return f"names {answer.fields}, not {bad.field}"
    return ""


@pytest.mark.parametrize("path", NATIVE)
def test_every_bad_value_of_every_field_is_refused_by_name(path: str, populated: Airspace, admin: Caller):
    request = request_for(path, OURS, populated)
    assert faults_of(populated, admin, path, native_mutations(request)) == []


def test_inputs_of_a_launch_are_refused_by_name(populated: Airspace, admin: Caller):
    path = f"{EXECUTIONS}/LaunchExecution"
    request = request_for(path, OURS, populated)
    request.inputs.update({"x": 1})
    assert faults_of(populated, admin, path, native_mutations(request)) == []


@pytest.mark.parametrize("path", FLYTE)
def test_every_bad_value_of_flytes_fields_is_answered(path: str, populated: Airspace, admin: Caller):
    request = request_for(path, OURS, populated)
    assert faults_of(populated, admin, path, flyte_mutations(request)) == []


SPECS = [
    *(f"{ADMIN}/{name}" for name in ("CreateTask", "CreateWorkflow", "CreateLaunchPlan", "CreateExecution")),
    f"{REGISTRY}/RegisterTask",
    f"{REGISTRY}/RegisterWorkflow",
    f"{PLANS}/RegisterLaunchPlan",
]


@pytest.mark.parametrize("path", SPECS)
def test_specs_that_nobody_would_write_are_answered(path: str, populated: Airspace, admin: Caller):
    def scrambles() -> Iterator[Bad]:
        for seed in range(100):
            chance = random.Random(zlib.crc32(f"{path} {seed}".encode()))
            request = request_for(path, OURS, populated)
            if path in NATIVE:
                body = request_for(f"{ADMIN}/{path.rpartition('/')[2].replace('Register', 'Create')}", OURS, populated)
                request.spec.Pack(scrambled(body.spec, chance))
            else:
                scrambled(request.spec, chance)
            yield Bad(f"seed {seed}", request)

    assert faults_of(populated, admin, path, scrambles()) == []


@pytest.mark.parametrize("path", SPECS[-3:])
def test_text_in_a_packed_spec_has_no_nul_either(path: str, populated: Airspace, admin: Caller):
    """The chain does not look into an Any: what is in there its door must check before a database does."""

    def packed() -> Iterator[Bad]:
        body = request_for(f"{ADMIN}/{path.rpartition('/')[2].replace('Register', 'Create')}", OURS, populated).spec
        for bad in flyte_mutations(body):
            if repr(NUL) in bad.label:
                request = request_for(path, OURS, populated)
                request.spec.Pack(bad.request)
                yield Bad(bad.label, request, "spec")

    assert faults_of(populated, admin, path, packed()) == []


@pytest.mark.parametrize("path", METHODS)
def test_bytes_that_are_no_message_are_refused(path: str, populated: Airspace, admin: Caller):
    assert admin.begin(path, b"\xff").reason == "MALFORMED_MESSAGE"
    # Some of these are a message of some methods: a good one of one field that they do not know.
    nearly = (
        b"\x0a\x05abc",
        b"\x0a\x02\xff\xfe" * 3,
        b"\0" * 99,
        b"\x0b\x0c",
        b"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
    )
    assert faults_of(populated, admin, path, [Bad(repr(each[:9]), each) for each in nearly]) == []


# --- places that do not exist


UNSCOPED = {f"{PROJECT}/CreateProject", f"{ADMIN}/RegisterProject"} | {
    *(f"{ACCESS}/{name}" for name in ("CreateBinding", "DeleteBinding")),
    *(
        f"{SETTINGS}/{name}"
        for name in ("GetSettings", "UpdateRunAs", "UpdateQuotas", "UpdateGates", "UpdateNotifications")
    ),
    f"{EXECUTIONS}/GetQuotaUsage",
}
"""What is about a project that need not exist."""


def names_a_place(path: str, server: Airspace) -> bool:
    somewhere, elsewhere = request_for(path, OURS, server), request_for(path, Scope("no-such", "development"), server)
    return bool(somewhere != elsewhere)


@pytest.mark.parametrize("path", METHODS)
def test_an_unknown_project_has_nothing_in_it_and_gets_nothing(path: str, populated: Airspace, admin: Caller):
    if not names_a_place(path, populated) or path in UNSCOPED:
        return
    before = populated.rows()
    answer = admin.begin(path, forward(request_for(path, Scope("no-such-project", "development"), populated)))
    assert populated.rows() == before
    if answer.status:
        expected = {Reason.NOT_FOUND, Reason.PROJECT_MISSING, Reason.NOT_IMPLEMENTED, Reason.NO_ACTIVE_VERSION}
        expected.add(Reason.WORKFLOW_INVALID)  # its tasks are not there
        assert answer.reason in expected
    elif "List" in path or "Export" in path:
        assert not b"".join(answer.messages)
    else:
        assert path.endswith(("CreateDownloadLocation", "VerifyChains", "TestAccess"))  # about what may come


@pytest.mark.parametrize("path", METHODS)
def test_an_unknown_domain_is_said_to_be_one(path: str, populated: Airspace, admin: Caller):
    known, unknown = (request_for(path, Scope("ours", domain), populated) for domain in ("staging", "no-such-domain"))
    if known == unknown:
        return
    before = populated.rows()
    answer = admin.begin(path, unknown)
    assert populated.rows() == before
    if answer.reason == "NOT_IMPLEMENTED":
        return
    assert answer.reason == "UNKNOWN_DOMAIN"
    assert answer.info.metadata["domain"] == "no-such-domain"
    assert answer.info.metadata["domains"] == "development,staging,production"
    assert all(answer.fields)


# --- pages


LISTS = {path: method for path, method in NATIVE.items() if "page_token" in method.input_type.fields_by_name}


@pytest.fixture(scope="module")
def tokens(populated: Airspace, admin: Caller) -> dict[str, str]:
    """A page token of every list that can be made to have two pages."""
    found = {}
    create = f"{PROJECT}/CreateProject"
    for name in ("page-one", "page-two"):
        admin(create, request_for(create, Scope(name, "development"), populated))
    for due_at in (1, 2):
        ticked(populated, due_at)
        told(populated)
    for name in ("first", "second"):
        populated.account(name, ("viewer", "*/*"))
        for path in (f"{REGISTRY}/RegisterTask", f"{REGISTRY}/RegisterWorkflow", f"{PLANS}/RegisterLaunchPlan"):
            request = request_for(path, OURS, populated)
            (field,) = {"task", "workflow", "launch_plan"} & {each.name for each in request.DESCRIPTOR.fields}
            getattr(request, field).version = name
            assert not admin(path, request).status
        activate = request_for(f"{PLANS}/ActivateLaunchPlan", OURS, populated)
        activate.launch_plan.version = name
        assert not admin(f"{PLANS}/ActivateLaunchPlan", activate).status
        promoted_here(populated, name)
        export = request_for(f"{REFERENCES}/CreateExport", OURS, populated)
        export.consumer = name
        assert not admin(f"{REFERENCES}/CreateExport", export).status
        launch = request_for(f"{EXECUTIONS}/LaunchExecution", OURS, populated)
        assert not admin(f"{EXECUTIONS}/LaunchExecution", launch).status
    for path, method in LISTS.items():
        request = request_for(path, OURS, populated)
        request.page_size = 1
        answer = admin(path, request)
        response = response_of(method, answer)
        if response.next_page_token:
            found[path] = response.next_page_token
    return found


def promoted_here(populated: Airspace, name: str) -> None:
    """Keep a promotion into the first domain, where none can go."""
    texts = dict.fromkeys(("requester", "comment", "decider", "decision_comment"), "x")
    row = {"name": name, "source_domain": "x", "kind": "WORKFLOW", "entity": name, "version": "v1", "state": "PROMOTED"}
    times = {"created_at": 1, "expires_at": 2, "decided_at": 1, "activate": False, "overridden": False}
    lists = dict.fromkeys(("gates", "entries", "artifacts"), "[]")
    with populated.parts.database.write(OURS) as tx:
        tx.insert(table(PromotionRow), {**row, **texts, **times, **lists})


def ticked(populated: Airspace, due_at: int) -> None:
    """Keep a tick of the launch plan's schedule."""
    row = {"name": THING, "version": VERSION, "outcome": "FIRED", "reason": "", "execution": "x", "at": 1}
    with populated.parts.database.write(OURS) as tx:
        tx.insert(table(TickRow), {**row, "due_at": due_at, "last_due_at": due_at})


def told(populated: Airspace) -> None:
    """Keep a message about the scope."""
    with populated.parts.database.write(OURS) as tx:
        target = Target(Channel.EMAIL, "ops@example.com")
        notify(tx, Notice(Event.EXECUTION_FAILED, "executions/x", "x has failed", {}, 1), [target])


def response_of(method: MethodDescriptor, answer: Answer) -> Any:
    return GetMessageClass(method.output_type).FromString(answer.messages[0])


@pytest.mark.parametrize("path", LISTS)
def test_a_page_token_is_good_for_its_own_list_alone(path: str, populated: Airspace, admin: Caller, tokens):
    assert len(tokens) == len(LISTS) - 1  # the execution here has one node
    for origin, token in tokens.items():
        request = request_for(path, OURS, populated)
        request.page_token = token
        answer = admin(path, request)
        assert (not answer.status) == (origin == path), origin
        if answer.status:
            assert (answer.reason, answer.fields) == ("INVALID_PAGE_TOKEN", ["page_token"])


@pytest.mark.parametrize("path", [path for path in LISTS if "scope" in LISTS[path].input_type.fields_by_name])
def test_a_page_token_is_good_for_its_own_scope_and_filter_alone(path: str, populated: Airspace, admin, tokens):
    request = request_for(path, Scope("ours", "production"), populated)
    request.page_token = tokens[path]
    assert admin(path, request).reason == "INVALID_PAGE_TOKEN"
    request = request_for(path, OURS, populated)
    request.page_token = tokens[path]
    if hasattr(request, "phases"):
        request.phases.append(execution_pb.EXECUTION_PHASE_FAILED)
    elif hasattr(request, "name"):
        request.name = "another"
    elif hasattr(request, "pending_only"):
        request.pending_only = True
    else:
        return
    assert admin(path, request).reason == "INVALID_PAGE_TOKEN"


def test_a_reason_has_one_code_on_the_native_wire(populated: Airspace, admin: Caller):
    for path in NATIVE:
        answer = admin.begin(path, b"\xff")
        assert answer.code.name == CODES[Reason(answer.reason)].name
