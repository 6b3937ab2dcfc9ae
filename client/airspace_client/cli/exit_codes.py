"""The status that the command line ends with. Scripts rely on these: they never change."""

from enum import IntEnum
from typing import Final

from airspace_client import (
    Aborted,
    AirspaceError,
    AlreadyExists,
    ConfigError,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
)


class ExitCode(IntEnum):
    """What each status means."""

    OK = 0
    NOT_SUCCEEDED = 1
    USAGE = 2
    UNAUTHENTICATED = 3
    PERMISSION_DENIED = 4
    NOT_FOUND = 5
    CONFLICT = 6
    FAILED_PRECONDITION = 7
    INVALID_ARGUMENT = 8
    UNAVAILABLE = 9
    OTHER = 10
    INTERRUPTED = 130


MEANINGS: Final = {
    ExitCode.OK: "done",
    ExitCode.NOT_SUCCEEDED: "an execution did not succeed, a member may not, or a check found something",
    ExitCode.USAGE: "wrong usage, or no usable client file",
    ExitCode.UNAUTHENTICATED: "no token, or one that the server does not accept",
    ExitCode.PERMISSION_DENIED: "permission denied",
    ExitCode.NOT_FOUND: "not found",
    ExitCode.CONFLICT: "conflict: it exists already, or someone else was faster",
    ExitCode.FAILED_PRECONDITION: "the state of things does not allow it",
    ExitCode.INVALID_ARGUMENT: "invalid argument",
    ExitCode.UNAVAILABLE: "the server cannot be reached, or did not answer in time",
    ExitCode.OTHER: "any other error",
    ExitCode.INTERRUPTED: "interrupted",
}
"""For --help."""

_CODES: Final[dict[type[AirspaceError], ExitCode]] = {
    ConfigError: ExitCode.USAGE,
    Unauthenticated: ExitCode.UNAUTHENTICATED,
    PermissionDenied: ExitCode.PERMISSION_DENIED,
    NotFound: ExitCode.NOT_FOUND,
    AlreadyExists: ExitCode.CONFLICT,
    Aborted: ExitCode.CONFLICT,
    FailedPrecondition: ExitCode.FAILED_PRECONDITION,
    InvalidArgument: ExitCode.INVALID_ARGUMENT,
    Unavailable: ExitCode.UNAVAILABLE,
    DeadlineExceeded: ExitCode.UNAVAILABLE,
}


def exit_code(error: AirspaceError) -> ExitCode:
    """Return the status that an error ends the command line with."""
    return _CODES.get(type(error), ExitCode.OTHER)
