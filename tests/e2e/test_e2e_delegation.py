"""What the code of a task may do with the identity of its execution, and what it may not, whoever launched it."""

import json
import shutil
from pathlib import Path

import pytest
from e2e_clients import PROJECT, Account, create_project
from e2e_server import Server, eventually

VICTIMS = "victims"
DENIED = "PERMISSION_DENIED this needs "
FLYTE = "flyteidl.service.AdminService"


def launch(account: Account, project: str, workflow: str, **inputs: object) -> str:
    """Launch a workflow in a project's development; return the execution's name."""
    command = ("executions", "launch", "-p", project, "-d", "development", f"attack.{workflow}", "--version", "v1")
    return account.airspace_json(*command, "--inputs", json.dumps(inputs))["name"]


@pytest.fixture(scope="module")
def attacked(admin: Account, developer: Account, server: Server, tmp_path_factory) -> dict:
    """What a malicious task came back with that the administrator of the whole server launched in development.

    A victim's task runs beside it all the time.
    """
    source = shutil.copytree(Path(__file__).with_name("attacking"), tmp_path_factory.mktemp("attacking") / "source")
    create_project(admin, VICTIMS)
    for project in (VICTIMS, PROJECT):
        scope = ("--project", project, "--domain", "development", "--version", "v1")
        registered = admin.pyflyte("register", *scope, "attack.py", cwd=source)
        assert registered.code == 0, registered.text
    gate = server.file(VICTIMS)
    victim = launch(admin, VICTIMS, "hold_wf", gate=str(gate))
    eventually(lambda: server.has_printed(victim, "holding"))
    inputs = {"target": PROJECT, "other": VICTIMS, "victim": victim}
    name = launch(admin, PROJECT, "attack_wf", **inputs)
    execution = admin.wait(admin.remote.fetch_execution(name=name))
    assert server.processes(victim)
    gate.touch()
    return {**json.loads(execution.outputs["o0"]), "execution": name}


def test_a_task_acts_as_its_execution_and_what_it_launches_is_its_launchers(attacked, admin):
    own = f"{PROJECT}/development/{attacked['execution']}"
    assert (attacked["own"], attacked["subject"]) == (attacked["execution"], f"execution:{own}")
    assert attacked["child output"] == 2
    metadata = admin.remote.fetch_execution(name=attacked["child"]).spec.metadata
    assert (metadata.principal, metadata.nesting) == ("service-account:admin", 1)
    assert metadata.parent_node_execution.execution_id.name == attacked["execution"]

    def records() -> list[dict]:
        command = ("audit", "export", "-p", PROJECT, "-d", "development", "--principal", f"execution:{own}")
        return [json.loads(line) for line in admin.airspace(*command).out.splitlines()]

    eventually(lambda: {each["kind"] for each in records()} == {"MUTATION", "DENIAL"})  # refusals within a second
    assert {each["origin"] for each in records()} == {"service-account:admin"}
    made = next(each for each in records() if each["kind"] == "MUTATION")
    assert (made["origin"], made["changes"][0]["resource"]) == (
        "service-account:admin",
        f"execution {PROJECT}/development/{attacked['child']}",
    )


def test_a_task_gets_nothing_beyond_its_own_scope_and_registers_nothing_there(attacked):
    tried = attacked["tried"]
    allowed = {name for name, answer in tried.items() if answer == "OK"}
    assert allowed == {"list here"}
    here, production, victims = (f"{PROJECT}/development", f"{PROJECT}/production", f"{VICTIMS}/development")
    assert {name: answer for name, answer in tried.items() if answer.startswith(DENIED)} == {
        "list in production": f"{DENIED}execution.view in {production}",
        "list in another project": f"{DENIED}execution.view in {victims}",
        "read a victim": f"{DENIED}execution.view in {victims}",
        "end a victim": f"{DENIED}execution.terminate in {victims}",
        "launch in production": f"{DENIED}execution.launch in {production}",
        "launch in another project": f"{DENIED}execution.launch in {victims}",
        "register into production": f"{DENIED}registry.register in {production}",
        "register here": f"{DENIED}registry.register in {here}",
        "create a project": f"{DENIED}project.create in */*",
        "read a victim's artifacts": f"{DENIED}artifact.read in {victims}",
        "read artifacts of production": f"{DENIED}artifact.read in {production}",
    }
    for name in ("run as a service account", "run as a role"):
        assert "which is not allowed in" in tried[name], tried[name]
    for name in ("without a token", "with an altered token"):
        assert tried[name].startswith("UNAUTHENTICATED"), tried[name]


def test_a_task_that_is_shut_in_reads_nothing_of_other_tasks_and_of_the_server(attacked, server):
    machine = attacked["machine"]
    assert machine.pop("own artifacts")
    log = server.log.read_text()
    if "tasks are shut in" in log:
        assert set(map(tuple, machine.values())) == {()}, machine
    else:  # then the operator was told, and why
        assert "tasks are not shut in" in log


def test_urls_that_were_altered_or_guessed_are_good_for_nothing(attacked):
    honest, *altered = attacked["uploads"]
    assert honest == 200
    assert altered == [403] * 4


def test_a_token_that_was_saved_is_worth_nothing_once_its_execution_has_ended(attacked, developer):
    request = {"id": {"project": PROJECT, "domain": "development"}, "limit": 1}
    refused = developer.grpcurl(f"{FLYTE}/ListExecutions", request, token=attacked["token"])
    assert "Unauthenticated" in refused.text
    assert "the token is not valid here" in refused.text
    assert developer.grpcurl(f"{FLYTE}/ListExecutions", request).code == 0
