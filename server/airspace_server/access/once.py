"""Mutations that carry a request_id happen once: a repetition is answered with the first answer."""

import hashlib
from collections.abc import Callable
from typing import Any, Final, TypeVar

from google.protobuf.message import Message
from sqlalchemy import bindparam, select

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


def once(
    tx: Transaction, call: Call, request: Any, now: int, kind: type[Response], respond: Callable[[], Response]
) -> Response:
    """Answer a mutation inside its transaction, or repeat what the same request was answered before.

    The key is the caller, the method and the request_id, so nobody can read another's answer. Without a request_id the
    mutation just happens. Raises REQUEST_ID_REUSED when the same id came with another request.
    """
    if not request.request_id:
        return respond()
    key = {"own_principal": call.principal.member, "own_method": call.method, "own_request_id": request.request_id}
    fingerprint = hashlib.sha256(request.SerializeToString(deterministic=True)).hexdigest()
    reserved = tx.insert_new(
        _ANSWERED,
        {
            "principal": call.principal.member,
            "method": call.method,
            "request_id": request.request_id,
            "fingerprint": fingerprint,
            "response": b"",
            "created_at": now,
        },
    )
    if reserved:
        response = respond()
        tx.execute(_ANSWER, **key, own_response=response.SerializeToString())
        return response
    first = tx.one(_FIRST, **key)
    if first is None or first.fingerprint != fingerprint:
        raise ApiError(
            Reason.REQUEST_ID_REUSED,
            f"request_id {request.request_id} came before with another request",
            {"request_id": request.request_id},
            "request_id",
        )
    return kind.FromString(first.response)
