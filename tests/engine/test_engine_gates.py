"""Gates: an execution waits for an answer, an approval or some time, and takes no worker's slot meanwhile."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from engine_rows import (
    attempts_of,
    bindings,
    closure,
    launch,
    lines,
    literals,
    node,
    nodes_of,
    outputs_of,
    promise,
    stored,
    task,
    workflow,
)
from flyteidl.core import literals_pb2, types_pb2, workflow_pb2

from airspace_server.core.clock import now
from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.execution import ENDED_EXECUTION
from airspace_server.engine.store import LEASE_US
from airspace_server.execution.signals import Signals
from airspace_server.execution.store import Executions

HOUR = timedelta(hours=1)
NUMBER = types_pb2.LiteralType(simple=types_pb2.INTEGER)
YES_OR_NO = types_pb2.LiteralType(simple=types_pb2.BOOLEAN)


def gate(node_id, *, inputs=None, after=(), timeout=None, **condition):
    made = workflow_pb2.Node(id=node_id, inputs=bindings(inputs or {}), upstream_node_ids=after)
    if timeout is not None:
        made.metadata.timeout.FromTimedelta(timeout)
    made.gate_node.CopyFrom(workflow_pb2.GateNode(**condition))
    return made


def asking(signal_id="how-many", kind=NUMBER):
    return {"signal": workflow_pb2.SignalCondition(signal_id=signal_id, type=kind, output_variable_name="o0")}


def approval(signal_id="go"):
    return {"approve": workflow_pb2.ApproveCondition(signal_id=signal_id)}


def sleep(duration):
    condition = workflow_pb2.SleepCondition()
    condition.duration.FromTimedelta(duration)
    return {"sleep": condition}


def integer(value):
    return literals(x=value).literals["x"]


def boolean(value):
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(boolean=value)))


@pytest.fixture
def signals(database):
    return Signals(database, now)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


def ended(database, execution):
    return stored(database, execution).phase in ENDED_EXECUTION


def parked(database, execution):
    """Whether it waits for its gates, and no worker has it."""
    row = stored(database, execution)
    return row.phase == "RUNNING" and row.lease_owner is None and row.lease_expires_at > 1


def question(log, **fields):
    """A number is asked for and goes through a task."""
    flow = workflow(
        "wf",
        gate("n0", **asking(), **fields),
        node("n1", task="t", inputs={"x": promise("n0", "o0")}),
        outputs={"o": promise("n1", "x")},
    )
    return closure(flow, tasks=[task("t", LOG=str(log))])


def consent(**fields):
    flow = workflow(
        "wf",
        gate("n0", inputs={"x": promise("", "x")}, **approval(), **fields),
        outputs={"o": promise("n0", "x")},
    )
    return closure(flow)


def test_an_execution_waits_without_a_slot_until_its_signal_is_answered(database, working, until, log, signals):
    execution = launch(database, "e1", question(log))
    with working(slots=1):
        until(lambda: parked(database, execution))
        other = launch(database, "e2", closure(workflow("wf", node("n0", task="u")), tasks=[task("u")]), created_at=2)
        until(lambda: ended(database, other))
        assert signals.ask(execution, "how-many", NUMBER).value is None
        assert nodes_of(database, execution)["n0"].phase == "RUNNING"
        signals.answer(execution, "how-many", integer(7))
        until(lambda: ended(database, execution))
    assert stored(database, execution).phase == "SUCCEEDED"
    assert outputs_of(database, execution) == literals(o=7)
    assert [one for one in lines(log) if one.startswith("start")] == ["start t 0"]


def test_an_answer_that_was_given_before_the_gate_comes_up_counts(database, working, until, log, signals):
    execution = launch(database, "e1", question(log))
    signals.ask(execution, "how-many", NUMBER)
    signals.answer(execution, "how-many", integer(3))
    with working():
        until(lambda: ended(database, execution))
    assert outputs_of(database, execution) == literals(o=3)


def test_a_gate_is_answered_while_a_task_runs_beside_it(database, working, until, log, tmp_path, signals):
    held = tmp_path / "held"
    flow = workflow(
        "wf",
        gate("n0", **asking()),
        node("n1", task="held"),
        node("n2", task="t", inputs={"x": promise("n0", "o0")}),
        outputs={"o": promise("n2", "x")},
    )
    tasks = [task("held", LOG=str(log), ACT="wait", GATE=str(held)), task("t", LOG=str(log))]
    execution = launch(database, "e1", closure(flow, tasks=tasks))
    with working():
        until(lambda: "ready held 0" in lines(log))
        signals.answer(execution, "how-many", integer(4))
        until(lambda: "end t 0" in lines(log))
        held.touch()
        until(lambda: ended(database, execution))
    assert outputs_of(database, execution) == literals(o=4)
    assert len(attempts_of(database, execution)) == 2


def test_what_is_approved_passes_through(database, working, until, signals):
    execution = launch(database, "e1", consent(), literals(x=5))
    with working():
        until(lambda: parked(database, execution))
        with pytest.raises(ApiError) as mistyped:
            signals.answer(execution, "go", integer(1))
        signals.answer(execution, "go", boolean(True))
        until(lambda: ended(database, execution))
    assert mistyped.value.reason is Reason.INVALID_FIELD
    assert outputs_of(database, execution) == literals(o=5)


def test_what_is_rejected_fails_by_its_signals_name(database, working, until, signals):
    execution = launch(database, "e1", consent(), literals(x=5))
    with working():
        until(lambda: parked(database, execution))
        signals.answer(execution, "go", boolean(False))
        until(lambda: ended(database, execution))
    row = stored(database, execution)
    assert (row.phase, row.error_code, row.error_kind) == ("FAILED", "REJECTED", "USER")
    assert row.error_message == "node n0 (go): it was not approved"


def test_a_signal_that_was_asked_for_as_another_type_fails_the_gate(database, working, until, signals):
    execution = launch(database, "e1", consent(), literals(x=5))
    signals.ask(execution, "go", NUMBER)
    signals.answer(execution, "go", integer(1))
    with working():
        until(lambda: ended(database, execution))
    assert (stored(database, execution).phase, stored(database, execution).error_code) == ("FAILED", "SIGNAL_MISTYPED")


def test_a_sleep_ends_in_its_time_whichever_worker_is_there_then(database, working, until):
    flow = workflow("wf", gate("n0", **sleep(HOUR)), node("n1", task="t", after=["n0"]))
    execution = launch(database, "e1", closure(flow))
    with working():
        until(lambda: parked(database, execution))
    wakes = stored(database, execution).lease_expires_at
    assert wakes == nodes_of(database, execution)["n0"].started_at + 3600 * 10**6
    with working(owner="worker-2", later_us=3500 * 10**6):
        other = launch(database, "e2", closure(workflow("wf", node("n0", task="t"))), created_at=2)
        until(lambda: ended(database, other))
    assert parked(database, execution)
    with working(owner="worker-3", later_us=3601 * 10**6):
        until(lambda: ended(database, execution))
    assert stored(database, execution).phase == "SUCCEEDED"
    assert [row.phase for row in nodes_of(database, execution).values()] == ["SUCCEEDED"] * 2


def test_a_sleep_beyond_all_time_is_parked_and_not_tried_again_and_again(database, working, until):
    condition = workflow_pb2.SleepCondition()
    condition.duration.seconds = 2**62
    execution = launch(database, "e1", closure(workflow("wf", gate("n0", sleep=condition))))
    with working():
        until(lambda: parked(database, execution))


def test_a_gate_that_nobody_answers_in_its_time_times_out(database, working, until, log):
    execution = launch(database, "e1", question(log, timeout=HOUR))
    with working():
        until(lambda: parked(database, execution))
    with working(owner="worker-2", later_us=3601 * 10**6):
        until(lambda: ended(database, execution))
    row = stored(database, execution)
    assert (row.phase, row.error_code) == ("FAILED", "TIMED_OUT")
    assert row.error_message == "node n0 (how-many): nobody answered within its timeout of 3600 s"
    assert nodes_of(database, execution)["n0"].phase == "TIMED_OUT"
    assert lines(log) == []


def test_an_execution_that_waits_is_ended_when_that_is_asked_for(database, working, until, log):
    execution = launch(database, "e1", question(log))
    with working():
        until(lambda: parked(database, execution))
        Executions(database, now).terminate(execution, cause="enough", principal="user:ada")
        until(lambda: ended(database, execution))
    assert stored(database, execution).phase == "ABORTED"
    assert nodes_of(database, execution)["n0"].phase == "ABORTED"


def test_the_next_worker_goes_on_with_what_was_parked(database, working, until, log, signals):
    execution = launch(database, "e1", question(log))
    with working():
        until(lambda: parked(database, execution))
    signals.answer(execution, "how-many", integer(9))
    with working(owner="worker-2", later_us=2 * LEASE_US):
        until(lambda: ended(database, execution))
    assert outputs_of(database, execution) == literals(o=9)


def test_an_answer_is_never_missed_however_it_meets_the_parking(database, working, until, log, signals):
    """Each is answered as soon as its signal is there, which is while its execution is being parked."""
    executions = [launch(database, f"e{number}", question(log), created_at=number) for number in range(1, 13)]

    def answer(execution):
        def answered():
            try:
                signals.answer(execution, "how-many", integer(1))
            except ApiError as error:
                if error.reason is not Reason.NOT_FOUND:
                    raise
                return False
            return True

        until(answered)

    with working(slots=4):
        with ThreadPoolExecutor(len(executions)) as threads:
            list(threads.map(answer, executions))
        until(lambda: all(ended(database, execution) for execution in executions))
    assert {stored(database, execution).phase for execution in executions} == {"SUCCEEDED"}
