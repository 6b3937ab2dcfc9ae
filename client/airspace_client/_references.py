"""What may be referred to from other projects, and what refers to what."""

from collections.abc import Iterator

from airspace.reference.v1 import reference_service_pb2 as pb
from airspace.type.v1.identifiers_pb2 import Scope
from airspace_client import _wire
from airspace_client._model import Dependent, EntityKind, Export
from airspace_client._service import Service


class References:
    """Exports of a project to others, and the dependents of what is registered."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def create_export(self, project: str, domain: str, kind: EntityKind, name: str, *, consumer: str) -> Export:
        """Let the project `consumer` refer to a name ("*" for every one) of a scope; one that exists is returned."""
        request = pb.CreateExportRequest(
            scope=Scope(project=project, domain=domain), kind=_wire.entity_kind(kind), name=name, consumer=consumer
        )
        response: pb.CreateExportResponse = self._service.call("CreateExport", request)
        return _wire.export(response.export)

    def list_exports(self, project: str, domain: str) -> Iterator[Export]:
        """Yield what a scope exports, by kind, name and consumer."""
        request = pb.ListExportsRequest(scope=Scope(project=project, domain=domain))
        return map(_wire.export, self._service.pages("ListExports", request, "exports"))

    def delete_export(self, project: str, domain: str, kind: EntityKind, name: str, *, consumer: str) -> None:
        """Take an export back: what needs it is not launched any more. Raises NotFound when there is none."""
        request = pb.DeleteExportRequest(
            scope=Scope(project=project, domain=domain), kind=_wire.entity_kind(kind), name=name, consumer=consumer
        )
        self._service.call("DeleteExport", request)

    def dependents(
        self, project: str, domain: str, kind: EntityKind, name: str, *, version: str = ""
    ) -> Iterator[Dependent]:
        """Yield the workflows and launch plans that refer to a name, or to one version, where the caller may read."""
        request = pb.ListDependentsRequest(
            scope=Scope(project=project, domain=domain), kind=_wire.entity_kind(kind), name=name, version=version
        )
        return map(_wire.dependent, self._service.pages("ListDependents", request, "dependents"))
