"""The phases of executions, nodes and attempts, and what an error is."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class ExecutionPhase(StrEnum):
    """Where an execution is in its life; as airspace.execution.v1.ExecutionPhase."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    FAILING = "FAILING"
    ABORTING = "ABORTING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    ABORTED = "ABORTED"
    TIMED_OUT = "TIMED_OUT"


ENDED_EXECUTION: Final = frozenset(
    {ExecutionPhase.SUCCEEDED, ExecutionPhase.FAILED, ExecutionPhase.ABORTED, ExecutionPhase.TIMED_OUT}
)
"""The phases that an execution never leaves."""


class NodePhase(StrEnum):
    """Where a node is in its life; as airspace.execution.v1.NodePhase."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    ABORTED = "ABORTED"
    SKIPPED = "SKIPPED"
    TIMED_OUT = "TIMED_OUT"


ENDED_NODE: Final = frozenset(
    {NodePhase.SUCCEEDED, NodePhase.FAILED, NodePhase.ABORTED, NodePhase.SKIPPED, NodePhase.TIMED_OUT}
)
"""The phases that a node never leaves."""


class ExecutionState(StrEnum):
    """Whether lists show an execution."""

    ACTIVE = "ACTIVE"
    ARCHIVED = "ARCHIVED"


class NodeKind(StrEnum):
    """What a node runs."""

    TASK = "TASK"
    WORKFLOW = "WORKFLOW"
    BRANCH = "BRANCH"
    """One of its cases, or none."""
    GATE = "GATE"
    """Nothing: it waits for an answer or for some time."""
    ARRAY = "ARRAY"
    """One task for each item of a list."""


FRAMED_NODE: Final = frozenset({NodeKind.WORKFLOW, NodeKind.BRANCH, NodeKind.ARRAY})
"""The kinds of nodes that have others inside: they run nothing themselves, and end when those have ended."""


class AttemptPhase(StrEnum):
    """Where one attempt of a task is in its life."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    ABORTED = "ABORTED"
    TIMED_OUT = "TIMED_OUT"
    LOST = "LOST"
    PREEMPTED = "PREEMPTED"
    """Its slot was wanted by a domain whose share it is; the task has lost no try by that."""
    """The worker that ran it is gone; it does not count against the task's retries."""


class ErrorKind(StrEnum):
    """Whose fault an error is."""

    USER = "USER"
    SYSTEM = "SYSTEM"


@dataclass(frozen=True, slots=True)
class ExecutionError:
    """Why an execution, a node or an attempt failed."""

    code: str
    message: str
    kind: ErrorKind
