"""What a caller may be allowed to do, and the roles that come with the server."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Permission(StrEnum):
    """Documented value by value in airspace/options/v1/options.proto (a test compares them)."""

    PROJECT_CREATE = "project.create"
    PROJECT_VIEW = "project.view"
    PROJECT_UPDATE = "project.update"
    PROJECT_ARCHIVE = "project.archive"
    REGISTRY_VIEW = "registry.view"
    REGISTRY_REGISTER = "registry.register"
    REGISTRY_UPDATE = "registry.update"
    LAUNCHPLAN_ACTIVATE = "launchplan.activate"
    EXECUTION_VIEW = "execution.view"
    EXECUTION_LAUNCH = "execution.launch"
    EXECUTION_TERMINATE = "execution.terminate"
    EXECUTION_SIGNAL = "execution.signal"
    ARTIFACT_READ = "artifact.read"
    ARTIFACT_WRITE = "artifact.write"
    SETTINGS_VIEW = "settings.view"
    SETTINGS_UPDATE = "settings.update"
    ACCESS_VIEW = "access.view"
    ACCESS_MANAGE = "access.manage"
    PROMOTION_PROMOTE = "promotion.promote"
    PROMOTION_OVERRIDE = "promotion.override"
    EXPORT_MANAGE = "export.manage"
    AUDIT_VIEW = "audit.view"


_VIEW: Final = frozenset(
    {
        Permission.PROJECT_VIEW,
        Permission.REGISTRY_VIEW,
        Permission.EXECUTION_VIEW,
        Permission.ARTIFACT_READ,
        Permission.SETTINGS_VIEW,
    }
)
_CONTRIBUTE: Final = _VIEW | {
    Permission.REGISTRY_REGISTER,
    Permission.REGISTRY_UPDATE,
    Permission.EXECUTION_LAUNCH,
    Permission.EXECUTION_TERMINATE,
    Permission.EXECUTION_SIGNAL,
    Permission.ARTIFACT_WRITE,
}
_OPERATE: Final = _VIEW | {
    Permission.LAUNCHPLAN_ACTIVATE,
    Permission.EXECUTION_TERMINATE,
    Permission.EXECUTION_SIGNAL,
}

DELEGATED: Final = frozenset(
    {
        Permission.PROJECT_VIEW,
        Permission.REGISTRY_VIEW,
        Permission.EXECUTION_VIEW,
        Permission.EXECUTION_LAUNCH,
        Permission.EXECUTION_TERMINATE,
        Permission.ARTIFACT_READ,
        Permission.ARTIFACT_WRITE,
    }
)
"""Of what its launcher may do, what the code of an execution's tasks may do. What changes what others run, or who may
do what, is for people and their services; so is the answer to a gate, which would approve itself."""

ADMIN: Final = "admin"
"""The role that may do everything; at */* it makes an administrator of the server."""

BUILT_IN_ROLES: Final[Mapping[str, frozenset[Permission]]] = {
    "viewer": _VIEW,
    "contributor": _CONTRIBUTE,
    "operator": _OPERATE,
    "releaser": _CONTRIBUTE | _OPERATE | {Permission.PROMOTION_PROMOTE},
    ADMIN: frozenset(Permission),
}
"""Roles that always exist and never change."""
