"""What an attempt may use of this machine, and whether it uses more: looked at from outside, while it runs.

Memory is that of the whole tree of processes, each page that some of them share counted once, with the files that a
sandbox keeps in memory. A tree that grows faster than it is looked at is above its limit for a moment.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flyteidl.core import tasks_pb2

from airspace_server.core.execution import ErrorKind, ExecutionError
from airspace_server.engine.runners.launcher import descendants
from airspace_server.flyte import quantities

LOOK_SECONDS: Final = 0.25
"""How often a running attempt is looked at."""
MAX_LOG: Final = 64 * 1024 * 1024
"""Most that an attempt may write to stdout, and as much to stderr, in bytes."""

_MEMORY: Final = tasks_pb2.Resources.MEMORY
_IN_MEMORY: Final = ("tmp", "dev/shm")


_AUTOGROUP: Final = Path("/proc/sys/kernel/sched_autogroup_enabled")


def niceness_counts() -> bool:
    """Tell whether this machine is sure to share cores by niceness.

    Where the kernel makes a group of each session, and no control group of the operator's is in the place of that, it
    shares them by session, whatever the niceness (sched(7)).
    """
    return not _AUTOGROUP.exists() or _AUTOGROUP.read_text().strip() != "1"


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of an attempt: `memory` in bytes and as its task declares it; None where it declares none."""

    memory: int | None
    declared: str = ""

    @classmethod
    def of(cls, container: tasks_pb2.Container) -> "Limits":
        """Read what a container declares. One that only requests memory has no more, as with Flyte on Kubernetes."""
        for entries in (container.resources.limits, container.resources.requests):
            for entry in entries:
                amount = quantities.parse(entry.value) if entry.name == _MEMORY else None
                if amount is not None:
                    return cls(int(amount), entry.value)
        return cls(None)

    def exceeded(self, launcher: int, folder: Path, *, shut_in: bool) -> ExecutionError | None:
        """Look at an attempt, by the process id of its launcher and its folder; say which limit it is above."""
        for name in ("stdout", "stderr"):
            if (folder / name).stat().st_size > MAX_LOG:
                return ExecutionError(
                    "LOG_TOO_LARGE", f"the task wrote more than {MAX_LOG} bytes to {name}", ErrorKind.USER
                )
        if self.memory is None:
            return None
        processes = descendants(launcher)
        room = self.memory - (_kept_in_memory(processes[0]) if shut_in and processes else 0)
        # To count shared pages once costs more, and never comes to more than to count them each time.
        if sum(map(_held, processes)) <= room or sum(map(_share, processes)) <= room:
            return None
        return ExecutionError("OOM_KILLED", f"the task used more than its {self.declared} of memory", ErrorKind.USER)


def _held(pid: int) -> int:
    """Return the bytes of a process that are in memory or swapped out; none of one that has ended."""
    return _sum(f"/proc/{pid}/status", ("VmRSS:", "VmSwap:"))


def _share(pid: int) -> int:
    """Return the same, but of what it shares with others its part."""
    return _sum(f"/proc/{pid}/smaps_rollup", ("Pss:", "SwapPss:"))


def _sum(path: str, names: tuple[str, ...]) -> int:
    """Add up what lines of these names say, in kB as the kernel writes them."""
    with suppress(OSError):
        lines = Path(path).read_text(errors="replace").splitlines()
        return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(names))
    return 0


def _kept_in_memory(first: int) -> int:
    """Return the bytes of the files that a sandbox keeps in memory, by the id of its first process."""
    kept = 0
    for name in _IN_MEMORY:
        with suppress(OSError):
            found = os.statvfs(f"/proc/{first}/root/{name}")
            kept += (found.f_blocks - found.f_bfree) * found.f_frsize
    return kept
