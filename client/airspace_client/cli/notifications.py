"""`airspace notifications`."""

import click

from airspace_client import DeliveryState
from airspace_client.cli.session import Group, Session, limited, pass_session, scoped

_STATES = [state.value for state in DeliveryState if state is not DeliveryState.UNKNOWN]


@click.group(cls=Group)
def notifications() -> None:
    """See what people and programs were told; `airspace settings notifications` sets who is told what."""


@notifications.command("list")
@scoped
@click.option("--state", "states", type=click.Choice(_STATES), multiple=True, help="May be repeated.")
@limited
@pass_session
def list_deliveries(session: Session, project: str, domain: str, states: tuple[str, ...], limit: int | None) -> None:
    """List the messages about a scope, newest first, with what became of each."""
    with session.connect() as client:
        found = client.notifications.list(project, domain, states=[DeliveryState(state) for state in states])
        columns = ("create_time", "event", "title", "channel", "target", "state", "attempts", "reason", "next_time")
        session.show_all(found, columns, limit)
