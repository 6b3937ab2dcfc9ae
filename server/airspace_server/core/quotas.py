"""How much each project may run in each domain. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from airspace_server.core.scope import ScopePattern


class Quota(StrEnum):
    """What is limited; its value is the name of its setting and of its field in the contract."""

    EXECUTIONS_RUNNING = "executions_running"
    """Executions that a worker has taken and that have not ended."""
    EXECUTIONS_QUEUED = "executions_queued"
    """Executions that no worker has taken yet."""
    LAUNCHES_PER_MINUTE = "launches_per_minute"
    """Executions that were launched within the last 60 seconds, whenever one looks."""


BUILT_IN: Final[Mapping[Quota, int]] = {
    Quota.EXECUTIONS_RUNNING: 100,
    Quota.EXECUTIONS_QUEUED: 1000,
    Quota.LAUNCHES_PER_MINUTE: 600,
}
"""What holds where nobody has set anything: nothing is without a limit."""

LARGEST: Final = 1_000_000
"""The largest limit that can be set."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that holds, and the pattern that it is set for; None for one of `BUILT_IN`."""

    value: int
    origin: ScopePattern | None


Quotas = Mapping[Quota, Limit]
"""All that holds in a scope."""
