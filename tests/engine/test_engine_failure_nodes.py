"""What a workflow runs when it has failed, and when that is."""

import random
from dataclasses import replace

from engine_graph import FAILS, USER, Run, begun
from engine_rows import closure, literals, node, promise, task, workflow
from flyteidl.core import literals_pb2, types_pb2
from hypothesis import given
from hypothesis import strategies as st

from airspace_server.core.execution import ENDED_EXECUTION, ENDED_NODE, ExecutionPhase, NodePhase
from airspace_server.engine import graph
from airspace_server.engine.graph import Aborted, State
from airspace_server.engine.outcome import Lost

OPTIONAL = types_pb2.LiteralType(
    union_type=types_pb2.UnionType(
        variants=[types_pb2.LiteralType(simple=types_pb2.NONE), types_pb2.LiteralType(simple=types_pb2.ERROR)]
    )
)
FAILED_NODE = replace(USER, message="node a (t): no runway")


def guarded(**options):
    """Two nodes beside each other, and a failure node that is told what has failed."""
    clean = task("clean")
    clean.interface.inputs.variables["err"].type.CopyFrom(OPTIONAL)
    clean.interface.inputs.variables["x"].type.simple = types_pb2.INTEGER
    failure = node("fn0", task="clean", inputs={"x": promise("", "x")})
    flow = workflow("wf", node("a", task="t"), node("b", task="t"), failure=failure, **options)
    return closure(flow, tasks=[task("t"), clean])


def test_it_does_not_run_when_nothing_has_failed():
    run = begun(guarded(), x=5)
    run.run("a")
    run.run("b")
    assert run.state.phase is ExecutionPhase.SUCCEEDED
    assert "fn0" not in run.state.nodes


def test_it_runs_when_nothing_else_does_any_more_and_is_told_what_has_failed():
    run = begun(guarded(), x=5)
    run.start("b")
    run.run("a", FAILS)
    assert run.surplus() == ["b"]
    assert "fn0" not in run.state.nodes
    run.end("b", Lost(USER))
    assert run.waiting() == ["fn0"]
    assert run.surplus() == []
    assert (run.state.phase, run.state.error) == (ExecutionPhase.FAILING, FAILED_NODE)
    inputs = run.state.nodes["fn0"].inputs.literals
    assert inputs["x"] == literals(x=5).literals["x"]
    told = inputs["err"].scalar.union
    assert told.type.simple == types_pb2.ERROR
    assert told.value.scalar.error == types_pb2.Error(failed_node_id="a", message=FAILED_NODE.message)
    run.run("fn0")
    assert (run.state.phase, run.state.error) == (ExecutionPhase.FAILED, FAILED_NODE)


def test_that_it_fails_itself_changes_nothing_of_the_error():
    run = begun(guarded(), x=5)
    run.run("a", FAILS)
    run.run("fn0", FAILS)
    assert run.phase("fn0") is NodePhase.FAILED
    assert (run.state.phase, run.state.error) == (ExecutionPhase.FAILED, FAILED_NODE)


def test_a_failure_node_whose_inputs_have_no_value_fails():
    run = Run(guarded())
    run.state = State(ExecutionPhase.QUEUED, literals_pb2.LiteralMap(), {})
    run.apply(graph.Begun())
    run.run("a", FAILS)
    assert run.phase("fn0") is NodePhase.FAILED
    assert run.state.phase is ExecutionPhase.FAILED


def test_whoever_aborts_wants_nothing_more_to_run():
    run = begun(guarded(), x=5)
    run.start("a")
    run.apply(Aborted())
    run.end("a", FAILS)
    assert (run.state.phase, "fn0" in run.state.nodes) == (ExecutionPhase.ABORTED, False)
    run = begun(guarded(), x=5)
    run.run("a", FAILS)
    run.start("fn0")
    run.apply(Aborted())
    assert run.surplus() == ["fn0"]
    run.end("fn0", Lost(USER))
    assert (run.state.phase, run.phase("fn0")) == (ExecutionPhase.ABORTED, NodePhase.ABORTED)


def test_a_sub_workflow_can_be_one_and_have_one():
    inner = workflow("inner", node("a", task="t"), failure=node("fn0", workflow="clean"))
    clean = workflow("clean", node("c", task="u"), node("d", task="u", after=["c"]))
    outer = workflow("outer", node("n", workflow="inner"), node("m", task="v"), failure=node("fn0", task="w"))
    run = begun(closure(outer, inner, clean))
    run.start("m")
    run.run("n-0-a", FAILS)
    assert run.waiting() == ["n-0-fn0-0-c"]
    run.run("n-0-fn0-0-c")
    run.run("n-0-fn0-0-d")
    assert (run.phase("n-0-fn0"), run.phase("n")) == (NodePhase.SUCCEEDED, NodePhase.FAILED)
    assert run.waiting() == []
    run.end("m", Lost(USER))
    assert run.waiting() == ["fn0"]
    run.run("fn0")
    assert run.state.error.message == "node n-0-a (t): no runway"


def test_a_recovered_execution_cleans_up_again_when_it_fails_again():
    inner = workflow("inner", node("a", task="t"), failure=node("fn0", workflow="clean"))
    clean = workflow("clean", node("c", task="u"))
    compiled = closure(workflow("outer", node("n", workflow="inner")), inner, clean)
    before = begun(compiled)
    before.run("n-0-a", FAILS)
    before.run("n-0-fn0-0-c")
    kept = {id_: one for id_, one in before.state.nodes.items() if one.phase is NodePhase.SUCCEEDED}
    assert kept.keys() == {"n-0-fn0", "n-0-fn0-0-c"}
    run = Run(compiled)
    run.state = State(ExecutionPhase.QUEUED, before.state.inputs, kept)
    run.apply(graph.Begun())
    assert run.state.nodes.keys() == {"n", "n-0-a"}
    run.run("n-0-a", FAILS)
    assert run.waiting() == ["n-0-fn0-0-c"]


@given(st.booleans(), st.sets(st.sampled_from(["a", "b"]), min_size=1), st.integers(), st.integers())
def test_whatever_the_order_it_runs_once_and_last(goes_on, bad, one, other):
    def drive(chance):
        run, running = begun(guarded(goes_on=goes_on), x=5), []
        while run.state.phase not in ENDED_EXECUTION:
            ready = run.waiting()
            if "fn0" in ready:
                assert not running
            if ready and (not running or chance.random() < 0.5):
                running.append(chance.choice(ready))
                run.start(running[-1])
            else:
                ended = running.pop(chance.randrange(len(running)))
                if ended in bad:
                    run.end(ended, FAILS)
                else:
                    run.apply(graph.AttemptEnded(ended, 0, graph.Succeeded(literals(o=1))))
        assert all(each.phase in ENDED_NODE for each in run.state.nodes.values())
        return run.state.phase, run.phase("fn0")

    assert drive(random.Random(one)) == drive(random.Random(other)) == (ExecutionPhase.FAILED, NodePhase.SUCCEEDED)
