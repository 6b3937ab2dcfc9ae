"""Why a call can fail, and with which gRPC code.

`Reason` mirrors airspace.error.v1.ErrorReason (a test compares them) and `CODES` is the only place where a reason gets
its code. Use cases raise `ApiError`; rpc/interceptors.py is the only place that turns one into a status.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum


class Code(Enum):
    """The gRPC codes that this server gives on purpose, by their numbers. UNKNOWN is not one of them."""

    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


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
    OWN_APPROVAL = "OWN_APPROVAL"
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
    NESTING_TOO_DEEP = "NESTING_TOO_DEEP"
    DOMAIN_CLOSED = "DOMAIN_CLOSED"
    ETAG_MISMATCH = "ETAG_MISMATCH"
    TOO_MANY_STREAMS = "TOO_MANY_STREAMS"
    TOO_LARGE = "TOO_LARGE"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    TOO_MANY_CALLS = "TOO_MANY_CALLS"
    UNAVAILABLE = "UNAVAILABLE"
    NOT_IMPLEMENTED = "NOT_IMPLEMENTED"
    INTERNAL = "INTERNAL"


CODES: Mapping[Reason, Code] = {
    Reason.INVALID_FIELD: Code.INVALID_ARGUMENT,
    Reason.MALFORMED_MESSAGE: Code.INVALID_ARGUMENT,
    Reason.INVALID_PAGE_TOKEN: Code.INVALID_ARGUMENT,
    Reason.REQUEST_ID_REUSED: Code.INVALID_ARGUMENT,
    Reason.UNKNOWN_DOMAIN: Code.INVALID_ARGUMENT,
    Reason.WORKFLOW_INVALID: Code.INVALID_ARGUMENT,
    Reason.SCHEDULE_INVALID: Code.INVALID_ARGUMENT,
    Reason.INPUT_INVALID: Code.INVALID_ARGUMENT,
    Reason.FOREIGN_REFERENCE: Code.INVALID_ARGUMENT,
    Reason.UNKNOWN_FIELD: Code.INVALID_ARGUMENT,
    Reason.TOKEN_MISSING: Code.UNAUTHENTICATED,
    Reason.TOKEN_INVALID: Code.UNAUTHENTICATED,
    Reason.TOKEN_EXPIRED: Code.UNAUTHENTICATED,
    Reason.ACCOUNT_DISABLED: Code.UNAUTHENTICATED,
    Reason.PERMISSION_MISSING: Code.PERMISSION_DENIED,
    Reason.GRANT_EXCEEDS_OWN: Code.PERMISSION_DENIED,
    Reason.RUN_AS_FORBIDDEN: Code.PERMISSION_DENIED,
    Reason.OWN_APPROVAL: Code.PERMISSION_DENIED,
    Reason.NOT_FOUND: Code.NOT_FOUND,
    Reason.ALREADY_EXISTS: Code.ALREADY_EXISTS,
    Reason.DIFFERENT_CONTENT: Code.ALREADY_EXISTS,
    Reason.PROJECT_ARCHIVED: Code.FAILED_PRECONDITION,
    Reason.PROJECT_MISSING: Code.FAILED_PRECONDITION,
    Reason.WRONG_STATE: Code.FAILED_PRECONDITION,
    Reason.NO_ACTIVE_VERSION: Code.FAILED_PRECONDITION,
    Reason.IN_USE: Code.FAILED_PRECONDITION,
    Reason.NOT_RUNNABLE: Code.FAILED_PRECONDITION,
    Reason.LAST_ADMIN: Code.FAILED_PRECONDITION,
    Reason.EXPORT_MISSING: Code.FAILED_PRECONDITION,
    Reason.NESTING_TOO_DEEP: Code.FAILED_PRECONDITION,
    Reason.DOMAIN_CLOSED: Code.FAILED_PRECONDITION,
    Reason.ETAG_MISMATCH: Code.ABORTED,
    Reason.TOO_MANY_STREAMS: Code.RESOURCE_EXHAUSTED,
    Reason.TOO_LARGE: Code.RESOURCE_EXHAUSTED,
    Reason.QUOTA_EXCEEDED: Code.RESOURCE_EXHAUSTED,
    Reason.TOO_MANY_CALLS: Code.RESOURCE_EXHAUSTED,
    Reason.UNAVAILABLE: Code.UNAVAILABLE,
    Reason.NOT_IMPLEMENTED: Code.UNIMPLEMENTED,
    Reason.INTERNAL: Code.INTERNAL,
}


@dataclass
class ApiError(Exception):
    """A call that fails for a known reason.

    Everything in it goes to the caller as it is, so nothing may stand in it that the caller may not know. Whatever the
    message interpolates stands in `metadata` too. `field` names the offending field of the request by its path, if one.
    `retry_after` is in how many seconds the same call may succeed; 0 says nothing about it.
    """

    reason: Reason
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    field: str = ""
    retry_after: int = 0

    def __post_init__(self) -> None:
        """Give Exception its arguments, so that a logged error reads well."""
        super().__init__(self.reason, self.message)

    @property
    def code(self) -> Code:
        """The gRPC code of the reason."""
        return CODES[self.reason]


def invalid_field(path: str, problem: str) -> ApiError:
    """Say that the field at `path` is not valid, and why, in words that fit behind the path."""
    return ApiError(Reason.INVALID_FIELD, f"{path} {problem}", {"field": path}, path)


def token_missing() -> ApiError:
    """Say that nobody is named who makes the call."""
    return ApiError(Reason.TOKEN_MISSING, "this call needs a bearer token")


def token_invalid() -> ApiError:
    """Say that a token does not count, in the same words whatever is wrong with it."""
    return ApiError(Reason.TOKEN_INVALID, "the token is not valid here")


def not_found(kind: str, name: str) -> ApiError:
    """Say that something is not there. Only for callers who may read the scope that it would be in."""
    return ApiError(Reason.NOT_FOUND, f"{kind} {name} does not exist", {"kind": kind, "name": name})
