"""The contract, walked by its descriptors: what every RPC, message and enum of it promises."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from flyteidl.core import execution_pb2
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet, MethodOptions
from rpc_requests import rules_of, scope_fields, words
from rpc_servers import FLYTE, METHODS, NATIVE

import airspace.options.v1
from airspace.error.v1 import error_reason_pb2
from airspace.execution.v1 import execution_service_pb2
from airspace.launchplan.v1 import launch_plan_service_pb2
from airspace.options.v1 import options_pb2
from airspace_server.access.flyte_rules import flyte_rules
from airspace_server.access.rules import Guard, native_rules, number_of, permission_of
from airspace_server.admin.launch_plans import ACTIVE, INACTIVE
from airspace_server.app import FLYTE_SERVICES, NATIVE_SERVICES
from airspace_server.core.errors import CODES, Code, Reason
from airspace_server.core.execution import ErrorKind, ExecutionPhase, NodePhase
from airspace_server.core.permissions import Permission
from airspace_server.core.scope import Scope
from airspace_server.rpc.validation import FORMATS

PROTOS = Path(airspace.options.v1.__path__[0]).parents[3] / "protos"
READS = ("Get", "List", "Watch", "WhoAmI", "Export", "Verify", "Test", "Preview")
STREAMS = ("Watch", "Export", "Verify")
VERBS = {
    *("Get", "List", "Watch", "WhoAm", "Export", "Verify", "Test", "Preview"),
    *("Create", "Delete", "Update", "Archive", "Restore", "Register", "Activate", "Deactivate", "Launch", "Terminate"),
    *("Rotate", "Disable", "Enable", "Rollback", "Request", "Approve", "Reject", "Override"),
}
native = pytest.mark.parametrize("method", NATIVE.values(), ids=lambda method: method.full_name)


def test_every_native_method_has_a_rule_that_compiles():
    assert native_rules(NATIVE_SERVICES).keys() == NATIVE.keys()


def nowhere(_: str) -> Scope:
    raise AssertionError


def test_every_method_of_flytes_five_services_has_a_rule():
    rules = flyte_rules(FLYTE_SERVICES, {"native_url": nowhere, "flyte_url": nowhere})
    assert rules.keys() == FLYTE.keys()
    assert Counter(path.split("/")[1].rpartition(".")[2] for path in rules) == {
        "AdminService": 56,
        "DataProxyService": 4,
        "SignalService": 3,
        "AuthMetadataService": 2,
        "IdentityService": 1,
    }


@native
def test_requests_and_responses_are_of_one_method(method: MethodDescriptor):
    assert method.input_type.name == f"{method.name}Request"
    assert method.output_type.name == f"{method.name}Response"
    uses = Counter(each.full_name for other in NATIVE.values() for each in (other.input_type, other.output_type))
    assert uses[method.input_type.full_name] == uses[method.output_type.full_name] == 1


@native
def test_verbs_are_those_of_the_house_and_reads_say_so(method: MethodDescriptor):
    assert re.match(r"[A-Z][a-z]+(?:Am)?", method.name)[0] in VERBS
    harmless = method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS
    assert harmless == method.name.startswith(READS)
    assert method.server_streaming == method.name.startswith(STREAMS)
    assert not method.client_streaming


@native
def test_lists_have_pages(method: MethodDescriptor):
    request, response = dict(method.input_type.fields_by_name), dict(method.output_type.fields_by_name)
    # Roles and domains are few and come whole; nothing else may.
    if not method.name.startswith("List") or method.name in ("ListRoles", "ListDomains"):
        assert not {"page_size", "page_token"} & request.keys()
        return
    assert request["page_size"].type == FieldDescriptor.TYPE_INT32
    assert rules_of(request["page_token"]).max == 4096
    assert response["next_page_token"].type == FieldDescriptor.TYPE_STRING
    assert [field.is_repeated for field in method.output_type.fields] == [True, False]


@native
def test_text_in_requests_is_bounded_by_the_contract(method: MethodDescriptor):
    def unbounded(message, path=()):
        for field in message.fields:
            rules, where = rules_of(field), ".".join((*path, field.name))
            inner = field.message_type
            if inner and inner.full_name.startswith("airspace.") and not inner.GetOptions().map_entry:
                yield from unbounded(inner, (*path, field.name))
            elif (field.is_repeated or field.type == FieldDescriptor.TYPE_STRING) and not (rules.max or rules.format):
                yield where

    assert list(unbounded(method.input_type)) == []


@native
def test_what_is_called_a_project_or_a_domain_is_one(method: MethodDescriptor):
    for path in scope_fields(method.input_type):
        assert options_pb2.Format.Name(rules_of(path[-1]).format).startswith("FORMAT_PROJECT"), words(path)
        siblings = path[-1].containing_type.fields_by_name
        if "domain" in siblings:
            assert options_pb2.Format.Name(rules_of(siblings["domain"]).format).startswith("FORMAT_DOMAIN")


def test_everything_has_a_comment(tmp_path: Path):
    described = tmp_path / "contract.binpb"
    sources = sorted(str(path.relative_to(PROTOS)) for path in (PROTOS / "airspace").rglob("*.proto"))
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", "--include_source_info"]
    subprocess.run([*command, f"--descriptor_set_out={described}", *sources], check=True)
    silent = []
    for file in FileDescriptorSet.FromString(described.read_bytes()).file:
        said = {tuple(place.path) for place in file.source_code_info.location if place.leading_comments.strip()}
        for kind, members, member in ((6, "method", 2), (4, "field", 2), (5, "value", 2)):
            things = {6: file.service, 4: file.message_type, 5: file.enum_type}[kind]
            for place, thing in enumerate(things):
                parts = [((kind, place), thing.name)]
                parts += [
                    ((kind, place, member, number), f"{thing.name}.{part.name}")
                    for number, part in enumerate(getattr(thing, members))
                    if not part.name.endswith("_UNSPECIFIED")
                ]
                silent += [f"{file.package}.{name}" for path, name in parts if path not in said]
    assert len(sources) >= 8
    assert silent == []


# --- the domain's words are the contract's


def names_of(enum, prefix: str) -> set[str]:
    return {name.removeprefix(prefix) for name in enum.keys()} - {"UNSPECIFIED"}  # noqa: SIM118 -- no dict


def test_reasons_are_those_of_the_contract_and_each_has_a_code():
    assert {reason.value for reason in Reason} == names_of(error_reason_pb2.ErrorReason, "ERROR_REASON_")
    assert CODES.keys() == set(Reason)


def test_the_code_of_a_reason_is_the_one_that_its_comment_says():
    text = (PROTOS / "airspace/error/v1/error_reason.proto").read_text()
    comments = dict(re.findall(r"((?:^  //.*\n)+)  ERROR_REASON_([A-Z_0-9]+) =", text, re.MULTILINE))
    said = {name: re.match(r"\s*// ([A-Z_]+)\.", comment)[1] for comment, name in comments.items()}
    assert said == {reason.value: code.name for reason, code in CODES.items()}


def test_no_reason_has_a_code_that_says_nothing():
    assert "UNKNOWN" not in {code.name for code in Code}


def test_permissions_are_those_of_the_contract():
    numbers = {number for name, number in options_pb2.Permission.items() if number}
    assert {permission_of(number) for number in numbers} == set(Permission)
    assert {number_of(permission) for permission in Permission} == numbers


def test_phases_are_those_of_the_contract_and_of_flyte():
    pb = execution_service_pb2
    assert {phase.value for phase in ExecutionPhase} == names_of(pb.ExecutionPhase, "EXECUTION_PHASE_")
    assert {phase.value for phase in NodePhase} == names_of(pb.NodePhase, "NODE_PHASE_")
    assert {kind.value for kind in ErrorKind} == names_of(pb.ErrorKind, "ERROR_KIND_")
    assert {phase.value for phase in ExecutionPhase} <= set(execution_pb2.WorkflowExecution.Phase.keys())
    assert {phase.value for phase in NodePhase} <= set(execution_pb2.NodeExecution.Phase.keys())


def test_states_of_launch_plans_are_those_of_the_contract():
    assert names_of(launch_plan_service_pb2.LaunchPlanState, "LAUNCH_PLAN_STATE_") == {ACTIVE, INACTIVE}


def test_formats_guards_and_methods_are_all_known():
    assert FORMATS.keys() == {number for number in options_pb2.Format.values() if number}
    assert {guard.value for guard in Guard} == {number for number in options_pb2.Guard.values() if number}
    assert len(METHODS) == len(NATIVE) + len(FLYTE)
