"""Turns errors into the statuses that clients see.

google.rpc.Status with ErrorInfo always, with BadRequest where a field is at fault. Texts come from ApiError alone; a
foreign exception never says anything on the wire.
"""

from collections.abc import Callable, Iterable
from typing import Final

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

from airspace_server.core.errors import ApiError, Code

DOMAIN: Final = "airspace"
"""ErrorInfo.domain of every error."""
_MAX_MESSAGE: Final = 3500  # gRPC clients refuse metadata over 8 KiB by default, and the message travels twice
_GRPC_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}

Translate = Callable[[ApiError], tuple[Code, Iterable[Message]]]
"""Gives the code and the further details that one protocol's clients expect for an error."""


def native(error: ApiError) -> tuple[Code, Iterable[Message]]:
    """Translate for airspace.*.v1: the reason's own code, no further details."""
    return error.code, ()


def status_of(error: ApiError, request_id: str, translate: Translate) -> Status:
    """Build the status of an error for the clients of one protocol."""
    code, further = translate(error)
    metadata = {**error.metadata, "request_id": request_id}
    details: list[Message] = [ErrorInfo(reason=error.reason.value, domain=DOMAIN, metadata=_cut(metadata))]
    if error.field:
        request = BadRequest()
        request.field_violations.add(field=error.field, description=error.message[:_MAX_MESSAGE])
        details.append(request)
    details.extend(further)
    return Status(code=code.value, message=error.message[:_MAX_MESSAGE], details=[_pack(detail) for detail in details])


def grpc_code(status: Status) -> grpc.StatusCode:
    """Return grpc's own name of a status's code."""
    return _GRPC_CODES[status.code]


def _cut(metadata: dict[str, str]) -> dict[str, str]:
    return {key: value[:512] for key, value in metadata.items()}


def _pack(detail: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed
