"""Projects: create, change, archive, restore, list. Authorization has happened before any of this is called."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, bindparam, select

from airspace_server.access.decide import Visible
from airspace_server.core import names
from airspace_server.core.errors import ApiError, Reason, invalid_field, not_found
from airspace_server.core.scope import ANY
from airspace_server.storage.database import Transaction
from airspace_server.storage.projects import ACTIVE, ARCHIVED
from airspace_server.storage.tables import ProjectRow, table

PROJECTS: Final = table(ProjectRow)

_ONE: Final = select(PROJECTS).where(PROJECTS.c.id == bindparam("project"))
_LOCKED: Final = _ONE.with_for_update()
_UPDATE: Final = PROJECTS.update().where(PROJECTS.c.id == bindparam("project"))


@dataclass(frozen=True, slots=True)
class Project:
    """A team. Times in microseconds since the epoch, UTC; `version` counts changes."""

    id: str
    name: str
    description: str
    labels: Mapping[str, str]
    archived: bool
    version: int
    created_at: int
    updated_at: int


def from_row(row: Row[Any]) -> Project:
    """Read a project from its row."""
    return Project(
        row.id,
        row.name,
        row.description,
        json.loads(row.labels),
        row.state == ARCHIVED,
        row.version,
        row.created_at,
        row.updated_at,
    )


def get(tx: Transaction, project: str) -> Project:
    """Return a project. Raises NOT_FOUND."""
    row = tx.one(_ONE, project=project)
    if row is None:
        raise not_found("project", project)
    return from_row(row)


def create(
    tx: Transaction, project: str, *, name: str, description: str, labels: Mapping[str, str], now: int
) -> Project:
    """Create a project; its name is its id when none is given. Raises ALREADY_EXISTS and INVALID_FIELD."""
    _check(name, description, labels)
    created = Project(
        project, name or project, description, dict(labels), archived=False, version=1, created_at=now, updated_at=now
    )
    row = {"id": project, "created_at": now, **_columns(created)}
    if not tx.insert_new(PROJECTS, row):
        raise ApiError(Reason.ALREADY_EXISTS, f"project {project} exists", {"project": project}, "project")
    tx.changed(f"project {project}", None, _described(created), at=(project, ANY))
    return created


@dataclass(frozen=True, slots=True)
class Change:
    """What to change of a project; None keeps what is there."""

    name: str | None = None
    description: str | None = None
    labels: Mapping[str, str] | None = None
    archived: bool | None = None


def change(tx: Transaction, project: str, wanted: Change, *, now: int, version: int | None = None) -> Project:
    """Change a project; a change that changes nothing writes nothing.

    Raises NOT_FOUND, INVALID_FIELD, and ETAG_MISMATCH when `version` is given and not the current one.
    """
    row = tx.one(_LOCKED, project=project)
    if row is None:
        raise not_found("project", project)
    before = from_row(row)
    if version is not None and version != before.version:
        raise ApiError(Reason.ETAG_MISMATCH, "the project has changed since it was read", field="etag")
    after = replace(
        before,
        name=before.name if wanted.name is None else wanted.name or project,
        description=before.description if wanted.description is None else wanted.description,
        labels=before.labels if wanted.labels is None else dict(wanted.labels),
        archived=before.archived if wanted.archived is None else wanted.archived,
    )
    if after == before:
        return before
    _check(after.name, after.description, after.labels)
    after = replace(after, version=before.version + 1, updated_at=now)
    tx.execute(_UPDATE.values(**_columns(after)), project=project)
    tx.changed(f"project {project}", _described(before), _described(after), at=(project, ANY))
    return after


def shown_to(visible: Visible) -> Sequence[ColumnElement[bool]]:
    """Restrict a list of projects to those of which at least one domain is visible."""
    return () if visible.projects is None else (PROJECTS.c.id.in_(sorted(visible.projects)),)


def _described(project: Project) -> Mapping[str, Any]:
    """Return what the audit's digests are of."""
    return {key: value for key, value in _columns(project).items() if key not in ("version", "updated_at")}


def _columns(project: Project) -> dict[str, Any]:
    return {
        "name": project.name,
        "description": project.description,
        "labels": json.dumps(project.labels, sort_keys=True),
        "state": ARCHIVED if project.archived else ACTIVE,
        "version": project.version,
        "updated_at": project.updated_at,
    }


def _check(name: str, description: str, labels: Mapping[str, str]) -> None:
    """Check what both front doors let in; Flyte's has no field rules of ours."""
    if len(name) > names.MAX_PROJECT_NAME:
        raise invalid_field("name", f"must have at most {names.MAX_PROJECT_NAME} characters")
    if len(description) > names.MAX_DESCRIPTION:
        raise invalid_field("description", f"must have at most {names.MAX_DESCRIPTION} characters")
    if "\0" in name + description:
        raise invalid_field("name" if "\0" in name else "description", "must not contain a NUL character")
    problem = names.labels(labels)
    if problem:
        raise invalid_field("labels", problem)
