"""Runs one command and everything that the command starts, to the end: the parent of an attempt's processes.

Started as `python -I -S launcher.py FOLDER VIEW COMMAND...` with the environment of the task, in a session of its own.
It is small and imports little, because every attempt pays for its start. VIEW is what the command is shut in with, in
JSON (namespaces.py); "" leaves it free.

- It waits for a line on stdin. When stdin closes without one, whoever started it is gone: it exits and runs nothing.
- It adopts orphans, where the system can do that: a process that left the session, or whose parent has ended, is still
  a child of its own. Nothing of them is left when it exits.
- When the command has ended and nothing of it is left, it writes the exit code, negative for a signal, to FOLDER/done,
  by a rename: the file is there whole or not at all.
- SIGTERM ends the command: it is passed on to the whole tree, which has GRACE seconds until SIGKILL. SIGALRM ends it
  without grace. What was ended leaves no FOLDER/done.
"""

import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress

GRACE = 2
"""Seconds between SIGTERM and SIGKILL."""

_MAX_FILES = 4096
_PR_SET_CHILD_SUBREAPER = 36
_NOT_STARTED = 127


class Launcher:
    """One command and its tree."""

    def __init__(self) -> None:
        self._command = 0  # its process id and, since it has a session of its own, also that of its group
        self._ended = False

    def run(self, command: list[str]) -> int | None:
        """Run the command, then end what is left of its tree; return its exit code, None if it was ended."""
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGALRM, self._end_now)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGALRM))
        try:
            self._command = os.posix_spawn(
                command[0],
                command,
                os.environ,
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
            except ChildProcessError:
                return

    def _signal_tree(self, number: int) -> None:
        for pid in descendants():
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def descendants() -> list[int]:
    """List the processes below this one, from /proc."""
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
    left = [os.getpid()]
    while left:
        below = children.get(left.pop(), [])
        found += below
        left += below
    return found


def _shut_in(view: str, command: list[str]) -> int | None:
    import json

    sys.path.append(__file__.removesuffix("/airspace_server/engine/runners/launcher.py"))
    from airspace_server.engine.runners import namespaces

    return namespaces.shut_in(json.loads(view), lambda: Launcher().run(command))


def main() -> None:
    """Wait for leave, run the command and record how it ended."""
    folder, view, *command = sys.argv[1:]
    if not sys.stdin.readline():
        return
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = _MAX_FILES if hard == resource.RLIM_INFINITY else min(_MAX_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    code = _shut_in(view, command) if view else Launcher().run(command)
    if code is not None:
        with open(f"{folder}/done.new", "w") as file:
            file.write(str(code))
        os.rename(f"{folder}/done.new", f"{folder}/done")


if __name__ == "__main__":
    main()
