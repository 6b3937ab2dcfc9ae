"""Flyte's front door of matchable attributes: what holds for a project, one of its domains, or a workflow there."""

from collections.abc import Sequence
from typing import Any

from flyteidl.admin import (
    matchable_resource_pb2,
    project_attributes_pb2,
    project_domain_attributes_pb2,
    workflow_attributes_pb2,
)

from airspace_server.access.call import Call
from airspace_server.core import names
from airspace_server.core.errors import invalid_field, not_found
from airspace_server.core.run_as import require_allowed
from airspace_server.core.scope import ANY, Scope, ScopePattern
from airspace_server.flyte.attributes import EXECUTION_CONFIG, RESOURCES, check, merged, resource_of
from airspace_server.flyte.identifiers import require, scope_of
from airspace_server.storage import attributes
from airspace_server.storage.attributes import Attributes, Level
from airspace_server.storage.database import Database
from airspace_server.storage.projects import require_active
from airspace_server.storage.settings import run_as


class AttributesFlyte:
    """Serves matchable attributes to Flyte's clients. `domains` are the server's."""

    def __init__(self, database: Database, domains: Sequence[str]) -> None:
        self._database = database
        self._domains = domains

    # --- of a project

    def UpdateProjectAttributes(
        self, request: project_attributes_pb2.ProjectAttributesUpdateRequest, _call: Call
    ) -> project_attributes_pb2.ProjectAttributesUpdateResponse:
        """Set attributes of all domains of a project."""
        self._update(_project(request.attributes, "attributes."), request.attributes)
        return project_attributes_pb2.ProjectAttributesUpdateResponse()

    def GetProjectAttributes(
        self, request: project_attributes_pb2.ProjectAttributesGetRequest, _call: Call
    ) -> project_attributes_pb2.ProjectAttributesGetResponse:
        """Return the attributes of exactly a project. The configuration of executions is there always, if empty."""
        level, resource = _project(request), _resource(request.resource_type)
        with self._database.read() as tx:
            content = attributes.own(tx, resource, level)
        found = matchable_resource_pb2.MatchingAttributes()
        if content is not None:
            found.MergeFromString(content)
        elif resource == EXECUTION_CONFIG:
            found.workflow_execution_config.SetInParent()
        else:
            raise not_found(f"attributes {resource}", str(level))
        answer = project_attributes_pb2.ProjectAttributes(project=request.project, matching_attributes=found)
        return project_attributes_pb2.ProjectAttributesGetResponse(attributes=answer)

    def DeleteProjectAttributes(
        self, request: project_attributes_pb2.ProjectAttributesDeleteRequest, _call: Call
    ) -> project_attributes_pb2.ProjectAttributesDeleteResponse:
        """Take attributes of a project away; those of its domains and workflows stay."""
        self._delete(_project(request), request.resource_type)
        return project_attributes_pb2.ProjectAttributesDeleteResponse()

    # --- of a domain of a project

    def UpdateProjectDomainAttributes(
        self, request: project_domain_attributes_pb2.ProjectDomainAttributesUpdateRequest, _call: Call
    ) -> project_domain_attributes_pb2.ProjectDomainAttributesUpdateResponse:
        """Set attributes of a domain of a project."""
        self._update(self._domain(request.attributes, "attributes."), request.attributes)
        return project_domain_attributes_pb2.ProjectDomainAttributesUpdateResponse()

    def GetProjectDomainAttributes(
        self, request: project_domain_attributes_pb2.ProjectDomainAttributesGetRequest, _call: Call
    ) -> project_domain_attributes_pb2.ProjectDomainAttributesGetResponse:
        """Return what holds in a domain of a project, and in the answer's domain "" if it is the project's."""
        found = self._effective(self._domain(request), request.resource_type)
        return project_domain_attributes_pb2.ProjectDomainAttributesGetResponse(
            attributes=project_domain_attributes_pb2.ProjectDomainAttributes(
                project=request.project, domain=_domain_of(found), matching_attributes=_message(found)
            )
        )

    def DeleteProjectDomainAttributes(
        self, request: project_domain_attributes_pb2.ProjectDomainAttributesDeleteRequest, _call: Call
    ) -> project_domain_attributes_pb2.ProjectDomainAttributesDeleteResponse:
        """Take attributes of a domain of a project away; those of workflows stay."""
        self._delete(self._domain(request), request.resource_type)
        return project_domain_attributes_pb2.ProjectDomainAttributesDeleteResponse()

    # --- of a workflow

    def UpdateWorkflowAttributes(
        self, request: workflow_attributes_pb2.WorkflowAttributesUpdateRequest, _call: Call
    ) -> workflow_attributes_pb2.WorkflowAttributesUpdateResponse:
        """Set attributes of all versions of a workflow, registered or not."""
        self._update(self._workflow(request.attributes, "attributes."), request.attributes)
        return workflow_attributes_pb2.WorkflowAttributesUpdateResponse()

    def GetWorkflowAttributes(
        self, request: workflow_attributes_pb2.WorkflowAttributesGetRequest, _call: Call
    ) -> workflow_attributes_pb2.WorkflowAttributesGetResponse:
        """Return what holds for a workflow; the answer says if it is the workflow's, the domain's or the project's."""
        found = self._effective(self._workflow(request), request.resource_type)
        return workflow_attributes_pb2.WorkflowAttributesGetResponse(
            attributes=workflow_attributes_pb2.WorkflowAttributes(
                project=request.project,
                domain=_domain_of(found),
                workflow=found.level.workflow,
                matching_attributes=_message(found),
            )
        )

    def DeleteWorkflowAttributes(
        self, request: workflow_attributes_pb2.WorkflowAttributesDeleteRequest, _call: Call
    ) -> workflow_attributes_pb2.WorkflowAttributesDeleteResponse:
        """Take attributes of a workflow away."""
        self._delete(self._workflow(request), request.resource_type)
        return workflow_attributes_pb2.WorkflowAttributesDeleteResponse()

    # --- of all

    def ListMatchableAttributes(
        self, request: matchable_resource_pb2.ListMatchableAttributesRequest, call: Call
    ) -> matchable_resource_pb2.ListMatchableAttributesResponse:
        """List the attributes of a resource wherever the caller may see settings."""
        require("org", _no_org(request.org))
        resource, visible = _resource(request.resource_type), call.restriction()
        with self._database.read() as tx:
            found = [each for each in attributes.every(tx, resource) if visible.includes(each.level.pattern)]
        return matchable_resource_pb2.ListMatchableAttributesResponse(
            configurations=[
                matchable_resource_pb2.MatchableAttributesConfiguration(
                    attributes=_message(each),
                    project=each.level.pattern.project,
                    domain=_domain_of(each),
                    workflow=each.level.workflow,
                )
                for each in found
            ]
        )

    # --- what they share

    def _domain(self, message: Any, prefix: str = "") -> Level:
        require(f"{prefix}org", _no_org(message.org))
        scope = scope_of(message.project, message.domain, self._domains, prefix)
        return Level(ScopePattern(scope.project, scope.domain))

    def _workflow(self, message: Any, prefix: str = "") -> Level:
        level = self._domain(message, prefix)
        require(f"{prefix}workflow", names.entity(message.workflow))
        return Level(level.pattern, message.workflow)

    def _update(self, level: Level, message: Any) -> None:
        path, wanted = "attributes.matching_attributes", message.matching_attributes
        resource = resource_of(wanted, path)
        named = check(wanted, path)
        project = level.pattern.project
        with self._database.write() as tx:
            require_active(tx, project)
            # It would be refused at every launch; here whoever sets it learns it.
            require_allowed(run_as(tx, level.pattern), level.pattern, named)
            there = attributes.own(tx, resource, level)
            before = matchable_resource_pb2.MatchingAttributes.FromString(there or b"")
            content = merged(before, wanted).SerializeToString(deterministic=True)
            attributes.put(tx, resource, level, content)

    def _effective(self, level: Level, resource_type: int) -> Attributes:
        resource = _resource(resource_type)
        scope = Scope(level.pattern.project, level.pattern.domain)
        with self._database.read() as tx:
            found = attributes.effective(tx, resource, scope, level.workflow)
        if found is None:
            raise not_found(f"attributes {resource}", str(level))
        return found

    def _delete(self, level: Level, resource_type: int) -> None:
        resource = _resource(resource_type)
        with self._database.write() as tx:
            require_active(tx, level.pattern.project)
            attributes.put(tx, resource, level, None)


def _project(message: Any, prefix: str = "") -> Level:
    require(f"{prefix}org", _no_org(message.org))
    require(f"{prefix}project", names.project(message.project))
    return Level(ScopePattern(message.project, ANY))


def _no_org(org: str) -> str | None:
    return "must be empty: this server has no organisations" if org else None


def _resource(resource_type: int) -> str:
    known = matchable_resource_pb2.MatchableResource.DESCRIPTOR.values_by_number
    name = known[resource_type].name if resource_type in known else ""
    if name not in RESOURCES:
        raise invalid_field("resource_type", f"must be one of {', '.join(sorted(RESOURCES))}")
    return name


def _domain_of(found: Attributes) -> str:
    return "" if found.level.pattern.domain == ANY else found.level.pattern.domain


def _message(found: Attributes) -> matchable_resource_pb2.MatchingAttributes:
    return matchable_resource_pb2.MatchingAttributes.FromString(found.content)
