import random
from dataclasses import replace

import pytest
from engine_graph import AGAIN, FAILS, SYSTEM, USER, Run, begun
from engine_rows import array as items
from engine_rows import branch, closure, literals, more_than, node, promise, task, workflow
from flyteidl.core import literals_pb2
from hypothesis import given
from hypothesis import strategies as st

from airspace_server.core.execution import (
    ENDED_EXECUTION,
    ENDED_NODE,
    AttemptPhase,
    ErrorKind,
    ExecutionError,
    ExecutionPhase,
    NodePhase,
)
from airspace_server.engine import graph
from airspace_server.engine.graph import Aborted, AttemptEnded, AttemptStarted, Begun
from airspace_server.engine.outcome import Failed, Lost, Outcome, Succeeded, TimedOut
from airspace_server.engine.plan import NotRunnableError, parse, unique_id


def chain(*, retries=0, goes_on=False):
    first = node("a", task="t", inputs={"x": promise("", "x")}, retries=retries)
    second = node("b", task="t", inputs={"x": promise("a", "o")})
    return closure(workflow("wf", first, second, outputs={"o": promise("b", "o")}, goes_on=goes_on))


def test_nodes_run_in_the_order_of_their_dependencies_and_outputs_flow():
    run = begun(chain(), x=5)
    assert run.waiting() == ["a"]
    assert run.state.nodes["a"].inputs == literals(x=5)
    run.run("a", Succeeded(literals(o=7)))
    assert run.waiting() == ["b"]
    assert run.state.nodes["b"].inputs == literals(x=7)
    run.run("b", Succeeded(literals(o=9)))
    assert run.state.phase is ExecutionPhase.SUCCEEDED
    assert run.state.outputs == literals(o=9)
    assert [(move.node_id, move.phase.value, move.attempt) for move in run.recorded] == [
        (None, "RUNNING", 0),
        ("a", "QUEUED", 0),
        ("a", "RUNNING", 1),
        ("a", "SUCCEEDED", 1),
        ("b", "QUEUED", 0),
        ("b", "RUNNING", 1),
        ("b", "SUCCEEDED", 1),
        (None, "SUCCEEDED", 0),
    ]


def test_a_failure_names_the_node_and_keeps_what_the_task_said():
    run = begun(chain(), x=1)
    run.run("a", FAILS)
    assert run.state.phase is ExecutionPhase.FAILED
    assert run.state.error == replace(USER, message="node a (t): no runway")
    assert run.state.nodes["a"].error == USER
    assert run.phase("b") is NodePhase.SKIPPED


def test_a_retryable_failure_is_tried_again_as_often_as_the_task_allows():
    run = begun(chain(retries=2), x=1)
    for _ in range(2):
        run.run("a", AGAIN)
        assert run.waiting() == ["a"]
        assert run.phase("a") is NodePhase.RUNNING
        assert run.recorded[-1].error == USER
    run.run("a", AGAIN)
    assert run.phase("a") is NodePhase.FAILED
    assert [one.phase for one in run.state.nodes["a"].attempts] == [AttemptPhase.FAILED] * 3


def test_a_failure_that_is_not_retryable_is_not_tried_again():
    run = begun(chain(retries=9), x=1)
    run.run("a", FAILS)
    assert run.state.phase is ExecutionPhase.FAILED


def test_errors_of_the_system_have_retries_of_their_own():
    run = begun(chain(retries=1), x=1)
    run.run("a", AGAIN)
    for _ in range(graph.SYSTEM_RETRIES):
        run.run("a", Failed(SYSTEM, retryable=True))
        assert run.waiting() == ["a"]
    run.run("a", Failed(SYSTEM, retryable=True))
    assert run.phase("a") is NodePhase.FAILED


def test_lost_attempts_cost_no_retries():
    run = begun(chain(), x=1)
    for _ in range(graph.LOST_RETRIES):
        run.run("a", Lost(SYSTEM))
    run.run("a")
    assert run.phase("a") is NodePhase.SUCCEEDED
    assert len(run.state.nodes["a"].attempts) == graph.LOST_RETRIES + 1


def test_a_task_that_takes_its_worker_down_every_time_fails_in_the_end():
    run = begun(chain(), x=1)
    for _ in range(graph.LOST_RETRIES + 1):
        run.run("a", Lost(SYSTEM))
    assert run.phase("a") is NodePhase.FAILED


def test_a_timeout_is_tried_again_and_then_ends_the_node():
    run = begun(chain(retries=1), x=1)
    run.run("a", TimedOut(USER))
    assert run.waiting() == ["a"]
    run.run("a", TimedOut(USER))
    assert run.phase("a") is NodePhase.TIMED_OUT
    assert run.state.phase is ExecutionPhase.FAILED


def parallel(*, goes_on):
    nodes = [
        node("a", task="t"),
        node("b", task="t"),
        node("c", task="t", after=["b"]),
        node("d", task="t", after=["a"]),
    ]
    return closure(workflow("wf", *nodes, goes_on=goes_on))


def test_a_workflow_that_fails_at_once_ends_what_still_runs():
    run = begun(parallel(goes_on=False))
    run.start("b")
    run.run("a", FAILS)
    assert run.state.phase is ExecutionPhase.FAILING
    assert run.surplus() == ["b"]
    run.end("b", Failed(SYSTEM, retryable=True))
    assert run.state.phase is ExecutionPhase.FAILED
    assert [run.phase(one).value for one in "abcd"] == ["FAILED", "ABORTED", "SKIPPED", "SKIPPED"]


def test_a_node_that_waits_for_a_slot_ends_with_its_workflow():
    run = begun(parallel(goes_on=False))
    run.run("a", FAILS)
    assert run.phase("b") is NodePhase.ABORTED
    assert run.state.phase is ExecutionPhase.FAILED


def test_a_workflow_that_goes_on_runs_what_does_not_need_the_failed_node():
    run = begun(parallel(goes_on=True))
    run.run("a", FAILS)
    assert run.state.phase is ExecutionPhase.FAILING
    assert run.surplus() == []
    run.run("b")
    run.run("c")
    assert run.state.phase is ExecutionPhase.FAILED
    assert [run.phase(one).value for one in "abcd"] == ["FAILED", "SUCCEEDED", "SUCCEEDED", "SKIPPED"]


def nested(*, goes_on=False, inner_goes_on=False):
    inner = workflow(
        "inner",
        node("n0", task="t", inputs={"x": promise("", "x")}),
        node("n1", task="t"),
        outputs={"o": promise("n0", "o")},
        goes_on=inner_goes_on,
    )
    outer = workflow(
        "outer",
        node("n0", task="t"),
        node("n1", workflow="inner", inputs={"x": promise("n0", "o")}),
        outputs={"o": promise("n1", "o")},
        goes_on=goes_on,
    )
    return closure(outer, inner)


def test_a_sub_workflow_runs_its_own_nodes_on_its_own_inputs():
    run = begun(nested())
    run.run("n0", Succeeded(literals(o=3)))
    assert run.waiting() == ["n1-0-n0", "n1-0-n1"]
    assert run.state.nodes["n1-0-n0"].inputs == literals(x=3)
    run.run("n1-0-n0", Succeeded(literals(o=4)))
    assert run.phase("n1") is NodePhase.RUNNING
    run.run("n1-0-n1")
    assert run.state.nodes["n1"].outputs == literals(o=4)
    assert run.state.outputs == literals(o=4)


def test_a_failure_inside_a_sub_workflow_names_the_innermost_node_once():
    run = begun(nested())
    run.run("n0", Succeeded(literals(o=3)))
    run.start("n1-0-n1")
    run.run("n1-0-n0", FAILS)
    assert run.surplus() == ["n1-0-n1"]
    assert run.phase("n1") is NodePhase.RUNNING
    run.end("n1-0-n1", Lost(SYSTEM))
    assert run.phase("n1") is NodePhase.FAILED
    assert run.state.error.message == "node n1-0-n0 (t): no runway"


def test_abort_ends_everything_and_what_had_succeeded_stays_so():
    run = begun(nested())
    run.run("n0", Succeeded(literals(o=3)))
    run.start("n1-0-n0")
    run.start("n1-0-n1")
    run.apply(Aborted())
    assert run.state.phase is ExecutionPhase.ABORTING
    assert sorted(run.surplus()) == ["n1-0-n0", "n1-0-n1"]
    run.end("n1-0-n0", Succeeded(literals(o=4)))
    run.end("n1-0-n1", Failed(SYSTEM, retryable=True))
    assert run.state.phase is ExecutionPhase.ABORTED
    assert run.state.error is None
    phases = {one: run.phase(one).value for one in run.state.nodes}
    assert phases == {"n0": "SUCCEEDED", "n1": "ABORTED", "n1-0-n0": "SUCCEEDED", "n1-0-n1": "ABORTED"}


def test_abort_of_an_execution_that_did_not_begin_ends_it_at_once():
    run = Run(chain(), x=1)
    run.apply(Aborted())
    assert run.state.phase is ExecutionPhase.ABORTED
    assert run.waiting() == []


def test_a_node_whose_input_has_no_value_fails_with_the_reason():
    broken = workflow("wf", node("a", task="t"), node("b", task="t", inputs={"x": promise("a", "nothing")}))
    run = begun(closure(broken))
    run.run("a")
    assert run.phase("b") is NodePhase.FAILED
    assert run.state.error.message == "node b (t): x is bound to output nothing of node a, which has no value"


def large(size):
    made = literals_pb2.LiteralMap()
    made.literals["o"].scalar.primitive.string_value = "x" * size
    return made


def test_what_one_output_is_multiplied_to_by_many_nodes_is_bounded():
    # Of what the nodes of one execution hold, the worker of everybody would otherwise run out of memory.
    taking = [node(f"n{place}", task="t", inputs={"x": promise("first", "o")}) for place in range(20)]
    run = begun(closure(workflow("w", node("first", task="t"), *taking)))
    run.run("first", Succeeded(large(graph.MAX_VALUES // 10)))
    states = run.state.nodes.values()
    held = [values for state in states for values in (state.inputs, state.outputs) if values is not None]
    assert sum(values.ByteSize() for values in held) <= graph.MAX_VALUES
    refused = [state for state in states if state.phase is NodePhase.FAILED]
    assert refused
    assert {state.error.code for state in refused} == {"BINDING_UNRESOLVED"}
    assert "bytes that are left" in refused[0].error.message


def test_constants_count_among_what_is_held():
    text = literals_pb2.BindingData()
    text.scalar.primitive.string_value = "x" * (graph.MAX_VALUES // 8)
    nodes = [node(f"n{place}", task="t", inputs={"x": text}) for place in range(8)]
    run = begun(closure(workflow("w", *nodes, goes_on=True)))
    assert [run.phase(f"n{place}") for place in range(8)] == [NodePhase.QUEUED] * 7 + [NodePhase.FAILED]


def test_what_one_step_looks_through_for_parts_is_bounded():
    # Nothing of anybody else moves meanwhile.
    document = literals_pb2.LiteralMap()
    document.literals["o"].scalar.binary.tag = "msgpack"
    document.literals["o"].scalar.binary.value = b"\xc4\x01x" + b"\x01" * (graph.MAX_LOOKED // 8)
    document.literals["s"].scalar.generic["k"] = "x" * (graph.MAX_LOOKED // 8)
    for var in ("o", "s"):
        key = 0 if var == "o" else "k"
        taking = [node(f"n{place}", task="t", inputs={"x": promise("first", var, key)}) for place in range(12)]
        run = begun(closure(workflow("w", node("first", task="t"), *taking)))
        run.run("first", Succeeded(document))
        said = [run.state.nodes[f"n{place}"].error for place in range(12)]
        assert any(error and "looked through" in error.message for error in said)


def test_what_many_tasks_return_is_bounded_whoever_counted_before():
    # A worker that takes over has not counted; nothing is let in by that.
    run = begun(closure(workflow("w", *[node(f"n{place}", task="t") for place in range(9)], goes_on=True)))
    for place in range(9):
        run.state = replace(run.state, size=None)
        run.run(f"n{place}", Succeeded(large(graph.MAX_VALUES // 8)))
    assert [run.phase(f"n{place}") for place in range(8)] == [NodePhase.SUCCEEDED] * 7 + [NodePhase.FAILED]
    assert run.state.nodes["n7"].error.code == "OUTPUTS_TOO_LARGE"


def test_an_output_without_a_value_fails_the_execution():
    run = begun(closure(workflow("wf", node("a", task="t"), outputs={"o": promise("a", "nothing")})))
    run.run("a")
    assert run.state.phase is ExecutionPhase.FAILED
    assert run.state.error.code == "BINDING_UNRESOLVED"


def test_a_workflow_without_nodes_succeeds_with_its_inputs():
    run = begun(closure(workflow("wf", outputs={"o": promise("", "x")})), x=2)
    assert run.state.outputs == literals(o=2)


@pytest.mark.parametrize(
    ("events", "event"),
    [
        ([], AttemptStarted("a", "h", "u")),
        ([], AttemptEnded("a", 0, FAILS)),
        ([Begun()], Begun()),
        ([Begun()], AttemptStarted("b", "h", "u")),
        ([Begun()], AttemptStarted("nobody", "h", "u")),
        ([Begun()], AttemptEnded("a", 0, FAILS)),
        ([Begun(), AttemptStarted("a", "h", "u")], AttemptStarted("a", "h", "u")),
        ([Begun(), AttemptStarted("a", "h", "u")], AttemptEnded("a", 1, FAILS)),
        ([Begun(), AttemptStarted("a", "h", "u"), AttemptEnded("a", 0, FAILS)], Aborted()),
        ([Begun(), AttemptStarted("a", "h", "u"), AttemptEnded("a", 0, FAILS)], AttemptEnded("a", 0, FAILS)),
    ],
)
def test_events_that_cannot_happen_are_refused(events, event):
    run = Run(chain(), x=1)
    for one in events:
        run.apply(one)
    with pytest.raises(graph.IllegalEventError):
        run.apply(event)


def test_an_execution_that_cannot_go_on_is_failed_with_all_its_open_nodes():
    run = begun(nested())
    run.start("n0")
    step = graph.refuse(run.state, SYSTEM)
    assert step.state.phase is ExecutionPhase.FAILED
    assert step.state.error == SYSTEM
    assert step.state.nodes["n0"].attempts[0].phase is AttemptPhase.ABORTED
    assert step.state.nodes["n0"].phase is NodePhase.ABORTED
    aborting = graph.refuse(replace(run.state, phase=ExecutionPhase.ABORTING), SYSTEM)
    assert aborting.state.phase is ExecutionPhase.ABORTED


def choosing(*, otherwise=True, error="", inner=None):
    """A workflow that runs "much" for more than 5, "some" for more than 2, and else "none" or nothing."""
    x = {"x": promise("n0", "o")}
    choice = branch(
        "n1",
        (more_than("n0.o", 5), inner or node("n0", task="much", inputs=x)),
        (more_than("n0.o", 2), node("n1", task="some", inputs={"x": promise("", "x")})),
        inputs={"n0.o": promise("n0", "o")},
        otherwise=node("n2", task="none", inputs=x) if otherwise else None,
        error=error,
    )
    last = node("n2", task="t", inputs={"x": promise("n1", "o")})
    return closure(workflow("wf", node("n0", task="t"), choice, last, outputs={"o": promise("n2", "o")}))


@pytest.mark.parametrize(("value", "chosen", "given"), [(6, "n0", 6), (3, "n1", 9), (1, "n2", 1)])
def test_of_a_branch_the_first_case_that_holds_is_run_and_no_other(value, chosen, given):
    run = begun(choosing(), x=9)
    assert run.waiting() == ["n0"]
    run.run("n0", Succeeded(literals(o=value)))
    assert run.waiting() == [f"n1-0-{chosen}"]
    assert run.state.nodes[f"n1-0-{chosen}"].inputs == literals(x=given)  # of the workflow, not of the cases
    passed_by = {"n0", "n1", "n2"} - {chosen}
    assert {run.phase(f"n1-0-{each}") for each in passed_by} == {NodePhase.SKIPPED}
    assert run.phase("n1") is NodePhase.RUNNING
    run.run(f"n1-0-{chosen}", Succeeded(literals(o=70)))
    assert (run.phase("n1"), run.state.nodes["n1"].outputs) == (NodePhase.SUCCEEDED, literals(o=70))
    assert run.state.nodes["n2"].inputs == literals(x=70)
    run.run("n2", Succeeded(literals(o=71)))
    assert (run.state.phase, run.state.outputs) == (ExecutionPhase.SUCCEEDED, literals(o=71))


def test_a_branch_is_decided_once_however_many_cases_it_has(monkeypatch):
    decided = []
    first = graph.first
    monkeypatch.setattr(graph, "first", lambda *asked: decided.append(1) or first(*asked))
    cases = [(more_than("x", 10 + place), node(f"c{place}", task="t")) for place in range(20)]
    made = branch("b", *cases, inputs={"x": promise("", "x")}, otherwise=node("last", task="t"))
    run = begun(closure(workflow("w", made)), x=1)
    assert run.waiting() == ["b-0-last"]
    assert len(decided) == 1


@pytest.mark.parametrize(("error", "said"), [("too little", "too little"), ("", "none of its conditions holds")])
def test_a_branch_without_a_case_that_holds_fails_as_its_author_says(error, said):
    run = begun(choosing(otherwise=False, error=error), x=9)
    run.run("n0", Succeeded(literals(o=1)))
    assert run.state.error == ExecutionError("NO_BRANCH", f"branch n1 (choice n1): {said}", ErrorKind.USER)
    assert (run.state.phase, run.phase("n1")) == (ExecutionPhase.FAILED, NodePhase.FAILED)
    assert set(run.state.nodes) == {"n0", "n1", "n2"}
    assert run.phase("n2") is NodePhase.SKIPPED


def test_a_failure_inside_a_branch_names_the_innermost_node_once():
    run = begun(choosing(), x=9)
    run.run("n0", Succeeded(literals(o=6)))
    run.run("n1-0-n0", FAILS)
    assert run.state.error.message == "node n1-0-n0 (much): no runway"
    assert (run.phase("n1"), run.phase("n2")) == (NodePhase.FAILED, NodePhase.SKIPPED)


def test_branches_stand_in_branches_and_in_sub_workflows_and_hold_sub_workflows():
    inner = branch(
        "n0",
        (more_than("n0.o", 7), node("n0", workflow="sub", inputs={"x": promise("n0", "o")})),
        inputs={"n0.o": promise("n0", "o")},
        otherwise=node("n1", task="t"),
    )
    outer = choosing(inner=inner)
    sub = workflow("sub", node("n0", task="t", inputs={"x": promise("", "x")}), outputs={"o": promise("n0", "o")})
    body = outer.primary.template
    body.id.name = "body"
    top = workflow("wf", node("a", workflow="body", inputs={"x": promise("", "x")}), outputs={"o": promise("a", "o")})
    names = ("much", "some", "none", "t")
    run = begun(closure(top, body, sub, tasks=[task(name) for name in names]), x=9)
    run.run("a-0-n0", Succeeded(literals(o=8)))
    assert run.waiting() == ["a-0-n1-0-n0-0-n0-0-n0"]
    assert run.state.nodes["a-0-n1-0-n0-0-n0-0-n0"].inputs == literals(x=8)
    run.run("a-0-n1-0-n0-0-n0-0-n0", Succeeded(literals(o=50)))
    assert run.state.nodes["a-0-n2"].inputs == literals(x=50)
    run.run("a-0-n2", Succeeded(literals(o=51)))
    assert run.state.outputs == literals(o=51)


def test_a_branch_waits_for_what_any_of_its_cases_is_bound_to():
    choice = branch(
        "n2",
        (more_than("n0.o", 5), node("n0", task="t", inputs={"x": promise("n1", "o")})),
        inputs={"n0.o": promise("n0", "o")},
        otherwise=node("n1", task="t"),
    )
    run = begun(closure(workflow("wf", node("n0", task="t"), node("n1", task="t"), choice)))
    run.run("n0", Succeeded(literals(o=9)))
    assert run.waiting() == ["n1"]
    run.run("n1", Succeeded(literals(o=4)))
    assert run.state.nodes["n2-0-n0"].inputs == literals(x=4)


def test_what_waits_in_a_branch_ends_with_its_workflow():
    run = begun(choosing(), x=9)
    run.run("n0", Succeeded(literals(o=6)))
    run.apply(Aborted())
    assert (run.phase("n1-0-n0"), run.phase("n1")) == (NodePhase.ABORTED, NodePhase.ABORTED)
    assert run.state.phase is ExecutionPhase.ABORTED


def test_a_gate_is_ended_by_what_it_waits_for_alone_and_once():
    flow = workflow("wf", node("a", task="t"), node("b", task="t", after=["a"]))
    flow.nodes[0].gate_node.sleep.duration.seconds = 1
    run = begun(closure(flow, tasks=[task("t")]))
    assert (run.phase("a"), list(graph.waiting(run.state)), list(graph.gates(run.state))) == (
        NodePhase.RUNNING,
        [],
        ["a"],
    )
    assert graph.only_gates_wait(run.state)
    for event in (AttemptStarted("a", "", ""), graph.GateEnded("b", Succeeded(literals()))):
        with pytest.raises(graph.IllegalEventError):
            run.apply(event)
    run.apply(graph.GateEnded("a", Succeeded(literals())))
    assert (run.phase("a"), run.phase("b")) == (NodePhase.SUCCEEDED, NodePhase.QUEUED)
    assert not graph.only_gates_wait(run.state)
    with pytest.raises(graph.IllegalEventError):
        run.apply(graph.GateEnded("a", Succeeded(literals())))


def refusal(compiled):
    with pytest.raises(NotRunnableError) as raised:
        parse(compiled)
    return str(raised.value)


def test_constructs_that_cannot_be_run_are_refused_by_name():
    array = workflow("wf", node("a", task="t"))
    array.nodes[0].array_node.parallelism = 1
    assert refusal(closure(array)) == "node a is a array_node, which cannot be run yet"
    launch_plan = workflow("wf", node("a", task="t"))
    launch_plan.nodes[0].workflow_node.launchplan_ref.name = "other"
    assert refusal(closure(launch_plan)) == "node a is a launchplan_ref, which cannot be run yet"
    failing = workflow("wf", node("a", task="t"))
    failing.failure_node.CopyFrom(items("fn0", task="t", inputs={}))
    assert refusal(closure(failing)) == "failure node fn0 runs neither a task nor a workflow"


def test_nodes_stand_behind_what_they_wait_for_in_whatever_order_they_are_written():
    # Else each step would look at all of them once for each of them, and of ten thousand for minutes, in the one thread
    # that moves everybody's executions.
    written = [node("c", task="t", after=["b"]), node("b", task="t", after=["a"]), node("a", task="t")]
    taking = node("d", task="t", inputs={"x": promise("e", "o")})
    nodes = parse(closure(workflow("w", *written, taking, node("e", task="t")))).frames[""].nodes
    assert [each.id for each in nodes] == ["a", "b", "c", "e", "d"]
    kept = parse(closure(workflow("w", node("z", task="t"), node("y", task="t"), node("x", task="t", after=["z"]))))
    assert [each.id for each in kept.frames[""].nodes] == ["z", "y", "x"]


def test_a_failure_is_passed_on_in_one_look_at_each_node(monkeypatch):
    looks = []
    visit = graph._Move._visit
    monkeypatch.setattr(graph._Move, "_visit", lambda move, node, ending: looks.append(1) or visit(move, node, ending))
    after = [node(f"n{place}", task="t", after=[f"n{place - 1}"]) for place in range(50, 0, -1)]
    run = begun(closure(workflow("w", *after, node("n0", task="t"), goes_on=True)))
    run.start("n0")
    looks.clear()
    run.end("n0", FAILS)
    assert run.phase("n50") is NodePhase.SKIPPED
    assert len(looks) <= 2 * 51


def test_graphs_that_would_never_end_or_never_begin_are_refused():
    circle = workflow("wf", node("a", task="t", after=["b"]), node("b", task="t", inputs={"x": promise("a", "o")}))
    assert "in a circle" in refusal(closure(circle))
    assert "does not have" in refusal(closure(workflow("wf", node("a", task="t", after=["z"]))))
    assert "does not hold" in refusal(closure(workflow("wf", node("a", task="t")), tasks=[]))
    itself = workflow("wf", node("a", workflow="wf"))
    assert "deep in one another" in refusal(closure(itself, itself))
    wide = workflow("w0", *(node(f"n{n}", task="t") for n in range(101)))
    wider = workflow("w1", *(node(f"n{n}", workflow="w0") for n in range(100)))
    assert "more than 10000 nodes" in refusal(closure(wider, wide))


@pytest.mark.parametrize("bad", ["../../etc", "a/b", ".", "a b", "-a", "a" * 64])
def test_node_ids_that_are_no_safe_names_are_refused(bad):
    assert "a node's id" in refusal(closure(workflow("wf", node(bad, task="t"))))


def test_two_nodes_never_share_an_id():
    inner = workflow("inner", node("n0", task="t"))
    outer = workflow("outer", node("n1", workflow="inner"), node("n1-0-n0", task="t"))
    assert refusal(closure(outer, inner)) == "two nodes of the workflow would be n1-0-n0"


def test_long_ids_are_hashed_and_stay_the_same():
    long = unique_id("n" * 40, "m" * 40)
    assert long == unique_id("n" * 40, "m" * 40)
    assert len(long) == 32
    assert unique_id("n1", "n0") == "n1-0-n0"


def test_retries_and_timeouts_are_the_tasks_unless_the_node_has_its_own():
    own = node("a", task="t", retries=4, seconds=9)
    plan = parse(closure(workflow("wf", own, node("b", task="t")), tasks=[task("t", retries=2, seconds=1.5)]))
    assert (plan.nodes["a"].retries, plan.nodes["a"].timeout_us) == (4, 9_000_000)
    assert (plan.nodes["b"].retries, plan.nodes["b"].timeout_us) == (2, 1_500_000)


# --- any graph, in any order


@st.composite
def compilations(draw):
    """Workflows of up to seven nodes, some of them sub-workflows, every node adding up what is before it."""

    def flow(name, inner):
        count = draw(st.integers(1, 7))
        made = []
        for index in range(count):
            before = draw(st.sets(st.integers(0, index - 1), max_size=3)) if index else set()
            inputs = {f"x{one}": promise(f"n{one}", "o") for one in sorted(before)} | {"x": promise("", "x")}
            nests = inner and draw(st.booleans())
            shape = {"workflow": inner} if nests else {"task": "t"}
            if draw(st.integers(0, 3)) == 0:
                made.append(chooses(index, inputs, draw))
                continue
            made.append(
                node(
                    f"n{index}",
                    inputs=inputs if not nests else {"x": inputs["x"]},
                    after=[f"n{one}" for one in before],
                    **shape,
                )
            )
        order = draw(st.permutations(made))
        return workflow(name, *order, outputs={"o": promise(f"n{count - 1}", "o")}, goes_on=True)

    def chooses(index, inputs, draw):
        def case(name):
            return node(name, task="t", inputs=inputs)

        limit = draw(st.integers(0, 4))
        names = draw(st.permutations(["n0", "n1"]))  # names that nodes around it have too
        first = (more_than("x", limit), case(names[0]))
        return branch(f"n{index}", first, inputs=inputs, otherwise=case(names[1]))

    inner = flow("inner", "")
    return closure(flow("outer", "inner"), inner)


def outcome_of(run: Run, node_id: str, bad: set[str]) -> Outcome:
    if node_id in bad:
        return FAILS
    total = 1 + sum(one.scalar.primitive.integer for one in run.state.nodes[node_id].inputs.literals.values())
    return Succeeded(literals(o=total))


def drive(compiled, bad: set[str], chance: random.Random) -> Run:
    """Run to the end, starting and ending in a random order, losing attempts now and then."""
    run = begun(compiled, x=1)
    running: list[str] = []
    for _ in range(10_000):
        if run.state.phase in ENDED_EXECUTION:
            return run
        ready = run.waiting()
        assert ready or running
        if ready and (not running or chance.random() < 0.5):
            chosen = chance.choice(ready)
            check_ready(run, chosen)
            run.start(chosen)
            running.append(chosen)
        else:
            chosen = running.pop(chance.randrange(len(running)))
            before = dict(run.state.nodes)
            run.end(chosen, Lost(SYSTEM) if chance.random() < 0.1 else outcome_of(run, chosen, bad))
            for known in before.values():
                assert known.phase not in ENDED_NODE or run.state.nodes[known.id] is known
    raise AssertionError("the execution does not end")


def check_ready(run: Run, node_id: str) -> None:
    for before in run.plan.nodes[node_id].upstream:
        assert run.phase(before) is NodePhase.SUCCEEDED


def summary(run: Run):
    nodes = {one.id: (one.phase, one.inputs, one.outputs, one.error) for one in run.state.nodes.values()}
    return run.state.phase, run.state.outputs, run.state.error, nodes


@given(compilations(), st.integers(), st.integers(), st.integers(0, 2), st.randoms(use_true_random=False))
def test_the_order_of_events_changes_nothing_and_no_node_is_lost(compiled, one, other, failures, chance):
    tasks = [node_id for node_id, found in parse(compiled).nodes.items() if found.entity.kind == "TASK"]
    bad = set(chance.sample(tasks, min(failures, len(tasks))))
    first = drive(compiled, bad, random.Random(one))
    second = drive(compiled, bad, random.Random(other))
    assert summary(first) == summary(second)
    if not bad:
        assert first.state.phase is ExecutionPhase.SUCCEEDED
        for known in first.plan.nodes.values():
            around = first.state.nodes.get(known.frame)
            skipped = around is not None and around.phase is NodePhase.SKIPPED
            assert (known.id in first.state.nodes) is not skipped
            if known.frame and around is not None and around.entity.kind == "BRANCH":
                cases = [first.state.nodes[each.id].phase for each in first.plan.frames[known.frame].nodes]
                assert cases.count(NodePhase.SUCCEEDED) == 1
    for found in first.plan.frames[""].nodes:
        assert first.state.nodes[found.id].phase in ENDED_NODE


@given(compilations(), st.randoms(use_true_random=False))
def test_an_abort_at_any_moment_ends_everything(compiled, chance):
    run = begun(compiled, x=1)
    running: list[str] = []
    for _ in range(chance.randrange(12)):
        ready = run.waiting()
        if ready and chance.random() < 0.6:
            running.append(chance.choice(ready))
            run.start(running[-1])
        elif running:
            done = running.pop()
            run.end(done, outcome_of(run, done, set()))
    if run.state.phase in ENDED_EXECUTION:
        return
    run.apply(Aborted())
    assert sorted(run.surplus()) == sorted(running)
    assert run.waiting() == []
    for left in running:
        run.end(left, Lost(SYSTEM))
    assert run.state.phase is ExecutionPhase.ABORTED
    assert all(one.phase in ENDED_NODE for one in run.state.nodes.values())
