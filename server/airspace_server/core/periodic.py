"""Work that nobody waits for: done every so often, on a thread of its own."""

import logging
import threading
from collections.abc import Callable
from typing import Final

_log: Final = logging.getLogger(__name__)


class Periodic:
    """Does `work` every `seconds` between `start` and `stop`, and once more when it is stopped.

    Whatever the work raises is logged, once until it succeeds again, and does not end it.
    """

    def __init__(self, name: str, seconds: float, work: Callable[[], None]) -> None:
        self._name = name
        self._seconds = seconds
        self._work = work
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Do the work once more and end. Does nothing before the start."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        stopping = failing = False
        while not stopping:
            stopping = self._stopping.wait(self._seconds)
            try:
                self._work()
            except Exception:
                if not failing:
                    _log.exception("the work called %s has failed; it is tried again", self._name)
                failing = True
            else:
                failing = False
