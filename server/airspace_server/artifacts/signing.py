"""URLs that carry their own permission: who has one may do the one thing that was signed, until it expires.

The signature binds everything that the grant says to a key derived for this purpose alone, so that no other signature
made with the server's key (of a page token, say) can ever be one of these.
"""

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote

from airspace_server.core.clock import MICROSECONDS, Clock
from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.scope import Scope

MAX_LIFETIME: Final = 3600
"""Longest life of a signed URL, in seconds."""
MIN_KEY: Final = 32
"""Shortest key that the signer takes, in bytes: as strong as the signature."""

_PURPOSE: Final = b"airspace signed artifact URL v1"
_QUERY: Final = re.compile(
    r"expires=(?P<expires>[0-9]{1,11})&limit=(?P<limit>[0-9]{1,18})(&md5=(?P<md5>[0-9a-f]{32}))?"
    r"(&page=(?P<page>[0-9a-f]{32}))?&signature=(?P<signature>[0-9a-f]{64})"
)

Method = Literal["GET", "PUT"]


@dataclass(frozen=True, slots=True)
class UrlGrant:
    """What a signed URL allows: to read (GET, and so HEAD) or to write (PUT) one artifact until it expires."""

    method: Method
    scope: Scope
    path: str
    expires_at: int
    """Seconds since 1970 in UTC; at this second the URL is no longer valid."""
    limit: int = 0
    """Most bytes that may be written; 0 for GET."""
    md5: bytes | None = None
    """The 16 bytes of the MD5 that the written content must have, if it is known beforehand."""
    page: str | None = None
    """32 random hex digits: then what is read is a page for a browser, shown once."""


class UrlSigner:
    """Signs and verifies with HMAC-SHA256.

    Raises ValueError for a key shorter than `MIN_KEY`.
    """

    def __init__(self, key: bytes, clock: Clock) -> None:
        if len(key) < MIN_KEY:
            raise ValueError(f"the key for artifact URLs has {len(key)} bytes and needs {MIN_KEY}")
        self._key = hmac.digest(key, _PURPOSE, "sha256")
        self._clock = clock

    def sign(self, grant: UrlGrant) -> str:
        """Return the path and the query of the URL. Raises ValueError when the grant outlives `MAX_LIFETIME`."""
        if not 0 < grant.expires_at - self._now() <= MAX_LIFETIME:
            raise ValueError("a signed URL lives for at least a second and at most an hour")
        path = "/".join(
            quote(part, safe="") for part in (grant.scope.project, grant.scope.domain, *grant.path.split("/"))
        )
        md5 = "" if grant.md5 is None else f"&md5={grant.md5.hex()}"
        page = "" if grant.page is None else f"&page={grant.page}"
        what = f"expires={grant.expires_at}&limit={grant.limit}{md5}{page}"
        return f"/artifacts/{path}?{what}&signature={self._signature(grant)}"

    def verify(self, method: Method, scope: Scope, path: str, query: str) -> UrlGrant:
        """Return what the URL grants, given its path decoded and its query as it was sent.

        Raises PERMISSION_MISSING, the same in every way whatever is wrong with the URL.
        """
        sent = _QUERY.fullmatch(query)
        if sent is None:
            raise denied()
        md5 = None if sent["md5"] is None else bytes.fromhex(sent["md5"])
        grant = UrlGrant(method, scope, path, int(sent["expires"]), int(sent["limit"]), md5, sent["page"])
        if not hmac.compare_digest(self._signature(grant), sent["signature"]) or grant.expires_at <= self._now():
            raise denied()
        return grant

    def _now(self) -> int:
        return self._clock() // MICROSECONDS

    def _signature(self, grant: UrlGrant) -> str:
        # A JSON array: no part can pose as the end of one and the beginning of the next.
        signed = json.dumps(
            [
                grant.method,
                grant.scope.project,
                grant.scope.domain,
                grant.path,
                grant.expires_at,
                grant.limit,
                None if grant.md5 is None else grant.md5.hex(),
                grant.page,
            ]
        )
        return hmac.new(self._key, signed.encode(), hashlib.sha256).hexdigest()


def denied() -> ApiError:
    """Say that a URL is not valid, without saying why."""
    return ApiError(Reason.PERMISSION_MISSING, "this URL is not valid, or no longer valid")
