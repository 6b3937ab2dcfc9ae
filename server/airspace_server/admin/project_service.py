"""The native front door of projects: airspace.project.v1.

It turns messages into calls of the use cases and back. The chain has authenticated, authorized and validated.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, select

from airspace.project.v1 import project_service_pb2 as pb
from airspace_server.access.call import Call
from airspace_server.access.messages import timestamp
from airspace_server.access.once import Response, once
from airspace_server.admin import projects
from airspace_server.admin.projects import PROJECTS
from airspace_server.core.clock import Clock
from airspace_server.core.errors import ApiError, Reason, invalid_field
from airspace_server.storage.database import Database
from airspace_server.storage.paging import Pager, page, page_size
from airspace_server.storage.projects import ACTIVE

_UPDATABLE: Final = ("name", "description", "labels")
_STATES: Final = {False: pb.PROJECT_STATE_ACTIVE, True: pb.PROJECT_STATE_ARCHIVED}


class ProjectService:
    """airspace.project.v1.ProjectService. `domains` are the server's, in the order in which versions move."""

    def __init__(self, database: Database, pager: Pager, clock: Clock, domains: Sequence[str]) -> None:
        self._database = database
        self._pager = pager
        self._clock = clock
        self._domains = domains

    def ListProjects(self, request: pb.ListProjectsRequest, call: Call) -> pb.ListProjectsResponse:
        """List the projects that the caller may see, by id."""
        columns = (PROJECTS.c.id,)
        query = f"projects {call.principal.member} {request.include_archived}"
        conditions: list[ColumnElement[bool]] = list(projects.shown_to(call.restriction()))
        if not request.include_archived:
            conditions.append(PROJECTS.c.state == ACTIVE)
        with self._database.read() as tx:
            rows, end = page(
                tx,
                select(PROJECTS).where(*conditions),
                columns,
                size=page_size(request.page_size),
                last=self._pager.position(query, request.page_token),
                descending=False,
            )
        return pb.ListProjectsResponse(
            projects=[_project(projects.from_row(row)) for row in rows],
            next_page_token=self._pager.token(query, end) if end else "",
        )

    def GetProject(self, request: pb.GetProjectRequest, _call: Call) -> pb.GetProjectResponse:
        """Return a project."""
        with self._database.read() as tx:
            return pb.GetProjectResponse(project=_project(projects.get(tx, request.project)))

    def CreateProject(self, request: pb.CreateProjectRequest, call: Call) -> pb.CreateProjectResponse:
        """Create a project."""
        now = self._clock()

        def respond() -> pb.CreateProjectResponse:
            created = projects.create(
                tx,
                request.project,
                name=request.name,
                description=request.description,
                labels=request.labels,
                now=now,
            )
            return pb.CreateProjectResponse(project=_project(created))

        with self._database.write() as tx:
            return once(tx, call, request, now, pb.CreateProjectResponse, respond)

    def UpdateProject(self, request: pb.UpdateProjectRequest, call: Call) -> pb.UpdateProjectResponse:
        """Change what the mask names."""
        for path in request.update_mask.paths:
            if path not in _UPDATABLE:
                raise ApiError(
                    Reason.UNKNOWN_FIELD,
                    f"update_mask names {path!r}; only {', '.join(_UPDATABLE)} can be changed",
                    {"path": path},
                    "update_mask",
                )
        if not request.update_mask.paths:
            raise invalid_field("update_mask", "must name a field")
        wanted = projects.Change(**{path: getattr(request, path) for path in request.update_mask.paths})
        response: pb.UpdateProjectResponse = self._change(
            request, call, pb.UpdateProjectResponse, wanted, _version(request.etag)
        )
        return response

    def ArchiveProject(self, request: pb.ArchiveProjectRequest, call: Call) -> pb.ArchiveProjectResponse:
        """Archive a project."""
        response: pb.ArchiveProjectResponse = self._change(
            request, call, pb.ArchiveProjectResponse, projects.Change(archived=True)
        )
        return response

    def RestoreProject(self, request: pb.RestoreProjectRequest, call: Call) -> pb.RestoreProjectResponse:
        """Restore a project."""
        response: pb.RestoreProjectResponse = self._change(
            request, call, pb.RestoreProjectResponse, projects.Change(archived=False)
        )
        return response

    def ListDomains(self, _request: pb.ListDomainsRequest, _call: Call) -> pb.ListDomainsResponse:
        """List the server's domains."""
        return pb.ListDomainsResponse(domains=[pb.Domain(id=domain, name=domain) for domain in self._domains])

    def _change(
        self, request: Any, call: Call, kind: type[Response], wanted: projects.Change, version: int | None = None
    ) -> Response:
        now = self._clock()
        make: Callable[..., Response] = kind

        def respond() -> Response:
            return make(project=_project(projects.change(tx, request.project, wanted, now=now, version=version)))

        with self._database.write() as tx:
            return once(tx, call, request, now, kind, respond)


def _project(project: projects.Project) -> pb.Project:
    return pb.Project(
        id=project.id,
        name=project.name,
        description=project.description,
        labels=project.labels,
        state=_STATES[project.archived],
        etag=str(project.version),
        create_time=timestamp(project.created_at),
        update_time=timestamp(project.updated_at),
    )


def _version(etag: str) -> int | None:
    """Read an etag; one that this server never gave is a stale one."""
    if not etag:
        return None
    return int(etag) if etag.isascii() and etag.isdigit() else -1
