"""Who a caller is."""

from dataclasses import dataclass
from typing import Final

from airspace_server.core.scope import ExecutionId


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose token was verified.

    `member` is how bindings name it ("user:ID" or "service-account:ID"); `groups` are the members ("group:ID") that its
    token says it belongs to. `name` and `email` are for people and never decide anything.

    The code of a task calls as its `execution`, which no binding can name. It has no rights of its own but some of its
    `launcher`, who launched it: see decide.py.
    """

    member: str
    groups: frozenset[str] = frozenset()
    name: str = ""
    email: str = ""
    execution: ExecutionId | None = None
    launcher: "Principal | None" = None

    @classmethod
    def of_execution(cls, execution: ExecutionId, launcher: "Principal | None" = None) -> "Principal":
        """Make the principal of an execution; without a launcher it may do nothing."""
        return cls(f"{EXECUTION}:{execution}", execution=execution, launcher=launcher)

    @property
    def origin(self) -> "Principal":
        """On whose rights the calls of this principal stand: its execution's launcher, or itself."""
        return self.launcher or self

    @property
    def members(self) -> tuple[str, ...]:
        """All members whose bindings count for this principal."""
        return (self.member, *sorted(self.groups))


SERVICE_ACCOUNT: Final = "service-account"
"""The kind of member that service accounts are."""
EXECUTION: Final = "execution"
"""What stands before the colon of an execution's name as a principal. It is not a kind of member."""
ANONYMOUS: Final = Principal("anonymous:")
"""The caller of a public RPC. No binding can name it: "anonymous" is not a kind of member."""


def service_account(name: str) -> str:
    """Return the member that a service account is."""
    return f"{SERVICE_ACCOUNT}:{name}"


def account_of(member: str) -> str | None:
    """Return the name of the service account that a member is, None for people and groups."""
    kind, _, name = member.partition(":")
    return name if kind == SERVICE_ACCOUNT else None
