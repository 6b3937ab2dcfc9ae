"""Flyte's front door of signals: flyteidl's SignalService."""

from collections.abc import Sequence
from typing import Final

from flyteidl.admin import signal_pb2
from flyteidl.core import identifier_pb2
from sqlalchemy import bindparam, select

from airspace_server.access.call import Call
from airspace_server.core import names
from airspace_server.core.scope import ExecutionId
from airspace_server.execution.signals import SIGNALS, Signal, Signals, from_row
from airspace_server.execution.store import Executions
from airspace_server.flyte import types
from airspace_server.flyte.identifiers import execution_id, execution_identifier, require, require_domain
from airspace_server.flyte.listing import Field, Listing, fetch, microseconds
from airspace_server.storage.database import Database, scoped
from airspace_server.storage.paging import Pager

_LIST: Final = Listing(
    "signal",
    {
        "signal_id": Field(SIGNALS.c.signal_id),
        "created_at": Field(SIGNALS.c.created_at, microseconds),
        "updated_at": Field(SIGNALS.c.updated_at, microseconds),
    },
    (SIGNALS.c.signal_id,),
)
_OF_EXECUTION: Final = select(SIGNALS).where(scoped(SIGNALS), SIGNALS.c.execution == bindparam("own_name"))


class SignalsFlyte:
    """Serves signals to Flyte's clients. `domains` are the server's."""

    def __init__(
        self, database: Database, signals: Signals, executions: Executions, pager: Pager, domains: Sequence[str]
    ) -> None:
        self._database = database
        self._signals = signals
        self._executions = executions
        self._pager = pager
        self._domains = domains

    def GetOrCreateSignal(self, request: signal_pb2.SignalGetOrCreateRequest, _call: Call) -> signal_pb2.Signal:
        """Ask, or return what was asked before."""
        execution = self._id(request.id.execution_id, "id.execution_id")
        require("id.signal_id", names.signal(request.id.signal_id))
        require("type", types.problem(request.type))
        return _message(execution, self._signals.ask(execution, request.id.signal_id, request.type))

    def ListSignals(self, request: signal_pb2.SignalListRequest, _call: Call) -> signal_pb2.SignalList:
        """List the signals of an execution, those that were asked last first."""
        execution = self._id(request.workflow_execution_id, "workflow_execution_id")
        with self._database.read(execution.scope) as tx:
            self._executions.read(tx, execution)
            rows, token = fetch(
                tx,
                self._pager,
                _OF_EXECUTION,
                _LIST,
                list_name=f"signals {execution}",
                limit=request.limit,
                token=request.token,
                filters=request.filters,
                sort_by=request.sort_by,
                own_name=execution.name,
            )
        return signal_pb2.SignalList(
            signals=[_message(execution, from_row(row.signal_id, row)) for row in rows], token=token
        )

    def SetSignal(self, request: signal_pb2.SignalSetRequest, _call: Call) -> signal_pb2.SignalSetResponse:
        """Answer a signal."""
        execution = self._id(request.id.execution_id, "id.execution_id")
        require("id.signal_id", names.signal(request.id.signal_id))
        self._signals.answer(execution, request.id.signal_id, request.value)
        return signal_pb2.SignalSetResponse()

    def _id(self, message: identifier_pb2.WorkflowExecutionIdentifier, path: str) -> ExecutionId:
        found = execution_id(message, path)
        require_domain(found.scope.domain, self._domains, f"{path}.domain")
        return found


def _message(execution: ExecutionId, signal: Signal) -> signal_pb2.Signal:
    id_ = identifier_pb2.SignalIdentifier(signal_id=signal.id, execution_id=execution_identifier(execution))
    return signal_pb2.Signal(id=id_, type=signal.type, value=signal.value)
