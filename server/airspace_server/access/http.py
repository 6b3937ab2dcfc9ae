"""The HTTP door of the built-in issuer: the token endpoint (RFC 6749), its keys (RFC 7517) and metadata (RFC 8414)."""

import base64
import binascii
import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from typing import Final
from urllib.parse import parse_qsl, unquote_plus

import httpx
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from airspace_server.access.issuer import SCOPE, InvalidClientError, Issuer, TooManyFailuresError
from airspace_server.access.limits import Limit, peer
from airspace_server.access.oidc import DEVICE_GRANT
from airspace_server.core.errors import ApiError

TOKEN_PATH: Final = "/oauth2/token"  # noqa: S105 -- a path, not a password
JWKS_PATH: Final = "/oauth2/jwks"
METADATA_PATH: Final = "/.well-known/oauth-authorization-server"
GRANT_TYPE: Final = "client_credentials"
MAX_BODY: Final = 16 * 1024
"""Largest request that the token endpoint reads, in bytes."""

PASSED_ON: Final = frozenset({"authorization_code", "refresh_token", DEVICE_GRANT})
"""The grant types of people, which an external issuer answers."""
MAX_ANSWER: Final = 64 * 1024
"""Largest answer of an external issuer that is given back, in bytes."""
PEER_BURST: Final = 60
PEER_RATE: Final = 5.0
ALL_BURST: Final = 600
ALL_RATE: Final = 50.0
"""How many requests are passed on, at once and a second, for one peer and for all. Who waits for a device's code asks
every five seconds."""

_TIMEOUT: Final = httpx.Timeout(10.0)
_MAX_FIELDS: Final = 32
_FORM: Final = "application/x-www-form-urlencoded"
_NO_STORE: Final = {"cache-control": "no-store", "pragma": "no-cache"}
_CHALLENGE: Final = {"www-authenticate": 'Basic realm="airspace", charset="UTF-8"'}

_log: Final = logging.getLogger(__name__)


@dataclass
class _Refusal(Exception):  # noqa: N818 -- an answer, thrown to the one place that gives it
    """An error answer as RFC 6749 5.2 has it. The texts are fixed: nothing of the request is echoed."""

    status: int
    error: str
    description: str
    headers: dict[str, str] | None = None

    def response(self) -> Response:
        content = {"error": self.error, "error_description": self.description}
        return JSONResponse(content, self.status, {**_NO_STORE, **(self.headers or {})})


def routes(
    issuer: Issuer, elsewhere: Callable[[], str] | None = None, clock: Callable[[], float] = time.monotonic
) -> list[Route]:
    """Return the routes of the built-in issuer, whose URL must be where these routes are reached.

    `elsewhere` finds the token endpoint of the external issuer, if there is one: Flyte's clients know one endpoint
    alone, and how people get tokens (codes, devices, refreshing) is passed on to it, with no secret of this server and
    no faster than one client may: to that issuer all of them come from here. `clock` counts seconds.
    """
    base = issuer.issuer_url.rstrip("/")
    keys = {"keys": [issuer.key.as_dict(private=False)]}
    metadata = {
        "issuer": issuer.issuer_url,
        "token_endpoint": base + TOKEN_PATH,
        "jwks_uri": base + JWKS_PATH,
        "grant_types_supported": [GRANT_TYPE],
        "response_types_supported": [],
        "scopes_supported": [SCOPE],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
    }

    peers, everybody = Limit(PEER_BURST, PEER_RATE), Limit(ALL_BURST, ALL_RATE)

    async def token(request: Request) -> Response:
        client = peer(request.client.host if request.client is not None else "")
        try:
            form = await _form(request, PASSED_ON if elsewhere is not None else frozenset())
            if elsewhere is not None and form["grant_type"] in PASSED_ON:
                wait = peers.take(client, clock()) or everybody.take("", clock())
                if wait:
                    raise _too_fast(form["grant_type"], wait)
                return await _pass_on(await run_in_threadpool(elsewhere), form)
            client_id, client_secret = _credentials(request, form)
            # The database blocks, and the event loop must not.
            answer = await run_in_threadpool(issuer.token, client_id, client_secret, form.get("scope", ""), client)
        except _Refusal as refusal:
            return refusal.response()
        except (httpx.HTTPError, ApiError):
            _log.warning("the external issuer's token endpoint cannot be reached")
            return _later().response()
        except InvalidClientError:
            return _invalid_client().response()
        except TooManyFailuresError as error:
            return _too_many("too many failed attempts", error.retry_after).response()
        except SQLAlchemyError:
            _log.exception("a token could not be issued")
            return _later().response()
        return JSONResponse(asdict(answer), headers=_NO_STORE)

    async def jwks(_request: Request) -> Response:
        return JSONResponse(keys, headers={"cache-control": "public, max-age=300"})

    async def about(_request: Request) -> Response:
        return JSONResponse(metadata, headers={"cache-control": "public, max-age=300"})

    return [
        Route(TOKEN_PATH, token, methods=["POST"]),
        Route(JWKS_PATH, jwks, methods=["GET"]),
        Route(METADATA_PATH, about, methods=["GET"]),
    ]


@cache
def _trust() -> ssl.SSLContext:
    """Return what this machine believes, read once: that takes longer than all the rest of a request."""
    return httpx.create_ssl_context()


async def _pass_on(url: str, form: dict[str, str]) -> Response:
    """Ask the external issuer what the client asked, and give its answer back."""
    async with httpx.AsyncClient(timeout=_TIMEOUT, verify=_trust()) as client:
        answer = await client.post(url, data=form, headers={"accept": "application/json"})
    if len(answer.content) > MAX_ANSWER:
        raise httpx.HTTPError("the answer is too large")
    return Response(answer.content, answer.status_code, _NO_STORE, answer.headers.get("content-type"))


async def _form(request: Request, further: frozenset[str]) -> dict[str, str]:
    """Read the form, of our grant type or one of the `further` ones.

    Raises _Refusal for what RFC 6749 forbids: another content type, a parameter given twice.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise _invalid_request("the request must be a form")
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY:
                raise _Refusal(413, "invalid_request", "the request is too large", {"connection": "close"})
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except (ClientDisconnect, ValueError):
        raise _invalid_request("the form cannot be read") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise _invalid_request("a parameter must not be given twice")
    if not form.get("grant_type"):
        raise _invalid_request("grant_type is missing")
    if form["grant_type"] not in (GRANT_TYPE, *further):
        raise _Refusal(400, "unsupported_grant_type", f"the only grant type is {GRANT_TYPE}")
    return form


def _credentials(request: Request, form: dict[str, str]) -> tuple[str, str]:
    """Return the client's id and secret, from HTTP Basic or from the form; both at once are against RFC 6749 2.3."""
    header = request.headers.get("authorization")
    if header is None:
        if not form.get("client_id") or not form.get("client_secret"):
            raise _invalid_client()
        return form["client_id"], form["client_secret"]
    if "client_secret" in form:
        raise _invalid_request("credentials must be given in one way only")
    scheme, _, encoded = header.partition(" ")
    try:
        # Both parts are URL-encoded by the standard; flytekit encodes the secret alone. Ids have nothing to encode.
        client_id, colon, client_secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise _invalid_client() from None
    client_id = unquote_plus(client_id)
    if scheme.lower() != "basic" or not colon or form.get("client_id", client_id) != client_id:
        raise _invalid_client()
    return client_id, unquote_plus(client_secret)


def _too_fast(grant_type: str, wait: int) -> _Refusal:
    """Refuse what is not passed on now. Who waits for a device's code has a word of its own for it (RFC 8628 3.5)."""
    if grant_type == DEVICE_GRANT:
        return _Refusal(400, "slow_down", "too many attempts", {"retry-after": str(wait)})
    return _too_many("too many attempts", wait)


def _later() -> _Refusal:
    return _Refusal(503, "temporarily_unavailable", "try again later", {"retry-after": "1"})


def _too_many(description: str, wait: int) -> _Refusal:
    return _Refusal(429, "temporarily_unavailable", description, {"retry-after": str(wait)})


def _invalid_client() -> _Refusal:
    return _Refusal(401, "invalid_client", "the client's credentials are not valid", _CHALLENGE)


def _invalid_request(description: str) -> _Refusal:
    return _Refusal(400, "invalid_request", description)
