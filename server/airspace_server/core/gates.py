"""What must hold before a version is promoted into a domain. Pure."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

from airspace_server.core.errors import ApiError, Reason

_HOUR: Final = 3_600_000_000
"""Microseconds."""


@dataclass(frozen=True, slots=True)
class Freeze:
    """A time in which nothing is promoted, from `start` until `end`, in microseconds, UTC; and why."""

    start: int
    end: int
    reason: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What is set for one pattern of scopes. A value that is None is inherited; freezes are added to those above."""

    successes: int | None = None
    within_hours: int | None = None
    soak_hours: int | None = None
    approvals: int | None = None
    closed: bool | None = None
    freezes: tuple[Freeze, ...] = ()

    def dumps(self) -> str:
        """Write it down as JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def loads(cls, text: str) -> "Asked":
        """Read what `dumps` wrote. Raises UNAVAILABLE for gates of a newer version, which must not be overlooked."""
        values = json.loads(text)
        try:
            return cls(**{**values, "freezes": tuple(Freeze(**each) for each in values["freezes"])})
        except TypeError:
            raise ApiError(Reason.UNAVAILABLE, "gates are set that this version of the server does not know") from None


@dataclass(frozen=True, slots=True)
class Gates:
    """What a domain asks of versions that are promoted into it. The order of the domains holds without being set.

    `successes` executions of the very version must have succeeded in the domain before, within the last `within_hours`
    if that is not 0; the version must have been there for `soak_hours`; `approvals` people other than the requester
    must agree. `closed` domains take nothing but promotions.
    """

    successes: int = 0
    within_hours: int = 0
    soak_hours: int = 0
    approvals: int = 0
    closed: bool = False
    freezes: tuple[Freeze, ...] = ()

    def since(self, now: int) -> int:
        """Return from when on a success counts."""
        return now - self.within_hours * _HOUR if self.within_hours else 0


VALUES: Final = ("successes", "within_hours", "soak_hours", "approvals", "closed")
"""What is inherited by itself."""


def inherited(levels: Sequence[Asked]) -> Gates:
    """Return what holds where so much is set, the most particular first: nothing is asked where nothing is set."""
    values = {
        name: getattr(each, name) for name in VALUES for each in reversed(levels) if getattr(each, name) is not None
    }
    return Gates(**values, freezes=tuple(dict.fromkeys(freeze for each in levels for freeze in each.freezes)))


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a version that is to be promoted.

    `skipped` are the domains between its own and the target, `successes` those that count, `registered_at` since when
    it is in its domain, `approvals` who agreed, the requester not among them. Times in microseconds, UTC.
    """

    skipped: tuple[str, ...]
    successes: int
    registered_at: int
    approvals: int
    now: int


@dataclass(frozen=True, slots=True)
class Gate:
    """A condition, whether it holds, and what was asked for and found."""

    name: str
    passed: bool
    message: str


def check(gates: Gates, facts: Facts) -> Sequence[Gate]:
    """Say of every condition whether it holds."""
    hours = (facts.now - facts.registered_at) // _HOUR
    within = f" within {gates.within_hours} hours" if gates.within_hours else ""
    frozen = max(
        (each for each in gates.freezes if each.start <= facts.now < each.end), key=lambda each: each.end, default=None
    )
    return (
        Gate(
            "order",
            not facts.skipped,
            f"skips {', '.join(facts.skipped)}" if facts.skipped else "comes from the domain before",
        ),
        Gate(
            "successes",
            facts.successes >= gates.successes,
            f"{facts.successes} of {gates.successes} executions of this version succeeded{within}",
        ),
        Gate(
            "soak",
            facts.now - facts.registered_at >= gates.soak_hours * _HOUR,
            f"there for {hours} of {gates.soak_hours} hours",
        ),
        Gate(
            "approvals",
            facts.approvals >= gates.approvals,
            f"{facts.approvals} of {gates.approvals} approvals",
        ),
        Gate(
            "freeze",
            frozen is None,
            "not frozen" if frozen is None else f"frozen until {_moment(frozen.end)}: {frozen.reason}",
        ),
    )


def _moment(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M UTC")
