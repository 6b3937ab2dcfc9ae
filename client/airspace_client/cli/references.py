"""`airspace exports` and `airspace dependents`."""

from typing import Any

import click

from airspace_client._model import EntityKind
from airspace_client.cli.session import Command, Group, Session, limited, pass_session, scoped

_KINDS = {"task": EntityKind.TASK, "workflow": EntityKind.WORKFLOW, "launch-plan": EntityKind.LAUNCH_PLAN}


def _kind(_: click.Context, __: click.Parameter, value: str) -> EntityKind:
    return _KINDS[value]


def _named(command: Any) -> Any:
    """Add KIND and NAME."""
    command = click.argument("name")(command)
    return click.argument("kind", type=click.Choice(list(_KINDS)), callback=_kind)(command)


@click.group(cls=Group)
def exports() -> None:
    """See and change what other projects may refer to."""


@exports.command("list")
@scoped
@limited
@pass_session
def list_exports(session: Session, project: str, domain: str, limit: int | None) -> None:
    """List what a project exports in a domain."""
    with session.connect() as client:
        found = client.references.list_exports(project, domain)
        session.show_all(found, ("kind", "name", "consumer", "creator", "create_time"), limit)


@exports.command("create")
@scoped
@_named
@click.option("--to", "consumer", required=True, metavar="PROJECT", help="The project that may refer to it.")
@pass_session
def create_export(session: Session, project: str, domain: str, kind: EntityKind, name: str, consumer: str) -> None:
    """Let another project refer to NAME ("*" for every one), in the same domain."""
    with session.connect() as client:
        session.show(client.references.create_export(project, domain, kind, name, consumer=consumer))


@exports.command("delete")
@scoped
@_named
@click.option("--to", "consumer", required=True, metavar="PROJECT", help="The project that it is for.")
@pass_session
def delete_export(session: Session, project: str, domain: str, kind: EntityKind, name: str, consumer: str) -> None:
    """Take an export back: what needs it is not launched any more."""
    with session.connect() as client:
        client.references.delete_export(project, domain, kind, name, consumer=consumer)
    session.show({"deleted": {"project": project, "domain": domain, "kind": kind, "name": name, "consumer": consumer}})


@click.command(cls=Command)
@scoped
@_named
@click.option("--version", default="", help="Only what uses this version.")
@limited
@pass_session
def dependents(
    session: Session, project: str, domain: str, kind: EntityKind, name: str, version: str, limit: int | None
) -> None:
    """List what refers to NAME, as far as you may read it."""
    with session.connect() as client:
        found = client.references.dependents(project, domain, kind, name, version=version)
        session.show_all(found, ("project", "domain", "kind", "name", "version", "uses_version"), limit)
