"""What pyflyte's users do, with the real pyflyte."""

import re
import shutil

from e2e_clients import IN_DEVELOPMENT, PROJECT, register

RUN = ("run", "--remote", *IN_DEVELOPMENT, "--wait", "--poll-interval", "1")
FLYTE_URL = f"flyte://v1/{PROJECT}/development"


def test_registering_the_same_version_again_changes_nothing_and_succeeds(developer, flows):
    again = register(developer, flows)

    assert again.code == 0, again.text
    assert "Successfully registered" in again.out


def test_other_content_under_the_same_version_is_refused_and_the_first_content_stays(developer, flows, tmp_path):
    shutil.copytree(flows, tmp_path, dirs_exist_ok=True)
    module = tmp_path / "flows" / "quick.py"
    module.write_text(module.read_text().replace("return 2 * x", "return 3 * x"))

    digest = _digest(developer)
    changed = register(developer, tmp_path)

    assert changed.code == 1
    assert "INVALID_ARGUMENT" in changed.text  # what the reference answers, and flytekit shows to its user
    assert re.search(r"flows\.quick\.\w+\S* is registered with other content", changed.text)
    assert _digest(developer) == digest


def test_a_new_version_can_have_other_content(developer, flows, tmp_path):
    shutil.copytree(flows, tmp_path, dirs_exist_ok=True)
    module = tmp_path / "flows" / "quick.py"
    module.write_text(module.read_text().replace("return 2 * x", "return 3 * x"))

    assert register(developer, tmp_path, version="v2").code == 0
    assert developer.remote.fetch_workflow(name="flows.quick.double_wf").id.version == "v2"


def test_run_takes_a_workflow_to_the_server_and_waits_for_its_end(developer, flows):
    ran = developer.pyflyte(*RUN, "flows/quick.py", "double_wf", "--x", "21", cwd=flows)

    assert ran.code == 0, ran.text
    name = re.search(r"Execution (\w+) has succeeded", ran.out)[1]
    execution = developer.remote.sync(developer.remote.fetch_execution(name=name), sync_nodes=True)
    assert execution.outputs == {"o0": "42 apples"}
    assert execution.node_executions["n0"].outputs == {"o0": 42}


def test_run_takes_a_single_task_to_the_server(developer, flows):
    ran = developer.pyflyte(*RUN, "flows/quick.py", "double", "--x", "4", cwd=flows)

    assert ran.code == 0, ran.text
    name = re.search(r"Execution (\w+) has succeeded", ran.out)[1]
    assert developer.remote.sync(developer.remote.fetch_execution(name=name)).outputs == {"o0": 8}


def test_run_shows_the_error_of_the_task_that_failed(developer, flows):
    ran = developer.pyflyte(*RUN, "flows/quick.py", "explode_wf", "--reason", "no flour left", cwd=flows)

    assert ran.code != 0
    assert "phase FAILED" in ran.text
    assert "ValueError: no flour left" in ran.text


def test_fetch_shows_inputs_and_outputs_of_nodes(developer, finished):
    node = f"{FLYTE_URL}/{finished.id.name}/n1"

    assert "'14 pears'" in developer.pyflyte("fetch", f"{node}/o").out
    assert "14" in developer.pyflyte("fetch", f"{node}/i/x").out


def test_a_releaser_activates_a_launch_plan_and_it_is_listed_and_run_by_its_name(developer, releaser):
    command = ("launchplan", *IN_DEVELOPMENT, "--activate", "double_lp", "v1")
    refused = developer.pyflyte(*command)
    activated = releaser.pyflyte(*command)
    active = developer.pyflyte("get", "launchplan", *IN_DEVELOPMENT, "--active-only")
    launched = developer.pyflyte("run", "--remote", *IN_DEVELOPMENT, "remote-launchplan", "double_lp", "--x", "1")

    assert refused.code == 1
    assert "PERMISSION_DENIED" in refused.text
    assert f"this needs launchplan.activate in {PROJECT}/development" in refused.text
    assert activated.code == 0, activated.text
    assert re.search(r"double_lp │ +v1 │ +ACTIVE │ +0 2 \* \* \*", active.out)
    assert launched.code == 0, launched.text
    name = re.search(r"/executions/(\w+)", launched.out)[1]
    running = developer.remote.fetch_execution(name=name)
    assert running.spec.launch_plan.version == "v1"
    developer.remote.terminate(running, "nobody waits for it")


def test_launch_plans_are_listed_with_their_schedules(developer):
    listed = developer.pyflyte("get", "launchplan", *IN_DEVELOPMENT)
    one = developer.pyflyte("get", "launchplan", *IN_DEVELOPMENT, "double_lp", "v1")

    assert re.search(r"double_lp │ +v1 │", listed.out)
    assert '"schedule": "0 2 * * *"' in one.out


def test_execution_relaunch_launches_the_same_again(developer, finished):
    command = ("execution", *IN_DEVELOPMENT, "--execution-id", finished.id.name, "relaunch")

    relaunched = developer.pyflyte(*command)

    name = re.search(rf"{PROJECT}:development:(\w+)", relaunched.out)[1]
    assert name != finished.id.name
    again = developer.remote.sync(developer.remote.fetch_execution(name=name))
    assert again.inputs == {"x": 7, "unit": "pears"}
    assert again.spec.launch_plan.name == "double_lp"
    developer.remote.terminate(again, "nobody waits for it")


def test_execution_recover_launches_a_failed_one_again_and_keeps_what_had_succeeded(developer, server):
    path = server.file(PROJECT)
    failed = developer.wait(developer.launch("bake_wf", path=str(path)))
    assert "FileNotFoundError" in failed.closure.error.message
    path.write_text("wheat")

    recovered = developer.pyflyte("execution", *IN_DEVELOPMENT, "--execution-id", failed.id.name, "recover")

    assert recovered.code == 0, recovered.text
    name = re.search(rf"{PROJECT}:development:(\w+)", recovered.out)[1]
    ended = developer.wait(developer.remote.fetch_execution(name=name))
    assert ended.outputs == {"o0": "2 wheat"}
    # What was kept has the process id of the first time.
    assert ended.node_executions["n0"].outputs == failed.node_executions["n0"].outputs


def test_info_tells_the_server_and_its_version(developer, server):
    told = developer.pyflyte("info").out

    assert f"Flyte Backend Endpoint: {server.grpc}" in told
    assert re.search(r"Flyte Backend Version: \d+\.\d+\.\d+", told)


def _digest(developer):
    in_development = ("-p", PROJECT, "-d", "development")
    return developer.airspace_json("tasks", "get", *in_development, "flows.quick.double", "--version", "v1")["digest"]
