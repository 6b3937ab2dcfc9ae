"""Whether one project may refer to what is another's: asked in the transaction that registers or launches."""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import bindparam, select

from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.scope import ANY, Reference, Scope
from airspace_server.storage.database import Transaction
from airspace_server.storage.tables import ExportRow, table

EXPORTS: Final = table(ExportRow)

_EXPORTED: Final = select(EXPORTS.c.creator).where(
    EXPORTS.c.exporter == bindparam("exporter"),
    EXPORTS.c.export_domain == bindparam("own_domain"),
    EXPORTS.c.kind == bindparam("kind"),
    EXPORTS.c.name.in_((bindparam("name"), ANY)),
    EXPORTS.c.consumer == bindparam("consumer"),
)
_HELD: Final = _EXPORTED.with_for_update(read=True)


def may_refer(tx: Transaction, consumer: Scope, used: Reference, *, hold: bool = False) -> bool:
    """Tell whether what is registered in a scope may refer to this; with `hold`, until the transaction ends.

    Never across domains, whatever is exported. Nothing of the thing itself is looked at, so that the answer is the same
    whether or not it exists.
    """
    exporter = used.id.scope
    if exporter == consumer:
        return True
    if exporter.domain != consumer.domain:
        return False
    row = tx.one(
        _HELD if hold else _EXPORTED,
        exporter=exporter.project,
        own_domain=exporter.domain,
        kind=used.kind.name,
        name=used.id.name,
        consumer=consumer.project,
    )
    return row is not None


def require_exported(tx: Transaction, consumer: Scope, needed: Iterable[Reference]) -> None:
    """Hold every export that a version needs until the transaction ends: taking it back waits, or has already won.

    Raises EXPORT_MISSING naming the first thing that is not exported; whoever asks can read of it in the version.
    """
    for used in sorted(needed):
        if not may_refer(tx, consumer, used, hold=True):
            raise ApiError(
                Reason.EXPORT_MISSING,
                f"{used.kind.value} {used.id} is not exported to project {consumer.project}",
                {"kind": used.kind.value, "reference": str(used.id), "project": consumer.project},
            )
