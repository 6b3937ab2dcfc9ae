"""What a server begins with: three service accounts, and the files that let clients be them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from airspace_server.access.accounts import create_service_account
from airspace_server.access.http import TOKEN_PATH
from airspace_server.access.identity import SERVICE_ACCOUNT, Principal, account_of, service_account
from airspace_server.access.issuer import SCOPE
from airspace_server.access.keys import read_private, write_private
from airspace_server.access.store import Binding, bindings_of, establish, has_bindings, insert_binding
from airspace_server.core import names
from airspace_server.core.permissions import ADMIN
from airspace_server.core.scope import ANY, ScopePattern
from airspace_server.storage.database import Database

DEVELOPMENT: Final[Mapping[str, tuple[str, ScopePattern]]] = {
    "admin": (ADMIN, ScopePattern(ANY, ANY)),
    "developer": ("contributor", ScopePattern(ANY, "development")),
    "releaser": ("releaser", ScopePattern(ANY, ANY)),
}
"""The service accounts of development mode, and what each is bound to."""


class ClientFilesError(RuntimeError):
    """The secrets of the development accounts are gone. The message says to the operator what to do."""


def seed_development(database: Database, at: int) -> Mapping[str, str]:
    """Create the development accounts on the very first start and return their secrets, which nothing can show again.

    Where anybody is bound to anything it is not the first start: nothing is changed and nothing returned. `at` is in
    microseconds since 1970, UTC. Raises ALREADY_EXISTS for an account of the same name without any binding at all.
    """
    creator = service_account("admin")
    with database.write() as tx:
        establish(tx)
        if has_bindings(tx):
            return {}
        secrets = {}
        for name, (role, pattern) in DEVELOPMENT.items():
            secrets[name], _ = create_service_account(tx, name, creator, at)
            insert_binding(tx, Binding(service_account(name), role, pattern, creator, at))
        return secrets


def seed_production(database: Database, member: str, folder: Path, at: int) -> None:
    """Make `member` the administrator when nobody is bound to anything yet; "" makes nobody one.

    A service account is created, and its secret written to `folder`/{name}.secret, private: nothing shows it again.
    `at` is in microseconds since the epoch. Raises ValueError for what is no member, or a group, and for a database
    that development mode has begun.
    """
    if member and (names.member(member) or member.partition(":")[0] not in ("user", SERVICE_ACCOUNT)):
        raise ValueError("bootstrap_admin must be user:ID or service-account:ID")
    with database.write() as tx:
        establish(tx)
        if all(bindings_of(tx, Principal(service_account(name))) for name in DEVELOPMENT):
            raise ValueError("the database has the accounts of development mode; production needs one of its own")
        if not member or has_bindings(tx):
            return
        account = account_of(member)
        if account is not None:
            secret, _ = create_service_account(tx, account, member, at)
            write_private(folder / f"{account}.secret", secret.encode(), replace=True)
        insert_binding(tx, Binding(member, ADMIN, ScopePattern(ANY, ANY), member, at))


def write_client_files(
    folder: Path,
    secrets: Mapping[str, str],
    grpc_target: str,
    http_url: str,
    *,
    tls: bool = False,
    roots: Path | None = None,
) -> None:
    """Write what pyflyte, flytectl and our own client read: in `folder`, {name}.yaml and {name}.secret, all private.

    `secrets` are what `seed_development` returned; on a later start there are none, the secret files stay and only the
    rest is written anew, since ports may have changed. `grpc_target` is "host:port", `http_url` where the token
    endpoint is; with `tls` both are encrypted, and `roots` is the PEM file to trust.

    Raises ClientFilesError when a secret is neither given nor there, and KeyFileError.
    """
    for name in DEVELOPMENT:
        place = (folder / f"{name}.secret").absolute()
        if name in secrets:
            write_private(place, secrets[name].encode(), replace=True)
        else:
            try:
                read_private(place)
            except FileNotFoundError:
                raise ClientFilesError(
                    f"{place} is gone, and what it held cannot be shown again. Put a copy of it back, "
                    "or begin anew with an empty data folder"
                ) from None
        config = _client_config(name, place, grpc_target, http_url.rstrip("/"), tls, roots)
        write_private(folder / f"{name}.yaml", config.encode(), replace=True)


def _client_config(name: str, secret: Path, grpc_target: str, http_url: str, tls: bool, roots: Path | None) -> str:
    """Return the YAML, in which every JSON string is a string."""

    def quoted(text: str) -> str:
        return json.dumps(text, ensure_ascii=False)

    trust = f"\n  caCertFilePath: {quoted(str(roots.absolute()))}" if tls and roots else ""
    return f"""\
# Written anew at every start of the server; the secret beside it is written once.
admin:
  endpoint: {quoted(f"dns:///{grpc_target}")}
  insecure: {str(not tls).lower()}{trust}
  authType: ClientSecret
  clientId: {quoted(name)}
  clientSecretLocation: {quoted(str(secret))}
  scopes: [{SCOPE}]
  tokenUrl: {quoted(http_url + TOKEN_PATH)}
console:
  endpoint: {quoted(http_url)}
"""
