"""Where things are: scopes, patterns of scopes, and the ids that begin with a scope."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ANY: Final = "*"
"""Stands for every project or every domain in a pattern; no project or domain can have this id."""


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """A project in a domain: the namespace of all that is registered and run, and the unit of authorization."""

    project: str
    domain: str

    def __str__(self) -> str:
        return f"{self.project}/{self.domain}"


@dataclass(frozen=True, slots=True, order=True)
class ScopePattern:
    """One scope or many: `ANY` stands for every project or every domain."""

    project: str
    domain: str

    def __str__(self) -> str:
        return f"{self.project}/{self.domain}"

    def covers(self, other: "ScopePattern | Scope") -> bool:
        """Tell whether every scope that `other` stands for is one that this pattern stands for."""
        return self.project in (ANY, other.project) and self.domain in (ANY, other.domain)


class EntityKind(StrEnum):
    """What can be registered; its value is how errors and lists name it."""

    TASK = "task"
    WORKFLOW = "workflow"
    LAUNCH_PLAN = "launch plan"


@dataclass(frozen=True, slots=True, order=True)
class EntityId:
    """One version of a task, workflow or launch plan."""

    scope: Scope
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.scope}/{self.name}:{self.version}"


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """What a workflow or launch plan refers to."""

    kind: EntityKind
    id: EntityId


@dataclass(frozen=True, slots=True, order=True)
class ExecutionId:
    """One execution."""

    scope: Scope
    name: str

    def __str__(self) -> str:
        return f"{self.scope}/{self.name}"
