"""Schedules with real processes: whatever ends the schedulers, each tick is fired once and none is lost."""

import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from deployment_processes import READY, Deployment, Process, Wire, free_ports, until
from flyte_samples import chain, serialize
from flyteidl.admin import schedule_pb2
from wing_doors import DEV, integer, moved, plan_id, plan_spec, register_plan, register_task, register_workflow

from airspace.launchplan.v1 import launch_plan_service_pb2 as plan_pb
from airspace.project.v1 import project_service_pb2 as project_pb
from airspace.registry.v1 import registry_service_pb2 as registry_pb
from airspace_server.core.scope import EntityId

PLANS, REGISTRY = "/airspace.launchplan.v1.LaunchPlanService", "/airspace.registry.v1.RegistryService"
MANY, TURNS = 90, 3


@pytest.fixture(scope="module")
def split(empty_database: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """An admin process; who fires is started by the test."""
    deployment = Deployment(tmp_path_factory.mktemp("scheduled"), **empty_database)
    try:
        deployment.start("admin")
        yield deployment
    finally:
        deployment.discard()


def scheduler(split: Deployment, name: str) -> Process:
    settings = {**split.settings, "execution_port": str(free_ports(1)[0])}
    return Process(("serve", "execution"), settings, split.data.parent / f"{name}.log", program=_airspace())


def _airspace() -> Path:
    return Path(sys.executable).parent / "airspace"


def rows(split: Deployment, statement: str) -> list[Any]:
    url = split.settings.get("database_url")
    connection: Any = psycopg.connect(url) if url else sqlite3.connect(split.data / "airspace.db", timeout=20)
    with closing(connection), connection:
        answer = connection.execute(statement)
        return answer.fetchall() if answer.description else []


def fired(split: Deployment) -> int:
    return int(rows(split, "SELECT count(*) FROM schedule_ticks")[0][0])


def overslept(split: Deployment, names: list[str]) -> None:
    """Let these have been activated a day earlier, so that a tick is due."""
    listed = ", ".join(f"'{name}'" for name in names)
    due = "UPDATE schedules SET next_at = anchor_at, anchor_at = anchor_at - 86400000000"
    rows(split, f"{due} WHERE name IN ({listed})")


def test_each_tick_is_fired_once_while_schedulers_are_killed_and_others_take_over(split: Deployment):
    with Wire(split.admin, split.token("admin")) as admin:
        request = project_pb.CreateProjectRequest(project=DEV.project)
        admin.call("/airspace.project.v1.ProjectService/CreateProject", request, project_pb.CreateProjectResponse)
        spec, tasks = serialize(chain)
        for task, body in tasks.items():
            made = register_task(replace(task, scope=DEV, version="v1"), moved(body, DEV, "v1"))
            admin.call(f"{REGISTRY}/RegisterTask", made, registry_pb.RegisterTaskResponse)
        workflow = EntityId(DEV, chain.name, "v1")
        made = register_workflow(workflow, moved(spec, DEV, "v1"))
        admin.call(f"{REGISTRY}/RegisterWorkflow", made, registry_pb.RegisterWorkflowResponse)
        plan = plan_spec(workflow, defaults={"x": integer(1)})
        plan.entity_metadata.schedule.rate.value = 1
        plan.entity_metadata.schedule.rate.unit = schedule_pb2.DAY
        for number in range(MANY):
            id_ = EntityId(DEV, f"plan-{number}", "v1")
            admin.call(f"{PLANS}/RegisterLaunchPlan", register_plan(id_, plan), plan_pb.RegisterLaunchPlanResponse)
            activate = plan_pb.ActivateLaunchPlanRequest(launch_plan=plan_id(id_))
            admin.call(f"{PLANS}/ActivateLaunchPlan", activate, plan_pb.ActivateLaunchPlanResponse)
    processes = []
    try:
        for turn in range(TURNS):  # two at a time, of which the first is killed in the middle of it, and mostly both
            pair = [scheduler(split, f"{turn}-{name}") for name in "ab"]
            processes += pair
            for process in pair:
                process.start(READY["execution"])
            before = fired(split)
            overslept(split, [f"plan-{number}" for number in range(MANY) if number % TURNS == turn])
            until(lambda before=before: fired(split) > before)
            pair[0].process.kill()
            if turn < TURNS - 1:
                pair[1].process.kill()
        until(lambda: fired(split) == MANY)
        assert processes[-1].stop() == 0
    finally:
        for process in processes:
            process.discard()
    ticks = rows(split, "SELECT name, outcome, execution FROM schedule_ticks")
    assert Counter(name for name, _, _ in ticks) == {f"plan-{number}": 1 for number in range(MANY)}
    assert {outcome for _, outcome, _ in ticks} <= {"FIRED", "CAUGHT_UP"}
    launched = rows(split, "SELECT name, launch_plan_name, principal FROM executions")
    assert sorted((execution, name) for name, _, execution in ticks) == sorted(row[:2] for row in launched)
    assert {row[2] for row in launched} == {"service-account:admin"}
