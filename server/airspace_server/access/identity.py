"""Who a caller is."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose token was verified.

    `member` is how bindings name it ("user:ID" or "service-account:ID"); `groups` are the members ("group:ID") that its
    token says it belongs to. `name` and `email` are for people and never decide
    anything.
    """

    member: str
    groups: frozenset[str] = frozenset()
    name: str = ""
    email: str = ""

    @property
    def members(self) -> tuple[str, ...]:
        """All members whose bindings count for this principal."""
        return (self.member, *sorted(self.groups))


ANONYMOUS: Final = Principal("anonymous:")
"""The caller of a public RPC. No binding can name it: "anonymous" is not a kind of member."""
