"""One digest for one content, however the client happened to write it down."""

import hashlib
from functools import cache

from flyteidl.core import workflow_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message


def digest(message: Message) -> str:
    """Return the SHA-256 of the message's canonical form, in hex.

    Map entries are put in the order of their keys and the `upstream_node_ids` of every node in alphabetical order:
    flytekit writes those as they fall out of a set, so the same source is written differently by each process.
    Unknown fields count. The message is left as it is.
    """
    canonical = type(message)()
    canonical.CopyFrom(message)
    _sort_upstream(canonical)
    return hashlib.sha256(canonical.SerializeToString(deterministic=True)).hexdigest()


def _sort_upstream(message: Message) -> None:
    if isinstance(message, workflow_pb2.Node):
        message.upstream_node_ids.sort()
    for field, value in message.ListFields():
        if field.message_type is None or not _holds_nodes(field.message_type):
            continue
        if not field.is_repeated:
            _sort_upstream(value)
        elif _is_map(field):
            for each in value.values():
                _sort_upstream(each)
        else:
            for each in value:
                _sort_upstream(each)


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


@cache
def _holds_nodes(kind: Descriptor) -> bool:
    """Tell whether a node can be somewhere in a message of this kind: the rest, mostly literals, need no visit."""
    seen: set[str] = set()
    waiting = [kind]
    while waiting:
        found = waiting.pop()
        if found.full_name == workflow_pb2.Node.DESCRIPTOR.full_name:
            return True
        if found.full_name not in seen:
            seen.add(found.full_name)
            waiting += [field.message_type for field in found.fields if field.message_type is not None]
    return False
