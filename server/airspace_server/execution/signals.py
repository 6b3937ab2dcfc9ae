"""Signals: typed questions to people about an execution, each of which is answered once.

The first answer counts: whoever answers otherwise afterwards is told, so that of an approval and a rejection at the
same time one is what happened. The same answer again changes nothing. An execution that waited for it goes on.
"""

from dataclasses import dataclass
from typing import Any, Final

from flyteidl.core import literals_pb2, types_pb2
from sqlalchemy import Row, bindparam, select

from airspace_server.core.clock import Clock
from airspace_server.core.errors import ApiError, Reason, invalid_field, not_found
from airspace_server.core.execution import ENDED_EXECUTION, ExecutionPhase
from airspace_server.core.scope import ExecutionId
from airspace_server.execution.queue import GIVEN_BACK, PARKED
from airspace_server.execution.store import EXECUTIONS
from airspace_server.flyte import types
from airspace_server.storage.database import Database, Transaction, scoped
from airspace_server.storage.projects import require_active
from airspace_server.storage.tables import SignalRow, table

SIGNALS: Final = table(SignalRow)
MAX_ANSWER: Final = 64 * 1024
"""Longest answer, in bytes: it is for people to give, and read again until its gate has opened."""

_ONE: Final = (
    scoped(SIGNALS),
    SIGNALS.c.execution == bindparam("of_execution"),
    SIGNALS.c.signal_id == bindparam("of_signal"),
)
_READ: Final = select(SIGNALS.c.type, SIGNALS.c.value).where(*_ONE).with_for_update()
_ANSWER: Final = SIGNALS.update().where(*_ONE).values(value=bindparam("answer"), updated_at=bindparam("now"))
_PHASE: Final = (
    select(EXECUTIONS.c.phase)
    .where(scoped(EXECUTIONS), EXECUTIONS.c.name == bindparam("of_execution"))
    .with_for_update()
)
_WAKE: Final = (
    EXECUTIONS.update()
    .where(scoped(EXECUTIONS), EXECUTIONS.c.name == bindparam("of_execution"), PARKED)
    .values(lease_expires_at=GIVEN_BACK)
)


@dataclass(frozen=True, slots=True)
class Signal:
    """A question and, once it is given, its answer."""

    id: str
    type: types_pb2.LiteralType
    value: literals_pb2.Literal | None


def from_row(signal_id: str, row: Row[Any]) -> Signal:
    """Read a signal from its row."""
    value = None if row.value is None else literals_pb2.Literal.FromString(row.value)
    return Signal(signal_id, types_pb2.LiteralType.FromString(row.type), value)


class Signals:
    """Asks and answers. Both need an active project and an execution that has not ended."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def ask(self, execution: ExecutionId, signal_id: str, kind: types_pb2.LiteralType) -> Signal:
        """Make a signal, or return the one of this id and type as it stands.

        Raises ALREADY_EXISTS for one of another type, and what `_require_open` raises.
        """
        now, written = self._clock(), kind.SerializeToString(deterministic=True)
        times = {"created_at": now, "updated_at": now}
        row = {"execution": execution.name, "signal_id": signal_id, "type": written, "value": None, **times}
        with self._database.write(execution.scope) as tx:
            _require_open(tx, execution)
            if tx.insert_new(SIGNALS, row):
                tx.changed(_named(execution, signal_id), None, {"type": written, "answered": False})
            found = tx.execute(_READ, of_execution=execution.name, of_signal=signal_id).one()
        if found.type != written:
            raise ApiError(
                Reason.ALREADY_EXISTS,
                f"signal {signal_id} of {execution} is {types.name(from_row(signal_id, found).type)}",
                {"name": signal_id},
                "type",
            )
        return from_row(signal_id, found)

    def answer(self, execution: ExecutionId, signal_id: str, value: literals_pb2.Literal) -> None:
        """Answer a signal, or do so again with the same value.

        Raises NOT_FOUND for a signal that nobody asked for, INVALID_FIELD for "value" when it is not of its type
        or too long,
        WRONG_STATE when another answer was given, and what `_require_open` raises.
        """
        written = value.SerializeToString(deterministic=True)
        with self._database.write(execution.scope) as tx:
            _require_open(tx, execution)
            row = tx.one(_READ, of_execution=execution.name, of_signal=signal_id)
            if row is None:
                raise not_found("signal", f"{execution}/{signal_id}")
            too_long = f"must have at most {MAX_ANSWER} bytes" if len(written) > MAX_ANSWER else None
            problem = too_long or types.mismatch(value, from_row(signal_id, row).type)
            if problem is not None:
                raise invalid_field("value", problem)
            if row.value == written:
                return
            if row.value is not None:
                raise ApiError(
                    Reason.WRONG_STATE, f"signal {signal_id} of {execution} was answered before", {"name": signal_id}
                )
            # Neither value nor digest: what people answer is an input, and a yes or no is guessed from its digest.
            before, after = ({"type": row.type, "answered": answered} for answered in (False, True))
            tx.changed(_named(execution, signal_id), before, after)
            tx.execute(_ANSWER, of_execution=execution.name, of_signal=signal_id, answer=written, now=self._clock())
            tx.execute(_WAKE, of_execution=execution.name)


def _named(execution: ExecutionId, signal_id: str) -> str:
    return f"signal {signal_id} of execution {execution}"


def _require_open(tx: Transaction, execution: ExecutionId) -> None:
    """Raise PROJECT_MISSING, PROJECT_ARCHIVED, NOT_FOUND, and WRONG_STATE for an execution that has ended."""
    require_active(tx, execution.scope.project)
    row = tx.one(_PHASE, of_execution=execution.name)
    if row is None:
        raise not_found("execution", str(execution))
    phase = ExecutionPhase(row.phase)
    if phase in ENDED_EXECUTION:
        raise ApiError(
            Reason.WRONG_STATE,
            f"execution {execution} has ended: it is {phase.value}",
            {"name": execution.name, "state": phase.value},
        )
