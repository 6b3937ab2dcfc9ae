"""What an attempt may use of this machine, and whether it uses more: looked at from outside, while it runs.

Memory is that of the whole tree of processes, each page that some of them share counted once, with the files that a
sandbox keeps in memory. Disk is what the attempt's own folders hold, and files of the tree that have no name any more.
What grows faster than it is looked at is above its limit for a moment.
"""

import os
import stat
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
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

MAX_PROCESSES: Final = 1024
"""Most processes that an attempt may have at once."""
MAX_DISK: Final = 10 * 1024 * 1024 * 1024
"""Most that an attempt may keep on disk whose task declares no ephemeral storage, in bytes."""
DISK_LOOK_SECONDS: Final = 1.0
"""How long the disk is not looked at after it was, at least."""
DISK_LOOK_SHARE: Final = 20
"""How many times as long as a look at the disk took it is not looked at again."""

_COUNT_SECONDS: Final = 30.0
_MEMORY: Final = tasks_pb2.Resources.MEMORY
_STORAGE: Final = tasks_pb2.Resources.EPHEMERAL_STORAGE
_BLOCK: Final = 512
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
    """The limits of an attempt: `memory` in bytes and as its task declares it; None where it declares none.

    `disk` is the same for what it keeps on disk; where its task declares nothing, MAX_DISK.
    """

    memory: int | None
    declared: str = ""
    disk: int = MAX_DISK
    declared_disk: str = f"{MAX_DISK >> 30}Gi"

    @classmethod
    def of(cls, container: tasks_pb2.Container) -> "Limits":
        """Read what a container declares. One that only requests something has no more, as with Flyte on Kubernetes."""
        memory, disk = _declared(container, _MEMORY), _declared(container, _STORAGE)
        limits = cls(*memory) if memory else cls(None)
        return replace(limits, disk=disk[0], declared_disk=disk[1]) if disk else limits

    def exceeded(self, launcher: int, folder: Path, *, shut_in: bool) -> ExecutionError | None:
        """Look at an attempt, by the process id of its launcher and its folder; say which limit it is above."""
        for name in ("stdout", "stderr"):
            if (folder / name).stat().st_size > MAX_LOG:
                return ExecutionError(
                    "LOG_TOO_LARGE", f"the task wrote more than {MAX_LOG} bytes to {name}", ErrorKind.USER
                )
        processes = descendants(launcher)
        if len(processes) > MAX_PROCESSES:
            text = f"the task had more than {MAX_PROCESSES} processes at once"
            return ExecutionError("TOO_MANY_PROCESSES", text, ErrorKind.USER)
        if self.memory is None:
            return None
        room = self.memory - (_kept_in_memory(processes[0]) if shut_in and processes else 0)
        # To count shared pages once costs more, and never comes to more than to count them each time.
        if sum(map(_held, processes)) <= room or sum(map(_share, processes)) <= room:
            return None
        return ExecutionError("OOM_KILLED", f"the task used more than its {self.declared} of memory", ErrorKind.USER)

    def overflows(self, launcher: int, folders: Sequence[Path], *, shut_in: bool) -> ExecutionError | None:
        """Look at the disk that an attempt uses, by its launcher and its own folders; say whether that is too much.

        What a sandbox keeps in memory for a task that declares no memory counts here.
        """
        processes = descendants(launcher)
        used = _counted(folders)
        if used is None:
            text = f"the task wrote more files than can be counted in {_COUNT_SECONDS:g} seconds"
            return ExecutionError("DISK_EXCEEDED", text, ErrorKind.USER)
        used += _nameless(processes)
        if shut_in and processes and self.memory is None:
            used += _kept_in_memory(processes[0])
        if used <= self.disk:
            return None
        return ExecutionError(
            "DISK_EXCEEDED", f"the task used more than its {self.declared_disk} of disk", ErrorKind.USER
        )


def _declared(container: tasks_pb2.Container, resource: int) -> tuple[int, str] | None:
    for entries in (container.resources.limits, container.resources.requests):
        for entry in entries:
            amount = quantities.parse(entry.value) if entry.name == resource else None
            if amount is not None:
                return int(amount), entry.value
    return None


def _counted(folders: Sequence[Path]) -> int | None:
    """Return the bytes on disk of what is in the folders, None if they are too many to count.

    In a process of its own: a task can make more names, and deeper folders, than this one could bear.
    """
    command = ["/usr/bin/du", "-sc", "--block-size=1", "--", *map(str, folders)]
    try:
        said = subprocess.run(  # noqa: S603 -- our own arguments
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=_COUNT_SECONDS, check=False
        ).stdout
    except subprocess.TimeoutExpired:
        return None
    return int(said.splitlines()[-1].split()[0])  # what goes while it is counted makes du fail, and counts for nothing


def _nameless(processes: Iterable[int]) -> int:
    """Return the bytes of the files that processes have open and that have no name any more; each counts once."""
    found: dict[tuple[int, int], int] = {}
    for pid in processes:
        with suppress(OSError):
            for opened in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    file = opened.stat()
                    if stat.S_ISREG(file.st_mode) and not file.st_nlink:
                        found[file.st_dev, file.st_ino] = file.st_blocks * _BLOCK
    return sum(found.values())


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
