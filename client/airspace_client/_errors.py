"""What can go wrong, as exceptions.

AirspaceError
├── ConfigError           the client file is missing, unreadable or incomplete; nothing was sent
├── InvalidArgument       the request cannot be right, whatever the server holds
├── FailedPrecondition    the request is right, the state of things does not allow it
├── NotFound              there is no such thing in a scope that the caller may read
├── AlreadyExists         the name is taken, or the version holds other content
├── Aborted               someone else was faster: read again and repeat
├── PermissionDenied      the caller does not hold what the call requires
├── Unauthenticated       no token, or one that the server does not accept
├── ResourceExhausted     too much or too many
├── Unavailable           the server or a part of it cannot be reached
├── DeadlineExceeded      no answer in time; a mutation may or may not have happened
├── Unimplemented         the server does not serve this call
└── InternalError         a fault of the server; `request_id` finds it in the server's log

There is one class for each gRPC code that Airspace gives, and `Reason` says more finely why. A call that was cancelled
raises AirspaceError itself.
"""

# ruff: noqa: N818 -- these are the names of the gRPC codes, which people search for

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """Why a call failed; documented value by value in airspace/error/v1/error_reason.proto."""

    INVALID_FIELD = "INVALID_FIELD"
    MALFORMED_MESSAGE = "MALFORMED_MESSAGE"
    INVALID_PAGE_TOKEN = "INVALID_PAGE_TOKEN"  # noqa: S105 -- a reason, not a password
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    UNKNOWN_DOMAIN = "UNKNOWN_DOMAIN"
    WORKFLOW_INVALID = "WORKFLOW_INVALID"
    SCHEDULE_INVALID = "SCHEDULE_INVALID"
    INPUT_INVALID = "INPUT_INVALID"
    FOREIGN_REFERENCE = "FOREIGN_REFERENCE"
    UNKNOWN_FIELD = "UNKNOWN_FIELD"
    TOKEN_MISSING = "TOKEN_MISSING"  # noqa: S105 -- a reason, not a password
    TOKEN_INVALID = "TOKEN_INVALID"  # noqa: S105 -- a reason, not a password
    TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105 -- a reason, not a password
    ACCOUNT_DISABLED = "ACCOUNT_DISABLED"
    PERMISSION_MISSING = "PERMISSION_MISSING"
    GRANT_EXCEEDS_OWN = "GRANT_EXCEEDS_OWN"
    RUN_AS_FORBIDDEN = "RUN_AS_FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    DIFFERENT_CONTENT = "DIFFERENT_CONTENT"
    PROJECT_ARCHIVED = "PROJECT_ARCHIVED"
    PROJECT_MISSING = "PROJECT_MISSING"
    WRONG_STATE = "WRONG_STATE"
    NO_ACTIVE_VERSION = "NO_ACTIVE_VERSION"
    IN_USE = "IN_USE"
    NOT_RUNNABLE = "NOT_RUNNABLE"
    LAST_ADMIN = "LAST_ADMIN"
    EXPORT_MISSING = "EXPORT_MISSING"
    DOMAIN_CLOSED = "DOMAIN_CLOSED"
    OWN_APPROVAL = "OWN_APPROVAL"
    NESTING_TOO_DEEP = "NESTING_TOO_DEEP"
    ETAG_MISMATCH = "ETAG_MISMATCH"
    TOO_MANY_STREAMS = "TOO_MANY_STREAMS"
    TOO_LARGE = "TOO_LARGE"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    TOO_MANY_CALLS = "TOO_MANY_CALLS"
    UNAVAILABLE = "UNAVAILABLE"
    NOT_IMPLEMENTED = "NOT_IMPLEMENTED"
    INTERNAL = "INTERNAL"


class AirspaceError(Exception):
    """Whatever this package raises about a call.

    `code` is the gRPC code's name, for example "NOT_FOUND"; it is empty when nothing was sent.
    `reason` is a `Reason`, or the word of a newer server; it is empty when it was not Airspace that answered.
    `metadata` holds what the message interpolates, for programs; its keys are documented at each reason.
    `field` is the path of the request's offending field, and `request_id` the server's name for the failed call.
    """

    code: str = ""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        field: str = "",
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.reason = reason
        self.metadata: Mapping[str, str] = dict(metadata or {})
        self.field = field
        self.request_id = request_id

    def __str__(self) -> str:
        """Read as `REASON: message`."""
        return f"{self.reason or self.code}: {self.message}" if self.reason or self.code else self.message


class ConfigError(AirspaceError):
    """The client file is missing, unreadable or incomplete, or names an address that must not get a token."""


class InvalidArgument(AirspaceError):
    """The request cannot be right, whatever the server holds; `field` says where."""

    code = "INVALID_ARGUMENT"


class FailedPrecondition(AirspaceError):
    """The request is right, and the state of things does not allow it: an archived project, a wrong state."""

    code = "FAILED_PRECONDITION"


class NotFound(AirspaceError):
    """There is no such thing. Where the caller may not read, it is PermissionDenied instead."""

    code = "NOT_FOUND"


class AlreadyExists(AirspaceError):
    """The name is taken, or the version is registered with other content."""

    code = "ALREADY_EXISTS"


class Aborted(AirspaceError):
    """The etag is not the current one: read again, then repeat."""

    code = "ABORTED"


class PermissionDenied(AirspaceError):
    """The caller does not hold what the call requires; the same whether or not the thing exists."""

    code = "PERMISSION_DENIED"


class Unauthenticated(AirspaceError):
    """No token, one that the server does not accept, or none to be had with these credentials."""

    code = "UNAUTHENTICATED"


class ResourceExhausted(AirspaceError):
    """Too many watchers or calls, more bytes than one side takes, or a quota: when to try again is in the metadata."""

    code = "RESOURCE_EXHAUSTED"


class Unavailable(AirspaceError):
    """The server, a part of it or the token endpoint cannot be reached. Reads were repeated before this was raised."""

    code = "UNAVAILABLE"


class DeadlineExceeded(AirspaceError):
    """No answer in time. A mutation may or may not have happened."""

    code = "DEADLINE_EXCEEDED"


class Unimplemented(AirspaceError):
    """The server does not serve this call."""

    code = "UNIMPLEMENTED"


class InternalError(AirspaceError):
    """A fault of the server, or an answer that no Airspace server gives."""

    code = "INTERNAL"


ERRORS: Final[Mapping[str, type[AirspaceError]]] = {
    **{
        error.code: error
        for error in (
            InvalidArgument,
            FailedPrecondition,
            NotFound,
            AlreadyExists,
            Aborted,
            PermissionDenied,
            Unauthenticated,
            ResourceExhausted,
            Unavailable,
            DeadlineExceeded,
            Unimplemented,
            InternalError,
        )
    },
    # Airspace does not give these; a proxy or the gRPC library may.
    "CANCELLED": AirspaceError,
    "OUT_OF_RANGE": InvalidArgument,
    "UNKNOWN": InternalError,
    "DATA_LOSS": InternalError,
}
"""The class of every gRPC code but OK."""
