import shutil
from dataclasses import replace

import pytest
from engine_rows import (
    SCOPE,
    add_project,
    ask_abort,
    attempts_of,
    closure,
    launch,
    literals,
    node,
    nodes_of,
    outputs_of,
    promise,
    room,
    stored,
    transitions_of,
    workflow,
)
from sqlalchemy import event

from airspace_server.core.execution import ErrorKind, ExecutionError, ExecutionPhase
from airspace_server.core.notifications import Channel, Event, Rule, Rules, Target
from airspace_server.core.scope import Scope, ScopePattern
from airspace_server.engine import graph
from airspace_server.engine.graph import Aborted, AttemptEnded, AttemptStarted, Begun
from airspace_server.engine.outcome import Failed, Succeeded
from airspace_server.engine.plan import parse
from airspace_server.engine.store import LEASE_US, AbortAskedError, EngineStore, LeaseLostError
from airspace_server.storage import notifications
from airspace_server.storage.database import Database
from airspace_server.storage.notifications import NOTIFICATIONS
from airspace_server.storage.settings import put

NOW = 1_000_000_000
AGAIN = Failed(ExecutionError("USER:ValueError", "no runway", ErrorKind.USER), retryable=True)


@pytest.fixture
def store(database):
    return EngineStore(database, "worker-1")


@pytest.fixture
def other(database):
    return EngineStore(database, "worker-2")


def compiled():
    inner = workflow("inner", node("n0", task="t", inputs={"x": promise("", "x")}), outputs={"o": promise("n0", "o")})
    outer = workflow(
        "outer",
        node("n0", task="t", inputs={"x": promise("", "x")}, retries=1),
        node("n1", workflow="inner", inputs={"x": promise("n0", "o")}),
        outputs={"o": promise("n1", "o")},
    )
    return closure(outer, inner)


EVENTS = [
    Begun(),
    AttemptStarted("n0", "h0", "u0"),
    AttemptEnded("n0", 0, AGAIN),
    AttemptStarted("n0", "h1", "u1"),
    AttemptEnded("n0", 1, Succeeded(literals(o=2))),
    AttemptStarted("n1-0-n0", "h2", "u2"),
    AttemptEnded("n1-0-n0", 0, Succeeded(literals(o=3))),
]


def test_every_step_is_read_back_as_it_was_committed(store, database):
    execution = launch(database, "e1", compiled(), literals(x=1))
    (lease,) = store.lease(NOW, room(1))
    plan = parse(store.closure(SCOPE.domain, store.load(lease).runs))
    state = store.load(lease).state
    for tick, one in enumerate(EVENTS):
        step = graph.apply(plan, state, one)
        store.commit(lease, state, step, NOW + tick)
        state = store.load(lease).state
        assert replace(state, outputs=step.state.outputs) == step.state
    assert outputs_of(database, execution) == literals(o=3)
    row = stored(database, execution)
    assert (row.phase, row.started_at, row.ended_at, row.lease_owner) == ("SUCCEEDED", NOW, NOW + 6, None)
    moves = transitions_of(database, execution)
    assert [move.sequence for move in moves] == list(range(1, len(moves) + 1))
    assert row.sequence == len(moves)
    found = nodes_of(database, execution)["n0"]
    assert (found.created_at, found.started_at, found.ended_at, found.attempts) == (NOW, NOW + 1, NOW + 4, 2)
    assert (found.entity_kind, found.entity_name, found.parent_id) == ("TASK", "t", "")
    assert nodes_of(database, execution)["n1-0-n0"].parent_id == "n1"
    retried = next(move for move in moves if move.node_id == "n0" and move.error_code)
    assert (retried.phase, retried.attempt, retried.error_message) == ("RUNNING", 1, "no runway")
    assert [(one.phase, one.handle, one.outputs_uri) for one in attempts_of(database, execution)] == [
        ("FAILED", "h0", "u0"),
        ("SUCCEEDED", "h2", "u2"),
        ("SUCCEEDED", "h1", "u1"),
    ]


def test_the_end_of_an_execution_is_told_with_the_step_that_ends_it(store, other, database):
    execution = launch(database, "e1", compiled(), literals(x=1))
    rules = Rules((Rule((Event.EXECUTION_SUCCEEDED,), (Target(Channel.EMAIL, "ops@example.com"),)),))
    with database.write() as tx:
        put(tx, NOTIFICATIONS, ScopePattern("*", SCOPE.domain), rules.dumps())
    (lease,) = store.lease(NOW, room(1))
    plan = parse(store.closure(SCOPE.domain, store.load(lease).runs))
    for tick, one in enumerate(EVENTS):
        assert told(database) == []
        state = store.load(lease).state
        step = graph.apply(plan, state, one)
        if one is EVENTS[-1]:
            (later,) = other.lease(NOW + LEASE_US + 1, room(1))
            with pytest.raises(LeaseLostError):
                store.commit(lease, state, step, NOW + tick)
            assert told(database) == []
            lease = later
        store.commit(lease, state, step, NOW + tick)
    (delivery,) = told(database)
    assert delivery.notice.subject == f"executions/{execution.name}"
    assert delivery.notice.facts["phase"] == "SUCCEEDED"


def told(database):
    with database.read(SCOPE) as tx:
        return notifications.newest(tx, (), 10, None)[0]


def test_an_execution_has_one_owner_until_its_lease_ends(store, other, database):
    launch(database, "e1", compiled())
    assert len(store.lease(NOW, room(5))) == 1
    assert other.lease(NOW + LEASE_US, room(5)) == []
    assert len(other.lease(NOW + LEASE_US + 1, room(5))) == 1


def test_a_renewed_lease_lasts_and_a_lost_one_is_told(store, other, database):
    launch(database, "e1", compiled())
    (lease,) = store.lease(NOW, room(5))
    assert store.renew([lease], NOW + LEASE_US) == frozenset()
    assert other.lease(NOW + LEASE_US + 1, room(5)) == []
    other.lease(NOW + 3 * LEASE_US, room(5))
    assert store.renew([lease], NOW + 3 * LEASE_US) == {lease}


def test_a_worker_that_lost_its_lease_changes_nothing(store, other, database):
    execution = launch(database, "e1", compiled(), literals(x=1))
    (lease,) = store.lease(NOW, room(1))
    plan, state = parse(compiled()), store.load(lease).state
    other.lease(NOW + LEASE_US + 1, room(1))
    with pytest.raises(LeaseLostError):
        store.commit(lease, state, graph.apply(plan, state, Begun()), NOW)
    with pytest.raises(LeaseLostError):
        store.load(lease)
    store.release(lease)
    row = stored(database, execution)
    assert (row.phase, row.lease_owner, row.sequence) == ("QUEUED", "worker-2", 1)
    assert nodes_of(database, execution) == {}


def test_a_released_execution_is_anybodys_at_once(store, other, database):
    launch(database, "e1", compiled())
    (lease,) = store.lease(NOW, room(1))
    store.release(lease)
    assert len(other.lease(NOW, room(1))) == 1


def test_a_step_that_knows_nothing_of_an_abort_is_refused_and_the_abort_goes_through(store, database):
    execution = launch(database, "e1", compiled(), literals(x=1))
    (lease,) = store.lease(NOW, room(1))
    plan, state = parse(compiled()), store.load(lease).state
    ask_abort(database, execution)
    with pytest.raises(AbortAskedError):
        store.commit(lease, state, graph.apply(plan, state, Begun()), NOW)
    assert transitions_of(database, execution)[-1].phase == "ABORTING"
    store.commit(lease, state, graph.apply(plan, state, Aborted()), NOW)
    assert stored(database, execution).phase == "ABORTED"
    assert [move.sequence for move in transitions_of(database, execution)] == [1, 2, 3]


def test_leases_are_given_to_abandoned_work_first_and_then_in_the_order_of_launch(store, other, database):
    for name, created_at in (("late", 9), ("early", 3), ("middle", 5)):
        launch(database, name, compiled(), created_at=created_at)
    assert [lease.execution.name for lease in other.lease(NOW, room(1))] == ["early"]
    later = NOW + LEASE_US + 1
    assert [lease.execution.name for lease in store.lease(later, room(2))] == ["early", "middle"]
    assert [lease.execution.name for lease in store.lease(later, room(2))] == ["late"]


def test_what_is_to_be_aborted_needs_no_room(store, other, database):
    execution = launch(database, "e1", compiled())
    assert not store.poll(NOW, None).open
    assert store.poll(NOW, room(1)).open
    ask_abort(database, execution)
    assert store.poll(NOW, None).open
    (lease,) = store.lease(NOW, None)
    assert lease.execution == execution
    assert store.poll(NOW, None).aborting == {execution}
    assert other.poll(NOW, room(1)).aborting == frozenset()


def test_ended_executions_are_never_leased(store, database):
    execution = launch(database, "e1", compiled())
    ask_abort(database, execution)
    (lease,) = store.lease(NOW, room(1))
    state = store.load(lease).state
    store.commit(lease, state, graph.apply(parse(compiled()), state, Aborted()), NOW)
    assert store.lease(NOW + 9 * LEASE_US, room(9)) == []
    assert not store.poll(NOW, room(1)).open


def test_executions_of_every_scope_are_leased_and_stay_in_theirs(store, database):
    there = launch(database, "e1", compiled(), literals(x=1), scope=Scope("flights", "production"))
    here = launch(database, "e1", compiled(), literals(x=2))
    leases = {lease.execution: lease for lease in store.lease(NOW, room(9))}
    assert leases.keys() == {there, here}
    state = store.load(leases[there]).state
    assert state.inputs == literals(x=1)
    store.commit(leases[there], state, graph.apply(parse(compiled()), state, Begun()), NOW)
    assert stored(database, there).phase == "RUNNING"
    assert stored(database, here).phase == "QUEUED"
    assert nodes_of(database, here) == {}


def test_looking_for_work_on_sqlite_uses_the_indexes_of_open_executions(migrated_sqlite, tmp_path):
    shutil.copy(migrated_sqlite, tmp_path / "planned.db")
    database = Database(f"sqlite:///{tmp_path / 'planned.db'}")
    add_project(database)
    store = EngineStore(database, "worker-1")
    plans = []

    def explain(connection, cursor, statement, parameters, *_):
        if statement.startswith("SELECT executions"):
            raw = connection.connection.dbapi_connection
            plans.extend(row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

    event.listen(database.engine, "before_cursor_execute", explain)
    for name in ("e1", "e2"):
        launch(database, name, compiled())
    store.poll(NOW, room(1))
    store.lease(NOW, room(1))
    database.close()
    indexes = ("executions_open", "executions_waiting", "executions_admitted")
    assert [sum(index in plan for plan in plans) for index in indexes] == [5, 3, 2]
    assert all(any(index in plan for index in indexes) for plan in plans)


def test_the_state_of_an_execution_that_is_failing_keeps_its_error(store, database):
    launch(database, "e1", compiled(), literals(x=1))
    (lease,) = store.lease(NOW, room(1))
    state = store.load(lease).state
    error = ExecutionError("USER:ValueError", "no runway", ErrorKind.USER)
    failing = replace(state, phase=ExecutionPhase.FAILING, error=error)
    store.commit(lease, state, graph.Step(failing, ()), NOW)
    assert store.load(lease).state == failing
