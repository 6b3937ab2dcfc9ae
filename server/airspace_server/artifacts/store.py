"""What a store of artifacts promises, and which keys an artifact can have.

An artifact's key is a scope and a path: safe segments joined by "/", the same on every store. An artifact is written
once: under its key there is never other content, because registered tasks refer to their code by it.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final, Protocol

from airspace_server.core import names
from airspace_server.core.errors import ApiError, Reason, invalid_field
from airspace_server.core.scope import Scope

MAX_SEGMENT: Final = 255
"""Longest segment of a path, in UTF-8 bytes: what common file systems take as a name."""
MAX_PATH: Final = 1024
"""Longest path, in UTF-8 bytes: what S3 takes as a key."""
MD5_BYTES: Final = 16
"""Length of an MD5."""

# Control characters and lone surrogates. The latter are no text at all: they cannot be written as UTF-8.
_REFUSED_CATEGORIES: Final = frozenset({"Cc", "Cs"})


class ArtifactStore(Protocol):
    """Artifacts of every scope, each reached only by naming its scope. Safe to use from many threads.

    Every method that takes a scope and a path raises INVALID_FIELD when `check_key` refuses them.
    """

    def native_url(self, scope: Scope, path: str) -> str:
        """Return the URL by which a task of this scope reads the artifact; it has no query string. Touches nothing."""
        ...

    def locate(self, native_url: str) -> tuple[Scope, str]:
        """Return the key that has this native URL; the reverse of `native_url`, for no other text.

        The names alone decide and nothing is looked up, so that callers who are not authorized yet learn nothing of
        what exists. Raises INVALID_FIELD for "native_url" when it is not one of this store.
        """
        ...

    def mentioned(self, text: str) -> Iterator[Scope]:
        """Give the scopes of which a text has a native URL in it, anywhere, or the beginning of one."""
        ...

    def write(self, scope: Scope, path: str, chunks: Iterable[bytes], limit: int, md5: bytes | None = None) -> int:
        """Store the joined chunks, all or nothing, and return their number of bytes.

        When this returns, the content is durable. Content that is there already is left as it is: the call succeeds if
        it is the same and raises ALREADY_EXISTS if not. Raises TOO_LARGE beyond `limit` bytes and INVALID_FIELD for
        "content_md5" when the content's MD5 is not `md5` (16 bytes); whatever `chunks` raises is passed on.
        """
        ...

    def open(self, scope: Scope, path: str) -> BinaryIO:
        """Open the artifact for reading, seekable. Raises NOT_FOUND."""
        ...

    def exists(self, scope: Scope, path: str) -> bool:
        """Tell whether there is an artifact."""
        ...

    def md5(self, scope: Scope, path: str) -> bytes:
        """Return the 16 bytes of the content's MD5. Raises NOT_FOUND."""
        ...

    def prefix(self, scope: Scope, *segments: str) -> str:
        """Return the native URL below which a task may write what it likes, made ready for that."""
        ...


def segment_problem(segment: str) -> str | None:
    """Say what is wrong with one segment of a path, in words that fit behind a field's path."""
    if segment in ("", ".", ".."):
        return "must not be empty, . or .."
    if any(c in "/\\" or unicodedata.category(c) in _REFUSED_CATEGORIES for c in segment):
        return "must have no slash, backslash or control character in it"
    if segment != segment.strip():
        return "must not begin or end with a space"
    if len(segment.encode()) > MAX_SEGMENT:
        return f"must be at most {MAX_SEGMENT} bytes"
    return None


def check_key(scope: Scope, path: str) -> tuple[str, ...]:
    """Return the segments of the key: project, domain and those of the path.

    Raises INVALID_FIELD for "project", "domain" or "path" when one of them can be no part of a key.
    """
    for field, problem in (("project", names.project(scope.project)), ("domain", names.domain(scope.domain))):
        if problem:
            raise invalid_field(field, problem)
    segments = path.split("/")
    for problem in filter(None, map(segment_problem, segments)):
        raise invalid_field("path", f"must be segments joined by /, and each {problem}")
    if len(path.encode()) > MAX_PATH:
        raise invalid_field("path", f"must be at most {MAX_PATH} bytes")
    return scope.project, scope.domain, *segments


def too_large(limit: int) -> ApiError:
    """Say that there is more content than `limit` bytes."""
    return ApiError(Reason.TOO_LARGE, f"the content has more than {limit} bytes", {"limit": str(limit)})
