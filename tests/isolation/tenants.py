"""Two tenants on one server, and everything of theirs marked: a mark is one tenant's and stands in one place."""

import base64
import binascii
import itertools
import re
from dataclasses import dataclass, field
from random import Random
from typing import Any

from flyteidl.admin import launch_plan_pb2, task_pb2, workflow_pb2
from flyteidl.core import types_pb2
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from rpc_requests import THING, owner, request_for, rules_of, scope_fields
from rpc_servers import METHODS, Caller

from airspace.options.v1 import options_pb2
from airspace_server.core.scope import Scope

_MARK = re.compile(rb"zq[ab][nc][a-p]{8}")
_BASE64 = re.compile(rb"[A-Za-z0-9_-]{16,}={0,2}")
_READS = re.compile("Get(?!OrCreate)|List|Watch")
_LETTERS = "abcdefghijklmnop"
_SPECS = (task_pb2.TaskSpec, workflow_pb2.WorkflowSpec, launch_plan_pb2.LaunchPlanSpec)
_TEXTS = ("description", "cause", "annotation", "display_name", "short_description")

NAME, CONTENT = "n", "c"
"""Marks in names, which a log may have, and marks in what only the tenant itself may ever see again."""


def marks(data: bytes) -> frozenset[bytes]:
    """Find the marks in some bytes, page tokens and whatever else is base64 in them included."""
    found = set(_MARK.findall(data))
    for run in _BASE64.findall(data):
        try:
            found.update(_MARK.findall(base64.urlsafe_b64decode(run + b"=" * (-len(run) % 4))))
        except binascii.Error:
            continue
    return frozenset(found)


def of_tenant(found: frozenset[bytes], letter: str) -> frozenset[bytes]:
    """Return the marks that are one tenant's."""
    return frozenset(mark for mark in found if chr(mark[2]) == letter)


@dataclass
class Tenant:
    """A team: its project, the name of everything in it, its people, and what it was answered."""

    letter: str
    chance: Random
    accounts: dict[str, Caller] = field(default_factory=dict)
    page_tokens: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._count = itertools.count(self.chance.randrange(16**7))
        self.project = self.mark(NAME)
        self.thing = self.mark(NAME)

    @property
    def scope(self) -> Scope:
        """Where it works."""
        return Scope(self.project, "development")

    def mark(self, kind: str) -> str:
        """Make a mark that stands nowhere else: lower case letters, which every kind of name takes."""
        number = next(self._count)
        word = "".join(_LETTERS[(number >> shift) & 15] for shift in range(0, 32, 4))
        return f"zq{self.letter}{kind}{word}"


class Requests:
    """Makes requests of every RPC for a tenant: its own, another's, and mixtures of both."""

    def __init__(self, chance: Random, artifacts: Any) -> None:
        self._chance = chance
        self._server = artifacts

    def make(self, path: str, tenant: Tenant, target: Tenant) -> Any:
        """Make a valid request about what is `target`'s, with new marks of `tenant` in all that is free text."""
        request = request_for(path, target.scope, self._server)
        self._fill(request, METHODS[path], tenant, target)
        return request

    def mixed(self, path: str, tenant: Tenant, other: Tenant) -> Any:
        """Make a request of one's own with one thing in it that is the other's: a scope, a name, or a page token."""
        request = self.make(path, tenant, tenant)
        paths = scope_fields(METHODS[path].input_type)
        if paths and self._chance.random() < 0.6:
            where = self._chance.choice(paths)
            holder = owner(request, where)
            if holder is not None and not where[-1].is_repeated:
                setattr(holder, where[-1].name, other.project)
        elif "page_token" in request.DESCRIPTOR.fields_by_name and other.page_tokens.get(path):
            request.page_token = self._chance.choice(other.page_tokens[path])
        elif _READS.match(METHODS[path].name):  # what a tenant writes down itself it is rightly shown again
            _rename(request, tenant.thing, other.thing)
        return request

    def _fill(self, request: Any, method: MethodDescriptor, tenant: Tenant, target: Tenant) -> None:
        if "spec" in request.DESCRIPTOR.fields_by_name and request.DESCRIPTOR.fields_by_name["spec"].message_type:
            self._fill_spec(request, tenant, target)
        _rename(request, THING, target.thing)
        for holder, each in _fields(request):
            if each.name in ("node_id", "parent_id") and getattr(holder, each.name) == target.thing:
                setattr(holder, each.name, "n0")
            elif each.name in _TEXTS and not each.is_repeated and each.message_type is None:
                setattr(holder, each.name, tenant.mark(CONTENT))
            elif rules_of(each).format == options_pb2.FORMAT_MEMBER:
                setattr(holder, each.name, f"user:{tenant.mark(NAME)}")
            elif rules_of(each).format == options_pb2.FORMAT_OTHER_PROJECT:
                setattr(holder, each.name, tenant.mark(NAME))
            elif each.name == "page_size":
                setattr(holder, each.name, self._chance.choice((0, 1, 2)))
            elif each.name == "page_token" and _path(method) in tenant.page_tokens and self._chance.random() < 0.3:
                setattr(holder, each.name, self._chance.choice(tenant.page_tokens[_path(method)]))
        if method.name in ("LaunchExecution", "CreateExecution"):
            self._fill_launch(request, tenant)
        elif method.name in ("RegisterTask", "RegisterWorkflow", "RegisterLaunchPlan"):
            (kind,) = {"task", "workflow", "launch_plan"} & set(request.DESCRIPTOR.fields_by_name)
            getattr(request, kind).version = self._chance.choice(("v1", tenant.mark(NAME)))
        elif method.name in ("CreateTask", "CreateWorkflow", "CreateLaunchPlan"):
            request.id.version = self._chance.choice(("v1", tenant.mark(NAME)))

    def _fill_spec(self, request: Any, tenant: Tenant, target: Tenant) -> None:
        """Rename what a body refers to, and put marks into what no name is."""
        packed = hasattr(request.spec, "type_url")
        spec = request.spec
        if packed:
            kinds = [kind for kind in _SPECS if request.spec.Is(kind.DESCRIPTOR)]
            if not kinds:
                return
            spec = kinds[0]()
            request.spec.Unpack(spec)
        _rename(spec, THING, target.thing)
        if isinstance(spec, task_pb2.TaskSpec | workflow_pb2.WorkflowSpec):
            for variables in (spec.template.interface.inputs, spec.template.interface.outputs):
                for variable in variables.variables.values():
                    variable.type.simple = types_pb2.STRING
        if isinstance(spec, task_pb2.TaskSpec):
            # No such command is installed: the attempt fails at once, and its error names the command.
            spec.template.container.args[:] = [f"pyflyte-{target.thing}"]
            spec.template.container.env.add(key="SECRET", value=tenant.mark(CONTENT))
        elif isinstance(spec, launch_plan_pb2.LaunchPlanSpec):
            spec.labels.values["kept"] = tenant.mark(CONTENT)
            default = spec.default_inputs.parameters["x"]
            default.var.type.simple = types_pb2.STRING
            default.default.scalar.primitive.string_value = tenant.mark(CONTENT)
        if packed:
            request.spec.Pack(spec)

    def _fill_launch(self, request: Any, tenant: Tenant) -> None:
        request.name = tenant.mark(NAME)
        labels = request.labels if hasattr(request, "labels") else request.spec.labels.values
        labels["why"] = tenant.mark(CONTENT)
        if hasattr(request, "labels"):
            request.inputs.update({"x": tenant.mark(CONTENT)})
        else:
            request.spec.annotations.values["note"] = tenant.mark(CONTENT)
            request.inputs.literals["x"].scalar.primitive.string_value = tenant.mark(CONTENT)


def _path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def _fields(message: Message) -> list[tuple[Any, FieldDescriptor]]:
    """Return every field of a message and of the messages that are set in it, with its holder."""
    found: list[tuple[Any, FieldDescriptor]] = []
    for each in message.DESCRIPTOR.fields:
        found.append((message, each))
        if each.message_type is None or each.message_type.GetOptions().map_entry:
            continue
        if each.is_repeated:
            for inner in getattr(message, each.name):
                found += _fields(inner)
        elif message.HasField(each.name) and not each.message_type.full_name.startswith("google."):
            found += _fields(getattr(message, each.name))
    return found


def _rename(message: Message, old: str, new: str) -> None:
    """Change a name wherever it stands in a message, alone or in a URL."""
    for holder, each in _fields(message):
        if each.type != FieldDescriptor.TYPE_STRING:
            continue
        if each.is_repeated:
            values = getattr(holder, each.name)
            values[:] = [value.replace(old, new) for value in values]
        elif old in getattr(holder, each.name):
            setattr(holder, each.name, getattr(holder, each.name).replace(old, new))
