"""Executions: runs of launch plans."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from google.protobuf.message import Message

from airspace.execution.v1 import execution_service_pb2 as pb
from airspace.type.v1.identifiers_pb2 import ExecutionId
from airspace_client import _wire
from airspace_client._errors import DeadlineExceeded, ResourceExhausted
from airspace_client._model import Data, Execution, ExecutionPhase, NodeExecution, QuotaUsage, Transition
from airspace_client._service import Service

POLL_INTERVAL: Final = 2.0
"""Seconds between two looks at an execution that cannot be watched because the server has too many watchers."""


class ExecutionHandle:
    """One execution, to be asked and told things.

    `launched` is the execution as the server stored it, when this handle comes from `launch`.
    """

    def __init__(
        self, service: Service, project: str, domain: str, name: str, launched: Execution | None = None
    ) -> None:
        self.project = project
        self.domain = domain
        self.name = name
        self.launched = launched
        self._service = service
        self._id = ExecutionId(scope=_wire.scope(project, domain), name=name)

    def __repr__(self) -> str:
        return f"<ExecutionHandle {self.project}/{self.domain}/{self.name}>"

    def get(self) -> Execution:
        """Return the execution as it is now."""
        request = pb.GetExecutionRequest(execution=self._id)
        response: pb.GetExecutionResponse = self._service.call("GetExecution", request)
        return _wire.execution(response.execution)

    def watch(self, *, after_sequence: int = 0, timeout: float | None = None) -> Iterator[Transition]:
        """Yield every transition after `after_sequence`, as they happen, until the execution has ended.

        A stream that breaks is taken up where it broke. Raises DeadlineExceeded after `timeout` seconds, if given.
        """
        request = pb.WatchExecutionRequest(execution=self._id, after_sequence=after_sequence)

        def seen(response: pb.WatchExecutionResponse) -> None:
            request.after_sequence = response.sequence

        return map(_wire.transition, self._service.stream("WatchExecution", request, seen, timeout))

    def wait(self, timeout: float | None = None) -> Execution:
        """Return the execution when it has ended, however it ended. Raises DeadlineExceeded after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            for _ in self.watch(timeout=timeout):
                pass
        except ResourceExhausted:  # too many watchers: look now and then instead
            return self._poll(deadline)
        return self.get()

    def _poll(self, deadline: float | None) -> Execution:
        while not (execution := self.get()).ended:
            if deadline is not None and time.monotonic() + POLL_INTERVAL > deadline:
                raise DeadlineExceeded(f"execution {self.name} is still {execution.phase}")
            time.sleep(POLL_INTERVAL)
        return execution

    def terminate(self, cause: str = "") -> Execution:
        """Ask for its end. Raises FailedPrecondition when it has ended."""
        request = pb.TerminateExecutionRequest(execution=self._id, cause=cause)
        response: pb.TerminateExecutionResponse = self._service.call("TerminateExecution", request)
        return _wire.execution(response.execution)

    def data(self) -> Data:
        """Return its inputs and, once it has succeeded, its outputs."""
        request = pb.GetExecutionDataRequest(execution=self._id)
        response: pb.GetExecutionDataResponse = self._service.call("GetExecutionData", request)
        return _wire.data(response)

    def inputs(self) -> Mapping[str, object]:
        """Return its inputs as plain JSON values."""
        return self.data().inputs

    def outputs(self) -> Mapping[str, object] | None:
        """Return its outputs as plain JSON values; None until it has succeeded."""
        return self.data().outputs

    def nodes(self) -> Iterator[NodeExecution]:
        """Yield its nodes, those of sub-workflows included, in the order in which they came up."""
        request = pb.ListNodeExecutionsRequest(execution=self._id)
        return map(_wire.node_execution, self._service.pages("ListNodeExecutions", request, "node_executions"))

    def node_data(self, node_id: str) -> Data:
        """Return a node's inputs and, once it has succeeded, its outputs."""
        request = pb.GetNodeExecutionDataRequest(execution=self._id, node_id=node_id)
        response: pb.GetNodeExecutionDataResponse = self._service.call("GetNodeExecutionData", request)
        return _wire.data(response)


class Executions:
    """The runs of launch plans."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def launch(
        self,
        project: str,
        domain: str,
        launch_plan: str,
        *,
        version: str = "",
        inputs: Mapping[str, object] | None = None,
        literals: Message | None = None,
        name: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> ExecutionHandle:
        """Launch an execution of a launch plan; it starts when a worker takes it.

        Args:
            project: where it runs,
            domain: and in which domain.
            launch_plan: the launch plan's name.
            version: its version; empty launches the active one.
            inputs: plain JSON values, brought to the types of the launch plan's inputs.
            literals: instead of `inputs`, a flyteidl.core.LiteralMap (or one in a google.protobuf.Any).
            name: the execution's name; empty lets the server choose one.
            labels: on top of the launch plan's.

        """
        if inputs is not None and literals is not None:
            raise TypeError("launch takes inputs or literals, not both")
        request = pb.LaunchExecutionRequest(
            scope=_wire.scope(project, domain), launch_plan=launch_plan, version=version, name=name, labels=labels or {}
        )
        if literals is not None:
            request.literals.CopyFrom(_wire.packed(literals))
        else:
            request.inputs.CopyFrom(_wire.struct(inputs or {}))
        response: pb.LaunchExecutionResponse = self._service.call("LaunchExecution", request)
        launched = _wire.execution(response.execution)
        return ExecutionHandle(self._service, launched.project, launched.domain, launched.name, launched)

    def handle(self, project: str, domain: str, name: str) -> ExecutionHandle:
        """Return a handle without asking the server for anything."""
        return ExecutionHandle(self._service, project, domain, name)

    def get(self, project: str, domain: str, name: str) -> Execution:
        """Return an execution."""
        return self.handle(project, domain, name).get()

    def quota_usage(self, project: str, domain: str) -> tuple[QuotaUsage, ...]:
        """Return how much of each quota a scope uses."""
        request = pb.GetQuotaUsageRequest(scope=_wire.scope(project, domain))
        response: pb.GetQuotaUsageResponse = self._service.call("GetQuotaUsage", request)
        return _wire.quota_usage(response)

    def list(
        self, project: str, domain: str, *, phases: Sequence[ExecutionPhase] = (), launch_plan: str = ""
    ) -> Iterator[Execution]:
        """Yield the executions of a scope, newest first: only those in `phases`, or of one launch plan, when given."""
        request = pb.ListExecutionsRequest(
            scope=_wire.scope(project, domain), phases=_wire.phase_names(phases), launch_plan=launch_plan
        )
        return map(_wire.execution, self._service.pages("ListExecutions", request, "executions"))
