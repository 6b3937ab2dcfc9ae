"""Real workflows, written with flytekit and serialized by it: what the compiler meets in life."""

import datetime
import enum
import functools
from collections import OrderedDict
from dataclasses import dataclass, field

from flyteidl.admin import launch_plan_pb2, task_pb2, workflow_pb2
from flytekit import (
    CronSchedule,
    FixedRate,
    LaunchPlan,
    Resources,
    approve,
    conditional,
    dynamic,
    map_task,
    sleep,
    task,
    wait_for_input,
    workflow,
)
from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.core.array_node import array_node
from flytekit.core.launch_plan import reference_launch_plan
from flytekit.models.task import TaskSpec
from flytekit.tools.translator import get_serializable
from flytekit.types.error.error import FlyteError
from flytekit.types.file import FlyteFile

from airspace_server.core.scope import EntityId, EntityKind, Scope
from airspace_server.flyte.compiler import compile_launch_plan, compile_task, compile_workflow, references
from airspace_server.flyte.identifiers import entity_id

SCOPE = Scope("vision", "development")
VERSION = "v1"
SETTINGS = SerializationSettings(
    project=SCOPE.project,
    domain=SCOPE.domain,
    version=VERSION,
    image_config=ImageConfig(default_image=Image(name="default", fqn="img", tag="1")),
)


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Size:
    width: int
    name: str = "small"
    tags: list[str] = field(default_factory=list)


@task(requests=Resources(cpu="100m", mem="200Mi"), limits=Resources(cpu="1", mem="1Gi"), retries=2)
def double(x: int) -> int:
    return 2 * x


@task
def add(a: int, b: int = 3) -> int:
    return a + b


@task
def nothing() -> None: ...


@task
def many(
    i: int = 1,
    f: float = 0.5,
    s: str = "s",
    b: bool = True,
    when: datetime.datetime = datetime.datetime(2024, 1, 1),
    span: datetime.timedelta = datetime.timedelta(hours=1),
    maybe: int | None = None,
    either: int | str = "q",
    color: Color = Color.RED,
) -> int | None:
    return maybe


@task
def make_size(width: int) -> Size:
    return Size(width)


@task
def use(size: Size, sizes: list[Size], by_name: dict[str, int], names: list[str], any_: dict, file: FlyteFile) -> dict:
    return {}


@task
def cleanup(x: int, err: FlyteError | None = None) -> None: ...


@dynamic
def grow(n: int) -> list[int]:
    return [double(x=i) for i in range(n)]


@workflow
def chain(x: int) -> int:
    return double(x=double(x=double(x=x)))


@workflow
def fan(x: int = 4) -> tuple[int, int]:
    first = double(x=x)
    left = add(a=first, b=1)
    right = add(a=first, b=2)
    return add(a=left, b=right), first


@workflow
def outer(x: int) -> int:
    return add(a=chain(x=x), b=chain(x=double(x=x)))


@workflow
def outermost(x: int) -> int:
    return outer(x=x)


@workflow
def choice(x: int) -> int:
    first = double(x=x)
    second = double(x=first)
    return (
        conditional("size")
        .if_(first == 1)
        .then(double(x=first))
        .elif_((first > 2) & (x < 3))
        .then(conditional("inner").if_(second == 1).then(double(x=second)).else_().then(add(a=first, b=x)))
        .elif_(second == 8)
        .then(chain(x=first))
        .else_()
        .then(add(a=second, b=first))
    )


@workflow
def choice_or_fail(x: int) -> int:
    return conditional("sign").if_(x > 0).then(double(x=x)).else_().fail("must be positive")


@workflow
def mapped(x: int) -> list[int]:
    return map_task(functools.partial(add, b=x))(a=[1, 2, x])


@workflow
def mapped_partly(xs: list[int]) -> list[int | None]:
    return map_task(double, min_success_ratio=0.5)(x=xs)


@workflow
def growing(n: int) -> list[int]:
    return grow(n=n)


@workflow
def gated(x: int) -> int:
    signal = wait_for_input("number", timeout=datetime.timedelta(hours=1), expected_type=int)
    approved = approve(double(x=signal), "approved", timeout=datetime.timedelta(hours=1))
    pause = sleep(datetime.timedelta(seconds=3))
    last = add(a=approved, b=x)
    pause >> last
    return last


@workflow
def typed(x: int, file: FlyteFile, maybe: int | None = 3, color: Color = Color.BLUE) -> int | None:
    size = make_size(width=x)
    double(x=size.width)
    use(size=size, sizes=[size, size], by_name={"a": x, "b": 2}, names=["a"], any_={"k": [1, {"z": None}]}, file=file)
    many(either=x, maybe=x)
    return many(maybe=maybe, color=color)


@workflow(on_failure=cleanup)
def guarded(x: int) -> int:
    return double(x=x)


@workflow
def nightly(when: datetime.datetime, x: int = 1) -> int:
    return double(x=x)


chain_lp = LaunchPlan.get_or_create(chain, "samples.chain_lp", default_inputs={"x": 3})


@workflow
def launching(x: int) -> list[int]:
    again = chain_lp(x=x)
    chain_lp() >> again
    return array_node(chain_lp, concurrency=2)(x=[1, 2, 3])


cron_lp = LaunchPlan.get_or_create(
    nightly,
    "samples.nightly_lp",
    schedule=CronSchedule(schedule="0 2 * * *", kickoff_time_input_arg="when"),
    fixed_inputs={"x": 7},
)
rate_lp = LaunchPlan.get_or_create(
    fan, "samples.rate_lp", default_inputs={"x": 9}, schedule=FixedRate(datetime.timedelta(minutes=10))
)


@reference_launch_plan(project="other", domain=SCOPE.domain, name="theirs", version="v1")
def theirs(x: int) -> int: ...


@workflow
def foreign(x: int) -> int:
    return theirs(x=x)


def named(name: str) -> EntityId:
    return EntityId(SCOPE, name, VERSION)


def id_of(entity: object) -> EntityId:
    return named(entity.name)


def serialize(entity):
    """Return the entity's flyteidl message, and those of all tasks that came along by their ids."""
    found = OrderedDict()
    spec = get_serializable(found, SETTINGS, entity).to_flyte_idl()
    tasks = [each.to_flyte_idl() for each in found.values() if isinstance(each, TaskSpec)]
    return spec, {entity_id(each.template.id, each.template.id.resource_type): each for each in tasks}


def workflow_spec(entity) -> workflow_pb2.WorkflowSpec:
    return serialize(entity)[0]


def task_spec(entity) -> task_pb2.TaskSpec:
    return serialize(entity)[0]


def launch_plan(entity) -> launch_plan_pb2.LaunchPlan:
    """Return a compiled launch plan as the registry holds it."""
    sent = serialize(entity)[0]
    compiled = compile_workflow(id_of(entity.workflow), workflow_spec(entity.workflow), *library(entity.workflow))
    spec, closure = compile_launch_plan(id_of(entity), sent.spec, compiled.primary.template.interface)
    return launch_plan_pb2.LaunchPlan(id=sent.id, spec=spec, closure=closure)


def library(entity):
    """Return the compiled tasks and launch plans that a workflow refers to, and no workflow of another project."""
    spec, tasks = serialize(entity)
    found = references(id_of(entity), spec)
    own_tasks = [used.id for used in found if used.kind is EntityKind.TASK]
    plans = {used.id: launch_plan(chain_lp) for used in found if used.kind is EntityKind.LAUNCH_PLAN}
    return {task: compile_task(task, tasks[task]).compiled_task for task in own_tasks}, plans, {}


def compiled(entity):
    return compile_workflow(id_of(entity), workflow_spec(entity), *library(entity))


WORKFLOWS = [
    chain,
    fan,
    outer,
    outermost,
    choice,
    choice_or_fail,
    mapped,
    mapped_partly,
    growing,
    gated,
    typed,
    guarded,
    nightly,
    launching,
]
