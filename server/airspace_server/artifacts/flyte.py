"""Flyte's data proxy: where clients ask for the URLs of uploads and downloads.

A path is never taken from the caller whole: an upload lies below "uploads" in the scope that the request names and the
caller was authorized in, so nothing else of the scope can be written through here, and nothing of another.
"""

import uuid
from collections.abc import Callable, Sequence
from typing import Final

from flyteidl.service import dataproxy_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from airspace_server.artifacts.signing import MAX_LIFETIME, UrlGrant, UrlSigner
from airspace_server.artifacts.store import MD5_BYTES, ArtifactStore, segment_problem
from airspace_server.core import names
from airspace_server.core.clock import MICROSECONDS, Clock
from airspace_server.core.errors import invalid_field
from airspace_server.core.scope import Scope
from airspace_server.flyte.identifiers import require_domain

_NANOS: Final = 10**9

Asked = (
    dataproxy_pb2.CreateUploadLocationRequest
    | dataproxy_pb2.CreateDownloadLocationRequest
    | dataproxy_pb2.CreateDownloadLinkRequest
)
"""Requests that say how long their URL is to live."""


class DataProxy:
    """CreateUploadLocation and CreateDownloadLocation of flyteidl's DataProxyService.

    `base_url` is what clients reach the routes of http.py at, such as "https://airspace.example.org";
    `max_upload_bytes` is signed into every upload; `domains` are the server's; `admit` records an upload, or raises
    ApiError for one that must not be. The interceptors have authorized the call: an upload in the request's project and
    domain, a download in `scope_of_native_url`.
    """

    def __init__(
        self,
        store: ArtifactStore,
        signer: UrlSigner,
        base_url: str,
        clock: Clock,
        max_upload_bytes: int,
        domains: Sequence[str],
        admit: Callable[[UrlGrant], None],
    ) -> None:
        self._store = store
        self._signer = signer
        self._base_url = base_url.rstrip("/")
        self._clock = clock
        self._max_upload_bytes = max_upload_bytes
        self._domains = domains
        self._admit = admit

    def CreateUploadLocation(
        self,
        request: dataproxy_pb2.CreateUploadLocationRequest,
        call: object,  # noqa: ARG002 -- every front door's method has it
    ) -> dataproxy_pb2.CreateUploadLocationResponse:
        """Sign a PUT of uploads/ROOT/FILENAME, the root being the content's MD5 in hex if the request names none.

        Without a filename there is a random one: the DataFrame writer of flytekit names only the root. Raises
        INVALID_FIELD and UNKNOWN_DOMAIN, PROJECT_MISSING and PROJECT_ARCHIVED.
        """
        for field, problem in (
            ("project", names.project(request.project)),
            ("domain", names.domain(request.domain)),
            ("org", "must be empty: this server has no organizations" if request.org else None),
            ("filename", segment_problem(request.filename) if request.filename else None),
            ("filename_root", segment_problem(request.filename_root) if request.filename_root else None),
        ):
            if problem:
                raise invalid_field(field, problem)
        require_domain(request.domain, self._domains, "domain")
        if len(request.content_md5) not in (0, MD5_BYTES):
            raise invalid_field("content_md5", f"must be {MD5_BYTES} bytes, or absent with a filename_root")
        root = request.filename_root or request.content_md5.hex()
        if not root:
            raise invalid_field("content_md5", "must be there, or filename_root")
        expires_at = expiry(self._clock, request)
        grant = UrlGrant(
            "PUT",
            Scope(request.project, request.domain),
            f"uploads/{root}/{request.filename or uuid.uuid4().hex}",
            expires_at,
            self._max_upload_bytes,
            request.content_md5 or None,
        )
        self._admit(grant)
        return dataproxy_pb2.CreateUploadLocationResponse(
            signed_url=self._base_url + self._signer.sign(grant),
            native_url=self._store.native_url(grant.scope, grant.path),
            expires_at=Timestamp(seconds=expires_at),
        )

    def CreateDownloadLocation(
        self,
        request: dataproxy_pb2.CreateDownloadLocationRequest,
        call: object,  # noqa: ARG002 -- every front door's method has it
    ) -> dataproxy_pb2.CreateDownloadLocationResponse:
        """Sign a GET of the artifact, whether or not it exists. Raises INVALID_FIELD and UNKNOWN_DOMAIN."""
        scope, path = self._store.locate(request.native_url)
        require_domain(scope.domain, self._domains, "native_url")
        expires_at = expiry(self._clock, request)
        return dataproxy_pb2.CreateDownloadLocationResponse(
            signed_url=self._base_url + self._signer.sign(UrlGrant("GET", scope, path, expires_at)),
            expires_at=Timestamp(seconds=expires_at),
        )


def expiry(clock: Clock, request: Asked | None = None) -> int:
    """Return the second at which a URL expires that is signed now: a part of a second counts as a whole one.

    It is `MAX_LIFETIME` away unless the request says otherwise. Raises INVALID_FIELD for "expires_in".
    """
    lifetime = MAX_LIFETIME
    if request is not None and request.HasField("expires_in"):
        asked = request.expires_in
        nanos = asked.seconds * _NANOS + asked.nanos
        if not (0 <= asked.nanos < _NANOS and 0 < nanos <= MAX_LIFETIME * _NANOS):
            raise invalid_field("expires_in", f"must be more than 0 and at most {MAX_LIFETIME} seconds")
        lifetime = -(-nanos // _NANOS)
    return clock() // MICROSECONDS + lifetime


def scope_of_native_url(store: ArtifactStore, native_url: str) -> Scope:
    """Return the scope in which a caller must hold artifact.read to download what lies at this URL.

    Raises INVALID_FIELD for "native_url" when it is not one of the store; nothing is looked up for either answer.
    """
    scope, _ = store.locate(native_url)
    return scope
