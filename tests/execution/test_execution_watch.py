"""Watching: every transition once and in order, to the end, within bounds, and only while it is allowed."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from execution_rows import execution_id, launch, move, node
from flyte_samples import chain
from google.protobuf.struct_pb2 import Struct
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wing_doors import DEADLINE, DEV, Doors, call, integers

from airspace.execution.v1 import execution_service_pb2 as pb
from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.execution import ENDED_EXECUTION, ExecutionPhase, NodePhase
from airspace_server.core.scope import EntityId, ExecutionId, Scope
from airspace_server.storage.database import Database

ONE = Struct()
ONE.update({"x": 1})


@pytest.fixture
def doors(database: Database, tmp_path: Path) -> Doors:
    """Two streams at once are a scope's share of four."""
    opened = Doors(database, tmp_path, streams=4)
    opened.project("vision")
    return opened


@pytest.fixture
def plan(doors: Doors) -> EntityId:
    return doors.plan(doors.register(chain))


@pytest.fixture
def id_(doors: Doors, plan: EntityId) -> ExecutionId:
    return launch(doors, plan, inputs=ONE)


def watch(doors: Doors, id_: ExecutionId, after: int = 0, **about) -> Iterator[pb.WatchExecutionResponse]:
    request = pb.WatchExecutionRequest(execution=execution_id(id_), after_sequence=after)
    return doors.executions.WatchExecution(request, call(**about))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_stream_has_every_transition_from_the_first_one_on_and_ends_with_the_last(doors: Doors, id_: ExecutionId):
    move(doors, id_, ExecutionPhase.RUNNING)
    error = ("USER:ValueError", "no", "USER")
    node(doors, id_, "n0", NodePhase.FAILED, position=0, attempts=("FAILED",), error=error)
    move(doors, id_, ExecutionPhase.FAILED, error=error)
    seen = list(watch(doors, id_))
    assert [each.sequence for each in seen] == [1, 2, 3, 4]
    assert [each.WhichOneof("changed") for each in seen] == ["execution", "execution", "node", "execution"]
    assert [each.execution.phase for each in seen if each.HasField("execution")] == [
        pb.EXECUTION_PHASE_QUEUED,
        pb.EXECUTION_PHASE_RUNNING,
        pb.EXECUTION_PHASE_FAILED,
    ]
    assert (seen[2].node.node_id, seen[2].node.phase, seen[2].node.attempt) == ("n0", pb.NODE_PHASE_FAILED, 1)
    assert seen[2].node.error.code == seen[3].execution.error.code == "USER:ValueError"
    assert not seen[1].execution.HasField("error")
    assert [each.time.ToMicroseconds() for each in seen] == sorted(each.time.ToMicroseconds() for each in seen)


def test_a_stream_that_broke_is_taken_up_behind_what_was_seen(doors: Doors, id_: ExecutionId):
    move(doors, id_, ExecutionPhase.RUNNING)
    move(doors, id_, ExecutionPhase.SUCCEEDED, outputs=integers(o0=8))
    assert [each.sequence for each in watch(doors, id_, after=1)] == [2, 3]
    assert list(watch(doors, id_, after=3)) == []
    assert list(watch(doors, id_, after=2**62)) == []
    assert [each.sequence for each in watch(doors, id_, after=-1)] == [1, 2, 3]


def test_a_stream_waits_for_what_has_not_happened_yet(doors: Doors, id_: ExecutionId):
    stream = watch(doors, id_)
    assert next(stream).sequence == 1
    later = threading.Timer(0.2, lambda: move(doors, id_, ExecutionPhase.ABORTED))
    later.start()
    assert [each.execution.phase for each in stream] == [pb.EXECUTION_PHASE_ABORTED]
    later.join()


@pytest.mark.timeout(120)
@settings(max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_is_committed_while_it_is_watched_is_seen_once_in_order(
    doors: Doors, plan: EntityId, data: st.DataObject
):
    """Watchers that come, break off and return at any moment beside a writer lose nothing and see nothing twice."""
    id_ = launch(doors, plan, inputs=ONE)
    count = data.draw(st.integers(1, 6))
    cuts = data.draw(st.lists(st.integers(1, 3), max_size=3))
    last = data.draw(st.sampled_from(sorted(ENDED_EXECUTION)))

    def write() -> None:
        for position in range(count):
            node(doors, id_, f"n{position}", position=position)
        move(doors, id_, last)

    writer = threading.Thread(target=write)
    writer.start()
    seen: list[int] = []
    for cut in [*cuts, None]:
        stream = watch(doors, id_, after=seen[-1] if seen else 0)
        seen += [each.sequence for each, _ in zip(stream, range(cut or 100), strict=False)]
        stream.close()
    writer.join()
    assert seen == list(range(1, count + 3))


def test_streams_are_bounded_and_a_stream_that_ended_makes_room(doors: Doors, id_: ExecutionId):
    first, second = watch(doors, id_), watch(doors, id_)
    assert next(first).sequence == next(second).sequence == 1
    with pytest.raises(ApiError) as caught:
        next(watch(doors, id_))
    assert caught.value.reason is Reason.TOO_MANY_STREAMS
    first.close()
    third = watch(doors, id_)
    assert next(third).sequence == 1
    move(doors, id_, ExecutionPhase.SUCCEEDED)
    assert [each.sequence for each in second] == [each.sequence for each in third] == [2]
    for _ in range(5):  # none of them kept its place
        assert [each.sequence for each in watch(doors, id_)] == [1, 2]


def test_who_watches_as_much_as_he_may_keeps_no_other_scope_from_watching(doors: Doors, id_: ExecutionId):
    held = [watch(doors, id_) for _ in range(2)]
    assert [next(stream).sequence for stream in held] == [1, 1]
    with pytest.raises(ApiError) as caught:
        next(watch(doors, id_))
    assert caught.value.reason is Reason.TOO_MANY_STREAMS
    doors.project("other")
    other = launch(doors, doors.plan(doors.register(chain, Scope("other", DEV.domain))), inputs=ONE)
    assert next(watch(doors, other)).sequence == 1


def test_a_stream_that_is_refused_takes_no_place(doors: Doors, id_: ExecutionId):
    for _ in range(5):
        with pytest.raises(ApiError) as caught:
            next(watch(doors, ExecutionId(DEV, "nobody")))
        assert caught.value.reason is Reason.NOT_FOUND
    assert next(watch(doors, id_)).sequence == 1


def test_a_stream_ends_when_nobody_listens_any_more(doors: Doors, id_: ExecutionId):
    listening = True
    stream = watch(doors, id_, active=lambda: listening)
    assert next(stream).sequence == 1
    listening = False
    assert list(stream) == []


@pytest.mark.parametrize("reason", [Reason.PERMISSION_MISSING, Reason.TOKEN_EXPIRED, Reason.ACCOUNT_DISABLED])
def test_a_stream_ends_soon_after_its_call_would_be_refused(doors: Doors, id_: ExecutionId, reason: Reason):
    def recheck() -> None:
        raise ApiError(reason, "not any more")

    stream = watch(doors, id_, recheck=recheck)
    assert next(stream).sequence == 1
    started = time.monotonic()
    with pytest.raises(ApiError) as caught:
        next(stream)
    assert caught.value.reason is reason
    assert time.monotonic() - started < 5
    doors.executions.GetExecution(pb.GetExecutionRequest(execution=execution_id(id_)), call())


def test_closing_ends_every_stream_with_a_reason_to_watch_again(doors: Doors, id_: ExecutionId):
    streams = [watch(doors, id_), watch(doors, id_)]
    ends: list[object] = []

    def follow(stream: Iterator[pb.WatchExecutionResponse]) -> None:
        try:
            ends.append(list(stream))
        except ApiError as error:
            ends.append(error.reason)

    for stream in streams:
        next(stream)
    threads = [threading.Thread(target=follow, args=(stream,)) for stream in streams]
    for thread in threads:
        thread.start()
    doors.watcher.close()
    until(lambda: len(ends) == 2)
    assert ends == [Reason.UNAVAILABLE] * 2
    for thread in threads:
        thread.join()


def test_what_has_ended_can_be_watched_while_the_server_closes(doors: Doors, id_: ExecutionId):
    move(doors, id_, ExecutionPhase.SUCCEEDED)
    doors.watcher.close()
    assert [each.sequence for each in watch(doors, id_)] == [1, 2]
