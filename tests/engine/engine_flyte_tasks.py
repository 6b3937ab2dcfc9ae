"""A small flytekit project, registered and run by test_engine_flytekit.py."""

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from flytekit import map_task, task, workflow
from flytekit.exceptions.user import FlyteRecoverableException
from flytekit.types.error.error import FlyteError


@dataclass
class Route:
    there: int
    back: int


@task
def double(x: int) -> int:
    return x * 2


@task
def route(there: int, back: int) -> Route:
    return Route(there, back)


@task
def total(there: int, back: int) -> tuple[int, dict[str, str]]:
    return there + back, dict(os.environ)


@workflow
def way_back(x: int) -> int:
    return double(x=x)


@workflow
def journey(x: int) -> tuple[int, dict[str, str]]:
    found = route(there=double(x=x), back=way_back(x=3))
    return total(there=found.there, back=found.back)


@task(retries=2)
def land(runway: str) -> str:
    if os.environ["FLYTE_ATTEMPT_NUMBER"] == "0":
        raise FlyteRecoverableException("the runway is wet")
    if runway:
        raise ValueError(f"there is no runway {runway}")
    return "landed"


@task
def third(x: int, of: list[int]) -> int:
    if x < 0:
        raise ValueError("less than nothing")
    return x * of[2]


@task
def sweep(runway: str, err: FlyteError | None = None) -> None:
    with Path(runway).open("a") as file:
        file.write(f"{err.failed_node_id}: {err.message}" if err else "nothing")


@workflow(on_failure=sweep)
def swept(runway: str) -> str:
    return land(runway=runway)


@workflow
def fleet(xs: list[int]) -> tuple[list[int | None], list[int]]:
    some = map_task(partial(third, of=[7, 8, 9]), min_success_ratio=0.5)(x=xs)
    return some, map_task(double, concurrency=1)(x=[1, 2, 3])


@workflow
def landing(runway: str) -> str:
    return land(runway=runway)
