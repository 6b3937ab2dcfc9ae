"""Launching: from a launch plan or a task and the given inputs to a stored execution.

All that can fail is looked at before the first row is written, and the row, its first transition and the checks that
the project is active and that the quotas leave room are one transaction. Nothing runs before it is committed; what is
committed is never lost.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from flyteidl.admin import common_pb2, execution_pb2, matchable_resource_pb2
from flyteidl.core import identifier_pb2, interface_pb2, literals_pb2, security_pb2
from sqlalchemy import bindparam, select

from airspace_server.access.identity import Principal
from airspace_server.core import names
from airspace_server.core.clock import Clock
from airspace_server.core.errors import ApiError, Reason, invalid_field
from airspace_server.core.execution import ExecutionPhase, ExecutionState, NodePhase
from airspace_server.core.run_as import NamedIdentity, require_allowed
from airspace_server.core.scope import EntityId, ExecutionId, Reference, Scope
from airspace_server.execution.catalog import Catalog
from airspace_server.execution.notices import Refusals
from airspace_server.execution.queue import admit
from airspace_server.flyte.attributes import EXECUTION_CONFIG, configured, identities
from airspace_server.flyte.identifiers import identifier
from airspace_server.flyte.literals import merge_inputs, to_literals
from airspace_server.flyte.notifications import check_notifications
from airspace_server.flyte.run_as import named_by_execution, named_by_task, require_own_labels
from airspace_server.flyte.runnable import first_unrunnable
from airspace_server.flyte.single_task import single_task_workflow, task_inputs
from airspace_server.storage import attributes
from airspace_server.storage.database import Database, Transaction, scoped
from airspace_server.storage.projects import require_active
from airspace_server.storage.references import require_exported
from airspace_server.storage.settings import run_as
from airspace_server.storage.tables import ExecutionRow, NodeExecutionRow, TransitionRow, table

_EXECUTIONS: Final = table(ExecutionRow)
_TRANSITIONS: Final = table(TransitionRow)
_NODES: Final = table(NodeExecutionRow)

_SET_SEQUENCE: Final = (
    _EXECUTIONS.update()
    .where(scoped(_EXECUTIONS), _EXECUTIONS.c.name == bindparam("own_name"))
    .values(sequence=bindparam("last"))
)
_SUCCEEDED: Final = (
    select(_NODES)
    .where(scoped(_NODES), _NODES.c.execution == bindparam("source"), _NODES.c.phase == NodePhase.SUCCEEDED.value)
    .order_by(_NODES.c.position)
)
_SPEC: Final = select(_EXECUTIONS.c.spec).where(scoped(_EXECUTIONS), _EXECUTIONS.c.name == bindparam("own_name"))
_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"  # no vowels, so that no name is a word
_NAME_LENGTH: Final = 19
MAX_SPEC: Final = 64 * 1024
"""Most bytes that the rest of a launch may have, annotations above all: lists show it."""
MAX_NESTING: Final = 16
"""How deep executions may launch one another: code that launches itself must come to an end."""
MAX_INPUTS: Final = 2 * 1024 * 1024
"""Most bytes that the inputs of an execution may have: they are stored with it."""


@dataclass(frozen=True, slots=True)
class LaunchPlanRef:
    """What to launch: a launch plan by name, of a version or the active one."""

    name: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class TaskRef:
    """What to launch: one task alone."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Launch:
    """A launch as it was asked for.

    `inputs` are literals, or JSON values that are brought to the types of the launch plan. `spec` carries what Flyte's
    clients say beside them; principal, mode and the launched id in it are set here, whatever the client sent. `source`
    names the execution of the same scope that this one repeats; with the mode RECOVERED its succeeded nodes are kept.
    What an execution's code launches is its launcher's, and the execution is its parent. `scheduled_at` is when a
    schedule's tick was due that launches it, in microseconds, UTC.
    """

    scope: Scope
    target: LaunchPlanRef | TaskRef
    principal: Principal
    name: str = ""
    inputs: literals_pb2.LiteralMap | Mapping[str, object] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    spec: execution_pb2.ExecutionSpec | None = None
    mode: execution_pb2.ExecutionMetadata.ExecutionMode = execution_pb2.ExecutionMetadata.MANUAL
    source: str = ""
    scheduled_at: int | None = None

    @property
    def launcher(self) -> Principal:
        """Whose the new execution is."""
        return self.principal.origin

    @property
    def parent(self) -> ExecutionId | None:
        """The execution whose code launches it."""
        return self.principal.execution


@dataclass(frozen=True, slots=True)
class Prepared:
    """A launch that nothing is wrong with; `row` is what it will be stored as, at a time of then.

    `recovers` names the execution whose succeeded nodes are kept, `active` the launch plan of which it is the active
    version, `needs` what other projects must have exported to its own.
    """

    id: ExecutionId
    named: bool
    row: Mapping[str, Any]
    recovers: str = ""
    active: str = ""
    needs: frozenset[Reference] = frozenset()


@dataclass(frozen=True, slots=True)
class _Resolved:
    """What a launch is of: the launch plan or task, what it takes and brings, and the columns that say so.

    `workflow` is the one whose attributes count, "" for a task alone; `active` and `needs` are as in Prepared.
    """

    launched: identifier_pb2.Identifier
    expected: interface_pb2.ParameterMap
    fixed: literals_pb2.LiteralMap
    labels: Mapping[str, str]
    envs: common_pb2.Envs
    notifications: Sequence[common_pb2.Notification]
    named: tuple[NamedIdentity, ...]
    columns: Mapping[str, str]
    workflow: str = ""
    active: str = ""
    needs: frozenset[Reference] = frozenset()


class Launcher:
    """Launches executions. Authorization has happened before any of this is called."""

    def __init__(self, database: Database, catalog: Catalog, clock: Clock, refusals: Refusals) -> None:
        self._database = database
        self._catalog = catalog
        self._clock = clock
        self._refusals = refusals

    def prepare(self, launch: Launch) -> Prepared:
        """Resolve, check and merge everything that a launch needs; write nothing.

        Raises NOT_FOUND, NO_ACTIVE_VERSION, NOT_RUNNABLE, RUN_AS_FORBIDDEN, INPUT_INVALID, INVALID_FIELD, TOO_LARGE and
        NESTING_TOO_DEEP.
        """
        with self._database.read(launch.scope) as tx:
            if isinstance(launch.target, TaskRef):
                return self._prepared(tx, launch, self._of_task(tx, launch, launch.target))
            return self._prepared(tx, launch, self._of_plan(tx, launch, launch.target))

    def store(self, tx: Transaction, prepared: Prepared) -> None:
        """Store a prepared launch.

        Raises QUOTA_EXCEEDED, PROJECT_MISSING, PROJECT_ARCHIVED, EXPORT_MISSING, NO_ACTIVE_VERSION and UNAVAILABLE when
        the active version is another one by now, and ALREADY_EXISTS when the caller's name is taken; a name that the
        server chose is never reported as taken.
        """
        now = self._clock()
        try:
            admit(tx, prepared.id.scope, now)  # first: who waits here must not keep the project from being archived
        except ApiError as error:
            self._refusals.refused(prepared.id.scope, error)
            raise
        require_active(tx, prepared.id.scope.project)
        require_exported(tx, prepared.id.scope, prepared.needs)
        if prepared.active:
            now_active = self._catalog.active_version(tx, prepared.id.scope, prepared.active)
            if now_active.version != prepared.row["launch_plan_version"]:
                raise ApiError(Reason.UNAVAILABLE, "another version has just been activated; try again")
        row = {"name": prepared.id.name, **prepared.row, "created_at": now, "updated_at": now}
        if not tx.insert_new(_EXECUTIONS, row):
            if not prepared.named:
                raise ApiError(Reason.UNAVAILABLE, "no free name was found; try again")
            raise ApiError(Reason.ALREADY_EXISTS, f"execution {prepared.id} exists", {"name": prepared.id.name}, "name")
        tx.changed(f"execution {prepared.id}", None, _described(row))
        moves: list[tuple[str | None, str]] = [(None, prepared.row["phase"])]
        if prepared.recovers:
            moves += self._keep_succeeded(tx, prepared, now)
        tx.insert(
            _TRANSITIONS,
            *(
                {
                    "execution": prepared.id.name,
                    "sequence": sequence,
                    "node_id": node,
                    "attempt": 0,
                    "phase": phase,
                    "at": now,
                }
                for sequence, (node, phase) in enumerate(moves, start=1)
            ),
        )
        if len(moves) > 1:
            tx.execute(_SET_SEQUENCE, own_name=prepared.id.name, last=len(moves))

    def _keep_succeeded(self, tx: Transaction, prepared: Prepared, now: int) -> list[tuple[str | None, str]]:
        """Give a recovering execution the nodes that succeeded, with their outputs; the engine goes on behind them."""
        kept = tx.all(_SUCCEEDED, source=prepared.recovers)
        times = {"created_at": now, "started_at": now, "updated_at": now, "ended_at": now}
        rows = [
            {**row._mapping, "execution": prepared.id.name, "position": place, "attempts": 0, **times}  # noqa: SLF001
            for place, row in enumerate(kept)
        ]
        if rows:
            tx.insert(_NODES, *rows)
        return [(row.node_id, row.phase) for row in kept]

    def launch(self, launch: Launch) -> ExecutionId:
        """Prepare and store a launch; raises what both raise."""
        prepared = self.prepare(launch)
        with self._database.write(launch.scope) as tx:
            self.store(tx, prepared)
        return prepared.id

    def _of_plan(self, tx: Transaction, launch: Launch, target: LaunchPlanRef) -> _Resolved:
        if target.version:
            id_ = EntityId(launch.scope, target.name, target.version)
        else:
            id_ = self._catalog.active_version(tx, launch.scope, target.name)
        plan = self._catalog.plan(tx, id_)
        _require_runnable(plan.unrunnable)
        return _Resolved(
            identifier(id_, identifier_pb2.LAUNCH_PLAN),
            plan.closure.expected_inputs,
            plan.spec.fixed_inputs,
            plan.spec.labels.values,
            plan.spec.envs,
            plan.spec.entity_metadata.notifications,
            plan.named,
            {
                "launch_plan_name": id_.name,
                "launch_plan_version": id_.version,
                "workflow_project": plan.workflow.scope.project,
                "workflow_name": plan.workflow.name,
                "workflow_version": plan.workflow.version,
            },
            workflow=plan.workflow.name,
            active="" if target.version else id_.name,
            needs=plan.needs,
        )

    def _of_task(self, tx: Transaction, launch: Launch, target: TaskRef) -> _Resolved:
        id_ = EntityId(launch.scope, target.name, target.version)
        task = self._catalog.task(tx, id_)
        _require_runnable(first_unrunnable(single_task_workflow(task)))
        return _Resolved(
            identifier(id_, identifier_pb2.TASK),
            task_inputs(task),
            literals_pb2.LiteralMap(),
            {},
            common_pb2.Envs(),
            (),
            tuple(named_by_task(task.template, f"task {id_.name}")),
            {"task_name": id_.name, "task_version": id_.version},
        )

    def _run_as(
        self,
        tx: Transaction,
        launch: Launch,
        named: tuple[NamedIdentity, ...],
        config: matchable_resource_pb2.WorkflowExecutionConfig,
    ) -> security_pb2.Identity:
        """Return as whom the execution runs: what the caller names, or the scope's default where nobody names any.

        Raises RUN_AS_FORBIDDEN for what the caller, the launch plan, a task or the scope's configuration names and the
        scope does not allow.
        """
        settings = run_as(tx, launch.scope)
        by_caller = () if launch.spec is None else tuple(named_by_execution(launch.spec, "spec"))
        require_allowed(settings, launch.scope, (*by_caller, *named))
        identity = security_pb2.Identity() if launch.spec is None else launch.spec.security_context.run_as
        if by_caller or named:
            return identity
        by_config = identities(config, EXECUTION_CONFIG)
        if by_config:
            require_allowed(settings, launch.scope, by_config)
            return config.security_context.run_as
        return security_pb2.Identity(
            k8s_service_account=settings.default_service_account, iam_role=settings.default_iam_role
        )

    def _nesting(self, tx: Transaction, launch: Launch) -> int:
        """Return how many executions launched one another until this one, 0 for one that nobody's code launches.

        Raises NESTING_TOO_DEEP.
        """
        if launch.parent is None:
            return 0
        if launch.parent.scope != launch.scope:
            raise RuntimeError(f"{launch.parent} was let launch in {launch.scope}")
        parent = tx.execute(_SPEC, own_name=launch.parent.name).scalar_one()
        nesting = execution_pb2.ExecutionSpec.FromString(parent).metadata.nesting + 1
        if nesting > MAX_NESTING:
            raise ApiError(
                Reason.NESTING_TOO_DEEP,
                f"executions launch one another at most {MAX_NESTING} deep",
                {"limit": str(MAX_NESTING)},
            )
        return nesting

    def _prepared(self, tx: Transaction, launch: Launch, resolved: _Resolved) -> Prepared:
        given = _given(launch.inputs, resolved.expected, resolved.fixed)
        inputs = merge_inputs(resolved.expected, resolved.fixed, given)
        config = _config(tx, launch.scope, resolved.workflow)
        identity = self._run_as(tx, launch, resolved.named, config)
        labels = {**config.labels.values, **resolved.labels, **launch.labels}
        problem = names.labels(labels)
        if problem:
            raise invalid_field("labels", problem)
        require_own_labels(labels, "labels")
        message = _spec(launch, resolved, labels, identity, self._nesting(tx, launch))
        configured(message, config)
        spec = message.SerializeToString()
        if len(spec) > MAX_SPEC:
            raise ApiError(
                Reason.TOO_LARGE, f"the spec has more than {MAX_SPEC} bytes", {"limit": str(MAX_SPEC)}, "spec"
            )
        merged = inputs.SerializeToString(deterministic=True)
        if len(merged) > MAX_INPUTS:
            raise ApiError(
                Reason.TOO_LARGE, f"the inputs have more than {MAX_INPUTS} bytes", {"limit": str(MAX_INPUTS)}, "inputs"
            )
        literals_pb2.LiteralMap.FromString(merged)  # raises DecodeError for what could never be read again
        row = {
            "phase": ExecutionPhase.QUEUED,
            "state": ExecutionState.ACTIVE,
            "spec": spec,
            "labels": json.dumps(labels, sort_keys=True),
            "inputs": merged,
            "user_inputs": given.SerializeToString(deterministic=True),
            "principal": launch.launcher.member,
            "principal_groups": json.dumps(sorted(launch.launcher.groups)) if launch.launcher.groups else None,
            "source_execution": launch.source or None,
            "sequence": 1,
            "lease_epoch": 0,
            "lease_expires_at": 0,
            **resolved.columns,
        }
        recovers = launch.source if launch.mode == execution_pb2.ExecutionMetadata.RECOVERED else ""
        id_ = ExecutionId(launch.scope, launch.name or generated_name())
        return Prepared(id_, bool(launch.name), row, recovers, resolved.active, resolved.needs)


def generated_name() -> str:
    """Choose a name for an execution: "a" and 19 random characters, as Flyte's look."""
    return "a" + "".join(secrets.choice(_ALPHABET) for _ in range(_NAME_LENGTH))


def _described(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the audit's digest is of: nothing that inputs or variables of the environment could be guessed by."""
    return {key: value for key, value in row.items() if key not in ("spec", "inputs", "user_inputs")}


def _config(tx: Transaction, scope: Scope, workflow: str) -> matchable_resource_pb2.WorkflowExecutionConfig:
    """Return what is configured for executions of a workflow in a scope."""
    found = attributes.effective(tx, EXECUTION_CONFIG, scope, workflow)
    content = b"" if found is None else found.content
    return matchable_resource_pb2.MatchingAttributes.FromString(content).workflow_execution_config


def _given(
    inputs: literals_pb2.LiteralMap | Mapping[str, object],
    expected: interface_pb2.ParameterMap,
    fixed: literals_pb2.LiteralMap,
) -> literals_pb2.LiteralMap:
    if isinstance(inputs, literals_pb2.LiteralMap):
        return inputs
    for name in inputs:
        if name in fixed.literals:
            raise ApiError(
                Reason.INPUT_INVALID, f"input {name} is fixed by the launch plan", {"input": name}, f"inputs.{name}"
            )
    return to_literals(inputs, {name: parameter.var for name, parameter in expected.parameters.items()})


def _require_runnable(unrunnable: tuple[str, str] | None) -> None:
    if unrunnable:
        node, construct = unrunnable
        raise ApiError(
            Reason.NOT_RUNNABLE,
            f"node {node} is {construct}, which this server's engine cannot run yet",
            {"node": node, "construct": construct},
        )


def _spec(
    launch: Launch,
    resolved: _Resolved,
    labels: Mapping[str, str],
    run_as: security_pb2.Identity,
    nesting: int,
) -> execution_pb2.ExecutionSpec:
    """Build the stored spec: what the client said, less what only the server may say.

    What it does not say of the environment and of notifications is the launch plan's. Raises INVALID_FIELD.
    """
    spec = execution_pb2.ExecutionSpec()
    if launch.spec is not None:
        spec.CopyFrom(launch.spec)
    spec.ClearField("inputs")
    if not spec.envs.values:
        spec.envs.CopyFrom(resolved.envs)
    check_notifications(spec.notifications.notifications, "spec.notifications.notifications")
    if not spec.notifications.notifications and not spec.disable_all:
        spec.notifications.notifications.extend(resolved.notifications)
    spec.launch_plan.CopyFrom(resolved.launched)
    # Parent, reference and artifact ids in here name other scopes: none of a client's metadata is kept.
    about = execution_pb2.ExecutionMetadata(mode=launch.mode, principal=launch.launcher.member, nesting=nesting)
    spec.metadata.CopyFrom(about)
    if launch.parent is not None:
        spec.metadata.parent_node_execution.execution_id.project = launch.parent.scope.project
        spec.metadata.parent_node_execution.execution_id.domain = launch.parent.scope.domain
        spec.metadata.parent_node_execution.execution_id.name = launch.parent.name
    if launch.scheduled_at is not None:
        spec.metadata.scheduled_at.FromMicroseconds(launch.scheduled_at)
    if launch.source:
        spec.metadata.reference_execution.project = launch.scope.project
        spec.metadata.reference_execution.domain = launch.scope.domain
        spec.metadata.reference_execution.name = launch.source
    spec.security_context.run_as.CopyFrom(run_as)
    spec.security_context.run_as.execution_identity = launch.launcher.member
    spec.labels.values.clear()
    spec.labels.values.update(labels)
    return spec
