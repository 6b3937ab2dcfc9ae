"""What an attempt may use of the machine, free or shut in: who uses more is ended, and told which limit that was."""

import queue
from pathlib import Path

import pytest
from engine_rows import SCOPE, literals, task
from engine_runners import RUNNERS
from flyteidl.core import tasks_pb2

from airspace_server.core.execution import ErrorKind
from airspace_server.core.scope import ExecutionId
from airspace_server.engine.outcome import Failed, Succeeded
from airspace_server.engine.runners import limits
from airspace_server.engine.runners.base import AttemptSpec
from airspace_server.engine.runners.limits import Limits
from airspace_server.engine.runners.local import LocalRunner

HOLD = """
def hold(mib):
    held = bytearray(mib << 20)
    for place in range(0, len(held), 4096):
        held[place] = 1
    time.sleep(60)
"""


LOOKS = 3


@pytest.fixture
def gate(artifacts):
    """A file that is not there yet, where the test and its tasks see it."""
    return artifacts.root(SCOPE) / "gate"


@pytest.fixture(params=RUNNERS)
def run(request, tmp_path, programs, artifacts, sandbox, gate):
    """Run code as an attempt that declares this much memory; return how it ended, and its folder."""
    runner = LocalRunner(tmp_path / "work", programs, sandbox=None if request.param == "free" else sandbox)

    def run(code, memory="64Mi", disk=None):
        template = task("t", ACT="exec", CODE=HOLD + code, GATE=str(gate))
        declared = {tasks_pb2.Resources.MEMORY: memory, tasks_pb2.Resources.EPHEMERAL_STORAGE: disk}
        for name, value in declared.items():
            if value:
                template.container.resources.limits.add(name=name, value=value)
        raw_data = artifacts.prefix(SCOPE, "data", "e1", "n0", "0")
        spec = AttemptSpec(ExecutionId(SCOPE, "e1"), "wf", "lp", "n0", 0, template, literals(x=1), raw_data)
        prepared = runner.prepare(spec)
        reports = queue.SimpleQueue()
        runner.release(prepared.handle, reports.put)
        return reports.get(timeout=45), Path(prepared.outputs_uri).parent

    return run


@pytest.fixture
def looked(gate, monkeypatch):
    """What was found of the attempts whenever they were looked at; the gate opens when that was often enough."""
    found, look = [], Limits.exceeded

    def exceeded(*arguments, **options):
        found.append(look(*arguments, **options))
        if len(found) == LOOKS:
            gate.touch()
        return found[-1]

    monkeypatch.setattr(Limits, "exceeded", exceeded)
    return found


def killed(outcome):
    assert isinstance(outcome, Failed), outcome
    assert (outcome.error.code, outcome.error.kind, outcome.retryable) == ("OOM_KILLED", ErrorKind.USER, True)
    assert outcome.error.message == "the task used more than its 64Mi of memory"


def test_a_process_that_takes_more_memory_than_its_task_declares_is_ended(run):
    killed(run("hold(200)")[0])


def test_what_the_processes_of_a_task_take_counts_together(run):
    code = """
for _ in range(4):
    if os.fork() == 0:
        os.setsid()
        hold(30)
time.sleep(60)
"""
    killed(run(code)[0])


def test_memory_that_processes_share_counts_once(run, looked):
    code = """
held = b"x" * (80 << 20)
children = [os.fork() for _ in range(4)]
if 0 in children:
    wait_for(os.environ["GATE"])
    os._exit(0)
for child in children:
    os.waitpid(child, 0)
"""
    # Forked one after the other, a child forks on; that is a tree of 2**4 processes, which share what they hold.
    assert isinstance(run(code, "400Mi")[0], Succeeded)
    assert len(looked) >= LOOKS


def test_a_task_within_its_limit_or_without_one_is_left_alone(run, looked):
    code = "held = b'x' * (20 << 20); wait_for(os.environ['GATE'])"
    for memory in ("64Mi", None):
        assert isinstance(run(code, memory)[0], Succeeded)
    assert len(looked) >= LOOKS


def test_a_task_that_floods_its_log_is_ended(run, monkeypatch):
    monkeypatch.setattr(limits, "MAX_LOG", 1 << 20)
    for name in ("stdout", "stderr"):
        outcome, folder = run(f"while True: sys.{name}.write('x' * 65536)")
        assert isinstance(outcome, Failed)
        assert (outcome.error.code, outcome.error.kind) == ("LOG_TOO_LARGE", ErrorKind.USER)
        assert outcome.error.message == f"the task wrote more than {1 << 20} bytes to {name}"
        assert (folder / name).stat().st_size > 1 << 20


FILL = """
def fill(name, mib):
    with open(name, "wb") as file:
        for _ in range(mib):
            file.write(os.urandom(1 << 20))
"""


def overflowed(outcome, of="16Mi"):
    assert isinstance(outcome, Failed), outcome
    assert (outcome.error.code, outcome.error.kind) == ("DISK_EXCEEDED", ErrorKind.USER)
    assert outcome.error.message == f"the task used more than its {of} of disk"


@pytest.mark.parametrize(
    "code",
    [
        "fill('x', 40); wait_for('/never')",
        "os.makedirs('deep/' + 'd/' * 500); fill('deep/x', 40); wait_for('/never')",
        "[fill(f'x{n}', 1) for n in range(40)]; wait_for('/never')",
        "file = open('x', 'wb'); os.remove('x'); file.write(os.urandom(40 << 20)); file.flush(); wait_for('/never')",
        "fill(os.path.join(os.environ['TMPDIR'], 'x'), 40); wait_for('/never')",
    ],
    ids=["one file", "a deep one", "many", "one without a name", "temporary"],
)
def test_a_task_that_keeps_more_on_disk_than_it_declares_is_ended(run, code):
    overflowed(run(FILL + code, None, "16Mi")[0])


def test_data_that_a_task_writes_to_where_it_was_told_to_counts_as_disk(run, artifacts):
    written = artifacts.prefix(SCOPE, "data", "e1", "n0", "0") + "/x"
    overflowed(run(f"{FILL}fill({written!r}, 40); wait_for('/never')", None, "16Mi")[0])


def test_a_task_that_declares_no_disk_has_a_limit_too():
    found = Limits.of(task("t").container)
    assert (found.disk, found.declared_disk) == (limits.MAX_DISK, "10Gi")


def test_a_task_within_its_disk_is_left_alone_and_what_is_linked_twice_counts_once(run, gate, monkeypatch):
    looks, look = [], Limits.overflows

    def overflows(*arguments, **options):
        looks.append(look(*arguments, **options))
        if len(looks) == 2:
            gate.touch()
        return looks[-1]

    monkeypatch.setattr(Limits, "overflows", overflows)
    code = "fill('x', 10); os.link('x', 'y'); wait_for(os.environ['GATE'])"
    assert isinstance(run(FILL + code, None, "16Mi")[0], Succeeded)
    assert looks
    assert not any(looks)


def test_a_task_with_too_many_processes_is_ended(run, monkeypatch):
    monkeypatch.setattr(limits, "MAX_PROCESSES", 20)
    code = """
for _ in range(60):
    if os.fork() == 0:
        os.setsid()
        time.sleep(60)
wait_for("/never")
"""
    outcome, _ = run(code, memory=None)
    assert isinstance(outcome, Failed)
    assert (outcome.error.code, outcome.error.kind) == ("TOO_MANY_PROCESSES", ErrorKind.USER)
    assert outcome.error.message == "the task had more than 20 processes at once"


FORK = """
made = 0
try:
    while made < 200:
        if os.fork() == 0:
            time.sleep(60)
        made += 1
except BlockingIOError as error:
    print(error.strerror, flush=True)
print(made, flush=True)
"""


def test_processes_without_end_end_with_the_task(run):
    outcome, folder = run(FORK, memory=None)  # each process has some of its own
    assert isinstance(outcome, Succeeded)
    assert (folder / "stdout").read_text() == "200\n"


@pytest.mark.parametrize(
    ("limit", "request_", "memory"),
    [("", "", None), ("1Gi", "", 1 << 30), ("", "500M", 500_000_000), ("1Gi", "500M", 1 << 30)],
)
def test_who_only_requests_memory_has_no_more(limit, request_, memory):
    container = task("t").container
    for entries, value in ((container.resources.limits, limit), (container.resources.requests, request_)):
        entries.add(name=tasks_pb2.Resources.CPU, value="1")
        if value:
            entries.add(name=tasks_pb2.Resources.MEMORY, value=value)
    assert Limits.of(container).memory == memory
