"""Tells the story of Airspace on this machine: a real server process and the clients that Flyte's users already have.

    make demo           tells it, on a data folder that is gone afterwards
    make demo KEEP=1    leaves the server running on ./demo-data and prints how to connect

Every call is printed with what its client answered. The exit code is 0 only if every step did what it says.
"""

import argparse
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import grpc
import httpx
import yaml
from flytekit.configuration import Config
from flytekit.exceptions.base import FlyteException
from flytekit.models.core.identifier import Identifier, ResourceType
from flytekit.remote import FlyteRemote
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from airspace_client import AirspaceClient, AirspaceError
from airspace_client.cli.exit_codes import ExitCode

PROJECT = "recommendation-engine"
OTHER_PROJECT = "fraud-detection"
WORKFLOW = "workflows.train.train_wf"
LAUNCH_PLAN = "nightly_train_lp"
NEWCOMER = "newcomer"

BIN = Path(sys.executable).parent
EXAMPLES = Path(__file__).resolve().parent
KEPT = Path("demo-data")
CALL_SECONDS = 180
SHOWN_LINES = 14

console = Console(highlight=False, soft_wrap=True)


class StepFailedError(Exception):
    """A step did not do what it says."""


# --- the server


class Server:
    """A server process with its own data folder and free ports."""

    def __init__(self, data: Path) -> None:
        self.data = data.resolve()
        self.log = self.data / "server.log"
        command = [BIN / "airspace", "serve", "--data", self.data]
        ports = ["--grpc-port", "0", "--http-port", "0", "--execution-port", "0"]
        self.data.mkdir(mode=0o700, exist_ok=True)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *ports], stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
            )
        self.grpc, self.http = self._ready()

    def _ready(self) -> tuple[str, str]:
        for line in self.process.stdout:
            if found := re.match(r"airspace ready grpc=(\S+) http=(\S+) ", line):
                return found[1], found[2]
        raise StepFailedError(f"the server did not start:\n{self.log.read_text()}")

    def client_file(self, account: str) -> Path:
        """Return the file that lets every client be `account`."""
        return self.data / "clients" / f"{account}.yaml"

    def add_client_file(self, account: str, secret: str) -> None:
        """Write the client file of a new account beside those of the first three."""
        document = yaml.safe_load(self.client_file("developer").read_text())
        place = self.data / "clients" / f"{account}.secret"
        document["admin"] |= {"clientId": account, "clientSecretLocation": str(place)}
        for path, content in ((place, secret), (self.client_file(account), yaml.safe_dump(document))):
            path.touch(mode=0o600)
            path.write_text(content)

    def token(self, account: str) -> str:
        """Get a token from the token endpoint, with the secret in the account's client file."""
        admin = yaml.safe_load(self.client_file(account).read_text())["admin"]
        secret = Path(admin["clientSecretLocation"]).read_text()
        answer = httpx.post(
            admin["tokenUrl"], auth=(admin["clientId"], secret), data={"grant_type": "client_credentials"}
        )
        answer.raise_for_status()
        return answer.json()["access_token"]

    def stop(self) -> int:
        """End the server and return its exit code."""
        self.process.terminate()
        return self.process.wait(timeout=60)


# --- the clients; each answers with the gRPC status of its call


@dataclass(frozen=True)
class Answer:
    """What a client answered."""

    client: str
    status: str
    text: str


@dataclass
class Story:
    """What the steps share: the server, the registered version, and what came of every call so far."""

    server: Server
    version: str = ""
    step: str = ""
    rows: list[tuple[str, str, str, str]] = field(default_factory=list)

    def pyflyte(self, account: str, *arguments: str) -> Answer:
        """Run pyflyte in examples/, as the account."""
        code, text = self._run(account, "pyflyte", *arguments)
        status = "OK" if code == 0 else _found(r"StatusCode\.([A-Z_]+)", text, default=f"exit code {code}")
        return Answer("pyflyte", status, text)

    def airspace(self, account: str, *arguments: str) -> Answer:
        """Run our own command line, whose exit codes tell the status."""
        code, text = self._run(account, "airspace", *arguments)
        return Answer("airspace", ExitCode(code).name, text)

    def grpcurl(self, account: str, method: str, request: Mapping[str, object]) -> Answer:
        """Call a native method with JSON, through the server's reflection."""
        call = ["-d", json.dumps(request), self.server.grpc, method]
        header = f"authorization: Bearer {self.server.token(account)}"
        shown = f'grpcurl -plaintext -H "authorization: Bearer $TOKEN" {shlex.join(call)}'
        code, text = self._run(account, "grpcurl", "-plaintext", "-H", header, *call, shown=shown)
        status = "OK" if code == 0 else _status_of_number(code - 64)  # grpcurl's exit code is 64 + status
        return Answer("grpcurl", status, text)

    def remote(self, account: str, domain: str, words: str, call: Callable[[FlyteRemote], object]) -> Answer:
        """Let FlyteRemote do something in a domain of the project and answer with what it returns."""
        _print_call(account, f"FlyteRemote(default_domain='{domain}').{words}")
        config = Config.auto(config_file=str(self.server.client_file(account)))
        try:
            result = call(FlyteRemote(config, default_project=PROJECT, default_domain=domain))
        except FlyteException as error:
            cause = error.__cause__
            if not isinstance(cause, grpc.RpcError):
                raise
            return Answer("FlyteRemote", cause.code().name, cause.details())
        _print_answer(str(result))
        return Answer("FlyteRemote", "OK", str(result))

    def succeeds(self, what: str, answer: Answer, says: str = "") -> str:
        """Demand that a call succeeded and that its answer matches; return what matched."""
        found = re.search(says, answer.text)
        if answer.status != "OK" or not found:
            raise StepFailedError(f"{what}: {answer.client} answered {answer.status}\n{answer.text}")
        self._tell(answer.client, what, "OK")
        return found[found.re.groups]

    def is_refused(self, what: str, answer: Answer, status: str, reason: str) -> None:
        """Demand that a call was refused with a status and a reason that matches."""
        found = re.search(reason, answer.text)
        if answer.status != status or not found:
            raise StepFailedError(f"{what}: {answer.client} answered {answer.status}, not {status}\n{answer.text}")
        console.print(f"    {status}: {found[0]}", style="yellow", markup=False)
        self._tell(answer.client, what, f"{status}: {found[0]}")

    def _tell(self, client: str, what: str, result: str) -> None:
        self.rows.append((self.step, client, what, result))

    def _run(self, account: str, *command: str, shown: str = "") -> tuple[int, str]:
        _print_call(account, shown or shlex.join(command))
        client_file = str(self.server.client_file(account))
        environment = {
            **os.environ,
            "FLYTECTL_CONFIG": client_file,
            "AIRSPACE_CONFIG": client_file,
            "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}",
            "COLUMNS": "1000",  # rich breaks lines otherwise, and with them what is searched for
            "NO_COLOR": "1",
        }
        done = subprocess.run(
            [BIN / command[0], *command[1:]],
            cwd=EXAMPLES,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=CALL_SECONDS,
            check=False,
        )
        if "Traceback (most recent call last)" not in done.stdout:  # flytekit's, hundreds of lines for one refusal
            _print_answer(done.stdout)
        return done.returncode, done.stdout


def _print_call(account: str, words: str) -> None:
    console.print(f"\n  [dim]{account}[/] [bold]$ {escape(words)}[/]")


def _print_answer(text: str) -> None:
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    for line in lines[:SHOWN_LINES]:
        console.print(f"    {line}", style="dim", markup=False)
    if len(lines) > SHOWN_LINES:
        console.print(f"    ... {len(lines) - SHOWN_LINES} more lines", style="dim")


def _found(pattern: str, text: str, default: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else default


def _status_of_number(number: int) -> str:
    return next((status.name for status in grpc.StatusCode if status.value[0] == number), f"exit code {number + 64}")


# --- the steps


def start_the_server(story: Story) -> None:
    """Ask the health service: a server that says it is ready is healthy."""
    console.print(f"    grpc={story.server.grpc} http={story.server.http} data={story.server.data}", style="dim")
    health = story.grpcurl("admin", "grpc.health.v1.Health/Check", {})
    story.succeeds("health of the server", health, '"SERVING"')


def create_the_project(story: Story) -> None:
    """Let an administrator create it."""
    words = ["--name", "Recommendation Engine", "--description", "ML pipelines for the recommendation system"]
    story.succeeds(
        f"create {PROJECT}", story.airspace("admin", "projects", "create", PROJECT, *words), "state: +ACTIVE"
    )


def register_in_development(story: Story) -> None:
    """Register the team's package, as a developer, with the command that every Flyte user knows."""
    scope = ["--project", PROJECT, "--domain", "development"]
    answer = story.pyflyte("developer", "register", *scope, "workflows/")
    story.version = story.succeeds("register workflows/ in development", answer, r"Computed version is (\S+)")


def run_in_development(story: Story) -> None:
    """Run the workflow on the server, as the developer, and read its outputs back."""
    run = ["run", "--remote", "--project", PROJECT, "--domain", "development", "--wait", "--poll-interval", "1"]
    answer = story.pyflyte("developer", *run, "workflows/train.py", "train_wf", "--learning_rate", "0.01")
    name = story.succeeds("run train_wf and wait", answer, r"Execution (\w+) has succeeded")
    words = f"sync(fetch_execution(name='{name}')).outputs"
    outputs = story.remote("developer", "development", words, lambda remote: _outputs(remote, name))
    story.succeeds("read its outputs", outputs, r"rmse 0\.\d+ with learning rate 0\.01")


IN_PRODUCTION = ("-p", PROJECT, "-d", "production")


def release_to_production(story: Story) -> None:
    """Bring the same version to staging and production, as a releaser, run it there and activate its schedule.

    Staging gets it by a promotion that somebody else approves, production by a registration of the same source.
    """
    _promote_to_staging(story)
    register = ["register", "--project", PROJECT, "--domain", "production", "--version", story.version, "workflows/"]
    answer = story.pyflyte("releaser", *register)
    story.succeeds("register the same version in production", answer, "Successfully registered")
    words = f"wait(execute('{WORKFLOW}', inputs=...)).outputs"
    answer = story.remote("releaser", "production", words, lambda remote: _run(story, remote))
    story.succeeds("run train_wf in production", answer, r"rmse 0\.\d+ with learning rate 0\.02")
    # A computed version is base64 and may begin with a dash, as an option does.
    answer = story.pyflyte("releaser", *_in_production("launchplan"), "--activate", "--", LAUNCH_PLAN, story.version)
    story.succeeds(f"activate {LAUNCH_PLAN} in production", answer, "ACTIVE")
    answer = story.airspace(
        "releaser", "launch-plans", "next", *IN_PRODUCTION, LAUNCH_PLAN, f"--version={story.version}"
    )
    story.succeeds("when its schedule fires next", answer, r"T\d\d:\d\d:00Z")
    answer = story.airspace("releaser", "launch-plans", "history", *IN_PRODUCTION, LAUNCH_PLAN)
    story.succeeds("what was active when, and by whom", answer, "ACTIVATE +service-account:releaser")


def _promote_to_staging(story: Story) -> None:
    staging = ["-p", PROJECT, "-d", "staging"]
    answer = story.airspace("admin", "settings", "gates", *staging, "--approvals", "1")
    story.succeeds("let promotions to staging be approved", answer, "gates")
    version = ["launch-plan", LAUNCH_PLAN, f"--version={story.version}", "--to", "staging", "--activate"]
    answer = story.airspace("releaser", "promotions", "request", "-p", PROJECT, "-d", "development", *version)
    name = story.succeeds(f"ask to promote {LAUNCH_PLAN} to staging", answer, r"name: +(\w+)")
    own = story.airspace("releaser", "promotions", "approve", *staging, name)
    story.is_refused("approve one's own promotion", own, "PERMISSION_DENIED", "cannot approve it")
    answer = story.airspace("admin", "promotions", "approve", *staging, name)
    story.succeeds("approve it as somebody else", answer, "state: +PROMOTED")


def keep_tenants_apart(story: Story) -> None:
    """See somebody who may only contribute to development refused everything else, and the releaser not."""
    story.succeeds(
        f"create {OTHER_PROJECT}",
        story.airspace("admin", "projects", "create", OTHER_PROJECT, "--name", "Fraud Detection"),
    )
    with AirspaceClient.from_config(story.server.client_file("admin")) as admin:
        story.server.add_client_file(NEWCOMER, admin.access.create_service_account(NEWCOMER).secret)
    bind = ["bindings", "create", f"service-account:{NEWCOMER}", "contributor", "-p", PROJECT, "-d", "development"]
    story.succeeds(f"bind {NEWCOMER} to development", story.airspace("admin", *bind), "contributor")
    for what, attempt in ATTEMPTS:
        answer = attempt(story, NEWCOMER)
        story.is_refused(f"{NEWCOMER}: {what}", answer, "PERMISSION_DENIED", r"this needs [\w.]+ in [\w*/-]+")
    for what, attempt in ATTEMPTS:
        answer = attempt(story, "releaser")
        story.succeeds(f"releaser: {what}", answer)
        if what == "launch in production":  # at once, while it runs
            launched = _found(r"name: +(\w+)", answer.text, default="")
            where = ["-p", PROJECT, "-d", "production"]
            answer = story.airspace("releaser", "executions", "terminate", *where, launched, "--cause", "seen enough")
            story.succeeds("releaser: terminate that launch", answer, "seen enough")


def archive_and_restore(story: Story) -> None:
    """See that an archived project takes no work and still answers questions."""
    story.succeeds("archive the project", story.airspace("admin", "projects", "archive", PROJECT), "ARCHIVED")
    archived = f"project {PROJECT} is archived"
    answer = _launch_by_cli(story, "releaser")
    story.is_refused("launch in an archived project", answer, "FAILED_PRECONDITION", archived)
    words = f"execute('{WORKFLOW}', inputs=...)"
    answer = story.remote("releaser", "production", words, lambda remote: _launch(story, remote))
    # Flyte's own clients take INVALID_ARGUMENT for a mistake of their user, and other codes for one of the server.
    story.is_refused("launch in an archived project", answer, "INVALID_ARGUMENT", archived)
    story.succeeds("read an archived project", _read_production(story, "releaser"), LAUNCH_PLAN)
    story.succeeds("restore the project", story.airspace("admin", "projects", "restore", PROJECT), "ACTIVE")


def use_the_native_contract(story: Story) -> None:
    """Do the same through the native contract, by grpcurl with JSON."""
    scope = {"project": PROJECT, "domain": "production"}
    projects = story.grpcurl("releaser", "airspace.project.v1.ProjectService/ListProjects", {})
    story.succeeds("list projects", projects, PROJECT)
    method = "airspace.launchplan.v1.LaunchPlanService/GetActiveLaunchPlan"
    plan = story.grpcurl("releaser", method, {"scope": scope, "name": LAUNCH_PLAN})
    story.succeeds(f"get {LAUNCH_PLAN}", plan, "LAUNCH_PLAN_STATE_ACTIVE")
    launch = {"scope": scope, "launch_plan": LAUNCH_PLAN, "inputs": {"learning_rate": 0.01}}
    launched = story.grpcurl("releaser", f"{_EXECUTIONS}/LaunchExecution", launch)
    name = story.succeeds(f"launch {LAUNCH_PLAN} with JSON", launched, r'"name": "(\w+)"')
    execution = {"execution": {"scope": scope, "name": name}}
    watched = story.grpcurl("releaser", f"{_EXECUTIONS}/WatchExecution", execution)
    story.succeeds("watch it to the end", watched, r'"execution": \{\s*"phase": "EXECUTION_PHASE_SUCCEEDED"')
    outputs = story.grpcurl("releaser", f"{_EXECUTIONS}/GetExecutionData", execution)
    story.succeeds("read its outputs", outputs, r"rmse 0\.\d+ with learning rate 0\.01")


def use_the_command_line(story: Story) -> None:
    """Do the same by our own command line."""
    scope = ["-p", PROJECT, "-d", "production"]
    story.succeeds("list projects", story.airspace("releaser", "projects", "list"), PROJECT)
    plan = story.airspace("releaser", "launch-plans", "get", *scope, LAUNCH_PLAN)
    story.succeeds(f"get {LAUNCH_PLAN}", plan, "state: +ACTIVE")
    inputs = ["--inputs", '{"learning_rate": 0.01}']
    launched = story.airspace("releaser", "executions", "launch", *scope, LAUNCH_PLAN, *inputs)
    name = story.succeeds(f"launch {LAUNCH_PLAN} with JSON", launched, r"name: +(\w+)")
    watched = story.airspace("releaser", "executions", "watch", *scope, name)
    story.succeeds("watch it to the end", watched, "execution  SUCCEEDED")
    outputs = story.airspace("releaser", "executions", "outputs", *scope, name)
    story.succeeds("read its outputs", outputs, r"rmse 0\.\d+ with learning rate 0\.01")


# --- what several steps do

_EXECUTIONS = "airspace.execution.v1.ExecutionService"


def _in_production(*command: str) -> list[str]:
    return [*command, "--project", PROJECT, "--domain", "production"]


def _register_in_production(story: Story, account: str) -> Answer:
    return story.pyflyte(account, *_in_production("register"), "--version", story.version, "workflows/")


def _launch_by_cli(story: Story, account: str) -> Answer:
    inputs = ["--inputs", '{"learning_rate": 0.01}']
    return story.airspace(account, "executions", "launch", "-p", PROJECT, "-d", "production", LAUNCH_PLAN, *inputs)


def _read_production(story: Story, account: str) -> Answer:
    return story.pyflyte(account, *_in_production("get", "launchplan"))


def _activate_in_production(story: Story, account: str) -> Answer:
    plan = Identifier(ResourceType.LAUNCH_PLAN, PROJECT, "production", LAUNCH_PLAN, story.version)
    words = f"activate_launchplan({LAUNCH_PLAN}:{story.version})"
    return story.remote(account, "production", words, lambda remote: remote.activate_launchplan(plan))


def _read_another_project(story: Story, account: str) -> Answer:
    scope = {"project": OTHER_PROJECT, "domain": "development"}
    return story.grpcurl(account, f"{_EXECUTIONS}/ListExecutions", {"scope": scope})


def _launch(story: Story, remote: FlyteRemote) -> object:
    plan = remote.fetch_launch_plan(name=WORKFLOW, version=story.version)
    return remote.execute(plan, inputs={"learning_rate": 0.02})


def _run(story: Story, remote: FlyteRemote) -> object:
    return remote.wait(_launch(story, remote), poll_interval=timedelta(seconds=1)).outputs


def _outputs(remote: FlyteRemote, name: str) -> object:
    return remote.sync(remote.fetch_execution(name=name)).outputs


ATTEMPTS: Sequence[tuple[str, Callable[[Story, str], Answer]]] = (
    ("register in production", _register_in_production),
    ("launch in production", _launch_by_cli),
    ("read production", _read_production),
    ("activate in production", _activate_in_production),
    ("read another project", _read_another_project),
)

STEPS: Sequence[tuple[str, str, Callable[[Story], None]]] = (
    ("1", "The server starts", start_the_server),
    ("2", "A project is created", create_the_project),
    ("3", "The team's package is registered in development", register_in_development),
    ("4", "It runs in development", run_in_development),
    ("5", "The same version goes to staging and production", release_to_production),
    ("6", "Who may only contribute to development, may only do that", keep_tenants_apart),
    ("7", "The project is archived and restored", archive_and_restore),
    ("8", "The native contract, by grpcurl", use_the_native_contract),
    ("8", "The native contract, by the airspace command line", use_the_command_line),
)


# --- telling it


def tell(story: Story) -> bool:
    """Take every step; return whether each did what it says."""
    for number, title, step in STEPS:
        console.rule(f"[bold]Step {number}. {title}", align="left")
        story.step = number
        try:
            step(story)
        except (StepFailedError, AirspaceError, FlyteException, subprocess.TimeoutExpired, httpx.HTTPError) as error:
            console.print(str(error), style="red", markup=False)
            console.print(
                "\n".join(story.server.log.read_text().splitlines()[-SHOWN_LINES:]), style="dim", markup=False
            )
            story.rows.append((number, "", title, "FAILED"))
            return False
    return True


def summary(story: Story) -> Table:
    """Return what came of every call."""
    table = Table("Step", "Client", "What", Column("Result", overflow="fold"), title="Summary")
    for step, client, what, result in story.rows:
        style = "green" if result == "OK" else "red" if result == "FAILED" else "yellow"
        table.add_row(step, client, what, f"[{style}]{escape(result)}[/]")
    return table


def how_to_connect(server: Server) -> str:
    """Return what a person types to use the server that was kept."""
    clients = server.data / "clients"
    return f"""
The server keeps running. To be the developer:

  export PATH={BIN}:$PATH FLYTECTL_CONFIG={clients}/developer.yaml AIRSPACE_CONFIG={clients}/developer.yaml

  pyflyte get launchplan --project {PROJECT} --domain development
  flytectl get workflows --project {PROJECT} --domain development
  airspace executions list -p {PROJECT} -d development

  TOKEN=$(python -c 'import airspace_client as a; print(a.AirspaceClient.from_config().credentials.token().value)')
  grpcurl -plaintext -H "authorization: Bearer $TOKEN" {server.grpc} airspace.project.v1.ProjectService/ListProjects

Its log is {server.log}. To end it: kill {server.process.pid}; rm -r {server.data}
"""


def _quiet_environment() -> None:
    """Forget the settings of other servers: this story is about the one that it starts."""
    for name in [name for name in os.environ if name.startswith(("AIRSPACE_", "FLYTE"))]:
        del os.environ[name]
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"


def main() -> int:
    """Tell the story and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help=f"leave the server running, on ./{KEPT}")
    keep = parser.parse_args().keep
    if keep and KEPT.exists():
        console.print(f"./{KEPT} is there from an earlier demo. End its server if it runs, then: rm -r {KEPT}")
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server below ends with this process
    _quiet_environment()
    with tempfile.TemporaryDirectory(prefix="airspace-demo-") as folder:
        try:
            server = Server(KEPT if keep else Path(folder) / "data")
        except StepFailedError as error:
            console.print(str(error), style="red", markup=False)
            return 1
        story = Story(server)
        done = False
        try:
            done = tell(story)
        finally:
            kept = keep and done
            code = 0 if kept else server.stop()
    console.print(summary(story))
    if kept:
        console.print(how_to_connect(server), markup=False)
    if code:
        console.print(f"The server ended with exit code {code}.", style="red")
    return 0 if done and code == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
