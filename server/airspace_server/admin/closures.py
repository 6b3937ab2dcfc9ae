"""What a registered version consists of, and the same in another domain.

A version and all that it needs of its own project are moved together. What it needs of another project is not moved: it
must be in the target domain, exported, and with the content that it has in the source domain.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flyteidl.admin import launch_plan_pb2, task_pb2
from flyteidl.core import compiler_pb2
from google.protobuf.message import Message
from sqlalchemy import Row

from airspace_server.admin import descriptions
from airspace_server.admin.launch_plans import new_launch_plan, workflow_id
from airspace_server.admin.registry import ONE_OF, New, new_task, new_workflow
from airspace_server.artifacts.store import ArtifactStore
from airspace_server.core.errors import ApiError, Reason, not_found
from airspace_server.core.scope import EntityId, EntityKind, Reference, Scope
from airspace_server.flyte.digest import digest
from airspace_server.flyte.identifiers import entity_id
from airspace_server.flyte.moving import Body, alike_everywhere, moved
from airspace_server.flyte.references import of_template
from airspace_server.storage.database import Transaction

UPLOADS: Final = "uploads/"
"""Where in a scope the files are that clients have brought along with what they register."""
_RAW_OUTPUT: Final = "raw_output_data_config.output_location_prefix"


@dataclass(frozen=True, slots=True)
class Version:
    """A registered version and its row."""

    reference: Reference
    row: Row[Any]


@dataclass(frozen=True, slots=True)
class Closure:
    """A version and all that it needs of its own project, what is needed before what needs it; and what of others."""

    versions: tuple[Version, ...]
    foreign: frozenset[Reference]


def gather(tx: Transaction, root: Reference) -> Closure:
    """Read a version and all that it needs. Raises NOT_FOUND."""
    seen: set[Reference] = set()
    versions: list[Version] = []
    foreign: set[Reference] = set()
    # Launch plans that launch one another can be nested more deeply than Python's own calls.
    begun: list[tuple[Version, Iterator[Reference]]] = []

    def visit(reference: Reference) -> None:
        if reference in seen:
            return
        seen.add(reference)
        if reference.id.scope != root.id.scope:
            foreign.add(reference)
            return
        row = tx.one(ONE_OF[reference.kind], name=reference.id.name, version=reference.id.version)
        if row is not None:
            begun.append((Version(reference, row), _needs(reference, row)))
        elif reference.kind is not EntityKind.WORKFLOW or reference == root:
            # A sub-workflow lies in the one that has it, and need not be registered by itself.
            raise not_found(reference.kind.value, str(reference.id))

    visit(root)
    while begun:
        version, needs = begun[-1]
        needed = next(needs, None)
        if needed is None:
            versions.append(version)
            begun.pop()
        else:
            visit(needed)
    return Closure(tuple(versions), frozenset(foreign))


def _needs(reference: Reference, row: Row[Any]) -> Iterator[Reference]:
    if reference.kind is EntityKind.LAUNCH_PLAN:
        yield Reference(EntityKind.WORKFLOW, workflow_id(row))
    elif reference.kind is EntityKind.WORKFLOW:
        closure = compiler_pb2.CompiledWorkflowClosure.FromString(row.closure)
        for workflow in (closure.primary, *closure.sub_workflows):
            # What is in a workflow of another project is that one's to have in the target domain.
            if entity_id(workflow.template.id, workflow.template.id.resource_type).scope == reference.id.scope:
                yield from (used for used, _ in of_template(workflow.template))


def content(version: Version) -> str:
    """Return a digest that is the same for two versions of one name that differ in nothing but their version.

    A workflow that has another version of a task, or one with other content, is not another workflow by that.
    """
    body: Message
    if version.reference.kind is EntityKind.TASK:
        body = task_pb2.TaskClosure.FromString(version.row.closure).compiled_task
    elif version.reference.kind is EntityKind.WORKFLOW:
        body = compiler_pb2.CompiledWorkflowClosure.FromString(version.row.closure).primary.template
    else:
        body = launch_plan_pb2.LaunchPlanSpec.FromString(version.row.spec)
    return digest(alike_everywhere(body))


class Move:
    """Moves versions from one scope to another domain of its project, and notes which files must come along."""

    def __init__(self, store: ArtifactStore, source: Scope, target: Scope, now: int) -> None:
        self._store = store
        self._source = source
        self._target = target
        self._now = now
        self.artifacts: set[str] = set()
        """The paths of the files, the same in both scopes."""

    def new(self, tx: Transaction, version: Version, moved_before: Mapping[Reference, New]) -> New:
        """Write a version down as it will be in the target; `tx` reads the source.

        `moved_before` is what it needs, by what that is in the source. Raises FOREIGN_REFERENCE for an address of
        something that does not come along.
        """
        kind, row = version.reference.kind, version.row
        id_ = EntityId(self._target, version.reference.id.name, version.reference.id.version)
        if kind is EntityKind.TASK:
            described = descriptions.of_version(tx, kind, version.reference.id)
            task = task_pb2.TaskClosure.FromString(row.closure).compiled_task
            return new_task(id_, self._moved(task), described, self._now)
        if kind is EntityKind.WORKFLOW:
            described = descriptions.of_version(tx, kind, version.reference.id)
            closure = compiler_pb2.CompiledWorkflowClosure.FromString(row.closure)
            return new_workflow(id_, self._moved(closure), described, self._now)
        spec = self._moved(launch_plan_pb2.LaunchPlanSpec.FromString(row.spec))
        plan = self._moved(launch_plan_pb2.LaunchPlanClosure.FromString(row.closure))
        return new_launch_plan(id_, spec, plan, self._runs(tx, row, moved_before), self._now)

    def _runs(
        self, tx: Transaction, row: Row[Any], moved_before: Mapping[Reference, New]
    ) -> compiler_pb2.CompiledWorkflowClosure:
        """Return the workflow of a launch plan, as it is in the target."""
        workflow = workflow_id(row)
        own = moved_before.get(Reference(EntityKind.WORKFLOW, workflow))
        if own is not None:
            return compiler_pb2.CompiledWorkflowClosure.FromString(own.row["closure"])
        found = tx.beside(workflow.scope).one(ONE_OF[EntityKind.WORKFLOW], name=workflow.name, version=workflow.version)
        if found is None:
            raise not_found("workflow", str(workflow))
        return self._moved(compiler_pb2.CompiledWorkflowClosure.FromString(found.closure))

    def digest(self, reference: Reference, row: Row[Any]) -> str:
        """Return the digest that a version of another project has in the target domain if it is the same there."""
        if reference.kind is EntityKind.TASK:
            return digest(self._moved(task_pb2.TaskClosure.FromString(row.closure).compiled_task))
        if reference.kind is EntityKind.WORKFLOW:
            return digest(self._moved(compiler_pb2.CompiledWorkflowClosure.FromString(row.closure)))
        return digest(self._moved(launch_plan_pb2.LaunchPlanSpec.FromString(row.spec)))

    def _moved(self, body: Body) -> Body:
        return moved(body, self._source.domain, self._target.domain, self._relocate)

    def _relocate(self, text: str, place: str) -> str:
        back = next((each for each in self._store.mentioned(text) if each.domain == self._source.domain), None)
        if back is None:
            return text
        try:
            scope, path = self._store.locate(text)
        except ApiError:  # more than an address
            scope, path = back, ""
        there = Scope(scope.project, self._target.domain)
        if place.endswith(_RAW_OUTPUT) and path:
            return self._store.native_url(there, path)
        if not path.startswith(UPLOADS):
            raise ApiError(
                Reason.FOREIGN_REFERENCE,
                f"{place} has the address of something in {scope} that is no upload, and does not come along",
                {"reference": str(scope), "field": place},
            )
        if scope == self._source:
            self.artifacts.add(path)
        return self._store.native_url(there, path)
