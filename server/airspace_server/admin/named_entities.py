"""Names of tasks, workflows and launch plans: what is said of one, for all its versions."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Final

from sqlalchemy import Row, Select, Table, and_, bindparam, func, select

from airspace_server.core import names
from airspace_server.core.errors import invalid_field, not_found
from airspace_server.core.scope import EntityKind, Scope
from airspace_server.storage.database import Transaction, scoped
from airspace_server.storage.projects import require_active
from airspace_server.storage.tables import LaunchPlanRow, NamedEntityRow, TaskRow, WorkflowRow, table

NAMED: Final = table(NamedEntityRow)
VERSIONS: Final[Mapping[EntityKind, Table]] = {
    EntityKind.TASK: table(TaskRow),
    EntityKind.WORKFLOW: table(WorkflowRow),
    EntityKind.LAUNCH_PLAN: table(LaunchPlanRow),
}


class State(StrEnum):
    """How lists show a name. It changes nothing else: an archived name can be run."""

    ACTIVE = "ACTIVE"
    ARCHIVED = "ARCHIVED"
    SYSTEM_GENERATED = "SYSTEM_GENERATED"


@dataclass(frozen=True, slots=True)
class NamedEntity:
    """A name that has versions, and what is said of it."""

    name: str
    description: str
    state: State


def from_row(row: Row[Any]) -> NamedEntity:
    """Read a name from a row of `all_of`."""
    return NamedEntity(row.name, row.description, State(row.state))


@cache
def all_of(kind: EntityKind) -> Select[Any]:
    """Select the names of a kind in a scope: columns project, domain, name, description and state."""
    versions = VERSIONS[kind]
    there = select(versions.c.project, versions.c.domain, versions.c.name).where(scoped(versions)).distinct().subquery()
    said = and_(scoped(NAMED), NAMED.c.kind == kind.name, NAMED.c.name == there.c.name)
    return select(
        there,
        func.coalesce(NAMED.c.description, "").label("description"),
        func.coalesce(NAMED.c.state, State.ACTIVE.value).label("state"),
    ).select_from(there.outerjoin(NAMED, said))


@cache
def _one(kind: EntityKind) -> Select[Any]:
    statement = all_of(kind)
    return statement.where(statement.selected_columns.name == bindparam("name"))


def get(tx: Transaction, kind: EntityKind, scope: Scope, name: str) -> NamedEntity:
    """Return what is said of a name. Raises NOT_FOUND for one without versions."""
    row = tx.one(_one(kind), name=name)
    if row is None:
        raise not_found(kind.value, f"{scope}/{name}")
    return from_row(row)


def update(tx: Transaction, kind: EntityKind, scope: Scope, name: str, description: str, state: State) -> None:
    """Say something else of a name; an empty description keeps what is there.

    Flyte's wire cannot leave a state out, and its clients send ACTIVE with every new description. So a new description
    that comes with ACTIVE leaves the state as it is; to activate a name, send no description or the one that it has.

    Raises NOT_FOUND, PROJECT_MISSING, PROJECT_ARCHIVED and INVALID_FIELD.
    """
    problem = "must not contain a NUL character" if "\0" in description else None
    if len(description) > names.MAX_DESCRIPTION:
        problem = f"must have at most {names.MAX_DESCRIPTION} characters"
    if problem:
        raise invalid_field("metadata.description", problem)
    require_active(tx, scope.project)
    before = get(tx, kind, scope, name)
    described = description not in ("", before.description)
    after = NamedEntity(
        name, description or before.description, before.state if described and state is State.ACTIVE else state
    )
    if after == before:
        return
    row = {"description": after.description, "state": after.state.value}
    if not tx.insert_new(NAMED, {"kind": kind.name, "name": name, **row}):
        its = and_(scoped(NAMED), NAMED.c.kind == bindparam("its_kind"), NAMED.c.name == bindparam("its_name"))
        tx.execute(NAMED.update().where(its).values(**row), its_kind=kind.name, its_name=name)
    tx.changed(f"{kind.value} name {scope}/{name}", _said(before), _said(after))


def _said(entity: NamedEntity) -> dict[str, str]:
    return {"description": entity.description, "state": entity.state.value}
