"""Flyte's front door of names and descriptions: the methods of AdminService about named and description entities."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from flyteidl.admin import common_pb2, description_entity_pb2
from flyteidl.core import identifier_pb2
from sqlalchemy import bindparam, not_

from airspace_server.access.call import Call
from airspace_server.admin import descriptions, named_entities
from airspace_server.admin.descriptions import DESCRIPTIONS
from airspace_server.admin.named_entities import NamedEntity, State
from airspace_server.admin.registry import row_id
from airspace_server.core import names
from airspace_server.core.errors import invalid_field
from airspace_server.core.scope import EntityId, EntityKind, Scope
from airspace_server.flyte.identifiers import entity_id, identifier, require, require_domain, scope_of
from airspace_server.flyte.listing import Field, Listing, coded, fetch, microseconds
from airspace_server.storage.database import Database
from airspace_server.storage.paging import Pager

_KINDS: Final[Mapping[int, EntityKind]] = {
    identifier_pb2.TASK: EntityKind.TASK,
    identifier_pb2.WORKFLOW: EntityKind.WORKFLOW,
    identifier_pb2.LAUNCH_PLAN: EntityKind.LAUNCH_PLAN,
}
_DESCRIBED: Final = (identifier_pb2.TASK, identifier_pb2.WORKFLOW)
_STATES: Final[Mapping[int, State]] = {
    common_pb2.NAMED_ENTITY_ACTIVE: State.ACTIVE,
    common_pb2.NAMED_ENTITY_ARCHIVED: State.ARCHIVED,
    common_pb2.SYSTEM_GENERATED: State.SYSTEM_GENERATED,
}
_ON_WIRE: Final[Mapping[State, Any]] = {state: number for number, state in _STATES.items()}
_STATE: Final = coded(
    {
        **{str(number): state.value for number, state in _STATES.items()},
        **{common_pb2.NamedEntityState.Name(number): state.value for number, state in _STATES.items()},
        **{state.value: state.value for state in State},
    }
)
_GENERATED: Final = ".flytegen%"
"""Names that Flyte's clients make for single tasks; lists without filters leave them out, as the reference's do."""
_DESCRIPTION_LIST: Final = Listing(
    "description_entity",
    {
        **{name: Field(DESCRIPTIONS.c[name]) for name in ("project", "domain", "name", "version", "short_description")},
        "created_at": Field(DESCRIPTIONS.c.created_at, microseconds),
    },
    (DESCRIPTIONS.c.name, DESCRIPTIONS.c.version),
)


@cache
def _names(kind: EntityKind) -> Listing:
    columns = named_entities.all_of(kind).selected_columns
    said = {"description": Field(columns.description), "state": Field(columns.state, _STATE)}
    own = {name: Field(columns[name]) for name in ("project", "domain", "name")}
    related = {f"named_entity_metadata.{name}": field for name, field in said.items()}
    return Listing("entities", {**own, **said}, (columns.name,), related)


class EntitiesFlyte:
    """Serves names of tasks, workflows and launch plans, and descriptions of versions, to Flyte's clients."""

    def __init__(self, database: Database, pager: Pager, domains: Sequence[str]) -> None:
        self._database = database
        self._pager = pager
        self._domains = domains

    # --- names

    def ListNamedEntities(self, request: common_pb2.NamedEntityListRequest, _call: Call) -> common_pb2.NamedEntityList:
        """List the names of a kind, in alphabetical order unless another is asked for."""
        kind = _kind(request.resource_type)
        scope = scope_of(request.project, request.domain, self._domains)
        listing = _names(kind)
        statement = named_entities.all_of(kind)
        if not request.filters:
            statement = statement.where(not_(listing.fields["name"].column.like(_GENERATED)))
        with self._database.read(scope) as tx:
            rows, token = fetch(
                tx,
                self._pager,
                statement,
                listing,
                list_name=f"names {kind.name} {scope}",
                limit=request.limit,
                token=request.token,
                filters=request.filters,
                sort_by=request.sort_by,
                default_sort="name",
                ascending=True,
            )
        found = [_entity(request.resource_type, scope, named_entities.from_row(row)) for row in rows]
        return common_pb2.NamedEntityList(entities=found, token=token)

    def GetNamedEntity(self, request: common_pb2.NamedEntityGetRequest, _call: Call) -> common_pb2.NamedEntity:
        """Return what is said of a name."""
        kind, scope = self._named(request.resource_type, request.id)
        with self._database.read(scope) as tx:
            return _entity(request.resource_type, scope, named_entities.get(tx, kind, scope, request.id.name))

    def UpdateNamedEntity(
        self, request: common_pb2.NamedEntityUpdateRequest, _call: Call
    ) -> common_pb2.NamedEntityUpdateResponse:
        """Say something else of a name: its description, and how lists show it."""
        kind, scope = self._named(request.resource_type, request.id)
        require("metadata", None if request.HasField("metadata") else "is required")
        if request.metadata.state not in _STATES:
            raise invalid_field("metadata.state", "must be active, archived or generated by the system")
        state = _STATES[request.metadata.state]
        with self._database.write(scope) as tx:
            named_entities.update(tx, kind, scope, request.id.name, request.metadata.description, state)
        return common_pb2.NamedEntityUpdateResponse()

    # --- descriptions

    def GetDescriptionEntity(
        self, request: common_pb2.ObjectGetRequest, _call: Call
    ) -> description_entity_pb2.DescriptionEntity:
        """Return how a version was described; without a resource type it is a task's."""
        wanted = request.id.resource_type if request.id.resource_type in _DESCRIBED else identifier_pb2.TASK
        id_ = entity_id(request.id, wanted)
        require_domain(id_.scope.domain, self._domains, "id.domain")
        with self._database.read(id_.scope) as tx:
            return _description(id_, wanted, descriptions.get(tx, _KINDS[wanted], id_))

    def ListDescriptionEntities(
        self, request: description_entity_pb2.DescriptionEntityListRequest, _call: Call
    ) -> description_entity_pb2.DescriptionEntityList:
        """List descriptions of versions, of one name where the request has one; the newest first."""
        if request.resource_type not in (identifier_pb2.UNSPECIFIED, *_DESCRIBED):
            raise invalid_field("resource_type", "must be TASK or WORKFLOW")
        wanted = request.resource_type or identifier_pb2.TASK
        scope = scope_of(request.id.project, request.id.domain, self._domains, "id.")
        statement = descriptions.all_of(_KINDS[wanted])
        if request.id.name:
            require("id.name", names.entity(request.id.name))
            statement = statement.where(DESCRIPTIONS.c.name == bindparam("of_name", request.id.name))
        with self._database.read(scope) as tx:
            rows, token = fetch(
                tx,
                self._pager,
                statement,
                _DESCRIPTION_LIST,
                list_name=f"descriptions {wanted} {scope} {request.id.name}",
                limit=request.limit,
                token=request.token,
                filters=request.filters,
                sort_by=request.sort_by,
            )
        found = [_description(row_id(row), wanted, row.description) for row in rows]
        return description_entity_pb2.DescriptionEntityList(descriptionEntities=found, token=token)

    def _named(
        self, resource_type: identifier_pb2.ResourceType, id_: common_pb2.NamedEntityIdentifier
    ) -> tuple[EntityKind, Scope]:
        kind = _kind(resource_type)
        scope = scope_of(id_.project, id_.domain, self._domains, "id.")
        require("id.name", names.entity(id_.name))
        return kind, scope


def _kind(resource_type: identifier_pb2.ResourceType) -> EntityKind:
    if resource_type not in _KINDS:
        raise invalid_field("resource_type", "must be TASK, WORKFLOW or LAUNCH_PLAN")
    return _KINDS[resource_type]


def _entity(resource_type: identifier_pb2.ResourceType, scope: Scope, entity: NamedEntity) -> common_pb2.NamedEntity:
    message = common_pb2.NamedEntity(
        resource_type=resource_type,
        id=common_pb2.NamedEntityIdentifier(project=scope.project, domain=scope.domain, name=entity.name),
    )
    message.metadata.description = entity.description
    message.metadata.state = _ON_WIRE[entity.state]
    return message


def _description(
    id_: EntityId, resource_type: identifier_pb2.ResourceType, description: bytes
) -> description_entity_pb2.DescriptionEntity:
    message = description_entity_pb2.DescriptionEntity.FromString(description)
    message.id.CopyFrom(identifier(id_, resource_type))
    return message
