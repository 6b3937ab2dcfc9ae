"""How fast something may come, from each and from all. Memory is bounded whoever asks: the longest quiet one goes."""

import hashlib
import ipaddress
import math
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

REMEMBERED: Final = 1024
"""Most keys that one limit remembers where nothing else is said, and most that were seen lately."""
_ONE: Final = 1 - 1e-6
"""What counts as one in a bucket: sums of times are not exact, and who has waited as told must not wait again."""
_OWN_BITS: Final = 64  # of an IPv6 address: whoever has one has the others of its network too


@dataclass(slots=True)
class Bucket:
    """A token bucket: `burst` at once, then `rate` a second."""

    burst: float
    rate: float
    left: float
    at: float

    def wait(self, now: float) -> int:
        """Return 0, or the whole seconds until there is one again."""
        self.left = min(self.burst, self.left + max(0.0, now - self.at) * self.rate)
        self.at = now
        return 0 if self.left >= _ONE else math.ceil((1 - self.left) / self.rate)

    def take(self, now: float) -> int:
        """Take one if there is one; return as `wait` does."""
        wait = self.wait(now)
        if not wait:
            self.left -= 1
        return wait


class Limit:
    """A bucket for each of the last keys. Made-up ones push each other out. Safe to share between threads."""

    def __init__(self, burst: int, rate: float, remembered: int = REMEMBERED) -> None:
        self._burst = burst
        self._rate = rate
        self._remembered = remembered
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def __len__(self) -> int:
        """Return how many keys are remembered."""
        return len(self._buckets)

    def take(self, key: str, now: float) -> int:
        """Take one; return 0, or after how many seconds there is one again."""
        with self._lock:
            bucket = self._buckets.get(key)
            if bucket is None:
                bucket = self._buckets[key] = Bucket(self._burst, self._rate, self._burst, now)
                if len(self._buckets) > self._remembered:
                    self._buckets.popitem(last=False)
            self._buckets.move_to_end(key)
            return bucket.take(now)

    def wait(self, key: str, now: float) -> int:
        """Return what `take` would, and take nothing."""
        with self._lock:
            bucket = self._buckets.get(key)
            return 0 if bucket is None else bucket.wait(now)


class Recent:
    """The last keys that were added. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, key: str) -> bool:
        with self._lock:
            return key in self._keys

    def add(self, key: str) -> None:
        """Add a key, or make it the newest."""
        with self._lock:
            self._keys[key] = None
            self._keys.move_to_end(key)
            if len(self._keys) > REMEMBERED:
                self._keys.popitem(last=False)


def peer(host: str) -> str:
    """Return what a client's address is limited as: itself, for IPv6 its network. What is no address is all one."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or ipaddress.IPv6Network((int(address), _OWN_BITS), strict=False))


def short(*words: str) -> str:
    """Return a key of a bounded length for words of any."""
    return hashlib.sha256("\0".join(words).encode(errors="replace")).hexdigest()
