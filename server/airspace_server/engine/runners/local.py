"""Runs attempts as processes of this machine, each with a folder, a session and an environment of its own.

An attempt's folder is WORK/project/domain/execution/node/NUMBER-MARK, for this user alone:

    inputs.pb   what the task gets
    out/        outputs.pb or error.pb, and deck.html
    code/       where the task runs and its code is unpacked; removed at its end
    tmp/        its HOME and TMPDIR, with what it calls the server back by (callback.py); removed at its end
    root/       where its view of the machine is put together, for itself alone (sandbox.py); removed at its end
    stdout, stderr
    done        the exit code; written when nothing of the attempt runs any more (launcher.py)

An attempt is found again by the mark in its environment, which every process that it starts inherits. Without a sandbox
the processes of an attempt run as the user of this server: the folder keeps attempts apart, it does not lock them in.
"""

import json
import logging
import os
import re
import secrets
import select
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import psutil

from airspace_server.core.errors import ApiError
from airspace_server.core.execution import ErrorKind, ExecutionError
from airspace_server.core.scope import Scope
from airspace_server.engine.callback import Callback
from airspace_server.engine.outcome import Failed, Lost, Outcome
from airspace_server.engine.runners import launcher, result
from airspace_server.engine.runners.base import AttemptSpec, Prepared, RefusedError
from airspace_server.engine.runners.command import MARK, command_line, environment, refused
from airspace_server.engine.runners.limits import DISK_LOOK_SECONDS, DISK_LOOK_SHARE, LOOK_SECONDS, Limits
from airspace_server.engine.runners.sandbox import Sandbox

_log = logging.getLogger(__name__)

_STDERR_TAIL: Final = 4096
_PATIENCE: Final = launcher.GRACE + 3.0
"""Seconds that a launcher has to end its tree before it is killed itself."""
_PAUSE: Final = 0.01
_HEAD: Final = 64 * 1024
_CODE: Final = re.compile(rb"-?[0-9]{1,3}")


@dataclass(frozen=True, slots=True)
class _Handle:
    """What a handle says: the launcher's process id, the attempt's mark and its folder."""

    pid: int
    mark: str
    folder: Path

    def __str__(self) -> str:
        return json.dumps({"pid": self.pid, "mark": self.mark, "folder": str(self.folder)})

    @classmethod
    def parse(cls, handle: str) -> "_Handle":
        values = json.loads(handle)
        return cls(values["pid"], values["mark"], Path(values["folder"]))


class LocalRunner:
    """A Runner on this machine. `work` is the folder of the attempts, made if it is missing.

    `programs` is the folder of flytekit's commands, by default that of the Python that runs this. Handles mean nothing
    elsewhere: all workers of a database that use this runner are on one machine. Without a `callback` tasks do not
    learn how to call the server; without a `sandbox` they are not shut in.
    """

    def __init__(
        self,
        work: Path,
        programs: Path = Path(sys.executable).parent,
        callback: Callback | None = None,
        sandbox: Sandbox | None = None,
    ) -> None:
        work.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._work = work
        self._programs = programs
        self._callback = callback
        self._sandbox = sandbox
        self._attempts: dict[str, _Attempt] = {}

    def prepare(self, attempt: AttemptSpec) -> Prepared:
        """Make the folder and start the launcher, which waits. Raises RefusedError."""
        if attempt.task.WhichOneof("target") != "container":
            raise refused(f"a task of type {attempt.task.type} cannot be run on this machine")
        mark = secrets.token_hex(16)
        scope = attempt.execution.scope
        number = f"{attempt.number}-{mark[:8]}"
        folder = self._work / scope.project / scope.domain / attempt.execution.name / attempt.node_id / number
        try:
            process, order = self._launch(attempt, folder, mark)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            text = f"the machine cannot start the task's process: {os.strerror(error.errno or 0)}"
            shown = ExecutionError("NOT_STARTED", text, ErrorKind.SYSTEM)
            raise RefusedError(Failed(shown, retryable=True)) from error
        except ApiError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise refused("an artifact that its command names is not there, or too large") from error
        except RefusedError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        handle = _Handle(process.pid, mark, folder)
        limits = Limits.of(attempt.task.container)
        own = (*(folder / name for name in ("out", "code", "tmp")), Path(attempt.raw_data))
        self._attempts[str(handle)] = _Attempt(handle, process, order, limits, own, shut_in=self._sandbox is not None)
        return Prepared(str(handle), str(folder / "out"))

    def release(self, handle: str, ended: Callable[[Outcome], None]) -> None:
        """Let the launcher run the task."""

        def report(outcome: Outcome) -> None:
            del self._attempts[handle]
            ended(outcome)

        self._attempts[handle].release(report)

    def end(self, handle: str) -> None:
        """Tell the launcher to end the task; one that has ended or is not of this process is none of ours."""
        attempt = self._attempts.get(handle)
        if attempt and not attempt.end():
            self._attempts.pop(handle)

    def reap(self, handle: str) -> Outcome | None:
        """End what runs of an attempt of another process, at once, and read its result if it was done before."""
        known = _Handle.parse(handle)
        # Whoever killed the launcher instead would set free what has left the marked environment.
        if _is_marked(known.pid, known.mark):
            with suppress(ProcessLookupError):
                os.kill(known.pid, signal.SIGALRM)
            deadline = time.monotonic() + _PATIENCE
            while _is_marked(known.pid, known.mark) and time.monotonic() < deadline:
                time.sleep(_PAUSE)
        _sweep(known.mark)
        return _finish(known)

    def deck(self, handle: str) -> BinaryIO | None:
        """Open what the task wrote beside its outputs."""
        file = _open(_Handle.parse(handle).folder / "out" / "deck.html")
        return None if file is None else os.fdopen(file, "rb")

    def _launch(self, attempt: AttemptSpec, folder: Path, mark: str) -> tuple[subprocess.Popen[bytes], bytes]:
        """Start a launcher; return it with the order that it waits for. Raises what `prepare` makes a refusal of."""
        out, code, tmp = folder / "out", folder / "code", folder / "tmp"
        folder.mkdir(mode=0o700, parents=True)
        for one in (out, code, tmp):
            one.mkdir(mode=0o700)
        inputs = folder / "inputs.pb"
        inputs.write_bytes(attempt.inputs.SerializeToString(deterministic=True))
        checkpoint = f"{attempt.raw_data}/checkpoint"
        previous = f"{attempt.previous_raw_data}/checkpoint" if attempt.previous_raw_data else ""
        values = {
            "input": str(inputs),
            "outputprefix": str(out),
            "rawoutputdataprefix": attempt.raw_data,
            "checkpointoutputprefix": checkpoint,
            "prevcheckpointprefix": previous if previous and _is_folder(previous) else "",
        }
        command = command_line(attempt.task.container, values, attempt.inputs, programs=self._programs, code=code)
        variables = environment(attempt, mark=mark, home=tmp, programs=self._programs)
        if self._callback is not None:
            variables.update(self._callback.prepare(attempt.execution, tmp))
        view = None
        if self._sandbox is not None:
            scope, task = attempt.execution.scope, attempt.task.id
            registered = {*attempt.task.container.command, *attempt.task.container.args}
            command = self._sandbox.borrowed(scope, Scope(task.project, task.domain), command, registered, tmp)
            inputs.chmod(0o644)
            own = (out, code, tmp, Path(attempt.raw_data))
            self._sandbox.own(scope, (*own, *tmp.rglob("*")))
            view = self._sandbox.view(scope, folder, work=code, read=[inputs, self._programs], write=own)
        if any("\0" in text for text in (*command, *variables, *variables.values())) or any(
            not name or "=" in name for name in variables
        ):
            raise refused("its arguments or environment cannot be given to a process")
        order = launcher.order(command, variables, view, attempt.nice)
        with (folder / "stdout").open("xb") as stdout, (folder / "stderr").open("xb") as stderr:
            process = subprocess.Popen(  # noqa: S603 -- our own arguments
                launcher.command_line(folder),
                cwd=code,
                env={MARK: mark},
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        return process, order


class _Attempt:
    """An attempt of this process: its launcher, and the thread that waits for it."""

    def __init__(
        self,
        handle: _Handle,
        process: subprocess.Popen[bytes],
        order: bytes,
        limits: Limits,
        own: Sequence[Path],
        *,
        shut_in: bool,
    ) -> None:
        self._handle = handle
        self._process = process
        self._order = order
        self._limits = limits
        self._own = own
        self._shut_in = shut_in
        self._ended = False
        self._backstop = threading.Timer(_PATIENCE, self._force)
        self._stopping = threading.Lock()
        self._waiter: threading.Thread | None = None

    def release(self, ended: Callable[[Outcome], None]) -> None:
        self._waiter = threading.Thread(target=self._wait, args=(ended,), daemon=True)
        stdin = self._process.stdin
        if stdin is None:
            raise ValueError("a launcher has a pipe as its stdin")
        with suppress(BrokenPipeError), stdin:  # a launcher that is gone is noticed by the thread
            stdin.write(self._order)
        self._waiter.start()

    def end(self) -> bool:
        """Begin to end it; tell whether there will be a report."""
        if self._waiter is None:
            self._process.kill()  # it has not begun: there is no tree yet
            self._process.communicate()
            shutil.rmtree(self._handle.folder, ignore_errors=True)
            return False
        if not self._ended:
            self._ended = True
            self._stop(signal.SIGTERM)
        return True

    def _stop(self, number: int) -> None:
        """Tell the launcher to end its tree, and see to it if it does not."""
        self._process.send_signal(number)
        with self._stopping:
            if not self._backstop.daemon:  # nobody has started it
                self._backstop.daemon = True
                self._backstop.start()

    def _wait(self, ended: Callable[[Outcome], None]) -> None:
        try:
            outcome = self._outcome()
        except Exception:  # whatever it is: who is not told waits for ever
            _log.exception("an attempt could not be followed to its end")
            self._give_up()
            text = "the attempt could not be followed to its end"
            outcome = Failed(ExecutionError("ENDED", text, ErrorKind.SYSTEM), retryable=True)
        ended(outcome)

    def _give_up(self) -> None:
        """Let nothing run of an attempt that is reported as ended; a killed launcher would set its tree free."""
        try:
            self._stop(signal.SIGALRM)
            self._process.wait()
            _sweep(self._handle.mark)
        except Exception:
            _log.exception("what an attempt has left could not be ended")

    def _outcome(self) -> Outcome:
        exceeded = self._watch()
        self._process.wait()
        self._backstop.cancel()
        _sweep(self._handle.mark)
        outcome = _finish(self._handle)
        if exceeded is not None:
            outcome = Failed(exceeded, retryable=True)
        if outcome is None:
            text = "the attempt's processes were ended"
            error = ExecutionError("ENDED", text, ErrorKind.SYSTEM)
            # Nobody here asked for it: then it is the machine, or the task itself, and tried again only so often.
            outcome = Lost(error) if self._ended else Failed(error, retryable=True)
        return outcome

    def _watch(self) -> ExecutionError | None:
        """Return when it ends by itself or by `end`; or end it when it is above a limit, and return which."""
        ends = select.poll()
        try:
            process = os.pidfd_open(self._process.pid)
        except ProcessLookupError:  # it has ended, and `end` saw it
            return None
        try:
            ends.register(process, select.POLLIN)
            disk_at = time.monotonic() + DISK_LOOK_SECONDS
            while not ends.poll(LOOK_SECONDS * 1000):
                launched, shut_in = self._process.pid, self._shut_in
                exceeded = self._limits.exceeded(launched, self._handle.folder, shut_in=shut_in)
                if exceeded is None and (began := time.monotonic()) >= disk_at:
                    exceeded = self._limits.overflows(launched, self._own, shut_in=shut_in)
                    ended = time.monotonic()
                    disk_at = ended + max(DISK_LOOK_SECONDS, DISK_LOOK_SHARE * (ended - began))
                if exceeded is not None:
                    self._stop(signal.SIGALRM)
                    return exceeded
        finally:
            os.close(process)
        return None

    def _force(self) -> None:
        _sweep(self._handle.mark)
        self._process.kill()


def _finish(handle: _Handle) -> Outcome | None:
    """Read the result of an attempt of which nothing runs any more, and remove what nobody needs of it."""
    outcome = None
    code = _head(handle.folder / "done")
    if code is not None and _CODE.fullmatch(code):
        out = handle.folder / "out"
        outcome = result.outcome(lambda name: _read(out / name), int(code), _tail(handle.folder / "stderr"))
    # In a process of its own: a task can leave more names, and deeper folders, than this one could bear.
    left = [handle.folder / name for name in ("code", "tmp", "root")]
    subprocess.run(["/bin/rm", "-rf", "--", *left], stderr=subprocess.DEVNULL, check=False)  # noqa: S603 -- our own arguments
    return outcome


def _sweep(mark: str) -> None:
    """Kill what carries the mark until nothing does: what is born while one looks is found in the next round."""
    deadline = time.monotonic() + _PATIENCE
    while (found := [pid for pid in psutil.pids() if _is_marked(pid, mark)]) and time.monotonic() < deadline:
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_PAUSE)


def _is_marked(pid: int, mark: str) -> bool:
    """Tell whether a process carries the mark. One that has ended and was not waited for has no environment."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123 -- asked of every process of the machine
            head = file.read(_HEAD)  # a process can make its own as long as it likes
    except OSError:
        return False
    return f"{MARK}={mark}".encode() in head.split(b"\0")


def _is_folder(path: str) -> bool:
    """Tell whether there is a folder, and no link to one: of those a task would learn what else is on this machine."""
    return Path(path).is_dir() and not Path(path).is_symlink()


def _open(path: Path) -> int | None:
    """Open a regular file; None for anything else that a task may have put there, such as a link or a pipe."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    return None


def _read(path: Path) -> bytes | None:
    data = _head(path, result.MAX_FILE + 1)
    if data is not None and len(data) > result.MAX_FILE:
        raise result.TooLargeError
    return data


def _head(path: Path, size: int = 8) -> bytes | None:
    file = _open(path)
    if file is None:
        return None
    with os.fdopen(file, "rb") as opened:
        return opened.read(size)


def _tail(path: Path) -> str:
    file = _open(path)
    if file is None:
        return ""
    with os.fdopen(file, "rb") as opened:
        size = opened.seek(0, os.SEEK_END)
        opened.seek(max(0, size - _STDERR_TAIL))
        return opened.read(_STDERR_TAIL).decode(errors="replace")
