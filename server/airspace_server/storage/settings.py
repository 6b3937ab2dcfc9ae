"""What both wings ask about the settings of a scope inside their own transactions, and what changes them."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from sqlalchemy import bindparam, select

from airspace_server.core.quotas import BUILT_IN, Limit, Quota, Quotas
from airspace_server.core.run_as import NO_IDENTITY, RunAs
from airspace_server.core.scope import ANY, Scope, ScopePattern
from airspace_server.storage.database import Transaction
from airspace_server.storage.tables import SettingRow, table

RUN_AS: Final = "run_as"
"""The name of the setting that says as whom tasks may run."""

_SETTINGS: Final = table(SettingRow)
_ABOVE: Final = select(_SETTINGS.c.project_pattern, _SETTINGS.c.domain_pattern, _SETTINGS.c.value).where(
    _SETTINGS.c.name == bindparam("setting"),
    _SETTINGS.c.project_pattern.in_(bindparam("projects", expanding=True)),
    _SETTINGS.c.domain_pattern.in_(bindparam("domains", expanding=True)),
)
_ABOVE_OF: Final = select(
    _SETTINGS.c.name, _SETTINGS.c.project_pattern, _SETTINGS.c.domain_pattern, _SETTINGS.c.value
).where(
    _SETTINGS.c.name.in_(bindparam("settings", expanding=True)),
    _SETTINGS.c.project_pattern.in_(bindparam("projects", expanding=True)),
    _SETTINGS.c.domain_pattern.in_(bindparam("domains", expanding=True)),
)
_EVERYWHERE: Final = select(_SETTINGS.c.project_pattern, _SETTINGS.c.domain_pattern, _SETTINGS.c.value).where(
    _SETTINGS.c.name == bindparam("setting")
)
_THIS: Final = (
    (_SETTINGS.c.name == bindparam("setting"))
    & (_SETTINGS.c.project_pattern == bindparam("of_project"))
    & (_SETTINGS.c.domain_pattern == bindparam("of_domain"))
)
_OWN: Final = select(_SETTINGS.c.value).where(_THIS).with_for_update()
_CHANGE: Final = _SETTINGS.update().where(_THIS).values(value=bindparam("new_value"))
_DELETE: Final = _SETTINGS.delete().where(_THIS)


def effective(tx: Transaction, setting: str, pattern: ScopePattern) -> tuple[str, ScopePattern] | None:
    """Return the value of a setting that holds in all of a pattern, and the pattern that it is set for, or None."""
    return next(iter(levels(tx, setting, pattern)), None)


def levels(tx: Transaction, setting: str, pattern: ScopePattern) -> Sequence[tuple[str, ScopePattern]]:
    """Return what is set of a setting for all of a pattern, with what it is set for, the most particular first.

    That is project and domain, then the project, then the domain, then the server.
    """
    found = tx.all(_ABOVE, setting=setting, projects=[pattern.project, ANY], domains=[pattern.domain, ANY])
    return list(_by_particularity({(row.project_pattern, row.domain_pattern): row.value for row in found}, pattern))


def _by_particularity(
    values: Mapping[tuple[str, str], str], pattern: ScopePattern | Scope
) -> Iterator[tuple[str, ScopePattern]]:
    for project, domain in dict.fromkeys(itertools.product((pattern.project, ANY), (pattern.domain, ANY))):
        if (project, domain) in values:
            yield values[project, domain], ScopePattern(project, domain)


def _most_particular(
    values: Mapping[tuple[str, str], str], pattern: ScopePattern | Scope
) -> tuple[str, ScopePattern] | None:
    return next(_by_particularity(values, pattern), None)


def run_as(tx: Transaction, scope: Scope | ScopePattern) -> RunAs:
    """Return as whom tasks may run in a scope, or in all of a pattern: nobody where nothing is set."""
    found = effective(tx, RUN_AS, ScopePattern(scope.project, scope.domain))
    return NO_IDENTITY if found is None else RunAs.loads(found[0])


def quotas(tx: Transaction, pattern: ScopePattern) -> Quotas:
    """Return how much may run in each scope of a pattern: each limit by itself, the server's own where none is set.

    It is asked at every launch, so this is one statement.
    """
    found: dict[Quota, dict[tuple[str, str], str]] = {quota: {} for quota in Quota}
    projects, domains = [pattern.project, ANY], [pattern.domain, ANY]
    for row in tx.all(_ABOVE_OF, settings=list(Quota), projects=projects, domains=domains):
        found[Quota(row.name)][row.project_pattern, row.domain_pattern] = row.value
    limits = {}
    for quota in Quota:
        held = _most_particular(found[quota], pattern)
        limits[quota] = Limit(BUILT_IN[quota], None) if held is None else Limit(int(held[0]), held[1])
    return limits


def limits(tx: Transaction, quota: Quota, scopes: Iterable[Scope]) -> Mapping[Scope, int]:
    """Return what one limit is in each of several scopes, with one statement."""
    values = {(row.project_pattern, row.domain_pattern): row.value for row in tx.all(_EVERYWHERE, setting=quota)}
    found = {scope: _most_particular(values, scope) for scope in scopes}
    return {scope: BUILT_IN[quota] if held is None else int(held[0]) for scope, held in found.items()}


def own_quotas(tx: Transaction, pattern: ScopePattern) -> Mapping[Quota, int]:
    """Return the limits that are set for exactly this pattern."""
    found = {quota: own(tx, quota, pattern) for quota in Quota}
    return {quota: int(value) for quota, value in found.items() if value is not None}


def put_quotas(tx: Transaction, pattern: ScopePattern, wanted: Mapping[Quota, int]) -> None:
    """Set limits for exactly this pattern; those that are not there are inherited from now on."""
    for quota in Quota:
        put(tx, quota, pattern, str(wanted[quota]) if quota in wanted else None)


def own(tx: Transaction, setting: str, pattern: ScopePattern) -> str | None:
    """Return what is set for exactly this pattern, or None."""
    row = tx.one(_OWN, setting=setting, of_project=pattern.project, of_domain=pattern.domain)
    return None if row is None else row.value


def put(tx: Transaction, setting: str, pattern: ScopePattern, value: str | None) -> None:
    """Set a setting for exactly this pattern; None takes away what is set."""
    key = {"setting": setting, "of_project": pattern.project, "of_domain": pattern.domain}
    before = own(tx, setting, pattern)
    if value is None:
        tx.execute(_DELETE, **key)
    elif before is not None or not tx.insert_new(
        _SETTINGS,
        {"name": setting, "project_pattern": pattern.project, "domain_pattern": pattern.domain, "value": value},
    ):
        tx.execute(_CHANGE, **key, new_value=value)
    contents = (None if each is None else {"value": each} for each in (before, value))
    tx.changed(f"setting {setting} of {pattern}", *contents, at=(pattern.project, pattern.domain))
