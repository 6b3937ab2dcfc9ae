"""The order of the chain and what each step of it stops, over a real listener."""

import json
import logging
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import replace

import grpc
import pytest
from google.protobuf.descriptor import Descriptor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from rpc_expected import ADMIN, DATA, EXECUTIONS, PROJECT
from rpc_requests import native_request, request_for
from rpc_servers import METHODS, NATIVE, Airspace, Answer, Caller

from airspace.execution.v1 import execution_service_pb2 as execution_pb
from airspace.project.v1 import project_service_pb2 as project_pb
from airspace_server.access.issuer import Issuer
from airspace_server.app import NATIVE_SERVICES
from airspace_server.core import clock
from airspace_server.core.errors import CODES, ApiError, Reason
from airspace_server.core.scope import Scope
from airspace_server.observability import JsonLines
from airspace_server.rpc import interceptors
from airspace_server.rpc.interceptors import AROUND, BEFORE, MAX_MESSAGE
from airspace_server.storage.tables import ProjectRow, table

SCOPE = Scope("ours", "development")
GET, WATCH, CREATE = f"{PROJECT}/GetProject", f"{EXECUTIONS}/WatchExecution", f"{PROJECT}/CreateProject"
MALFORMED = b"\xff\xff\xff"
Reply = Callable[..., Answer]


@pytest.fixture(scope="module", autouse=True)
def accounts(server: Airspace) -> None:
    server.account("viewer", ("viewer", "ours/*"))
    server.account("stranger")


@pytest.fixture(scope="module")
def doorless(server: Airspace) -> Iterator[Callable[[str], Caller]]:
    with server.served(server.without_doors()) as caller:
        yield caller


def get(project: str = "ours") -> project_pb.GetProjectRequest:
    return project_pb.GetProjectRequest(project=project)


def watch() -> execution_pb.WatchExecutionRequest:
    request = execution_pb.WatchExecutionRequest()
    request.execution.scope.project, request.execution.scope.domain = SCOPE.project, SCOPE.domain
    request.execution.name = "thing"
    return request


# --- the order


def test_the_chain_is_in_this_order():
    assert [step.__name__ for step in AROUND] == ["telemetry", "log", "errors", "rationed"]
    assert [step.__name__ for step in BEFORE] == ["confirm", "decode", "authorize", "count", "validate"]


@pytest.mark.parametrize(
    ("name", "payload", "reason"),
    [
        ("", MALFORMED, "TOKEN_MISSING"),
        ("", get("NOT VALID").SerializeToString(), "TOKEN_MISSING"),
        ("stranger", MALFORMED, "MALFORMED_MESSAGE"),
        ("stranger", get("NOT VALID").SerializeToString(), "PERMISSION_MISSING"),
        ("stranger", get().SerializeToString(), "PERMISSION_MISSING"),
        ("admin", MALFORMED, "MALFORMED_MESSAGE"),
        ("admin", get("NOT VALID").SerializeToString(), "INVALID_FIELD"),
        ("admin", get().SerializeToString(), "NOT_IMPLEMENTED"),
    ],
)
def test_a_step_that_stops_a_call_comes_before_the_ones_behind_it(doorless, name: str, payload: bytes, reason: str):
    answer = doorless(name)(GET, payload)
    assert answer.reason == reason
    assert answer.code.name == CODES[Reason(reason)].name


@pytest.mark.parametrize("path", METHODS)
def test_nobody_learns_from_bytes_what_only_callers_with_a_token_may(path: str, doorless):
    public = path.startswith("/flyteidl.service.AuthMetadataService/")
    assert doorless("")(path, MALFORMED).reason == ("MALFORMED_MESSAGE" if public else "TOKEN_MISSING")
    assert doorless("admin")(path, MALFORMED).reason == "MALFORMED_MESSAGE"


def test_a_stream_has_the_same_chain(doorless):
    bad = watch()
    bad.execution.name = "NOT VALID"
    reasons = [
        doorless(name)(WATCH, request).reason
        for name, request in (("", MALFORMED), ("stranger", bad), ("admin", MALFORMED), ("admin", bad))
    ]
    assert reasons == ["TOKEN_MISSING", "PERMISSION_MISSING", "MALFORMED_MESSAGE", "INVALID_FIELD"]


def test_a_handler_is_told_who_calls_and_what_was_decided(server: Airspace):
    told = []

    def handler(request, call):
        told.append((request.project, call.principal.member, call.method, call.request_id, call.visible, call.active()))
        return project_pb.GetProjectResponse()

    with server.served(server.with_door(GET, handler)) as caller:
        caller("viewer")(GET, get(), request_id="r-7")
    assert told == [("ours", "service-account:viewer", GET, "r-7", None, True)]


# --- tokens


def test_every_kind_of_bad_token_is_refused_by_its_reason(server: Airspace, doorless):
    good = server.tokens["viewer"]
    issuer = server.parts.issuer
    assert issuer

    def late() -> int:
        return clock.now() - 7200 * clock.MICROSECONDS

    url, audience = issuer.issuer_url, issuer.audience
    expired = Issuer(server.parts.database, issuer.key, url, audience, late).sign("viewer", 1)
    foreign = Issuer(server.parts.database, issuer.key, "http://other", audience, clock.now).sign("viewer", 1)
    elsewhere = Issuer(server.parts.database, issuer.key, url, "other", clock.now).sign("viewer", 1)
    gone = Issuer(server.parts.database, issuer.key, url, audience, clock.now).sign("gone", 1)
    head, claims, signature = good.split(".")
    tokens = {
        "not-a-token": "TOKEN_INVALID",
        f"{head}.{claims}.": "TOKEN_INVALID",
        f"{head}.{claims}.{signature[:-4]}AAAA": "TOKEN_INVALID",
        f"{head}.{claims[:-2]}.{signature}": "TOKEN_INVALID",
        "a.b.c": "TOKEN_INVALID",
        "x" * 16_500: "TOKEN_INVALID",
        foreign: "TOKEN_INVALID",
        elsewhere: "TOKEN_INVALID",
        expired: "TOKEN_EXPIRED",
        gone: "ACCOUNT_DISABLED",
        good: "NOT_IMPLEMENTED",
    }
    channel = doorless("").channel
    assert {token: Caller(channel, token)(GET, get()).reason for token in tokens} == tokens
    for header in ("", "Bearer", f"Basic {good}", good):
        assert doorless("")(GET, get(), authorization=header).code is grpc.StatusCode.UNAUTHENTICATED


def test_a_revoked_binding_counts_from_the_next_call_on(server: Airspace, doorless):
    server.account("leaver", ("viewer", "ours/development"))
    assert doorless("leaver")(WATCH, watch()).reason == "NOT_IMPLEMENTED"
    request = request_for("/airspace.access.v1.AccessService/DeleteBinding", SCOPE, server)
    request.member, request.role = "service-account:leaver", "viewer"
    with server.served() as caller:
        assert not caller("admin")("/airspace.access.v1.AccessService/DeleteBinding", request).status
    assert doorless("leaver")(WATCH, watch()).reason == "PERMISSION_MISSING"


# --- errors


SECRET = "secret-of-the-server"


@pytest.mark.parametrize(
    "error", [RuntimeError(SECRET), KeyError(SECRET), grpc.RpcError(SECRET), StopIteration(SECRET)]
)
def test_what_nobody_foresaw_is_internal_and_says_nothing(server: Airspace, caplog, error: Exception):
    def handler(_request, _call):
        raise error

    with server.served(server.with_door(GET, handler)) as caller:
        answer = caller("viewer")(GET, get())
    assert (answer.code, answer.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert answer.text == "internal error; the request id finds it in the server's log"
    assert SECRET not in str(answer)
    assert answer.info.metadata["request_id"] == answer.request_id
    (record,) = [each for each in caplog.records if each.exc_info]
    assert SECRET in JsonLines().format(record)
    assert json.loads(JsonLines().format(record))["request_id"] == answer.request_id


def test_an_error_that_cannot_be_said_is_internal_too(server: Airspace, caplog):
    def handler(_request, _call):
        raise ApiError(Reason.NOT_FOUND, "no", {"kind": "workflow"})

    def translate(_error):
        raise KeyError(SECRET)

    method = replace(server.with_door(GET, handler)[0], translate=translate)
    with server.served([method]) as caller:
        answer = caller("viewer")(GET, get())
    assert (answer.code, answer.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert SECRET not in str(answer)
    assert [each.getMessage() for each in caplog.records if each.exc_info] == ["an error cannot be said"]


def test_an_answer_that_is_none_is_internal(server: Airspace):
    with server.served(server.with_door(GET, lambda _request, _call: None)) as caller:
        assert caller("viewer")(GET, get()).reason == "INTERNAL"


def test_what_a_stream_writes_without_saying_so_is_undone_and_internal(server: Airspace):
    def handler(_request, _call):
        yield execution_pb.WatchExecutionResponse()
        row = {"id": "sneaked", "name": "", "description": "", "labels": "{}", "state": "ACTIVE", "version": 1}
        with server.parts.database.write() as tx:
            tx.insert_new(table(ProjectRow), {**row, "created_at": 1, "updated_at": 1})
        yield execution_pb.WatchExecutionResponse()

    before = server.rows()
    with server.served(server.with_door(WATCH, handler)) as caller:
        answer = caller("viewer")(WATCH, watch())
    assert (answer.code, len(answer.messages)) == (grpc.StatusCode.INTERNAL, 1)
    assert server.rows() == before


@pytest.mark.parametrize("reason", Reason)
def test_a_known_error_has_its_code_and_its_details(server: Airspace, reason: Reason):
    def handler(_request, _call):
        raise ApiError(reason, "this is why", {"kind": "thing"}, "execution.name")

    with server.served(server.with_door(GET, handler)) as caller:
        answer = caller("viewer")(GET, get(), request_id="r-1")
    assert (answer.code.name, answer.text) == (CODES[reason].name, "this is why")
    assert (answer.status.code, answer.status.message) == (CODES[reason].value, "this is why")
    assert (answer.info.reason, answer.info.domain) == (reason.value, "airspace")
    assert dict(answer.info.metadata) == {"kind": "thing", "request_id": "r-1"}
    assert answer.fields == ["execution.name"]


@pytest.mark.parametrize("text", ["x", "ü", "€", "\x00", "%"], ids=["ascii", "two", "three", "nul", "percent"])
@pytest.mark.parametrize("caller_gives", [True, False])
def test_an_error_about_very_long_text_still_arrives(server: Airspace, text: str, caller_gives: bool):
    """gRPC clients refuse trailing metadata over 8 KiB, and would then know neither the code nor the reason."""
    long = text * 20_000

    def handler(_request, _call):
        raise ApiError(Reason.INVALID_FIELD, f"name {long} is bad", dict.fromkeys("abcdefgh", long), f"name.{long}")

    request = request_for(f"{ADMIN}/GetTask", SCOPE, server)
    request.id.project = long
    with server.served([*server.with_door(GET, handler), server.methods[f"{ADMIN}/GetTask"]]) as caller:
        answer = caller("stranger")(f"{ADMIN}/GetTask", request) if caller_gives else caller("viewer")(GET, get())
    assert answer.reason == ("PERMISSION_MISSING" if caller_gives else "INVALID_FIELD")


def stream_door(*steps):
    def handler(_request, _call):
        for step in steps:
            if isinstance(step, Exception):
                raise step
            yield execution_pb.WatchExecutionResponse(sequence=step)

    return handler


@pytest.mark.parametrize(
    ("steps", "received", "reason"),
    [
        ((1, 2), 2, ""),
        ((), 0, ""),
        ((ApiError(Reason.NOT_FOUND, "no"),), 0, "NOT_FOUND"),
        ((1, ApiError(Reason.TOO_MANY_STREAMS, "no")), 1, "TOO_MANY_STREAMS"),
        ((RuntimeError(SECRET),), 0, "INTERNAL"),
        ((1, 2, RuntimeError(SECRET)), 2, "INTERNAL"),
    ],
)
def test_a_stream_may_fail_before_its_first_message_and_behind_it(server: Airspace, steps, received: int, reason: str):
    with server.served(server.with_door(WATCH, stream_door(*steps))) as caller:
        answer = caller("viewer")(WATCH, watch(), request_id="r-s")
    assert (len(answer.messages), answer.reason, answer.request_id) == (received, reason, "r-s")
    assert SECRET not in str(answer)


def test_a_message_that_is_too_large_is_refused_and_the_connection_lives_on(doorless):
    admin = doorless("admin")
    assert admin(CREATE, b"x" * (MAX_MESSAGE + 1)).code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert admin(f"{DATA}/GetData", b"x" * (MAX_MESSAGE + 1)).code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert admin(GET, get()).reason == "NOT_IMPLEMENTED"


def test_an_answer_that_no_client_would_accept_is_an_error_that_says_so(server: Airspace):
    def handler(_request, _call):
        return project_pb.GetProjectResponse(project=project_pb.Project(description="x" * MAX_MESSAGE))

    with server.served(server.with_door(GET, handler)) as caller:
        answer = caller("viewer")(GET, get())
    assert (answer.code, answer.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_LARGE")


def test_no_answer_is_ever_unknown_when_calls_fail_at_once(server: Airspace):
    def handler(_request, _call):
        raise RuntimeError(SECRET)

    with server.served(server.with_door(GET, handler)) as caller, futures.ThreadPoolExecutor(16) as pool:
        viewer = caller("viewer")
        codes = {answer.code for answer in pool.map(lambda _: viewer(GET, get()), range(64))}
    assert codes == {grpc.StatusCode.INTERNAL}


def test_a_call_with_two_tokens_is_nobodys_whichever_of_them_is_good(server: Airspace):
    with server.served() as caller:
        good = caller("viewer")
        for first in ("Bearer x.y.z", f"Bearer {good.token}"):
            assert good(GET, get(), authorization=first).reason == "TOKEN_INVALID"
        assert good(GET, get()).reason == "NOT_FOUND"


# --- request ids


def test_a_good_request_id_is_taken_over_and_given_back_always(server: Airspace, doorless):
    good = "Run_7.a-b" + "x" * 55
    with server.served() as caller:
        assert caller("admin")(f"{PROJECT}/ListProjects", request_id=good).request_id == good
    assert doorless("viewer")(GET, get(), request_id=good).request_id == good
    refused = doorless("")(GET, get(), request_id=good)
    assert (refused.request_id, refused.info.metadata["request_id"]) == (good, good)


@pytest.mark.parametrize("bad", ["", "x" * 65, "with space", "semi;colon", "new/line"])
def test_any_other_request_id_is_replaced_by_one_of_the_server(doorless, bad: str):
    answers = [doorless("viewer")(GET, get(), request_id=bad) for _ in range(2)]
    ids = {answer.request_id for answer in answers}
    assert len(ids) == 2
    assert bad not in ids
    assert {answer.info.metadata["request_id"] for answer in answers} == ids


# --- log and traces


CALL = {"request_id", "method", "principal", "scopes", "code", "reason", "ms"}


def calls(caplog) -> list[dict]:
    return [record.airspace for record in caplog.records if record.name == "airspace.rpc" and record.msg == "call"]


def test_every_call_is_one_line_of_the_log(server: Airspace, doorless, caplog):
    caplog.set_level(logging.INFO, "airspace.rpc")
    doorless("viewer")(GET, get(), request_id="r-1")
    doorless("stranger")(WATCH, watch(), request_id="r-2")
    doorless("")(GET, MALFORMED, request_id="r-3")
    lines = calls(caplog)
    assert [line.keys() for line in lines] == [CALL] * 3
    assert [(line["request_id"], line["method"], line["principal"], line["scopes"]) for line in lines] == [
        ("r-1", GET, "service-account:viewer", ["ours/*"]),
        ("r-2", WATCH, "service-account:stranger", ["ours/development"]),
        ("r-3", GET, "anonymous:", []),
    ]
    assert [(line["code"], line["reason"]) for line in lines] == [
        (12, "NOT_IMPLEMENTED"),
        (7, "PERMISSION_MISSING"),
        (16, "TOKEN_MISSING"),
    ]
    assert all(0 <= line["ms"] < 10_000 for line in lines)


def text_fields(message: Descriptor) -> list[str]:
    return [field.name for field in message.fields if field.type == field.TYPE_STRING and not field.is_repeated]


def test_neither_tokens_nor_what_a_request_holds_is_in_the_log(server: Airspace, caplog):
    caplog.set_level(logging.DEBUG)
    formatter = JsonLines()
    with server.served() as caller:
        for path, method in NATIVE.items():
            request = native_request(method, SCOPE)
            for name in text_fields(method.input_type):
                if name != "project":
                    setattr(request, name, f"{getattr(request, name)}zebra")
            for name in ("admin", "stranger", ""):
                caller(name)(path, request)
        caller("admin")(CREATE, b"zebra\xff")
    text = "\n".join(formatter.format(record) for record in caplog.records)
    assert len(calls(caplog)) == len(NATIVE) * 3 + 1
    assert "zebra" not in text
    for token in server.tokens.values():
        assert not any(part in text for part in token.split("."))
    for secret in ("eyJ", "Bearer"):
        assert secret not in text


def test_a_line_of_the_log_is_bounded_however_long_a_scope_is(server: Airspace, caplog):
    caplog.set_level(logging.INFO, "airspace.rpc")
    request = watch()
    request.execution.scope.project = "p" * 1_000_000
    with server.served() as caller:
        caller("stranger")(WATCH, request)
    (line,) = calls(caplog)
    assert len(json.dumps(line)) < 2_000


@pytest.fixture
def spans(monkeypatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(interceptors, "_tracer", provider.get_tracer("test"))
    yield exporter
    provider.shutdown()


def test_every_call_is_one_span(server: Airspace, spans: InMemorySpanExporter):
    def fails(_request, _call):
        raise RuntimeError(SECRET)

    doors = [*server.with_door(GET, fails), *server.with_door(WATCH, stream_door(1, 2))]
    with server.served([*doors, server.methods[f"{PROJECT}/ListDomains"]]) as caller:
        viewer = caller("viewer")
        viewer(f"{PROJECT}/ListDomains", request_id="r-1")
        viewer(GET, get(), request_id="r-2")
        viewer(WATCH, watch(), request_id="r-3")
        caller("")(GET, get(), request_id="r-4")
    found = spans.get_finished_spans()
    assert [(span.name, span.kind) for span in found] == [
        ("airspace.project.v1.ProjectService/ListDomains", SpanKind.SERVER),
        (GET[1:], SpanKind.SERVER),
        (WATCH[1:], SpanKind.SERVER),
        (GET[1:], SpanKind.SERVER),
    ]
    assert [span.attributes["rpc.grpc.status_code"] for span in found] == [0, 13, 0, 16]
    assert [span.attributes["airspace.request_id"] for span in found] == ["r-1", "r-2", "r-3", "r-4"]
    assert all(span.attributes["rpc.system"] == "grpc" for span in found)
    assert SECRET not in "".join(span.to_json() for span in found)


def test_a_span_belongs_to_the_trace_that_the_caller_began(server: Airspace, spans: InMemorySpanExporter, doorless):
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    doorless("viewer")(GET, get(), traceparent=f"00-{trace}-{parent}-01")
    doorless("viewer")(GET, get(), traceparent="nonsense")
    continued, begun = spans.get_finished_spans()
    assert f"{continued.context.trace_id:032x}" == trace
    assert f"{continued.parent.span_id:016x}" == parent
    assert begun.parent is None


def test_every_service_of_the_server_goes_through_the_chain(server: Airspace, spans: InMemorySpanExporter, doorless):
    for service in NATIVE_SERVICES:
        for method in service.methods:
            doorless("")(f"/{service.full_name}/{method.name}")
    assert len(spans.get_finished_spans()) == len(NATIVE)
