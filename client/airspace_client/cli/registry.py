"""`airspace tasks`, `airspace workflows` and `airspace launch-plans`."""

import click

from airspace_client.cli import output
from airspace_client.cli.session import Group, Session, limited, pass_session, scoped


@click.group(cls=Group)
def tasks() -> None:
    """See registered versions of tasks."""


@tasks.command("list")
@scoped
@click.option("--name", default="", help="Only versions of this task.")
@limited
@pass_session
def list_tasks(session: Session, project: str, domain: str, name: str, limit: int | None) -> None:
    """List task versions, newest first."""
    with session.connect() as client:
        found = client.tasks.list(project, domain, name=name)
        session.show_all(found, ("name", "version", "type", "create_time"), limit)


@tasks.command("get")
@scoped
@click.argument("name")
@click.option("--version", required=True, help="The version.")
@pass_session
def get_task(session: Session, project: str, domain: str, name: str, version: str) -> None:
    """Show a task version."""
    with session.connect() as client:
        session.show(client.tasks.get(project, domain, name, version))


@click.group(cls=Group)
def workflows() -> None:
    """See registered versions of workflows."""


@workflows.command("list")
@scoped
@click.option("--name", default="", help="Only versions of this workflow.")
@limited
@pass_session
def list_workflows(session: Session, project: str, domain: str, name: str, limit: int | None) -> None:
    """List workflow versions, newest first."""
    with session.connect() as client:
        found = client.workflows.list(project, domain, name=name)
        session.show_all(found, ("name", "version", "create_time"), limit)


@workflows.command("get")
@scoped
@click.argument("name")
@click.option("--version", required=True, help="The version.")
@pass_session
def get_workflow(session: Session, project: str, domain: str, name: str, version: str) -> None:
    """Show a workflow version."""
    with session.connect() as client:
        session.show(client.workflows.get(project, domain, name, version))


@click.group("launch-plans", cls=Group)
def launch_plans() -> None:
    """See registered versions of launch plans, and say which is active."""


@launch_plans.command("list")
@scoped
@click.option("--name", default="", help="Only versions of this launch plan.")
@click.option("--active", is_flag=True, help="Only active versions.")
@limited
@pass_session
def list_launch_plans(session: Session, project: str, domain: str, name: str, active: bool, limit: int | None) -> None:
    """List launch plan versions, newest first."""
    with session.connect() as client:
        found = client.launch_plans.list(project, domain, name=name, active_only=active)
        columns = ("name", "version", "state", "schedule", "workflow", "workflow_version", "create_time")
        session.show_all(found, columns, limit)


@launch_plans.command("get")
@scoped
@click.argument("name")
@click.option("--version", help="The version; the active one by default.")
@pass_session
def get_launch_plan(session: Session, project: str, domain: str, name: str, version: str | None) -> None:
    """Show a launch plan version."""
    with session.connect() as client:
        if version is None:
            session.show(client.launch_plans.get_active(project, domain, name))
        else:
            session.show(client.launch_plans.get(project, domain, name, version))


@launch_plans.command("activate")
@scoped
@click.argument("name")
@click.option("--version", required=True, help="The version to activate.")
@pass_session
def activate_launch_plan(session: Session, project: str, domain: str, name: str, version: str) -> None:
    """Make a version the active one, in place of the one before it."""
    with session.connect() as client:
        session.show(client.launch_plans.activate(project, domain, name, version))


@launch_plans.command("deactivate")
@scoped
@click.argument("name")
@click.option("--version", help="The version; the active one by default.")
@pass_session
def deactivate_launch_plan(session: Session, project: str, domain: str, name: str, version: str | None) -> None:
    """Make a version inactive; nothing of that name is active then."""
    with session.connect() as client:
        version = version or client.launch_plans.get_active(project, domain, name).version
        session.show(client.launch_plans.deactivate(project, domain, name, version))


@launch_plans.command("rollback")
@scoped
@click.argument("name")
@pass_session
def roll_launch_plan_back(session: Session, project: str, domain: str, name: str) -> None:
    """Make the version active that was so before."""
    with session.connect() as client:
        session.show(client.launch_plans.rollback(project, domain, name))


@launch_plans.command("ticks")
@scoped
@click.argument("name")
@limited
@pass_session
def show_ticks(session: Session, project: str, domain: str, name: str, limit: int | None) -> None:
    """Show what became of the ticks of the schedules of NAME, newest first."""
    with session.connect() as client:
        columns = ("due_time", "last_due_time", "version", "outcome", "execution", "reason")
        session.show_all(client.launch_plans.ticks(project, domain, name), columns, limit)


@launch_plans.command("next")
@scoped
@click.argument("name")
@click.option("--version", required=True, help="The version.")
@click.option("--count", type=click.IntRange(1, 100), default=10, show_default=True, help="How many ticks.")
@pass_session
def show_next_ticks(session: Session, project: str, domain: str, name: str, version: str, count: int) -> None:
    """Show when the schedule of a version would fire next, active or not."""
    with session.connect() as client:
        ticks = client.launch_plans.next_ticks(project, domain, name, version, count=count)
    if session.wants_json:
        session.show(ticks)
    else:
        output.print_cells([[output.cell(tick)] for tick in ticks], ("next",))


@launch_plans.command("history")
@scoped
@click.argument("name")
@pass_session
def show_history(session: Session, project: str, domain: str, name: str) -> None:
    """Show which version was active when, and who did that."""
    with session.connect() as client:
        session.show_all(
            client.launch_plans.activations(project, domain, name), ("time", "version", "cause", "principal")
        )
