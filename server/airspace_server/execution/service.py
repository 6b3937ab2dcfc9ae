"""The native front door of executions: airspace.execution.v1.

It turns messages into calls of the use cases and back. The chain has authenticated, authorized and validated.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar

from flyteidl.core import literals_pb2
from google.protobuf.json_format import MessageToDict, SerializeToJsonError
from sqlalchemy import ColumnElement, Row, bindparam, select

from airspace.execution.v1 import execution_service_pb2 as pb
from airspace.type.v1 import identifiers_pb2
from airspace_server.access.call import Call
from airspace_server.access.messages import packed, scope_message, scope_of, timestamp, unpacked
from airspace_server.access.once import answered, once
from airspace_server.core.clock import Clock
from airspace_server.core.errors import ApiError, Reason, invalid_field
from airspace_server.core.execution import ErrorKind, ExecutionError, ExecutionPhase, ExecutionState, NodePhase
from airspace_server.core.scope import EntityId, ExecutionId
from airspace_server.execution.launch import Launch, Launcher, LaunchPlanRef
from airspace_server.execution.queue import Wait, usage
from airspace_server.execution.store import (
    EXECUTIONS,
    LIGHT,
    NODE_LIGHT,
    NODES,
    Execution,
    Executions,
    error_of,
    from_row,
)
from airspace_server.execution.watch import Watcher
from airspace_server.flyte.literals import to_json
from airspace_server.storage.database import Database, scoped
from airspace_server.storage.paging import Pager, page, page_size

_PHASES: Final[Mapping[ExecutionPhase, Any]] = {
    phase: pb.ExecutionPhase.Value(f"EXECUTION_PHASE_{phase.value}") for phase in ExecutionPhase
}
_NODE_PHASES: Final[Mapping[NodePhase, Any]] = {
    phase: pb.NodePhase.Value(f"NODE_PHASE_{phase.value}") for phase in NodePhase
}
_PHASE_OF: Final[Mapping[int, ExecutionPhase]] = {number: phase for phase, number in _PHASES.items()}
_WAITS: Final[Mapping[Wait, Any]] = {reason: pb.WaitReason.Value(f"WAIT_REASON_{reason.value}") for reason in Wait}
_KINDS: Final = {ErrorKind.USER: pb.ERROR_KIND_USER, ErrorKind.SYSTEM: pb.ERROR_KIND_SYSTEM}


DataResponse = TypeVar("DataResponse", pb.GetExecutionDataResponse, pb.GetNodeExecutionDataResponse)


class ExecutionService:
    """airspace.execution.v1.ExecutionService."""

    def __init__(
        self,
        database: Database,
        launcher: Launcher,
        executions: Executions,
        watcher: Watcher,
        pager: Pager,
        clock: Clock,
    ) -> None:
        self._database = database
        self._launcher = launcher
        self._executions = executions
        self._watcher = watcher
        self._pager = pager
        self._clock = clock

    def LaunchExecution(self, request: pb.LaunchExecutionRequest, call: Call) -> pb.LaunchExecutionResponse:
        """Launch an execution of a launch plan."""
        if request.request_id:
            # Before anything is looked at: the version that was active then may not be so any more.
            with self._database.read() as tx:
                first = answered(tx, call, request, pb.LaunchExecutionResponse)
            if first is not None:
                return first
        prepared = self._launcher.prepare(
            Launch(
                scope_of(request.scope),
                LaunchPlanRef(request.launch_plan, request.version),
                call.principal,
                name=request.name,
                inputs=_inputs(request),
                labels=dict(request.labels),
            )
        )

        def respond() -> pb.LaunchExecutionResponse:
            self._launcher.store(tx, prepared)
            return pb.LaunchExecutionResponse(execution=_execution(self._executions.read(tx, prepared.id)))

        with self._database.write(prepared.id.scope) as tx:
            return once(tx, call, request, self._clock(), pb.LaunchExecutionResponse, respond)

    def GetExecution(self, request: pb.GetExecutionRequest, _call: Call) -> pb.GetExecutionResponse:
        """Return an execution."""
        execution = self._executions.get(_id(request.execution))
        message = _execution(execution)
        if (waiting := self._executions.waiting(execution)) is not None:
            message.waiting.CopyFrom(
                pb.Waiting(position=waiting.position, reason=_WAITS[waiting.reason], message=str(waiting))
            )
        return pb.GetExecutionResponse(execution=message)

    def GetQuotaUsage(self, request: pb.GetQuotaUsageRequest, _call: Call) -> pb.GetQuotaUsageResponse:
        """Tell how much of each quota a scope uses."""
        scope = scope_of(request.scope)
        response = pb.GetQuotaUsageResponse()
        with self._database.read(scope) as tx:
            found = usage(tx, scope, self._clock())
        for each in found:
            message = getattr(response, each.quota)
            message.limit, message.used = each.limit.value, each.used
            if (origin := each.limit.origin) is not None:
                message.origin.CopyFrom(identifiers_pb2.ScopePattern(project=origin.project, domain=origin.domain))
        return response

    def ListExecutions(self, request: pb.ListExecutionsRequest, _call: Call) -> pb.ListExecutionsResponse:
        """List executions, newest first, without archived records."""
        scope = scope_of(request.scope)
        if pb.EXECUTION_PHASE_UNSPECIFIED in request.phases:
            raise invalid_field("phases", "must not hold EXECUTION_PHASE_UNSPECIFIED")
        phases = sorted({_PHASE_OF[number].value for number in request.phases})
        conditions: list[ColumnElement[bool]] = [scoped(EXECUTIONS), EXECUTIONS.c.state == ExecutionState.ACTIVE]
        if phases:
            conditions.append(EXECUTIONS.c.phase.in_(phases))
        if request.launch_plan:
            conditions.append(EXECUTIONS.c.launch_plan_name == request.launch_plan)
        query = f"executions {scope} {','.join(phases)} {request.launch_plan}"
        with self._database.read(scope) as tx:
            rows, end = page(
                tx,
                select(*LIGHT).where(*conditions),
                (EXECUTIONS.c.created_at, EXECUTIONS.c.name),
                size=page_size(request.page_size),
                last=self._pager.position(query, request.page_token),
                descending=True,
            )
        return pb.ListExecutionsResponse(
            executions=[_execution(from_row(row)) for row in rows],
            next_page_token=self._pager.token(query, end) if end else "",
        )

    def TerminateExecution(self, request: pb.TerminateExecutionRequest, call: Call) -> pb.TerminateExecutionResponse:
        """Ask for the end of an execution."""
        execution = self._executions.terminate(
            _id(request.execution), cause=request.cause, principal=call.principal.member
        )
        return pb.TerminateExecutionResponse(execution=_execution(execution))

    def WatchExecution(self, request: pb.WatchExecutionRequest, call: Call) -> Iterator[pb.WatchExecutionResponse]:
        """Stream the transitions of an execution."""
        for row in self._watcher.transitions(_id(request.execution), request.after_sequence, call):
            response = pb.WatchExecutionResponse(sequence=row.sequence, time=timestamp(row.at))
            error = error_of(row)
            if row.node_id is None:
                response.execution.phase = _PHASES[ExecutionPhase(row.phase)]
                if error:
                    response.execution.error.CopyFrom(_error(error))
            else:
                response.node.node_id = row.node_id
                response.node.phase = _NODE_PHASES[NodePhase(row.phase)]
                response.node.attempt = row.attempt
                if error:
                    response.node.error.CopyFrom(_error(error))
            yield response

    def GetExecutionData(self, request: pb.GetExecutionDataRequest, _call: Call) -> pb.GetExecutionDataResponse:
        """Return inputs and outputs."""
        data = self._executions.data(_id(request.execution))
        return _filled(pb.GetExecutionDataResponse(), data.inputs, data.outputs)

    def ListNodeExecutions(self, request: pb.ListNodeExecutionsRequest, _call: Call) -> pb.ListNodeExecutionsResponse:
        """List the nodes of an execution in the order in which they came up."""
        execution = _id(request.execution)
        query = f"nodes {execution}"
        with self._database.read(execution.scope) as tx:
            self._executions.read(tx, execution)
            rows, end = page(
                tx,
                select(*NODE_LIGHT).where(scoped(NODES), NODES.c.execution == bindparam("own_name")),
                (NODES.c.position, NODES.c.node_id),
                size=page_size(request.page_size),
                last=self._pager.position(query, request.page_token),
                descending=False,
                own_name=execution.name,
            )
        return pb.ListNodeExecutionsResponse(
            node_executions=[_node(row) for row in rows],
            next_page_token=self._pager.token(query, end) if end else "",
        )

    def GetNodeExecutionData(
        self, request: pb.GetNodeExecutionDataRequest, _call: Call
    ) -> pb.GetNodeExecutionDataResponse:
        """Return a node's inputs and outputs."""
        row = self._executions.node_data(_id(request.execution), request.node_id)
        return _filled(pb.GetNodeExecutionDataResponse(), row.inputs, row.outputs)


def _inputs(request: pb.LaunchExecutionRequest) -> literals_pb2.LiteralMap | Mapping[str, object]:
    if request.WhichOneof("inputs_as") == "literals":
        return unpacked(request.literals, literals_pb2.LiteralMap, "literals")
    try:
        return MessageToDict(request.inputs)
    except (ValueError, SerializeToJsonError):
        raise ApiError(
            Reason.INPUT_INVALID,
            'a number is not finite, which JSON cannot say; use text such as "NaN"',
            field="inputs",
        ) from None


def _id(message: identifiers_pb2.ExecutionId) -> ExecutionId:
    return ExecutionId(scope_of(message.scope), message.name)


def _put(message: identifiers_pb2.LaunchPlanId | identifiers_pb2.TaskId, id_: EntityId) -> None:
    message.scope.CopyFrom(scope_message(id_.scope))
    message.name, message.version = id_.name, id_.version


def _error(error: ExecutionError) -> pb.ExecutionError:
    return pb.ExecutionError(code=error.code, message=error.message, kind=_KINDS[error.kind])


def _execution(execution: Execution) -> pb.Execution:
    message = pb.Execution(
        id=identifiers_pb2.ExecutionId(scope=scope_message(execution.id.scope), name=execution.id.name),
        phase=_PHASES[execution.phase],
        principal=execution.principal,
        abort_cause=execution.abort_cause or "",
        abort_principal=execution.abort_principal or "",
        create_time=timestamp(execution.created_at),
        labels=execution.labels,
    )
    if execution.launch_plan is not None:
        _put(message.launch_plan, execution.launch_plan)
    if execution.task is not None:
        _put(message.task, execution.task)
    if execution.error is not None:
        message.error.CopyFrom(_error(execution.error))
    if execution.started_at is not None:
        message.start_time.CopyFrom(timestamp(execution.started_at))
    if execution.ended_at is not None:
        message.end_time.CopyFrom(timestamp(execution.ended_at))
    return message


def _node(row: Row[Any]) -> pb.NodeExecution:
    message = pb.NodeExecution(
        id=row.node_id,
        spec_node_id=row.spec_node_id,
        parent_id=row.parent_id,
        phase=_NODE_PHASES[NodePhase(row.phase)],
        entity=row.entity_name,
        attempts=row.attempts,
        create_time=timestamp(row.created_at),
    )
    error = error_of(row)
    if error:
        message.error.CopyFrom(_error(error))
    if row.started_at is not None:
        message.start_time.CopyFrom(timestamp(row.started_at))
    if row.ended_at is not None:
        message.end_time.CopyFrom(timestamp(row.ended_at))
    return message


def _filled(response: DataResponse, inputs: bytes | None, outputs: bytes | None) -> DataResponse:
    """Fill a response with inputs and outputs in both forms; what is not there yet stays unset."""
    for serialized, plain, literal in ((inputs, "inputs", "input_literals"), (outputs, "outputs", "output_literals")):
        if serialized is not None:
            literals = literals_pb2.LiteralMap.FromString(serialized)
            getattr(response, plain).update(to_json(literals))
            getattr(response, literal).CopyFrom(packed(literals))
    return response
