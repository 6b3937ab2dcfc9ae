"""Tasks that take what they can. Each stops by itself after some seconds or bytes, whatever the runner does."""

import os
import resource
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path

from flytekit import Resources, task, workflow

SECONDS = 12.0
MIB = 1 << 20
MEMORY = Resources(mem="300Mi")
DISK = Resources(ephemeral_storage="64Mi")


def hold(mib: int) -> None:
    """Take memory, a MiB at a time, and keep it for some seconds."""
    until, held = time.monotonic() + SECONDS, []
    while len(held) < mib:
        held.append(b"x" * MIB)
    while time.monotonic() < until:
        time.sleep(0.1)


def forked(count: int) -> bool:
    """Become so many more processes; tell whether this is one of them."""
    return any(os.fork() == 0 for _ in range(count))


@task
def bounds() -> list[int]:
    """Tell as whom a task runs, and how many processes the kernel lets it have."""
    return [os.getuid(), *resource.getrlimit(resource.RLIMIT_NPROC)]


@workflow
def probe() -> list[int]:
    """Run `bounds`."""
    return bounds()


@task(limits=MEMORY)
def one_process_full_of_memory() -> None:
    """Take more than is declared, in one process."""
    hold(800)


@workflow
def memory_hog() -> None:
    """Run `one_process_full_of_memory`."""
    one_process_full_of_memory()


@task(limits=MEMORY)
def tree_full_of_memory() -> None:
    """Take more than is declared, in nine processes of which none does."""
    forked(8)
    hold(100)


@workflow
def memory_hogs() -> None:
    """Run `tree_full_of_memory`."""
    tree_full_of_memory()


@task(timeout=timedelta(seconds=10))
def spins() -> None:
    """Use all cores, from more processes than there are."""
    until = time.monotonic() + 2 * SECONDS
    forked(2 * (os.cpu_count() or 1))
    while time.monotonic() < until:
        pass


@workflow
def cpu_spinners() -> None:
    """Run `spins`."""
    spins()


@task(limits=DISK)
def fills() -> None:
    """Write more files than its disk takes, 1 GiB at most."""
    for number in range(1024):
        Path(f"{number}").write_bytes(os.urandom(MIB))
        time.sleep(0.002)
    time.sleep(SECONDS)


@workflow
def disk_filler() -> None:
    """Run `fills`."""
    fills()


@task
def writes() -> None:
    """Write 256 MiB to stdout."""
    for _ in range(256):
        sys.stdout.write("flood " * (MIB // 6))
    sys.stdout.flush()
    time.sleep(SECONDS)


@workflow
def log_flood() -> None:
    """Run `writes`."""
    writes()


@task(timeout=timedelta(seconds=6))
def hides(mark: str) -> None:
    """Ignore SIGTERM, and leave a process behind in another session."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    until = time.monotonic() + 5 * SECONDS
    if os.fork() == 0:
        os.setsid()
        # With another command line, session and environment, and by then without a parent.
        os.execve(sys.executable, ["python", "-S", "-c", f"import time; time.sleep({5 * SECONDS})", mark], {})
    while time.monotonic() < until:
        time.sleep(0.1)


@workflow
def hider(mark: str) -> None:
    """Run `hides`."""
    hides(mark=mark)


@task
def bombs() -> None:
    """Fork without end, each process again and again, for some seconds."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        try:
            os.fork()
        except OSError:
            time.sleep(0.1)
    os._exit(0)


@workflow
def fork_bomb() -> None:
    """Run `bombs`."""
    bombs()
