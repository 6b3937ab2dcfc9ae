"""Flyte's identifiers to the ids of the domain, checked, and back."""

from collections.abc import Sequence
from typing import Final

from flyteidl.core import identifier_pb2

from airspace_server.core import names
from airspace_server.core.errors import ApiError, Reason, invalid_field
from airspace_server.core.scope import EntityId, ExecutionId, Scope

_KINDS: Final = {
    identifier_pb2.TASK: "TASK",
    identifier_pb2.WORKFLOW: "WORKFLOW",
    identifier_pb2.LAUNCH_PLAN: "LAUNCH_PLAN",
    identifier_pb2.DATASET: "DATASET",
}


def require(path: str, problem: str | None) -> None:
    """Raise INVALID_FIELD for the field at `path` of the request if there is a problem with it."""
    if problem is not None:
        raise invalid_field(path, problem)


def scope_of(project: str, domain: str, domains: Sequence[str], prefix: str = "") -> Scope:
    """Read a scope whose parts stand behind `prefix` in the request; `domains` are the server's.

    Raises:
        ApiError: INVALID_FIELD for a part that is badly formed, UNKNOWN_DOMAIN.
    """
    require(f"{prefix}project", names.project(project))
    require_domain(domain, domains, f"{prefix}domain")
    return Scope(project, domain)


def _scope(project: str, domain: str, org: str, path: str) -> Scope:
    require(f"{path}.project", names.project(project))
    require(f"{path}.domain", names.domain(domain))
    # A tenant field that is accepted and not obeyed would be a lie; no Flyte v1 client sends it.
    require(f"{path}.org", "must be empty: this server has no organisations" if org else None)
    return Scope(project, domain)


def require_domain(domain: str, domains: Sequence[str], path: str) -> None:
    """Check that the domain at `path` of the request is one of the server's.

    Raises:
        ApiError: INVALID_FIELD for one that no server could have, UNKNOWN_DOMAIN for any other.
    """
    if domain in domains:
        return
    require(path, names.domain(domain))
    listed = ",".join(domains)
    raise ApiError(
        Reason.UNKNOWN_DOMAIN,
        f"{path} is {domain!r}; this server's domains are {listed}",
        {"field": path, "domain": domain, "domains": listed},
        path,
    )


def entity_id(
    identifier: identifier_pb2.Identifier, expected: identifier_pb2.ResourceType, path: str = "id"
) -> EntityId:
    """Read the identifier of a task, workflow or launch plan that stands at `path` of the request.

    An UNSPECIFIED resource type counts as the expected one, since Flyte's clients leave it out where it is plain.

    Raises:
        ApiError: INVALID_FIELD naming the part that is missing, badly formed or of another resource type.
    """
    if identifier.resource_type not in (identifier_pb2.UNSPECIFIED, expected):
        raise invalid_field(f"{path}.resource_type", f"must be {_KINDS[expected]}")
    scope = _scope(identifier.project, identifier.domain, identifier.org, path)
    require(f"{path}.name", names.entity(identifier.name))
    require(f"{path}.version", names.version(identifier.version))
    return EntityId(scope, identifier.name, identifier.version)


def identifier(id: EntityId, resource_type: identifier_pb2.ResourceType) -> identifier_pb2.Identifier:  # noqa: A002 -- the wire's own word
    """Write an id as Flyte's identifier of that resource type."""
    return identifier_pb2.Identifier(
        resource_type=resource_type,
        project=id.scope.project,
        domain=id.scope.domain,
        name=id.name,
        version=id.version,
    )


def execution_id(identifier: identifier_pb2.WorkflowExecutionIdentifier, path: str = "id") -> ExecutionId:
    """Read the identifier of an execution that stands at `path` of the request.

    Raises:
        ApiError: INVALID_FIELD naming the part that is missing or badly formed.
    """
    scope = _scope(identifier.project, identifier.domain, identifier.org, path)
    require(f"{path}.name", names.execution(identifier.name))
    return ExecutionId(scope, identifier.name)


def execution_identifier(id: ExecutionId) -> identifier_pb2.WorkflowExecutionIdentifier:  # noqa: A002 -- the wire's own word
    """Write an id as Flyte's identifier of an execution."""
    return identifier_pb2.WorkflowExecutionIdentifier(project=id.scope.project, domain=id.scope.domain, name=id.name)
