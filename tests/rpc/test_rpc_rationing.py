"""Rations of calls: who has as many under way as it may, or calls faster than it may, is told so, and nobody else."""

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from rpc_requests import request_for
from rpc_servers import OURS, Airspace, Answer

from airspace.execution.v1 import execution_service_pb2 as execution_pb
from airspace.project.v1 import project_service_pb2 as project_pb
from airspace_server.access.identity import Principal
from airspace_server.access.limits import Bucket
from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.scope import ExecutionId, Scope
from airspace_server.rpc import interceptors
from airspace_server.rpc.rationing import BURST_SECONDS, STREAMS, THREADS, Places, Rates, Room, counted_as

GET = "/airspace.project.v1.ProjectService/GetProject"
PUBLIC = "/flyteidl.service.AuthMetadataService/GetPublicClientConfig"
WATCH = "/airspace.execution.v1.ExecutionService/WatchExecution"
ALONE = THREADS // 3
STREAMS_ALONE = STREAMS // 3
UNLIMITED = 1_000_000
REQUEST = project_pb.GetProjectRequest(project="ours")


@pytest.fixture(scope="module", autouse=True)
def tenants(server: Airspace) -> None:
    """Two who may look at ours, and one who may not."""
    server.account("storm", ("viewer", "ours/*"))
    server.account("calm", ("viewer", "ours/*"))
    server.account("stranger")


class Held:
    """A front door that answers nobody until `let_go` is set."""

    def __init__(self) -> None:
        self.inside = threading.Semaphore(0)
        self.let_go = threading.Event()

    def __call__(self, _request: object, call: object) -> project_pb.GetProjectResponse:
        self.inside.release()
        if call.principal.member == "service-account:storm":
            assert self.let_go.wait(30)
        return project_pb.GetProjectResponse()


def refused(answer: Answer, **metadata: str) -> None:
    """Fail unless a call was refused for its ration, with when to try again and what of."""
    assert (answer.code, answer.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_CALLS")
    (retry,) = answer._detail(RetryInfo)
    assert retry.retry_delay.seconds >= 1
    assert metadata.items() <= dict(answer.info.metadata).items()


def test_who_has_as_many_calls_under_way_as_it_may_is_refused_and_others_are_answered(server: Airspace):
    door, room = Held(), Room()
    with server.served(server.with_door(GET, door), room=room) as caller:
        storm, calm = caller("storm"), caller("calm")
        metadata = [("authorization", f"Bearer {storm.token}")]
        call = storm.channel.unary_unary(GET)
        held = [call.future(REQUEST.SerializeToString(), metadata=metadata, timeout=60) for _ in range(ALONE)]
        for _ in held:
            assert door.inside.acquire(timeout=30)
        refused(storm(GET, REQUEST), limit="calls_at_once", of="service-account:storm")
        assert [calm(GET, REQUEST).reason for _ in range(100)] == [""] * 100
        door.let_go.set()
        assert [each.exception(30) for each in held] == [None] * ALONE
        assert not storm(GET, REQUEST).status
    assert room.calls.free == THREADS


def test_calls_that_never_send_their_message_hold_a_share_of_the_threads_and_no_more(server: Airspace):
    release, room = threading.Event(), Room()

    def nothing() -> Iterator[bytes]:
        release.wait()
        yield from ()

    with server.served(room=room) as caller:
        storm, calm = caller("storm"), caller("calm")
        metadata = [("authorization", f"Bearer {storm.token}")]
        held = [storm.channel.stream_unary(GET).future(nothing(), metadata=metadata) for _ in range(2 * THREADS)]
        try:
            told_off = [each for each in held if _ends(each, room)]
            assert {each.code() for each in told_off} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
            assert len(told_off) == 2 * THREADS - ALONE
            assert [calm(GET, REQUEST).reason for _ in range(20)] == ["NOT_FOUND"] * 20
        finally:
            release.set()
            for each in held:
                each.cancel()


def _ends(call: grpc.Future, room: Room) -> bool:
    """Wait until a call has ended or can only be one that holds a place; tell which."""
    pause = threading.Event()
    call.add_done_callback(lambda _: pause.set())
    while not pause.wait(0.2):
        if room.calls.free == THREADS - ALONE and not call.done():
            return False
    return True


def test_watchers_use_up_no_thread_of_calls_and_none_of_other_watchers(server: Airspace):
    let_go = threading.Event()

    def watched(_request: object, _call: object) -> Iterator[execution_pb.WatchExecutionResponse]:
        yield execution_pb.WatchExecutionResponse(sequence=1)
        assert let_go.wait(30)

    request = request_for(WATCH, OURS, server)
    room = Room()
    with server.served([*server.with_door(WATCH, watched), server.methods[GET]], room=room) as caller:
        storm, calm = caller("storm"), caller("calm")
        streams = [storm.stream(WATCH, request) for _ in range(STREAMS_ALONE)]
        for stream in streams:
            assert next(stream)
        answer = storm(WATCH, request)
        assert (answer.code, answer.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS")
        assert answer.info.metadata["limit"] == "streams_at_once"
        assert room.calls.free == THREADS
        assert storm(GET, REQUEST).reason == "NOT_FOUND"
        streams.append(calm.stream(WATCH, request))
        assert next(streams[-1])
        let_go.set()
        for stream in streams:
            assert not list(stream)
    assert room.streams.free == STREAMS


@contextlib.contextmanager
def limited(server: Airspace, caller: int = UNLIMITED, project: int = UNLIMITED) -> Iterator[Callable]:
    """Serve with these rates at a moment that does not pass."""
    guards = replace(server.parts.guards, rates=Rates(caller, project, lambda: 0.0))
    with server.served(server.with_door(GET, lambda *_: project_pb.GetProjectResponse()), guards) as callers:
        yield callers


def test_who_calls_too_fast_is_refused_and_nobody_else(server: Airspace):
    with limited(server, caller=1) as caller:
        storm, calm = caller("storm"), caller("calm")
        answers = [storm(GET, REQUEST) for _ in range(BURST_SECONDS + 3)]
        assert [answer.reason for answer in answers] == [""] * BURST_SECONDS + ["TOO_MANY_CALLS"] * 3
        refused(answers[-1], limit="calls_per_second", of="service-account:storm", calls_per_second="1")
        assert not calm(GET, REQUEST).status


def test_what_is_refused_for_its_ration_has_asked_the_database_nothing(server: Airspace):
    asked = []

    def confirm(principal: Principal) -> Principal:
        asked.append(principal)
        return principal

    guards = replace(server.parts.guards, rates=Rates(1, UNLIMITED, lambda: 0.0), confirm=confirm)
    with server.served(server.with_door(GET, lambda *_: project_pb.GetProjectResponse()), guards) as caller:
        for _ in range(BURST_SECONDS):
            caller("storm")(GET, REQUEST)
        refused(caller("storm")(GET, REQUEST))
    assert len(asked) == BURST_SECONDS


def test_who_has_no_identity_is_counted_by_address_and_uses_up_nothing_of_those_who_have_one(server: Airspace):
    with limited(server, caller=1) as caller:
        reasons = [caller("")(GET, REQUEST).reason for _ in range(BURST_SECONDS + 1)]
        assert reasons == ["TOKEN_MISSING"] * BURST_SECONDS + ["TOO_MANY_CALLS"]
        assert caller("")(GET, REQUEST, authorization="Bearer forged").reason == "TOO_MANY_CALLS"
        assert not caller("calm")(GET, REQUEST).status


def test_what_anybody_may_call_is_counted_by_address(server: Airspace):
    guards = replace(server.parts.guards, rates=Rates(1, UNLIMITED, lambda: 0.0))
    with server.served(guards=guards) as caller:
        answers = [caller("")(PUBLIC) for _ in range(BURST_SECONDS + 1)]
        assert [bool(answer.status) for answer in answers] == [False] * BURST_SECONDS + [True]
        refused(answers[-1])


def test_a_project_is_called_so_fast_by_all_together_and_who_may_not_call_uses_up_nothing_of_it(server: Airspace):
    with limited(server, project=1) as caller:
        assert {caller("stranger")(GET, REQUEST).reason for _ in range(2 * BURST_SECONDS)} == {"PERMISSION_MISSING"}
        names = ["storm", "calm"] * (BURST_SECONDS // 2)
        assert {caller(name)(GET, REQUEST).reason for name in names} == {""}
        for name in ("storm", "calm"):
            refused(caller(name)(GET, REQUEST), limit="project_calls_per_second", of="project ours")
        assert not caller("admin")(GET, project_pb.GetProjectRequest(project="theirs")).status


def test_refused_calls_are_counted_by_method_and_limit(server: Airspace, monkeypatch: pytest.MonkeyPatch):
    reader = InMemoryMetricReader()
    counter = MeterProvider([reader]).get_meter("test").create_counter("rpc.server.refused")
    monkeypatch.setattr(interceptors, "_refused", counter)
    with limited(server, caller=1) as caller:
        for _ in range(BURST_SECONDS + 3):
            caller("storm")(GET, REQUEST)
    found = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    assert [(dict(point.attributes), point.value) for point in found] == [
        ({"rpc.method": GET, "limit": "calls_per_second"}, 3)
    ]


def test_executions_of_a_scope_count_together_whoever_launched_them_and_not_to_their_launcher():
    one, other = (ExecutionId(Scope("ads", "development"), name) for name in ("e1", "e2"))
    elsewhere = ExecutionId(Scope("ads", "production"), "e1")
    ann, bob = Principal("user:ann"), Principal("user:bob")
    counted = [
        counted_as(Principal.of_execution(one, ann)),
        counted_as(Principal.of_execution(other, bob)),
        counted_as(Principal.of_execution(other)),
    ]
    assert counted == ["execution:ads/development"] * 3
    assert counted_as(Principal.of_execution(elsewhere, ann)) == "execution:ads/production"
    assert counted_as(ann) == "user:ann"


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=400), st.integers(1, 60))
def test_no_place_is_lost_and_nobody_has_more_than_a_third_of_what_others_leave(moves: list, total: int):
    places, held = Places(total), Counter()
    for caller, comes in moves:
        if not comes:
            if held[caller]:
                held[caller] -= 1
                places.give_back(str(caller))
            continue
        free = total - held.total()
        entered = places.take(str(caller))
        assert entered or held[caller] or not free, "who holds none gets in while there is a place"
        assert not entered or held[caller] < free / 2
        held[caller] += entered
        assert places.free == total - held.total() >= 0
    for caller in list(held.elements()):
        places.give_back(str(caller))
    assert places.free == total


@given(st.integers(1, 100))
def test_who_is_alone_gets_a_third_and_three_greedy_ones_leave_some(total: int):
    places = Places(total)
    assert sum(places.take("alone") for _ in range(2 * total)) == -(-total // 3)
    if total >= 9:
        for name in ("second", "third"):
            assert any(places.take(name) for _ in range(2 * total))
        assert places.free


@given(
    st.integers(1, 1000),
    st.integers(1, 100),
    st.lists(st.floats(0, 20), min_size=1, max_size=200),
)
def test_a_bucket_never_gives_more_than_its_burst_and_its_rate_and_says_when_there_is_one(
    rate: int, burst: int, pauses: list[float]
):
    bucket, now, given_ = Bucket(burst, rate, burst, 0.0), 0.0, 0
    for pause in pauses:
        now += pause
        wait = bucket.take(now)
        given_ += not wait
        assert given_ <= burst + rate * now + 1e-6
        assert not wait or replace(bucket).wait(now + wait) == 0, "after the wait that it tells there is one"


def test_a_clock_that_goes_back_gives_nothing_away():
    bucket = Bucket(1, 1.0, 1, 100.0)
    assert [bucket.take(at) for at in (100.0, 0.0, 0.5)] == [0, 1, 1]


def test_callers_without_end_use_no_more_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("airspace_server.rpc.rationing._REMEMBERED", 100)
    rates = Rates(1, 1, lambda: 0.0)
    for number in range(1000):
        rates.count(Principal(f"user:u{number}"))
        rates.count_project(f"p{number}")
        with contextlib.suppress(ApiError):
            rates.count_nobody(f"ipv4:10.0.{number // 250}.{number % 250}:1")
    assert [len(limit) for limit in (rates._callers, rates._projects, rates._addresses)] == [100, 100, 1000]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ipv4:192.0.2.1:1", "ipv4:192.0.2.1:2", True),
        ("ipv4:192.0.2.1:1", "ipv4:192.0.2.2:1", False),
        ("ipv6:%5B2001:db8::1%5D:1", "ipv6:%5B2001:db8::ffff%5D:2", True),
        ("ipv6:%5B2001:db8::1%5D:1", "ipv6:%5B2001:db8:1::1%5D:1", False),
        ("unix:", "unix:/run/x", True),
    ],
)
def test_an_address_is_the_same_from_every_port(one: str, other: str, same: bool):
    rates = Rates(1, 1, lambda: 0.0)
    for _ in range(BURST_SECONDS):
        rates.count_nobody(one)
    found = None
    try:
        rates.count_nobody(other)
    except ApiError as error:
        found = error.reason
    assert found == (Reason.TOO_MANY_CALLS if same else None)
