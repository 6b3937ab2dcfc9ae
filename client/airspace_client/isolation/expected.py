"""What a deployment must answer, by the published rules: independent of how the server decides.

rules.json is generated from the contract and from Flyte's rules (`make gen`), as docs/authorization.md is.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

OWN, WHOLE = "development", "*"
"""The domains that the kit's accounts are bound in."""
_RULES: Final = "rules.json"


@dataclass(frozen=True, slots=True)
class Rule:
    """What an RPC needs: permissions, each with where it must be held: scope, every, some or everywhere.

    Without any it asks for a token at most.
    """

    needs: tuple[tuple[str, str], ...]


def rules() -> Mapping[str, Rule]:
    """Return the rule of every RPC, by the path under which gRPC calls it."""
    text = files(__package__).joinpath(_RULES).read_text(encoding="utf-8")
    return {path: Rule(tuple((need[0], need[1]) for need in needs)) for path, needs in json.loads(text).items()}


@dataclass(frozen=True, slots=True)
class Account:
    """Who calls: the permissions of its role, bound in a domain of the first project, or in all of it ("*")."""

    name: str
    domain: str
    permissions: frozenset[str]

    def may(self, rule: Rule, *, own_project: bool, domain: str) -> bool:
        """Tell whether it may call an RPC about a domain of the first project, or of another one."""
        places = {
            "scope": own_project and self.domain in (WHOLE, domain),
            "every": own_project and self.domain == WHOLE,
            "some": own_project,
            "everywhere": False,
        }
        return all(permission in self.permissions and places[where] for permission, where in rule.needs)
