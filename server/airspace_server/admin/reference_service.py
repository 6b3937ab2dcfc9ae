"""The native front door of airspace.reference.v1. The chain has authenticated, authorized and validated."""

from collections.abc import Mapping
from typing import Any, Final

from airspace.reference.v1 import reference_service_pb2 as pb
from airspace_server.access.call import Call
from airspace_server.access.decide import visible
from airspace_server.access.messages import scope_message, scope_of, timestamp
from airspace_server.access.policy import PolicyStore
from airspace_server.admin.references import Dependent, Export, References
from airspace_server.core.errors import invalid_field
from airspace_server.core.permissions import Permission
from airspace_server.core.scope import EntityKind
from airspace_server.storage.paging import Pager, page_size

_KINDS: Final[Mapping[int, EntityKind]] = {
    pb.ENTITY_KIND_TASK: EntityKind.TASK,
    pb.ENTITY_KIND_WORKFLOW: EntityKind.WORKFLOW,
    pb.ENTITY_KIND_LAUNCH_PLAN: EntityKind.LAUNCH_PLAN,
}
_NUMBERS: Final[Mapping[EntityKind, Any]] = {kind: number for number, kind in _KINDS.items()}


class ReferenceService:
    """airspace.reference.v1.ReferenceService."""

    def __init__(self, references: References, policy: PolicyStore, pager: Pager) -> None:
        self._references = references
        self._policy = policy
        self._pager = pager

    def CreateExport(self, request: pb.CreateExportRequest, call: Call) -> pb.CreateExportResponse:
        """Let another project refer to something of the scope."""
        export = self._references.export(
            scope_of(request.scope), _kind(request.kind), request.name, request.consumer, call.principal.member
        )
        self._policy.refresh()
        return pb.CreateExportResponse(export=_export(export))

    def ListExports(self, request: pb.ListExportsRequest, _call: Call) -> pb.ListExportsResponse:
        """List what a scope exports."""
        scope = scope_of(request.scope)
        query = f"exports {scope}"
        last = self._pager.position(query, request.page_token)
        exports, end = self._references.exports(scope, page_size(request.page_size), last)
        token = self._pager.token(query, end) if end else ""
        return pb.ListExportsResponse(exports=map(_export, exports), next_page_token=token)

    def DeleteExport(self, request: pb.DeleteExportRequest, _call: Call) -> pb.DeleteExportResponse:
        """Take an export back."""
        self._references.take_back(scope_of(request.scope), _kind(request.kind), request.name, request.consumer)
        self._policy.refresh()
        return pb.DeleteExportResponse()

    def ListDependents(self, request: pb.ListDependentsRequest, call: Call) -> pb.ListDependentsResponse:
        """List what refers to something, as far as the caller may read it."""
        scope, kind = scope_of(request.scope), _kind(request.kind)
        # Of another project's versions not even a number is shown: the rows of the page are those that may be seen.
        seen = visible(call.principal, Permission.REGISTRY_VIEW, call.grants).in_domain(scope.domain)
        projects = None if seen is None else sorted(seen)
        query = f"dependents {scope} {kind.name} {request.name} {request.version}"
        last = self._pager.position(query, request.page_token)
        dependents, end = self._references.dependents(
            scope, kind, request.name, request.version, projects, page_size(request.page_size), last
        )
        token = self._pager.token(query, end) if end else ""
        return pb.ListDependentsResponse(dependents=map(_dependent, dependents), next_page_token=token)


def _kind(number: int) -> EntityKind:
    if number not in _KINDS:
        raise invalid_field("kind", "must be a task, a workflow or a launch plan")
    return _KINDS[number]


def _export(export: Export) -> pb.Export:
    return pb.Export(
        scope=scope_message(export.scope),
        kind=_NUMBERS[export.kind],
        name=export.name,
        consumer=export.consumer,
        creator=export.creator,
        create_time=timestamp(export.created_at),
    )


def _dependent(dependent: Dependent) -> pb.Dependent:
    return pb.Dependent(
        scope=scope_message(dependent.id.scope),
        kind=_NUMBERS[dependent.kind],
        name=dependent.id.name,
        version=dependent.id.version,
        uses_version=dependent.uses_version,
    )
