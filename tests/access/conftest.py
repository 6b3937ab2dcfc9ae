"""What the tests of access share. `database` is to come from tests/conftest.py once that is there."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "deployment"))  # certificates: deployment_tls.py

from airspace_server.access.accounts import create_service_account
from airspace_server.access.identity import Principal
from airspace_server.access.policy import PolicyStore
from airspace_server.access.store import Binding, change, establish, insert_binding
from airspace_server.core.scope import ScopePattern
from airspace_server.storage.database import Database


@dataclass
class Clock:
    """A clock that stands still until it is moved: the time of day, and the seconds of a monotonic one."""

    now: float = 1_800_000_000.0

    def __call__(self) -> int:
        return int(self.now * 1_000_000)

    def seconds(self) -> float:
        return self.now


@dataclass
class Setup:
    """A policy in a database, and short words for what tests need in it."""

    database: Database
    clock: Clock
    policy: PolicyStore
    secrets: dict[str, str] = field(default_factory=dict)

    def bind(self, member: str, role: str, project: str = "*", domain: str = "*") -> Principal:
        with self.database.write() as tx:
            change(tx)
            insert_binding(tx, Binding(member, role, ScopePattern(project, domain), "user:test", 7))
        self.policy.refresh()
        return Principal(member)

    def account(self, name: str) -> str:
        with self.database.write() as tx:
            self.secrets[name], _ = create_service_account(tx, name, "user:test", 7)
        self.policy.refresh()
        return self.secrets[name]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def setup(database: Database, clock: Clock) -> Setup:
    with database.write() as tx:
        establish(tx)
    policy = PolicyStore(database, clock.seconds, now=clock)
    policy.refresh()
    return Setup(database, clock, policy)


@pytest.fixture
def other(database: Database) -> Iterator[Callable[[], Database]]:
    """Open the same database once more, as another process would."""
    opened: list[Database] = []

    def open_again() -> Database:
        opened.append(Database(database.url))
        return opened[-1]

    yield open_again
    for each in opened:
        each.close()
