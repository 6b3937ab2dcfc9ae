"""The gates that are set for a scope, and the door that they can close."""

from typing import Final

from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.gates import NO_GATES, Gates
from airspace_server.core.scope import Scope, ScopePattern
from airspace_server.storage.database import Transaction
from airspace_server.storage.settings import effective

PROMOTION: Final = "promotion"
"""The name of the setting that holds a pattern's gates."""


def gates(tx: Transaction, scope: Scope) -> Gates:
    """Return what a scope asks of versions that are promoted into it."""
    found = effective(tx, PROMOTION, ScopePattern(scope.project, scope.domain))
    return NO_GATES if found is None else Gates.loads(found[0])


def require_open(tx: Transaction, scope: Scope) -> None:
    """Raise DOMAIN_CLOSED where versions come by promotion alone."""
    if gates(tx, scope).closed:
        raise ApiError(
            Reason.DOMAIN_CLOSED,
            f"nothing is registered in {scope} directly: promote it from the domain before",
            {"scope": str(scope)},
        )
