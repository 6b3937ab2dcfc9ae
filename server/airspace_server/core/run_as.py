"""As whom tasks may run outside of this server. Pure.

Flyte lets whoever registers or launches something name a Kubernetes service account or an IAM role, and asks nobody.
Here a name counts only where somebody who answers for the whole server has allowed it.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final

from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.scope import Scope, ScopePattern


class IdentityKind(StrEnum):
    """What can be named."""

    SERVICE_ACCOUNT = "service account"
    IAM_ROLE = "IAM role"


@dataclass(frozen=True, slots=True)
class NamedIdentity:
    """An identity that a message names at `path`."""

    kind: IdentityKind
    name: str
    path: str


@dataclass(frozen=True, slots=True)
class RunAs:
    """Which identities may be named in a scope, and those of executions that name none ("" is none)."""

    service_accounts: tuple[str, ...] = ()
    iam_roles: tuple[str, ...] = ()
    default_service_account: str = ""
    default_iam_role: str = ""

    def allows(self, identity: NamedIdentity) -> bool:
        """Tell whether an identity may be named."""
        allowed = self.service_accounts if identity.kind is IdentityKind.SERVICE_ACCOUNT else self.iam_roles
        return identity.name in allowed

    def dumps(self) -> str:
        """Write it as JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def loads(cls, text: str) -> "RunAs":
        """Read it from JSON."""
        values = json.loads(text)
        return cls(
            tuple(values["service_accounts"]),
            tuple(values["iam_roles"]),
            values["default_service_account"],
            values["default_iam_role"],
        )


NO_IDENTITY: Final = RunAs()
"""What holds where nothing is set."""


def require_allowed(run_as: RunAs, scope: Scope | ScopePattern, identities: Iterable[NamedIdentity]) -> None:
    """Raise RUN_AS_FORBIDDEN for the first identity that may not be named in the scope."""
    for identity in identities:
        if not run_as.allows(identity):
            raise ApiError(
                Reason.RUN_AS_FORBIDDEN,
                f"{identity.path} names the {identity.kind} {identity.name}, which is not allowed in {scope}; "
                "who may change the settings of the server can allow it",
                {"kind": identity.kind.value, "identity": identity.name, "scope": str(scope)},
                identity.path,
            )
