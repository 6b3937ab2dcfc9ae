"""A valid request for every RPC about a project and a domain, and walks through requests by their descriptors.

Everything that `populate` registers is called "thing", so that a request that names a thing names one that is there.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

from flyteidl.admin import common_pb2, launch_plan_pb2, matchable_resource_pb2, task_pb2, workflow_pb2
from flyteidl.core import (
    identifier_pb2,
    interface_pb2,
    literals_pb2,
    tasks_pb2,
    types_pb2,
)
from flyteidl.service import dataproxy_pb2
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from rpc_expected import ADMIN, DATA, EXECUTIONS, PLANS, REGISTRY, SIGNALS
from rpc_servers import METHODS, NATIVE, Airspace

from airspace.options.v1 import options_pb2
from airspace.reference.v1 import reference_service_pb2 as reference_pb
from airspace_server.access.rules import method_path
from airspace_server.core.scope import Scope
from airspace_server.storage.tables import NodeExecutionRow, ProjectRow, SignalRow, TaskAttemptRow, table

THING, VERSION = "thing", "v1"
_RULES: Any = options_pb2.rules
_TEXTS = {
    options_pb2.FORMAT_ENTITY: THING,
    options_pb2.FORMAT_VERSION: VERSION,
    options_pb2.FORMAT_EXECUTION: THING,
    options_pb2.FORMAT_UUID: "123e4567-e89b-42d3-a456-426614174000",
    options_pb2.FORMAT_MEMBER: "user:ann",
    options_pb2.FORMAT_ACCOUNT: "viewer",
    options_pb2.FORMAT_ENTITY_OR_ANY: THING,
    options_pb2.FORMAT_OTHER_PROJECT: "consumer",
}


def any_of(message: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed


def rules_of(field: FieldDescriptor) -> Any:
    return field.GetOptions().Extensions[_RULES]


# --- what there is


def variables(**types: int) -> interface_pb2.VariableMap:
    return interface_pb2.VariableMap(
        variables={
            name: interface_pb2.Variable(type=types_pb2.LiteralType(simple=kind)) for name, kind in types.items()
        }
    )


def integer(value: int) -> literals_pb2.Literal:
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(integer=value)))


def identifier(scope: Scope, kind: Any, version: str = VERSION) -> identifier_pb2.Identifier:
    return identifier_pb2.Identifier(
        resource_type=kind, project=scope.project, domain=scope.domain, name=THING, version=version
    )


def task_spec(scope: Scope) -> task_pb2.TaskSpec:
    interface = interface_pb2.TypedInterface(
        inputs=variables(x=types_pb2.INTEGER), outputs=variables(o0=types_pb2.INTEGER)
    )
    template = tasks_pb2.TaskTemplate(
        id=identifier(scope, identifier_pb2.TASK), type="python-task", interface=interface
    )
    template.metadata.retries.retries = 1
    template.container.image = "image:1"
    template.container.args.extend(["pyflyte-execute", "--inputs", "{{.input}}"])
    return task_pb2.TaskSpec(template=template)


def workflow_spec(scope: Scope) -> workflow_pb2.WorkflowSpec:
    spec = workflow_pb2.WorkflowSpec()
    spec.template.id.CopyFrom(identifier(scope, identifier_pb2.WORKFLOW))
    spec.template.interface.inputs.CopyFrom(variables(x=types_pb2.INTEGER))
    spec.template.interface.outputs.CopyFrom(variables(o0=types_pb2.INTEGER))
    node = spec.template.nodes.add(id="n0")
    node.metadata.name = "thing"
    node.task_node.reference_id.CopyFrom(identifier(scope, identifier_pb2.TASK))
    given = node.inputs.add(var="x")
    given.binding.promise.var = "x"
    result = spec.template.outputs.add(var="o0")
    result.binding.promise.node_id = "n0"
    result.binding.promise.var = "o0"
    return spec


def launch_plan_spec(scope: Scope) -> launch_plan_pb2.LaunchPlanSpec:
    spec = launch_plan_pb2.LaunchPlanSpec()
    spec.workflow_id.CopyFrom(identifier(scope, identifier_pb2.WORKFLOW))
    spec.default_inputs.parameters["x"].var.type.simple = types_pb2.INTEGER
    spec.default_inputs.parameters["x"].default.CopyFrom(integer(3))
    spec.entity_metadata.schedule.cron_schedule.schedule = "0 2 * * *"
    return spec


def populate(server: Airspace, scope: Scope) -> None:
    """Create the project, and in the scope a task, a workflow, an active launch plan, an execution and its node."""
    with server.parts.database.write() as tx:
        row = {"id": scope.project, "name": scope.project, "description": "", "labels": "{}", "state": "ACTIVE"}
        tx.insert_new(table(ProjectRow), {**row, "version": 1, "created_at": 1, "updated_at": 1})
    with server.served() as caller:
        admin = caller("admin")
        register = ((REGISTRY, "RegisterTask"), (REGISTRY, "RegisterWorkflow"), (PLANS, "RegisterLaunchPlan"))
        for service, name in (*register, (PLANS, "ActivateLaunchPlan")):
            path = f"{service}/{name}"
            answer = admin(path, native_request(NATIVE[path], scope))
            assert not answer.status, answer
        path = f"{EXECUTIONS}/LaunchExecution"
        launch = native_request(NATIVE[path], scope)
        launch.name = THING
        answer = admin(path, launch)
        assert not answer.status, answer
    at = {"created_at": 1, "updated_at": 1}
    node = {"execution": THING, "node_id": THING, "position": 0, "spec_node_id": "n0", "parent_id": ""}
    entity = {"entity_kind": "TASK", "entity_project": scope.project, "entity_name": THING, "entity_version": VERSION}
    entity["attempts"] = 1
    attempt = {"execution": THING, "node_id": THING, "attempt": 0, "phase": "RUNNING", "handle": "", "outputs_uri": ""}
    boolean = types_pb2.LiteralType(simple=types_pb2.BOOLEAN).SerializeToString()
    with server.parts.database.write(scope) as tx:
        tx.insert(table(SignalRow), {"execution": THING, "signal_id": THING, "type": boolean, **at})
        tx.insert(table(NodeExecutionRow), {**node, **entity, "phase": "RUNNING", **at})
        tx.insert(table(TaskAttemptRow), {**attempt, "deck": True, **at})


# --- valid requests


def request_for(path: str, scope: Scope, server: Airspace) -> Any:
    """Make a valid request of any RPC about a scope."""
    method = METHODS[path]
    return native_request(method, scope) if path in NATIVE else flyte_request(method, scope, server)


def native_request(method: MethodDescriptor, scope: Scope) -> Any:
    """Make the smallest valid request: what the contract requires, by the kind of name that it says each field is."""
    request = GetMessageClass(method.input_type)()
    _fill_native(request, scope)
    for name, body in {
        "RegisterTask": task_spec,
        "RegisterWorkflow": workflow_spec,
        "RegisterLaunchPlan": launch_plan_spec,
    }.items():
        if method.name == name:
            request.spec.Pack(body(scope))
    if method.name == "UpdateProject":
        request.update_mask.paths.extend(["name", "description", "labels"])
    if method.name == "ListDependents":
        request.kind = reference_pb.ENTITY_KIND_TASK
    if method.name == "DeleteBinding":
        request.role = "operator"
    return request


def forward(request: Any) -> Any:
    """Let a promotion go from development to staging; every other request is left as it is."""
    if "target" in request.DESCRIPTOR.fields_by_name and request.source.domain == "development":
        request.target.domain = "staging"
    return request


def _fill_native(message: Any, scope: Scope) -> None:
    for field in message.DESCRIPTOR.fields:
        rules = rules_of(field)
        if not rules.required:
            continue
        if field.message_type is not None:
            getattr(message, field.name).SetInParent()
            if not field.message_type.full_name.startswith("google."):
                _fill_native(getattr(message, field.name), scope)
        elif field.is_repeated:
            getattr(message, field.name).append(_number(field))
        elif rules.format in (options_pb2.FORMAT_PROJECT, options_pb2.FORMAT_PROJECT_OR_ANY):
            setattr(message, field.name, scope.project)
        elif rules.format in (options_pb2.FORMAT_DOMAIN, options_pb2.FORMAT_DOMAIN_OR_ANY):
            setattr(message, field.name, scope.domain)
        elif rules.format:
            setattr(message, field.name, _TEXTS[rules.format])
        else:
            setattr(message, field.name, "text" if field.type == FieldDescriptor.TYPE_STRING else _number(field))


def _number(field: FieldDescriptor) -> int:
    return max(field.enum_type.values_by_number) if field.enum_type else 1


_IDS = {
    "id",
    "task_execution_id",
    "node_execution_id",
    "execution_id",
    "workflow_execution_id",
    "parent_node_execution_id",
    "task_id",
    "attributes",
    "event",
}
_VALUES: dict[str, Any] = {
    "name": THING,
    "version": VERSION,
    "node_id": THING,
    "signal_id": THING,
    "workflow": THING,
    "limit": 10,
}


ATTRIBUTES_UPDATES = tuple(f"Update{level}Attributes" for level in ("Project", "ProjectDomain", "Workflow"))


def flyte_request(method: MethodDescriptor, scope: Scope, server: Airspace) -> Any:
    """Make a valid request of a Flyte RPC: every id in it in the scope, and what its method wants beside that."""
    path = method_path(method)
    request = GetMessageClass(method.input_type)()
    _fill_flyte(request, scope)
    kinds = {
        "CreateTask": (identifier_pb2.TASK, task_spec),
        "CreateWorkflow": (identifier_pb2.WORKFLOW, workflow_spec),
        "CreateLaunchPlan": (identifier_pb2.LAUNCH_PLAN, launch_plan_spec),
    }
    if method.name in kinds:
        kind, body = kinds[method.name]
        request.id.resource_type = kind
        request.spec.CopyFrom(body(scope))
    if path in (f"{ADMIN}/GetProject", f"{ADMIN}/UpdateProject"):
        request.id = scope.project
    elif path == f"{ADMIN}/RegisterProject":
        request.project.id = request.project.name = scope.project
    elif path == f"{ADMIN}/CreateExecution":
        request.spec.launch_plan.CopyFrom(identifier(scope, identifier_pb2.LAUNCH_PLAN))
    elif path in (f"{ADMIN}/RelaunchExecution", f"{ADMIN}/RecoverExecution"):
        request.ClearField("name")
    elif path == f"{DATA}/CreateUploadLocation":
        request.filename, request.filename_root = "data.bin", "root"
    elif path == f"{DATA}/CreateDownloadLocation":
        request.native_url = server.parts.artifacts.native_url(scope, "uploads/root/data.bin")
    elif path == f"{DATA}/CreateDownloadLink":
        request.artifact_type = dataproxy_pb2.ARTIFACT_TYPE_DECK
    elif path == f"{SIGNALS}/GetOrCreateSignal":
        request.type.simple = types_pb2.BOOLEAN
    elif path == f"{SIGNALS}/SetSignal":
        request.value.scalar.primitive.boolean = True
    elif path == f"{DATA}/GetData":
        request.flyte_url = f"flyte://v1/{scope}/{THING}/{THING}/i"
    elif method.name in ATTRIBUTES_UPDATES:
        request.attributes.matching_attributes.execution_queue_attributes.tags.append("fast")
    elif "Attributes" in method.name:
        request.resource_type = matchable_resource_pb2.EXECUTION_QUEUE
    elif method.name in ("ListNamedEntities", "GetNamedEntity", "UpdateNamedEntity"):
        request.resource_type = identifier_pb2.TASK
        if method.name == "UpdateNamedEntity":
            request.metadata.state = common_pb2.NAMED_ENTITY_ARCHIVED
    elif path == f"{ADMIN}/UpdateLaunchPlan":
        request.state = launch_plan_pb2.ACTIVE
    return request


def _fill_flyte(message: Any, scope: Scope) -> None:
    for field in message.DESCRIPTOR.fields:
        if field.is_repeated:
            continue
        if field.name in _IDS and field.message_type is not None:
            getattr(message, field.name).SetInParent()
            _fill_flyte(getattr(message, field.name), scope)
        elif field.name in ("project", "domain") and field.message_type is None:
            setattr(message, field.name, getattr(scope, field.name))
        elif field.name in _VALUES and field.message_type is None:
            setattr(message, field.name, _VALUES[field.name])


# --- walks


Path = tuple[FieldDescriptor, ...]


@cache
def scope_fields(message: Descriptor) -> tuple[Path, ...]:
    """Lead to every field of a request that is a project's id; the domain, if any, is beside it.

    A message that holds itself is entered twice and not again. Not by the server's own walk: this one judges it.
    """
    return tuple(_scope_fields(message, ()))


def _scope_fields(message: Descriptor, path: Path) -> Iterator[Path]:
    for field in message.fields:
        if _names_project(field):
            yield (*path, field)
        elif field.message_type in _leading(message) and sum(field.message_type is at.message_type for at in path) < 2:
            yield from _scope_fields(field.message_type, (*path, field))


def _names_project(field: FieldDescriptor) -> bool:
    formats = (options_pb2.FORMAT_PROJECT, options_pb2.FORMAT_PROJECT_OR_ANY)
    return field.message_type is None and (field.name == "project" or rules_of(field).format in formats)


def _inner(message: Descriptor) -> set[Descriptor]:
    """Return the messages in a message, without Google's, and without the artifacts of a service that is not here."""
    inner = {field.message_type for field in message.fields if field.message_type is not None}
    return {each for each in inner if not each.full_name.startswith(("google.", "flyteidl.core.ArtifactKey"))}


@cache
def _leading(message: Descriptor) -> frozenset[Descriptor]:
    """Return those of the messages in a message that lead on to the id of a project."""
    return frozenset(inner for inner in _inner(message) if any(map(_names_project, _fields_within(inner))))


@cache
def _fields_within(message: Descriptor) -> tuple[FieldDescriptor, ...]:
    seen, todo = {message}, [message]
    while todo:
        new = _inner(todo.pop()) - seen
        seen |= new
        todo += new
    return tuple(field for each in seen for field in each.fields)


def words(path: Path) -> str:
    """Write a path as people do."""
    return ".".join(f"{field.name}[]" if field.is_repeated else field.name for field in path)


def owner(message: Any, path: Path) -> Any:
    """Walk to the message that holds the last field of a path; what is missing on the way is made."""
    for field in path[:-1]:
        here = getattr(message, field.name)
        if field.is_repeated and field.message_type.GetOptions().map_entry:
            return None  # the caller walks into map values itself
        if field.is_repeated:
            message = here[0] if here else here.add()
        else:
            here.SetInParent()
            message = here
    return message
