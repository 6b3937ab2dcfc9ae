"""Every command of pyflyte and every method of FlyteRemote and its client that calls a server, tried against a server.

`python flytekit_client.py CLIENT_FILE PROJECT SOURCE SHARED` runs in the environment of the flytekit that is tried and
prints outcomes as lines of JSON. SOURCE holds the package `flows`; SHARED is a folder that the server's tasks read.
"""

import os
import re
import subprocess
import sys
import time
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

from flyteidl.admin.project_pb2 import ProjectListRequest
from flyteidl.admin.signal_pb2 import SignalListRequest
from flyteidl.core.identifier_pb2 import WORKFLOW as WORKFLOW_TYPE
from flyteidl.service import dataproxy_pb2
from flytekit import reference_launch_plan, reference_task, reference_workflow
from flytekit.clis.sdk_in_container.pyflyte import main as pyflyte_main
from flytekit.configuration import Config, FastSerializationSettings, Image, ImageConfig, SerializationSettings
from flytekit.models import filters, matchable_resource, named_entity
from flytekit.models.admin.common import Sort
from flytekit.models.common import NamedEntityIdentifier
from flytekit.models.core.identifier import (
    Identifier,
    NodeExecutionIdentifier,
    ResourceType,
    TaskExecutionIdentifier,
)
from flytekit.models.execution import ExecutionMetadata, ExecutionSpec
from flytekit.models.launch_plan import LaunchPlanState
from flytekit.models.literals import LiteralMap
from flytekit.models.project import Project
from flytekit.remote import FlyteRemote
from outcomes import AbsentError, Commands, RefusedError, expect

DOMAIN, VERSION = "development", "v1"
SECONDS = 60
TASK, WORKFLOW, LAUNCH_PLAN = "flows.quick.double", "flows.quick.double_wf", "double_lp"
PYFLYTE, REMOTE, CLIENT = "pyflyte", "FlyteRemote", "SynchronousFlyteClient"

commands = Commands()


class Client:
    """A flytekit and what it has made so far."""

    def __init__(self, client_file: str, project: str, source: Path, shared: Path) -> None:
        self.project, self.source, self.shared = project, source, shared
        self.scope = ("--project", project, "--domain", DOMAIN)
        self.run = ("run", "--remote", *self.scope)
        self._environment = {**os.environ, "FLYTECTL_CONFIG": client_file, "COLUMNS": "1000", "NO_COLOR": "1"}
        self.remote = FlyteRemote(Config.auto(config_file=client_file), default_project=project, default_domain=DOMAIN)
        self.raw = self.remote.client

    def pyflyte(self, *arguments: str) -> str:
        """Run a command and return what it printed."""
        if arguments[0] not in pyflyte_main.list_commands(None):
            raise AbsentError
        ran = subprocess.run(
            [Path(sys.executable).with_name("pyflyte"), *arguments],
            cwd=self.source,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        if ran.returncode:
            raise RefusedError(ran.stdout + ran.stderr)
        return ran.stdout + ran.stderr

    @cached_property
    def flows(self):
        """The module of the registered flows, as it is on this side."""
        sys.path.insert(0, str(self.source))
        os.chdir(self.source)  # flytekit finds the root of the source from here
        from flows import quick

        return quick

    @property
    def plan(self):
        return self.remote.fetch_launch_plan(name=LAUNCH_PLAN, version=VERSION)

    def launch(self, workflow: str, **inputs: object):
        return self.remote.execute(
            self.remote.fetch_launch_plan(name=f"flows.quick.{workflow}", version=VERSION), inputs
        )

    def wait(self, execution):
        return self.remote.wait(
            execution, timeout=timedelta(seconds=SECONDS), poll_interval=timedelta(milliseconds=200)
        )

    @cached_property
    def finished(self):
        return self.wait(self.remote.execute(self.plan, {"x": 7}))

    @cached_property
    def asking(self):
        """An execution that waits for an answer."""
        return self.launch("ask_wf", unit="loaves")

    def asked(self, signal: str) -> None:
        """Wait until the execution asks for this; the client itself has a poll of its own."""
        deadline = time.monotonic() + SECONDS
        while signal not in {each.id.signal_id for each in self.remote.list_signals(self.asking.id.name)}:
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing has asked for {signal}")
            time.sleep(0.2)

    @property
    def task_id(self) -> Identifier:
        return Identifier(ResourceType.TASK, self.project, DOMAIN, TASK, VERSION)

    @property
    def workflow_id(self) -> Identifier:
        return Identifier(ResourceType.WORKFLOW, self.project, DOMAIN, WORKFLOW, VERSION)

    @property
    def plan_id(self) -> Identifier:
        return Identifier(ResourceType.LAUNCH_PLAN, self.project, DOMAIN, LAUNCH_PLAN, VERSION)

    @property
    def node_id(self) -> NodeExecutionIdentifier:
        return NodeExecutionIdentifier("n0", self.finished.id)

    @property
    def attempt_id(self) -> TaskExecutionIdentifier:
        return TaskExecutionIdentifier(self.task_id, self.node_id, 0)

    def named(self, name: str) -> NamedEntityIdentifier:
        return NamedEntityIdentifier(self.project, DOMAIN, name)

    def settings(self, version: str) -> SerializationSettings:
        """Settings under which what is registered says where its code is."""
        _, uploaded = self.remote.fast_package(self.source)
        image = Image("default", "none", "none")
        return SerializationSettings(
            ImageConfig(default_image=image, images=[image]),
            project=self.project,
            domain=DOMAIN,
            version=version,
            fast_serialization_settings=FastSerializationSettings(True, ".", uploaded),
        )


def has(client: object, method: str) -> None:
    """Raise AbsentError unless an object has this method."""
    if not hasattr(client, method):
        raise AbsentError


def one(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    expect(found, f"it prints nothing like {pattern}")
    return found[1]


# --- pyflyte


@commands.of(PYFLYTE, "register")
def register(c: Client) -> None:
    said = c.pyflyte("register", *c.scope, "--version", VERSION, "flows")
    expect("Successfully registered" in said, said)


@commands.of(PYFLYTE, "register the same again")
def register_again(c: Client) -> None:
    register(c)


@commands.of(PYFLYTE, "register --non-fast")
def register_whole(c: Client) -> None:
    c.pyflyte("register", *c.scope, "--non-fast", "--version", "whole", "flows")


@commands.of(PYFLYTE, "register --activate-launchplans")
def register_active(c: Client) -> None:
    c.pyflyte("register", *c.scope, "--version", "active", "--activate-launchplans", "flows")
    said = c.pyflyte("get", "launchplan", *c.scope, "--active-only")
    expect(re.search(rf"{LAUNCH_PLAN}\s+│\s+active", said), "the launch plan is not active")


@commands.of(PYFLYTE, "run --remote --wait, of a workflow")
def run_workflow(c: Client) -> None:
    said = c.pyflyte(*c.run, "--wait", "--poll-interval", "1", "flows/quick.py", "double_wf", "--x", "21")
    name = one(r"executions/(\w+)", said)
    expect(c.remote.sync(c.remote.fetch_execution(name=name)).outputs == {"o0": "42 apples"}, "other outputs")


@commands.of(PYFLYTE, "run --remote, of a task")
def run_task(c: Client) -> None:
    said = c.pyflyte(*c.run, "flows/quick.py", "double", "--x", "4")
    execution = c.wait(c.remote.fetch_execution(name=one(r"executions/(\w+)", said)))
    expect(execution.outputs == {"o0": 8}, "other outputs")


@commands.of(PYFLYTE, "run --remote, of a launch plan with fixed inputs")
def run_launch_plan(c: Client) -> None:
    c.pyflyte(*c.run, "flows/quick.py", LAUNCH_PLAN, "--x", "4")


@commands.of(PYFLYTE, "run --remote, with options for the execution")
def run_with_options(c: Client) -> None:
    options = ["--labels", "team=bakery", "--annotations", "why=bread", "--tag", "sour", "--env", "A=b"]
    options += ["--max-parallelism", "2", "--overwrite-cache", "--name", "baked"]
    c.pyflyte(*c.run, *options, "flows/quick.py", "double_wf", "--x", "1")
    spec = c.remote.fetch_execution(name="baked").spec
    expect(spec.labels.values == {"team": "bakery"}, "other labels")
    expect(spec.annotations.values == {"why": "bread"}, "other annotations")
    expect((spec.tags, spec.envs.envs) == (["sour"], {"A": "b"}), "other tags or variables")
    expect((spec.max_parallelism, spec.overwrite_cache) == (2, True), "another parallelism or use of the cache")


@commands.of(PYFLYTE, "run remote-task")
def run_remote_task(c: Client) -> None:
    c.pyflyte(*c.run, "remote-task", f"{TASK}:{VERSION}", "--x", "2")


@commands.of(PYFLYTE, "run remote-workflow")
def run_remote_workflow(c: Client) -> None:
    c.pyflyte(*c.run, "remote-workflow", WORKFLOW, "--x", "2", "--unit", "figs")


@commands.of(PYFLYTE, "launchplan --activate")
def activate(c: Client) -> None:
    expect("ACTIVE" in c.pyflyte("launchplan", *c.scope, "--activate", LAUNCH_PLAN, VERSION), "it is not active")


@commands.of(PYFLYTE, "run remote-launchplan")
def run_remote_launch_plan(c: Client) -> None:
    said = c.pyflyte(*c.run, "remote-launchplan", LAUNCH_PLAN, "--x", "2")
    version = c.remote.fetch_execution(name=one(r"executions/(\w+)", said)).spec.launch_plan.version
    expect(version == VERSION, f"it runs version {version}, not the active one")


@commands.of(PYFLYTE, "get launchplan")
def get_launch_plans(c: Client) -> None:
    expect(LAUNCH_PLAN in c.pyflyte("get", "launchplan", *c.scope), "it is not in the list")
    expect("0 2 * * *" in c.pyflyte("get", "launchplan", *c.scope, LAUNCH_PLAN, VERSION), "no schedule")


@commands.of(PYFLYTE, "get launchplan --active-only")
def get_active_launch_plans(c: Client) -> None:
    said = c.pyflyte("get", "launchplan", *c.scope, "--active-only")
    expect(re.search(rf"{LAUNCH_PLAN}\s+│\s+{VERSION}\s+│\s+ACTIVE", said), "it is not in the list")


@commands.of(PYFLYTE, "launchplan --deactivate")
def deactivate(c: Client) -> None:
    c.pyflyte("launchplan", *c.scope, "--deactivate", LAUNCH_PLAN, VERSION)
    expect(LAUNCH_PLAN not in c.pyflyte("get", "launchplan", *c.scope, "--active-only"), "it is still active")


@commands.of(PYFLYTE, "execution relaunch")
def relaunch(c: Client) -> None:
    said = c.pyflyte("execution", *c.scope, "--execution-id", c.finished.id.name, "relaunch")
    again = c.remote.sync(c.remote.fetch_execution(name=one(rf"{c.project}:{DOMAIN}:(\w+)", said)))
    expect(again.inputs == c.finished.inputs, "other inputs")


@commands.of(PYFLYTE, "execution recover")
def recover(c: Client) -> None:
    flour = c.shared / "flour"
    failed = c.wait(c.launch("bake_wf", path=str(flour)))
    flour.write_text("wheat")
    said = c.pyflyte("execution", *c.scope, "--execution-id", failed.id.name, "recover")
    ended = c.wait(c.remote.fetch_execution(name=one(rf"{c.project}:{DOMAIN}:(\w+)", said)))
    expect(ended.outputs == {"o0": "2 wheat"}, "other outputs")
    kept = failed.node_executions["n0"].outputs == ended.node_executions["n0"].outputs
    expect(kept, "what had succeeded is run again")


@commands.of(PYFLYTE, "backfill --dry-run")
def backfill_dry(c: Client) -> None:
    c.pyflyte("backfill", *c.scope, "--from-date", "2024-01-01", "--to-date", "2024-01-04", "--dry-run", *_SCHEDULED)


@commands.of(PYFLYTE, "backfill")
def backfill(c: Client) -> None:
    c.pyflyte("backfill", *c.scope, "--from-date", "2024-01-01", "--to-date", "2024-01-04", *_SCHEDULED)


_SCHEDULED = (LAUNCH_PLAN, VERSION)


@commands.of(PYFLYTE, "fetch")
def fetch(c: Client) -> None:
    url = f"flyte://v1/{c.project}/{DOMAIN}/{c.finished.id.name}/n1"
    expect("14 pears" in c.pyflyte("fetch", f"{url}/o"), "other outputs")
    expect("14" in c.pyflyte("fetch", f"{url}/i/x"), "another input")


@commands.of(PYFLYTE, "metrics dump", "metrics explain")
def metrics(c: Client) -> None:
    for command in ("dump", "explain"):
        said = c.pyflyte("metrics", "--project", c.project, "--domain", DOMAIN, command, c.finished.id.name)
        expect("n1" in said or "double_wf" in said or "node" in said.lower(), f"{command} prints no nodes")


@commands.of(PYFLYTE, "info")
def info(c: Client) -> None:
    expect(re.search(r"Backend Version: \d+\.\d+", c.pyflyte("info")), "no version of the server")


@commands.of(PYFLYTE, "build")
def build(c: Client) -> None:
    c.pyflyte("build", *c.scope, "flows/quick.py", "double_wf")


# --- FlyteRemote


@commands.of(REMOTE, "get_domains", "list_projects")
def scopes(c: Client) -> None:
    has(c.remote, "get_domains")
    expect(DOMAIN in {domain.id for domain in c.remote.get_domains()}, "no domains")
    expect(c.project in {project.id for project in c.remote.list_projects()}, "no projects")


@commands.of(REMOTE, "upload_file")
def upload_file(c: Client) -> None:
    _, where = c.remote.upload_file(c.source / "flows" / "quick.py")
    expect(where.endswith("quick.py"), f"it is kept as {where}")


@commands.of(REMOTE, "register_task", "register_workflow", "register_launch_plan")
def register_each(c: Client) -> None:
    c.remote.register_task(c.flows.explode, c.settings("r1"))
    c.remote.register_workflow(c.flows.explode_wf, c.settings("r1"))
    c.remote.register_workflow(c.flows.double_wf, c.settings("r1"))
    c.remote.register_launch_plan(c.flows.double_lp, "r1")
    expect(c.remote.fetch_launch_plan(name=LAUNCH_PLAN, version="r1").id.version == "r1", "another version")


@commands.of(REMOTE, "register_script")
def register_script(c: Client) -> None:
    registered = c.remote.register_script(
        c.flows.double_wf, version="r2", source_path=str(c.source), module_name="flows"
    )
    ended = c.wait(c.remote.execute(registered, {"x": 2, "unit": "figs"}))
    expect(ended.outputs == {"o0": "4 figs"}, "other outputs")


@commands.of(REMOTE, "fast_register_workflow")
def fast_register(c: Client) -> None:
    c.remote.fast_register_workflow(c.flows.explode_wf, c.settings("r3"), "r3")


@commands.of(REMOTE, "fetch_task", "fetch_task_lazy", "list_tasks_by_version")
def fetch_tasks(c: Client) -> None:
    expect(set(c.remote.fetch_task(name=TASK, version=VERSION).interface.inputs) == {"x"}, "another interface")
    expect(c.remote.fetch_task_lazy(name=TASK, version=VERSION).interface.inputs, "another interface")
    listed = {task.id.name for task in c.remote.list_tasks_by_version(VERSION)}
    expect(TASK in listed, "it is not in the list")


@commands.of(REMOTE, "fetch_task, without a version", "fetch_workflow, without a version")
def fetch_newest(c: Client) -> None:
    for fetched in (c.remote.fetch_task(name="flows.quick.explode"), c.remote.fetch_workflow(name=f"{EXPLODE}")):
        expect(fetched.id.version == "r3", f"{fetched.id.version} is taken for the newest")


EXPLODE = "flows.quick.explode_wf"


@commands.of(REMOTE, "fetch_workflow", "fetch_workflow_lazy")
def fetch_workflows(c: Client) -> None:
    workflow = c.remote.fetch_workflow(name=WORKFLOW, version=VERSION)
    expect([node.id for node in workflow.flyte_nodes] == ["n0", "n1"], "other nodes")
    lazy = c.remote.fetch_workflow_lazy(name=WORKFLOW, version=VERSION)
    expect(set(lazy.interface.inputs) == {"x", "unit"}, "another interface")


@commands.of(REMOTE, "activate_launchplan", "deactivate_launchplan")
def switch_launch_plan(c: Client) -> None:
    has(c.remote, "deactivate_launchplan")
    c.remote.activate_launchplan(c.plan_id)
    expect(c.raw.get_active_launch_plan(c.named(LAUNCH_PLAN)).id.version == VERSION, "it is not active")
    c.remote.deactivate_launchplan(c.plan_id)


@commands.of(REMOTE, "fetch_active_launchplan")
def fetch_active_launch_plan(c: Client) -> None:
    has(c.remote, "fetch_active_launchplan")
    c.remote.activate_launchplan(c.plan_id)
    expect(c.remote.fetch_active_launchplan(name=LAUNCH_PLAN).id.version == VERSION, "another version")


@commands.of(REMOTE, "fetch_launch_plan, without a version")
def fetch_launch_plan(c: Client) -> None:
    newest = c.remote.fetch_launch_plan(name=LAUNCH_PLAN).id.version
    expect(newest in {VERSION, "r1"}, f"{newest} is taken")  # the active one, or in older clients the newest


@commands.of(REMOTE, "execute, of a launch plan", "wait", "sync", "fetch_execution")
def execute(c: Client) -> None:
    expect(c.finished.outputs == {"o0": "14 pears"}, "other outputs")
    again = c.remote.sync(c.remote.fetch_execution(name=c.finished.id.name), sync_nodes=True)
    expect(again.node_executions["n0"].outputs == {"o0": 14}, "other outputs of a node")
    expect(again.inputs == {"x": 7, "unit": "pears"}, "other inputs")


@commands.of(REMOTE, "execute, of a task")
def execute_task(c: Client) -> None:
    ended = c.wait(c.remote.execute(c.remote.fetch_task(name=TASK, version=VERSION), {"x": 3}))
    expect(ended.outputs == {"o0": 6}, "other outputs")


@commands.of(REMOTE, "execute, of a workflow")
def execute_workflow(c: Client) -> None:
    c.remote.execute(c.remote.fetch_workflow(name=WORKFLOW, version=VERSION), {"x": 3, "unit": "figs"})


@commands.of(REMOTE, "execute, of a local task", "execute, of a local workflow", "execute, of a local launch plan")
def execute_local(c: Client) -> None:
    image = Image("default", "none", "none")
    images = ImageConfig(default_image=image, images=[image])
    for entity, inputs in ((c.flows.double, {"x": 1}), (c.flows.double_wf, {"x": 1, "unit": "figs"})):
        c.remote.execute(entity, inputs, version="r4", image_config=images)
    c.remote.execute(c.flows.double_lp, {"x": 1}, version="r4")


@commands.of(REMOTE, "execute, of a reference to a task, a workflow and a launch plan")
def execute_references(c: Client) -> None:
    def double(x: int) -> int:
        return 0

    def double_wf(x: int, unit: str) -> str:
        return ""

    def planned(x: int) -> str:
        return ""

    c.remote.execute(reference_task(c.project, DOMAIN, TASK, VERSION)(double), {"x": 1})
    workflow = reference_workflow(c.project, DOMAIN, WORKFLOW, VERSION)(double_wf)
    c.remote.execute(workflow, {"x": 1, "unit": "figs"})
    c.remote.execute(reference_launch_plan(c.project, DOMAIN, LAUNCH_PLAN, VERSION)(planned), {"x": 1})


@commands.of(REMOTE, "execute, under a name that is taken")
def execute_again(c: Client) -> None:
    first = c.remote.execute(c.plan, {"x": 1}, execution_name="taken")
    again = c.remote.execute(c.plan, {"x": 2}, execution_name="taken")
    expect(first.id.name == again.id.name == "taken", "another execution")
    expect(c.remote.sync(again).inputs["x"] == 1, "another execution")


@commands.of(REMOTE, "wait, for one that fails")
def wait_failed(c: Client) -> None:
    failed = c.wait(c.launch("explode_wf", reason="no flour"))
    expect("ValueError: no flour" in failed.error.message, "another error")


@commands.of(REMOTE, "recent_executions")
def recent(c: Client) -> None:
    found = c.remote.recent_executions(limit=100)
    expect(c.finished.id.name in {each.id.name for each in found}, "it is not in the list")
    created = [each.closure.created_at for each in found]
    expect(created == sorted(created, reverse=True), "they do not come newest first")


@commands.of(REMOTE, "terminate")
def terminate(c: Client) -> None:
    held = c.launch("hold_wf", gate=str(c.shared / "gate"))
    c.remote.terminate(held, "enough")
    expect(c.wait(held).closure.abort_metadata.cause == "enough", "another cause")


@commands.of(REMOTE, "list_signals", "set_signal", "approve")
def answer(c: Client) -> None:
    c.asked("how-many")
    c.remote.set_signal("how-many", c.asking.id.name, 21)
    c.asked("go")
    c.remote.approve("go", c.asking.id.name)
    expect(c.wait(c.asking).outputs == {"o0": "42 loaves"}, "other outputs")


@commands.of(REMOTE, "set_input", "reject")
def reject(c: Client) -> None:
    has(c.remote, "set_input")
    c.asking = c.launch("ask_wf", unit="loaves")
    c.asked("how-many")
    c.remote.set_input("how-many", c.asking.id.name, 21)
    c.asked("go")
    c.remote.reject("go", c.asking.id.name)
    expect(c.wait(c.asking).error, "it goes on all the same")


@commands.of(REMOTE, "get", "download")
def get(c: Client) -> None:
    url = f"flyte://v1/{c.project}/{DOMAIN}/{c.finished.id.name}/n1"
    resolver = c.remote.get(f"{url}/o")
    expect(resolver.get("o0", str) == "14 pears", "other outputs")
    c.remote.download(resolver, str(c.shared / "downloaded"))


@commands.of(REMOTE, "get, of a deck")
def get_deck(c: Client) -> None:
    drawn = c.wait(c.launch("draw_wf", title="bread"))
    deck = c.remote.get(f"flyte://v1/{c.project}/{DOMAIN}/{drawn.id.name}/n0/d")
    expect("<h1>bread</h1>" in (deck.decode() if isinstance(deck, bytes) else str(deck.data)), "another deck")


@commands.of(REMOTE, "get_execution_metrics")
def execution_metrics(c: Client) -> None:
    has(c.remote, "get_execution_metrics")
    expect(c.remote.get_execution_metrics(c.finished.id), "no spans")


@commands.of(REMOTE, "launch_backfill")
def launch_backfill(c: Client) -> None:
    c.remote.launch_backfill(
        c.project, DOMAIN, datetime(2024, 2, 1), datetime(2024, 2, 3), LAUNCH_PLAN, VERSION, execute=False
    )


# --- the client below FlyteRemote, for what FlyteRemote does not call


@commands.of(CLIENT, "get_control_plane_version", "get_domains", "list_projects")
def server(c: Client) -> None:
    expect(c.raw.get_control_plane_version(), "no version")
    expect(c.raw.get_domains(), "no domains")
    expect(c.raw.list_projects(ProjectListRequest(limit=10)).projects, "no projects")


@commands.of(CLIENT, "register_project", "update_project", "list_projects_paginated")
def projects(c: Client) -> None:
    other = f"{c.project}-9"
    c.raw.register_project(Project(other, "Other", "made by a client"))
    c.raw.update_project(Project(other, "Another", "made by a client"))
    found, _ = c.raw.list_projects_paginated(limit=10, filters=[filters.Equal("identifier", other)])
    expect([each.name for each in found] == ["Another"], "another name")


@commands.of(
    CLIENT,
    "list_task_ids_paginated",
    "list_workflow_ids_paginated",
    "list_launch_plan_ids_paginated",
)
def list_ids(c: Client) -> None:
    for listing, name in (
        (c.raw.list_task_ids_paginated, TASK),
        (c.raw.list_workflow_ids_paginated, WORKFLOW),
        (c.raw.list_launch_plan_ids_paginated, LAUNCH_PLAN),
    ):
        names, token = [], ""
        while token is not None:
            page, token = listing(c.project, DOMAIN, limit=2, token=token)
            names += [each.name for each in page]
            token = token or None
        expect(names.count(name) == 1 and names == sorted(names), "it is not in the list once")


@commands.of(
    CLIENT,
    "list_tasks_paginated",
    "list_workflows_paginated",
    "list_launch_plans_paginated",
    "list_active_launch_plans_paginated",
)
def list_versions(c: Client) -> None:
    newest = Sort("created_at", Sort.Direction.DESCENDING)
    for listing, name in (
        (c.raw.list_tasks_paginated, TASK),
        (c.raw.list_workflows_paginated, WORKFLOW),
        (c.raw.list_launch_plans_paginated, LAUNCH_PLAN),
    ):
        page, token = listing(c.named(name), limit=1, sort_by=newest)
        more, _ = listing(c.named(name), limit=1, token=token, sort_by=newest)
        expect(page[0].id.version != more[0].id.version, "pages repeat a version")
    active, _ = c.raw.list_active_launch_plans_paginated(c.project, DOMAIN)
    expect(LAUNCH_PLAN in {each.id.name for each in active}, "it is not active")


@commands.of(CLIENT, "get_task", "get_workflow", "get_launch_plan", "get_active_launch_plan", "update_launch_plan")
def get_versions(c: Client) -> None:
    expect(c.raw.get_task(c.task_id).closure.compiled_task.template.interface.inputs, "no interface")
    expect(c.raw.get_workflow(c.workflow_id).closure.compiled_workflow.tasks, "no tasks")
    c.raw.update_launch_plan(c.plan_id, LaunchPlanState.ACTIVE)
    expect(c.raw.get_active_launch_plan(c.named(LAUNCH_PLAN)).id == c.raw.get_launch_plan(c.plan_id).id, "another one")


@commands.of(CLIENT, "create_execution", "get_execution", "get_execution_data", "terminate_execution")
def execution(c: Client) -> None:
    spec = ExecutionSpec(
        c.plan_id, ExecutionMetadata(ExecutionMetadata.ExecutionMode.MANUAL, "somebody", 0), disable_all=True
    )
    created = c.raw.create_execution(c.project, DOMAIN, "created", spec, LiteralMap({}))
    expect(c.raw.get_execution(created).spec.metadata.principal != "somebody", "it is launched by whoever it says")
    expect(c.raw.get_execution_data(created).full_inputs.literals["x"], "no inputs")
    c.raw.terminate_execution(created, "seen")


@commands.of(CLIENT, "relaunch_execution", "recover_execution")
def launch_again(c: Client) -> None:
    c.raw.relaunch_execution(c.finished.id, "relaunched")
    c.raw.recover_execution(c.finished.id, "recovered")
    expect(c.remote.fetch_execution(name="recovered").spec.launch_plan.name == LAUNCH_PLAN, "another launch plan")


@commands.of(CLIENT, "list_executions_paginated")
def list_executions(c: Client) -> None:
    wanted = [filters.Equal("phase", "SUCCEEDED"), filters.ValueIn("name", [c.finished.id.name, "nothing"])]
    found, _ = c.raw.list_executions_paginated(c.project, DOMAIN, filters=wanted)
    expect([each.id.name for each in found] == [c.finished.id.name], "another list")


@commands.of(
    CLIENT,
    "list_node_executions",
    "get_node_execution",
    "get_node_execution_data",
    "list_task_executions_paginated",
    "get_task_execution",
    "get_task_execution_data",
    "list_node_executions_for_task_paginated",
)
def nodes(c: Client) -> None:
    listed, _ = c.raw.list_node_executions(c.finished.id)
    expect({"n0", "n1"} <= {node.id.node_id for node in listed}, "other nodes")
    expect(c.raw.get_node_execution(c.node_id).closure.phase, "no phase")
    expect(c.raw.get_node_execution_data(c.node_id).full_outputs.literals, "no outputs")
    attempts, _ = c.raw.list_task_executions_paginated(c.node_id)
    expect(len(attempts) == 1, "more attempts than one")
    expect(c.raw.get_task_execution(c.attempt_id).closure.phase, "no phase")
    expect(c.raw.get_task_execution_data(c.attempt_id).full_outputs.literals, "no outputs")
    c.raw.list_node_executions_for_task_paginated(c.attempt_id)


@commands.of(CLIENT, "get_execution_metrics")
def client_metrics(c: Client) -> None:
    has(c.raw, "get_execution_metrics")
    expect(c.raw.get_execution_metrics(c.finished.id, depth=-1).spans, "no spans")


@commands.of(
    CLIENT,
    "get_project_domain_attributes",
    "update_project_domain_attributes",
    "get_workflow_attributes",
    "update_workflow_attributes",
    "list_matchable_attributes",
)
def attributes(c: Client) -> None:
    label = matchable_resource.MatchingAttributes(
        execution_cluster_label=matchable_resource.ExecutionClusterLabel("here")
    )
    kind = matchable_resource.MatchableResource.EXECUTION_CLUSTER_LABEL
    c.raw.update_project_domain_attributes(c.project, DOMAIN, label)
    c.raw.update_workflow_attributes(c.project, DOMAIN, WORKFLOW, label)
    c.raw.get_project_domain_attributes(c.project, DOMAIN, kind)
    found = c.raw.get_workflow_attributes(c.project, DOMAIN, WORKFLOW, kind)
    expect(found.attributes.workflow == WORKFLOW, "another workflow")
    expect(c.raw.list_matchable_attributes(kind).configurations, "they are not in the list")


@commands.of(CLIENT, "update_named_entity")
def named_entities(c: Client) -> None:
    name = named_entity.NamedEntityIdentifier(c.project, DOMAIN, WORKFLOW)
    said = named_entity.NamedEntityMetadata("of all versions", named_entity.NamedEntityState.ACTIVE)
    c.raw.update_named_entity(WORKFLOW_TYPE, name, said)


@commands.of(CLIENT, "list_signals", "set_signal")
def signals(c: Client) -> None:
    request = SignalListRequest(workflow_execution_id=c.asking.id.to_flyte_idl(), limit=10)
    expect(c.raw.list_signals(request).signals, "no signals")


@commands.of(CLIENT, "create_upload_location", "get_upload_signed_url")
def uploads(c: Client) -> None:
    request = dataproxy_pb2.CreateUploadLocationRequest(
        project=c.project, domain=DOMAIN, filename="a.txt", filename_root="a"
    )
    expect(c.raw.create_upload_location(request).signed_url, "no url")
    expect(c.raw.get_upload_signed_url(c.project, DOMAIN, b"0" * 16, "b.txt").native_url, "no url")


@commands.of(
    CLIENT,
    "create_download_location",
    "get_download_signed_url",
    "create_download_link",
    "get_download_artifact_signed_url",
    "get_data",
)
def downloads(c: Client) -> None:
    _, kept = c.remote.upload_file(c.source / "flows" / "quick.py")
    expect(c.raw.get_download_signed_url(kept).signed_url, "no url")
    drawn = c.wait(c.launch("draw_wf", title="bread")).id
    expect(c.raw.get_download_artifact_signed_url("n0", drawn.project, drawn.domain, drawn.name).signed_url, "no url")
    data = c.raw.get_data(f"flyte://v1/{c.project}/{DOMAIN}/{c.finished.id.name}/n0/o")
    expect(data.literal_map.literals, "no outputs")


if __name__ == "__main__":
    commands.tell(Client(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])))
