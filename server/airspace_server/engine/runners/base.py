"""What the engine asks of whatever runs a task.

An attempt is prepared first and released after its handle has been stored: what a worker leaves behind when it dies is
then either known by its handle or has not begun, and ends by itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from flyteidl.core import literals_pb2, tasks_pb2

from airspace_server.core.scope import ExecutionId
from airspace_server.engine.outcome import Failed, Outcome


class RefusedError(Exception):
    """An attempt could not be prepared, and nothing of it is there."""

    def __init__(self, outcome: Failed) -> None:
        super().__init__(outcome.error.code)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class AttemptSpec:
    """One attempt of a node's task, from 0 on, and all that its runner has to know of it.

    `raw_data` is the URL below which the task may write what it likes, `previous_raw_data` that of the attempt before.
    `environment` is the execution's own, on top of the task's. `nice` is how far it stands back where cores are short,
    as Unix's niceness. `index` is the place of the item that the task is run for, None where it is no map task.
    """

    execution: ExecutionId
    workflow: str
    launch_plan: str
    node_id: str
    number: int
    task: tasks_pb2.TaskTemplate
    inputs: literals_pb2.LiteralMap
    raw_data: str
    previous_raw_data: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    nice: int = 0
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """An attempt that stands ready. `outputs_uri` is the prefix under which its outputs will be."""

    handle: str
    outputs_uri: str


class Runner(Protocol):
    """Runs attempts. Handles are text that still means the same to another process after a restart."""

    def prepare(self, attempt: AttemptSpec) -> Prepared:
        """Make everything ready, without running any of the task yet. Raises RefusedError."""
        ...

    def release(self, handle: str, ended: Callable[[Outcome], None]) -> None:
        """Run a prepared attempt; call `ended` once, from any thread, when nothing of it runs any more."""
        ...

    def end(self, handle: str) -> None:
        """Begin to end a prepared or released attempt with every process that it started, and return at once.

        A released one is still reported by `ended`: as it went, if it was faster.
        """
        ...

    def reap(self, handle: str) -> Outcome | None:
        """Make sure that nothing runs any more of an attempt that another process prepared.

        Returns its outcome if it had come to its end by itself before, else None.
        """
        ...

    def deck(self, handle: str) -> BinaryIO | None:
        """Open the page that an attempt left to be looked at, of which nothing runs any more; None without one.

        The page is as the task wrote it, of any size.
        """
        ...
