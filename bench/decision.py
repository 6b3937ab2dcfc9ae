"""What a decision costs, by the number of bindings in the policy, and what it costs to load one."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, product

from airspace_server.access.decide import Grant, Grants, Need, first_missing
from airspace_server.access.identity import Principal
from airspace_server.access.policy import load
from airspace_server.access.store import establish
from airspace_server.core.permissions import BUILT_IN_ROLES, Permission
from airspace_server.core.scope import ANY, ScopePattern
from airspace_server.storage.database import Database
from airspace_server.storage.migrate import migrate
from airspace_server.storage.tables import BindingRow, table

_DOMAINS = ("development", "staging", "production")
_ROLES = ("viewer", "contributor", "operator", "releaser")
_PROJECTS = 997
_SAMPLES = 10_000
_PASSES = 7
_LOADS = 5


@dataclass(frozen=True, slots=True)
class Decision:
    """Times of one decision in microseconds."""

    median: float
    p99: float


def decisions(sizes: Sequence[int]) -> Sequence[Decision]:
    """Time decisions about a user in two groups, each about another scope, by policies of these many bindings.

    Most are refusals, which cost the most. Of several passes over all policies the lowest median of each counts, and
    its p99: what else the machine does can only make a pass slower.
    """
    policies = [
        Grants.compile(Grant(member, pattern, BUILT_IN_ROLES[role]) for member, role, pattern in _bindings(size))
        for size in sizes
    ]
    principal = Principal("user:u0", frozenset({"group:g0", "group:g1"}))
    asked = [
        (Need(Permission.EXECUTION_VIEW, ScopePattern(f"p{n % _PROJECTS}", _DOMAINS[n % len(_DOMAINS)])),)
        for n in range(_SAMPLES)
    ]
    passes = [[_timed(principal, asked, grants) for grants in policies] for _ in range(_PASSES)]
    return [min(times, key=lambda each: each.median) for times in zip(*passes, strict=True)]


def _timed(principal: Principal, asked: Sequence[tuple[Need, ...]], grants: Grants) -> Decision:
    times = []
    for needs in asked:
        started = time.perf_counter_ns()
        first_missing(principal, needs, grants)
        times.append((time.perf_counter_ns() - started) / 1000)
    times.sort()
    return Decision(statistics.median(times), times[len(times) * 99 // 100])


def load_time(database: Database, bindings: int) -> float:
    """Fill an empty database with bindings and return how long it takes to read and compile them, in milliseconds."""
    migrate(database)
    rows = [
        {
            "member": member,
            "role": role,
            "project_pattern": pattern.project,
            "domain_pattern": pattern.domain,
            "creator": "user:u0",
            "created_at": 0,
        }
        for member, role, pattern in _bindings(bindings)
    ]
    with database.write() as tx:
        establish(tx)
        tx.insert(table(BindingRow), *rows)
    times = []
    for _ in range(_LOADS):
        started = time.perf_counter()
        with database.read() as tx:
            load(tx, 1, 0)
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def _bindings(count: int) -> Sequence[tuple[str, str, ScopePattern]]:
    """Return bindings of as many members as it takes, ten for three of them; the first three are whom decisions ask."""
    places = islice(product(range(count // 10 + 1), range(10)), count)
    return [
        (
            (f"user:u{three}", f"group:g{2 * three}", f"group:g{2 * three + 1}")[place % 3],
            _ROLES[place % len(_ROLES)],
            ScopePattern(f"p{(three * 7 + place) % _PROJECTS}", (*_DOMAINS, ANY)[place % 4]),
        )
        for three, place in places
    ]
