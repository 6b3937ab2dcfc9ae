"""Flyte's front door of the execution wing: the methods of flyteidl's services about executions and their data.

The use cases are those of the native front door; what the answers look like is in flyte_messages.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from flyteidl.admin import (
    common_pb2,
    execution_pb2,
    node_execution_pb2,
    task_execution_pb2,
)
from flyteidl.core import identifier_pb2, literals_pb2
from flyteidl.service import dataproxy_pb2
from sqlalchemy import Row, bindparam, select

from airspace_server.access.call import Call
from airspace_server.core import names
from airspace_server.core.errors import ApiError, Reason, invalid_field, not_found
from airspace_server.core.execution import (
    ENDED_EXECUTION,
    AttemptPhase,
    ExecutionState,
)
from airspace_server.core.scope import EntityId, ExecutionId, Scope
from airspace_server.execution.decks import Decks
from airspace_server.execution.flyte_messages import attempt_message, execution_message, literal_map, node_message
from airspace_server.execution.launch import Launch, Launcher, LaunchPlanRef, TaskRef
from airspace_server.execution.metrics import spans
from airspace_server.execution.store import (
    ATTEMPTS,
    EXECUTIONS,
    LIGHT,
    NODE_LIGHT,
    NODES,
    Execution,
    Executions,
    from_row,
)
from airspace_server.flyte.filters import parse
from airspace_server.flyte.identifiers import (
    entity_id,
    execution_id,
    execution_identifier,
    require,
    require_domain,
    scope_of,
)
from airspace_server.flyte.listing import Field, Listing, coded, fetch, microseconds, whole
from airspace_server.storage.database import Database, scoped
from airspace_server.storage.paging import Pager

_STATES: Final = {
    "0": ExecutionState.ACTIVE,
    "1": ExecutionState.ARCHIVED,
    "EXECUTION_ACTIVE": ExecutionState.ACTIVE,
    "EXECUTION_ARCHIVED": ExecutionState.ARCHIVED,
}
MAX_CAUSE: Final = 1024
"""Longest cause of a termination, in characters; our own contract says the same."""
_LISTED_ERROR: Final = 100  # characters of an error in a list, as the reference has it

_EXECUTION_LIST: Final = Listing(
    "execution",
    {
        "execution_project": Field(EXECUTIONS.c.project),
        "execution_domain": Field(EXECUTIONS.c.domain),
        "execution_name": Field(EXECUTIONS.c.name),
        "name": Field(EXECUTIONS.c.name),
        "phase": Field(EXECUTIONS.c.phase),
        "user": Field(EXECUTIONS.c.principal),
        "error_code": Field(EXECUTIONS.c.error_code, optional=""),
        "error_kind": Field(EXECUTIONS.c.error_kind, optional=""),
        "abort_cause": Field(EXECUTIONS.c.abort_cause, optional=""),
        "state": Field(EXECUTIONS.c.state, coded(_STATES)),
        "created_at": Field(EXECUTIONS.c.created_at, microseconds),
        "execution_created_at": Field(EXECUTIONS.c.created_at, microseconds),
        "updated_at": Field(EXECUTIONS.c.updated_at, microseconds),
        "execution_updated_at": Field(EXECUTIONS.c.updated_at, microseconds),
        "started_at": Field(EXECUTIONS.c.started_at, microseconds, optional=0),
    },
    (EXECUTIONS.c.name,),
    {
        "launch_plan.name": Field(EXECUTIONS.c.launch_plan_name),
        "launch_plan.version": Field(EXECUTIONS.c.launch_plan_version),
        "workflow.name": Field(EXECUTIONS.c.workflow_name),
        "workflow.version": Field(EXECUTIONS.c.workflow_version),
        "task.name": Field(EXECUTIONS.c.task_name),
        "task.version": Field(EXECUTIONS.c.task_version),
    },
)
_NODE_LIST: Final = Listing(
    "node_execution",
    {
        "node_id": Field(NODES.c.node_id),
        "phase": Field(NODES.c.phase),
        "created_at": Field(NODES.c.created_at, microseconds),
        "updated_at": Field(NODES.c.updated_at, microseconds),
        "started_at": Field(NODES.c.started_at, microseconds, optional=0),
        "position": Field(NODES.c.position, whole),
    },
    (NODES.c.position, NODES.c.node_id),
)
_ATTEMPT_LIST: Final = Listing(
    "task_execution",
    {
        "retry_attempt": Field(ATTEMPTS.c.attempt, whole),
        "phase": Field(ATTEMPTS.c.phase),
        "created_at": Field(ATTEMPTS.c.created_at, microseconds),
        "updated_at": Field(ATTEMPTS.c.updated_at, microseconds),
    },
    (ATTEMPTS.c.attempt,),
)
_FLYTE_URL: Final = re.compile(
    r"flyte://v1/(?P<project>[^/]+)/(?P<domain>[^/]+)/(?P<execution>[^/]+)/(?P<node>[^/]+)"
    r"(?:/(?P<attempt>[0-9]{1,4}))?/(?P<part>[iod])(?:/(?P<name>[^/]+))?"
)


def scope_of_flyte_url(url: str) -> Scope:
    """Tell which scope a flyte:// URL lies in. Raises INVALID_FIELD for what is no such URL."""
    found = _flyte_url(url)
    return Scope(found["project"], found["domain"])


def _flyte_url(url: str) -> Mapping[str, str]:
    match = _FLYTE_URL.fullmatch(url)
    if match is None:
        raise invalid_field(
            "flyte_url", "must be flyte://v1/PROJECT/DOMAIN/EXECUTION/NODE[/ATTEMPT]/(i|o|d)[/NAME] of this server"
        )
    return {key: value or "" for key, value in match.groupdict().items()}


class ExecutionFlyte:
    """Serves executions, their nodes, attempts and data to Flyte's clients. `domains` are the server's."""

    def __init__(
        self,
        database: Database,
        launcher: Launcher,
        executions: Executions,
        decks: Decks,
        pager: Pager,
        domains: Sequence[str],
    ) -> None:
        self._database = database
        self._launcher = launcher
        self._executions = executions
        self._decks = decks
        self._pager = pager
        self._domains = domains

    # --- executions

    def CreateExecution(
        self, request: execution_pb2.ExecutionCreateRequest, call: Call
    ) -> execution_pb2.ExecutionCreateResponse:
        """Launch a launch plan or a task."""
        scope = scope_of(request.project, request.domain, self._domains)
        if request.name:
            require("name", names.execution(request.name))
        launched = request.spec.launch_plan
        is_task = launched.resource_type == identifier_pb2.TASK
        kind = identifier_pb2.TASK if is_task else identifier_pb2.LAUNCH_PLAN
        target = entity_id(launched, kind, "spec.launch_plan")
        if target.scope != scope:
            raise ApiError(
                Reason.FOREIGN_REFERENCE,
                f"spec.launch_plan is in {target.scope}, the execution in {scope}",
                {"reference": str(target.scope), "scope": str(scope)},
                "spec.launch_plan",
            )
        if request.spec.raw_output_data_config.output_location_prefix:
            raise invalid_field(
                "spec.raw_output_data_config.output_location_prefix", "cannot be set: outputs stay in their own scope"
            )
        launch = Launch(
            scope,
            TaskRef(target.name, target.version) if is_task else LaunchPlanRef(target.name, target.version),
            call.principal,
            name=request.name,
            # flytekit sends `inputs`; `spec.inputs` is what older clients send.
            inputs=request.inputs if request.inputs.literals else request.spec.inputs,
            labels=dict(request.spec.labels.values),
            spec=request.spec,
        )
        return _created(self._launcher.launch(launch))

    def RelaunchExecution(
        self, request: execution_pb2.ExecutionRelaunchRequest, call: Call
    ) -> execution_pb2.ExecutionCreateResponse:
        """Launch once more what an execution launched, with the inputs that were given then, as the caller of now."""
        return self._repeat(request, call, execution_pb2.ExecutionMetadata.RELAUNCH, request.overwrite_cache)

    def RecoverExecution(
        self, request: execution_pb2.ExecutionRecoverRequest, call: Call
    ) -> execution_pb2.ExecutionCreateResponse:
        """Launch an ended execution once more, keeping what succeeded: only the other nodes run."""
        source = self._executions.get(self._id(request.id))
        if source.phase not in ENDED_EXECUTION:
            raise ApiError(
                Reason.WRONG_STATE,
                f"execution {source.id} is {source.phase.value}; only an ended one can be recovered",
                {"name": source.id.name, "phase": source.phase.value},
            )
        return self._repeat(request, call, execution_pb2.ExecutionMetadata.RECOVERED, overwrite_cache=False)

    def _repeat(
        self,
        request: execution_pb2.ExecutionRelaunchRequest | execution_pb2.ExecutionRecoverRequest,
        call: Call,
        mode: execution_pb2.ExecutionMetadata.ExecutionMode,
        overwrite_cache: bool,
    ) -> execution_pb2.ExecutionCreateResponse:
        source = self._executions.get(self._id(request.id))
        if request.name:
            require("name", names.execution(request.name))
        spec = execution_pb2.ExecutionSpec.FromString(source.spec)
        spec.overwrite_cache = overwrite_cache
        target: LaunchPlanRef | TaskRef
        if source.launch_plan is not None:
            target = LaunchPlanRef(source.launch_plan.name, source.launch_plan.version)
        else:
            task = _ran(source)
            target = TaskRef(task.name, task.version)
        launch = Launch(
            source.id.scope,
            target,
            call.principal,
            name=request.name,
            inputs=literals_pb2.LiteralMap.FromString(self._executions.data(source.id).given),
            labels=source.labels,
            spec=spec,
            mode=mode,
            source=source.id.name,
        )
        return _created(self._launcher.launch(launch))

    def GetExecution(self, request: execution_pb2.WorkflowExecutionGetRequest, _call: Call) -> execution_pb2.Execution:
        """Return an execution."""
        execution = self._executions.get(self._id(request.id))
        return execution_message(execution, self._executions.waiting(execution))

    def UpdateExecution(
        self, request: execution_pb2.ExecutionUpdateRequest, _call: Call
    ) -> execution_pb2.ExecutionUpdateResponse:
        """Archive the record of an execution, or take it back into the lists."""
        if request.state not in (execution_pb2.EXECUTION_ACTIVE, execution_pb2.EXECUTION_ARCHIVED):
            raise invalid_field("state", "must be EXECUTION_ACTIVE or EXECUTION_ARCHIVED")
        self._executions.set_archived(self._id(request.id), archived=request.state == execution_pb2.EXECUTION_ARCHIVED)
        return execution_pb2.ExecutionUpdateResponse()

    def GetExecutionData(
        self, request: execution_pb2.WorkflowExecutionGetDataRequest, _call: Call
    ) -> execution_pb2.WorkflowExecutionGetDataResponse:
        """Return inputs and outputs in full; there are no URLs, since they are stored with the execution."""
        data = self._executions.data(self._id(request.id))
        return execution_pb2.WorkflowExecutionGetDataResponse(
            full_inputs=literal_map(data.inputs), full_outputs=literal_map(data.outputs)
        )

    def ListExecutions(self, request: common_pb2.ResourceListRequest, _call: Call) -> execution_pb2.ExecutionList:
        """List executions; archived records only when a filter asks about the state."""
        scope = scope_of(request.id.project, request.id.domain, self._domains, "id.")
        statement = select(*LIGHT).where(scoped(EXECUTIONS))
        if not any(each.field == "state" and each.entity in ("", "execution") for each in parse(request.filters)):
            statement = statement.where(EXECUTIONS.c.state == ExecutionState.ACTIVE)
        with self._database.read(scope) as tx:
            rows, token = fetch(
                tx,
                self._pager,
                statement,
                _EXECUTION_LIST,
                list_name=f"executions {scope}",
                limit=request.limit,
                token=request.token,
                filters=request.filters,
                sort_by=request.sort_by,
            )
        executions = [execution_message(from_row(row)) for row in rows]
        for execution in executions:
            if execution.closure.WhichOneof("output_result") == "error":
                execution.closure.error.message = execution.closure.error.message[:_LISTED_ERROR]
        return execution_pb2.ExecutionList(executions=executions, token=token)

    def TerminateExecution(
        self, request: execution_pb2.ExecutionTerminateRequest, call: Call
    ) -> execution_pb2.ExecutionTerminateResponse:
        """Ask for the end of an execution."""
        require("cause", f"must have at most {MAX_CAUSE} characters" if len(request.cause) > MAX_CAUSE else None)
        require("cause", "must not contain a NUL character" if "\0" in request.cause else None)
        self._executions.terminate(self._id(request.id), cause=request.cause, principal=call.principal.member)
        return execution_pb2.ExecutionTerminateResponse()

    def GetExecutionMetrics(
        self, request: execution_pb2.WorkflowExecutionGetMetricsRequest, _call: Call
    ) -> execution_pb2.WorkflowExecutionGetMetricsResponse:
        """Say where the time of an execution went."""
        execution, nodes, attempts = self._executions.all_of(self._id(request.id))
        return execution_pb2.WorkflowExecutionGetMetricsResponse(span=spans(execution, nodes, attempts, request.depth))

    # --- nodes

    def ListNodeExecutions(
        self, request: node_execution_pb2.NodeExecutionListRequest, _call: Call
    ) -> node_execution_pb2.NodeExecutionList:
        """List the nodes of one level: those at the top, or with unique_parent_id those inside that node."""
        execution = self._id(request.workflow_execution_id, "workflow_execution_id")
        if request.unique_parent_id:
            require("unique_parent_id", names.entity(request.unique_parent_id))
        statement = select(*NODE_LIGHT).where(
            scoped(NODES), NODES.c.execution == bindparam("own_name"), NODES.c.parent_id == bindparam("parent")
        )
        with self._database.read(execution.scope) as tx:
            found = self._executions.read(tx, execution)
            rows, token = fetch(
                tx,
                self._pager,
                statement,
                _NODE_LIST,
                list_name=f"nodes {execution} {request.unique_parent_id}",
                limit=request.limit,
                token=request.token,
                filters=request.filters,
                sort_by=request.sort_by,
                default_sort="position",
                ascending=True,
                own_name=execution.name,
                parent=request.unique_parent_id,
            )
        return node_execution_pb2.NodeExecutionList(
            node_executions=[node_message(found.id, row, self._decks.uri(found.id, row)) for row in rows], token=token
        )

    def GetNodeExecution(
        self, request: node_execution_pb2.NodeExecutionGetRequest, _call: Call
    ) -> node_execution_pb2.NodeExecution:
        """Return a node."""
        execution, node = self._node_id(request.id, "id")
        row = self._executions.node(execution, node)
        return node_message(execution, row, self._decks.uri(execution, row))

    def GetNodeExecutionData(
        self, request: node_execution_pb2.NodeExecutionGetDataRequest, _call: Call
    ) -> node_execution_pb2.NodeExecutionGetDataResponse:
        """Return a node's inputs and outputs in full."""
        execution, node = self._node_id(request.id, "id")
        row = self._executions.node_data(execution, node)
        return node_execution_pb2.NodeExecutionGetDataResponse(
            full_inputs=literal_map(row.inputs), full_outputs=literal_map(row.outputs)
        )

    def GetDynamicNodeWorkflow(
        self, request: node_execution_pb2.GetDynamicNodeWorkflowRequest, _call: Call
    ) -> node_execution_pb2.DynamicNodeWorkflowResponse:
        """Say that a node made no workflow of its own: dynamic tasks cannot be run yet."""
        execution, node = self._node_id(request.id, "id")
        self._executions.node(execution, node)
        raise not_found("dynamic workflow of node", f"{execution}/{node}")

    # --- attempts

    def ListNodeExecutionsForTask(
        self, request: node_execution_pb2.NodeExecutionForTaskListRequest, _call: Call
    ) -> node_execution_pb2.NodeExecutionList:
        """List the nodes that an attempt made: none, while dynamic tasks cannot be run."""
        self._of_attempt(request.task_execution_id, "task_execution_id")
        return node_execution_pb2.NodeExecutionList()

    def ListTaskExecutions(
        self, request: task_execution_pb2.TaskExecutionListRequest, _call: Call
    ) -> task_execution_pb2.TaskExecutionList:
        """List the attempts of a node's task."""
        execution, node = self._node_id(request.node_execution_id, "node_execution_id")
        owner = self._executions.node(execution, node)
        statement = select(ATTEMPTS).where(
            scoped(ATTEMPTS), ATTEMPTS.c.execution == bindparam("own_name"), ATTEMPTS.c.node_id == bindparam("node")
        )
        with self._database.read(execution.scope) as tx:
            rows, token = fetch(
                tx,
                self._pager,
                statement,
                _ATTEMPT_LIST,
                list_name=f"attempts {execution} {node}",
                limit=request.limit,
                token=request.token,
                filters=request.filters,
                sort_by=request.sort_by,
                default_sort="retry_attempt",
                ascending=True,
                own_name=execution.name,
                node=node,
            )
        return task_execution_pb2.TaskExecutionList(
            task_executions=[attempt_message(execution, owner, row) for row in rows], token=token
        )

    def GetTaskExecution(
        self, request: task_execution_pb2.TaskExecutionGetRequest, _call: Call
    ) -> task_execution_pb2.TaskExecution:
        """Return one attempt."""
        execution, owner, row = self._of_attempt(request.id)
        return attempt_message(execution, owner, row)

    def GetTaskExecutionData(
        self, request: task_execution_pb2.TaskExecutionGetDataRequest, _call: Call
    ) -> task_execution_pb2.TaskExecutionGetDataResponse:
        """Return an attempt's inputs, and outputs if it is the one that succeeded.

        flytekit treats NOT_FOUND here as fatal, also for a failed attempt: what exists is answered, empty if need be.
        """
        execution, owner, row = self._of_attempt(request.id)
        data = self._executions.node_data(execution, owner.node_id)
        succeeded = AttemptPhase(row.phase) is AttemptPhase.SUCCEEDED
        return task_execution_pb2.TaskExecutionGetDataResponse(
            full_inputs=literal_map(data.inputs), full_outputs=literal_map(data.outputs if succeeded else None)
        )

    def _of_attempt(
        self, id_: identifier_pb2.TaskExecutionIdentifier, path: str = "id"
    ) -> tuple[ExecutionId, Row[Any], Row[Any]]:
        execution, node = self._node_id(id_.node_execution_id, f"{path}.node_execution_id")
        owner = self._executions.node(execution, node)
        ran = EntityId(Scope(owner.entity_project, execution.scope.domain), owner.entity_name, owner.entity_version)
        if (
            id_.HasField("task_id")
            and id_.task_id.name
            and entity_id(id_.task_id, identifier_pb2.TASK, f"{path}.task_id") != ran
        ):
            raise not_found("task execution", f"{execution}/{node} of that task")
        return execution, owner, self._executions.attempt(execution, node, id_.retry_attempt)

    # --- data by URL (flyteidl.service.DataProxyService)

    def GetData(self, request: dataproxy_pb2.GetDataRequest, _call: Call) -> dataproxy_pb2.GetDataResponse:
        """Return inputs or outputs of a node, all or one by name, or a URL that shows its deck."""
        parts = _flyte_url(request.flyte_url)
        for part, rule in (("project", names.project), ("execution", names.execution), ("node", names.entity)):
            if rule(parts[part]):
                raise invalid_field("flyte_url", f"names {parts[part]!r}, which no {part} can be called")
        require_domain(parts["domain"], self._domains, "flyte_url")
        execution = ExecutionId(Scope(parts["project"], parts["domain"]), parts["execution"])
        attempt = int(parts["attempt"]) if parts["attempt"] else None
        if parts["part"] == "d":
            require("flyte_url", "must end behind the d: a deck has no parts" if parts["name"] else None)
            return dataproxy_pb2.GetDataResponse(pre_signed_urls=self._decks.sign(execution, parts["node"], attempt))
        if attempt is not None:
            self._executions.attempt(execution, parts["node"], attempt)
        data = self._executions.node_data(execution, parts["node"])
        literals = literal_map(data.inputs if parts["part"] == "i" else data.outputs)
        if not parts["name"]:
            return dataproxy_pb2.GetDataResponse(literal_map=literals)
        if parts["name"] not in literals.literals:
            raise invalid_field("flyte_url", f"names {parts['name']!r}, which is not there")
        return dataproxy_pb2.GetDataResponse(literal=literals.literals[parts["name"]])

    def CreateDownloadLink(
        self, request: dataproxy_pb2.CreateDownloadLinkRequest, _call: Call
    ) -> dataproxy_pb2.CreateDownloadLinkResponse:
        """Sign a URL that shows the deck of a node, once."""
        is_deck = request.artifact_type == dataproxy_pb2.ARTIFACT_TYPE_DECK
        require("artifact_type", None if is_deck else "must be ARTIFACT_TYPE_DECK")
        execution, node = self._node_id(request.node_execution_id, "node_execution_id")
        signed = self._decks.sign(execution, node, None, request)
        # Older clients read the first two fields.
        return dataproxy_pb2.CreateDownloadLinkResponse(
            signed_url=signed.signed_url, expires_at=signed.expires_at, pre_signed_urls=signed
        )

    # --- what the requests share

    def _id(self, message: identifier_pb2.WorkflowExecutionIdentifier, path: str = "id") -> ExecutionId:
        found = execution_id(message, path)
        require_domain(found.scope.domain, self._domains, f"{path}.domain")
        return found

    def _node_id(self, message: identifier_pb2.NodeExecutionIdentifier, path: str) -> tuple[ExecutionId, str]:
        require(f"{path}.node_id", names.entity(message.node_id))
        return self._id(message.execution_id, f"{path}.execution_id"), message.node_id


def _created(execution: ExecutionId) -> execution_pb2.ExecutionCreateResponse:
    return execution_pb2.ExecutionCreateResponse(id=execution_identifier(execution))


def _ran(execution: Execution) -> EntityId:
    """Return the task that an execution without a launch plan runs; the table's check holds that there is one."""
    if execution.task is None:
        raise RuntimeError(f"{execution.id} runs neither a launch plan nor a task")
    return execution.task
