"""Descriptions of versions: what was said of a task or workflow when it was registered."""

from dataclasses import dataclass
from typing import Any, Final

from flyteidl.admin import description_entity_pb2
from sqlalchemy import Select, bindparam, select

from airspace_server.core.errors import invalid_field, not_found
from airspace_server.core.scope import EntityId, EntityKind
from airspace_server.storage.database import Transaction, scoped
from airspace_server.storage.tables import DescriptionRow, table

DESCRIPTIONS: Final = table(DescriptionRow)
MAX_DESCRIPTION: Final = 1024 * 1024
"""Largest description of a version, in bytes."""


def all_of(kind: EntityKind) -> Select[Any]:
    """Select the descriptions of a kind in a scope."""
    return select(DESCRIPTIONS).where(scoped(DESCRIPTIONS), DESCRIPTIONS.c.kind == kind.name)


_ONE: Final = select(DESCRIPTIONS).where(
    scoped(DESCRIPTIONS),
    DESCRIPTIONS.c.kind == bindparam("kind"),
    DESCRIPTIONS.c.name == bindparam("name"),
    DESCRIPTIONS.c.version == bindparam("version"),
)


@dataclass(frozen=True, slots=True)
class Description:
    """How a version is described: in a line, and as a serialized DescriptionEntity without its id, None for nothing."""

    short: str
    whole: bytes | None

    @classmethod
    def of(cls, description: description_entity_pb2.DescriptionEntity) -> "Description":
        """Read what a client registers. Raises INVALID_FIELD."""
        if "\0" in description.short_description:
            raise invalid_field("spec.description.short_description", "must not contain a NUL character")
        kept = description_entity_pb2.DescriptionEntity()
        kept.CopyFrom(description)
        kept.ClearField("id")
        serialized = kept.SerializeToString(deterministic=True)
        if len(serialized) > MAX_DESCRIPTION:
            raise invalid_field("spec.description", f"must have at most {MAX_DESCRIPTION} bytes")
        return cls(description.short_description, serialized or None)


def insert(tx: Transaction, kind: EntityKind, id_: EntityId, description: Description, now: int) -> None:
    """Keep the description of a version that was just inserted."""
    if description.whole is not None:
        row = {"kind": kind.name, "name": id_.name, "version": id_.version, "created_at": now}
        tx.insert(DESCRIPTIONS, {**row, "short_description": description.short, "description": description.whole})


def of_version(tx: Transaction, kind: EntityKind, id_: EntityId) -> Description:
    """Return how a version is described."""
    row = tx.one(_ONE, kind=kind.name, name=id_.name, version=id_.version)
    return Description("", None) if row is None else Description(row.short_description, bytes(row.description))


def get(tx: Transaction, kind: EntityKind, id_: EntityId) -> bytes:
    """Return the description of a version, a serialized DescriptionEntity without an id. Raises NOT_FOUND."""
    row = tx.one(_ONE, kind=kind.name, name=id_.name, version=id_.version)
    if row is None:
        raise not_found(f"description of a {kind.value}", str(id_))
    return bytes(row.description)
