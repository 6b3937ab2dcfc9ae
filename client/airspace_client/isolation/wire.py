"""Calls of any RPC, by what the server's reflection says there is. Nothing here knows a service by name."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import grpc
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

_OPEN: Final = ("grpc.",)
_DEEP: Final = 6
_TIMEOUT: Final = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """How a call ended: the code's name, the reason of the error, and all bytes that came back."""

    code: str
    reason: str
    seen: bytes


class Reflected:
    """The RPCs of a server, as its reflection tells of them."""

    def __init__(self, channel: grpc.Channel) -> None:
        database = ProtoReflectionDescriptorDatabase(channel)
        self.pool = DescriptorPool(database)
        self.methods: Mapping[str, MethodDescriptor] = {
            f"/{service}/{method.name}": method
            for service in sorted(database.get_services())
            if not service.startswith(_OPEN)
            for method in self.pool.FindServiceByName(service).methods
        }

    def message(self, name: str) -> Any:
        """Return a new message of a type."""
        return GetMessageClass(self.pool.FindMessageTypeByName(name))()

    def request(self, path: str, project: str, domain: str, native_url: str) -> Message:
        """Make a request that is about a place, with nothing else in it: authorization comes before validation."""
        request: Message = GetMessageClass(self.methods[path].input_type)()
        _point(request, project, domain)
        fields = request.DESCRIPTOR.fields_by_name
        named: Any = request
        if "native_url" in fields:
            named.native_url = native_url
        if "flyte_url" in fields:
            named.flyte_url = f"flyte://v1/{project}/{domain}/execution/n0/i"
        if "id" in fields and fields["id"].type == FieldDescriptor.TYPE_STRING:
            named.id = project  # Flyte calls a project by its id
        return request


def _point(message: Any, project: str, domain: str, depth: int = _DEEP) -> None:
    for field in message.DESCRIPTOR.fields:
        if field.is_repeated:
            continue
        if field.type == FieldDescriptor.TYPE_STRING and field.name in ("project", "domain"):
            setattr(message, field.name, project if field.name == "project" else domain)
        elif field.message_type is not None and depth and _has_place(field.message_type, depth - 1):
            if field.message_type.full_name == "flyteidl.admin.Project":
                getattr(message, field.name).id = project
            else:
                _point(getattr(message, field.name), project, domain, depth - 1)


def _has_place(kind: Descriptor, depth: int) -> bool:
    if kind.full_name == "flyteidl.admin.Project":
        return True
    for field in kind.fields:
        if not field.is_repeated and field.name in ("project", "domain") and field.message_type is None:
            return True
        inner = field.message_type
        if not field.is_repeated and inner is not None and depth and _has_place(inner, depth - 1):
            return True
    return False


class Caller:
    """Calls RPCs as one account."""

    def __init__(self, channel: grpc.Channel, token: str) -> None:
        self._channel = channel
        self._metadata = (("authorization", f"Bearer {token}"), ("x-request-id", "verify-isolation"))

    def call(self, method: MethodDescriptor, path: str, request: Message) -> Answer:
        """Call an RPC; of a stream only until its first message."""
        payload = request.SerializeToString()
        arguments: dict[str, Any] = {"metadata": self._metadata, "timeout": _TIMEOUT}
        try:
            if method.server_streaming:
                streaming: Any = self._channel.unary_stream(path)
                stream = streaming(payload, **arguments)
                seen = next(iter(stream), b"")
                stream.cancel()
            else:
                unary: Any = self._channel.unary_unary(path)
                seen = unary(payload, **arguments)
        except grpc.RpcError as error:
            return _refusal(error)
        return Answer("OK", "", seen)


def _refusal(error: Any) -> Answer:
    details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    status = Status.FromString(details)
    reason = next(iter(_reasons(status)), "")
    return Answer(error.code().name, reason, (error.details() or "").encode() + b"\0" + details)


def _reasons(status: Status) -> Iterator[str]:
    for detail in status.details:
        info = ErrorInfo()
        if detail.Unpack(info):
            yield info.reason
