"""How an attempt of a task can end, as its runner reports it."""

from dataclasses import dataclass

from flyteidl.core import literals_pb2

from airspace_server.core.execution import ExecutionError


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The task wrote its outputs."""

    outputs: literals_pb2.LiteralMap


@dataclass(frozen=True, slots=True)
class Failed:
    """The task, or the machine under it, failed. `retryable` says whether another attempt can change that."""

    error: ExecutionError
    retryable: bool


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The attempt was ended because its time was over."""

    error: ExecutionError


@dataclass(frozen=True, slots=True)
class Lost:
    """The attempt has no outcome and never will: the worker that ran it, or its machine, went away."""

    error: ExecutionError


@dataclass(frozen=True, slots=True)
class Preempted:
    """The attempt was ended because another domain wanted its share of the slots. It is tried again, whatever was."""

    error: ExecutionError


Outcome = Succeeded | Failed | TimedOut | Lost | Preempted
