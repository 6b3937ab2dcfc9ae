"""What gates wait for: an answer to a signal, an approval, or some time. Pure.

A gate's time begins when it comes up, and goes on while nobody looks: all that is kept of it is when that was.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from flyteidl.core import literals_pb2, types_pb2

from airspace_server.core.execution import ErrorKind, ExecutionError
from airspace_server.engine.graph import NodeState, State
from airspace_server.engine.outcome import Failed, Succeeded, TimedOut
from airspace_server.engine.plan import Node, Plan, signal_id
from airspace_server.flyte import types

BOOLEAN: Final = types_pb2.LiteralType(simple=types_pb2.BOOLEAN)
"""What an approval is answered with."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is stored about the gates of an execution: since when each node waits, and the answers to its signals.

    Times are microseconds since the epoch.
    """

    since: Mapping[str, int]
    answers: Mapping[str, literals_pb2.Literal]


def asked(plan: Plan, before: State, after: State) -> Iterator[tuple[str, types_pb2.LiteralType]]:
    """Name the signals that a step asks for, with the types of their answers."""
    for node in after.nodes.values():
        gate = plan.nodes[node.id].gate if node.id in plan.nodes and node.id not in before.nodes else None
        if gate is not None and signal_id(gate) and node.outputs is None:
            yield signal_id(gate), gate.signal.type if gate.HasField("signal") else BOOLEAN


def outcome(node: Node, state: NodeState, known: Known, now: int) -> Succeeded | Failed | TimedOut | None:
    """Say how a gate ends that has waited until now; None while it waits on."""
    gate = node.gate
    if gate is None:
        raise RuntimeError(f"{node.id} is no gate")
    since = known.since[node.id]
    if gate.HasField("sleep"):
        awake = since + gate.sleep.duration.ToMicroseconds() <= now
        return Succeeded(literals_pb2.LiteralMap()) if awake else None
    answer = known.answers.get(signal_id(gate))
    if answer is None:
        late = node.timeout_us and since + node.timeout_us <= now
        text = f"nobody answered within its timeout of {node.timeout_us / 1e6:g} s"
        return TimedOut(ExecutionError("TIMED_OUT", text, ErrorKind.USER)) if late else None
    # The signal may have been asked for by somebody else before, as another type.
    problem = types.mismatch(answer, gate.signal.type if gate.HasField("signal") else BOOLEAN)
    if problem is not None:
        return _failed("SIGNAL_MISTYPED", f"the answer {problem}")
    if gate.HasField("signal"):
        return Succeeded(literals_pb2.LiteralMap(literals={gate.signal.output_variable_name: answer}))
    if not answer.scalar.primitive.boolean:
        return _failed("REJECTED", "it was not approved")
    return Succeeded(state.inputs or literals_pb2.LiteralMap())


def wakes_at(node: Node, known: Known) -> int | None:
    """Return when a gate ends that nobody answers; None for never."""
    if node.gate is not None and node.gate.HasField("sleep"):
        return known.since[node.id] + node.gate.sleep.duration.ToMicroseconds()
    return known.since[node.id] + node.timeout_us if node.timeout_us else None


def _failed(code: str, text: str) -> Failed:
    return Failed(ExecutionError(code, text, ErrorKind.USER), retryable=False)
