"""Watching: the transitions of an execution as they are committed, from the first one on.

A stream holds a thread while it lives and looks at the database, so their number is bounded and the next one is
refused; and no scope has so many of them that others could not watch. How many of them one caller may have is decided
before (rpc/rationing.py). Each asks the database ten times a second, and every second whether it would still be
allowed.
"""

import threading
import time
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Row

from airspace_server.access.call import Call
from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.execution import ENDED_EXECUTION
from airspace_server.core.places import Places
from airspace_server.core.scope import ExecutionId
from airspace_server.execution.store import Executions

MAX_STREAMS: Final = 24
"""Streams that one server process serves at once."""
_POLL_SECONDS: Final = 0.1
_RECHECK_SECONDS: Final = 1.0


class Watcher:
    """Serves watch streams until `close` is called."""

    def __init__(self, executions: Executions, streams: int = MAX_STREAMS) -> None:
        self._executions = executions
        self._places = Places(streams)
        self._closed = threading.Event()

    def close(self) -> None:
        """End every stream soon, with UNAVAILABLE, so that its client takes it up again elsewhere."""
        self._closed.set()

    def transitions(self, execution: ExecutionId, after: int, call: Call) -> Iterator[Row[Any]]:
        """Yield the transitions behind `after` until the execution has ended or nobody listens any more.

        Raises NOT_FOUND, TOO_MANY_STREAMS, what the call would be refused with by now, and UNAVAILABLE on closing.
        """
        self._executions.get(execution)
        if not self._places.take(execution.scope):
            raise ApiError(Reason.TOO_MANY_STREAMS, "too many watchers; try again later, or ask for the execution")
        try:
            yield from self._follow(execution, after, call)
        finally:
            self._places.give_back(execution.scope)

    def _follow(self, execution: ExecutionId, after: int, call: Call) -> Iterator[Row[Any]]:
        checked = time.monotonic()
        while call.active():
            # The phase is read before the transitions: what it ended with is then among them.
            ended = self._executions.get(execution).phase in ENDED_EXECUTION
            for transition in self._executions.transitions(execution, after):
                after = transition.sequence
                yield transition
            if ended:
                return
            if self._closed.wait(_POLL_SECONDS):
                raise ApiError(Reason.UNAVAILABLE, "the server is shutting down; watch again")
            if time.monotonic() - checked >= _RECHECK_SECONDS:
                call.recheck()
                checked = time.monotonic()
