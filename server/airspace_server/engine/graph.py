"""The life of an execution as a pure state machine: a plan, a state and an event give the next state.

Nothing here waits, reads or writes. What the worker has to do is a function of the state alone, so that it is the same
after a restart: `waiting` names the nodes that want an attempt started and `surplus` the attempts to be ended.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Never

from flyteidl.core import literals_pb2

from airspace_server.core.execution import (
    ENDED_EXECUTION,
    ENDED_NODE,
    FRAMED_NODE,
    AttemptPhase,
    ErrorKind,
    ExecutionError,
    ExecutionPhase,
    NodeKind,
    NodePhase,
)
from airspace_server.engine.arrays import ArrayError, gathered
from airspace_server.engine.bindings import MAX_RESOLVED, UnresolvedError, error_literal, resolve_all
from airspace_server.engine.conditions import UndecidedError, first
from airspace_server.engine.outcome import Failed, Lost, Outcome, Preempted, Succeeded, TimedOut
from airspace_server.engine.plan import ROOT, Bindings, Entity, Frame, Node, Plan, item_ids, unique_id

SYSTEM_RETRIES: Final = 3
"""How often a node is tried again after errors that are not its task's fault, beside the task's own retries."""

LOST_RETRIES: Final = 10
"""How often a node is tried again after its worker was gone: one that takes its worker down must end."""

MAX_VALUES: Final = 128 * 1024 * 1024
"""Most bytes that the inputs and outputs of all nodes of an execution may have together: a worker holds them in memory,
beside those of everybody else's executions, and a workflow can take one large value thousands of times."""
MAX_LOOKED: Final = 64 * 1024 * 1024
"""Most bytes that are looked through in one step for parts of values: some seconds, in which nobody else's execution
moves, however many nodes take another part each."""

_NO_TRY: Final = frozenset({AttemptPhase.LOST, AttemptPhase.PREEMPTED})
"""Ends of attempts that cost the task none of its retries."""
_TOO_MUCH: Final = (
    f"and the values of all other nodes have more than {MAX_VALUES} bytes together; large data is for files"
)
_BAD_NODE: Final = frozenset({NodePhase.FAILED, NodePhase.TIMED_OUT})


class IllegalEventError(Exception):
    """An event that cannot happen in this state: a fault of this program."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a node's task. `handle` and `outputs_uri` are its runner's; `deck`: it left a page to look at."""

    number: int
    phase: AttemptPhase
    handle: str
    outputs_uri: str
    error: ExecutionError | None = None
    deck: bool = False


@dataclass(frozen=True, slots=True)
class NodeState:
    """A node that has come up. `position` counts the nodes in the order in which they did."""

    id: str
    spec_id: str
    frame: str
    entity: Entity
    position: int
    phase: NodePhase
    inputs: literals_pb2.LiteralMap | None = None
    outputs: literals_pb2.LiteralMap | None = None
    error: ExecutionError | None = None
    attempts: tuple[Attempt, ...] = ()

    @property
    def running(self) -> Attempt | None:
        """The attempt that runs, if one does."""
        last = self.attempts[-1] if self.attempts else None
        return last if last and last.phase is AttemptPhase.RUNNING else None


@dataclass(frozen=True, slots=True)
class State:
    """All there is to know of a run: what is in here is what is stored. Messages in it are never changed.

    `size` is how many bytes the inputs and outputs of its nodes have; None where nobody has counted yet.
    """

    phase: ExecutionPhase
    inputs: literals_pb2.LiteralMap
    nodes: Mapping[str, NodeState]
    outputs: literals_pb2.LiteralMap | None = None
    error: ExecutionError | None = None
    size: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Begun:
    """A worker took the queued execution."""


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A process for the next attempt of the node stands ready to run."""

    node_id: str
    handle: str
    outputs_uri: str


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """An attempt has ended, and nothing of it runs any more."""

    node_id: str
    number: int
    outcome: Outcome
    deck: bool = False


@dataclass(frozen=True, slots=True)
class GateEnded:
    """What a gate has waited for is there, or will not be."""

    node_id: str
    outcome: Succeeded | Failed | TimedOut


@dataclass(frozen=True, slots=True)
class Aborted:
    """Someone asked for the end of the execution. May come more than once."""


Event = Begun | AttemptStarted | AttemptEnded | GateEnded | Aborted


@dataclass(frozen=True, slots=True)
class Transition:
    """A move to a phase, of the execution when `node_id` is None. `attempt` counts from 1; 0 is before the first."""

    node_id: str | None
    phase: ExecutionPhase | NodePhase
    attempt: int = 0
    error: ExecutionError | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What an event led to: the next state, and the moves to record in their order."""

    state: State
    transitions: tuple[Transition, ...]


def apply(plan: Plan, state: State, event: Event) -> Step:
    """Return what `event` leads to. Raises IllegalEventError."""
    if state.phase in ENDED_EXECUTION:
        raise IllegalEventError(f"{type(event).__name__} for an execution that is {state.phase}")
    move = _Move(plan, state)
    match event:
        case Begun():
            move.begin()
        case AttemptStarted(node_id, handle, outputs_uri):
            move.start_attempt(node_id, handle, outputs_uri)
        case AttemptEnded(node_id, number, outcome, deck):
            move.end_attempt(node_id, number, outcome, deck)
        case GateEnded(node_id, outcome):
            move.end_gate(node_id, outcome)
        case Aborted():
            move.phase = ExecutionPhase.ABORTING  # whoever asked for it has recorded this move
    return move.settled()


def refuse(state: State, error: ExecutionError) -> Step:
    """End an execution that cannot be run or go on; nothing of it may run any more. Raises IllegalEventError."""
    if state.phase in ENDED_EXECUTION:
        raise IllegalEventError(f"refused an execution that is {state.phase}")
    nodes, transitions = dict(state.nodes), []
    for node in state.nodes.values():
        if node.phase not in ENDED_NODE:
            nodes[node.id] = replace(_end_last(node, AttemptPhase.ABORTED, None), phase=NodePhase.ABORTED)
            transitions.append(Transition(node.id, NodePhase.ABORTED, len(node.attempts)))
    aborting = state.phase is ExecutionPhase.ABORTING
    phase = ExecutionPhase.ABORTED if aborting else ExecutionPhase.FAILED
    shown = None if aborting else error
    transitions.append(Transition(None, phase, error=shown))
    return Step(replace(state, phase=phase, nodes=nodes, error=shown), tuple(transitions))


def waiting(state: State) -> Iterator[str]:
    """Name the nodes that want an attempt started, in the order in which they came up."""
    for node in state.nodes.values():
        if node.entity.kind is NodeKind.TASK and node.phase not in ENDED_NODE and not node.running:
            yield node.id


def given(plan: Plan, state: State, node_id: str) -> tuple[literals_pb2.LiteralMap, int | None]:
    """Return what the task of a node that waits is given, and which item of an array it is, None for no array.

    Raises IllegalEventError for one that has no inputs.
    """
    node = state.nodes[node_id]
    around = state.nodes.get(node.frame)
    array = plan.nodes[around.id].array if around is not None else None
    if array is None or around is None:
        inputs, index = node.inputs, None
    else:
        index = int(node.spec_id)
        inputs = None if around.inputs is None else array.given(around.inputs, index)
    if inputs is None:
        raise IllegalEventError(f"{node_id} waits without inputs")
    return inputs, index


def gates(state: State) -> Iterator[str]:
    """Name the gates that wait."""
    for node in state.nodes.values():
        if node.entity.kind is NodeKind.GATE and node.phase not in ENDED_NODE:
            yield node.id


def only_gates_wait(state: State) -> bool:
    """Tell whether a gate waits, and nothing runs or could be started meanwhile."""
    open_ = [node.entity.kind for node in state.nodes.values() if node.phase not in ENDED_NODE]
    return NodeKind.GATE in open_ and all(kind is NodeKind.GATE or kind in FRAMED_NODE for kind in open_)


def surplus(plan: Plan, state: State) -> Iterator[tuple[str, Attempt]]:
    """Name the running attempts that are to be ended, because nobody wants their outcome any more."""
    for node in state.nodes.values():
        if node.running and _ending_around(plan, state.phase, state.nodes, node):
            yield node.id, node.running


def _ending(plan: Plan, phase: ExecutionPhase, nodes: Mapping[str, NodeState], frame: Frame) -> bool:
    """Tell whether the frame only waits for the end of what still runs in it."""
    if phase is ExecutionPhase.ABORTING or (frame.fails_at_once and _first_bad(nodes, frame)):
        return True
    if _items(plan, nodes, frame).failed:
        return True
    return frame.id != ROOT and _ending_around(plan, phase, nodes, plan.nodes[frame.id])


def _ending_around(plan: Plan, phase: ExecutionPhase, nodes: Mapping[str, NodeState], node: Node | NodeState) -> bool:
    """Tell whether a node is to end with its frame; a failure node is not to, because its frame has failed."""
    frame = plan.frames[node.frame]
    if frame.failure is None or frame.failure.id != node.id:
        return _ending(plan, phase, nodes, frame)
    if phase is ExecutionPhase.ABORTING:
        return True
    return frame.id != ROOT and _ending_around(plan, phase, nodes, plan.nodes[frame.id])


@dataclass(frozen=True, slots=True)
class _Items:
    """The items of an array as they are: `failed` once more of them have than may."""

    ids: tuple[str, ...] = ()
    bad: tuple[NodeState, ...] = ()
    failed: bool = False


_NO_ITEMS: Final = _Items()


def _items(plan: Plan, nodes: Mapping[str, NodeState], frame: Frame) -> _Items:
    """Look at the items of an array that has come up; of any other frame there are none."""
    state = nodes.get(frame.id)
    if state is None or state.entity.kind is not NodeKind.ARRAY or state.inputs is None:
        return _NO_ITEMS
    array = plan.nodes[frame.id].array
    if array is None:
        raise RuntimeError(f"{frame.id} is no array")
    ids = item_ids(frame.id, array.size(state.inputs))
    found = (nodes.get(id_) for id_ in ids)
    bad = tuple(item for item in found if item is not None and item.phase in _BAD_NODE)
    return _Items(ids, bad, len(bad) > array.failures(len(ids)))


def _first_bad(nodes: Mapping[str, NodeState], frame: Frame) -> NodeState | None:
    """Find the failed node that comes first in the workflow, so that the order of events does not choose the error."""
    for node in frame.nodes:
        state = nodes.get(node.id)
        if state and state.phase in _BAD_NODE:
            return state
    return None


def _end_last(node: NodeState, phase: AttemptPhase, error: ExecutionError | None) -> NodeState:
    """Move the running attempt, if there is one, to its end."""
    if not node.running:
        return node
    return replace(node, attempts=(*node.attempts[:-1], replace(node.running, phase=phase, error=error)))


def _new_bytes(node: NodeState, before: NodeState | None = None) -> int:
    """Count the bytes of the values that a node has and did not have before."""
    known = (None, None) if before is None else (before.inputs, before.outputs)
    return sum(
        values.ByteSize()
        for values, old in zip((node.inputs, node.outputs), known, strict=True)
        if values is not None and values is not old
    )


class _Move:
    """One step in the making."""

    def __init__(self, plan: Plan, state: State) -> None:
        self._plan = plan
        self._state = state
        self._nodes = dict(state.nodes)
        self._size = sum(map(_new_bytes, state.nodes.values())) if state.size is None else state.size
        self._looked = 0
        self._choices: dict[str, str | None] = {}
        self._transitions: list[Transition] = []
        self.phase = state.phase
        self._outputs: literals_pb2.LiteralMap | None = None
        self._error = state.error

    def begin(self) -> None:
        if self.phase is not ExecutionPhase.QUEUED:
            self._illegal(f"begins while {self.phase}")
        for frame in self._plan.frames.values():  # a failed execution that is recovered has cleaned up already
            if frame.failure is not None:
                self._forget(frame.failure.id)
        self._execution_to(ExecutionPhase.RUNNING)

    def _forget(self, node_id: str) -> None:
        """Take out a node and all that is inside it."""
        self._nodes.pop(node_id, None)
        for inside in [one.id for one in self._nodes.values() if one.frame == node_id]:
            self._forget(inside)

    def start_attempt(self, node_id: str, handle: str, outputs_uri: str) -> None:
        node = self._nodes.get(node_id)
        if node is None or node.entity.kind is not NodeKind.TASK or node.phase in ENDED_NODE or node.running:
            self._illegal(f"an attempt of {node_id} starts out of turn")
        attempt = Attempt(len(node.attempts), AttemptPhase.RUNNING, handle, outputs_uri)
        self._put(replace(node, phase=NodePhase.RUNNING, attempts=(*node.attempts, attempt)))

    def end_attempt(self, node_id: str, number: int, outcome: Outcome, deck: bool) -> None:
        node = self._nodes.get(node_id)
        if node is None or node.running is None or node.running.number != number:
            self._illegal(f"attempt {number} of {node_id} ends without running")
        node = replace(node, attempts=(*node.attempts[:-1], replace(node.running, deck=deck)))
        if isinstance(outcome, Succeeded):
            node = _end_last(node, AttemptPhase.SUCCEEDED, None)
            if self._has_room(outcome.outputs):
                self._put(replace(node, phase=NodePhase.SUCCEEDED, outputs=outcome.outputs))
            else:
                too_large = ExecutionError("OUTPUTS_TOO_LARGE", f"its outputs {_TOO_MUCH}", ErrorKind.USER)
                self._put(replace(node, phase=NodePhase.FAILED, error=too_large))
        elif _ending_around(self._plan, self.phase, self._nodes, node):
            self._put(replace(_end_last(node, AttemptPhase.ABORTED, None), phase=NodePhase.ABORTED))
        else:
            self._unsuccessful(node, outcome)

    def end_gate(self, node_id: str, outcome: Succeeded | Failed | TimedOut) -> None:
        node = self._nodes.get(node_id)
        if node is None or node.entity.kind is not NodeKind.GATE or node.phase in ENDED_NODE:
            self._illegal(f"{node_id} is no gate that waits")
        if isinstance(outcome, Succeeded):
            self._put(replace(node, phase=NodePhase.SUCCEEDED, outputs=outcome.outputs))
        else:
            phase = NodePhase.TIMED_OUT if isinstance(outcome, TimedOut) else NodePhase.FAILED
            self._put(replace(node, phase=phase, error=outcome.error))

    def settled(self) -> Step:
        """Follow up on what changed until nothing more does, and move the execution itself."""
        root = self._plan.frames[ROOT]
        if self.phase is not ExecutionPhase.QUEUED:
            self._settle(root)
            self._move_execution(root)
        state = State(self.phase, self._state.inputs, self._nodes, self._outputs, self._error, self._size)
        return Step(state, tuple(self._transitions))

    def _position(self) -> int:
        """Return the place of the node that comes up next."""
        last = next(reversed(self._nodes.values()), None)
        return 0 if last is None else last.position + 1

    def _illegal(self, what: str) -> Never:
        raise IllegalEventError(what)

    def _ending(self, frame: Frame) -> bool:
        return _ending(self._plan, self.phase, self._nodes, frame)

    def _put(self, node: NodeState, error: ExecutionError | None = None) -> None:
        """Store a node and record where it moved; `error` is that of an attempt, the node's own goes before it."""
        self._size += _new_bytes(node, self._nodes.get(node.id))
        self._nodes[node.id] = node
        self._transitions.append(Transition(node.id, node.phase, len(node.attempts), node.error or error))

    def _execution_to(self, phase: ExecutionPhase, error: ExecutionError | None = None) -> None:
        self.phase, self._error = phase, error
        self._transitions.append(Transition(None, phase, error=error))

    def _unsuccessful(self, node: NodeState, outcome: Failed | TimedOut | Lost | Preempted) -> None:
        """Let the node be tried again, or fail it."""
        phases = {
            Failed: (AttemptPhase.FAILED, NodePhase.FAILED),
            TimedOut: (AttemptPhase.TIMED_OUT, NodePhase.TIMED_OUT),
            Lost: (AttemptPhase.LOST, NodePhase.FAILED),
            Preempted: (AttemptPhase.PREEMPTED, NodePhase.FAILED),
        }
        attempt_phase, node_phase = phases[type(outcome)]
        node = _end_last(node, attempt_phase, outcome.error)
        if self._tried_again(node, outcome):
            self._put(node, outcome.error)
        else:
            self._put(replace(node, phase=node_phase, error=outcome.error))

    def _tried_again(self, node: NodeState, outcome: Failed | TimedOut | Lost | Preempted) -> bool:
        if isinstance(outcome, Preempted):
            return True
        if isinstance(outcome, Lost):
            return sum(one.phase is AttemptPhase.LOST for one in node.attempts) <= LOST_RETRIES
        if isinstance(outcome, Failed) and not outcome.retryable:
            return False
        failed = [one.error.kind for one in node.attempts if one.error and one.phase not in _NO_TRY]
        allowed = (
            SYSTEM_RETRIES
            if outcome.error.kind is ErrorKind.SYSTEM
            else self._plan.node(node.id, node.frame, node.spec_id).retries
        )
        return failed.count(outcome.error.kind) <= allowed

    def _settle(self, frame: Frame) -> None:
        moved = True
        while moved:  # each move can make others possible; phases only go forward, so this ends
            ending = self._ending(frame)
            moved = False
            for node in frame.nodes:
                moved |= self._visit(node, ending)

    def _visit(self, node: Node, ending: bool) -> bool:
        """Move one node as far as its surroundings allow; tell whether it moved."""
        state = self._nodes.get(node.id)
        if state is None:
            return self._come_up(node, ending)
        if state.phase in ENDED_NODE:
            return False
        if state.entity.kind is NodeKind.ARRAY:
            return self._visit_array(node, state)
        if state.entity.kind in FRAMED_NODE:
            return self._visit_frame(state)
        if ending and not state.running:
            self._put(replace(state, phase=NodePhase.ABORTED))
            return True
        return False

    def _chosen(self, frame: Frame, inputs: literals_pb2.LiteralMap | None) -> str | None:
        """Name the node of a branch that is run, None if it is none. Raises UndecidedError.

        It is decided once in a step: each of the branch's nodes asks, and a branch can have thousands.
        """
        if frame.branch is None or inputs is None:
            raise RuntimeError(f"{frame.id} is no branch that has come up")
        if frame.id not in self._choices:
            place = first(frame.branch.conditions, inputs)
            self._choices[frame.id] = (frame.branch.otherwise or None) if place is None else frame.branch.nodes[place]
        return self._choices[frame.id]

    def _come_up(self, node: Node, ending: bool) -> bool:
        before = [state.phase if (state := self._nodes.get(one)) else None for one in node.upstream]
        new = NodeState(node.id, node.spec_id, node.frame, node.entity, self._position(), NodePhase.SKIPPED)
        frame = self._plan.frames[node.frame]
        passed_by = frame.branch and self._chosen(frame, self._nodes[frame.id].inputs) != node.id
        if passed_by or any(phase in ENDED_NODE and phase is not NodePhase.SUCCEEDED for phase in before):
            self._put(new)
            return True
        if ending or any(phase is not NodePhase.SUCCEEDED for phase in before):
            return False
        try:
            inputs = self._resolve(frame, node.inputs)
        except UnresolvedError as error:
            self._put(replace(new, phase=NodePhase.FAILED, error=_unresolved(error)))
            return True
        problem = self._problem(node, inputs)
        if problem:
            self._put(replace(new, phase=NodePhase.FAILED, inputs=inputs, error=problem))
            return True
        phase = NodePhase.QUEUED if node.entity.kind is NodeKind.TASK else NodePhase.RUNNING
        self._put(replace(new, phase=phase, inputs=inputs))
        return True

    def _problem(self, node: Node, inputs: literals_pb2.LiteralMap) -> ExecutionError | None:
        """Say why a branch or an array cannot be run with these inputs."""
        undecided = self._undecided(node, inputs)
        if undecided:
            return ExecutionError("NO_BRANCH", f"branch {node.id} ({node.entity.name}): {undecided}", ErrorKind.USER)
        try:
            if node.array is not None:
                node.array.size(inputs)
        except ArrayError as error:
            return _array_error(node, error)
        return None

    def _undecided(self, node: Node, inputs: literals_pb2.LiteralMap) -> str | None:
        """Say why no node of a branch can be run."""
        if node.entity.kind is not NodeKind.BRANCH:
            return None
        frame = self._plan.frames[node.id]
        try:
            return None if self._chosen(frame, inputs) or frame.branch is None else frame.branch.error
        except UndecidedError as error:
            return str(error)

    def _visit_array(self, node: Node, state: NodeState) -> bool:
        """Let the items of an array come up, as many as may run at once; tell whether it ended."""
        frame = self._plan.frames[node.id]
        items, ending = _items(self._plan, self._nodes, frame), self._ending(frame)
        if node.array is None or state.inputs is None:
            raise RuntimeError(f"{node.id} is no array that has come up")
        open_ = 0
        for index, id_ in enumerate(items.ids):
            item = self._nodes.get(id_)
            if item is not None and item.phase in ENDED_NODE:
                continue
            if item is not None and ending and not item.running:
                self._put(replace(item, phase=NodePhase.ABORTED))
                continue
            if item is None and (ending or open_ == (node.array.parallelism or len(items.ids))):
                break
            if item is None and not self._item_comes_up(node, state.inputs, index, id_):
                return True
            open_ += 1
        if open_:
            return False
        return self._end_array(node, state, items)

    def _item_comes_up(self, array: Node, inputs: literals_pb2.LiteralMap, index: int, id_: str) -> bool:
        """Let an item come up; tell whether it can run."""
        plan = self._plan.node(id_, array.id, str(index))
        new = NodeState(id_, plan.spec_id, plan.frame, plan.entity, self._position(), NodePhase.QUEUED)
        own = array.array.item(inputs, index) if array.array is not None else None
        if own is None or not self._has_room(own):
            too_large = ExecutionError("INPUTS_TOO_LARGE", f"its inputs {_TOO_MUCH}", ErrorKind.USER)
            self._put(replace(new, phase=NodePhase.FAILED, error=too_large))
            return False
        self._put(replace(new, inputs=own))
        return True

    def _visit_frame(self, state: NodeState) -> bool:
        frame = self._plan.frames[state.id]
        self._settle(frame)
        bad = _first_bad(self._nodes, frame)
        if self._unfinished(frame) or self._cleans_up(frame, bad):
            return False
        if bad:
            self._put(replace(state, phase=NodePhase.FAILED, error=_named(bad)))
        elif not self._complete(frame):
            self._put(replace(state, phase=NodePhase.ABORTED))
        else:
            try:
                outputs = self._outputs_of(frame, state)
                self._put(replace(state, phase=NodePhase.SUCCEEDED, outputs=outputs))
            except UnresolvedError as error:
                self._put(replace(state, phase=NodePhase.FAILED, error=_unresolved(error)))
        return True

    def _end_array(self, node: Node, state: NodeState, items: _Items) -> bool:
        states = [self._nodes.get(id_) for id_ in items.ids]
        if items.failed:
            self._put(replace(state, phase=NodePhase.FAILED, error=_failed_items(items)))
        elif any(item is None or item.phase is NodePhase.ABORTED for item in states):
            self._put(replace(state, phase=NodePhase.ABORTED))
        else:
            self._put(self._gathered(node, state, [item for item in states if item is not None]))
        return True

    def _gathered(self, node: Node, state: NodeState, items: Sequence[NodeState]) -> NodeState:
        """Return an array whose items have ended well, with their outputs, or failed for what these are."""
        names = sorted(self._plan.task(node).interface.outputs.variables)
        try:
            outputs = gathered(names, [(item.id, item.outputs) for item in items])
        except ArrayError as error:
            return replace(state, phase=NodePhase.FAILED, error=_array_error(node, error))
        if self._has_room(outputs):
            return replace(state, phase=NodePhase.SUCCEEDED, outputs=outputs)
        return replace(state, phase=NodePhase.FAILED, error=_array_error(node, ArrayError(f"its outputs {_TOO_MUCH}")))

    def _move_execution(self, root: Frame) -> None:
        bad = _first_bad(self._nodes, root)
        if self._unfinished(root) or self._cleans_up(root, bad):
            if bad and self.phase is ExecutionPhase.RUNNING:
                self._execution_to(ExecutionPhase.FAILING, _named(bad))
        elif self.phase is ExecutionPhase.ABORTING:
            self._execution_to(ExecutionPhase.ABORTED)
        elif bad:
            self._execution_to(ExecutionPhase.FAILED, _named(bad))
        else:
            try:
                self._outputs = self._resolve(root, root.outputs)
                self._execution_to(ExecutionPhase.SUCCEEDED)
            except UnresolvedError as error:
                self._execution_to(ExecutionPhase.FAILED, _unresolved(error))

    def _cleans_up(self, frame: Frame, bad: NodeState | None) -> bool:
        """Run the failure node of a frame of which nothing else runs; tell whether it still does."""
        node = frame.failure
        if node is None:
            return False
        ending = _ending_around(self._plan, self.phase, self._nodes, node)
        if node.id not in self._nodes and bad is not None and not ending:
            self._failure_comes_up(frame, node, bad)
        if node.id in self._nodes:
            self._visit(node, ending)
        return node.id in self._nodes and self._nodes[node.id].phase not in ENDED_NODE

    def _failure_comes_up(self, frame: Frame, node: Node, bad: NodeState) -> None:
        new = NodeState(node.id, node.spec_id, node.frame, node.entity, self._position(), NodePhase.FAILED)
        try:
            inputs = self._resolve(frame, node.inputs)
        except UnresolvedError as error:
            self._put(replace(new, error=_unresolved(error)))
            return
        for name, kind in node.told.items():
            inputs.literals[name].CopyFrom(error_literal(bad.id, _named(bad).message, kind))
        phase = NodePhase.QUEUED if node.entity.kind is NodeKind.TASK else NodePhase.RUNNING
        self._put(replace(new, phase=phase, inputs=inputs))

    def _unfinished(self, frame: Frame) -> bool:
        """Tell whether a node of a settled frame is still to end. One that has not come up by now never will."""
        states = (self._nodes.get(node.id) for node in frame.nodes)
        return any(state and state.phase not in ENDED_NODE for state in states)

    def _complete(self, frame: Frame) -> bool:
        """Tell whether all that was to be run of a frame has succeeded."""
        states = [self._nodes.get(node.id) for node in frame.nodes]
        if frame.branch:
            return any(state and state.phase is NodePhase.SUCCEEDED for state in states)
        return all(state and state.phase is NodePhase.SUCCEEDED for state in states)

    def _outputs_of(self, frame: Frame, state: NodeState) -> literals_pb2.LiteralMap | None:
        """Return a complete frame's outputs: a branch has those of the node that was run. Raises UnresolvedError."""
        if frame.branch is None:
            return self._resolve(frame, frame.outputs)
        chosen = self._chosen(frame, state.inputs)
        outputs = self._nodes[chosen].outputs if chosen else None
        if outputs is not None and not self._has_room(outputs):
            raise UnresolvedError(f"the outputs of {chosen} {_TOO_MUCH}")
        return outputs

    def _resolve(self, frame: Frame, bindings: Bindings) -> literals_pb2.LiteralMap:
        def values(spec_id: str) -> literals_pb2.LiteralMap | None:
            if spec_id in ("", "start-node"):
                return self._state.inputs if frame.scope == ROOT else self._nodes[frame.scope].inputs
            node = self._nodes.get(unique_id(frame.scope, spec_id))
            return node.outputs if node else None

        resolved = resolve_all(bindings, values, min(MAX_RESOLVED, MAX_VALUES - self._size), self._look)
        if not self._has_room(resolved):  # constants count as well
            raise UnresolvedError(f"what is bound here {_TOO_MUCH}")
        return resolved

    def _look(self, size: int) -> None:
        self._looked += size
        if self._looked > MAX_LOOKED:
            raise UnresolvedError(f"cannot be had: more than {MAX_LOOKED} bytes are looked through for parts at once")

    def _has_room(self, values: literals_pb2.LiteralMap) -> bool:
        """Tell whether the values of one more node can be held, too."""
        return self._size + values.ByteSize() <= MAX_VALUES


def _named(bad: NodeState) -> ExecutionError:
    """Say which node failed, once: the error of a node that has others inside names its node already."""
    error = bad.error or ExecutionError("UNKNOWN", "no reason was recorded", ErrorKind.SYSTEM)
    if bad.entity.kind in FRAMED_NODE:
        return error
    return replace(error, message=f"node {bad.id} ({bad.entity.name}): {error.message}")


def _failed_items(items: _Items) -> ExecutionError:
    """Say how many items have failed, and why the first of them has."""
    first = _named(items.bad[0])
    return replace(first, message=f"{len(items.bad)} of {len(items.ids)} items have failed: {first.message}")


def _array_error(node: Node, error: ArrayError) -> ExecutionError:
    return ExecutionError("ARRAY", f"node {node.id} ({node.entity.name}): {error}", ErrorKind.USER)


def _unresolved(error: UnresolvedError) -> ExecutionError:
    return ExecutionError("BINDING_UNRESOLVED", str(error), ErrorKind.USER)
