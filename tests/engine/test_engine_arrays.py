"""A task that is run for each item of a list: what each is given, how many may fail, and what comes of all."""

import random

import pytest
from engine_graph import AGAIN, FAILS, Run
from engine_rows import array, closure, constant, integer, listed, node, promise, task, workflow
from flyteidl.core import literals_pb2, workflow_pb2
from hypothesis import given
from hypothesis import strategies as st

from airspace_server.core.execution import ENDED_NODE, ExecutionPhase, NodePhase
from airspace_server.engine import graph
from airspace_server.engine.arrays import MAX_ITEMS, Array, ArrayError
from airspace_server.engine.graph import Aborted
from airspace_server.engine.outcome import Lost, Succeeded
from airspace_server.engine.plan import NotRunnableError, parse

NONE = literals_pb2.Literal(scalar=literals_pb2.Scalar(none_type=literals_pb2.Void()))


def mapped(**options):
    return closure(
        workflow(
            "wf",
            array("a", task="t", inputs={"x": promise("", "xs"), "y": constant(7)}, **options),
            node("b", task="u", inputs={"x": promise("a", "o")}),
            outputs={"o": promise("a", "o")},
        ),
        tasks=[task("t", outputs=["o"]), task("u")],
    )


def of(*values, **options):
    run = Run(mapped(**options))
    run.state = graph.State(ExecutionPhase.QUEUED, literals_pb2.LiteralMap(literals={"xs": listed(*values)}), {})
    run.apply(graph.Begun())
    return run


def done(run, index):
    run.run(f"a-0-{index}", Succeeded(literals_pb2.LiteralMap(literals={"o": integer(10 * index)})))


def output(run, node_id="a"):
    return list(run.state.nodes[node_id].outputs.literals["o"].collection.literals)


def test_lists_of_different_lengths_and_no_list_at_all_are_refused_with_the_reason():
    plain = Array.of(workflow_pb2.ArrayNode())
    for literals, said in (
        ({"x": integer(1)}, "none of its inputs is a list"),
        ({"x": listed(1, 2), "y": listed(1)}, "different lengths: 1, 2"),
        ({"x": listed(*range(MAX_ITEMS + 1))}, f"at most {MAX_ITEMS}"),
    ):
        with pytest.raises(ArrayError, match=said):
            plain.size(literals_pb2.LiteralMap(literals=literals))
    bound = Array.of(workflow_pb2.ArrayNode(bound_inputs=["y"]))
    assert bound.size(literals_pb2.LiteralMap(literals={"x": listed(1, 2), "y": listed(1)})) == 2


def test_a_node_without_a_list_fails_and_nothing_of_it_comes_up():
    run = Run(mapped())
    run.state = graph.State(ExecutionPhase.QUEUED, literals_pb2.LiteralMap(literals={"xs": integer(3)}), {})
    run.apply(graph.Begun())
    assert run.state.phase is ExecutionPhase.FAILED
    assert run.state.error.code == "ARRAY"
    assert run.state.error.message.startswith("node a (t): none of its inputs")
    assert run.state.nodes.keys() == {"a", "b"}


def test_each_item_runs_once_and_the_outputs_are_a_list_in_the_order_of_the_items():
    run = of(5, 6, 7)
    assert run.waiting() == ["a-0-0", "a-0-1", "a-0-2"]
    assert run.state.nodes["a-0-1"].inputs == literals_pb2.LiteralMap(literals={"x": integer(6)})
    for index in (2, 0, 1):
        done(run, index)
    assert output(run) == [integer(0), integer(10), integer(20)]
    assert run.waiting() == ["b"]
    run.run("b")
    assert run.state.phase is ExecutionPhase.SUCCEEDED


def test_a_task_is_given_the_whole_lists_and_its_place_or_its_own_values():
    run = of(5, 6)
    whole, index = graph.given(run.plan, run.state, "a-0-1")
    assert (whole, index) == (run.state.nodes["a"].inputs, 1)
    run = of(5, 6, data_mode=workflow_pb2.ArrayNode.INDIVIDUAL_INPUT_FILES)
    own, index = graph.given(run.plan, run.state, "a-0-1")
    assert (own, index) == (literals_pb2.LiteralMap(literals={"x": integer(6), "y": integer(7)}), 1)
    done(run, 0)
    done(run, 1)
    assert graph.given(run.plan, run.state, "b") == (run.state.nodes["b"].inputs, None)


def test_an_empty_list_has_an_empty_list_as_its_output():
    run = of()
    assert run.phase("a") is NodePhase.SUCCEEDED
    assert output(run) == []


def test_items_that_a_recovered_execution_has_kept_are_not_run_again():
    before = of(5, 6, 7)
    done(before, 0)
    done(before, 2)
    kept = {id_: one for id_, one in before.state.nodes.items() if one.phase is NodePhase.SUCCEEDED}
    run = Run(mapped())
    run.state = graph.State(ExecutionPhase.QUEUED, before.state.inputs, kept)
    run.apply(graph.Begun())
    assert run.waiting() == ["a-0-1"]
    done(run, 1)
    assert output(run) == [integer(0), integer(10), integer(20)]


def test_as_many_items_run_at_once_as_may():
    run = of(*range(5), parallelism=2)
    assert run.waiting() == ["a-0-0", "a-0-1"]
    run.start("a-0-0")
    assert "a-0-2" not in run.state.nodes
    run.end("a-0-0", Succeeded(literals_pb2.LiteralMap(literals={"o": integer(1)})))
    assert run.waiting() == ["a-0-1", "a-0-2"]


def test_without_a_bound_the_first_item_that_fails_fails_all_and_ends_what_runs():
    run = of(*range(4))
    run.start("a-0-0")
    run.start("a-0-1")
    run.run("a-0-2", FAILS)
    assert sorted(run.surplus()) == ["a-0-0", "a-0-1"]
    assert run.waiting() == []
    run.end("a-0-0", FAILS)
    run.end("a-0-1", Lost(FAILS.error))
    assert run.phase("a-0-3") is NodePhase.ABORTED
    assert run.phase("a") is NodePhase.FAILED
    assert run.state.error.message == "1 of 4 items have failed: node a-0-2 (t): no runway"
    assert run.state.phase is ExecutionPhase.FAILED


@pytest.mark.parametrize(
    ("options", "may_fail"),
    [
        ({"min_successes": 3}, 1),
        ({"min_successes": 9}, 0),
        ({"min_success_ratio": 0.5}, 2),
        ({"min_success_ratio": 0.7}, 1),
        ({"min_success_ratio": 0.0}, 4),
        ({"min_success_ratio": 1.0}, 0),
    ],
)
def test_so_many_items_may_fail_and_have_no_output(options, may_fail):
    run = of(*range(4), **options)
    for index in range(may_fail):
        run.run(f"a-0-{index}", FAILS)
        assert run.phase("a") is (NodePhase.RUNNING if may_fail < 4 or index < 3 else NodePhase.SUCCEEDED)
    if may_fail < 4:
        worse = of(*range(4), **options)
        for index in range(may_fail + 1):
            worse.run(f"a-0-{index}", FAILS)
        assert worse.phase("a") is NodePhase.FAILED
    for index in range(may_fail, 4):
        done(run, index)
    assert output(run) == [NONE] * may_fail + [integer(10 * index) for index in range(may_fail, 4)]


def test_a_tenth_of_ten_is_one():
    assert Array.of(workflow_pb2.ArrayNode(min_success_ratio=0.1)).failures(10) == 9


def test_an_item_has_the_retries_of_its_task():
    run = of(1, 2, retries=1)
    run.run("a-0-0", AGAIN)
    assert "a-0-0" in run.waiting()
    run.run("a-0-0", AGAIN)
    assert run.phase("a-0-0") is NodePhase.FAILED


def test_an_item_without_an_output_that_it_must_have_fails_all():
    run = of(1)
    run.run("a-0-0", Succeeded(literals_pb2.LiteralMap()))
    assert run.state.error.message == "node a (t): a-0-0 has no output o"


def test_a_node_that_is_called_as_an_item_would_be_is_refused():
    flow = workflow("wf", array("a", task="t", inputs={"x": promise("", "xs")}), node("a-0-1", task="t"))
    with pytest.raises(NotRunnableError, match="as an item of a would be"):
        parse(closure(flow))


def test_an_array_in_a_sub_workflow_ends_with_it():
    inner = workflow("inner", array("a", task="t", inputs={"x": promise("", "xs")}), node("b", task="u"))
    outer = workflow("outer", node("n", workflow="inner", inputs={"xs": promise("", "xs")}))
    run = Run(closure(outer, inner))
    run.state = graph.State(ExecutionPhase.QUEUED, literals_pb2.LiteralMap(literals={"xs": listed(1, 2)}), {})
    run.apply(graph.Begun())
    run.start("n-0-a-0-0")
    run.run("n-0-b", FAILS)
    assert run.surplus() == ["n-0-a-0-0"]
    assert run.phase("n-0-a-0-1") is NodePhase.ABORTED
    run.end("n-0-a-0-0", FAILS)
    assert (run.phase("n-0-a"), run.phase("n")) == (NodePhase.ABORTED, NodePhase.FAILED)


sizes = st.integers(0, 6)


@given(sizes, sizes, st.integers(0, 3), st.data(), st.integers(), st.integers())
def test_the_order_of_events_changes_nothing(size, failing, parallelism, data, one, other):
    may_fail = data.draw(st.integers(min(failing, size), size))
    bad = set(data.draw(st.permutations(range(size)))[: min(failing, size)])

    def drive(chance):
        run = of(*range(size), parallelism=parallelism, min_successes=size - may_fail)
        running = []
        while run.phase("a") not in ENDED_NODE:
            ready = run.waiting()
            assert len(ready) + len(running) <= (parallelism or size)
            if ready and (not running or chance.random() < 0.5):
                running.append(chance.choice(ready))
                run.start(running[-1])
            else:
                item = running.pop(chance.randrange(len(running)))
                index = int(item.rpartition("-")[2])
                good = Succeeded(literals_pb2.LiteralMap(literals={"o": integer(index)}))
                run.end(item, Lost(FAILS.error) if chance.random() < 0.1 else FAILS if index in bad else good)
        return output(run)

    found = drive(random.Random(one))
    assert found == drive(random.Random(other))
    assert found == [NONE if index in bad else integer(index) for index in range(size)]


@given(st.integers(1, 6), st.integers(0, 3), st.randoms(use_true_random=False))
def test_an_abort_at_any_moment_ends_every_item(size, parallelism, chance):
    run = of(*range(size), parallelism=parallelism)
    running = []
    for _ in range(chance.randrange(2 * size)):
        ready = run.waiting()
        if ready and chance.random() < 0.6:
            running.append(chance.choice(ready))
            run.start(running[-1])
        elif running:
            run.end(running.pop(), Succeeded(literals_pb2.LiteralMap(literals={"o": integer(1)})))
    run.apply(Aborted())
    assert sorted(run.surplus()) == sorted(running)
    assert run.waiting() == []
    for left in running:
        run.end(left, Lost(FAILS.error))
    assert run.state.phase is ExecutionPhase.ABORTED
    assert all(one.phase in ENDED_NODE for one in run.state.nodes.values())
