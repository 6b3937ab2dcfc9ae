"""The server does not start on a contract with a gap. Each gap is a small contract of its own, made here."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flyteidl.service import admin_pb2, signal_pb2
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from rpc_requests import METHODS
from rpc_servers import Airspace

from airspace.options.v1 import options_pb2
from airspace.type.v1 import identifiers_pb2
from airspace_server.access import flyte_rules as flyte_table
from airspace_server.access.flyte_rules import flyte_rules
from airspace_server.access.rules import Guard, RuleError, native_rules
from airspace_server.core.scope import Scope
from airspace_server.rpc.server import Service, bind
from airspace_server.rpc.status import native
from airspace_server.rpc.validation import Validator

AUTHORIZATION: Any = options_pb2.authorization
RULES: Any = options_pb2.rules
VIEW = options_pb2.PERMISSION_REGISTRY_VIEW
_numbers = itertools.count()

Field = tuple[str, str, dict[str, Any]]


def field(name: str, kind: str = "string", **more: Any) -> Field:
    """Describe a field: of the type string, or of a message type; `format` is one of Format, `repeated` a list."""
    return name, kind, more


SCOPE = field("scope", "airspace.type.v1.Scope")
PROJECT = field("project", format=options_pb2.FORMAT_PROJECT)


def contract(option: options_pb2.Authorization | None, *fields: Field, inner: tuple[Field, ...] = ()) -> Any:
    """Make a service of one RPC, with this option and a request of these fields; `Inner` is one more message."""
    package = f"gaps.v{next(_numbers)}"
    file = FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    file.dependency.extend([options_pb2.DESCRIPTOR.name, identifiers_pb2.DESCRIPTOR.name])
    for name, members in (("DoRequest", fields), ("Inner", inner), ("DoResponse", ())):
        message = file.message_type.add(name=name)
        for number, (label, kind, more) in enumerate(members, 1):
            repeated = FieldDescriptorProto.LABEL_REPEATED if more.get("repeated") else 1
            if kind == "string":
                made = message.field.add(name=label, number=number, label=repeated, type=9)
            else:
                full_name = f".{package}.Inner" if kind == "Inner" else f".{kind}"
                made = message.field.add(name=label, number=number, label=repeated, type=11, type_name=full_name)
            made.options.Extensions[RULES].format = more.get("format", 0)
    method = file.service.add(name="Service").method.add(name="Do")
    method.input_type, method.output_type = f".{package}.DoRequest", f".{package}.DoResponse"
    if option is not None:
        method.options.Extensions[AUTHORIZATION].CopyFrom(option)
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return pool.FindServiceByName(f"{package}.Service")


def requiring(*requirements: dict[str, Any], guard: int = options_pb2.GUARD_REQUIRE) -> options_pb2.Authorization:
    made = options_pb2.Authorization(guard=guard)
    for requirement in requirements:
        made.require.add(**{"permission": VIEW, **requirement})
    return made


def refused(service: ServiceDescriptor, words: str) -> None:
    with pytest.raises(RuleError, match=words):
        native_rules([service])


AT_SCOPE = requiring({"scope": "scope"})
UNLISTED = options_pb2.Authorization(guard=options_pb2.GUARD_AUTHENTICATED)


def test_a_contract_without_gaps_is_accepted():
    (rule,) = native_rules([contract(AT_SCOPE, SCOPE, field("note"))]).values()
    assert rule.guard is Guard.REQUIRE
    assert native_rules([contract(UNLISTED, field("note"))])


def test_an_rpc_without_an_option():
    refused(contract(None, SCOPE), "has no authorization option")


@pytest.mark.parametrize("guard", [0, 99])
def test_an_option_without_a_guard_that_exists(guard: int):
    refused(contract(requiring({"scope": "scope"}, guard=guard), SCOPE), "has no guard")


@pytest.mark.parametrize(
    ("requirement", "fields"),
    [
        ({"scope": "scope"}, [SCOPE]),
        ({"scope": "execution.scope"}, [field("execution", "airspace.type.v1.ExecutionId")]),
        ({"project": "project"}, [PROJECT]),
        ({"server": True}, [SCOPE]),
    ],
)
def test_an_export_of_what_cannot_be_exported(requirement: dict[str, Any], fields: list[Field]):
    refused(contract(requiring({**requirement, "exported": True}), *fields), "export|no field")


def test_a_guard_that_requires_nothing():
    refused(contract(options_pb2.Authorization(guard=options_pb2.GUARD_REQUIRE)), "go together")


@pytest.mark.parametrize("guard", [options_pb2.GUARD_AUTHENTICATED, options_pb2.GUARD_PUBLIC])
def test_requirements_that_no_guard_looks_at(guard: int):
    refused(contract(requiring({"scope": "scope"}, guard=guard), SCOPE), "go together")


def test_a_filtered_list_without_a_filter():
    refused(contract(options_pb2.Authorization(guard=options_pb2.GUARD_FILTERED)), "filter")


def test_a_filter_that_no_list_applies():
    option = requiring({"scope": "scope"})
    option.filter = VIEW
    refused(contract(option, SCOPE), "filter")


@pytest.mark.parametrize("permission", [0, 99])
def test_a_requirement_of_no_permission(permission: int):
    refused(contract(requiring({"scope": "scope", "permission": permission}), SCOPE), "permission")


@pytest.mark.parametrize("permission", [99])
def test_a_filter_of_no_permission(permission: int):
    option = options_pb2.Authorization(guard=options_pb2.GUARD_FILTERED, filter=permission)
    refused(contract(option), "permission")


@pytest.mark.parametrize(
    "target",
    [
        {"scope": "nothing"},
        {"scope": "scope.nothing"},
        {"scope": "note"},
        {"scope": "project"},
        {"project": "scope"},
        {"pattern": "scope"},
        {"any_domain_of": "scope"},
        {"scope": ""},
        {},
        {"server": False},
    ],
    ids=str,
)
def test_a_requirement_that_leads_to_no_scope(target: dict[str, Any]):
    service = contract(requiring({"scope": "scope"}, {"project": "project"}, target), SCOPE, PROJECT, field("note"))
    with pytest.raises(RuleError):
        native_rules([service])


@pytest.mark.parametrize(
    ("unchecked", "inner", "name"),
    [
        (field("other", "airspace.type.v1.Scope"), (), "other"),
        (field("pattern", "airspace.type.v1.ScopePattern"), (), "pattern"),
        (field("team", format=options_pb2.FORMAT_PROJECT), (), "team"),
        (field("teams", format=options_pb2.FORMAT_PROJECT, repeated=True), (), r"teams\[\]"),
        (field("team", format=options_pb2.FORMAT_PROJECT_OR_ANY), (), "team"),
        (field("project"), (), "project"),
        (field("execution", "airspace.type.v1.ExecutionId"), (), "execution.scope"),
        (field("scopes", "airspace.type.v1.Scope", repeated=True), (), r"scopes\[\]"),
        (field("tasks", "airspace.type.v1.TaskId", repeated=True), (), r"tasks\[\].scope"),
        (field("inner", "Inner"), (SCOPE,), "inner.scope"),
        (field("inners", "Inner", repeated=True), (SCOPE,), r"inners\[\].scope"),
        (field("inner", "Inner"), (field("again", "Inner"), SCOPE), "inner.scope"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) and value else None,
)
def test_a_scope_that_nobody_checks(unchecked: Field, inner: tuple[Field, ...], name: str):
    refused(contract(AT_SCOPE, SCOPE, unchecked, inner=inner), f"does not check.*{name}")
    refused(contract(UNLISTED, unchecked, inner=inner), f"does not check.*{name}")
    filtered = options_pb2.Authorization(guard=options_pb2.GUARD_FILTERED, filter=VIEW)
    refused(contract(filtered, unchecked, inner=inner), f"does not check.*{name}")


def test_a_list_of_scopes_cannot_be_checked_at_all():
    scopes = field("scopes", "airspace.type.v1.Scope", repeated=True)
    refused(contract(requiring({"scope": "scopes"}), scopes), "no field")
    inners = field("inners", "Inner", repeated=True)
    refused(contract(requiring({"scope": "inners.scope"}), inners, inner=(SCOPE,)), "no field")


def test_checking_a_part_of_a_scope_is_not_checking_it():
    refused(contract(requiring({"project": "scope.project"}), SCOPE), "does not check scope")


def test_what_is_held_everywhere_covers_every_scope():
    (rule,) = native_rules([contract(requiring({"server": True}), SCOPE, PROJECT)]).values()
    assert [requirement.where for requirement in rule.requirements] == ["everywhere"]


# --- Flyte's table


def nowhere(_: str) -> Scope:
    raise AssertionError


LOCATE = {"native_url": nowhere, "flyte_url": nowhere}
SIGNALS = signal_pb2.DESCRIPTOR.services_by_name["SignalService"]
ADMINS = admin_pb2.DESCRIPTOR.services_by_name["AdminService"]


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Change lines of the table of one service; None takes one away."""

    def change(service: ServiceDescriptor, **lines: Any) -> None:
        table = {**flyte_table._TABLE[service.full_name], **lines}
        kept = {name: line for name, line in table.items() if line is not None}
        monkeypatch.setattr(flyte_table, "_TABLE", {**flyte_table._TABLE, service.full_name: kept})

    return change


def test_a_service_that_the_table_does_not_have():
    with pytest.raises(RuleError, match="differ"):
        flyte_rules([contract(AT_SCOPE, SCOPE)], LOCATE)


@pytest.mark.parametrize("lines", [{"SetSignal": None}, {"NoSignal": flyte_table._Flyte(guard=Guard.PUBLIC)}], ids=str)
def test_a_table_that_is_not_about_the_very_methods(changed, lines: dict[str, Any]):
    changed(SIGNALS, **lines)
    with pytest.raises(RuleError, match=r"SetSignal|NoSignal"):
        flyte_rules([SIGNALS], LOCATE)


@pytest.mark.parametrize(
    ("service", "name", "line"),
    [
        (SIGNALS, "SetSignal", {"scope": None, "server": False}),
        (SIGNALS, "SetSignal", {"scope": None, "guard": Guard.AUTHENTICATED}),
        (SIGNALS, "SetSignal", {"permission": None}),
        (ADMINS, "GetTask", {"scope": None, "guard": Guard.FILTERED}),
        (ADMINS, "CreateTask", {"elsewhere": {}}),
        (ADMINS, "CreateExecution", {"elsewhere": {"spec.metadata": "somewhere"}}),
        (ADMINS, "UpdateProjectAttributes", {"project": None, "guard": Guard.AUTHENTICATED}),
        (ADMINS, "GetProjectAttributes", {"project": None, "guard": Guard.AUTHENTICATED}),
        (ADMINS, "ListProjects", {"permission": None}),
        (ADMINS, "GetVersion", {"guard": Guard.REQUIRE}),
    ],
    ids=lambda value: str(value) if not isinstance(value, ServiceDescriptor) else None,
)
def test_a_line_that_leaves_something_open(changed, service: ServiceDescriptor, name: str, line: dict[str, Any]):
    changed(service, **{name: replace(flyte_table._TABLE[service.full_name][name], **line)})
    with pytest.raises(RuleError):
        flyte_rules([service], LOCATE)


# --- binding


def test_a_method_without_a_rule_is_not_bound():
    service = contract(AT_SCOPE, SCOPE)
    with pytest.raises(KeyError):
        bind([Service(service, (), native)], {}, Validator(("development",)))


def test_a_method_with_two_doors_is_not_bound():
    class Door:
        def Do(self, _request: object, _call: object) -> None: ...

    service = contract(AT_SCOPE, SCOPE)
    with pytest.raises(ValueError, match="2 front doors"):
        bind([Service(service, (Door(), Door()), native)], native_rules([service]), Validator(("development",)))


def test_a_format_on_what_is_no_text_is_refused():
    inner = field("inner", "Inner", format=options_pb2.FORMAT_ENTITY)
    service = contract(AT_SCOPE, SCOPE, inner, inner=(field("note"),))
    with pytest.raises(ValueError, match="no string"):
        Validator(("development",)).compile(service.methods[0].input_type)


def test_the_server_itself_has_no_gap(server: Airspace):
    assert set(server.methods) == set(METHODS)
