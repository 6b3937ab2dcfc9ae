"""The entry point: `airspace`.

Commands of other distributions are found as entry points of the group "airspace.commands"; each loads a click.Command.
The server's own, such as `serve`, are among them and need the extra that brings what they import.
"""

from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

import click

from airspace_client import AirspaceError
from airspace_client.cli import (
    access,
    audit,
    executions,
    notifications,
    output,
    projects,
    promotions,
    quota,
    references,
    registry,
    settings,
    verification,
)
from airspace_client.cli.exit_codes import MEANINGS, ExitCode, exit_code
from airspace_client.cli.session import Group, Session, session_options

COMMANDS_GROUP: Final = "airspace.commands"
"""The entry point group of further commands."""
SERVER_COMMANDS: Final = frozenset({"serve", "worker"})
"""Commands that the server's extra brings."""


class Airspace(Group):
    """The root: its own commands, those of other distributions, and what becomes of an error."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*super().list_commands(ctx), *entry_points(group=COMMANDS_GROUP).names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; one of our own cannot be replaced from outside."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        for found in entry_points(group=COMMANDS_GROUP, name=cmd_name):
            return _load(found)
        return _missing(cmd_name, "is not installed") if cmd_name in SERVER_COMMANDS else None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; end with the documented status when it fails."""
        try:
            return super().invoke(ctx)
        except AirspaceError as error:
            session = ctx.ensure_object(Session)
            text = output.json_line(output.error_document(error)) if session.wants_json else output.error_text(error)
            click.echo(text, err=True)
            ctx.exit(exit_code(error))
        except KeyboardInterrupt:
            ctx.exit(ExitCode.INTERRUPTED)


def _load(found: EntryPoint) -> click.Command:
    try:
        command = found.load()
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("airspace"):
            raise  # a broken installation, which no extra repairs
        return _missing(found.name, f"needs {error.name}, which is not installed")
    if not isinstance(command, click.Command):
        raise click.ClickException(f"the entry point {found.value!r} of {COMMANDS_GROUP} is not a click command")
    return command


def _missing(name: str, why: str) -> click.Command:
    remedy = "pip install 'airspace[server]'"

    def refuse() -> None:
        raise click.UsageError(f"`airspace {name}` {why}; install it with: {remedy}")

    return click.Command(
        name,
        callback=refuse,
        short_help=f"Not installed: {remedy}",
        add_help_option=False,
        params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED, expose_value=False)],
        context_settings={"ignore_unknown_options": True},
    )


_STATUS_HELP = "\b\nExit status:\n" + "\n".join(f"  {code.value:<4} {meaning}" for code, meaning in MEANINGS.items())


@click.group(
    "airspace",
    cls=Airspace,
    params=session_options(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog=_STATUS_HELP,
)
@click.version_option(package_name="airspace", prog_name="airspace")
@click.pass_context
def main(context: click.Context) -> None:
    """Projects, registered versions, executions and access of an Airspace server.

    The client file is the one that pyflyte and flytectl read. Without --config it is the file that $AIRSPACE_CONFIG
    names, or the administrator's file in the data folder that $AIRSPACE_DATA names, or in ./airspace-data.
    """
    context.ensure_object(Session)


for _command in (
    projects.projects,
    projects.domains,
    registry.tasks,
    registry.workflows,
    registry.launch_plans,
    references.exports,
    references.dependents,
    executions.executions,
    promotions.promotions,
    notifications.notifications,
    access.roles,
    access.bindings,
    access.service_accounts,
    access.questions,
    access.whoami,
    access.login,
    audit.audit,
    settings.settings,
    quota.quota,
    verification.verify_isolation,
):
    main.add_command(_command)
