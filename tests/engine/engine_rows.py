"""What the tests of the engine share: closures made by hand, executions put straight into the tables, their ends."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flyteidl.admin import execution_pb2
from flyteidl.core import compiler_pb2, condition_pb2, identifier_pb2, literals_pb2, tasks_pb2, types_pb2, workflow_pb2
from sqlalchemy import select

from airspace_server.core.scope import ExecutionId, Scope
from airspace_server.core.shares import Shares
from airspace_server.engine.admission import Room
from airspace_server.storage.database import Database
from airspace_server.storage.tables import (
    ExecutionRow,
    LaunchPlanRow,
    NodeExecutionRow,
    ProjectRow,
    TaskAttemptRow,
    TransitionRow,
    WorkflowRow,
    table,
)

SCOPE = Scope("flights", "development")
VERSION = "v1"


def integer(value: int) -> literals_pb2.Literal:
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(integer=value)))


def literals(**values: int) -> literals_pb2.LiteralMap:
    return literals_pb2.LiteralMap(literals={name: integer(value) for name, value in values.items()})


def promise(node_id: str, var: str, *path: str | int) -> literals_pb2.BindingData:
    steps = [
        types_pb2.PromiseAttribute(string_value=one)
        if isinstance(one, str)
        else types_pb2.PromiseAttribute(int_value=one)
        for one in path
    ]
    return literals_pb2.BindingData(promise=types_pb2.OutputReference(node_id=node_id, var=var, attr_path=steps))


def constant(value: int) -> literals_pb2.BindingData:
    return literals_pb2.BindingData(scalar=integer(value).scalar)


def several(*items: literals_pb2.BindingData) -> literals_pb2.BindingData:
    return literals_pb2.BindingData(collection=literals_pb2.BindingDataCollection(bindings=items))


def identifier(name: str, kind: Any = identifier_pb2.TASK) -> identifier_pb2.Identifier:
    return identifier_pb2.Identifier(
        resource_type=kind, project=SCOPE.project, domain=SCOPE.domain, name=name, version=VERSION
    )


def bindings(values: Mapping[str, literals_pb2.BindingData]) -> list[literals_pb2.Binding]:
    return [literals_pb2.Binding(var=var, binding=data) for var, data in values.items()]


def node(
    node_id: str,
    *,
    task: str = "",
    workflow: str = "",
    inputs: Mapping[str, literals_pb2.BindingData] | None = None,
    after: Sequence[str] = (),
    retries: int = 0,
    seconds: float = 0,
) -> workflow_pb2.Node:
    made = workflow_pb2.Node(id=node_id, inputs=bindings(inputs or {}), upstream_node_ids=after)
    made.metadata.retries.retries = retries
    made.metadata.timeout.FromMicroseconds(int(seconds * 1e6))
    if task:
        made.task_node.reference_id.CopyFrom(identifier(task))
    else:
        made.workflow_node.sub_workflow_ref.CopyFrom(identifier(workflow, identifier_pb2.WORKFLOW))
    return made


def array(
    node_id: str,
    *,
    task: str,
    inputs: Mapping[str, literals_pb2.BindingData],
    retries: int = 0,
    **options: Any,
) -> workflow_pb2.Node:
    """A node that runs a task for each item of its lists; `options` are those of ArrayNode."""
    made = workflow_pb2.Node(id=node_id, inputs=bindings(inputs))
    made.array_node.CopyFrom(workflow_pb2.ArrayNode(**options))
    made.array_node.node.task_node.reference_id.CopyFrom(identifier(task))
    made.array_node.node.metadata.retries.retries = retries
    return made


def listed(*values: int) -> literals_pb2.Literal:
    return literals_pb2.Literal(collection=literals_pb2.LiteralCollection(literals=map(integer, values)))


def more_than(var: str, value: int) -> condition_pb2.BooleanExpression:
    """The condition that an input of a branch is more than a number."""
    comparison = condition_pb2.ComparisonExpression(operator=condition_pb2.ComparisonExpression.GT)
    comparison.left_value.var = var
    comparison.right_value.primitive.integer = value
    return condition_pb2.BooleanExpression(comparison=comparison)


def branch(
    node_id: str,
    *cases: tuple[condition_pb2.BooleanExpression, workflow_pb2.Node],
    inputs: Mapping[str, literals_pb2.BindingData],
    otherwise: workflow_pb2.Node | None = None,
    error: str = "",
    after: Sequence[str] = (),
) -> workflow_pb2.Node:
    """A branch node: conditions about its inputs, each with the node to run, and what to do if none holds."""
    made = workflow_pb2.Node(id=node_id, inputs=bindings(inputs), upstream_node_ids=after)
    made.metadata.name = f"choice {node_id}"
    blocks = [workflow_pb2.IfBlock(condition=condition, then_node=node) for condition, node in cases]
    made.branch_node.if_else.case.CopyFrom(blocks[0])
    made.branch_node.if_else.other.extend(blocks[1:])
    if otherwise is not None:
        made.branch_node.if_else.else_node.CopyFrom(otherwise)
    if error:
        made.branch_node.if_else.error.message = error
    return made


def _tasks_in(nodes: Iterable[workflow_pb2.Node]) -> Iterator[str]:
    for one in nodes:
        yield (one.array_node.node if one.HasField("array_node") else one).task_node.reference_id.name
        block = one.branch_node.if_else
        if one.HasField("branch_node"):
            yield from _tasks_in([case.then_node for case in (block.case, *block.other)] + [block.else_node])


def workflow(
    name: str,
    *nodes: workflow_pb2.Node,
    outputs: Mapping[str, literals_pb2.BindingData] | None = None,
    goes_on: bool = False,
    failure: workflow_pb2.Node | None = None,
) -> workflow_pb2.WorkflowTemplate:
    policy = workflow_pb2.WorkflowMetadata.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE
    return workflow_pb2.WorkflowTemplate(
        id=identifier(name, identifier_pb2.WORKFLOW),
        metadata=workflow_pb2.WorkflowMetadata(on_failure=policy if goes_on else 0),
        nodes=nodes,
        outputs=bindings(outputs or {}),
        failure_node=failure,
    )


def task(
    name: str, *, retries: int = 0, seconds: float = 0, outputs: Sequence[str] = (), **env: str
) -> tasks_pb2.TaskTemplate:
    """A task whose program is the stand-in for flytekit's (engine_stand_in.py); `env` tells it what to do."""
    made = tasks_pb2.TaskTemplate(id=identifier(name), type="python-task")
    made.metadata.retries.retries = retries
    made.metadata.timeout.FromMicroseconds(int(seconds * 1e6))
    for output in outputs:
        made.interface.outputs.variables[output].SetInParent()
    made.container.args.extend(
        ["pyflyte-execute", "--inputs", "{{.input}}", "--output-prefix", "{{.outputPrefix}}", "--", name]
    )
    for key, value in env.items():
        made.container.env.add(key=key, value=value)
    return made


def closure(
    primary: workflow_pb2.WorkflowTemplate,
    *subs: workflow_pb2.WorkflowTemplate,
    tasks: Sequence[tasks_pb2.TaskTemplate] | None = None,
) -> compiler_pb2.CompiledWorkflowClosure:
    """Compile by hand; without `tasks`, every task that a node names is one that does nothing."""
    if tasks is None:
        names = {name for wf in (primary, *subs) for name in _tasks_in([*wf.nodes, wf.failure_node])}
        tasks = [task(name) for name in sorted(names - {""})]
    return compiler_pb2.CompiledWorkflowClosure(
        primary=compiler_pb2.CompiledWorkflow(template=primary),
        sub_workflows=[compiler_pb2.CompiledWorkflow(template=sub) for sub in subs],
        tasks=[compiler_pb2.CompiledTask(template=one) for one in tasks],
    )


def room(any_: int, held: Mapping[str, int] | None = None, **weights: int) -> Room:
    """Room for so many executions, in a worker whose domains have shares only if weights of its slots are given."""
    return Room(any_, held or {}, Shares.of(weights, sum(weights.values())), 2**62)


def add_project(database: Database) -> None:
    with database.write() as tx:
        project = {"id": SCOPE.project, "name": "Flights", "description": "", "labels": "{}", "state": "ACTIVE"}
        tx.insert(table(ProjectRow), {**project, "version": 1, "created_at": 1, "updated_at": 1})


def launch(
    database: Database,
    name: str,
    compiled: compiler_pb2.CompiledWorkflowClosure,
    inputs: literals_pb2.LiteralMap | None = None,
    *,
    scope: Scope = SCOPE,
    created_at: int = 1,
    **env: str,
) -> ExecutionId:
    """Store an execution, with a workflow and launch plan of its own, as a launch does."""
    spec = execution_pb2.ExecutionSpec()
    for key, value in env.items():
        spec.envs.values.add(key=key, value=value)
    data = (inputs or literals()).SerializeToString()
    entity = {"name": name, "version": VERSION, "digest": "", "created_at": 1}
    with database.write(scope) as tx:
        flow = {"short_description": "", "interface": b"", "closure": compiled.SerializeToString()}
        tx.insert(table(WorkflowRow), {**entity, **flow})
        plan = {"workflow_name": name, "workflow_version": VERSION, "state": "INACTIVE", "schedule": ""}
        plan["workflow_project"] = scope.project
        tx.insert(table(LaunchPlanRow), {**entity, **plan, "spec": b"", "closure": b"", "updated_at": 1})
        tx.insert(
            table(ExecutionRow),
            {
                "name": name,
                "launch_plan_name": name,
                "launch_plan_version": VERSION,
                "workflow_project": scope.project,
                "workflow_name": name,
                "workflow_version": VERSION,
                "phase": "QUEUED",
                "state": "ACTIVE",
                "spec": spec.SerializeToString(),
                "labels": "{}",
                "inputs": data,
                "user_inputs": data,
                "principal": "user:ada",
                "sequence": 1,
                "lease_epoch": 0,
                "lease_expires_at": 0,
                "created_at": created_at,
                "updated_at": created_at,
            },
        )
        queued = {"execution": name, "sequence": 1, "node_id": None, "attempt": 0, "phase": "QUEUED", "at": created_at}
        tx.insert(table(TransitionRow), queued)
    return ExecutionId(scope, name)


def ask_abort(database: Database, execution: ExecutionId) -> None:
    """Ask for the end of an execution, as TerminateExecution does."""
    rows, moves = table(ExecutionRow), table(TransitionRow)
    of = (rows.c.project == execution.scope.project, rows.c.domain == execution.scope.domain)
    with database.write(across=True) as tx:
        found = tx.execute(select(rows.c.sequence).where(*of, rows.c.name == execution.name)).one()
        changed = {"phase": "ABORTING", "sequence": found.sequence + 1}
        tx.execute(rows.update().where(*of, rows.c.name == execution.name).values(**changed))
        move = {"execution": execution.name, "sequence": found.sequence + 1, "phase": "ABORTING", "attempt": 0, "at": 2}
        scope = {"project": execution.scope.project, "domain": execution.scope.domain}
        tx.insert(moves, {**move, **scope, "node_id": None})


def _rows(database: Database, row: Any, execution: ExecutionId, column: str, order: str) -> list[Any]:
    rows = table(row)
    with database.read(across=True) as tx:
        found = select(rows).where(
            rows.c.project == execution.scope.project,
            rows.c.domain == execution.scope.domain,
            rows.c[column] == execution.name,
        )
        return list(tx.all(found.order_by(rows.c[order])))


def stored(database: Database, execution: ExecutionId) -> Any:
    return _rows(database, ExecutionRow, execution, "name", "name")[0]


def nodes_of(database: Database, execution: ExecutionId) -> dict[str, Any]:
    return {row.node_id: row for row in _rows(database, NodeExecutionRow, execution, "execution", "position")}


def attempts_of(database: Database, execution: ExecutionId) -> list[Any]:
    return _rows(database, TaskAttemptRow, execution, "execution", "attempt")


def transitions_of(database: Database, execution: ExecutionId) -> list[Any]:
    return _rows(database, TransitionRow, execution, "execution", "sequence")


def outputs_of(database: Database, execution: ExecutionId) -> literals_pb2.LiteralMap:
    return literals_pb2.LiteralMap.FromString(stored(database, execution).outputs)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
