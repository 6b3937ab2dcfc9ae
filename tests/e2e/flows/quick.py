"""Small tasks: one that works, one that fails, one that waits until it is told to go on."""

import os
import time
from datetime import timedelta
from pathlib import Path

from flytekit import (
    CronSchedule,
    Deck,
    LaunchPlan,
    approve,
    conditional,
    map_task,
    sleep,
    task,
    wait_for_input,
    workflow,
)


@task
def double(x: int) -> int:
    return 2 * x


@task
def describe(x: int, unit: str) -> str:
    return f"{x} {unit}"


@task
def explode(reason: str) -> str:
    if reason:
        raise ValueError(reason)
    return "calm"


@task
def knead() -> int:
    return os.getpid()


@task
def bake(dough: int, path: str) -> str:
    return f"2 {Path(path).read_text()}" if dough else ""


@task
def hold(gate: str) -> str:
    """Say that it has begun, and end when `gate` is there."""
    print("holding", flush=True)
    while not Path(gate).exists():
        time.sleep(0.02)
    return "released"


@task(enable_deck=True)
def draw(title: str) -> int:
    Deck("drawing", f"<h1>{title}</h1><script>document.title = document.cookie</script>")
    return len(title)


@workflow
def draw_wf(title: str) -> int:
    return draw(title=title)


@workflow
def ask_wf(unit: str) -> str:
    """Ask how many, and whether twice as many are wanted."""
    wanted = wait_for_input("how-many", timeout=timedelta(hours=1), expected_type=int)
    approved = approve(double(x=wanted), "go", timeout=timedelta(hours=1))
    pause = sleep(timedelta(milliseconds=200))
    said = describe(x=approved, unit=unit)
    pause >> said
    return said


@workflow
def double_wf(x: int, unit: str = "apples") -> str:
    """Double a number of things."""
    return describe(x=double(x=x), unit=unit)


@workflow
def explode_wf(reason: str) -> str:
    return explode(reason=reason)


@workflow
def bake_wf(path: str) -> str:
    return bake(dough=knead(), path=path)


@workflow
def choose_wf(x: int) -> str:
    """Describe a number in the unit that it is large enough for."""
    doubled = double(x=x)
    return (
        conditional("size")
        .if_((doubled > 10) & (doubled < 100))
        .then(describe(x=doubled, unit="dozens"))
        .elif_(doubled < 0)
        .then(
            conditional("debt")
            .if_(x == -1)
            .then(describe(x=x, unit="owed"))
            .else_()
            .then(describe(x=doubled, unit="owed"))
        )
        .elif_(doubled <= 10)
        .then(double_wf(x=x, unit="pieces"))
        .else_()
        .fail("that is too many")
    )


@workflow
def spread_wf(xs: list[int]) -> list[int]:
    return map_task(double, concurrency=2)(x=xs)


@workflow
def hold_wf(gate: str) -> str:
    return hold(gate=gate)


double_lp = LaunchPlan.get_or_create(
    double_wf,
    name="double_lp",
    schedule=CronSchedule(schedule="0 2 * * *"),
    default_inputs={"x": 4},
    fixed_inputs={"unit": "pears"},
)
