"""Mutations that carry a request_id happen once: a repetition is answered with the first answer."""

import hashlib
from collections.abc import Callable
from typing import Any, Final, TypeVar

from google.protobuf.message import Message
from sqlalchemy import Row, bindparam, select

from airspace_server.access.call import Call
from airspace_server.core.errors import ApiError, Reason
from airspace_server.storage.database import Transaction
from airspace_server.storage.tables import AnsweredRequestRow, table

Response = TypeVar("Response", bound=Message)

_ANSWERED: Final = table(AnsweredRequestRow)
_MINE: Final = (
    (_ANSWERED.c.principal == bindparam("own_principal"))
    & (_ANSWERED.c.method == bindparam("own_method"))
    & (_ANSWERED.c.request_id == bindparam("own_request_id"))
)
_FIRST: Final = select(_ANSWERED.c.fingerprint, _ANSWERED.c.response).where(_MINE)
_ANSWER: Final = _ANSWERED.update().where(_MINE).values(response=bindparam("own_response"))


def answered(tx: Transaction, call: Call, request: Any, kind: type[Response]) -> Response | None:
    """Return what the same request was answered before; None for a new one and for one without a request_id.

    For mutations that look at more than they change: whatever they look at may have changed since the first answer.
    Raises REQUEST_ID_REUSED.
    """
    if not request.request_id:
        return None
    first = tx.one(_FIRST, **_key(call, request))
    return None if first is None else _repeated(request, first, kind)


def once(
    tx: Transaction, call: Call, request: Any, now: int, kind: type[Response], respond: Callable[[], Response]
) -> Response:
    """Answer a mutation inside its transaction, or repeat what the same request was answered before.

    The key is the caller, the method and the request_id, so nobody can read another's answer. Without a request_id the
    mutation just happens. Raises REQUEST_ID_REUSED when the same id came with another request.
    """
    if not request.request_id:
        return respond()
    reserved = tx.insert_new(
        _ANSWERED,
        {
            "principal": call.principal.member,
            "method": call.method,
            "request_id": request.request_id,
            "fingerprint": _fingerprint(request),
            "response": b"",
            "created_at": now,
        },
    )
    if reserved:
        response = respond()
        tx.execute(_ANSWER, **_key(call, request), own_response=response.SerializeToString())
        return response
    return _repeated(request, tx.execute(_FIRST, **_key(call, request)).one(), kind)


def _key(call: Call, request: Any) -> dict[str, str]:
    return {"own_principal": call.principal.member, "own_method": call.method, "own_request_id": request.request_id}


def _fingerprint(request: Any) -> str:
    return hashlib.sha256(request.SerializeToString(deterministic=True)).hexdigest()


def _repeated(request: Any, first: Row[Any], kind: type[Response]) -> Response:
    if first.fingerprint != _fingerprint(request):
        raise ApiError(
            Reason.REQUEST_ID_REUSED,
            f"request_id {request.request_id} came before with another request",
            {"request_id": request.request_id},
            "request_id",
        )
    return kind.FromString(first.response)
