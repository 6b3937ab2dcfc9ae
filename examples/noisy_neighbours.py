"""Runs bad tenants in development, one after the other, while production does its work, and prints what came of both.

    make noisy-neighbours

It starts a real server with its worker on a data folder that is gone afterwards, on loopback. Whatever the tasks do is
bounded by themselves too, in time and in count, and the whole by three minutes. It needs a machine that can shut tasks
in, and lets no fork bomb run before a task has told that the kernel limits its processes. The exit code is 0 only if
each bad tenant was ended or refused by a limit that says its name, and production's executions all succeeded.
"""

import argparse
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from airspace_client import AirspaceClient, AirspaceError, ExecutionHandle, ExecutionPhase, Quotas
from airspace_server.engine.runners.limits import niceness_counts

PROJECT = "shared-house"
VERSION = "v1"
BAD, GOOD = "neighbours.bad", "neighbours.good.good"
BIN = Path(sys.executable).parent
EXAMPLES = Path(__file__).resolve().parent

ALL_SECONDS = 160  # and some to stop the server
END_SECONDS = 25.0
WORK = 5
AT_ONCE = 2
SLOTS = 4
QUEUED = 20
FLOOD = 1000
STORM = 4000
CONNECTIONS = 20
MOST_PROCESSES = 4096
TASKS = {
    "log_flood": "LOG_TOO_LARGE",
    "disk_filler": "DISK_EXCEEDED",
    "memory_hog": "OOM_KILLED",
    "memory_hogs": "OOM_KILLED",
    "cpu_spinners": "TIMED_OUT",
    "hider": "TIMED_OUT",
    "fork_bomb": "TOO_MANY_PROCESSES",
}
"""The bad tasks, the harmless ones first, and with which error each must end."""

console = Console(highlight=False, width=180)


class NotAsPromisedError(Exception):
    """Something did not go as it must."""


# --- the server


@contextmanager
def served(data: Path) -> Iterator[None]:
    """Run a server on free ports, whose tasks must be shut in, until the block is left."""
    command = [BIN / "airspace", "serve", "--data", data, "--grpc-port", "0", "--http-port", "0"]
    environment = {**os.environ, "AIRSPACE_SLOTS": str(SLOTS), "AIRSPACE_SANDBOX": "true"}
    log = data.with_suffix(".log")
    with log.open("wb") as errors:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        if not any(line.startswith("airspace ready ") for line in process.stdout):
            raise NotAsPromisedError(f"the server did not start:\n{log.read_text()[-2000:]}")
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)
        process.stdout.close()


def register(data: Path, account: str, domain: str) -> None:
    """Register the neighbours with the command that every Flyte user knows."""
    scope = ["--project", PROJECT, "--domain", domain, "--version", VERSION]
    environment = {**os.environ, "FLYTECTL_CONFIG": str(client_file(data, account))}
    done = subprocess.run(
        [BIN / "pyflyte", "register", *scope, "neighbours"],
        cwd=EXAMPLES,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise NotAsPromisedError(done.stdout + done.stderr)


def client_file(data: Path, account: str) -> Path:
    """Return the file that lets every client be `account`."""
    return data / "clients" / f"{account}.yaml"


# --- production


@dataclass(frozen=True)
class Work:
    """What came of production's work: executions a second, and how long launching took, in seconds."""

    rate: float
    launches: Sequence[float]


def work(releaser: AirspaceClient) -> Work:
    """Run production's executions, a few at a time; all of them must succeed."""

    def one(number: int) -> float:
        began = time.monotonic()
        handle = releaser.executions.launch(PROJECT, "production", GOOD, version=VERSION, inputs={"x": number})
        took = time.monotonic() - began
        ended = handle.wait(timeout=60)
        if ended.phase.value != "SUCCEEDED":
            raise NotAsPromisedError(f"production's execution {ended.name} is {ended.phase.value}: {ended.error}")
        return took

    began = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        launches = list(threads.map(one, range(WORK)))
    return Work(WORK / (time.monotonic() - began), launches)


# --- development


@dataclass(frozen=True)
class Outcome:
    """How a bad tenant ended: by which error, which it says in these words, and whether that is the one it must be."""

    code: str
    text: str
    good: bool


def launched(developer: AirspaceClient, name: str, inputs: dict[str, object] | None = None) -> ExecutionHandle:
    """Launch a bad workflow and wait until it has begun."""
    handle = developer.executions.launch(PROJECT, "development", f"{BAD}.{name}", version=VERSION, inputs=inputs)
    for transition in handle.watch(timeout=30):
        if transition.phase.value == "RUNNING":
            break
    return handle


def task_ended(handle: ExecutionHandle, code: str, mark: str) -> Outcome:
    """Wait until a bad task was ended, and see that nothing of it is left."""
    try:
        ended = handle.wait(timeout=END_SECONDS)
    except AirspaceError:
        handle.terminate("it was not ended by a limit")
        return Outcome("none", "it was still running", good=False)
    left = [process.pid for process in psutil.process_iter() if mark in _command(process)]
    if left:
        return Outcome("none", f"it left processes: {left}", good=False)
    if ended.error is None:
        return Outcome(ended.phase.value, "no limit ended it", good=False)
    return Outcome(ended.error.code, ended.error.message.splitlines()[0], good=ended.error.code == code)


def _command(process: psutil.Process) -> Sequence[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return ()


def flood(file: Path, said: "multiprocessing.Queue[Counter[str]]") -> None:
    """Launch very many executions from a few threads; say how they were answered."""
    os.nice(19)  # what is measured is what the server does about it, not that this machine has few cores

    def launch(_number: int) -> str:
        try:
            developer.executions.launch(PROJECT, "development", GOOD, version=VERSION, inputs={"x": 1})
        except AirspaceError as error:
            return f"{error.reason}: {error.metadata.get('quota', error.metadata.get('limit', ''))}"
        return "launched"

    with AirspaceClient.from_config(file) as developer, ThreadPoolExecutor(8) as threads:
        said.put(Counter(threads.map(launch, range(FLOOD))))


def storm(file: Path, said: "multiprocessing.Queue[Counter[str]]") -> None:
    """Ask for lists from many connections at once, as fast as it goes; say how that was answered."""
    os.nice(19)

    def ask(_number: int) -> Counter[str]:
        found: Counter[str] = Counter()
        with AirspaceClient.from_config(file) as developer:
            for _ in range(STORM // CONNECTIONS):
                try:
                    developer.executions.quota_usage(PROJECT, "development")
                except AirspaceError as error:
                    found[f"{error.reason}: {error.metadata.get('limit', '')}"] += 1
                else:
                    found["answered"] += 1
        return found

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        said.put(sum(threads.map(ask, range(CONNECTIONS)), Counter()))


Load = Callable[[Path, "multiprocessing.Queue[Counter[str]]"], None]


@contextmanager
def loaded(load: Load, file: Path) -> Iterator[Callable[[], Counter[str]]]:
    """Run a load in a process of its own; give what returns how it was answered, once it has ended."""
    context = multiprocessing.get_context("spawn")
    said = context.Queue()
    process = context.Process(target=load, args=(file, said), daemon=True)
    process.start()
    try:
        yield lambda: said.get(timeout=60)
    finally:
        process.kill()
        process.join()


def refused(found: Counter[str], reason: str) -> Outcome:
    """Say how a load was answered; some of it must have been refused for this reason."""
    text = ", ".join(f"{count} {what}" for what, count in found.most_common())
    return Outcome(reason, text, good=any(what.startswith(reason) for what in found))


# --- the whole


@dataclass(frozen=True)
class Row:
    """A bad tenant, what production did beside it, and how it ended."""

    tenant: str
    work: Work
    outcome: Outcome


def beside(data: Path, releaser: AirspaceClient, developer: AirspaceClient, only: Sequence[str]) -> Iterator[Row]:
    """Run production's work beside each bad tenant in turn."""
    for name, code in TASKS.items():
        if only and name not in only:
            continue
        if name == "fork_bomb":
            limited(developer)
        mark = uuid.uuid4().hex
        handle = launched(developer, name, {"mark": mark} if name == "hider" else None)
        try:
            done = work(releaser)
        finally:
            outcome = task_ended(handle, code, mark)
        yield Row(name, done, outcome)
    loads: Sequence[tuple[str, Load, str]] = (
        (f"{FLOOD} launches", flood, "QUOTA_EXCEEDED"),
        (f"{STORM} calls", storm, "TOO_MANY_CALLS"),
    )
    for name, load, reason in loads:
        if only and name.split()[1] not in only:
            continue
        with loaded(load, client_file(data, "developer")) as answers:
            done = work(releaser)
            outcome = refused(answers(), reason)
        cleared(developer)
        yield Row(name, done, outcome)


def cleared(developer: AirspaceClient) -> None:
    """End what a flood has launched: the next tenant begins in a quiet house."""
    phases = (ExecutionPhase.QUEUED, ExecutionPhase.RUNNING)
    for execution in list(developer.executions.list(PROJECT, "development", phases=phases)):
        handle = developer.executions.handle(PROJECT, "development", execution.name)
        with suppress(AirspaceError):  # it may have ended meanwhile
            handle.terminate("its flood is over")
        handle.wait(timeout=END_SECONDS)


def limited(developer: AirspaceClient) -> None:
    """See that the kernel limits the processes of development's tasks, before one of them tries without end."""
    handle = launched(developer, "probe")
    if handle.wait(timeout=60).phase.value != "SUCCEEDED":
        raise NotAsPromisedError("the task that looks at its limits did not succeed")
    (found,) = (handle.outputs() or {}).values()
    user, soft, hard = (int(number) for number in found)
    if user == 0 or not 0 < soft <= MOST_PROCESSES or not 0 < hard <= MOST_PROCESSES:
        raise NotAsPromisedError(f"no fork bomb here: as user {user}, tasks may have {soft} to {hard} processes")


def shown(undisturbed: Work, rows: Sequence[Row], last: Work) -> Table:
    """Make the table: production beside each bad tenant as a part of what it is undisturbed, and how that one ended."""
    table = Table(title="production beside bad tenants of development")
    for title in ("development", "executions/s", "of undisturbed", "launch ms, median", "worst", "ended by", "says"):
        table.add_column(title, justify="left" if title in ("development", "ended by", "says") else "right")
    beside = [(row.tenant, row.work, row.outcome) for row in rows]
    for tenant, done, outcome in [("(nobody)", undisturbed, None), *beside, ("(nobody)", last, None)]:
        table.add_row(
            tenant,
            f"{done.rate:.2f}",
            f"{done.rate / undisturbed.rate:.0%}",
            f"{1000 * statistics.median(done.launches):.0f}",
            f"{1000 * max(done.launches):.0f}",
            "" if outcome is None else outcome.code if outcome.good else f"NOT AS PROMISED: {outcome.code}",
            "" if outcome is None else outcome.text,
        )
    return table


def run(data: Path, only: Sequence[str]) -> bool:
    """Run everything on a server and print it; tell whether all went as it must. Raises NotAsPromisedError."""
    before = os.getloadavg()[0]
    with served(data):
        with AirspaceClient.from_config(client_file(data, "admin")) as admin:
            admin.projects.create(PROJECT, name="Shared House")
            quotas = Quotas(executions_running=4, executions_queued=QUEUED, launches_per_minute=100)
            admin.settings.set_quotas(quotas, project="*", domain="development")
        register(data, "developer", "development")
        register(data, "releaser", "production")
        with (
            AirspaceClient.from_config(client_file(data, "releaser")) as releaser,
            AirspaceClient.from_config(client_file(data, "developer")) as developer,
        ):
            work(releaser)  # the first ones find nothing in the machine's caches
            undisturbed = work(releaser)
            rows: list[Row] = []
            for row in beside(data, releaser, developer, only):
                console.print(f"{row.tenant}: {row.outcome.code}", style="dim")
                rows.append(row)
            last = work(releaser)
    console.print(shown(undisturbed, rows, last))
    console.print(
        f"{os.cpu_count()} cores, load {before:.1f} at the start; what else the machine did shows in the last line"
    )
    if not niceness_counts():
        console.print("this machine shares cores by session and not by niceness: kernel.sched_autogroup_enabled is 1")
    return all(row.outcome.good for row in rows)


def _too_late(*_: object) -> None:
    raise NotAsPromisedError(f"it took more than {ALL_SECONDS} seconds")


def main() -> int:
    """Run it within its time."""
    parser = argparse.ArgumentParser(description="Bad tenants of development beside production's work.")
    parser.add_argument("--only", nargs="*", default=[], help=f"of {', '.join([*TASKS, 'launches', 'calls'])}")
    only = parser.parse_args().only
    signal.signal(signal.SIGALRM, _too_late)
    signal.alarm(ALL_SECONDS)
    with tempfile.TemporaryDirectory(prefix="noisy-neighbours") as folder:
        Path(folder).chmod(0o755)  # as root, tasks run as users of their own, who must get in
        try:
            return 0 if run(Path(folder) / "data", only) else 1
        except (NotAsPromisedError, AirspaceError) as error:
            console.print(f"error: {error}", style="red", markup=False)
            return 1


if __name__ == "__main__":
    sys.exit(main())
