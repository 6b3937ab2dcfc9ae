"""What the code of a task sees of the machine when it is shut in: what is its own, and what everybody has."""

import ctypes
import json
import os
import queue
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from engine_rows import SCOPE, literals, task
from flyteidl.core import tasks_pb2

from airspace_server.core.scope import ExecutionId, Scope
from airspace_server.engine.callback import Callback
from airspace_server.engine.outcome import Failed, Succeeded
from airspace_server.engine.runners.base import AttemptSpec, RefusedError
from airspace_server.engine.runners.local import LocalRunner

OTHER = Scope("flights", "production")
LENDER = Scope("airports", "development")
TRY = """
def tried(act, *arguments):
    try:
        return act(*arguments)
    except OSError as error:
        return type(error).__name__
def read(path):
    return tried(lambda: Path(path).read_text())
def write(path):
    return tried(lambda: Path(path).write_text("x"))
def ls(path):
    return tried(lambda: sorted(os.listdir(path)))
"""


@pytest.fixture
def run(tmp_path, programs, sandbox, artifacts):
    """Run code as an attempt of a scope's, and return what it found out by the name of `found`."""
    callback = Callback(lambda execution: f"token of {execution}", "127.0.0.1:7000", False, None)
    runner = LocalRunner(tmp_path / "work", programs, callback, sandbox)

    def spec(code, scope=SCOPE, name="e1"):
        raw_data = artifacts.prefix(scope, "data", name, "n0", "0")
        print_found = "print(json.dumps(found), flush=True)"
        template = task("t", ACT="exec", CODE="\n".join([TRY, code, print_found]))
        return AttemptSpec(ExecutionId(scope, name), "wf", "lp", "n0", 0, template, literals(x=1), raw_data)

    def run(code, scope=SCOPE, name="e1", **changes):
        prepared = run.runner.prepare(replace(spec(code, scope, name), **changes))
        folder = Path(prepared.outputs_uri).parent
        reports = queue.SimpleQueue()
        run.runner.release(prepared.handle, reports.put)
        outcome = reports.get(timeout=30)
        assert isinstance(outcome, Succeeded), (outcome, (folder / "stderr").read_text())
        return json.loads((folder / "stdout").read_text())

    run.spec, run.runner = spec, runner
    return run


def lines(**found):
    """Write code that finds these out."""
    return f"found = {{{', '.join(f'{name!r}: {code}' for name, code in found.items())}}}"


def test_of_the_servers_folder_a_task_sees_its_own_attempt_and_the_artifacts_of_its_scope(run, tmp_path, artifacts):
    for path in ("airspace.db", "keys/signing.key", "clients/admin.yaml"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("secret")
    for scope in (SCOPE, OTHER, LENDER):
        artifacts.write(scope, "uploads/mine", [b"content"], 100)
    run("found = {}", name="before")
    found = run(
        lines(
            data=f"ls({str(tmp_path)!r})",
            artifacts=f"ls({str(tmp_path / 'artifacts')!r})",
            domains=f"ls({str(tmp_path / 'artifacts' / SCOPE.project)!r})",
            executions=f"ls({str(tmp_path / 'work' / SCOPE.project / SCOPE.domain)!r})",
            own=f"read({artifacts.native_url(SCOPE, 'uploads/mine')!r})",
            production=f"read({artifacts.native_url(OTHER, 'uploads/mine')!r})",
            lender=f"read({artifacts.native_url(LENDER, 'uploads/mine')!r})",
            database=f"read({str(tmp_path / 'airspace.db')!r})",
            key=f"read({str(tmp_path / 'keys/signing.key')!r})",
            key_by_init=f"read({'/proc/1/root' + str(tmp_path / 'keys/signing.key')!r})",
            token="read(os.path.join(os.environ['TMPDIR'], 'token'))",
        )
    )
    assert found == {
        "data": ["artifacts", "programs", "work"],
        "artifacts": ["flights"],
        "domains": ["development"],
        "executions": ["e1"],
        "own": "content",
        "production": "FileNotFoundError",
        "lender": "FileNotFoundError",
        "database": "FileNotFoundError",
        "key": "FileNotFoundError",
        "key_by_init": found["key_by_init"],
        "token": f"token of {SCOPE}/e1",
    }
    assert found["key_by_init"] in ("FileNotFoundError", "PermissionError")


def test_a_task_writes_where_it_was_told_to_and_changes_nothing_else(run, tmp_path, artifacts):
    artifacts.write(SCOPE, "uploads/mine", [b"content"], 100)
    before = artifacts.prefix(SCOPE, "data", "before", "n0", "0")
    raw_data = artifacts.prefix(SCOPE, "data", "e1", "n0", "0")
    found = run(
        lines(
            raw=f"write({raw_data + '/x'!r})",
            code="write('x')",
            tmp="write('/tmp/x')",
            memory="write('/dev/shm/x')",
            upload=f"write({artifacts.native_url(SCOPE, 'uploads/mine')!r})",
            chmod=f"tried(os.chmod, {artifacts.native_url(SCOPE, 'uploads/mine')!r}, 0o777)",
            new=f"write({str(artifacts.root(SCOPE) / 'uploads/forged')!r})",
            other=f"write({before + '/x'!r})",
            inputs="write('../inputs.pb')",
            python="write(sys.executable)",
            system="write('/usr/bin/airspace-was-here')",
            sysctl="write('/proc/sys/kernel/core_pattern')",
            disk="write('/dev/sda')",
        )
    )
    assert {name for name, answer in found.items() if answer == 1} == {"raw", "code", "tmp", "memory"}
    assert not list(Path(before).iterdir())
    with artifacts.open(SCOPE, "uploads/mine") as kept:
        assert kept.read() == b"content"


def test_a_task_sees_no_process_but_its_own_and_has_no_power_over_others(run):
    other = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    try:
        found = run(
            lines(
                processes="[int(name) for name in ls('/proc') if name.isdigit()]",
                own="os.getpid()",
                kill=f"tried(os.kill, {other.pid}, 9)",
                servers="read('/proc/1/environ')",
                root="tried(os.setuid, 0)",
                capabilities="[line.split()[1] for line in read('/proc/self/status').splitlines() if 'CapEff' in line]",
                privileges="[line.split()[1] for line in read('/proc/self/status').splitlines() if 'NoNew' in line]",
            )
        )
        assert found["processes"] == sorted({1, found["own"]})
        assert found["kill"] == "ProcessLookupError"
        assert found["root"] in ("PermissionError", "OSError")  # the second where there is no such user
        assert found["servers"] == "PermissionError"
        assert (found["capabilities"], found["privileges"]) == (["0" * 16], ["1"])
        assert other.poll() is None
    finally:
        other.communicate(b"\n")


KEYS = {"x86_64": (248, 249), "aarch64": (217, 218)}[os.uname().machine]
SESSION = -3
ASK = f"ctypes.CDLL(None).syscall({KEYS[1]}, b'user', b'airspace-secret', None, 0)"


def test_a_task_does_not_have_the_keys_of_who_started_the_server(run):
    made = ctypes.CDLL(None).syscall(KEYS[0], b"user", b"airspace-secret", b"secret", 6, SESSION)
    assert (eval(ASK) > 0) == (made > 0)  # neither in a container that is kept from keys
    assert run(f"import ctypes; found = {ASK}") == -1


def test_where_the_server_is_root_each_scope_has_a_user_of_its_own_and_otherwise_all_are_the_servers(run):
    who = "import pwd; found = [os.getuid(), os.getgid(), os.getgroups(), pwd.getpwuid(os.getuid()).pw_name]"
    first, again, other = run(who), run(who, name="e2"), run(who, OTHER)
    assert first == again
    assert first[3] == "task"
    if os.geteuid() == 0:
        assert len({first[0], other[0], 0}) == 3
        assert first[1:3] == [first[0], []]
    else:
        assert first[0] == other[0] == os.geteuid()


def test_of_whom_a_task_is_borrowed_from_only_the_code_comes_along(run, artifacts):
    for name in ("code.tar.gz", "secret"):
        artifacts.write(LENDER, f"uploads/{name}", [name.encode()], 100)
    for name in ("code.tar.gz", "secret"):
        artifacts.write(OTHER, f"uploads/{name}", [b"production's"], 100)
    given = artifacts.native_url(LENDER, "uploads/code.tar.gz")
    spec = run.spec(
        lines(
            given="read(sys.argv[1])",
            name="Path(sys.argv[1]).name",
            foreign="read(sys.argv[2])",
            beside=f"read({artifacts.native_url(LENDER, 'uploads/secret')!r})",
        )
    )
    spec.task.id.project = LENDER.project
    spec.task.container.args[1:1] = [given, artifacts.native_url(OTHER, "uploads/secret")]
    assert run("", task=spec.task) == {
        "given": "code.tar.gz",
        "name": "code.tar.gz",
        "foreign": "FileNotFoundError",
        "beside": "FileNotFoundError",
    }
    spec.task.container.args[1] = artifacts.native_url(LENDER, "uploads/never")
    with pytest.raises(RefusedError) as refused:
        run("", task=spec.task)
    assert "an artifact that its command names is not there" in refused.value.outcome.error.message


def test_what_a_borrower_names_by_an_input_does_not_come_along(run, artifacts):
    artifacts.write(LENDER, "uploads/secret", [b"the lender's"], 100)
    spec = run.spec(lines(asked="read(sys.argv[1])"))
    spec.task.id.project = LENDER.project
    spec.task.container.args[1:1] = ["{{.inputs.path}}"]
    inputs = literals()
    path = artifacts.native_url(LENDER, "uploads/secret")
    inputs.literals["path"].scalar.primitive.string_value = path
    assert run("", task=spec.task, inputs=inputs) == {"asked": "FileNotFoundError"}


def test_links_that_a_lender_made_lead_out_of_nothing(run, tmp_path, artifacts):
    (tmp_path / "key").write_text("secret")
    folder = Path(artifacts.prefix(LENDER, "data", "e9"))
    (folder / "code.tar.gz").symlink_to(tmp_path / "key")
    spec = run.spec("found = {}")
    spec.task.id.project = LENDER.project
    spec.task.container.args[1:1] = [str(folder / "code.tar.gz")]
    with pytest.raises(RefusedError):
        run("", task=spec.task)


def test_a_task_has_only_so_many_processes(run, tmp_path, programs, sandbox):
    run.runner = LocalRunner(tmp_path / "work", programs, sandbox=replace(sandbox, processes=100))
    code = """
found = []
try:
    while len(found) < 200:
        found.append(os.fork())
        if found[-1] == 0:
            time.sleep(60)
except BlockingIOError:
    found.append("refused")
"""
    *made, refused = run(code, Scope("bombs", "development"))  # a user that no test beside this one has
    assert refused == "refused"
    assert len(made) < 100


def test_files_that_it_keeps_in_memory_count_as_memory(run):
    code = """
for name in ("/tmp/x", "/dev/shm/x"):
    Path(name).write_bytes(b"x" * (50 << 20))
wait_for("/never")
"""
    spec = run.spec(code)
    spec.task.container.resources.limits.add(name=tasks_pb2.Resources.MEMORY, value="64Mi")
    prepared = run.runner.prepare(spec)
    reports = queue.SimpleQueue()
    run.runner.release(prepared.handle, reports.put)
    outcome = reports.get(timeout=30)
    assert isinstance(outcome, Failed)
    assert outcome.error.message == "the task used more than its 64Mi of memory"


def test_a_borrowed_file_of_any_size_is_not_copied(run, artifacts, monkeypatch):
    monkeypatch.setattr("airspace_server.engine.runners.sandbox.MAX_BORROWED", 4)
    artifacts.write(LENDER, "uploads/code.tar.gz", [b"large"], 100)
    spec = run.spec("found = {}")
    spec.task.id.project = LENDER.project
    spec.task.container.args[1:1] = [artifacts.native_url(LENDER, "uploads/code.tar.gz")]
    with pytest.raises(RefusedError):
        run("", task=spec.task)


def test_an_attempt_that_cannot_be_shut_in_does_not_run_free(run, tmp_path):
    prepared = run.runner.prepare(run.spec("found = {}"))
    folder = Path(prepared.outputs_uri).parent
    (folder / "root").write_text("in the way")
    reports = queue.SimpleQueue()
    run.runner.release(prepared.handle, reports.put)
    outcome = reports.get(timeout=30)
    assert isinstance(outcome, Failed)
    assert outcome.retryable
    assert (folder / "stdout").read_text() == ""
    assert "cannot shut the task in" in (folder / "stderr").read_text()
