import json
import os
import queue
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from engine_rows import SCOPE, integer, lines, literals, task
from engine_runners import RUNNERS
from flyteidl.core import errors_pb2, literals_pb2

from airspace_server.core.execution import ErrorKind
from airspace_server.core.scope import ExecutionId
from airspace_server.engine.callback import Callback
from airspace_server.engine.outcome import Failed, Lost, Succeeded
from airspace_server.engine.runners import result
from airspace_server.engine.runners.base import AttemptSpec, RefusedError
from airspace_server.engine.runners.command import MARK
from airspace_server.engine.runners.local import LocalRunner


@pytest.fixture(params=RUNNERS)
def runner(request, tmp_path, programs, sandbox):
    """Either way all else is the same."""
    return LocalRunner(tmp_path / "work", programs, sandbox=None if request.param == "free" else sandbox)


@pytest.fixture
def raw_data(tmp_path):
    """The one folder of the test's in which tasks write, shut in or not."""
    folder = tmp_path / "raw"
    folder.mkdir()
    return folder


@pytest.fixture
def log(raw_data):
    return raw_data / "log"


@pytest.fixture
def attempt(raw_data, log):

    def make(number=0, inputs=None, **env):
        template = task("t", LOG=str(log), **env)
        execution = ExecutionId(SCOPE, "e1")
        values = literals(x=1) if inputs is None else inputs
        return AttemptSpec(execution, "wf", "lp", "n0", number, template, values, str(raw_data))

    return make


class Started:
    def __init__(self, runner, spec):
        prepared = runner.prepare(spec)
        self.handle = prepared.handle
        self.out = Path(prepared.outputs_uri)
        self.folder = self.out.parent
        self.mark = json.loads(prepared.handle)["mark"]
        self.pid = json.loads(prepared.handle)["pid"]
        self.reports = queue.SimpleQueue()
        self.runner = runner

    def release(self):
        self.runner.release(self.handle, self.reports.put)
        return self

    def outcome(self):
        return self.reports.get(timeout=30)


@pytest.fixture
def run(runner, attempt):
    def start(**options):
        return Started(runner, attempt(**options)).release()

    return start


def alive(mark):
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark:
                found.append(process)
        except psutil.Error:
            continue
    return found


def left(escaped):
    """List the processes that have left everything; of those that are shut in their ids are no ids out here."""
    return [each for each in psutil.process_iter(["cmdline"]) if str(escaped) in (each.info["cmdline"] or ())]


def test_a_task_gets_its_inputs_and_gives_its_outputs(run):
    started = run()
    assert started.outcome() == Succeeded(literals(x=1))
    assert sorted(path.name for path in started.folder.iterdir()) == ["done", "inputs.pb", "out", "stderr", "stdout"]


def test_nothing_of_the_task_runs_before_it_is_released(runner, attempt, log):
    started = Started(runner, attempt())
    assert len(alive(started.mark)) == 1
    assert lines(log) == []
    runner.end(started.handle)
    assert alive(started.mark) == []
    assert not started.folder.exists()
    assert lines(log) == []


def test_the_environment_is_the_tasks_own_and_nothing_of_the_servers(run, tmp_path, raw_data, monkeypatch):
    monkeypatch.setenv("AIRSPACE_SIGNING_KEY", "secret")
    seen = raw_data / "seen"
    started = run(number=2, ACT="environ", SEEN=str(seen))
    assert isinstance(started.outcome(), Succeeded)
    env = json.loads(seen.read_text())["env"]
    assert env.pop("PATH").split(":")[0] == str(tmp_path / "programs")
    assert env.pop(MARK) == started.mark
    env.pop("LC_CTYPE", None)  # Python's own, when it starts
    assert env == {
        "LANG": "C.UTF-8",
        "HOME": str(started.folder / "tmp"),
        "TMPDIR": str(started.folder / "tmp"),
        "FLYTE_INTERNAL_EXECUTION_ID": "e1",
        "FLYTE_INTERNAL_EXECUTION_PROJECT": "flights",
        "FLYTE_INTERNAL_EXECUTION_DOMAIN": "development",
        "FLYTE_INTERNAL_EXECUTION_WORKFLOW": "wf",
        "FLYTE_INTERNAL_EXECUTION_LAUNCHPLAN": "lp",
        "FLYTE_INTERNAL_TASK_PROJECT": "flights",
        "FLYTE_INTERNAL_TASK_DOMAIN": "development",
        "FLYTE_INTERNAL_TASK_NAME": "t",
        "FLYTE_INTERNAL_TASK_VERSION": "v1",
        "FLYTE_ATTEMPT_NUMBER": "2",
        "ACT": "environ",
        "SEEN": str(seen),
        "LOG": env["LOG"],
    }


def test_what_a_task_calls_back_with_is_for_this_user_alone_and_gone_when_it_ends(tmp_path, programs, attempt):
    (tmp_path / "ca.pem").write_text("an authority")
    callback = Callback(lambda execution: f"token of {execution}", "127.0.0.1:7000", True, tmp_path / "ca.pem")
    runner = LocalRunner(tmp_path / "called", programs, callback)
    started = Started(runner, attempt(FLYTECTL_CONFIG="/elsewhere"))
    config = started.folder / "tmp" / "flyte.yaml"
    admin = json.loads(config.read_text())["admin"]
    command, token = admin.pop("command"), started.folder / "tmp" / "token"
    assert Path(admin.pop("caCertFilePath")).read_text() == "an authority"
    assert admin == {"endpoint": "dns:///127.0.0.1:7000", "insecure": False, "authType": "ExternalCommand"}
    assert subprocess.run(command, capture_output=True, check=True).stdout == f"token of {SCOPE}/e1".encode()
    assert {stat.S_IMODE(path.stat().st_mode) for path in (config, token)} == {0o600}
    assert isinstance(started.release().outcome(), Succeeded)
    assert not config.exists()
    assert not token.exists()


def test_the_executions_variables_go_before_the_tasks(runner, attempt, raw_data):
    seen = raw_data / "seen"
    spec = replace(attempt(ACT="copy"), environment={"ACT": "environ", "SEEN": str(seen), MARK: "forged"})
    started = Started(runner, spec).release()
    assert isinstance(started.outcome(), Succeeded)
    assert json.loads(seen.read_text())["env"][MARK] == started.mark


@pytest.mark.parametrize("nice", [0, 7, 19])
def test_a_task_stands_back_as_far_as_it_is_told_to(runner, attempt, nice, raw_data):
    seen = raw_data / "seen"
    code = f"Path({str(seen)!r}).write_text(str(os.getpriority(os.PRIO_PROCESS, 0)))"
    assert isinstance(
        Started(runner, replace(attempt(ACT="exec", CODE=code), nice=nice)).release().outcome(), Succeeded
    )
    assert int(seen.read_text()) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + nice)


def test_no_variable_reaches_what_runs_outside_of_the_sandbox(runner, attempt, until):
    """A loader that looks into LD_PRELOAD would run the task's code there, as the server."""
    spec = replace(attempt(LD_PRELOAD="/a.so"), environment={"LD_AUDIT": "/b.so", "PYTHONPATH": "/c"})
    started = Started(runner, spec)
    outside = until(psutil.Process(started.pid).environ)  # which is empty while the program is being loaded
    assert outside == {MARK: started.mark}
    runner.end(started.handle)


@pytest.mark.parametrize("variable", ["", "A=B", "A\0B"])
def test_variables_that_no_process_can_have_are_refused(runner, attempt, variable):
    for environment in ({variable: "x"}, {"X": "a\0b"}):
        with pytest.raises(RefusedError) as raised:
            runner.prepare(replace(attempt(), environment=environment))
        assert "cannot be given to a process" in raised.value.outcome.error.message


def test_a_command_line_that_grows_without_end_is_refused_before_it_is_made(runner, attempt):
    spec = attempt()
    spec.task.container.args[:] = ["pyflyte-execute", "{{.inputs.x}}" * 10_000]
    spec.inputs.literals["x"].scalar.primitive.string_value = "x" * 100_000
    with pytest.raises(RefusedError) as raised:
        runner.prepare(spec)
    assert "the task's command line would have more than" in raised.value.outcome.error.message


def test_an_attempt_that_cannot_be_followed_is_reported_all_the_same(run, monkeypatch):
    def fails(*_, **__):
        raise MemoryError

    monkeypatch.setattr("airspace_server.engine.runners.local.Limits.exceeded", fails)
    started = run(ACT="wait")
    failed = started.outcome()
    assert isinstance(failed, Failed)
    assert (failed.error.kind, failed.retryable) == (ErrorKind.SYSTEM, True)
    assert alive(started.mark) == []  # or the next attempt would run beside it


def test_folders_that_are_too_deep_to_be_walked_are_removed_too(run):
    deep = "for _ in range(3000): os.mkdir('d'); os.chdir('d')"
    started = run(ACT="exec", CODE=deep)
    assert isinstance(started.outcome(), Succeeded)
    assert not (started.folder / "code").exists()


def test_the_folder_is_for_this_user_alone_and_code_is_unpacked_inside_it(runner, attempt, tmp_path, raw_data):
    seen = raw_data / "seen"
    spec = attempt(ACT="environ", SEEN=str(seen))
    spec.task.container.args[:] = [
        *("pyflyte-execute", "--additional-distribution", "/x.tar.gz", "--dest-dir", "/root"),
        *("--inputs", "{{ .Input }}", "--output-prefix", "{{.outputPrefix}}", "--raw", "{{$rawOutputDataPrefix}}"),
        *("--checkpoint", "{{.checkpointOutputPrefix}}", "--prev", "{{.prevCheckpointPrefix}}"),
        *("--x", "{{.inputs.x}}", "--", "--dest-dir", "/root", "t"),
    ]
    started = Started(runner, spec)
    assert stat.S_IMODE(started.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "work").stat().st_mode) == 0o700
    assert isinstance(started.release().outcome(), Succeeded)
    found = json.loads(seen.read_text())
    assert found["cwd"] == str(started.folder / "code")
    assert found["argv"][3:] == [
        *("--dest-dir", str(started.folder / "code"), "--inputs", str(started.folder / "inputs.pb")),
        *("--output-prefix", str(started.out), "--raw", str(raw_data)),
        *("--checkpoint", str(raw_data / "checkpoint"), "--prev", "", "--x", "1", "--", "--dest-dir", "/root", "t"),
    ]


def test_the_checkpoint_of_the_attempt_before_is_passed_on_when_there_is_one(runner, attempt, tmp_path, raw_data):
    seen, before = raw_data / "seen", tmp_path / "before"
    (before / "checkpoint").mkdir(parents=True)
    spec = replace(attempt(number=1, ACT="environ", SEEN=str(seen)), previous_raw_data=str(before))
    spec.task.container.args[-2:-2] = ["{{.prevCheckpointPrefix}}"]
    assert isinstance(Started(runner, spec).release().outcome(), Succeeded)
    assert str(before / "checkpoint") in json.loads(seen.read_text())["argv"]


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        ([], "does not begin with a command of flytekit"),
        (["rm", "-rf", "x"], "does not begin with a command of flytekit"),
        (["pyflyte-/../sh"], "does not begin with a command of flytekit"),
        (["pyflyte-map-execute"], "pyflyte-map-execute is not installed"),
        (["pyflyte-execute", "{{.taskTemplatePath}}"], "uses {{.taskTemplatePath}}, which has no value"),
        (["pyflyte-execute", "{{.inputs.z}}"], "uses {{.inputs.z}}, which has no value"),
        (["pyflyte-execute", "{{.inputs.l}}"], "the input l as text"),
    ],
)
def test_tasks_that_cannot_be_run_here_are_refused_and_leave_nothing(runner, attempt, tmp_path, args, problem):
    listed = literals_pb2.Literal(collection=literals_pb2.LiteralCollection(literals=[integer(1)]))
    spec = attempt(inputs=literals_pb2.LiteralMap(literals={"l": listed}))
    spec.task.container.args[:] = args
    with pytest.raises(RefusedError) as raised:
        runner.prepare(spec)
    error = raised.value.outcome.error
    assert problem in error.message
    assert (error.code, error.kind, raised.value.outcome.retryable) == ("NOT_RUNNABLE", ErrorKind.USER, False)
    assert not list((tmp_path / "work").rglob("inputs.pb"))


def test_a_task_without_a_container_is_refused(runner, attempt):
    spec = attempt()
    spec.task.ClearField("container")
    with pytest.raises(RefusedError):
        runner.prepare(spec)


def test_a_machine_that_cannot_start_a_process_is_a_fault_of_the_system(tmp_path, programs, attempt):
    runner = LocalRunner(tmp_path / "full", programs)
    (tmp_path / "full" / "flights").write_text("in the way")
    with pytest.raises(RefusedError) as raised:
        runner.prepare(attempt())
    assert raised.value.outcome.error.kind is ErrorKind.SYSTEM
    assert raised.value.outcome.retryable
    assert str(tmp_path) not in raised.value.outcome.error.message


def test_the_error_that_a_task_reports_is_passed_on(run):
    document = errors_pb2.ErrorDocument()
    document.error.code = "USER:ValueError"
    document.error.message = "Trace:\n\n  line 1\n\nMessage:\n\n  no runway"
    document.error.origin = 1
    failed = run(ACT="fail", ERROR=document.SerializeToString().hex()).outcome()
    assert isinstance(failed, Failed)
    assert (failed.error.code, failed.error.kind, failed.retryable) == ("USER:ValueError", ErrorKind.USER, False)
    assert failed.error.message == document.error.message
    document.error.kind = errors_pb2.ContainerError.RECOVERABLE
    document.error.origin = 2
    again = run(ACT="fail", ERROR=document.SerializeToString().hex()).outcome()
    assert (again.error.kind, again.retryable) == (ErrorKind.SYSTEM, True)


@pytest.mark.parametrize(
    ("env", "code", "words"),
    [
        ({"ACT": "exit"}, "EXIT_CODE", "with exit code 3; it wrote:\nthe runway is closed"),
        ({"ACT": "die"}, "EXIT_CODE", "by signal 11 (SIGSEGV)"),
        ({"ACT": "nothing"}, "OUTPUTS_MISSING", "wrote no outputs"),
        ({"ACT": "pipe"}, "OUTPUTS_MISSING", "wrote no outputs"),
        ({"ACT": "write", "OUT": "ffff"}, "OUTPUTS_MALFORMED", "not a message of Flyte"),
    ],
)
def test_a_process_that_ends_without_a_result_is_a_fault_of_the_system(run, env, code, words):
    failed = run(**env).outcome()
    assert isinstance(failed, Failed)
    assert (failed.error.code, failed.error.kind, failed.retryable) == (code, ErrorKind.SYSTEM, True)
    assert words in failed.error.message


def test_a_dynamic_task_and_too_large_outputs_are_refused_with_the_reason():
    dynamic = result.outcome({"futures.pb": b""}.get, 0, "")
    assert isinstance(dynamic, Failed)
    assert (dynamic.error.code, dynamic.retryable) == ("NOT_RUNNABLE", False)

    def read(name):
        if name == "outputs.pb":
            raise result.TooLargeError
        return

    large = result.outcome(read, 0, "")
    assert isinstance(large, Failed)
    assert (large.error.code, large.retryable) == ("OUTPUTS_TOO_LARGE", False)


def test_no_outputs_are_empty_outputs(run):
    assert run(ACT="write", OUT="").outcome() == Succeeded(literals())


def test_only_the_end_of_a_long_error_output_is_quoted(run):
    document = errors_pb2.ErrorDocument()
    document.error.message = "x" * 200_000 + "the end"
    failed = result.outcome({"error.pb": document.SerializeToString()}.get, 0, "")
    assert len(failed.error.message) == result.MAX_MESSAGE
    assert failed.error.message.endswith("the end")


def test_ending_a_task_ends_a_process_that_has_left_everything(run, raw_data, until):
    escaped = raw_data / "escaped"
    started = run(ACT="escape-and-wait", ESCAPED=str(escaped))
    until(lambda: escaped.exists() and escaped.read_text())
    assert left(escaped)
    started.runner.end(started.handle)
    assert isinstance(started.outcome(), Lost)
    assert left(escaped) == []
    assert alive(started.mark) == []
    assert not (started.folder / "code").exists()


def test_what_a_task_leaves_running_when_it_succeeds_is_ended(run, raw_data):
    escaped = raw_data / "escaped"
    started = run(ACT="escape", ESCAPED=str(escaped))
    assert isinstance(started.outcome(), Succeeded)
    assert escaped.read_text()
    assert left(escaped) == []


def test_a_task_that_ignores_the_request_to_end_is_killed(run, log, until):
    started = run(ACT="stubborn")
    until(lambda: "ready t 0" in lines(log))
    started.runner.end(started.handle)
    started.runner.end(started.handle)
    assert isinstance(started.outcome(), Lost)
    assert alive(started.mark) == []


def test_a_task_that_stops_its_launcher_is_ended_all_the_same(run, log, until, monkeypatch):
    monkeypatch.setattr("airspace_server.engine.runners.local._PATIENCE", 0.5)
    started = run(ACT="wait")
    until(lambda: "ready t 0" in lines(log))
    os.kill(started.pid, signal.SIGSTOP)
    started.runner.end(started.handle)
    assert isinstance(started.outcome(), Lost)
    assert alive(started.mark) == []


def test_a_task_that_kills_its_launcher_has_failed(run, log, until):
    started = run(ACT="wait")
    until(lambda: "ready t 0" in lines(log))
    os.kill(started.pid, signal.SIGKILL)
    failed = started.outcome()
    assert isinstance(failed, Failed)
    assert failed.retryable
    assert alive(started.mark) == []


LEAVES_BEHIND = """
import os, sys, queue
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from engine_rows import SCOPE, literals, task
from airspace_server.core.scope import ExecutionId
from airspace_server.engine.runners.base import AttemptSpec
from airspace_server.artifacts.local import LocalArtifactStore
from airspace_server.engine.runners.local import LocalRunner
from airspace_server.engine.runners.sandbox import Sandbox
root, act, release = Path(sys.argv[2]), sys.argv[3], sys.argv[4] == "release"
template = task("t", ACT=act, LOG=str(root / "raw/log"), ESCAPED=str(root / "raw/escaped"))
sandbox = Sandbox(root, LocalArtifactStore(root / "artifacts")) if sys.argv[5] == "shut in" else None
runner = LocalRunner(root / "work", root / "programs", sandbox=sandbox)
spec = AttemptSpec(ExecutionId(SCOPE, "e1"), "wf", "lp", "n0", 0, template, literals(x=1), str(root / "raw"))
prepared = runner.prepare(spec)
if release:
    runner.release(prepared.handle, lambda outcome: None)
print(prepared.handle, flush=True)
os._exit(9)
"""


@pytest.fixture
def left_behind(request, tmp_path, raw_data):
    """Let another process, whose runner is like this one's, begin an attempt and die."""

    def leave(act, release):
        arguments = [str(Path(__file__).parent), str(tmp_path), act, release, request.node.callspec.params["runner"]]
        command = [sys.executable, "-c", LEAVES_BEHIND, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 9, done.stderr
        return done.stdout.strip()

    return leave


def test_an_attempt_that_was_left_running_is_ended_by_who_takes_over(runner, left_behind, log, until):
    handle = left_behind("escape-and-wait", "release")
    until(lambda: "ready t 0" in lines(log))
    assert runner.reap(handle) is None
    assert alive(json.loads(handle)["mark"]) == []
    assert left(log.with_name("escaped")) == []
    assert runner.reap(handle) is None


def test_an_attempt_that_came_to_its_end_alone_gives_its_result_to_who_takes_over(runner, left_behind, until):
    handle = left_behind("copy", "release")
    until(lambda: not alive(json.loads(handle)["mark"]))
    assert runner.reap(handle) == Succeeded(literals(x=1))


def test_an_attempt_that_was_not_released_ends_with_who_prepared_it(runner, left_behind, log, until):
    handle = left_behind("copy", "hold")
    until(lambda: not alive(json.loads(handle)["mark"]))
    assert lines(log) == []
    assert runner.reap(handle) is None


def test_reaping_never_ends_a_stranger_who_has_the_process_id(runner, tmp_path):
    stranger = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    handle = json.dumps({"pid": stranger.pid, "mark": "f" * 32, "folder": str(tmp_path / "nothing")})
    assert runner.reap(handle) is None
    assert stranger.poll() is None
    stranger.communicate(b"\n")
    assert stranger.returncode == 0
