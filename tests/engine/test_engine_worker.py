import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from engine_rows import (
    SCOPE,
    ask_abort,
    attempts_of,
    closure,
    launch,
    lines,
    literals,
    node,
    nodes_of,
    outputs_of,
    promise,
    room,
    stored,
    task,
    transitions_of,
    workflow,
)
from flyteidl.core import errors_pb2

from airspace_server.core.clock import now
from airspace_server.core.execution import ENDED_EXECUTION
from airspace_server.engine.runners.local import LocalRunner
from airspace_server.engine.store import LEASE_US, EngineStore
from airspace_server.execution.decks import MAX_DECK, deck_path

LATER = 2 * LEASE_US
"""On a worker's clock, so that every lease of a worker before it has ended."""


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


def ended(database, execution):
    return stored(database, execution).phase in ENDED_EXECUTION


def diamond(log, **acts):
    """One node, two beside each other, one of them in a sub-workflow, and one after them; all pass x on."""
    tasks = [task(name, LOG=str(log), **acts.get(name, {})) for name in ("first", "left", "right", "last")]
    inner = workflow(
        "inner", node("n0", task="right", inputs={"x": promise("", "x")}), outputs={"y": promise("n0", "x")}
    )
    outer = workflow(
        "outer",
        node("n0", task="first", inputs={"x": promise("", "x")}),
        node("n1", task="left", inputs={"x": promise("n0", "x")}),
        node("n2", workflow="inner", inputs={"x": promise("n0", "x")}),
        node("n3", task="last", inputs={"a": promise("n1", "x"), "b": promise("n2", "y")}),
        outputs={"o": promise("n3", "b")},
    )
    return closure(outer, inner, tasks=tasks)


def single(log, *, retries=0, seconds=0, **env):
    made = task("t", retries=retries, seconds=seconds, LOG=str(log), **env)
    flow = workflow("wf", node("n0", task="t", inputs={"x": promise("", "x")}), outputs={"o": promise("n0", "x")})
    return closure(flow, tasks=[made])


def reported(message, *, recoverable=False):
    document = errors_pb2.ErrorDocument()
    document.error.code, document.error.message, document.error.origin = "USER:ValueError", message, 1
    document.error.kind = int(recoverable)
    return document.SerializeToString().hex()


def check_log(log):
    """No attempt was started twice, and none while one before it still ran."""
    started = [line for line in lines(log) if line.startswith("start")]
    assert len(started) == len(set(started))
    assert not [line for line in lines(log) if line.startswith("overlap")]


def test_a_workflow_runs_to_its_outputs(database, working, until, log):
    execution = launch(database, "e1", diamond(log), literals(x=7))
    with working():
        until(lambda: ended(database, execution))
    assert stored(database, execution).phase == "SUCCEEDED"
    assert outputs_of(database, execution) == literals(o=7)
    assert {one: row.phase for one, row in nodes_of(database, execution).items()} == dict.fromkeys(
        ("n0", "n1", "n2", "n2-0-n0", "n3"), "SUCCEEDED"
    )
    moves = transitions_of(database, execution)
    assert [move.sequence for move in moves] == list(range(1, len(moves) + 1))


LEAVES_A_DECK = "output('deck.html', b'<b>' + ATTEMPT.encode() + b'</b>')"


def decks_of(database, execution):
    return [row.deck for row in attempts_of(database, execution)]


def test_the_deck_that_an_attempt_leaves_is_kept_among_its_scopes_artifacts(database, working, until, log, artifacts):
    execution = launch(database, "e1", single(log, ACT="exec", CODE=LEAVES_A_DECK), literals(x=1))
    other = launch(database, "e2", single(log), literals(x=1), created_at=2)
    with working():
        until(lambda: ended(database, execution) and ended(database, other))
    assert (decks_of(database, execution), decks_of(database, other)) == ([True], [False])
    with artifacts.open(SCOPE, deck_path(execution, "n0", 0)) as deck:
        assert deck.read() == b"<b>0</b>"
    assert not artifacts.exists(SCOPE, deck_path(other, "n0", 0))


def test_a_failed_attempt_leaves_its_deck_too_and_each_has_its_own(database, working, until, log, artifacts):
    code = f"{LEAVES_A_DECK}; output('error.pb', bytes.fromhex(os.environ['ERROR']))"
    error = reported("no runway", recoverable=True)
    execution = launch(database, "e1", single(log, retries=1, ACT="exec", CODE=code, ERROR=error), literals(x=1))
    with working():
        until(lambda: ended(database, execution))
    assert stored(database, execution).phase == "FAILED"
    assert decks_of(database, execution) == [True, True]
    for attempt in (0, 1):
        with artifacts.open(SCOPE, deck_path(execution, "n0", attempt)) as deck:
            assert deck.read() == f"<b>{attempt}</b>".encode()


@pytest.mark.parametrize(
    "code",
    [
        "os.symlink('/etc/passwd', option('--output-prefix') + '/deck.html')",
        "os.mkfifo(option('--output-prefix') + '/deck.html')",
        "os.mkdir(option('--output-prefix') + '/deck.html')",
        f"output('deck.html', b''); os.truncate(option('--output-prefix') + '/deck.html', {MAX_DECK + 1})",
    ],
)
def test_what_is_no_deck_or_too_large_is_not_kept_and_harms_nobody(database, working, until, log, artifacts, code):
    execution = launch(database, "e1", single(log, ACT="exec", CODE=code), literals(x=1))
    with working():
        until(lambda: ended(database, execution))
    assert stored(database, execution).phase == "SUCCEEDED"
    assert decks_of(database, execution) == [False]
    assert not artifacts.exists(SCOPE, deck_path(execution, "n0", 0))


def test_parallel_branches_run_beside_each_other_and_no_more_than_there_are_slots(
    database, working, until, log, tmp_path
):
    gate = tmp_path / "gate"
    wait = {"ACT": "wait", "GATE": str(gate)}
    names = ("a", "b", "c")
    tasks = [task(name, LOG=str(log), **wait) for name in names]
    execution = launch(database, "e1", closure(workflow("wf", *(node(n, task=n) for n in names)), tasks=tasks))
    with working(slots=2):
        until(lambda: len([line for line in lines(log) if line.startswith("ready")]) == 2)
        phases = sorted(row.phase for row in nodes_of(database, execution).values())
        gate.touch()
        until(lambda: ended(database, execution))
    assert phases == ["QUEUED", "RUNNING", "RUNNING"]
    assert stored(database, execution).phase == "SUCCEEDED"


def test_slots_are_shared_between_executions(database, working, until, log, tmp_path):
    gate = tmp_path / "gate"
    wide = [task(name, LOG=str(log), ACT="wait", GATE=str(gate)) for name in ("a", "b", "c")]
    greedy = launch(database, "greedy", closure(workflow("wf", *(node(n, task=n) for n in "abc")), tasks=wide))
    modest = launch(database, "modest", single(log, ACT="wait", GATE=str(gate)), literals(x=1), created_at=2)
    with working(slots=2):
        until(lambda: "ready t 0" in lines(log))
        gate.touch()
        until(lambda: ended(database, greedy) and ended(database, modest))


def test_the_tasks_error_is_the_executions(database, working, until, log):
    compiled = single(log, ACT="fail", ERROR=reported("Trace:\n\n  line 1\n\nMessage:\n\n  no runway"), retries=3)
    execution = launch(database, "e1", compiled, literals(x=1))
    with working():
        until(lambda: ended(database, execution))
    row = stored(database, execution)
    assert (row.phase, row.error_code, row.error_kind) == ("FAILED", "USER:ValueError", "USER")
    assert row.error_message == "node n0 (t): Trace:\n\n  line 1\n\nMessage:\n\n  no runway"
    assert [one.phase for one in attempts_of(database, execution)] == ["FAILED"]


def test_recoverable_errors_are_tried_again(database, working, until, log):
    compiled = single(log, ACT="fail", ERROR=reported("busy", recoverable=True), retries=2)
    execution = launch(database, "e1", compiled, literals(x=1))
    with working():
        until(lambda: ended(database, execution))
    assert [one.phase for one in attempts_of(database, execution)] == ["FAILED"] * 3
    assert [line for line in lines(log) if line.startswith("start")] == ["start t 0", "start t 1", "start t 2"]
    assert len({one.outputs_uri for one in attempts_of(database, execution)}) == 3


def test_a_timeout_ends_the_attempt_and_counts_as_one(database, working, until, log):
    execution = launch(database, "e1", single(log, ACT="first-waits", retries=1, seconds=0.5), literals(x=1))
    with working():
        until(lambda: ended(database, execution))
    assert stored(database, execution).phase == "SUCCEEDED"
    first, second = attempts_of(database, execution)
    assert (first.phase, first.error_code) == ("TIMED_OUT", "TIMED_OUT")
    assert first.error_message == "the attempt was ended after its timeout of 0.5 s"
    assert second.phase == "SUCCEEDED"


def test_terminate_ends_every_process_of_the_execution(database, working, until, log, tmp_path):
    escaped = tmp_path / "escaped"
    compiled = single(log, ACT="escape-and-wait", ESCAPED=str(escaped))
    execution = launch(database, "e1", compiled, literals(x=1))
    with working():
        until(lambda: "ready t 0" in lines(log))
        ask_abort(database, execution)
        until(lambda: ended(database, execution))
        assert stored(database, execution).phase == "ABORTED"
        pid = int(escaped.read_text())
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert [one.phase for one in attempts_of(database, execution)] == ["ABORTED"]
    assert [row.phase for row in nodes_of(database, execution).values()] == ["ABORTED"]
    assert [(one.phase, one.node_id) for one in transitions_of(database, execution)][-3:] == [
        ("ABORTING", None),
        ("ABORTED", "n0"),
        ("ABORTED", None),
    ]


def test_an_execution_that_never_began_is_aborted_though_no_slot_is_free(database, working, until, log, tmp_path):
    busy = launch(database, "busy", single(log, ACT="wait", GATE=str(tmp_path / "gate")), literals(x=1))
    queued = launch(database, "queued", single(log), literals(x=1), created_at=2)
    with working(slots=1):
        until(lambda: "ready t 0" in lines(log))
        ask_abort(database, queued)
        until(lambda: ended(database, queued))
        assert stored(database, queued).phase == "ABORTED"
        (tmp_path / "gate").touch()
        until(lambda: ended(database, busy))
    assert nodes_of(database, queued) == {}


def test_what_cannot_be_run_fails_with_the_reason(database, working, until, log):
    mapped = workflow("wf", node("a", task="t"))
    mapped.nodes[0].array_node.parallelism = 1
    construct = launch(database, "e1", closure(mapped))
    raw = single(log)
    raw.tasks[0].template.container.args[:] = ["/bin/sh", "-c", "true"]
    container = launch(database, "e2", raw, literals(x=1))
    dynamic = launch(database, "e3", single(log, ACT="dynamic"), literals(x=1))
    with working():
        until(lambda: all(ended(database, one) for one in (construct, container, dynamic)))
    for execution in (construct, container, dynamic):
        row = stored(database, execution)
        assert (row.phase, row.error_code, row.error_kind) == ("FAILED", "NOT_RUNNABLE", "USER")
    assert stored(database, construct).error_message == "node a is a array_node, which cannot be run yet"


def test_an_execution_that_the_engine_cannot_handle_fails_and_the_others_go_on(
    database, working, until, log, monkeypatch
):
    real = LocalRunner.prepare

    def prepare(self, attempt):
        if attempt.execution.name == "e1":
            raise RuntimeError("a fault")
        return real(self, attempt)

    monkeypatch.setattr(LocalRunner, "prepare", prepare)
    bad = launch(database, "e1", single(log), literals(x=1))
    good = launch(database, "e2", single(log), literals(x=1), created_at=2)
    with working():
        until(lambda: ended(database, bad) and ended(database, good))
    assert (stored(database, bad).phase, stored(database, good).phase) == ("FAILED", "SUCCEEDED")
    assert "a fault" not in stored(database, bad).error_message
    assert len(attempts_of(database, bad)) == 4


def test_the_executions_own_variables_reach_its_tasks(database, working, until, log, tmp_path):
    seen = tmp_path / "seen"
    execution = launch(database, "e1", single(log), literals(x=1), ACT="environ", SEEN=str(seen))
    with working():
        until(lambda: ended(database, execution))
    env = json.loads(seen.read_text())["env"]
    assert (env["FLYTE_INTERNAL_EXECUTION_ID"], env["FLYTE_INTERNAL_EXECUTION_WORKFLOW"]) == ("e1", "e1")


def test_a_stopped_worker_lets_attempts_finish_and_starts_no_others(database, working, until, log, tmp_path):
    gate = tmp_path / "gate"
    execution = launch(database, "e1", diamond(log, first={"ACT": "wait", "GATE": str(gate)}), literals(x=7))
    with working(drain=30.0) as stop:
        until(lambda: "ready first 0" in lines(log))
        stop.set()
        gate.touch()
        until(lambda: stored(database, execution).lease_owner is None)
    assert lines(log) == ["start first 0", "ready first 0", "end first 0"]
    assert nodes_of(database, execution)["n0"].phase == "SUCCEEDED"
    with working(owner="worker-2"):
        until(lambda: ended(database, execution))
    assert outputs_of(database, execution) == literals(o=7)
    check_log(log)


def test_attempts_that_take_too_long_for_a_stopped_worker_are_lost_and_run_again(database, working, until, log):
    execution = launch(database, "e1", single(log, ACT="first-waits"), literals(x=7))
    with working(drain=0.0):
        until(lambda: "ready t 0" in lines(log))
    assert stored(database, execution).lease_owner is None
    assert [one.phase for one in attempts_of(database, execution)] == ["LOST"]
    with working(owner="worker-2"):
        until(lambda: ended(database, execution))
    assert [one.phase for one in attempts_of(database, execution)] == ["LOST", "SUCCEEDED"]
    assert outputs_of(database, execution) == literals(o=7)


def test_a_worker_that_lost_an_execution_ends_what_it_runs_of_it(database, working, until, log, tmp_path):
    gate = tmp_path / "gate"
    execution = launch(database, "e1", single(log, ACT="wait", GATE=str(gate)), literals(x=7))
    with working():
        until(lambda: "ready t 0" in lines(log))
        (attempt,) = attempts_of(database, execution)
        pid = json.loads(attempt.handle)["pid"]
        thief = EngineStore(database, "thief")
        (lease,) = thief.lease(now() + LATER, room(1))
        until(lambda: not psutil.pid_exists(pid))
        thief.release(lease)
        gate.touch()
        until(lambda: ended(database, execution))
    assert [one.phase for one in attempts_of(database, execution)] == ["LOST", "SUCCEEDED"]


def test_two_workers_share_the_executions_and_run_each_once(database, working, until, log):
    executions = [launch(database, f"e{n}", single(log, NUMBER=str(n)), literals(x=n), created_at=n) for n in range(8)]
    with working(owner="worker-1"), working(owner="worker-2"):
        until(lambda: all(ended(database, one) for one in executions))
    assert [outputs_of(database, one) for one in executions] == [literals(o=n) for n in range(8)]
    assert [len(attempts_of(database, one)) for one in executions] == [1] * 8


# --- a worker dies


def crash(database, tmp_path, point, count):
    program = Path(__file__).with_name("engine_crash.py")
    command = [
        sys.executable,
        str(program),
        database.url.render_as_string(hide_password=False),
        str(tmp_path),
        point,
        str(count),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 9, done.stderr


@pytest.mark.parametrize(
    ("point", "count"),
    [
        ("leased", 1),
        ("before commit", 1),
        ("after commit", 1),
        ("prepared", 1),
        ("recorded", 1),
        ("released", 1),
        ("reported", 1),
        ("before commit", 4),
        ("prepared", 3),
        ("released", 3),
        ("reported", 3),
        ("before commit", 9),
    ],
)
def test_whenever_a_worker_dies_the_next_one_ends_the_execution_as_if_nothing_had_been(
    database, programs, working, until, log, tmp_path, point, count
):
    execution = launch(database, "e1", diamond(log), literals(x=7))
    crash(database, tmp_path, point, count)
    assert not ended(database, execution)
    with working(owner="worker-2", later_us=LATER):
        until(lambda: ended(database, execution))
    assert stored(database, execution).phase == "SUCCEEDED"
    assert outputs_of(database, execution) == literals(o=7)
    assert {row.phase for row in nodes_of(database, execution).values()} == {"SUCCEEDED"}
    assert {one.phase for one in attempts_of(database, execution)} <= {"SUCCEEDED", "LOST"}
    assert [one.sequence for one in transitions_of(database, execution)] == list(
        range(1, stored(database, execution).sequence + 1)
    )
    check_log(log)


def test_an_attempt_that_outlives_its_worker_is_ended_before_it_is_started_again(
    database, programs, working, until, log, tmp_path
):
    escaped = tmp_path / "escaped"
    acts = {"first": {"ACT": "escape-and-wait", "ESCAPED": str(escaped)}}
    execution = launch(database, "e1", diamond(log, **acts), literals(x=7))
    crash(database, tmp_path, "released", 1)
    until(lambda: "ready first 0" in lines(log))
    orphan = int(escaped.read_text())
    with working(owner="worker-2", later_us=LATER):
        until(lambda: "ready first 1" in lines(log))
        assert not psutil.pid_exists(orphan) or psutil.Process(orphan).status() == psutil.STATUS_ZOMBIE
        ask_abort(database, execution)
        until(lambda: ended(database, execution))
    assert [one.phase for one in attempts_of(database, execution)] == ["LOST", "ABORTED"]
    check_log(log)


def test_an_attempt_that_ended_after_its_worker_is_not_run_again_and_its_deck_is_kept(
    database, programs, working, until, log, tmp_path
):
    gate = tmp_path / "gate"
    code = f"log('ready'); wait_for({str(gate)!r}); {LEAVES_A_DECK}"
    execution = launch(database, "e1", single(log, ACT="exec", CODE=code), literals(x=7))
    crash(database, tmp_path, "released", 1)
    gate.touch()
    work = tmp_path / "work" / SCOPE.project / SCOPE.domain / "e1"
    until(lambda: list(work.glob("n0/*/done")))
    with working(owner="worker-2", later_us=LATER):
        until(lambda: ended(database, execution))
    assert lines(log) == ["start t 0", "ready t 0", "end t 0"]
    assert [(one.phase, one.deck) for one in attempts_of(database, execution)] == [("SUCCEEDED", True)]
    assert outputs_of(database, execution) == literals(o=7)


def test_an_abort_is_carried_out_by_the_next_worker(database, programs, working, until, log, tmp_path):
    execution = launch(database, "e1", diamond(log, first={"ACT": "wait"}), literals(x=7))
    crash(database, tmp_path, "released", 1)
    ask_abort(database, execution)
    with working(owner="worker-2", later_us=LATER):
        until(lambda: ended(database, execution))
    assert stored(database, execution).phase == "ABORTED"
    assert [one.phase for one in attempts_of(database, execution)] == ["ABORTED"]
