"""`airspace quota`."""

import click

from airspace_client.cli.session import Group, Session, pass_session, scoped


@click.group(cls=Group)
def quota() -> None:
    """See how much may run; `airspace settings quotas` changes it."""


@quota.command("show")
@scoped
@pass_session
def show_quota(session: Session, project: str, domain: str) -> None:
    """Show each limit there, how much of it is used, and for which project and domain it is set (none: built in)."""
    with session.connect() as client:
        session.show_all(client.executions.quota_usage(project, domain), ("name", "limit", "used", "origin"))
