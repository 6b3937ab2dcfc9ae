"""What a scope exports to other projects, and who uses what is registered.

Exports are part of the policy: a change of one is a new revision of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, Select, bindparam, select

from airspace_server.access.store import change
from airspace_server.core.clock import Clock
from airspace_server.core.errors import invalid_field, not_found
from airspace_server.core.scope import EntityId, EntityKind, Scope
from airspace_server.storage.database import Database
from airspace_server.storage.paging import page
from airspace_server.storage.projects import require_active
from airspace_server.storage.references import EXPORTS
from airspace_server.storage.tables import ReferenceRow, table

_REFERENCES: Final = table(ReferenceRow)

_ONE: Final = (
    EXPORTS.c.exporter == bindparam("of_project"),
    EXPORTS.c.export_domain == bindparam("of_domain"),
    EXPORTS.c.kind == bindparam("of_kind"),
    EXPORTS.c.name == bindparam("of_name"),
    EXPORTS.c.consumer == bindparam("of_consumer"),
)
_GET: Final = select(EXPORTS).where(*_ONE)
_DELETE: Final = EXPORTS.delete().where(*_ONE)
_BY_USER: Final = tuple(_REFERENCES.c[name] for name in ("project", "kind", "name", "version", "used_version"))
_BY_EXPORT: Final = (EXPORTS.c.kind, EXPORTS.c.name, EXPORTS.c.consumer)


@dataclass(frozen=True, slots=True)
class Export:
    """That a scope lets another project refer to a name of its own, or to all ("*"). Time in microseconds, UTC."""

    scope: Scope
    kind: EntityKind
    name: str
    consumer: str
    creator: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Dependent:
    """A version that refers to another one; `uses_version` is that one's."""

    kind: EntityKind
    id: EntityId
    uses_version: str


class References:
    """Exports, and who uses what. Authorization has happened before any of this is called."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def export(self, scope: Scope, kind: EntityKind, name: str, consumer: str, creator: str) -> Export:
        """Let `consumer` refer to a name of the scope, registered or not; one that is there stays as it is.

        The consumer is not looked up: whoever exports need not see it, and learns nothing of whether it exists.

        Raises INVALID_FIELD for an export to oneself, PROJECT_MISSING and PROJECT_ARCHIVED of the exporting project.
        """
        if consumer == scope.project:
            raise invalid_field("consumer", "must be another project: this one may use its own")
        row = {
            "exporter": scope.project,
            "export_domain": scope.domain,
            "kind": kind.name,
            "name": name,
            "consumer": consumer,
            "creator": creator,
            "created_at": self._clock(),
        }
        with self._database.write(scope) as tx:
            change(tx)
            require_active(tx, scope.project)
            if tx.insert_new(EXPORTS, row):
                tx.changed(_resource(scope, kind, name, consumer), None, {"creator": creator})
            return _export(tx.execute(_GET, **_key(scope, kind, name, consumer)).one())

    def exports(
        self, scope: Scope, size: int, last: tuple[Any, ...] | None
    ) -> tuple[list[Export], tuple[Any, ...] | None]:
        """Return a page of what a scope exports, by kind, name and consumer, and where the next page begins."""
        statement = select(EXPORTS).where(EXPORTS.c.exporter == scope.project, EXPORTS.c.export_domain == scope.domain)
        with self._database.read(scope) as tx:
            rows, end = page(tx, statement, _BY_EXPORT, size=size, last=last, descending=False)
        return [_export(row) for row in rows], end

    def take_back(self, scope: Scope, kind: EntityKind, name: str, consumer: str) -> None:
        """Delete an export, in an archived project too. Raises NOT_FOUND.

        What was registered with it stays as it is, is not registered anew and is not launched any more.
        """
        with self._database.write(scope) as tx:
            change(tx)
            row = tx.one(_GET, **_key(scope, kind, name, consumer))
            if row is None:
                raise not_found("export", f"of {kind.value} {name} of {scope} to {consumer}")
            tx.execute(_DELETE, **_key(scope, kind, name, consumer))
            tx.changed(_resource(scope, kind, name, consumer), {"creator": row.creator}, None)

    def dependents(
        self,
        scope: Scope,
        kind: EntityKind,
        name: str,
        version: str,
        projects: Sequence[str] | None,
        size: int,
        last: tuple[Any, ...] | None,
    ) -> tuple[list[Dependent], tuple[Any, ...] | None]:
        """Return a page of what refers to a name, or to one version of it when that is not empty.

        Only what is registered in `projects`, None being all, in the scope's domain: nothing refers across domains.
        """
        statement = users(scope, kind, name, version, projects)
        with self._database.read(across=True) as tx:
            rows, end = page(tx, statement, _BY_USER, size=size, last=last, descending=False)
        return [
            Dependent(
                EntityKind[row.kind], EntityId(Scope(row.project, row.domain), row.name, row.version), row.used_version
            )
            for row in rows
        ], end


def users(
    scope: Scope, kind: EntityKind, name: str, version: str, projects: Sequence[str] | None
) -> Select[tuple[Any, ...]]:
    """Select what refers to a name, and to one version of it when that is not empty, in these projects or in all."""
    statement = select(_REFERENCES).where(
        _REFERENCES.c.domain == scope.domain,
        _REFERENCES.c.used_project == scope.project,
        _REFERENCES.c.used_kind == kind.name,
        _REFERENCES.c.used_name == name,
    )
    if version:
        statement = statement.where(_REFERENCES.c.used_version == version)
    if projects is not None:
        statement = statement.where(_REFERENCES.c.project.in_(projects))
    return statement


def _resource(scope: Scope, kind: EntityKind, name: str, consumer: str) -> str:
    return f"export of {kind.value} {scope}/{name} to {consumer}"


def _key(scope: Scope, kind: EntityKind, name: str, consumer: str) -> dict[str, str]:
    return {
        "of_project": scope.project,
        "of_domain": scope.domain,
        "of_kind": kind.name,
        "of_name": name,
        "of_consumer": consumer,
    }


def _export(row: Row[Any]) -> Export:
    scope = Scope(row.exporter, row.export_domain)
    return Export(scope, EntityKind[row.kind], row.name, row.consumer, row.creator, row.created_at)
