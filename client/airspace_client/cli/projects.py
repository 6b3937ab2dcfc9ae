"""`airspace projects` and `airspace domains`."""

import click

from airspace_client.cli.session import Group, Session, labelled, limited, pass_session


@click.group(cls=Group)
def projects() -> None:
    """See and change projects."""


@projects.command("list")
@click.option("--archived", is_flag=True, help="Archived ones too.")
@limited
@pass_session
def list_projects(session: Session, archived: bool, limit: int | None) -> None:
    """List the projects of which you may see anything."""
    with session.connect() as client:
        found = client.projects.list(include_archived=archived)
        session.show_all(found, ("id", "name", "state", "description", "labels"), limit)


@projects.command("get")
@click.argument("project")
@pass_session
def get_project(session: Session, project: str) -> None:
    """Show a project."""
    with session.connect() as client:
        session.show(client.projects.get(project))


@projects.command("create")
@click.argument("project")
@click.option("--name", default="", help="Its name for people; the id by default.")
@click.option("--description", default="", help="What it is for.")
@labelled
@pass_session
def create_project(session: Session, project: str, name: str, description: str, labels: dict[str, str]) -> None:
    """Create a project; its id can never be changed."""
    with session.connect() as client:
        session.show(client.projects.create(project, name=name, description=description, labels=labels))


@projects.command("update")
@click.argument("project")
@click.option("--name", help="Its new name for people.")
@click.option("--description", help="Its new description.")
@labelled
@click.option("--no-labels", is_flag=True, help="Take all labels away.")
@click.option("--etag", default="", help="Only if this is still the project's etag.")
@pass_session
def update_project(
    session: Session,
    project: str,
    name: str | None,
    description: str | None,
    labels: dict[str, str],
    no_labels: bool,
    etag: str,
) -> None:
    """Change a project; the labels given replace all of its labels."""
    if labels and no_labels:
        raise click.UsageError("--label and --no-labels exclude each other")
    if name is None and description is None and not labels and not no_labels:
        raise click.UsageError("nothing to change: give --name, --description, --label or --no-labels")
    with session.connect() as client:
        session.show(
            client.projects.update(
                project,
                name=name,
                description=description,
                labels=labels if labels or no_labels else None,
                etag=etag,
            )
        )


@projects.command("archive")
@click.argument("project")
@pass_session
def archive_project(session: Session, project: str) -> None:
    """Archive a project: it can only be read then. What runs goes on."""
    with session.connect() as client:
        session.show(client.projects.archive(project))


@projects.command("restore")
@click.argument("project")
@pass_session
def restore_project(session: Session, project: str) -> None:
    """Make an archived project active again."""
    with session.connect() as client:
        session.show(client.projects.restore(project))


@click.group(cls=Group)
def domains() -> None:
    """See the stages that versions move through."""


@domains.command("list")
@pass_session
def list_domains(session: Session) -> None:
    """List the domains in the order in which versions move through them."""
    with session.connect() as client:
        session.show_all(client.projects.list_domains(), ("id", "name"))
