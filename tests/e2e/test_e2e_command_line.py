"""The `airspace` command line against a real server."""

import json

from e2e_clients import PROJECT, Account, create_project, register
from e2e_server import eventually

IN_DEVELOPMENT = ("-p", PROJECT, "-d", "development")


def test_a_project_is_created_once_and_listed(admin):
    created = admin.airspace_json("projects", "create", "bakery", "--name", "The Bakery", "--description", "Bread")
    again = admin.airspace("projects", "create", "bakery", "--name", "The Bakery")

    assert created["state"] == "ACTIVE"
    assert again.code == 6
    assert "bakery" in {project["id"] for project in admin.airspace_json("projects", "list")}


def test_launching_with_watch_prints_every_transition_and_ends_with_the_execution(developer):
    launch = ("executions", "launch", *IN_DEVELOPMENT, "double_lp", "--version", "v1", "--inputs", '{"x": 10}')
    ran = developer.airspace("-o", "json", *launch, "--watch")

    assert ran.code == 0, ran.text
    launched, *transitions = map(json.loads, ran.out.splitlines())
    assert [step["sequence"] for step in transitions] == list(range(1, len(transitions) + 1))
    assert (transitions[-1]["node_id"], transitions[-1]["phase"]) == (None, "SUCCEEDED")
    name = launched["name"]
    assert developer.airspace_json("executions", "outputs", *IN_DEVELOPMENT, name) == {"o0": "20 pears"}
    assert developer.airspace_json("executions", "inputs", *IN_DEVELOPMENT, name) == {"x": 10, "unit": "pears"}
    nodes = developer.airspace_json("executions", "nodes", *IN_DEVELOPMENT, name)
    assert [(node["id"], node["phase"]) for node in nodes] == [("n0", "SUCCEEDED"), ("n1", "SUCCEEDED")]


def test_watching_an_ended_execution_prints_its_whole_life_for_people(developer, finished):
    watched = developer.airspace("executions", "watch", *IN_DEVELOPMENT, finished.id.name)

    lines = watched.out.splitlines()
    assert watched.code == 0
    assert lines[0].endswith("execution  QUEUED")
    assert lines[-1].endswith("execution  SUCCEEDED")


def test_launch_plans_are_listed_shown_and_activated(developer, releaser):
    name = "flows.quick.hold_wf"
    listed = developer.airspace_json("launch-plans", "list", *IN_DEVELOPMENT, "--name", "double_lp")
    activated = releaser.airspace_json("launch-plans", "activate", *IN_DEVELOPMENT, name, "--version", "v1")
    shown = developer.airspace_json("launch-plans", "get", *IN_DEVELOPMENT, name)

    assert {plan["schedule"] for plan in listed} == {"0 2 * * *"}
    assert activated["state"] == "ACTIVE"
    assert (shown["version"], shown["workflow"]) == ("v1", name)


def test_the_exit_status_tells_what_went_wrong(developer):
    launch = ("executions", "launch", *IN_DEVELOPMENT)

    assert developer.airspace("executions", "get", *IN_DEVELOPMENT, "nothing").code == 5
    assert developer.airspace("executions", "list", "-p", PROJECT, "-d", "production").code == 4
    assert developer.airspace(*launch, "double_lp", "--version", "v1", "--inputs", '{"x": "many"}').code == 8
    assert developer.airspace(*launch, "flows.quick.explode_wf", "--inputs", '{"reason": "none"}').code == 7
    assert developer.airspace("executions", "launch").code == 2


def test_an_archived_project_takes_no_work_and_can_be_read(admin, flows):
    project, in_project = "closing-down", ("-p", "closing-down", "-d", "development")
    create_project(admin, project)
    assert register(admin, flows, project=project).code == 0
    launch = ("executions", "launch", *in_project, "double_lp", "--version", "v1")

    archived = admin.airspace_json("projects", "archive", project)
    refused = admin.airspace(*launch)
    registered = register(admin, flows, project=project, version="v2")
    read = admin.airspace_json("launch-plans", "get", *in_project, "double_lp", "--version", "v1")
    executions = admin.airspace_json("executions", "list", *in_project)
    restored = admin.airspace_json("projects", "restore", project)
    launched = admin.airspace_json(*launch)
    admin.airspace_json("executions", "terminate", *in_project, launched["name"])

    assert archived["state"] == "ARCHIVED"
    assert refused.code == 7
    assert f"PROJECT_ARCHIVED: project {project} is archived" in refused.err
    assert registered.code == 1
    assert f"project {project} is archived" in registered.text
    assert read["version"] == "v1"
    assert executions == []
    assert restored["state"] == "ACTIVE"
    assert launched["phase"] == "QUEUED"


def test_a_new_service_account_can_do_what_it_is_bound_to_and_nothing_else(admin, server, developer, tmp_path):
    secret = admin.airspace_json("service-accounts", "create", "apprentice")["secret"]
    (tmp_path / "apprentice.secret").write_text(secret)
    client_file = tmp_path / "apprentice.yaml"
    text = server.client_file("developer").read_text()
    client_file.write_text(
        text.replace(str(server.data / "clients" / "developer"), str(tmp_path / "apprentice")).replace(
            'clientId: "developer"', 'clientId: "apprentice"'
        )
    )
    apprentice = Account(server, "apprentice", client_file)
    read = ("launch-plans", "list", *IN_DEVELOPMENT)

    assert apprentice.airspace(*read).code == 4
    bind = ("service-account:apprentice", "viewer", "-p", PROJECT, "-d", "development")
    admin.airspace_json("bindings", "create", *bind)
    assert apprentice.airspace(*read).code == 0
    assert apprentice.airspace("executions", "launch", *IN_DEVELOPMENT, "double_lp", "--version", "v1").code == 4
    assert [project["id"] for project in apprentice.airspace_json("projects", "list")] == [PROJECT]
    admin.airspace_json("bindings", "delete", *bind)
    assert apprentice.airspace(*read).code == 4


def test_whom_rules_name_is_told_of_the_end_and_the_ledger_says_what_became_of_it(admin, developer, flows):
    in_project = ("-p", "telling", "-d", "development")
    create_project(admin, "telling")
    assert register(admin, flows, project="telling").code == 0
    rule = ("settings", "notifications", *in_project, "--email", "execution-succeeded", "ops@example.com")

    refused = developer.airspace(*rule)
    shown = admin.airspace_json(*rule)
    launch = ("executions", "launch", *in_project, "double_lp", "--version", "v1", "--inputs", '{"x": 1}', "--watch")
    ran = admin.airspace(*launch)
    eventually(lambda: admin.airspace_json("notifications", "list", *in_project, "--state", "FAILED"))
    (delivery,) = developer.airspace_json("notifications", "list", *in_project)

    assert (refused.code, ran.code) == (4, 0)
    assert shown["notifications_origin"] == ["telling", "development"]
    assert (delivery["event"], delivery["target"]) == ("EXECUTION_SUCCEEDED", "ops@example.com")
    assert delivery["reason"] == "this server sends no e-mail: smtp_host is not set"
