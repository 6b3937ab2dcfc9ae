"""How many calls a caller may have under way and how fast they may come, so that no caller keeps another from its own.

Decided by what is in memory alone, before anything is looked up (docs/adr/0018-rations-of-calls.md says why so).
"""

import threading
import time
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from airspace_server.access.identity import EXECUTION, Principal
from airspace_server.access.limits import Limit, peer
from airspace_server.core.errors import ApiError, Code, Reason

THREADS: Final = 48
"""Calls with one answer that one listener works on at once; further ones wait."""
STREAMS: Final = 24
"""Streams that one listener serves at once, on threads of their own."""
BURST_SECONDS: Final = 10
"""For how many seconds' worth of calls somebody may come at once who has been quiet."""
_REFUSING: Final = 8  # threads for telling off whom no place is left for
_REMEMBERED: Final = 10_000


def counted_as(principal: Principal) -> str:
    """Return whose calls these are: a caller's own; of all executions of a scope together, whoever launched them.

    Counted to their launcher they could keep it from ending them, and an account that launches for many projects would
    let one of these use up what the others have.
    """
    return principal.member if principal.execution is None else f"{EXECUTION}:{principal.execution.scope}"


def may_enter(held: int, free: int) -> bool:
    """Tell whether somebody who holds so many places may have one of those that are free.

    Only while it holds fewer than half of what is left. So each can have a third of what others have left it, however
    many it asks for, and who holds none gets in while there is one.
    """
    return 2 * held < free


class Places:
    """So many places for calls under way, and who holds how many of them. Safe to share between threads."""

    def __init__(self, places: int) -> None:
        self._lock = threading.Lock()
        self._free = places
        self._held: dict[str, int] = {}

    @property
    def free(self) -> int:
        """How many nobody holds."""
        return self._free

    def take(self, caller: str) -> bool:
        """Take a place for a caller, if it may have one; tell whether it did."""
        with self._lock:
            held = self._held.get(caller, 0)
            if not may_enter(held, self._free):
                return False
            self._free -= 1
            self._held[caller] = held + 1
            return True

    def give_back(self, caller: str) -> None:
        """Give back one that the caller took."""
        with self._lock:
            self._free += 1
            if self._held[caller] == 1:
                del self._held[caller]
            else:
                self._held[caller] -= 1


def _stream_threads() -> futures.ThreadPoolExecutor:
    return futures.ThreadPoolExecutor(STREAMS + _REFUSING, "streams")


@dataclass(frozen=True, slots=True)
class Room:
    """The places of one listener: streams, which last, have their own, so that they never use up those of calls."""

    calls: Places = field(default_factory=lambda: Places(THREADS))
    streams: Places = field(default_factory=lambda: Places(STREAMS))
    stream_threads: futures.ThreadPoolExecutor = field(default_factory=_stream_threads)

    def take(self, principal: Principal, *, streams: bool) -> Callable[[], None]:
        """Take a place; return how it is given back. Raises TOO_MANY_CALLS, and TOO_MANY_STREAMS of streams."""
        caller = counted_as(principal)
        places = self.streams if streams else self.calls
        if places.take(caller):
            return lambda: places.give_back(caller)
        if streams:
            raise ApiError(
                Reason.TOO_MANY_STREAMS,
                f"too many watchers of {caller}; try again later, or ask for the execution",
                {"limit": "streams_at_once", "of": caller},
                retry_after=1,
            )
        raise ApiError(
            Reason.TOO_MANY_CALLS,
            f"too many calls of {caller} are under way; try again when some of them have ended",
            {"limit": "calls_at_once", "of": caller},
            retry_after=1,
        )


class Rates:
    """How fast calls may come, in calls a second: of each caller, of each address without one, about each project.

    Who was quiet may come with `BURST_SECONDS` times as many at once. The longest quiet ones are forgotten first, when
    there are very many. Safe to share between threads.
    """

    def __init__(self, caller: int, project: int, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._caller = caller
        self._project = project
        self._callers = Limit(caller * BURST_SECONDS, caller, _REMEMBERED)
        self._addresses = Limit(caller * BURST_SECONDS, caller)
        self._projects = Limit(project * BURST_SECONDS, project, _REMEMBERED)

    def count(self, principal: Principal) -> None:
        """Count a call to its caller. Raises TOO_MANY_CALLS."""
        caller = counted_as(principal)
        wait = self._callers.take(caller, self._now())
        if wait:
            raise _too_fast("calls_per_second", caller, self._caller, wait)

    def count_nobody(self, connection: str) -> None:
        """Count a call without an identity to its address, which grpc names. Raises TOO_MANY_CALLS."""
        wait = self._addresses.take(peer(_host(connection)), self._now())
        if wait:
            raise _too_fast("calls_per_second", "callers without an identity", self._caller, wait)

    def count_project(self, project: str) -> None:
        """Count an authorized call to the project that it is about. Raises TOO_MANY_CALLS."""
        wait = self._projects.take(project, self._now())
        if wait:
            raise _too_fast("project_calls_per_second", f"project {project}", self._project, wait)

    def identified(self, identify: Callable[[], Principal], connection: Callable[[], str]) -> Principal:
        """Return whom `identify` finds, and count a call to its address when that is nobody.

        Raises what `identify` does, and TOO_MANY_CALLS.
        """
        try:
            return identify()
        except ApiError as error:
            if error.code is Code.UNAUTHENTICATED:
                self.count_nobody(connection())
            raise


def _too_fast(limit: str, of: str, rate: int, wait: int) -> ApiError:
    return ApiError(
        Reason.TOO_MANY_CALLS,
        f"{of}: more than {rate} calls a second; try again in {wait} s",
        {"limit": limit, "of": of, "calls_per_second": str(rate), "retry_after_seconds": str(wait)},
        retry_after=wait,
    )


def _host(connection: str) -> str:
    """Return the address in how grpc names a connection: "ipv4:127.0.0.1:4711", "ipv6:%5B::1%5D:4711"."""
    return unquote(connection).partition(":")[2].rpartition(":")[0].strip("[]")
