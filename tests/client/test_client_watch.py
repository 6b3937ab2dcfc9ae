import threading

import pytest
from client_samples import ERROR, EXECUTION_ID, NOON, D, P, transition
from client_servers import ScriptedServer, fail

from airspace.execution.v1 import execution_service_pb2 as pb
from airspace_client import (
    AirspaceClient,
    DeadlineExceeded,
    ExecutionPhase,
    NodePhase,
    NotFound,
    ResourceExhausted,
    Transition,
    Unavailable,
    _executions,
    _service,
)

QUEUED, RUNNING = transition(1, "QUEUED"), transition(2, "RUNNING")
NODE = transition(3, "RUNNING", node="n0", attempt=1)
FAILED = transition(4, "FAILED", error=True)


def breaking(*responses: pb.WatchExecutionResponse, code: str = "UNAVAILABLE"):
    def answer(request, context):
        yield from responses
        fail(code, "UNAVAILABLE" if code == "UNAVAILABLE" else "")(request, context)

    return answer


def test_a_watcher_sees_every_transition(server: ScriptedServer, client: AirspaceClient) -> None:
    server.script("WatchExecution", [QUEUED, RUNNING, NODE, FAILED])
    assert list(client.executions.handle(P, D, "run-1").watch()) == [
        Transition(1, NOON, None, ExecutionPhase.QUEUED, 0, None),
        Transition(2, NOON, None, ExecutionPhase.RUNNING, 0, None),
        Transition(3, NOON, "n0", NodePhase.RUNNING, 1, None),
        Transition(4, NOON, None, ExecutionPhase.FAILED, 0, ERROR),
    ]
    (call,) = server.calls
    assert call.request == pb.WatchExecutionRequest(execution=EXECUTION_ID)
    assert call.time_remaining is None or call.time_remaining > 10**6  # as long as it takes


def test_a_broken_stream_is_taken_up_where_it_broke(server: ScriptedServer, client: AirspaceClient) -> None:
    server.script("WatchExecution", breaking(QUEUED, RUNNING), breaking(), breaking(NODE), [FAILED])
    seen = [t.sequence for t in client.executions.handle(P, D, "run-1").watch()]
    assert seen == [1, 2, 3, 4]
    assert [call.request.after_sequence for call in server.calls] == [0, 2, 2, 3]


def test_a_watch_outlives_a_restart_of_the_server(server: ScriptedServer, client: AirspaceClient) -> None:
    def until_it_stops(_request, context):
        yield QUEUED
        gone = threading.Event()
        context.add_callback(gone.set)
        gone.wait(20)

    server.script("WatchExecution", until_it_stops, [RUNNING, FAILED])
    transitions = client.executions.handle(P, D, "run-1").watch()
    assert next(transitions).sequence == 1
    server.stop()
    server.start()
    assert [t.sequence for t in transitions] == [2, 4]
    assert [call.request.after_sequence for call in server.calls] == [0, 1]


def test_a_watch_can_start_in_the_middle(server: ScriptedServer, client: AirspaceClient) -> None:
    server.script("WatchExecution", [FAILED])
    assert [t.sequence for t in client.executions.handle(P, D, "run-1").watch(after_sequence=3)] == [4]
    assert server.calls[0].request.after_sequence == 3


def test_a_stream_that_gets_nowhere_is_given_up(
    server: ScriptedServer, client: AirspaceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_service, "STREAM_REPEATS", 2)
    server.always("WatchExecution", breaking())
    with pytest.raises(Unavailable):
        list(client.executions.handle(P, D, "run-1").watch())
    assert len(server.calls) == 3


@pytest.mark.parametrize("code", ["NOT_FOUND", "INTERNAL", "CANCELLED"])
def test_a_stream_that_fails_otherwise_is_not_taken_up(
    code: str, server: ScriptedServer, client: AirspaceClient
) -> None:
    server.script("WatchExecution", breaking(QUEUED, code=code))
    with pytest.raises(Exception, match="because"):
        list(client.executions.handle(P, D, "run-1").watch())
    assert len(server.calls) == 1


def test_a_watcher_that_turns_away_ends_the_stream_at_the_server(
    server: ScriptedServer, client: AirspaceClient
) -> None:
    gone = threading.Event()

    def endless(_request, context):
        context.add_callback(gone.set)
        yield QUEUED
        gone.wait(20)

    server.script("WatchExecution", endless)
    watching = client.executions.handle(P, D, "run-1").watch()
    next(watching)
    del watching
    assert gone.wait(10)


def test_waiting_gives_the_execution_as_it_ended(server: ScriptedServer, client: AirspaceClient) -> None:
    server.script("WatchExecution", breaking(QUEUED, RUNNING), [FAILED])
    ended = pb.Execution(id=EXECUTION_ID, phase=pb.EXECUTION_PHASE_SUCCEEDED)
    server.script("GetExecution", pb.GetExecutionResponse(execution=ended))
    execution = client.executions.handle(P, D, "run-1").wait(timeout=20)
    assert execution.ended
    assert execution.succeeded


def test_waiting_ends_at_its_timeout(server: ScriptedServer, client: AirspaceClient) -> None:
    def silent(_request, context):
        gone = threading.Event()
        context.add_callback(gone.set)
        gone.wait(20)
        yield from ()

    server.script("WatchExecution", silent)
    with pytest.raises(DeadlineExceeded):
        client.executions.handle(P, D, "run-1").wait(timeout=0.2)


def test_waiting_looks_now_and_then_when_there_are_too_many_watchers(
    server: ScriptedServer, client: AirspaceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_executions, "POLL_INTERVAL", 0.02)
    server.always("WatchExecution", fail("RESOURCE_EXHAUSTED", "TOO_MANY_STREAMS"))
    running = pb.GetExecutionResponse(execution=pb.Execution(id=EXECUTION_ID, phase=pb.EXECUTION_PHASE_RUNNING))
    aborted = pb.GetExecutionResponse(execution=pb.Execution(id=EXECUTION_ID, phase=pb.EXECUTION_PHASE_ABORTED))
    server.script("GetExecution", running, running, aborted)
    handle = client.executions.handle(P, D, "run-1")
    assert handle.wait().phase is ExecutionPhase.ABORTED

    server.always("GetExecution", running)
    with pytest.raises(DeadlineExceeded, match="still RUNNING"):
        handle.wait(timeout=0.1)
    with pytest.raises(ResourceExhausted):
        list(handle.watch())


def test_watching_what_is_not_there_says_so_when_the_first_transition_is_asked_for(
    server: ScriptedServer, client: AirspaceClient
) -> None:
    server.script("WatchExecution", fail("NOT_FOUND", "NOT_FOUND"))
    transitions = client.executions.handle(P, D, "run-1").watch()
    assert not server.calls
    with pytest.raises(NotFound):
        next(transitions)
