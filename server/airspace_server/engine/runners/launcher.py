"""Runs one command and everything that the command starts, to the end: the parent of an attempt's processes.

Started as `python -I -S launcher.py FOLDER` in a session of its own, with nothing of the task's in its environment:
that could change what this program does before the task is shut in. It is small and imports little, because every
attempt pays for its start.

- It waits for a line on stdin, its order. When stdin closes without one, whoever started it is gone: it exits and runs
  nothing.
- It adopts orphans, where the system can do that: a process that left the session, or whose parent has ended, is still
  a child of its own. Nothing of them is left when it exits.
- When the command has ended and nothing of it is left, it writes the exit code, negative for a signal, to FOLDER/done,
  by a rename: the file is there whole or not at all.
- SIGTERM ends the command: it is passed on to the whole tree, which has GRACE seconds until SIGKILL. SIGALRM ends it
  without grace. What was ended leaves no FOLDER/done.
"""

import ctypes
import json
import os
import resource
import signal
import sys
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is slow to import, and so are these
    from collections.abc import Mapping, Sequence

    from airspace_server.engine.runners.namespaces import View

GRACE = 2
"""Seconds between SIGTERM and SIGKILL."""

_MAX_FILES = 4096
_PR_SET_CHILD_SUBREAPER = 36
_NOT_STARTED = 127
_KILLED_FIRST = "500"


class Launcher:
    """One command and its tree."""

    def __init__(self) -> None:
        self._command = 0  # its process id and, since it has a session of its own, also that of its group
        self._ended = False

    def run(self, command: list[str], environment: dict[str, str]) -> int | None:
        """Run the command, then end what is left of its tree; return its exit code, None if it was ended."""
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGALRM, self._end_now)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGALRM))
        try:
            self._command = os.posix_spawn(
                command[0],
                command,
                environment,
                file_actions=[(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)],
                setsid=True,
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
            )
        except OSError as error:
            print(f"cannot start {os.path.basename(command[0])}: {error.strerror}", file=sys.stderr, flush=True)  # noqa: T201 -- stderr is the task's
            return _NOT_STARTED
        if self._ended:  # the signal came before there was anything to pass it on to
            self._signal_tree(signal.SIGKILL)
        pid = status = 0
        while pid != self._command:
            pid, status = os.wait()
        self._clear()
        return None if self._ended else os.waitstatus_to_exitcode(status)

    def _end(self, *_: object) -> None:
        self._ended = True
        signal.alarm(GRACE)
        self._signal_tree(signal.SIGTERM)

    def _end_now(self, *_: object) -> None:
        self._ended = True
        signal.alarm(1)  # again, for what was born meanwhile
        self._signal_tree(signal.SIGKILL)

    def _clear(self) -> None:
        """Kill until no child is left. Children of the killed become children here and are next."""
        while True:
            self._signal_tree(signal.SIGKILL)
            try:
                os.wait()
                while os.waitpid(-1, os.WNOHANG)[0]:  # they are many where a task has forked without end
                    pass
            except ChildProcessError:
                return

    def _signal_tree(self, number: int) -> None:
        for pid in descendants(os.getpid()):
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def descendants(pid: int) -> list[int]:
    """List the processes below one, from /proc; its children first."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(name))
    found: list[int] = []
    left = [pid]
    while left:
        below = children.get(left.pop(), [])
        found += below
        left += below
    return found


def command_line(folder: object) -> "Sequence[str]":
    """Return how a launcher is started that leaves its result in a folder."""
    return [sys.executable, "-I", "-S", __file__, str(folder)]


def order(command: "Sequence[str]", environment: "Mapping[str, str]", view: "View | None", niceness: int) -> bytes:
    """Write a launcher's order: what to run, with which environment, how nicely, and in which view; None is free."""
    ordered = {"command": command, "environment": environment, "view": view, "nice": niceness}
    return json.dumps(ordered).encode() + b"\n"


def main() -> None:
    """Wait for the order, run the command and record how it ended."""
    folder = sys.argv[1]
    line = sys.stdin.readline()
    if not line.endswith("\n"):
        return
    ordered = json.loads(line)
    os.nice(ordered["nice"])
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = _MAX_FILES if hard == resource.RLIM_INFINITY else min(_MAX_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    with open("/proc/self/oom_score_adj", "w") as file:  # before any server, when the machine has no memory left
        file.write(_KILLED_FIRST)

    def run() -> int | None:
        return Launcher().run(ordered["command"], ordered["environment"])

    if ordered["view"] is None:
        code = run()
    else:
        sys.path.append(__file__.removesuffix("/airspace_server/engine/runners/launcher.py"))
        from airspace_server.engine.runners import namespaces

        code = namespaces.shut_in(ordered["view"], run)
    if code is not None:
        with open(f"{folder}/done.new", "w") as file:
            file.write(str(code))
        os.rename(f"{folder}/done.new", f"{folder}/done")


if __name__ == "__main__":
    main()
