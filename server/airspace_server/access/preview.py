"""What another policy would have answered to the calls that were made. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from airspace_server.access.decide import Grants, Need, holds
from airspace_server.access.identity import Principal
from airspace_server.access.usage import Used


@dataclass(frozen=True, slots=True)
class Flip:
    """Calls whose answer another policy turns: how many, and when the last was, in hours since the epoch.

    `allowed` tells whether they are let in by that policy.
    """

    member: str
    method: str
    need: Need
    calls: int
    last_hour: int
    allowed: bool


def flips(used: Iterable[Used], now: Grants, then: Grants) -> Sequence[Flip]:
    """Return the calls that `then` would answer otherwise than `now`, the most frequent first."""
    found: dict[tuple[str, str, Need, bool], tuple[int, int]] = {}
    decided: dict[tuple[Principal, Need], tuple[bool, bool]] = {}
    for each in used:
        question = (each.principal, each.need)
        if question not in decided:
            decided[question] = (holds(*question, now), holds(*question, then))
        before, after = decided[question]
        if before != after:
            key = (each.principal.member, each.method, each.need, after)
            calls, last = found.get(key, (0, 0))
            found[key] = (calls + each.calls, max(last, each.hour))
    made = [Flip(member, method, need, *found[member, method, need, to], to) for member, method, need, to in found]
    return sorted(made, key=lambda flip: (-flip.calls, flip.member, flip.method, str(flip.need.target)))
