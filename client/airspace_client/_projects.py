"""Projects and domains."""

from collections.abc import Iterator, Mapping

from airspace.project.v1 import project_service_pb2 as pb
from airspace_client import _wire
from airspace_client._model import Domain, Project
from airspace_client._service import Service


class Projects:
    """The teams of a server, and the domains that each of them has."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def list(self, *, include_archived: bool = False) -> Iterator[Project]:
        """Yield the projects of which the caller may see anything, by id."""
        request = pb.ListProjectsRequest(include_archived=include_archived)
        return map(_wire.project, self._service.pages("ListProjects", request, "projects"))

    def get(self, project: str) -> Project:
        """Return a project."""
        response: pb.GetProjectResponse = self._service.call("GetProject", pb.GetProjectRequest(project=project))
        return _wire.project(response.project)

    def create(
        self, project: str, *, name: str = "", description: str = "", labels: Mapping[str, str] | None = None
    ) -> Project:
        """Create a project; `name` is the id when it is empty. Raises AlreadyExists when the id is taken."""
        request = pb.CreateProjectRequest(project=project, name=name, description=description, labels=labels or {})
        response: pb.CreateProjectResponse = self._service.call("CreateProject", request)
        return _wire.project(response.project)

    def update(
        self,
        project: str,
        *,
        name: str | None = None,
        description: str | None = None,
        labels: Mapping[str, str] | None = None,
        etag: str = "",
    ) -> Project:
        """Change what is not None; `labels` replaces all of them. Raises Aborted when `etag` is given and stale."""
        changes = {"name": name, "description": description, "labels": labels}
        request = pb.UpdateProjectRequest(
            project=project, name=name or "", description=description or "", labels=labels or {}, etag=etag
        )
        request.update_mask.paths.extend(path for path, value in changes.items() if value is not None)
        response: pb.UpdateProjectResponse = self._service.call("UpdateProject", request)
        return _wire.project(response.project)

    def archive(self, project: str) -> Project:
        """Archive a project: it can only be read from then on, and what runs goes on."""
        request = pb.ArchiveProjectRequest(project=project)
        response: pb.ArchiveProjectResponse = self._service.call("ArchiveProject", request)
        return _wire.project(response.project)

    def restore(self, project: str) -> Project:
        """Make an archived project active again."""
        request = pb.RestoreProjectRequest(project=project)
        response: pb.RestoreProjectResponse = self._service.call("RestoreProject", request)
        return _wire.project(response.project)

    def list_domains(self) -> tuple[Domain, ...]:
        """Return the server's domains, in the order in which versions move through them."""
        response: pb.ListDomainsResponse = self._service.call("ListDomains", pb.ListDomainsRequest())
        return tuple(map(_wire.domain, response.domains))
