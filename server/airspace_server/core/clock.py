"""Time: microseconds since the epoch, UTC, as everything stores it."""

import time
from collections.abc import Callable
from typing import Final

MICROSECONDS: Final = 1_000_000
"""How many a second has."""

Clock = Callable[[], int]
"""Tells the time in microseconds since the epoch, UTC. Tests bring their own."""


def now() -> int:
    """Tell the machine's time."""
    return time.time_ns() // 1000
