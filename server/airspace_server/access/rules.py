"""The rule of every RPC: read from the contract's options, checked for gaps, compiled for speed.

`native_rules` compiles airspace.*.v1 from its options; flyte_rules.py builds rules of the same shape for flyteidl,
which we cannot annotate. Both refuse gaps: a field that names a scope and that no requirement reads stops the server
from starting, because a handler could use it unchecked.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import reduce
from operator import attrgetter
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message

from airspace.options.v1 import options_pb2
from airspace_server.access.decide import Need, Reach
from airspace_server.core.permissions import Permission
from airspace_server.core.scope import ANY, EntityKind, ScopePattern

_AUTHORIZATION: Final[Any] = options_pb2.authorization
_RULES: Final[Any] = options_pb2.rules
_SCOPE: Final = "airspace.type.v1.Scope"
_PATTERN: Final = "airspace.type.v1.ScopePattern"
_EXPORTABLE: Final = {
    "airspace.type.v1.TaskId": EntityKind.TASK,
    "airspace.type.v1.WorkflowId": EntityKind.WORKFLOW,
    "airspace.type.v1.LaunchPlanId": EntityKind.LAUNCH_PLAN,
}
_PROJECT_FORMATS: Final = (options_pb2.FORMAT_PROJECT, options_pb2.FORMAT_PROJECT_OR_ANY)


class RuleError(ValueError):
    """The contract has a gap: an RPC without a rule, or a scope in a request that no requirement reads."""


class Guard(Enum):
    """How an RPC is guarded; as airspace.options.v1.Guard."""

    REQUIRE = options_pb2.GUARD_REQUIRE
    AUTHENTICATED = options_pb2.GUARD_AUTHENTICATED
    FILTERED = options_pb2.GUARD_FILTERED
    PUBLIC = options_pb2.GUARD_PUBLIC


@dataclass(frozen=True, slots=True)
class Requirement:
    """A permission and how to read from a request where it must be held. `where` says it in words.

    `exported` reads what may be exported to where it is held instead.
    """

    permission: Permission
    where: str
    read: Callable[[Message], ScopePattern]
    reach: Reach = Reach.ALL
    exported: Callable[[Message], tuple[EntityKind, str]] | None = None

    def need(self, request: Message) -> Need:
        """Return what this request needs.

        No project is called "*": whoever asks for some domain of it asks for all projects, and must hold it in all.
        """
        target = self.read(request)
        exported = self.exported(request) if self.exported else None
        return Need(self.permission, target, Reach.ALL if target.project == ANY else self.reach, exported)


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may call an RPC."""

    guard: Guard
    requirements: tuple[Requirement, ...] = ()
    filter: Permission | None = None


def method_path(method: MethodDescriptor) -> str:
    """Return the name under which gRPC calls a method: "/package.Service/Method"."""
    return f"/{method.containing_service.full_name}/{method.name}"


def permission_of(number: int) -> Permission:
    """Return the permission of a number of airspace.options.v1.Permission.

    Raises ValueError for 0 and for numbers that the enum does not have.
    """
    name = options_pb2.Permission.Name(number).removeprefix("PERMISSION_")
    return Permission(name.lower().replace("_", ".", 1))


def number_of(permission: Permission) -> Any:
    """Return the number of a permission in airspace.options.v1.Permission."""
    return options_pb2.Permission.Value("PERMISSION_" + permission.value.replace(".", "_").upper())


def native_rules(services: Iterable[ServiceDescriptor]) -> Mapping[str, Rule]:
    """Compile the rules of airspace services from their options.

    Raises RuleError for an RPC without a valid rule or with a scope that its rule does not read.
    """
    rules: dict[str, Rule] = {}
    for service in services:
        for method in service.methods:
            rules[method_path(method)] = _native_rule(method)
    return rules


def _native_rule(method: MethodDescriptor) -> Rule:
    path = method_path(method)
    if not method.GetOptions().HasExtension(_AUTHORIZATION):
        raise RuleError(f"{path} has no authorization option")
    option = method.GetOptions().Extensions[_AUTHORIZATION]
    try:
        guard = Guard(option.guard)
    except ValueError:
        raise RuleError(f"{path} has no guard") from None
    if (guard is Guard.REQUIRE) != bool(option.require):
        raise RuleError(f"{path}: GUARD_REQUIRE and requirements go together")
    if (guard is Guard.FILTERED) != (option.filter != options_pb2.PERMISSION_UNSPECIFIED):
        raise RuleError(f"{path}: GUARD_FILTERED and a filter permission go together")
    covered = set()
    requirements = []
    everywhere = False
    for requirement in option.require:
        permission = _known_permission(path, requirement.permission)
        target = requirement.WhichOneof("target")
        if target == "server" and requirement.server and not requirement.exported:
            everywhere = True
            requirements.append(Requirement(permission, "everywhere", lambda _: ScopePattern(ANY, ANY)))
            continue
        field_path = getattr(requirement, target) if target and target != "server" else ""
        field = _resolve(method.input_type, field_path)
        if field is None:
            raise RuleError(f"{path} requires {permission.value} at {field_path!r}, which is no field of its request")
        covered.add(field_path)
        made = _requirement(path, permission, str(target), field_path, field)
        requirements.append(
            _or_where_exported(path, made, method.input_type, field_path) if requirement.exported else made
        )
    uncovered = [] if everywhere else sorted(set(_scope_paths(method.input_type)) - covered)
    if uncovered:
        raise RuleError(f"{path} does not check {', '.join(uncovered)}")
    return Rule(guard, tuple(requirements), _known_permission(path, option.filter) if option.filter else None)


def _or_where_exported(path: str, made: Requirement, request: Descriptor, field_path: str) -> Requirement:
    id_path, _, last = field_path.rpartition(".")
    field = _resolve(request, id_path)
    kind = _EXPORTABLE.get(field.message_type.full_name) if field and field.message_type and last == "scope" else None
    if kind is None:
        raise RuleError(f"{path}: what is exported has a TaskId, WorkflowId or LaunchPlanId, and {id_path!r} is none")
    return or_where_exported(made, kind, id_path)


def or_where_exported(made: Requirement, kind: EntityKind, path: str) -> Requirement:
    """Let a permission be held where the thing is exported to instead; `path` leads to its id."""
    get_name = attrgetter(f"{path}.name")
    return replace(
        made, where=f"{made.where}, or where it is exported to", exported=lambda request: (kind, get_name(request))
    )


def _known_permission(path: str, number: int) -> Permission:
    try:
        return permission_of(number)
    except ValueError:
        raise RuleError(f"{path} names no permission with the number {number}") from None


def _requirement(
    path: str, permission: Permission, target: str, field_path: str, field: FieldDescriptor
) -> Requirement:
    get = attrgetter(field_path)
    kind = field.message_type.full_name if field.message_type else ""
    if target in ("scope", "pattern") and kind == {"scope": _SCOPE, "pattern": _PATTERN}[target]:

        def read_scope(request: Message) -> ScopePattern:
            value = get(request)
            return ScopePattern(value.project, value.domain)

        return Requirement(permission, field_path, read_scope)
    if target in ("project", "any_domain_of") and field.type == FieldDescriptor.TYPE_STRING:
        reach = Reach.SOME if target == "any_domain_of" else Reach.ALL
        words = f"{field_path}, {'any' if reach is Reach.SOME else 'every'} domain"
        return Requirement(permission, words, lambda request: ScopePattern(get(request), ANY), reach)
    raise RuleError(f"{path} requires {permission.value} at {field_path!r}, which is no {target}")


def _resolve(message: Descriptor, path: str) -> FieldDescriptor | None:
    def step(
        found: tuple[Descriptor | None, FieldDescriptor | None], name: str
    ) -> tuple[Descriptor | None, FieldDescriptor | None]:
        owner, _ = found
        field = owner.fields_by_name.get(name) if owner else None
        if field is None or field.is_repeated:
            return None, None
        return field.message_type, field

    start: tuple[Descriptor | None, FieldDescriptor | None] = (message, None)
    return reduce(step, path.split("."), start)[1]


def _scope_paths(message: Descriptor, prefix: str = "", seen: tuple[str, ...] = ()) -> Iterator[str]:
    """Name every field of a request that says which scope, pattern or project it is about."""
    for field in message.fields:
        path = f"{prefix}{field.name}"
        if field.message_type is not None:
            if field.message_type.full_name in (_SCOPE, _PATTERN):
                yield f"{path}[]" if field.is_repeated else path
            elif field.message_type.full_name not in seen and not field.message_type.file.name.startswith("google/"):
                inner = f"{path}[]." if field.is_repeated else f"{path}."
                yield from _scope_paths(field.message_type, inner, (*seen, field.message_type.full_name))
        elif field.name == "project" or field.GetOptions().Extensions[_RULES].format in _PROJECT_FORMATS:
            yield f"{path}[]" if field.is_repeated else path
