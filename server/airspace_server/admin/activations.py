"""The history of a launch plan's name: which version was active when, and who did that."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import bindparam, func, select

from airspace_server.access.identity import Principal
from airspace_server.storage.database import Transaction, scoped
from airspace_server.storage.paging import page
from airspace_server.storage.tables import ActivationRow, table

_ACTIVATIONS: Final = table(ActivationRow)
_OF_NAME: Final = select(_ACTIVATIONS).where(scoped(_ACTIVATIONS), _ACTIVATIONS.c.name == bindparam("name"))
_LAST: Final = select(func.max(_ACTIVATIONS.c.sequence)).where(
    scoped(_ACTIVATIONS), _ACTIVATIONS.c.name == bindparam("name")
)
_BEFORE: Final = (
    select(_ACTIVATIONS.c.version)
    .where(
        scoped(_ACTIVATIONS),
        _ACTIVATIONS.c.name == bindparam("name"),
        _ACTIVATIONS.c.version.not_in(("", bindparam("active"))),
    )
    .order_by(_ACTIVATIONS.c.sequence.desc())
    .limit(1)
)


class Cause(StrEnum):
    """Why the active version changed."""

    ACTIVATE = "ACTIVATE"
    DEACTIVATE = "DEACTIVATE"
    ROLLBACK = "ROLLBACK"
    PROMOTE = "PROMOTE"


@dataclass(frozen=True, slots=True)
class Activation:
    """A change of the active version of a name, the `sequence`th. `version` is "" when none is active since then.

    `principal` is who did it, "" for what was active before there was a history. Time in microseconds, UTC.
    """

    sequence: int
    version: str
    cause: Cause
    principal: str
    at: int


def record(tx: Transaction, name: str, version: str, by: Principal, cause: Cause, now: int) -> None:
    """Note that a version is active from now on, or "" for none, for whoever holds the name's versions.

    What a schedule does later is done with the rights of who activated it, so the groups of that token are kept too.
    """
    last = tx.execute(_LAST, name=name).scalar_one() or 0
    row = {"name": name, "sequence": last + 1, "version": version, "cause": cause, "at": now}
    tx.insert(_ACTIVATIONS, {**row, "principal": by.member, "principal_groups": json.dumps(sorted(by.groups))})


def before(tx: Transaction, name: str, active: str) -> str | None:
    """Return the version that was active last before `active`, or the last one of all if that is ""."""
    row = tx.one(_BEFORE, name=name, active=active)
    return None if row is None else str(row.version)


def history(
    tx: Transaction, name: str, size: int, last: tuple[Any, ...] | None
) -> tuple[Sequence[Activation], tuple[Any, ...] | None]:
    """Return a page of a name's history, newest first, and where the next one begins."""
    rows, end = page(tx, _OF_NAME, (_ACTIVATIONS.c.sequence,), size=size, last=last, descending=True, name=name)
    return [Activation(row.sequence, row.version, Cause(row.cause), row.principal, row.at) for row in rows], end
