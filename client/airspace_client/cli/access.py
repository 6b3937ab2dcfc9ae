"""`airspace roles`, `bindings`, `service-accounts`, `whoami` and `login`."""

import click

from airspace_client.cli import output
from airspace_client.cli.session import Command, Group, Session, limited, pass_session


@click.group(cls=Group)
def roles() -> None:
    """See and change the named sets of permissions."""


@roles.command("list")
@pass_session
def list_roles(session: Session) -> None:
    """List the roles, built-in ones first."""
    with session.connect() as client:
        session.show_all(client.access.list_roles(), ("name", "built_in", "permissions"))


@roles.command("create")
@click.argument("name")
@click.option(
    "--permission",
    "permissions",
    multiple=True,
    required=True,
    metavar="PERMISSION",
    help='For example "execution.launch"; may be repeated.',
)
@pass_session
def create_role(session: Session, name: str, permissions: tuple[str, ...]) -> None:
    """Create a role of permissions that you hold everywhere yourself."""
    with session.connect() as client:
        session.show(client.access.create_role(name, permissions))


@roles.command("delete")
@click.argument("name")
@pass_session
def delete_role(session: Session, name: str) -> None:
    """Delete a role that no binding uses."""
    with session.connect() as client:
        client.access.delete_role(name)
    session.show({"deleted": name})


@click.group(cls=Group)
def bindings() -> None:
    """See and change who holds which role where."""


@bindings.command("list")
@click.option("--member", default="", help="Only of this member.")
@limited
@pass_session
def list_bindings(session: Session, member: str, limit: int | None) -> None:
    """List the bindings that you may see, by member."""
    with session.connect() as client:
        found = client.access.list_bindings(member=member)
        session.show_all(found, ("member", "role", "project", "domain", "creator", "create_time"), limit)


@bindings.command("create")
@click.argument("member")
@click.argument("role")
@click.option("-p", "--project", required=True, help='The project, or "*" for every one.')
@click.option("-d", "--domain", required=True, help='The domain, or "*" for every one.')
@pass_session
def create_binding(session: Session, member: str, role: str, project: str, domain: str) -> None:
    """Bind MEMBER (user:ID, group:ID or service-account:ID) to ROLE."""
    with session.connect() as client:
        session.show(client.access.create_binding(member, role, project=project, domain=domain))


@bindings.command("delete")
@click.argument("member")
@click.argument("role")
@click.option("-p", "--project", required=True, help='The project, or "*".')
@click.option("-d", "--domain", required=True, help='The domain, or "*".')
@pass_session
def delete_binding(session: Session, member: str, role: str, project: str, domain: str) -> None:
    """Remove a binding, named by what it says."""
    with session.connect() as client:
        client.access.delete_binding(member, role, project=project, domain=domain)
    session.show({"deleted": {"member": member, "role": role, "project": project, "domain": domain}})


@click.group("service-accounts", cls=Group)
def service_accounts() -> None:
    """Create accounts for programs."""


@service_accounts.command("create")
@click.argument("name")
@pass_session
def create_service_account(session: Session, name: str) -> None:
    """Create a service account and print its secret, which is never shown again."""
    with session.connect() as client:
        session.show(client.access.create_service_account(name))


@click.command(cls=Command)
@pass_session
def whoami(session: Session) -> None:
    """Show who you are and what you are bound to."""
    with session.connect() as client:
        identity = client.access.who_am_i()
    if session.wants_json:
        session.show(identity)
        return
    session.show({"principal": identity.principal, "groups": identity.groups})
    output.print_table(identity.bindings, ("role", "project", "domain", "member"))


@click.command(cls=Command)
@pass_session
def login(session: Session) -> None:
    """Check the client file: get a token, and ask the server who you are with it."""
    with session.connect() as client:
        identity = client.access.who_am_i()
        token = None if client.credentials is None else client.credentials.token()
        session.show(
            {
                "server": client.target,
                "principal": identity.principal,
                "groups": identity.groups,
                "token_expires": None if token is None else token.expires,
            }
        )
