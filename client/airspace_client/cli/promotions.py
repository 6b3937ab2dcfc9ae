"""`airspace promotions`."""

from typing import Any

import click

from airspace_client import EntityKind, Promotion
from airspace_client.cli import output
from airspace_client.cli.session import Group, Session, limited, pass_session, scoped

_KINDS = {"workflow": EntityKind.WORKFLOW, "launch-plan": EntityKind.LAUNCH_PLAN}
_GATES = ("name", "passed", "message")
_ENTRIES = ("state", "kind", "project", "name", "version", "digest")
_SHOWN = (
    *("name", "state", "kind", "entity", "version", "source_domain", "activate", "requester", "comment"),
    *("overridden", "decider", "decision_comment", "create_time", "expire_time", "decide_time", "artifacts"),
)


def _version(command: Any) -> Any:
    """Add what is promoted, and where to."""
    command = click.option("--to", required=True, metavar="DOMAIN", help="The domain that it goes to.")(command)
    command = click.option("--version", required=True, help="The version.")(command)
    command = click.argument("name")(command)
    return click.argument("kind", type=click.Choice(list(_KINDS)), callback=lambda _, __, kind: _KINDS[kind])(command)


@click.group(cls=Group)
def promotions() -> None:
    """Bring versions into the next domain, as they are."""


@promotions.command("preview")
@scoped
@_version
@pass_session
def preview_promotion(
    session: Session, project: str, domain: str, kind: EntityKind, name: str, version: str, to: str
) -> None:
    """Show what a promotion would do, and which gates it would not pass. Nothing is changed."""
    with session.connect() as client:
        preview = client.promotions.preview(project, domain, kind, name, version, to=to)
    if session.wants_json:
        session.show(preview)
        return
    output.print_table(preview.entries, _ENTRIES)
    output.print_table(preview.gates, _GATES)
    output.print_fields({"artifacts": preview.artifacts, "active_version": preview.active_version})
    if preview.differences:
        output.print_table(preview.differences, ("difference", "kind", "name", "active_version", "promoted_version"))


@promotions.command("request")
@scoped
@_version
@click.option("--activate", is_flag=True, help="Make the launch plan the active version there, in the same step.")
@click.option("--comment", default="", help="Why, for those who approve.")
@pass_session
def request_promotion(
    session: Session,
    project: str,
    domain: str,
    kind: EntityKind,
    name: str,
    version: str,
    to: str,
    activate: bool,
    comment: str,
) -> None:
    """Promote a version if every gate is passed; else the promotion waits, and can be approved."""
    with session.connect() as client:
        _show(
            session,
            client.promotions.request(project, domain, kind, name, version, to=to, activate=activate, comment=comment),
        )


@promotions.command("list")
@scoped
@click.option("--pending", is_flag=True, help="Only those that wait.")
@limited
@pass_session
def list_promotions(session: Session, project: str, domain: str, pending: bool, limit: int | None) -> None:
    """List the promotions into a domain, newest first."""
    with session.connect() as client:
        found = client.promotions.list(project, domain, pending_only=pending)
        columns = ("name", "state", "kind", "entity", "version", "source_domain", "requester", "create_time")
        session.show_all(found, columns, limit)


@promotions.command("get")
@scoped
@click.argument("name")
@pass_session
def get_promotion(session: Session, project: str, domain: str, name: str) -> None:
    """Show a promotion into a domain."""
    with session.connect() as client:
        _show(session, client.promotions.get(project, domain, name))


@promotions.command("approve")
@scoped
@click.argument("name")
@click.option("--comment", default="", help="Why, for the record.")
@pass_session
def approve_promotion(session: Session, project: str, domain: str, name: str, comment: str) -> None:
    """Approve a promotion of somebody else's."""
    with session.connect() as client:
        _show(session, client.promotions.approve(project, domain, name, comment=comment))


@promotions.command("reject")
@scoped
@click.argument("name")
@click.option("--comment", default="", help="Why, for the record.")
@pass_session
def reject_promotion(session: Session, project: str, domain: str, name: str, comment: str) -> None:
    """Refuse a promotion that waits, or take your own back."""
    with session.connect() as client:
        _show(session, client.promotions.reject(project, domain, name, comment=comment))


@promotions.command("override")
@scoped
@click.argument("name")
@click.option("--reason", required=True, help="Why, for the record.")
@pass_session
def override_promotion(session: Session, project: str, domain: str, name: str, reason: str) -> None:
    """Promote what waits although gates are not passed, for an emergency."""
    with session.connect() as client:
        _show(session, client.promotions.override(project, domain, name, reason=reason))


def _show(session: Session, promotion: Promotion) -> None:
    if session.wants_json:
        session.show(promotion)
        return
    output.print_fields({name: getattr(promotion, name) for name in _SHOWN})
    output.print_table(promotion.gates, _GATES)
    if promotion.approvals:
        output.print_table(promotion.approvals, ("time", "principal", "comment"))
    if promotion.entries:
        output.print_table(promotion.entries, _ENTRIES)
