"""Two teams with real clients: one exports a task, a workflow and a launch plan, the other one uses them."""

import re
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from e2e_clients import EXECUTIONS, IN_DEVELOPMENT, PROJECT, Account, create_project
from flytekit.configuration import Config
from flytekit.remote import FlyteRemote

OTHERS, OURS = ("-p", PROJECT, "-d", "development"), ("-p", "borrowers", "-d", "development")
IN_OURS = ("--project", "borrowers", "--domain", "development")
EXPORTED = (("task", "flows.quick.double"), ("workflow", "flows.quick.double_wf"), ("launch-plan", "double_lp"))


class Borrower(Account):
    """Somebody of the other team, with rights in its own development alone."""

    @property
    def remote(self) -> FlyteRemote:
        config = Config.auto(config_file=str(self.client_file))
        return FlyteRemote(config, default_project="borrowers", default_domain="development")


@pytest.fixture(scope="module")
def borrower(server, admin, developer, tmp_path_factory) -> Borrower:
    create_project(admin, "borrowers")
    secret = admin.airspace_json("service-accounts", "create", "borrower")["secret"]
    admin.airspace_json("bindings", "create", "service-account:borrower", "contributor", *OURS)
    folder = tmp_path_factory.mktemp("borrower")
    (folder / "secret").write_text(secret)
    client = yaml.safe_load(developer.client_file.read_text())
    client["admin"]["clientId"], client["admin"]["clientSecretLocation"] = "borrower", str(folder / "secret")
    (folder / "client.yaml").write_text(yaml.safe_dump(client))
    return Borrower(server, "borrower", folder / "client.yaml")


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    return shutil.copytree(Path(__file__).with_name("borrowing"), tmp_path_factory.mktemp("borrowing") / "source")


def register(borrower: Borrower, source: Path):
    return borrower.pyflyte("register", *IN_OURS, "--version", "v1", "borrow.py", cwd=source)


def run(borrower: Borrower, source: Path):
    command = ("run", "--remote", *IN_OURS, "--wait", "--poll-interval", "1", "borrow.py", "twice_wf", "--x", "10")
    return borrower.pyflyte(*command, cwd=source)


@pytest.fixture(scope="module")
def exported(admin, borrower, source) -> Borrower:
    """The borrower, refused before the exports and registered after them."""
    refused = register(borrower, source)
    assert refused.code == 1
    assert "does not export it" in refused.text, refused.text
    for kind, name in EXPORTED:
        admin.airspace_json("exports", "create", *OTHERS, kind, name, "--to", "borrowers")
    registered = register(borrower, source)
    assert registered.code == 0, registered.text
    return borrower


def test_a_reference_task_runs_the_exporters_code_in_the_consumers_scope(exported, source):
    ran = run(exported, source)
    assert ran.code == 0, ran.text
    name = re.search(r"Execution (\w+) has succeeded", ran.out)[1]
    execution = exported.remote.sync(exported.remote.fetch_execution(name=name), sync_nodes=True)
    assert execution.outputs == {"o0": 40}
    assert (execution.id.project, execution.spec.metadata.principal) == ("borrowers", "service-account:borrower")
    task = execution.node_executions["n0"].task_executions[0].id.task_id
    assert (task.project, task.name) == (PROJECT, "flows.quick.double")


def test_a_launch_plan_of_a_reference_workflow_runs_it_in_the_consumers_scope(exported):
    launch = ("executions", "launch", *OURS, "borrowed_lp", "--version", "v1", "--inputs", '{"x": 3}', "--watch")
    launched = exported.airspace(*launch)
    assert launched.code == 0, launched.text
    name = re.search(r"launched borrowers/development/(\w+)", launched.out)[1]
    assert exported.airspace_json("executions", "outputs", *OURS, name) == {"o0": "6 plums"}


def test_flyteremote_reads_and_runs_what_is_exported_by_its_exact_id(exported):
    remote = exported.remote
    plan = remote.fetch_launch_plan(name="borrowed_lp", version="v1")  # with its workflow, which is the exporter's
    execution = remote.wait(
        remote.execute(plan, inputs={"x": 5}), timeout=timedelta(seconds=120), poll_interval=timedelta(seconds=0.2)
    )
    assert execution.outputs == {"o0": "10 plums"}
    assert (execution.id.project, plan.workflow_id.project) == ("borrowers", PROJECT)


def test_a_workflow_with_a_reference_launch_plan_is_registered_and_says_that_it_cannot_be_run_yet(exported):
    request = {"scope": {"project": "borrowers", "domain": "development"}, "launch_plan": "borrow.launching_wf"}
    answer = exported.grpcurl(f"{EXECUTIONS}/LaunchExecution", {**request, "version": "v1", "inputs": {"x": 1}})
    assert "launch plan node, which this server's engine cannot run yet" in answer.text


def test_the_consumer_sees_nothing_of_the_exporter_but_what_its_own_versions_hold(exported):
    for command in (("executions", "list"), ("tasks", "list"), ("exports", "list")):
        denied = exported.airspace(*command, *OTHERS)
        assert "PERMISSION_MISSING" in denied.text
    native = exported.remote.fetch_workflow(name="borrow.twice_wf", version="v1").flyte_tasks[0].container.args
    url = next(word for word in native if "uploads/" in word)
    request = {"native_url": url, "expires_in": "60s"}
    denied = exported.grpcurl("flyteidl.service.DataProxyService/CreateDownloadLocation", request)
    assert "PermissionDenied" in denied.text


def test_the_exporter_sees_who_depends_on_its_task_where_it_may_read(admin, exported, developer):
    listed = admin.airspace_json("dependents", *OTHERS, "task", "flows.quick.double")
    found = {(each["project"], each["name"]) for each in listed}
    assert {("borrowers", "borrow.twice_wf"), (PROJECT, "flows.quick.double_wf")} <= found
    assert "PERMISSION_MISSING" in exported.airspace("dependents", *OTHERS, "task", "flows.quick.double").text
    plans = developer.airspace_json("dependents", *OTHERS, "workflow", "flows.quick.double_wf", "--version", "v1")
    assert ("borrowers", "borrowed_lp") in {(each["project"], each["name"]) for each in plans}


def test_after_the_export_is_taken_back_nothing_of_it_is_launched(admin, exported, developer):
    admin.airspace_json("exports", "delete", *OTHERS, "task", "flows.quick.double", "--to", "borrowers")
    request = {"scope": {"project": "borrowers", "domain": "development"}, "launch_plan": "borrow.twice_wf"}
    answer = exported.grpcurl(f"{EXECUTIONS}/LaunchExecution", {**request, "version": "v1", "inputs": {"x": 1}})
    assert "is not exported to project borrowers" in answer.text
    assert developer.pyflyte("get", "launchplan", *IN_DEVELOPMENT).code == 0
    assert exported.remote.fetch_workflow(name="borrow.twice_wf", version="v1").id.project == "borrowers"
