"""`airspace settings`."""

from dataclasses import asdict, replace
from datetime import UTC, datetime

import click

from airspace_client import (
    EmailTarget,
    Freeze,
    Gates,
    NotificationEvent,
    NotificationRule,
    Notifications,
    Quotas,
    RunAs,
    SlackTarget,
    WebhookTarget,
)
from airspace_client.cli.session import Group, Session, pass_session, scoped


@click.group(cls=Group)
def settings() -> None:
    """See and change what holds for projects and domains; "*" stands for every one of them."""


@settings.command("show")
@scoped
@pass_session
def show_settings(session: Session, project: str, domain: str) -> None:
    """Show what holds there, where it is set, and what is set for exactly that."""
    with session.connect() as client:
        session.show(client.settings.get(project=project, domain=domain))


@settings.command("run-as")
@scoped
@click.option("--service-account", "service_accounts", multiple=True, metavar="NAME", help="May be repeated.")
@click.option("--iam-role", "iam_roles", multiple=True, metavar="ARN", help="May be repeated.")
@click.option("--default-service-account", default="", metavar="NAME", help="For executions that name none.")
@click.option("--default-iam-role", default="", metavar="ARN", help="For executions that name none.")
@click.option("--inherit", is_flag=True, help="Take away what is set there, so that what is above holds.")
@pass_session
def set_run_as(
    session: Session,
    project: str,
    domain: str,
    service_accounts: tuple[str, ...],
    iam_roles: tuple[str, ...],
    default_service_account: str,
    default_iam_role: str,
    inherit: bool,
) -> None:
    """Set which Kubernetes service accounts and IAM roles may be named there; without any, none may."""
    named = RunAs(service_accounts, iam_roles, default_service_account, default_iam_role)
    if inherit and named != RunAs():
        raise click.UsageError("--inherit takes away what is set; it goes with no other option")
    with session.connect() as client:
        client.settings.set_run_as(None if inherit else named, project=project, domain=domain)
        session.show(client.settings.get(project=project, domain=domain))


_GATES = ("successes", "within_hours", "soak_hours", "approvals", "closed")
_MOMENT = click.DateTime(("%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"))


@settings.command("gates")
@scoped
@click.option("--successes", type=click.IntRange(0, 1000), metavar="N", help="Executions that succeeded.")
@click.option("--within-hours", type=click.IntRange(0, 10_000), metavar="N", help="Only the latest.")
@click.option("--soak-hours", type=click.IntRange(0, 10_000), metavar="N", help="Registered for so long.")
@click.option("--approvals", type=click.IntRange(0, 10), metavar="N", help="People who agree.")
@click.option("--closed/--open", default=None, help="Take nothing but promotions, or registrations too.")
@click.option(
    "--freeze",
    "freezes",
    multiple=True,
    nargs=3,
    type=(_MOMENT, _MOMENT, str),
    metavar="START END REASON",
    help="Promote nothing then, in UTC; may be repeated, and takes the place of the freezes that are set there.",
)
@click.option("--no-freezes", is_flag=True, help="Take away the freezes that are set there.")
@click.option("--inherit", is_flag=True, help="Take away all that is set there, so that what is above holds.")
@pass_session
def set_gates(
    session: Session,
    project: str,
    domain: str,
    successes: int | None,
    within_hours: int | None,
    soak_hours: int | None,
    approvals: int | None,
    closed: bool | None,
    freezes: tuple[tuple[datetime, datetime, str], ...],
    no_freezes: bool,
    inherit: bool,
) -> None:
    """Set what is asked of versions that are promoted there. What is not given keeps what is set there."""
    frozen = tuple(Freeze(start.replace(tzinfo=UTC), end.replace(tzinfo=UTC), why) for start, end, why in freezes)
    given = Gates(successes, within_hours, soak_hours, approvals, closed, frozen)
    if inherit and (no_freezes or given != Gates()):
        raise click.UsageError("--inherit takes away what is set; it goes with no other option")
    if not inherit and not no_freezes and given == Gates():
        raise click.UsageError("give at least one gate, or --inherit")
    if no_freezes and frozen:
        raise click.UsageError("--no-freezes and --freeze contradict each other")
    with session.connect() as client:
        own = client.settings.get(project=project, domain=domain).own_gates or Gates()
        changed = {name: value for name in _GATES if (value := getattr(given, name)) is not None}
        kept = frozen if frozen or no_freezes else own.freezes
        asked = None if inherit else replace(own, **changed, freezes=kept)
        client.settings.set_gates(asked, project=project, domain=domain)
        session.show(client.settings.get(project=project, domain=domain))


_KNOWN = [event for event in NotificationEvent if event is not NotificationEvent.UNKNOWN]


class _Events(click.ParamType[tuple[NotificationEvent, ...]]):
    """Names of events with commas, or "all"."""

    name = "events"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[NotificationEvent, ...]:
        """Return the events; say which there are where one is none."""
        if str(value) == "all":
            return tuple(_KNOWN)
        try:
            events = tuple(NotificationEvent(name.strip().upper().replace("-", "_")) for name in str(value).split(","))
        except ValueError:
            events = (NotificationEvent.UNKNOWN,)
        if NotificationEvent.UNKNOWN in events:
            self.fail(f"{value} must be all, or of {', '.join(_KNOWN)}, with commas", param, ctx)
        return events


_EVENTS = _Events()
_Rules = tuple[tuple[tuple[NotificationEvent, ...], str], ...]


@settings.command("notifications")
@scoped
@click.option("--email", "emails", multiple=True, nargs=2, type=(_EVENTS, str), metavar="EVENTS ADDRESS")
@click.option("--slack", "slacks", multiple=True, nargs=2, type=(_EVENTS, str), metavar="EVENTS SECRET")
@click.option("--webhook", "webhooks", multiple=True, nargs=3, type=(_EVENTS, str, str), metavar="EVENTS URL SECRET")
@click.option("--inherit", is_flag=True, help="Take away what is set there, so that what is above holds.")
@pass_session
def set_notifications(
    session: Session,
    project: str,
    domain: str,
    emails: _Rules,
    slacks: _Rules,
    webhooks: tuple[tuple[tuple[NotificationEvent, ...], str, str], ...],
    inherit: bool,
) -> None:
    """Set all who are told what happens there; without any, nobody is.

    EVENTS are names such as execution-failed,launch-refused or all; a SECRET is the name of a file of the operator.
    Each option may be repeated.
    """
    rules = (
        *(NotificationRule(events, EmailTarget((address,))) for events, address in emails),
        *(NotificationRule(events, SlackTarget(secret)) for events, secret in slacks),
        *(NotificationRule(events, WebhookTarget(url, secret)) for events, url, secret in webhooks),
    )
    if inherit and rules:
        raise click.UsageError("--inherit takes away what is set; it goes with no other option")
    with session.connect() as client:
        client.settings.set_notifications(None if inherit else Notifications(rules), project=project, domain=domain)
        session.show(client.settings.get(project=project, domain=domain))


_LIMIT = click.IntRange(0, 1_000_000)


@settings.command("quotas")
@scoped
@click.option("--executions-running", type=_LIMIT, metavar="N", help="Most that have begun and not ended.")
@click.option("--executions-queued", type=_LIMIT, metavar="N", help="Most that wait to begin.")
@click.option("--launches-per-minute", type=_LIMIT, metavar="N", help="Most launches within any 60 seconds.")
@click.option("--inherit", is_flag=True, help="Take away all that is set there, so that what is above holds.")
@pass_session
def set_quotas(
    session: Session,
    project: str,
    domain: str,
    executions_running: int | None,
    executions_queued: int | None,
    launches_per_minute: int | None,
    inherit: bool,
) -> None:
    """Set how much each project may run in each domain there. Limits that are not given keep what is set there."""
    given = Quotas(executions_running, executions_queued, launches_per_minute)
    if inherit and given != Quotas():
        raise click.UsageError("--inherit takes away what is set; it goes with no other option")
    if not inherit and given == Quotas():
        raise click.UsageError("give at least one limit, or --inherit")
    with session.connect() as client:
        own = Quotas() if inherit else client.settings.get(project=project, domain=domain).own_quotas
        changed = {name: limit for name, limit in asdict(given).items() if limit is not None}
        client.settings.set_quotas(replace(own, **changed), project=project, domain=domain)
        session.show(client.settings.get(project=project, domain=domain))
