import json
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner, Result
from client_samples import (
    BINDING_PB,
    CASES,
    DEPENDENT_PB,
    EXECUTION_ID,
    EXECUTION_PB,
    EXPORT_PB,
    LAUNCH_PLAN_ID,
    LAUNCH_PLAN_PB,
    NODE_PB,
    PROJECT_PB,
    ROLE_PB,
    SCOPE,
    TASK_PB,
    D,
    P,
    struct,
    transition,
)
from client_servers import ScriptedServer, TokenEndpoint, fail

from airspace.access.v1 import access_service_pb2 as access_pb
from airspace.execution.v1 import execution_service_pb2 as execution_pb
from airspace.launchplan.v1 import launch_plan_service_pb2 as launch_plan_pb
from airspace.project.v1 import project_service_pb2 as project_pb
from airspace.reference.v1 import reference_service_pb2 as reference_pb
from airspace.registry.v1 import registry_service_pb2 as registry_pb
from airspace.settings.v1 import settings_service_pb2 as settings_pb
from airspace_client import _errors
from airspace_client.cli import main as main_module
from airspace_client.cli.exit_codes import MEANINGS, ExitCode, exit_code
from airspace_client.cli.main import main

Run = Callable[..., Result]
IN = ["-p", P, "-d", D]


@pytest.fixture
def config(tmp_path: Path, server: ScriptedServer, endpoint: TokenEndpoint) -> Path:
    secret = tmp_path / "developer.secret"
    secret.write_text(endpoint.secret)
    path = tmp_path / "client.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "admin": {
                    "endpoint": f"dns:///{server.target}",
                    "insecure": True,
                    "authType": "ClientSecret",
                    "clientId": endpoint.client_id,
                    "clientSecretLocation": str(secret),
                    "tokenUrl": endpoint.url,
                }
            },
            allow_unicode=True,
        )
    )
    return path


@pytest.fixture
def run(config: Path) -> Run:
    def run(*arguments: str, status: int = 0, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(main, ["--config", str(config), *arguments], input=stdin, catch_exceptions=False)
        assert result.exit_code == status, result.output
        return result

    return run


def rows(result: Result) -> list[list[str]]:
    return [line.split() for line in result.stdout.splitlines()]


# What each command asks for, and with which arguments. The answers and JSON are those of the client's own tests.
COMMANDS = {
    "ListProjects": ["projects", "list", "--archived"],
    "GetProject": ["projects", "get", P],
    "CreateProject": ["projects", "create", P, "--name", "n", "--description", "d", "--label", "a=b"],
    "UpdateProject": ["projects", "update", P, "--description", "", "--no-labels", "--etag", "e0"],
    "ArchiveProject": ["projects", "archive", P],
    "RestoreProject": ["projects", "restore", P],
    "ListDomains": ["domains", "list"],
    "GetTask": ["tasks", "get", *IN, "w.fit", "--version", "v1"],
    "ListTasks": ["tasks", "list", *IN, "--name", "w.fit"],
    "GetWorkflow": ["workflows", "get", *IN, "w.train", "--version", "v1"],
    "ListWorkflows": ["workflows", "list", *IN],
    "GetLaunchPlan": ["launch-plans", "get", *IN, "w.nightly", "--version", "v1"],
    "GetActiveLaunchPlan": ["launch-plans", "get", *IN, "w.nightly"],
    "ListLaunchPlans": ["launch-plans", "list", *IN, "--name", "w.nightly", "--active"],
    "ActivateLaunchPlan": ["launch-plans", "activate", *IN, "w.nightly", "--version", "v1"],
    "DeactivateLaunchPlan": ["launch-plans", "deactivate", *IN, "w.nightly", "--version", "v1"],
    "RollbackLaunchPlan": ["launch-plans", "rollback", *IN, "w.nightly"],
    "ListScheduleTicks": ["launch-plans", "ticks", *IN, "w.nightly"],
    "PreviewSchedule": ["launch-plans", "next", *IN, "w.nightly", "--version", "v1", "--count", "1"],
    "ListActivations": ["launch-plans", "history", *IN, "w.nightly"],
    "GetExecution": ["executions", "get", *IN, "run-1"],
    "ListExecutions": ["executions", "list", *IN, "--phase", "FAILED", "--launch-plan", "w.nightly"],
    "TerminateExecution": ["executions", "terminate", *IN, "run-1", "--cause", "enough"],
    "ListNodeExecutions": ["executions", "nodes", *IN, "run-1"],
    "GetQuotaUsage": ["quota", "show", *IN],
    "ListDeliveries": ["notifications", "list", *IN, "--state", "WAITING"],
    "PreviewPromotion": [
        "promotions", "preview", *IN, "launch-plan", "w.nightly", "--version", "v1", "--to", "production"
    ],
    "RequestPromotion": [
        "promotions", "request", *IN, "launch-plan", "w.nightly", "--version", "v1", "--to", "production",
        "--activate", "--comment", "ready",
    ],
    "GetPromotion": ["promotions", "get", *IN, "p1"],
    "ListPromotions": ["promotions", "list", *IN, "--pending"],
    "ApprovePromotion": ["promotions", "approve", *IN, "p1", "--comment", "seen"],
    "RejectPromotion": ["promotions", "reject", *IN, "p1", "--comment", "no"],
    "OverridePromotion": ["promotions", "override", *IN, "p1", "--reason", "fire"],
    "WhoAmI": ["whoami"],
    "ListRoles": ["roles", "list"],
    "CreateRole": [
        "roles", "create", "launcher", "--permission", "execution.launch", "--permission", "execution.view"
    ],
    "DeleteRole": ["roles", "delete", "launcher"],
    "ListBindings": ["bindings", "list", "--member", "user:ada"],
    "CreateBinding": ["bindings", "create", "user:ada", "viewer", "-p", P, "-d", "*"],
    "DeleteBinding": ["bindings", "delete", "user:ada", "viewer", "-p", P, "-d", "*"],
    "CreateServiceAccount": ["service-accounts", "create", "ci"],
    "ListServiceAccounts": ["service-accounts", "list"],
    "RotateServiceAccountSecret": ["service-accounts", "rotate", "ci"],
    "DisableServiceAccount": ["service-accounts", "disable", "ci"],
    "EnableServiceAccount": ["service-accounts", "enable", "ci"],
    "PreviewPolicy": ["access", "preview", "--create", "user:ada", "viewer", P, "*", "--days", "3"],
    "TestAccess": ["access", "test", "user:ada", "execution.view", *IN, "--group", "group:ml"],
}  # fmt: skip


@pytest.mark.parametrize("rpc", COMMANDS)
@pytest.mark.parametrize("form", ["table", "json"])
def test_a_command_asks_the_server_and_prints_what_it_holds(
    rpc: str, form: str, run: Run, server: ScriptedServer
) -> None:
    answer, _, sent, given_back = CASES[rpc]
    server.script(rpc, answer)
    result = run("-o", form, *COMMANDS[rpc])
    (call,) = server.calls
    if "request_id" in sent.DESCRIPTOR.fields_by_name:
        call.request.request_id = ""
    assert (call.rpc, call.request) == (rpc, sent)
    assert call.metadata["authorization"] == "Bearer token-1"
    assert result.stderr == ""
    assert result.stdout.strip()
    if form == "json":
        document = json.loads(result.stdout)  # one document
        assert isinstance(document, list) is isinstance(given_back, list | tuple)


def test_options_may_stand_after_the_command(server: ScriptedServer, config: Path) -> None:
    server.script("GetProject", project_pb.GetProjectResponse(project=PROJECT_PB))
    result = CliRunner().invoke(main, ["projects", "get", P, "-o", "json", "--config", str(config)])
    assert json.loads(result.stdout)["id"] == P


def test_json_has_snake_case_keys_and_rfc_3339_times(run: Run, server: ScriptedServer) -> None:
    server.script("GetExecution", execution_pb.GetExecutionResponse(execution=EXECUTION_PB))
    assert json.loads(run("-o", "json", "executions", "get", *IN, "run-1").stdout) == {
        "project": P,
        "domain": D,
        "name": "run-1",
        "launch_plan": "w.nightly",
        "launch_plan_version": "v1",
        "phase": "FAILED",
        "error": {"code": "USER:ValueError", "message": "bad rate", "kind": "USER"},
        "principal": "service-account:developer",
        "abort_cause": "",
        "abort_principal": "",
        "create_time": "2026-01-02T12:00:00.250000Z",
        "start_time": "2026-01-02T12:00:00.250000Z",
        "end_time": None,
        "labels": {"kind": "nightly"},
        "task": "",
        "task_version": "",
        "waiting": {"position": 2, "reason": "QUOTA", "message": "number 2"},
    }
    server.script("GetTask", registry_pb.GetTaskResponse(task=TASK_PB))
    task = json.loads(run("-o", "json", "tasks", "get", *IN, "w.fit", "--version", "v1").stdout)
    assert task["closure"] == {"type_url": "type.googleapis.com/flyteidl.admin.TaskClosure", "value": "CgA="}


def test_a_table_has_one_row_for_each_thing(run: Run, server: ScriptedServer) -> None:
    server.script("ListLaunchPlans", launch_plan_pb.ListLaunchPlansResponse(launch_plans=[LAUNCH_PLAN_PB] * 2))
    result = run("launch-plans", "list", *IN)
    assert result.stdout.splitlines()[0].split("  ")[0] == "NAME"
    assert (
        rows(result)[1:]
        == [["w.nightly", "v1", "ACTIVE", "0", "2", "*", "*", "*", "w.train", "v1", "2026-01-02T12:00:00Z"]] * 2
    )


def test_a_thing_alone_is_shown_field_by_field(run: Run, server: ScriptedServer) -> None:
    server.script("GetExecution", execution_pb.GetExecutionResponse(execution=EXECUTION_PB))
    lines = [line.rstrip() for line in run("executions", "get", *IN, "run-1").stdout.splitlines()]
    assert "phase:                FAILED" in lines
    assert "error:                USER:ValueError: bad rate" in lines
    assert "labels:               kind=nightly" in lines
    assert not any(line.startswith("abort cause") for line in lines)


def test_nothing_of_another_tenant_reaches_the_terminal_as_a_command(run: Run, server: ScriptedServer) -> None:
    evil = project_pb.Project(id=P, name="[red]x[/red]", description="\x1b[2J\x9b2J\rgone")
    server.script("GetProject", project_pb.GetProjectResponse(project=evil))
    shown = run("projects", "get", P).stdout
    assert "[red]x[/red]" in shown
    assert not set(shown) & {"\x1b", "\x9b", "\r"}


def test_a_limit_ends_a_list(run: Run, server: ScriptedServer) -> None:
    page = project_pb.ListProjectsResponse(projects=[PROJECT_PB] * 3, next_page_token="more")
    server.always("ListProjects", page)
    assert len(json.loads(run("-o", "json", "projects", "list", "--limit", "5").stdout)) == 5
    assert len(server.calls) == 2


def test_the_active_version_is_deactivated_when_none_is_named(run: Run, server: ScriptedServer) -> None:
    server.script("GetActiveLaunchPlan", launch_plan_pb.GetActiveLaunchPlanResponse(launch_plan=LAUNCH_PLAN_PB))
    run("launch-plans", "deactivate", *IN, "w.nightly")
    assert server.calls[1].request == launch_plan_pb.DeactivateLaunchPlanRequest(launch_plan=LAUNCH_PLAN_ID)


def test_launching_takes_inputs_as_text_a_file_or_stdin(run: Run, server: ScriptedServer, tmp_path: Path) -> None:
    server.always("LaunchExecution", execution_pb.LaunchExecutionResponse(execution=EXECUTION_PB))
    file = tmp_path / "inputs.json"
    text = '{"learning_rate": 0.01}'
    file.write_text(text)
    run("executions", "launch", *IN, "w.nightly", "--inputs", text)
    run("executions", "launch", *IN, "w.nightly", "--inputs-file", str(file))
    run("executions", "launch", *IN, "w.nightly", "--inputs-file", "-", stdin=text)
    run("executions", "launch", *IN, "w.nightly", "--version", "v1", "--name", "run-1", "--label", "kind=a=b")
    requests = [call.request for call in server.calls]
    assert [request.inputs for request in requests[:3]] == [struct({"learning_rate": 0.01})] * 3
    requests[3].request_id = ""
    assert requests[3] == execution_pb.LaunchExecutionRequest(
        scope=SCOPE, launch_plan="w.nightly", version="v1", name="run-1", inputs={}, labels={"kind": "a=b"}
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["executions", "launch", *IN, "lp", "--inputs", "{"],
        ["executions", "launch", *IN, "lp", "--inputs", "[1]"],
        ["executions", "launch", *IN, "lp", "--inputs", "{}", "--inputs-file", "x"],
        ["executions", "launch", *IN, "lp", "--inputs-file", "/nowhere/inputs.json"],
        ["executions", "launch", "lp"],
        ["executions", "list", *IN, "--phase", "LOST"],
        ["projects", "create", P, "--label", "team"],
        ["projects", "update", P],
        ["projects", "update", P, "--label", "a=b", "--no-labels"],
        ["projects", "list", "--limit", "0"],
        ["roles", "create", "r"],
        ["nonsense"],
    ],
)
def test_wrong_usage_ends_with_2_before_anything_is_sent(
    arguments: list[str], run: Run, server: ScriptedServer
) -> None:
    assert "Error: " in run(*arguments, status=2).stderr
    assert not server.calls


def test_inputs_and_outputs_are_shown_by_name(run: Run, server: ScriptedServer) -> None:
    done = execution_pb.GetExecutionDataResponse(inputs=struct({"rate": 0.5}), outputs=struct({"o0": ["a", 1]}))
    running = execution_pb.GetExecutionDataResponse(inputs=struct({"rate": 0.5}))
    server.script("GetExecutionData", done, done, done, running, running)
    assert rows(run("executions", "inputs", *IN, "run-1")) == [["NAME", "VALUE"], ["rate", "0.5"]]
    assert rows(run("executions", "outputs", *IN, "run-1"))[1:] == [["o0", '["a",', "1]"]]
    assert json.loads(run("-o", "json", "executions", "outputs", *IN, "run-1").stdout) == {"o0": ["a", 1]}
    result = run("executions", "outputs", *IN, "run-1")
    assert (result.stdout, result.stderr) == ("", "none yet\n")
    assert json.loads(run("-o", "json", "executions", "outputs", *IN, "run-1").stdout) is None


def test_login_says_who_one_is_and_when_the_token_ends(run: Run, server: ScriptedServer) -> None:
    server.always("WhoAmI", access_pb.WhoAmIResponse(principal="service-account:developer"))
    document = json.loads(run("-o", "json", "login").stdout)
    assert document["principal"] == "service-account:developer"
    assert document["server"] == f"dns:///{server.target}"
    assert document["token_expires"].endswith("Z")
    assert "principal:" in run("login").stdout


def test_login_with_a_wrong_secret_ends_with_3(run: Run, endpoint: TokenEndpoint) -> None:
    endpoint.secret = "another"
    assert "refused client 'developer'" in run("login", status=3).stderr


def test_whoami_shows_bindings(run: Run, server: ScriptedServer) -> None:
    server.script("WhoAmI", access_pb.WhoAmIResponse(principal="user:ada", groups=["ml"], bindings=[BINDING_PB]))
    assert rows(run("whoami")) == [
        ["principal:", "user:ada"],
        ["groups:", "ml"],
        ["ROLE", "PROJECT", "DOMAIN", "MEMBER"],
        ["viewer", P, "*", "user:ada"],
    ]


def test_a_secret_is_printed_once_and_in_full(run: Run, server: ScriptedServer) -> None:
    server.script("CreateServiceAccount", access_pb.CreateServiceAccountResponse(name="ci", secret="hunter2" * 20))
    assert "hunter2" * 20 in run("service-accounts", "create", "ci").stdout


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("UNAUTHENTICATED", 3),
        ("PERMISSION_DENIED", 4),
        ("NOT_FOUND", 5),
        ("ALREADY_EXISTS", 6),
        ("ABORTED", 6),
        ("FAILED_PRECONDITION", 7),
        ("INVALID_ARGUMENT", 8),
        ("UNAVAILABLE", 9),
        ("DEADLINE_EXCEEDED", 9),
        ("RESOURCE_EXHAUSTED", 10),
        ("UNIMPLEMENTED", 10),
        ("INTERNAL", 10),
        ("CANCELLED", 10),
    ],
)
def test_the_exit_status_says_what_kind_of_error_it_was(
    code: str, status: int, run: Run, server: ScriptedServer
) -> None:
    server.always("CreateServiceAccount", fail(code, "SOME_REASON"))
    assert run("service-accounts", "create", "ci", status=status).stdout == ""
    assert exit_code(_errors.ERRORS[code]("x")) == status


def test_every_exit_status_is_documented(run: Run) -> None:
    text = run("--help").stdout
    assert set(MEANINGS) == set(ExitCode)
    for code, meaning in MEANINGS.items():
        assert f"{code.value:<4} {meaning}" in text


def test_an_error_is_told_to_people_with_its_field_and_metadata(run: Run, server: ScriptedServer) -> None:
    metadata = {"permission": "project.view", "scope": "\x1b[31mp/d"}
    server.script("GetProject", fail("PERMISSION_DENIED", "PERMISSION_MISSING", "not yours", metadata, field="project"))
    assert run("projects", "get", P, status=4).stderr.splitlines() == [
        "error: PERMISSION_MISSING: not yours",
        "  field: project",
        "  permission: project.view",
        "  scope: \N{REPLACEMENT CHARACTER}[31mp/d",
    ]


def test_an_error_is_told_to_programs_as_json(run: Run, server: ScriptedServer) -> None:
    server.script("GetProject", fail("INTERNAL", "INTERNAL", "a fault", {"request_id": "r-1"}))
    result = run("projects", "get", P, "-o", "json", status=10)
    assert json.loads(result.stderr) == {
        "error": {
            "code": "INTERNAL",
            "reason": "INTERNAL",
            "message": "a fault",
            "field": "",
            "metadata": {"request_id": "r-1"},
            "request_id": "r-1",
        }
    }


def test_without_a_client_file_the_status_is_2_and_the_text_says_what_to_do() -> None:
    result = CliRunner().invoke(main, ["projects", "list"])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: no client file: pass --config FILE")


def test_a_data_folder_is_enough(config: Path, server: ScriptedServer, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "clients").mkdir(parents=True)
    (data / "clients" / "admin.yaml").write_text(config.read_text())
    result = CliRunner().invoke(main, ["-o", "json", "domains", "list"], env={"AIRSPACE_DATA": str(data)})
    assert (result.exit_code, json.loads(result.stdout)) == (0, [])


def test_ctrl_c_ends_with_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_session: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("airspace_client.cli.session.Session.connect", interrupted)
    run("projects", "list", status=130)


WATCHED = [
    transition(1, "QUEUED"),
    transition(2, "RUNNING"),
    transition(3, "RUNNING", node="n0", attempt=1),
    transition(4, "FAILED", node="n0", attempt=2, error=True),
    transition(5, "FAILED", error=True),
]


def test_watching_prints_a_line_for_each_transition_and_ends_with_1_when_it_failed(
    run: Run, server: ScriptedServer
) -> None:
    server.script("WatchExecution", WATCHED)
    assert run("executions", "watch", *IN, "run-1", status=1).stdout.splitlines() == [
        "2026-01-02T12:00:00Z  execution  QUEUED",
        "2026-01-02T12:00:00Z  execution  RUNNING",
        "2026-01-02T12:00:00Z  n0  RUNNING",
        "2026-01-02T12:00:00Z  n0  FAILED  attempt 2  USER:ValueError: bad rate",
        "2026-01-02T12:00:00Z  execution  FAILED  USER:ValueError: bad rate",
    ]
    assert server.calls[0].request.execution == EXECUTION_ID


def test_watching_in_json_prints_a_document_for_each_transition(run: Run, server: ScriptedServer) -> None:
    server.script("WatchExecution", [*WATCHED[:4], transition(5, "SUCCEEDED")])
    documents = [
        json.loads(line) for line in run("executions", "watch", *IN, "run-1", "-o", "json").stdout.splitlines()
    ]
    assert [document["sequence"] for document in documents] == [1, 2, 3, 4, 5]
    assert documents[2] == {
        "sequence": 3,
        "time": "2026-01-02T12:00:00.250000Z",
        "node_id": "n0",
        "phase": "RUNNING",
        "attempt": 1,
        "error": None,
    }


@pytest.mark.parametrize(("form", "first"), [("table", f"launched {P}/{D}/run-1"), ("json", '{"project": ')])
def test_launching_can_be_watched(form: str, first: str, run: Run, server: ScriptedServer) -> None:
    server.script("LaunchExecution", execution_pb.LaunchExecutionResponse(execution=EXECUTION_PB))
    server.script("WatchExecution", [transition(1, "QUEUED"), transition(2, "ABORTED")])
    lines = run("-o", form, "executions", "launch", *IN, "w.nightly", "--watch", status=1).stdout.splitlines()
    assert lines[0].startswith(first)
    assert len(lines) == 3


def test_exports_and_dependents_are_tables(run: Run, server: ScriptedServer) -> None:
    server.script("ListExports", reference_pb.ListExportsResponse(exports=[EXPORT_PB]))
    server.script("ListDependents", reference_pb.ListDependentsResponse(dependents=[DEPENDENT_PB]))
    assert rows(run("exports", "list", *IN))[1][:3] == ["TASK", "w.fit", "ads"]
    assert rows(run("dependents", *IN, "task", "w.fit"))[1] == ["ads", D, "LAUNCH_PLAN", "lp", "v2", "v1"]


def test_an_export_is_created_and_taken_back(run: Run, server: ScriptedServer) -> None:
    server.script("CreateExport", reference_pb.CreateExportResponse(export=EXPORT_PB))
    server.script("DeleteExport", reference_pb.DeleteExportResponse())
    run("exports", "create", *IN, "launch-plan", "*", "--to", "ads")
    run("exports", "delete", *IN, "launch-plan", "*", "--to", "ads")
    for call in server.calls[-2:]:
        assert (call.request.kind, call.request.name, call.request.consumer) == (3, "*", "ads")


def test_nodes_and_roles_are_tables(run: Run, server: ScriptedServer) -> None:
    server.script("ListNodeExecutions", execution_pb.ListNodeExecutionsResponse(node_executions=[NODE_PB]))
    server.script("ListRoles", access_pb.ListRolesResponse(roles=[ROLE_PB]))
    assert rows(run("executions", "nodes", *IN, "run-1"))[1] == ["n0", "w.fit", "RUNNING", "1"]
    assert rows(run("roles", "list"))[1] == ["launcher", "no", "execution.launch,", "execution.view"]


@click.command()
def extra() -> None:
    """Do more."""
    click.echo("more was done")


not_a_command = object()


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def install(**values: str) -> None:
        found = EntryPoints(EntryPoint(name, value, main_module.COMMANDS_GROUP) for name, value in values.items())
        monkeypatch.setattr(main_module, "entry_points", lambda **parameters: found.select(**parameters))

    return install


def test_commands_of_other_distributions_are_found(plugins: Callable[..., None]) -> None:
    plugins(extra="test_cli_commands:extra", projects="test_cli_commands:extra")
    assert CliRunner().invoke(main, ["extra"]).stdout == "more was done\n"
    assert "Do more." in CliRunner().invoke(main, ["--help"]).stdout
    assert "See and change projects." in CliRunner().invoke(main, ["projects", "--help"]).stdout


@pytest.mark.parametrize("name", ["serve", "worker"])
def test_a_server_command_that_is_not_installed_says_how_to_install_it(name: str, plugins: Callable[..., None]) -> None:
    for installed in ({}, {name: "a_module_that_is_not_there:command"}):
        plugins(**installed)
        result = CliRunner().invoke(main, [name, "--data", "x"])
        assert result.exit_code == 2
        assert "pip install 'airspace[server]'" in result.stderr
    assert "needs a_module_that_is_not_there" in result.stderr
    assert "Not installed" in CliRunner().invoke(main, ["--help"], env={"COLUMNS": "120"}).stdout


def test_a_broken_plugin_is_not_taken_for_a_missing_extra(plugins: Callable[..., None]) -> None:
    plugins(serve="airspace_client.cli.nothing:serve", extra="test_cli_commands:not_a_command")
    assert isinstance(CliRunner().invoke(main, ["serve"]).exception, ModuleNotFoundError)
    assert "is not a click command" in CliRunner().invoke(main, ["extra"]).stderr


def test_the_version_is_that_of_the_distribution() -> None:
    assert CliRunner().invoke(main, ["--version"]).stdout.startswith("airspace, version ")


def test_setting_a_quota_keeps_the_others_and_says_where_each_comes_from(run: Run, server: ScriptedServer) -> None:
    answer = CASES["GetSettings"][0]
    server.script("GetSettings", answer, answer)
    server.script("UpdateQuotas", CASES["UpdateQuotas"][0])
    result = run("settings", "quotas", "-p", P, "-d", "*", "--executions-queued", "9")
    (call,) = server.called("UpdateQuotas")
    sent = call.request.quotas
    assert {field.name: limit for field, limit in sent.ListFields()} == {
        "executions_running": 0, "executions_queued": 9, "launches_per_minute": 30,
    }  # fmt: skip
    assert f"executions_running=0 ({P}/*)" in result.stdout
    assert "executions_queued=1000 (built in)" in result.stdout
    run("settings", "quotas", "-p", P, "-d", "*", status=2)
    run("settings", "quotas", "-p", P, "-d", "*", "--inherit", "--executions-running", "1", status=2)


def test_notifications_are_set_whole_and_shown(run: Run, server: ScriptedServer) -> None:
    shown = CASES["GetSettings"][0]
    server.script("UpdateNotifications", *[settings_pb.UpdateNotificationsResponse()] * 3)
    server.script("GetSettings", shown, shown, shown)
    where = ["settings", "notifications", "-p", "*", "-d", "production"]
    mail = ["--email", "execution-failed,LAUNCH_REFUSED", "ops@example.com"]
    webhook = ["--webhook", "promotion-promoted", "https://example.com/", "key"]
    result = run(*where, *mail, "--slack", "tick-failed", "team", *webhook)
    assert "email ops@example.com: EXECUTION_FAILED, LAUNCH_REFUSED" in result.stdout
    (sent,) = server.called("UpdateNotifications")
    assert sent.request.notifications == CASES["UpdateNotifications"][0].notifications
    run(*where, "--email", "all", "ops@example.com")
    assert len(server.called("UpdateNotifications")[1].request.notifications.rules[0].events) == 9
    run(*where, "--inherit")
    assert not server.called("UpdateNotifications")[2].request.HasField("notifications")
    run(*where, "--email", "execution-queued", "ops@example.com", status=2)
    run(*where, "--inherit", "--email", "all", "ops@example.com", status=2)


def test_gates_that_are_not_given_keep_what_is_set_and_all_are_shown(run: Run, server: ScriptedServer) -> None:
    shown = CASES["GetSettings"][0]
    there = settings_pb.GetSettingsResponse()
    there.CopyFrom(shown)
    there.own_gates.soak_hours = 5
    there.own_gates.freezes.add(reason="the fair").end.FromSeconds(9)
    server.script("UpdateGates", *[settings_pb.UpdateGatesResponse()] * 4)
    server.script("GetSettings", *[there, shown] * 4)
    where = ["settings", "gates", "-p", P, "-d", "*"]
    freeze = ["--freeze", "2026-12-24T00:00", "2026-12-27T00:00", "holidays"]
    result = run(*where, "--approvals", "2", "--closed", *freeze)
    assert "successes=3, within_hours=24, soak_hours=1, approvals=2, closed, frozen" in result.stdout
    asked = server.called("UpdateGates")[0].request.gates
    assert (asked.approvals, asked.closed, asked.soak_hours) == (2, True, 5)
    assert not asked.HasField("successes")
    assert [each.end.ToJsonString() for each in asked.freezes] == ["2026-12-27T00:00:00Z"]
    run(*where, "--open", "--soak-hours", "0")
    asked = server.called("UpdateGates")[1].request.gates
    assert (asked.HasField("closed"), asked.closed) == (True, False)
    assert (asked.HasField("soak_hours"), asked.soak_hours) == (True, 0)
    assert [each.reason for each in asked.freezes] == ["the fair"]
    run(*where, "--no-freezes")
    assert not server.called("UpdateGates")[2].request.gates.freezes
    run(*where, "--inherit")
    assert not server.called("UpdateGates")[3].request.HasField("gates")
    run(*where, "--inherit", "--approvals", "1", status=2)
    run(*where, "--inherit", "--no-freezes", status=2)
    run(*where, "--no-freezes", *freeze, status=2)
    run(*where, status=2)
