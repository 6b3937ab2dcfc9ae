"""Turns errors into the statuses that clients see.

google.rpc.Status with ErrorInfo always, with BadRequest where a field is at fault, QuotaFailure where a quota is, and
RetryInfo where repeating the call later may help. Texts come from ApiError alone; a foreign exception never says
anything on the wire.
"""

from collections.abc import Callable, Iterable
from typing import Final, NoReturn

import grpc
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, QuotaFailure, RetryInfo
from google.rpc.status_pb2 import Status

from airspace_server.core.errors import ApiError, Code, Reason

DOMAIN: Final = "airspace"
"""ErrorInfo.domain of every error."""
# gRPC clients refuse trailing metadata over 8 KiB unless told otherwise, and then know neither code nor reason. The
# message travels twice, once with every byte that is not plain ASCII as three; the details travel as base64.
_MAX_MESSAGE: Final = 1500
_MAX_ESCAPED: Final = _MAX_MESSAGE // 3
_MAX_DESCRIPTION: Final = 512
_MAX_FIELD: Final = 256
_MAX_VALUE: Final = 512
_MAX_METADATA: Final = 1280
_GRPC_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}

Translate = Callable[[ApiError], tuple[Code, Iterable[Message]]]
"""Gives the code and the further details that one protocol's clients expect for an error."""


def native(error: ApiError) -> tuple[Code, Iterable[Message]]:
    """Translate for airspace.*.v1: the reason's own code, no further details."""
    return error.code, ()


def status_of(error: ApiError, request_id: str, translate: Translate) -> Status:
    """Build the status of an error for the clients of one protocol."""
    code, further = translate(error)
    metadata = _bounded({"request_id": request_id, **error.metadata})
    details: list[Message] = [ErrorInfo(reason=error.reason.value, domain=DOMAIN, metadata=metadata)]
    if error.field:
        request = BadRequest()
        request.field_violations.add(
            field=_cut(error.field, _MAX_FIELD), description=_cut(error.message, _MAX_DESCRIPTION)
        )
        details.append(request)
    if error.reason is Reason.QUOTA_EXCEEDED:
        failure = QuotaFailure()
        failure.violations.add(
            subject=metadata.get("scope", ""),
            description=f"{metadata.get('quota', 'a quota')} is limited to {metadata.get('limit', 'less')}",
        )
        details.append(failure)
    if error.retry_after:
        details.append(RetryInfo(retry_delay=Duration(seconds=error.retry_after)))
    details.extend(further)
    plain = error.message.isascii() and error.message.isprintable() and "%" not in error.message
    message = _cut(error.message, _MAX_MESSAGE if plain else _MAX_ESCAPED)
    return Status(code=code.value, message=message, details=[_pack(detail) for detail in details])


def end(context: grpc.ServicerContext, status: Status, request_id: str) -> NoReturn:
    """End a call on the wire. Raises, as grpc's abort does."""
    context.set_trailing_metadata(
        (("grpc-status-details-bin", status.SerializeToString()), ("x-request-id", request_id))
    )
    context.abort(_GRPC_CODES[status.code], status.message)


def _cut(text: str, most: int) -> str:
    """Cut a text to so many bytes of UTF-8."""
    encoded = text.encode()
    return text if len(encoded) <= most else encoded[:most].decode(errors="ignore")


def _bounded(metadata: dict[str, str]) -> dict[str, str]:
    """Cut long values, and all that is left once there is no more room."""
    left = _MAX_METADATA
    bounded = {}
    for key, value in metadata.items():
        bounded[key] = _cut(value, min(_MAX_VALUE, left))
        left -= len(bounded[key].encode())
    return bounded


def _pack(detail: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed
