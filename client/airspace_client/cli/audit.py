"""`airspace audit`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from airspace_client import ChainHead, RecordKind
from airspace_client.cli import output
from airspace_client.cli.exit_codes import ExitCode
from airspace_client.cli.session import Group, Session, limited, pass_session

if TYPE_CHECKING:
    from datetime import datetime

F = TypeVar("F", bound=Callable[..., object])


@click.group(cls=Group)
def audit() -> None:
    """See who changed what and who was refused what, and verify that nobody has tampered with that."""


def filtered(command: F) -> F:
    """Add what says which records, given to the command as `wanted`."""
    moment = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"])
    for option in (
        click.option("--until", type=moment, help="Only before this time; UTC unless it says otherwise."),
        click.option("--since", type=moment, help="Only from this time on."),
        click.option("--kind", type=click.Choice(["MUTATION", "DENIAL"]), help="Only of this kind."),
        click.option("--method", default="", help='Only of this RPC, as "/package.Service/Method".'),
        click.option("--principal", default="", help='Only of this caller, as "user:ann".'),
        click.option("-d", "--domain", default="*", help="Only of this domain."),
        click.option("-p", "--project", default="*", help="Only of this project."),
    ):
        command = option(command)
    return command


def _wanted(options: dict[str, Any]) -> dict[str, Any]:
    kind = options["kind"]
    times = {name: _utc(options[name]) for name in ("since", "until")}
    return {**options, **times, "kind": RecordKind(kind) if kind else None}


def _utc(moment: "datetime | None") -> "datetime | None":
    from datetime import UTC

    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


@audit.command("list")
@filtered
@limited
@pass_session
def list_records(session: Session, /, limit: int | None, **options: Any) -> None:
    """List records, newest first."""
    with session.connect() as client:
        found = client.audit.list(**_wanted(options))
        session.show_all(
            found, ("time", "chain", "domain", "kind", "principal", "method", "reason", "count", "changes"), limit
        )


@audit.command("export")
@filtered
@pass_session
def export_records(session: Session, /, **options: Any) -> None:
    """Print every record as one line of JSON, in the order of the chains."""
    with session.connect() as client:
        for record in client.audit.export(**_wanted(options)):
            click.echo(output.json_line(record))


@audit.command("verify")
@click.option("-p", "--project", default="*", help="Only the chain of this project.")
@click.option(
    "--expect-head",
    "expected",
    multiple=True,
    metavar="CHAIN:SEQUENCE:HASH",
    help="A head that an earlier run printed: the chain must still hold that record. May be repeated.",
)
@click.pass_context
def verify_chains(context: click.Context, project: str, expected: tuple[str, ...]) -> None:
    """Verify chains of records, and print where each ends. Keep that elsewhere, for --expect-head.

    Ends with status 1 when any chain does not hold.
    """
    session = context.ensure_object(Session)
    with session.connect() as client:
        verdicts = client.audit.verify(project=project, expected=[_head(text) for text in expected])
    session.show_all(verdicts, ("chain", "sequence", "hash", "problem"))
    if any(verdict.problem for verdict in verdicts):
        context.exit(ExitCode.NOT_SUCCEEDED)


def _head(text: str) -> ChainHead:
    chain, _, rest = text.partition(":")
    sequence, _, digest = rest.partition(":")
    if not (chain and digest and sequence.isascii() and sequence.isdigit()):
        raise click.BadParameter(f"{text!r} is not CHAIN:SEQUENCE:HASH", param_hint="--expect-head")
    return ChainHead(chain, int(sequence), digest)
