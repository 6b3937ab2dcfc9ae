"""Runs executions: takes them, moves them step by step, and starts and ends the attempts of their tasks.

One thread does all of it, from one queue: what runners report comes in from their threads. Every step is committed
before anything follows from it, so a worker can be killed at any moment and another goes on at the last step:

- An attempt's handle is stored before the attempt is let go. One that was not stored yet never runs.
- Attempts that a worker left running are ended by the next one before it starts them again. They are LOST, which costs
  the task none of its retries, unless they had come to their end by themselves: then their result counts.
- A worker that has lost an execution to another one notices at its next write, which does nothing, and ends what it
  still runs of it.

Its slots are shared between domains (core/shares.py): a free one goes to the domain that uses the least of its share.
Where none is free, an attempt that runs beyond its domain's share is ended for a later domain that wants its own.

To drain, a worker takes nothing and starts nothing any more, lets running attempts go on for a while, and then ends
them as LOST and gives its executions back, so that the next worker goes on at once.
"""

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from itertools import islice
from typing import Any, Final

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from airspace_server.artifacts.store import ArtifactStore
from airspace_server.core.clock import Clock, now
from airspace_server.core.execution import ENDED_EXECUTION, ErrorKind, ExecutionError, ExecutionPhase
from airspace_server.core.scope import ExecutionId, Scope
from airspace_server.core.shares import Shares
from airspace_server.engine import gate_nodes, graph
from airspace_server.engine.admission import Room
from airspace_server.engine.outcome import Failed, Lost, Outcome, Preempted, Succeeded, TimedOut
from airspace_server.engine.plan import Entity, Node, NotRunnableError, Plan, parse
from airspace_server.engine.runners.base import AttemptSpec, RefusedError, Runner
from airspace_server.engine.store import AbortAskedError, EngineStore, Lease, LeaseLostError, Loaded
from airspace_server.execution.decks import MAX_DECK, deck_path
from airspace_server.storage.database import Database

POLL_SECONDS: Final = 0.1
"""How often a worker looks for executions to take and for those whose end was asked for."""
PATIENCE_US: Final = 1_000_000
"""For how many microseconds a worker without room leaves what is launched to workers that have some."""
RENEW_SECONDS: Final = 5.0
"""How often a worker renews its leases; they last four times as long."""
DRAIN_SECONDS: Final = 10.0
"""How long attempts may go on when a worker is told to stop."""
_ENDING_SECONDS: Final = 10.0
"""How long a stopping worker waits for the reports of the attempts that it ends; longer than any runner needs."""
_PLANS: Final = 64
_CHUNK: Final = 1 << 18

_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Held:
    """An execution that this worker has leased."""

    lease: Lease
    loaded: Loaded
    plan: Plan
    state: graph.State
    running: set[str] = field(default_factory=set)
    refused: bool = False


@dataclass(eq=False, slots=True)
class _Running:
    """An attempt that this worker has let go. `deadline` is on the monotonic clock."""

    held: _Held
    node: Node
    number: int
    deadline: float | None
    ended: bool = False
    timed_out: bool = False
    preempted_for: str = ""
    """The domain that wants its slot; "" while it may keep it."""

    @property
    def domain(self) -> str:
        return self.held.lease.execution.scope.domain


class Worker:
    """Runs executions of one database with one runner, up to `slots` attempts at once.

    `owner` is the worker's name in leases. `weights` say how the slots are shared between the domains, which are in
    the server's order. `drain` is in seconds. `checkpoint` is called with the name of each point
    at which a crash is a case of its own; `clock` gives microseconds since the epoch.
    """

    def __init__(
        self,
        database: Database,
        artifacts: ArtifactStore,
        runner: Runner,
        *,
        owner: str,
        slots: int,
        weights: Mapping[str, int] | None = None,
        drain: float = DRAIN_SECONDS,
        clock: Clock = now,
        checkpoint: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store = EngineStore(database, owner)
        self._artifacts = artifacts
        self._runner = runner
        self._slots = slots
        self._shares = Shares.of(weights or {}, slots)
        self._drain = drain
        self._clock = clock
        self._checkpoint = checkpoint
        self._plan = lru_cache(_PLANS)(self._read_plan)  # compiled workflows never change
        self._held: dict[ExecutionId, _Held] = {}
        self._attempts: dict[str, _Running] = {}
        self._reports: queue.SimpleQueue[tuple[str, Outcome, bool]] = queue.SimpleQueue()

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, then drain."""
        renew_at = time.monotonic() + RENEW_SECONDS
        poll_at = 0.0
        until: float | None = None
        while until is None or (self._held and time.monotonic() < until):
            now = time.monotonic()
            if stop.is_set() and until is None:
                until = now + self._drain
            if now >= renew_at:
                self._guarded(self._renew)
                renew_at = now + RENEW_SECONDS
            if now >= poll_at:
                self._guarded(partial(self._poll, takes=until is None))
                self._guarded(self._look_at_gates)
                poll_at = now + POLL_SECONDS
            self._end_overdue(now)
            if until is None:
                self._fill_slots()
            else:
                self._give_back()
            held = len(self._held)
            self._take_reports(max(0.0, poll_at - time.monotonic()))
            if len(self._held) < held:
                poll_at = 0.0  # there is room for another one
        self._end_all()

    def _guarded(self, act: Callable[[], None]) -> None:
        """Do what can be done again later; a database that is away for a moment is no reason to stop."""
        try:
            act()
        except DBAPIError:
            _log.warning("the database does not answer; trying again", exc_info=True)

    # --- executions

    def _poll(self, *, takes: bool) -> None:
        """Notice what changed outside.

        A worker holds as many executions as it has slots, so that each gets one, and more only of domains of which it
        holds fewer than their share.
        """
        domains = Counter(execution.scope.domain for execution in self._held)
        now, free = self._clock(), max(0, self._slots - len(self._held))
        room = Room(free, domains, self._shares, now - PATIENCE_US) if takes else None
        polled = self._store.poll(now, room)
        for execution in polled.aborting:
            held = self._held.get(execution)
            if held and held.state.phase is not ExecutionPhase.ABORTING:
                self._apply(held, graph.Aborted())
        if polled.open and takes:
            leases = self._store.lease(now, room)
            self._checkpoint("leased")
            for lease in leases:
                self._take(lease)

    def _look_at_gates(self) -> None:
        """Open gates, and let go of executions that can do nothing but wait for one: they take no worker's slot."""
        for held in [one for one in self._held.values() if any(graph.gates(one.state))]:
            known, now = self._store.gates(held.lease), self._clock()
            waiting = list(graph.gates(held.state))
            if not known.since.keys() >= set(waiting):
                continue  # another worker has moved it on; the next write here will tell
            for node_id in waiting:
                state = held.state.nodes[node_id]
                outcome = gate_nodes.outcome(held.plan.nodes[node_id], state, known, now)
                if outcome is not None:
                    self._apply(held, graph.GateEnded(node_id, outcome))
                    break  # what follows from it may end the others; they are looked at in the next round
            else:
                if not held.running and graph.only_gates_wait(held.state):
                    self._park(held, known)

    def _park(self, held: _Held, known: gate_nodes.Known) -> None:
        wakes = [gate_nodes.wakes_at(held.plan.nodes[node_id], known) for node_id in graph.gates(held.state)]
        try:
            parked = self._store.park(held.lease, known, min((one for one in wakes if one is not None), default=None))
        except LeaseLostError:
            parked = True
        if parked:
            del self._held[held.lease.execution]

    def _take(self, lease: Lease) -> None:
        """Load an execution and bring it to where it can go on."""
        if before := self._held.get(lease.execution):
            self._drop(before)  # our own lease had expired
        try:
            loaded = self._store.load(lease)
            outcomes = self._reap(lease.execution, loaded.state)
        except Exception:
            # What a worker left may still run: nobody may go on before that is known to be over.
            _log.exception("%s could not be taken over; it is tried again when its lease ends", lease.execution)
            return
        held = self._held[lease.execution] = _Held(lease, loaded, Plan({}, {}, {}), loaded.state)
        try:
            held.plan = self._plan(lease.execution.scope.domain, loaded.runs)
        except NotRunnableError as error:
            self._refuse(held, ExecutionError("NOT_RUNNABLE", str(error), ErrorKind.USER))
        except DBAPIError:
            _log.warning("%s could not be read; it is tried again when its lease ends", lease.execution, exc_info=True)
            self._drop(held)
        except Exception:
            _log.exception("%s has a workflow that cannot be laid out", lease.execution)
            self._refuse(held, _FAULT)
        aborting = loaded.state.phase is ExecutionPhase.ABORTING
        queued = loaded.state.phase is ExecutionPhase.QUEUED
        first: list[graph.Event] = [graph.Aborted()] if aborting else [graph.Begun()] if queued else []
        for event in (*first, *outcomes):
            self._apply(held, event)

    def _reap(self, execution: ExecutionId, state: graph.State) -> list[graph.Event]:
        """Make sure that nothing runs of the attempts that another worker left, and find out what became of them."""
        events: list[graph.Event] = []
        for node in state.nodes.values():
            if attempt := node.running:
                outcome = self._runner.reap(attempt.handle) if attempt.handle else None
                deck = bool(attempt.handle) and self._keep_deck(execution, node.id, attempt.number, attempt.handle)
                events.append(graph.AttemptEnded(node.id, attempt.number, outcome or Lost(_LOST), deck))
        return events

    def _read_plan(self, domain: str, runs: Entity) -> Plan:
        return parse(self._store.closure(domain, runs))

    def _renew(self) -> None:
        lost = self._store.renew([held.lease for held in self._held.values()], self._clock()) if self._held else ()
        for lease in lost:
            self._drop(self._held[lease.execution])

    def _give_back(self) -> None:
        """While draining: let other workers have the executions of which nothing runs here any more."""
        for held in [one for one in self._held.values() if not one.running]:
            del self._held[held.lease.execution]
            self._guarded(partial(self._store.release, held.lease))

    def _drop(self, held: _Held) -> None:
        """Let go of an execution that is another worker's now, or whose stored state is not known any more."""
        self._held.pop(held.lease.execution, None)
        for handle in held.running:
            self._end(handle)

    # --- steps

    def _apply(self, held: _Held, event: graph.Event) -> bool:
        """Bring an event into the state and store it; tell whether it is in. The end that was asked for goes first."""
        if self._held.get(held.lease.execution) is not held:
            return False
        try:
            step = graph.apply(held.plan, held.state, event)
        except Exception:
            _log.exception("%s came to a state that cannot be", held.lease.execution)
            self._refuse(held, _FAULT)
            return False
        try:
            return self._commit(held, step)
        except AbortAskedError:
            self._apply(held, graph.Aborted())
            return isinstance(event, graph.AttemptEnded) and self._apply(held, event)

    def _refuse(self, held: _Held, error: ExecutionError) -> None:
        """Fail an execution that cannot go on."""
        for handle in held.running:
            self._end(handle)
        try:
            self._commit(held, graph.refuse(held.state, error))
        except AbortAskedError:
            self._commit(held, graph.refuse(replace(held.state, phase=ExecutionPhase.ABORTING), error))

    def _commit(self, held: _Held, step: graph.Step) -> bool:
        """Store a step and tell whether it is; if not, the execution is let go. Raises AbortAskedError."""
        self._checkpoint("before commit")
        try:
            asked = gate_nodes.asked(held.plan, held.state, step.state)
            self._store.commit(held.lease, held.state, step, self._clock(), asked)
        except LeaseLostError:
            _log.warning("%s was taken by another worker", held.lease.execution)
            self._drop(held)
            return False
        except AbortAskedError:
            raise
        except (OperationalError, InterfaceError):
            _log.warning("%s: a step could not be stored; it is done again", held.lease.execution, exc_info=True)
            self._drop(held)
            return False
        except Exception:
            # Doing it again would end the same way, and one execution must not take the worker of all with it.
            _log.exception("%s came to a state that cannot be stored", held.lease.execution)
            if held.refused:
                self._drop(held)
            else:
                held.refused = True
                self._refuse(held, _FAULT)
            return False
        self._checkpoint("after commit")
        held.state = step.state
        for _, attempt in graph.surplus(held.plan, held.state):
            self._end(attempt.handle)
        if held.state.phase in ENDED_EXECUTION:
            self._held.pop(held.lease.execution, None)
        return True

    # --- attempts

    def _fill_slots(self) -> None:
        """Start what waits.

        Each slot goes to the domain that uses the least of its share, there to the scope and then to the execution
        that have the fewest attempts running.
        """
        while len(self._attempts) < self._slots:
            ready = [
                (held, node_id) for held in self._held.values() if (node_id := next(graph.waiting(held.state), ""))
            ]
            if not ready:
                return
            domains = Counter(running.domain for running in self._attempts.values())
            scopes = Counter(running.held.lease.execution.scope for running in self._attempts.values())

            def place(one: tuple[_Held, str], domains: Counter[str] = domains, scopes: Counter[Scope] = scopes) -> Any:
                scope = one[0].lease.execution.scope
                return self._shares.rank(scope.domain, domains[scope.domain]), scopes[scope], len(one[0].running)

            self._start(*min(ready, key=place))
        self._preempt()

    def _preempt(self) -> None:
        """End what runs beyond its domain's share, the newest first, for later domains that want a slot of theirs."""
        if len({execution.scope.domain for execution in self._held}) < 2:
            return  # one domain has them all, and nobody else wants any
        waiting = self._waiting()
        while True:
            promised = Counter(running.preempted_for for running in self._attempts.values() if running.preempted_for)
            kept = Counter(running.domain for running in self._attempts.values() if not running.ended)
            wanting = [domain for domain, count in waiting.items() if count > promised[domain]]
            pair = self._shares.reclaim(kept + promised, wanting)
            if pair is None:
                return
            claimant, loser = pair
            newest = next((one for one in reversed(self._attempts) if self._keeps(one, loser)), None)
            if newest is None:
                return
            self._attempts[newest].preempted_for = claimant
            self._end(newest)

    def _keeps(self, handle: str, domain: str) -> bool:
        running = self._attempts[handle]
        return running.domain == domain and not running.ended

    def _waiting(self) -> Counter[str]:
        """Count the nodes of each domain that wait for a slot; of one execution at most as many as there are slots."""
        waiting: Counter[str] = Counter()
        for held in self._held.values():
            count = sum(1 for _ in islice(graph.waiting(held.state), self._slots))
            if count:
                waiting[held.lease.execution.scope.domain] += count
        return waiting

    def _start(self, held: _Held, node_id: str) -> None:
        state = held.state.nodes[node_id]
        node, number = held.plan.node(node_id, state.frame, state.spec_id), len(state.attempts)
        try:
            prepared = self._runner.prepare(self._spec(held, node, number))
        except RefusedError as refused:
            self._not_started(held, node_id, number, refused.outcome)
            return
        except Exception:
            _log.exception("%s: attempt %d of %s could not be prepared", held.lease.execution, number, node_id)
            self._not_started(held, node_id, number, Failed(_NOT_STARTED, retryable=True))
            return
        self._checkpoint("prepared")
        handle = prepared.handle
        if not self._apply(held, graph.AttemptStarted(node_id, handle, prepared.outputs_uri)):
            self._runner.end(handle)
            return
        self._checkpoint("recorded")
        deadline = time.monotonic() + node.timeout_us / 1e6 if node.timeout_us else None
        self._attempts[handle] = _Running(held, node, number, deadline)
        held.running.add(handle)

        def ended(outcome: Outcome) -> None:  # on a thread of the runner's, where a large deck keeps nobody waiting
            deck = self._keep_deck(held.lease.execution, node_id, number, handle)
            self._reports.put((handle, outcome, deck))

        self._runner.release(handle, ended)
        self._checkpoint("released")

    def _keep_deck(self, execution: ExecutionId, node_id: str, number: int, handle: str) -> bool:
        """Put the deck of an ended attempt among the artifacts; tell whether it is there."""
        try:
            deck = self._runner.deck(handle)
            if deck is None:
                return False
            with deck:
                chunks = iter(partial(deck.read, _CHUNK), b"")
                self._artifacts.write(execution.scope, deck_path(execution, node_id, number), chunks, MAX_DECK)
        except Exception:  # whatever it is, the attempt is what it is without
            _log.warning("%s: the deck of attempt %d of %s is not kept", execution, number, node_id, exc_info=True)
            return False
        return True

    def _not_started(self, held: _Held, node_id: str, number: int, outcome: Failed) -> None:
        if self._apply(held, graph.AttemptStarted(node_id, "", "")):
            self._apply(held, graph.AttemptEnded(node_id, number, outcome))

    def _spec(self, held: _Held, node: Node, number: int) -> AttemptSpec:
        execution, loaded = held.lease.execution, held.loaded
        inputs, index = graph.given(held.plan, held.state, node.id)

        def raw_data(attempt: int) -> str:
            return self._artifacts.prefix(execution.scope, "data", execution.name, node.id, str(attempt))

        return AttemptSpec(
            execution,
            loaded.runs.name,
            loaded.launch_plan,
            node.id,
            number,
            held.plan.task(node),
            inputs,
            raw_data(number),
            raw_data(number - 1) if number else None,
            {pair.key: pair.value for pair in loaded.spec.envs.values},
            self._shares.nice(execution.scope.domain),
            index,
        )

    def _end(self, handle: str) -> None:
        running = self._attempts.get(handle)
        if running and not running.ended:
            running.ended = True
            self._runner.end(handle)

    def _end_overdue(self, now: float) -> None:
        for handle, running in self._attempts.items():
            if running.deadline is not None and running.deadline <= now and not running.ended:
                running.timed_out = True
                self._end(handle)

    def _take_reports(self, seconds: float) -> None:
        """Wait for a report, and take all that are there."""
        try:
            report = self._reports.get(timeout=seconds)
            while True:
                self._report(*report)
                report = self._reports.get_nowait()
        except queue.Empty:
            return

    def _report(self, handle: str, outcome: Outcome, deck: bool) -> None:
        self._checkpoint("reported")
        running = self._attempts.pop(handle)
        running.held.running.discard(handle)
        if running.timed_out and not isinstance(outcome, Succeeded):
            timeout = running.node.timeout_us / 1e6
            text = f"the attempt was ended after its timeout of {timeout:g} s"
            outcome = TimedOut(ExecutionError("TIMED_OUT", text, ErrorKind.USER))
        elif running.preempted_for and not isinstance(outcome, Succeeded):
            text = f"the attempt's slot was wanted by {running.preempted_for}, whose share it is"
            outcome = Preempted(ExecutionError("PREEMPTED", text, ErrorKind.SYSTEM))
        self._apply(running.held, graph.AttemptEnded(running.node.id, running.number, outcome, deck))

    def _end_all(self) -> None:
        """End what still runs, record it as lost and give the executions back."""
        for handle in list(self._attempts):
            self._end(handle)
        until = time.monotonic() + _ENDING_SECONDS
        while self._attempts and time.monotonic() < until:
            self._take_reports(POLL_SECONDS)
        self._give_back()


_LOST: Final = ExecutionError("LOST", "the worker that ran the attempt went away", ErrorKind.SYSTEM)
_NOT_STARTED: Final = ExecutionError("NOT_STARTED", "the attempt could not be prepared", ErrorKind.SYSTEM)
_FAULT: Final = ExecutionError("ENGINE_FAULT", "the engine cannot go on with this execution", ErrorKind.SYSTEM)
