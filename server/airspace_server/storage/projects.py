"""What both wings ask about a project inside their own transactions: whether new things may be made in it."""

from typing import Final

from sqlalchemy import bindparam, select

from airspace_server.core.errors import ApiError, Reason
from airspace_server.storage.database import Transaction
from airspace_server.storage.tables import ProjectRow, table

ACTIVE: Final = "ACTIVE"
ARCHIVED: Final = "ARCHIVED"

_PROJECTS: Final = table(ProjectRow)
_STATE: Final = select(_PROJECTS.c.state).where(_PROJECTS.c.id == bindparam("project")).with_for_update(read=True)


def require_active(tx: Transaction, project: str) -> None:
    """Hold the project in its active state until the transaction ends: archiving it waits, or has already won.

    Raises PROJECT_MISSING and PROJECT_ARCHIVED. For callers who are authorized in the project.
    """
    row = tx.one(_STATE, project=project)
    if row is None:
        raise ApiError(Reason.PROJECT_MISSING, f"project {project} does not exist", {"project": project})
    if row.state != ACTIVE:
        raise ApiError(Reason.PROJECT_ARCHIVED, f"project {project} is archived", {"project": project})
