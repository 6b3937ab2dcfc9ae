"""`airspace executions`."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from airspace_client import ExecutionPhase
from airspace_client.cli import output, watching
from airspace_client.cli.exit_codes import ExitCode
from airspace_client.cli.session import Group, Session, labelled, limited, pass_session, scoped

if TYPE_CHECKING:
    from airspace_client import ExecutionHandle


@click.group(cls=Group)
def executions() -> None:
    """Launch, watch and end runs of launch plans."""


@executions.command("list")
@scoped
@click.option("--launch-plan", default="", help="Only of this launch plan.")
@click.option(
    "--phase",
    "phases",
    multiple=True,
    type=click.Choice([phase.value for phase in ExecutionPhase if phase is not ExecutionPhase.UNKNOWN]),
    help="Only in this phase; may be repeated.",
)
@limited
@pass_session
def list_executions(
    session: Session, project: str, domain: str, launch_plan: str, phases: tuple[str, ...], limit: int | None
) -> None:
    """List executions, newest first."""
    with session.connect() as client:
        found = client.executions.list(
            project, domain, phases=[ExecutionPhase(phase) for phase in phases], launch_plan=launch_plan
        )
        columns = (
            "name",
            "phase",
            "launch_plan",
            "launch_plan_version",
            "task",
            "principal",
            "create_time",
            "end_time",
        )
        session.show_all(found, columns, limit)


@executions.command("get")
@scoped
@click.argument("name")
@pass_session
def get_execution(session: Session, project: str, domain: str, name: str) -> None:
    """Show an execution."""
    with session.connect() as client:
        session.show(client.executions.get(project, domain, name))


@executions.command("launch")
@scoped
@click.argument("launch_plan")
@click.option("--version", default="", help="The launch plan's version; the active one by default.")
@click.option("--inputs", metavar="JSON", help="The inputs, for example '{\"learning_rate\": 0.01}'.")
@click.option(
    "--inputs-file", metavar="FILE", type=click.Path(allow_dash=True), help='A JSON file with the inputs; "-" is stdin.'
)
@click.option("--name", default="", help="The execution's name; the server chooses one by default.")
@labelled
@click.option("--watch", is_flag=True, help="Watch it until it has ended.")
@pass_session
def launch(
    session: Session,
    project: str,
    domain: str,
    launch_plan: str,
    version: str,
    inputs: str | None,
    inputs_file: str | None,
    name: str,
    labels: dict[str, str],
    watch: bool,
) -> None:
    """Launch an execution of LAUNCH_PLAN.

    With --watch, -o json prints one line for the execution and one for each of its transitions.
    """
    values = _inputs(inputs, inputs_file)
    with session.connect() as client:
        handle = client.executions.launch(
            project, domain, launch_plan, version=version, inputs=values, name=name, labels=labels
        )
        if not watch:
            session.show(handle.launched)
            return
        click.echo(
            output.json_line(handle.launched) if session.wants_json else f"launched {project}/{domain}/{handle.name}"
        )
        _watch(session, handle)


def _inputs(text: str | None, file: str | None) -> Mapping[str, object]:
    if text is not None and file is not None:
        raise click.UsageError("--inputs and --inputs-file exclude each other")
    option, content = "--inputs", text
    if file is not None:
        option = "--inputs-file"
        try:
            content = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise click.BadParameter(f"{file} cannot be read: {error}", param_hint=option) from error
    if content is None:
        return {}
    try:
        values = json.loads(content)
    except ValueError as error:
        raise click.BadParameter(f"this is not JSON: {error}", param_hint=option) from error
    if not isinstance(values, dict):
        raise click.BadParameter("this is not a JSON object", param_hint=option)
    return values


def _watch(session: Session, handle: "ExecutionHandle") -> None:
    phase = watching.watch(session, handle.name, handle.watch())
    if phase is not ExecutionPhase.SUCCEEDED:
        click.get_current_context().exit(ExitCode.NOT_SUCCEEDED)


@executions.command("watch")
@scoped
@click.argument("name")
@pass_session
def watch_execution(session: Session, project: str, domain: str, name: str) -> None:
    """Watch an execution until it has ended; the exit status says whether it succeeded.

    At a terminal it is a tree that changes, otherwise one line for each transition; with -o json each is a document.
    """
    with session.connect() as client:
        _watch(session, client.executions.handle(project, domain, name))


@executions.command("terminate")
@scoped
@click.argument("name")
@click.option("--cause", default="", help="Why, for those who ask later.")
@pass_session
def terminate(session: Session, project: str, domain: str, name: str, cause: str) -> None:
    """Ask for the end of an execution."""
    with session.connect() as client:
        session.show(client.executions.handle(project, domain, name).terminate(cause))


@executions.command("inputs")
@scoped
@click.argument("name")
@pass_session
def inputs(session: Session, project: str, domain: str, name: str) -> None:
    """Show the inputs of an execution."""
    with session.connect() as client:
        _show_data(session, client.executions.handle(project, domain, name).inputs())


@executions.command("outputs")
@scoped
@click.argument("name")
@pass_session
def outputs(session: Session, project: str, domain: str, name: str) -> None:
    """Show the outputs of an execution; there are none (in JSON: null) until it has succeeded."""
    with session.connect() as client:
        _show_data(session, client.executions.handle(project, domain, name).outputs())


def _show_data(session: Session, values: Mapping[str, object] | None) -> None:
    if session.wants_json:
        click.echo(output.json_document(values))
    elif values is None:
        click.echo("none yet", err=True)
    else:
        rows = [(output.printable(key), json.dumps(value)) for key, value in values.items()]
        output.print_cells(rows, ("name", "value"))


@executions.command("nodes")
@scoped
@click.argument("name")
@limited
@pass_session
def nodes(session: Session, project: str, domain: str, name: str, limit: int | None) -> None:
    """List the nodes of an execution in the order in which they came up."""
    with session.connect() as client:
        found = client.executions.handle(project, domain, name).nodes()
        session.show_all(found, ("id", "entity", "phase", "attempts", "start_time", "end_time", "error"), limit)
