"""Places that callers hold for as long as they like, such that nobody is kept out by one who holds many."""

import threading
from collections import Counter

from airspace_server.core.scope import Scope


class Places:
    """So many places for all scopes, of which no scope has more than it leaves to others.

    Alone it has half of them, the next one half of what is left, and so on. Safe to share between threads.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._held: Counter[Scope] = Counter()
        self._lock = threading.Lock()

    def take(self, scope: Scope) -> bool:
        """Take a place for a scope, if it may have one more; tell whether it has it."""
        with self._lock:
            if self._held[scope] >= self._free:
                return False
            self._free -= 1
            self._held[scope] += 1
            return True

    def give_back(self, scope: Scope) -> None:
        """Give back a place that was taken."""
        with self._lock:
            self._free += 1
            self._held[scope] -= 1
            if not self._held[scope]:
                del self._held[scope]
