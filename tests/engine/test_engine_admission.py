"""Of each scope no more executions run than its quota says, whatever workers do; projects take turns."""

import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

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
    room,
    stored,
    task,
    workflow,
)
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from airspace_server.core.execution import ErrorKind, ExecutionError
from airspace_server.core.quotas import Quota
from airspace_server.core.scope import ExecutionId, Scope, ScopePattern
from airspace_server.engine import graph
from airspace_server.engine.admission import Queue, choose
from airspace_server.engine.graph import Aborted, Begun
from airspace_server.engine.plan import parse
from airspace_server.engine.store import LEASE_US, EngineStore
from airspace_server.execution.queue import ADMITTED
from airspace_server.storage.database import Database, scoped
from airspace_server.storage.settings import put_quotas
from airspace_server.storage.tables import ExecutionRow, ProjectRow, table

NOW = 1_000_000_000
EXECUTIONS = table(ExecutionRow)
FAULT = ExecutionError("ENGINE_FAULT", "", ErrorKind.SYSTEM)


def limit(database, running, pattern=("*", "*")):
    with database.write() as tx:
        put_quotas(tx, ScopePattern(*pattern), {Quota.EXECUTIONS_RUNNING: running})


def add_project(database, name):
    with database.write() as tx:
        row = {"id": name, "name": name, "description": "", "labels": "{}", "state": "ACTIVE"}
        tx.insert(table(ProjectRow), {**row, "version": 1, "created_at": 1, "updated_at": 1})


def compiled():
    return closure(workflow("w", node("n0", task="t")))


def queue(database, count, scope=SCOPE, since=1):
    return [
        launch(database, f"e{number}", compiled(), scope=scope, created_at=since + number) for number in range(count)
    ]


def admitted(database):
    with database.read(across=True) as tx:
        return tx.execute(select(func.count()).select_from(EXECUTIONS).where(ADMITTED)).scalar_one()


def names(leases):
    return [lease.execution.name for lease in leases]


def end(store, lease):
    state = store.load(lease).state
    store.commit(lease, state, graph.refuse(state, FAULT), NOW)


@pytest.fixture
def store(database):
    return EngineStore(database, "worker-1")


@pytest.fixture
def other(database):
    return EngineStore(database, "worker-2")


# --- who is next


SCOPES = [Scope(project, domain) for project in ("a", "b", "c") for domain in ("development", "production")]
QUEUES = st.lists(
    st.builds(Queue, st.sampled_from(SCOPES), st.integers(-2, 6), st.integers(0, 6), st.integers(0, 9)),
    unique_by=lambda one: one.scope,
)
COUNTS = st.fixed_dictionaries({"development": st.integers(0, 9), "production": st.integers(0, 9)})
WEIGHTS = st.fixed_dictionaries({"development": st.integers(1, 5), "production": st.integers(1, 5)})


@given(QUEUES, st.integers(0, 12), COUNTS, COUNTS, WEIGHTS, st.dictionaries(st.sampled_from(SCOPES), st.integers(1, 9)))
def test_nobody_gets_more_than_may_begin_and_no_room_stays_empty(queues, free, held, running, weights, turns):
    space = room(free, held, **weights)
    order = choose(queues, space, running, turns)
    chosen = Counter(order)
    may = {one.scope: max(0, one.admissible) for one in queues}
    assert all(count <= may[scope] for scope, count in chosen.items())
    assert chosen.total() >= min(free, sum(may.values()))
    beyond = Counter(scope.domain for scope in order[free:])  # only what a domain's share is short of
    assert all(held[domain] + count <= space.shares.holds(domain) for domain, count in beyond.items())
    for domain in held:
        left = sum(may[scope] - chosen[scope] for scope in may if scope.domain == domain)
        got = sum(count for scope, count in chosen.items() if scope.domain == domain)
        assert left == 0 or held[domain] + got >= space.shares.holds(domain)
    now = {one.scope: one.running + chosen[one.scope] for one in queues}
    for more in chosen:  # whoever got something has at most one more than whoever still waits in its domain
        others = [less for less in may if less.domain == more.domain and may[less] > chosen[less]]
        assert all(now[more] <= now[less] + 1 for less in others)


def test_projects_take_turns_however_long_ones_queue_is_and_however_old():
    long, short = Scope("a", "development"), Scope("b", "development")
    queues = [Queue(long, 1000, 0, 1), Queue(short, 3, 0, 900)]
    assert choose(queues, room(6), {}, {}) == [long, short, long, short, long, short]
    assert choose(queues, room(1), {}, {long: 4, short: 3}) == [short]
    assert choose([Queue(long, 1000, 2, 1), Queue(short, 3, 0, 900)], room(2), {}, {}) == [short, short]


def test_domains_begin_by_their_shares_however_many_projects_one_has():
    many = [Queue(Scope(name, "development"), 9, 0, 1) for name in "abcdefgh"]
    release = Queue(Scope("z", "production"), 9, 0, 900)
    chosen = choose([*many, release], room(6, development=1, production=2), {}, {})
    assert Counter(scope.domain for scope in chosen) == {"production": 4, "development": 2}
    busy = choose(
        [*many, release],
        room(2, {"production": 2, "development": 1}, development=1, production=2),
        {"production": 20},
        {},
    )
    assert [scope.domain for scope in busy] == ["development", "development"]


def test_a_worker_that_is_full_of_one_domain_takes_what_is_anothers_share(store, other, database):
    production = Scope("flights", "production")
    queue(database, 5)
    assert len(store.lease(NOW, room(4, development=2, production=2))) == 4
    full = room(0, {"development": 4}, development=2, production=2)
    assert not store.poll(NOW, full).open
    assert store.lease(NOW, full) == []
    queue(database, 3, production, since=100)
    assert store.poll(NOW, full).open
    assert not store.poll(NOW, replace(full, launched_until=99)).open  # for a while it is left to a worker with room
    leases = store.lease(NOW, full)
    assert [lease.execution.scope for lease in leases] == [production, production]
    later = NOW + LEASE_US + 1  # and of what another worker left, too
    taken = other.lease(later, full)
    assert [lease.execution.scope for lease in taken] == [production, production]
    assert {lease.execution.name for lease in taken} == {lease.execution.name for lease in leases}


def test_a_project_with_a_long_queue_does_not_keep_anothers_waiting(store, database):
    add_project(database, "trains")
    queue(database, 9)
    queue(database, 2, Scope("trains", "development"), since=100)
    order = []
    for _ in range(4):  # one slot, and executions that end before the next one begins
        (lease,) = store.lease(NOW, room(1))
        order.append(lease.execution.scope.project)
        end(store, lease)
    assert sorted(order) == ["flights", "flights", "trains", "trains"]
    assert order[0] != order[1]


def test_what_waits_for_people_is_not_held_against_its_domain(store, database):
    production = Scope("flights", "production")
    for lease in queue(database, 4, production) and store.lease(NOW, room(4)):
        with database.write(production) as tx:  # as one that waits for an answer is kept
            of = (scoped(EXECUTIONS), EXECUTIONS.c.name == lease.execution.name)
            tx.execute(EXECUTIONS.update().where(*of).values(lease_owner=None, lease_expires_at=2**60))
    queue(database, 4)
    with database.write(production) as tx:
        of = (scoped(EXECUTIONS), EXECUTIONS.c.name == "e0")
        tx.execute(EXECUTIONS.update().where(*of).values(phase="QUEUED", lease_expires_at=0))
    leases = store.lease(NOW, room(2, development=1, production=1))
    assert {lease.execution.scope.domain for lease in leases} == {"development", "production"}


# --- the limit


def test_no_more_are_leased_than_may_run_and_the_rest_follows_as_they_end(store, other, database):
    limit(database, 2)
    queue(database, 5)
    first = store.lease(NOW, room(9))
    assert names(first) == ["e0", "e1"]
    assert not other.poll(NOW, room(1)).open
    assert other.lease(NOW, room(9)) == []
    end(store, first[0])
    assert other.poll(NOW, room(1)).open
    assert names(other.lease(NOW, room(9))) == ["e2"]


def test_each_scope_has_its_own_limit_from_where_it_is_set(store, database):
    limit(database, 1)
    limit(database, 3, ("flights", "production"))
    queue(database, 4)
    queue(database, 4, Scope("flights", "production"))
    assert Counter(lease.execution.scope.domain for lease in store.lease(NOW, room(9))) == {
        "development": 1,
        "production": 3,
    }


def test_nothing_begins_where_nothing_may_and_raising_the_limit_is_enough(store, database):
    limit(database, 0)
    queue(database, 1)
    assert store.lease(NOW, room(9)) == []
    limit(database, 1)
    assert len(store.lease(NOW, room(9))) == 1


def test_a_lowered_limit_ends_nothing_and_lets_nothing_begin(store, database):
    queue(database, 4)
    leases = store.lease(NOW, room(3))
    limit(database, 2)
    for lease in leases[:2]:
        assert store.lease(NOW, room(9)) == []
        end(store, lease)
    assert names(store.lease(NOW, room(9))) == ["e3"]


def test_what_a_worker_gave_back_or_left_keeps_its_place_and_no_other_gets_it(store, other, database):
    limit(database, 1)
    queue(database, 2)
    (lease,) = store.lease(NOW, room(9))
    store.release(lease)
    assert names(other.lease(NOW, room(9))) == ["e0"]
    later = NOW + LEASE_US + 1  # the second worker is dead by now
    assert names(store.lease(later, room(9))) == ["e0"]
    assert store.lease(later, room(9)) == []
    assert admitted(database) == 1


def test_what_is_only_to_be_ended_takes_nobodys_place(store, database):
    limit(database, 1)
    never_begun, waiting = queue(database, 2)
    ask_abort(database, never_begun)
    leases = {lease.execution: lease for lease in store.lease(NOW, room(9))}
    assert leases.keys() == {never_begun, waiting}
    assert admitted(database) == 1
    state = store.load(leases[waiting]).state
    store.commit(leases[waiting], state, graph.apply(parse(compiled()), state, Begun()), NOW)
    ask_abort(database, waiting)
    assert admitted(database) == 1  # its tasks may still run
    state = store.load(leases[waiting]).state
    ended = graph.apply(parse(compiled()), state, Aborted())
    store.commit(leases[waiting], state, ended, NOW)
    assert stored(database, waiting).phase == "ABORTED"
    assert admitted(database) == 0


def test_however_many_workers_ask_at_once_the_limit_holds(database_url, database):
    limit(database, 5)
    queue(database, 40)
    databases = [Database(database_url, pool_size=1) for _ in range(6)]
    stores = [EngineStore(each, f"worker-{number}") for number, each in enumerate(databases)]

    def work(store):
        seen = []
        for _ in range(12):
            for lease in store.lease(NOW, room(3)):
                seen.append(admitted(database))
                end(store, lease)
        return seen

    with ThreadPoolExecutor(len(stores)) as pool:
        seen = [count for counts in pool.map(work, stores) for count in counts]
    for each in databases:
        each.close()
    assert len(seen) == 40
    assert max(seen) <= 5
    assert admitted(database) == 0


# --- real workers, killed


def test_the_limit_holds_while_workers_are_killed_and_nothing_stays_taken(
    database_url, database, programs, until, tmp_path
):
    """Three workers with more slots than may run; each is killed by SIGKILL once, with its tasks left behind."""
    running, count, gate, log = 2, 8, tmp_path / "gate", tmp_path / "log"
    limit(database, running)
    job = task("t", ACT="first-waits", GATE=str(gate), LOG=str(log))
    for number in range(count):
        flow = closure(workflow("w", node("n0", task="t")), tasks=[job])
        launch(database, f"e{number}", flow, literals(), created_at=number + 1)
    program = Path(__file__).with_name("engine_worker.py")

    def start(owner):
        command = [sys.executable, str(program), database_url, str(tmp_path), owner, "4", "1000000"]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ended():
        seen.add(admitted(database))
        with database.read(across=True) as tx:
            return tx.execute(
                select(func.count()).select_from(EXECUTIONS).where(EXECUTIONS.c.phase == "SUCCEEDED")
            ).scalar_one()

    def started():
        seen.add(admitted(database))
        return lines(log).count("ready t 0")

    seen = set()
    with ExitStack() as stack:
        workers = []

        def add(owner):
            workers.append(start(owner))
            stack.callback(lambda one=workers[-1]: (one.kill(), one.wait()))

        for number in range(3):
            add(f"worker-{number}")
        until(lambda: started() == running)  # as many tasks as may wait for the gate, and no more begin
        for number in range(3):
            workers[number].send_signal(signal.SIGKILL)
            workers[number].wait()
            add(f"again-{number}")
            ended()
        gate.touch()
        until(lambda: ended() == count, 90)
    assert max(seen) == running
    assert admitted(database) == 0
    attempts = [one for number in range(count) for one in attempts_of(database, ExecutionId(SCOPE, f"e{number}"))]
    ends = Counter(one.phase for one in attempts)
    # One that went on without its worker, and came to its end before another one looked, is not lost.
    assert ends["SUCCEEDED"] == count
    assert ends["LOST"] == len(attempts) - count <= running
    assert overlapping(attempts) <= running


def overlapping(attempts):
    """How many attempts ran at once, by the times of their rows."""
    moments = sorted((at, step) for one in attempts for at, step in ((one.created_at, 1), (one.ended_at, -1)))
    most = now = 0
    for _, step in moments:
        now += step
        most = max(most, now)
    return most
