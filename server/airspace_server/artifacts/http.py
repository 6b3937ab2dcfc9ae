"""The HTTP door of the artifacts: PUT, GET and HEAD of signed URLs.

A request is looked at no further than its signature until that is good. Files are read and written on threads.
"""

import base64
import contextlib
import functools
import logging
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import BinaryIO, Final

import anyio
import anyio.from_thread
import anyio.to_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from airspace_server.artifacts.signing import Method, UrlGrant, UrlSigner
from airspace_server.artifacts.store import MD5_BYTES, ArtifactStore, too_large
from airspace_server.core.errors import ApiError, Reason, invalid_field
from airspace_server.core.places import Places
from airspace_server.core.scope import Scope

_PATH: Final = "/artifacts/{project}/{domain}/{path:path}"
_STATUS: Final = {
    Reason.INVALID_FIELD: 400,
    Reason.PERMISSION_MISSING: 403,
    Reason.NOT_FOUND: 404,
    Reason.ALREADY_EXISTS: 409,
    Reason.TOO_LARGE: 413,
    Reason.UNAVAILABLE: 503,
}
# Content is no page of this server, whatever a task wrote into it, unless the URL was signed for one.
_HEADERS: Final = {
    "accept-ranges": "bytes",
    "content-disposition": "attachment",
    "content-type": "application/octet-stream",
    "x-content-type-options": "nosniff",
}
# A page is what a task wrote, and a task may be anybody's: it must not be able to do what the pages of this server can.
# The sandbox gives it an origin of its own that is no other page's, so that its scripts (flytekit's decks need some to
# change tabs) reach no cookie, storage or window of ours; and nothing in it may load, send or open anything.
_PAGE_HEADERS: Final = {
    "content-disposition": "inline",
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline';"
    " style-src 'unsafe-inline'; img-src data:; font-src data:; media-src data:; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'self'",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_RANGE: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")

_READ_BYTES: Final = 1 << 18
_UPLOADS: Final = (
    32  # an upload holds its thread to the end, so uploads have threads of their own, and scopes share them
)
_IDLE_SECONDS: Final = 60

_log: Final = logging.getLogger(__name__)

_Endpoint = Callable[[Request], Awaitable[Response]]


def routes(
    store: ArtifactStore, signer: UrlSigner, max_upload_bytes: int, use_page: Callable[[UrlGrant], None]
) -> list[Route]:
    """Return the routes of /artifacts. `max_upload_bytes` also binds URLs that were signed with a larger limit.

    `use_page` uses up the URL of a page, or raises ApiError for one that was used.

    Errors are JSON, {"reason", "message"}: 403 for a URL that is not valid, 404, 409 for other content under a name
    that is taken, 413 for too much of it, 400 for content that is not what its MD5 says, 503 to try again.
    """
    threads, places, changed = anyio.CapacityLimiter(_UPLOADS), Places(_UPLOADS), anyio.Condition()

    @contextlib.asynccontextmanager
    async def place(scope: Scope) -> AsyncIterator[None]:
        """Wait until a scope may upload one more: somebody who sends slowly keeps none but his own waiting."""
        async with changed:
            while not places.take(scope):
                await changed.wait()
        try:
            yield
        finally:
            places.give_back(scope)
            with anyio.CancelScope(shield=True):
                async with changed:
                    changed.notify_all()

    async def upload(request: Request) -> Response:
        grant = _verified(signer, "PUT", request)
        limit = min(max_upload_bytes, grant.limit)
        if int(request.headers.get("content-length", "0")) > limit:
            raise too_large(limit)
        md5 = _content_md5(request, grant)
        body = request.stream()

        async def receive() -> bytes:
            try:
                with anyio.fail_after(_IDLE_SECONDS):
                    return await anext(body)
            except TimeoutError:
                raise ApiError(Reason.UNAVAILABLE, "the content stopped coming") from None

        chunks = iter(functools.partial(anyio.from_thread.run, receive), b"")
        write = functools.partial(store.write, grant.scope, grant.path, chunks, limit, md5)
        async with place(grant.scope):
            await anyio.to_thread.run_sync(write, limiter=threads)
        return Response()

    async def download(request: Request) -> Response:
        grant = _verified(signer, "GET", request)
        file, size = await run_in_threadpool(_open_sized, store, grant)
        head = request.method == "HEAD"
        if grant.page is not None:
            if not head:
                try:
                    await run_in_threadpool(use_page, grant)
                except BaseException:
                    file.close()
                    raise
            return _FileResponse(file, size, None, _PAGE_HEADERS, head=head)
        part = byte_range(request.headers.get("range"), size)
        if part is not None and part[0] >= part[1]:
            file.close()
            return Response(status_code=416, headers={"content-range": f"bytes */{size}"})
        return _FileResponse(file, size, part, _HEADERS, head=head)

    return [
        Route(_PATH, _with_errors(upload), methods=["PUT"]),
        Route(_PATH, _with_errors(download), methods=["GET"]),
    ]


class _FileResponse(StreamingResponse):
    """The file or one part of it; closes the file, whatever becomes of the connection."""

    def __init__(
        self, file: BinaryIO, size: int, part: tuple[int, int] | None, headers: Mapping[str, str], *, head: bool
    ) -> None:
        start, stop = part or (0, size)
        headers = {**headers, "content-length": str(stop - start)}
        if part:
            headers["content-range"] = f"bytes {start}-{stop - 1}/{size}"
        self._file = file
        super().__init__(self._read(start, start if head else stop), 206 if part else 200, headers)

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        with self._file:
            await super().__call__(scope, receive, send)

    async def _read(self, position: int, stop: int) -> AsyncIterator[bytes]:
        while position < stop:
            block = await run_in_threadpool(_read_at, self._file, position, min(_READ_BYTES, stop - position))
            if not block:
                return  # it became shorter since it was opened; the connection is cut, so the client will know
            position += len(block)
            yield block


def byte_range(asked: str | None, size: int) -> tuple[int, int] | None:
    """Return where a Range header's part begins and where it ends (the first byte behind it), or None for everything.

    A part without a byte in it cannot be sent. Everything is what RFC 9110 lets a server send for several ranges and
    for a header that it cannot read.
    """
    match = _RANGE.fullmatch(asked or "")
    if match is None:
        return None
    first, last = match.groups()
    if not first:
        return (max(0, size - int(last)), size) if last else None
    if last and int(last) < int(first):
        return None
    return int(first), min(size, int(last) + 1) if last else size


def _verified(signer: UrlSigner, method: Method, request: Request) -> UrlGrant:
    project, domain, path = (request.path_params[name] for name in ("project", "domain", "path"))
    return signer.verify(method, Scope(project, domain), path, request.url.query)


def _content_md5(request: Request, grant: UrlGrant) -> bytes | None:
    """Return the MD5 that the content must have: the signed one, or else the one that the client sent."""
    header = request.headers.get("content-md5")
    if header is None:
        return grant.md5
    try:
        sent = base64.b64decode(header, validate=True)
    except ValueError:
        sent = b""
    if len(sent) != MD5_BYTES or sent != (grant.md5 or sent):
        raise invalid_field("content_md5", "is not the MD5 that was signed, in base64")
    return sent


def _open_sized(store: ArtifactStore, grant: UrlGrant) -> tuple[BinaryIO, int]:
    file = store.open(grant.scope, grant.path)
    return file, file.seek(0, os.SEEK_END)


def _read_at(file: BinaryIO, position: int, length: int) -> bytes:
    file.seek(position)
    return file.read(length)


def _with_errors(endpoint: _Endpoint) -> _Endpoint:
    """Answer errors as JSON. What nobody foresaw is logged and told to nobody."""

    @functools.wraps(endpoint)
    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ClientDisconnect:
            return Response(status_code=400)  # for the log alone: nobody is there to read it
        except ApiError as error:
            reason, message = error.reason, error.message
        except Exception:
            _log.exception("an artifact request failed")
            reason, message = Reason.INTERNAL, "the server failed; its log says why"
        return JSONResponse({"reason": reason, "message": message}, _STATUS.get(reason, 500))

    return answer
