"""The gates that are set for a scope, and the door that they can close."""

from typing import Final

from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.gates import Asked, Gates, inherited
from airspace_server.core.scope import Scope, ScopePattern
from airspace_server.storage.database import Transaction
from airspace_server.storage.settings import levels

PROMOTION: Final = "promotion"
"""The name of the setting that holds a pattern's gates."""


def gates(tx: Transaction, scope: Scope) -> Gates:
    """Return what a scope asks of versions that are promoted into it."""
    set_there = levels(tx, PROMOTION, ScopePattern(scope.project, scope.domain))
    return inherited([Asked.loads(value) for value, _ in set_there])


def require_open(tx: Transaction, scope: Scope) -> None:
    """Raise DOMAIN_CLOSED where versions come by promotion alone."""
    if gates(tx, scope).closed:
        raise ApiError(
            Reason.DOMAIN_CLOSED,
            f"nothing is registered in {scope} directly: promote it from the domain before",
            {"scope": str(scope)},
        )
