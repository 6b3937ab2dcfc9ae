"""Waits for the message of a call, but not for ever.

A call takes a thread of its listener before its message has come. So methods are served as if they took a stream of
messages: the chain runs first, tells a caller without an identity off at once, and asks for the message only then. Who
has an identity and sends none is cut off after some seconds. What anybody may call has a few threads of its own.
"""

import threading
import time
from collections.abc import Iterator
from concurrent import futures
from typing import Any, Final

import grpc

from airspace_server.core.errors import ApiError, Reason

RECEIVE_SECONDS: Final = 10.0
"""How long a call may take to send its message: at most 20 MiB, and usually sent together with the call."""
_OPEN_THREADS: Final = 4


class Receiver:
    """Receives messages, and cancels the calls that do not send theirs in time. Safe to share between threads."""

    def __init__(self, seconds: float = RECEIVE_SECONDS) -> None:
        self._seconds = seconds
        self._waiting: dict[object, tuple[float, grpc.ServicerContext]] = {}
        self._lock = threading.Lock()
        self._watching = False

    def message(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        """Return the one message of a call.

        Raises MALFORMED_MESSAGE when the call ends without one, UNAVAILABLE when it is cancelled.
        """
        if not self._watching:
            self._watch()
        key = object()
        self._waiting[key] = (time.monotonic() + self._seconds, context)
        try:
            return next(messages)
        except StopIteration:
            raise ApiError(Reason.MALFORMED_MESSAGE, "the call brought no message") from None
        except grpc.RpcError:
            raise ApiError(Reason.UNAVAILABLE, "the call ended before its message came") from None
        finally:
            del self._waiting[key]

    def _watch(self) -> None:
        with self._lock:
            if not self._watching:
                self._watching = True
                threading.Thread(target=self._cancel_late, name="receiving", daemon=True).start()

    def _cancel_late(self) -> None:
        pause = threading.Event()
        while not pause.wait(min(1.0, self._seconds / 2)):
            now = time.monotonic()
            for deadline, context in list(self._waiting.values()):
                if deadline <= now:
                    context.cancel()


def on_threads(behaviour: Any, threads: futures.ThreadPoolExecutor) -> Any:
    """Serve a behaviour on threads of its own, as grpcio lets a behaviour name them."""
    behaviour.experimental_thread_pool = threads
    return behaviour


def open_threads() -> futures.ThreadPoolExecutor:
    """Make the few threads of what anybody may call."""
    return futures.ThreadPoolExecutor(_OPEN_THREADS, "open")
