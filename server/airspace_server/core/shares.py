"""How the slots of a worker are shared between domains. Pure.

A domain's share is a number of slots, not always a whole one. What a domain does not use others may, and give back when
it is wanted: to a domain that comes later in the server's order, at once, by ending what they run beyond their share.
Nothing that runs in a later domain is ever ended for an earlier one, nor anything within a domain's share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Final

MAX_NICE: Final = 19
"""The most that a process can stand back: about one part in seventy of a core that others want."""


@dataclass(frozen=True, slots=True)
class Shares:
    """The share of each domain in the slots of one worker, the domains in the server's order.

    A domain that has none, which the server's settings do not know any more, comes after all others.
    """

    slots: Mapping[str, Fraction]

    @classmethod
    def of(cls, weights: Mapping[str, int], slots: int) -> "Shares":
        """Divide so many slots by the weights of the domains."""
        total = sum(weights.values())
        return cls({domain: Fraction(slots * weight, total) for domain, weight in weights.items()})

    def rank(self, domain: str, running: int) -> tuple[bool, Fraction]:
        """Return what is smallest for the domain that is next, when `running` of it have a slot already."""
        share = self.slots.get(domain, Fraction(0))
        return not share, Fraction(running + 1) / (share or 1)

    def holds(self, domain: str) -> int:
        """Return how many executions of a domain a worker takes although it has enough of others.

        That many slots can be taken back for them; of more, another worker may have a slot that is free.
        """
        return floor(self.slots.get(domain, Fraction(0)))

    def nice(self, domain: str) -> int:
        """Return how far a domain's tasks stand back for others' where they want the same core.

        It is Unix's niceness: 0 for the last domain, the most for the first, and for one that has no share.
        """
        order = list(self.slots)
        if domain not in order or len(order) == 1:
            return 0 if domain in order else MAX_NICE
        return MAX_NICE * (len(order) - 1 - order.index(domain)) // (len(order) - 1)

    def reclaim(self, running: Mapping[str, int], wanting: Sequence[str]) -> tuple[str, str] | None:
        """Say for which of the domains that want a slot which other one must give one back, if there is such a pair.

        Only for a whole slot within its share does a domain get one back, and nobody goes below its own: what was given
        back is not wanted back, so that nothing goes to and fro. Of several that is the pair of the latest domain that
        wants, and of the earlier one that is the furthest beyond its share.
        """
        order = list(self.slots)
        for claimant in sorted(wanting, key=lambda domain: -order.index(domain) if domain in order else 1):
            share = self.slots.get(claimant, Fraction(0))
            if running.get(claimant, 0) + 1 > share:
                continue
            later = order.index(claimant)
            excess = {
                domain: running[domain] - self.slots.get(domain, Fraction(0))
                for domain in running
                if domain not in order[later:]
            }
            if excess and max(excess.values()) >= 1:
                return claimant, max(excess, key=lambda domain: excess[domain])
        return None
