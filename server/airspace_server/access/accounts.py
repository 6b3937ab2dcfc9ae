"""Service accounts: create, list, give a new secret, disable, enable. Each change is one of the policy (store.py).

Whoever gets a secret can be its account, and enabling one gives back what it is bound to. So both are only for those
who hold all of that.
"""

import secrets
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, bindparam, select

from airspace_server.access.identity import Principal, service_account
from airspace_server.access.issuer import secret_hash
from airspace_server.access.store import change, require_another_admin, require_own_bindings
from airspace_server.core.errors import ApiError, Reason, not_found
from airspace_server.storage.database import Transaction
from airspace_server.storage.paging import page
from airspace_server.storage.tables import ServiceAccountRow, table

_SECRET_BYTES: Final = 32
_ACCOUNTS: Final = table(ServiceAccountRow)
_THIS: Final = _ACCOUNTS.c.name == bindparam("account_name")
_ONE: Final = select(_ACCOUNTS).where(_THIS).with_for_update()
_RENEW: Final = (
    _ACCOUNTS.update().where(_THIS).values(secret_hash=bindparam("new_hash"), generation=bindparam("new_generation"))
)
_SET_DISABLED: Final = _ACCOUNTS.update().where(_THIS).values(disabled=bindparam("now_disabled"))


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A service account, without its secret. `created_at` is in microseconds since the epoch, UTC."""

    name: str
    disabled: bool
    creator: str
    created_at: int

    @property
    def member(self) -> str:
        """How bindings name it."""
        return service_account(self.name)


def create_service_account(tx: Transaction, name: str, creator: str, at: int) -> tuple[str, int]:
    """Create a service account; return its secret, which nothing can show again, and the revision that has it.

    `at` is in microseconds since 1970, UTC. Raises ALREADY_EXISTS.
    """
    revision = change(tx)
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    row = {
        "name": name,
        "secret_hash": secret_hash(secret),
        "generation": 1,
        "disabled": False,
        "creator": creator,
        "created_at": at,
    }
    if not tx.insert_new(_ACCOUNTS, row):
        raise ApiError(
            Reason.ALREADY_EXISTS, f"service account {name} exists", {"kind": "service account", "name": name}
        )
    tx.changed(f"service account {name}", None, {"creator": creator, "disabled": False, "generation": 1})
    return secret, revision


def rotate_secret(tx: Transaction, caller: Principal, name: str) -> tuple[str, int]:
    """Give an account a new secret; return it, and the revision from which the old one and its tokens count no more.

    Raises NOT_FOUND, and GRANT_EXCEEDS_OWN unless the caller holds all that the account is bound to.
    """
    revision = change(tx)
    row = _one(tx, name)
    require_own_bindings(tx, caller, service_account(name))
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    generation = row.generation + 1
    tx.execute(_RENEW, account_name=name, new_hash=secret_hash(secret), new_generation=generation)
    tx.changed(f"secret of service account {name}", {"generation": row.generation}, {"generation": generation})
    return secret, revision


def disable(tx: Transaction, name: str) -> tuple[ServiceAccount, int]:
    """Disable an account, whose tokens count no more from then on; return it and the revision.

    Raises NOT_FOUND, and LAST_ADMIN for the last one who is an administrator of the server.
    """
    revision = change(tx)
    row = _one(tx, name)
    require_another_admin(tx, service_account(name))
    return _set_disabled(tx, row, disabled=True), revision


def enable(tx: Transaction, caller: Principal, name: str) -> tuple[ServiceAccount, int]:
    """Enable an account, which gives it back all that it is bound to; return it and the revision.

    Raises NOT_FOUND, and GRANT_EXCEEDS_OWN unless the caller holds all of that.
    """
    revision = change(tx)
    row = _one(tx, name)
    require_own_bindings(tx, caller, service_account(name))
    return _set_disabled(tx, row, disabled=False), revision


def _set_disabled(tx: Transaction, row: Row[Any], *, disabled: bool) -> ServiceAccount:
    name = row.name
    if row.disabled != disabled:
        tx.execute(_SET_DISABLED, account_name=name, now_disabled=disabled)
        tx.changed(f"service account {name}", {"disabled": row.disabled}, {"disabled": disabled})
    return ServiceAccount(name, disabled, row.creator, row.created_at)


def list_accounts(
    tx: Transaction, position: tuple[Any, ...] | None, size: int
) -> tuple[list[ServiceAccount], tuple[Any, ...] | None]:
    """Return a page of accounts by name, and where the next begins."""
    rows, end = page(tx, select(_ACCOUNTS), (_ACCOUNTS.c.name,), size=size, last=position, descending=False)
    return [ServiceAccount(row.name, row.disabled, row.creator, row.created_at) for row in rows], end


def _one(tx: Transaction, name: str) -> Row[Any]:
    row = tx.one(_ONE, account_name=name)
    if row is None:
        raise not_found("service account", name)
    return row
