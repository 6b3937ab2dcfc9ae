"""Flyte's matchable attributes as they are stored: what both wings ask about them, and what changes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from flyteidl.admin import matchable_resource_pb2
from sqlalchemy import Row, bindparam, select

from airspace_server.core.scope import ANY, Scope, ScopePattern
from airspace_server.storage.database import Transaction
from airspace_server.storage.tables import MatchableAttributesRow, table

_ATTRIBUTES: Final = table(MatchableAttributesRow)
_THIS: Final = (
    (_ATTRIBUTES.c.resource == bindparam("of_resource"))
    & (_ATTRIBUTES.c.project == bindparam("of_project"))
    & (_ATTRIBUTES.c.domain_pattern == bindparam("of_domain"))
    & (_ATTRIBUTES.c.workflow == bindparam("of_workflow"))
)
_OWN: Final = select(_ATTRIBUTES.c.attributes, _ATTRIBUTES.c.version).where(_THIS).with_for_update()
_CHANGE: Final = (
    _ATTRIBUTES.update().where(_THIS).values(attributes=bindparam("new_attributes"), version=bindparam("new_version"))
)
_DELETE: Final = _ATTRIBUTES.delete().where(_THIS)
_ABOVE: Final = select(_ATTRIBUTES).where(
    _ATTRIBUTES.c.resource == bindparam("of_resource"),
    _ATTRIBUTES.c.project == bindparam("of_project"),
    _ATTRIBUTES.c.domain_pattern.in_(bindparam("domains", expanding=True)),
    _ATTRIBUTES.c.workflow.in_(bindparam("workflows", expanding=True)),
)
_ALL: Final = (
    select(_ATTRIBUTES)
    .where(_ATTRIBUTES.c.resource == bindparam("of_resource"))
    .order_by(_ATTRIBUTES.c.project, _ATTRIBUTES.c.domain_pattern, _ATTRIBUTES.c.workflow)
)


@dataclass(frozen=True, slots=True)
class Level:
    """What attributes are for: a project ("*" as its domain), one of its domains, or a workflow there ("" is all)."""

    pattern: ScopePattern
    workflow: str = ""

    def __str__(self) -> str:
        return f"{self.pattern}/{self.workflow}" if self.workflow else str(self.pattern)


@dataclass(frozen=True, slots=True)
class Attributes:
    """Attributes of one resource, a serialized flyteidl.admin.MatchingAttributes."""

    level: Level
    content: bytes


def effective(tx: Transaction, resource: str, scope: Scope, workflow: str = "") -> Attributes | None:
    """Return the most particular attributes that hold for a scope or a workflow in it, whole; None where none do."""
    rows = tx.all(
        _ABOVE, of_resource=resource, of_project=scope.project, domains=[scope.domain, ANY], workflows=[workflow, ""]
    )
    found = [_from_row(row) for row in rows]
    return max(found, key=lambda each: (each.level.workflow, each.level.pattern.domain != ANY), default=None)


def own(tx: Transaction, resource: str, level: Level) -> bytes | None:
    """Return the attributes of exactly this level, or None."""
    row = tx.one(_OWN, **_key(resource, level))
    return None if row is None else bytes(row.attributes)


def put(tx: Transaction, resource: str, level: Level, content: bytes | None) -> None:
    """Set the attributes of exactly this level; None takes them away."""
    before = tx.one(_OWN, **_key(resource, level))
    if content == (None if before is None else before.attributes):
        return
    version = 1 if before is None else before.version + 1
    if content is None:
        tx.execute(_DELETE, **_key(resource, level))
    elif before is not None or not tx.insert_new(
        _ATTRIBUTES,
        {
            "project": level.pattern.project,
            "domain_pattern": level.pattern.domain,
            "workflow": level.workflow,
            "resource": resource,
            "attributes": content,
            "version": version,
        },
    ):
        tx.execute(_CHANGE, **_key(resource, level), new_attributes=content, new_version=version)
    tx.changed(
        f"attributes {resource} of {level}",
        None if before is None else _described(before.attributes, before.version),
        None if content is None else _described(content, version),
        at=(level.pattern.project, level.pattern.domain),
    )


def _described(content: bytes, version: int) -> dict[str, str | int]:
    """Return what the audit's digest is of: no variables of an environment, which could be guessed by it."""
    attributes = matchable_resource_pb2.MatchingAttributes.FromString(content)
    if attributes.HasField("workflow_execution_config"):
        attributes.workflow_execution_config.ClearField("envs")
    return {"attributes": attributes.SerializeToString(deterministic=True).hex(), "version": version}


def every(tx: Transaction, resource: str) -> Sequence[Attributes]:
    """List all attributes of a resource on the server."""
    return [_from_row(row) for row in tx.all(_ALL, of_resource=resource)]


def _key(resource: str, level: Level) -> dict[str, str]:
    return {
        "of_resource": resource,
        "of_project": level.pattern.project,
        "of_domain": level.pattern.domain,
        "of_workflow": level.workflow,
    }


def _from_row(row: Row[Any]) -> Attributes:
    return Attributes(Level(ScopePattern(row.project, row.domain_pattern), row.workflow), bytes(row.attributes))
