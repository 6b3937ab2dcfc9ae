"""How an attempt went, by what it left under its output prefix and its exit code."""

import signal
from collections.abc import Callable
from typing import Final

from flyteidl.core import errors_pb2, execution_pb2, literals_pb2
from google.protobuf.message import DecodeError

from airspace_server.core.execution import ErrorKind, ExecutionError
from airspace_server.engine.outcome import Failed, Outcome, Succeeded

MAX_FILE: Final = 10 * 1024 * 1024
"""Largest file that an attempt's result is read from, in bytes; Flyte's clients receive messages of up to 20 MiB."""
MAX_CODE: Final = 255
"""Longest code of an error, in characters."""
MAX_MESSAGE: Final = 64 * 1024
"""Longest error message that is kept, in characters. Of a longer one the end is kept: there a traceback says why."""


class TooLargeError(Exception):
    """A file of the result is larger than MAX_FILE."""


def outcome(read: Callable[[str], bytes | None], code: int, stderr: str) -> Outcome:
    """Tell how an attempt went that ended with this exit code, negative for a signal.

    `read` returns a file under the output prefix, None when there is none, and raises TooLargeError; `stderr` is the
    last that the attempt wrote there. An error that the task reports itself goes before its exit code.
    """
    try:
        error = read("error.pb")
        if error is not None:
            return _reported(errors_pb2.ErrorDocument.FromString(error).error)
        if code:
            return _system("EXIT_CODE", _with(f"the task's process ended {_how(code)}", stderr))
        if read("futures.pb") is not None:
            text = "the task is dynamic: it made a workflow of its own, which cannot be run yet"
            return Failed(ExecutionError("NOT_RUNNABLE", text, ErrorKind.USER), retryable=False)
        outputs = read("outputs.pb")
        if outputs is None:
            return _system("OUTPUTS_MISSING", _with("the task's process ended well but wrote no outputs", stderr))
        return Succeeded(literals_pb2.LiteralMap.FromString(outputs))
    except DecodeError:
        return _system("OUTPUTS_MALFORMED", "what the task's process wrote is not a message of Flyte")
    except TooLargeError:
        text = f"the task's outputs are larger than {MAX_FILE} bytes; large data belongs in files"
        return Failed(ExecutionError("OUTPUTS_TOO_LARGE", text, ErrorKind.USER), retryable=False)


def _reported(error: errors_pb2.ContainerError) -> Outcome:
    kind = ErrorKind.SYSTEM if error.origin == execution_pb2.ExecutionError.SYSTEM else ErrorKind.USER
    code, message = _storable(error.code)[:MAX_CODE], _storable(error.message)[-MAX_MESSAGE:]
    shown = ExecutionError(code or "UNKNOWN", message, kind)
    return Failed(shown, retryable=error.kind == errors_pb2.ContainerError.RECOVERABLE)


def _system(code: str, message: str) -> Failed:
    return Failed(ExecutionError(code, _storable(message), ErrorKind.SYSTEM), retryable=True)


def _storable(text: str) -> str:
    """Make a task's text fit for every database: Postgres keeps no NUL characters."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _how(code: int) -> str:
    if code >= 0:
        return f"with exit code {code}"
    name = signal.Signals(-code).name if -code in signal.valid_signals() else "unknown"
    return f"by signal {-code} ({name})"


def _with(message: str, stderr: str) -> str:
    return f"{message}; it wrote:\n{stderr}" if stderr.strip() else message
