"""`airspace roles`, `bindings`, `service-accounts`, `access`, `whoami` and `login`."""

from datetime import UTC, datetime, timedelta

import click

from airspace_client.cli import output
from airspace_client.cli.exit_codes import ExitCode
from airspace_client.cli.session import Command, Group, Session, limited, pass_session, scoped


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
        columns = ("member", "role", "project", "domain", "creator", "create_time", "expire_time")
        session.show_all(found, columns, limit)


@bindings.command("create")
@click.argument("member")
@click.argument("role")
@click.option("-p", "--project", required=True, help='The project, or "*" for every one.')
@click.option("-d", "--domain", required=True, help='The domain, or "*" for every one.')
@click.option("--hours", type=click.FloatRange(min=0, min_open=True), help="Only for so many hours from now.")
@pass_session
def create_binding(session: Session, member: str, role: str, project: str, domain: str, hours: float | None) -> None:
    """Bind MEMBER (user:ID, group:ID or service-account:ID) to ROLE, for good or for some hours."""
    expires = None if hours is None else datetime.now(UTC) + timedelta(hours=hours)
    with session.connect() as client:
        session.show(client.access.create_binding(member, role, project=project, domain=domain, expires=expires))


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
    """See and change accounts for programs."""


@service_accounts.command("list")
@limited
@pass_session
def list_service_accounts(session: Session, limit: int | None) -> None:
    """List the service accounts, by name."""
    with session.connect() as client:
        found = client.access.list_service_accounts()
        session.show_all(found, ("name", "disabled", "creator", "create_time"), limit)


@service_accounts.command("rotate")
@click.argument("name")
@pass_session
def rotate_service_account_secret(session: Session, name: str) -> None:
    """Print a new secret; the old one and the tokens that it brought are worth nothing from then on."""
    with session.connect() as client:
        session.show(client.access.rotate_service_account_secret(name))


@service_accounts.command("disable")
@click.argument("name")
@pass_session
def disable_service_account(session: Session, name: str) -> None:
    """Shut an account out, with the tokens that it has."""
    with session.connect() as client:
        session.show(client.access.disable_service_account(name))


@service_accounts.command("enable")
@click.argument("name")
@pass_session
def enable_service_account(session: Session, name: str) -> None:
    """Let an account in again, with the secret that it had."""
    with session.connect() as client:
        session.show(client.access.enable_service_account(name))


@service_accounts.command("create")
@click.argument("name")
@pass_session
def create_service_account(session: Session, name: str) -> None:
    """Create a service account and print its secret, which is never shown again."""
    with session.connect() as client:
        session.show(client.access.create_service_account(name))


@click.group("access", cls=Group)
def questions() -> None:
    """Ask who may do what."""


@questions.command("test")
@click.argument("member")
@click.argument("permission")
@scoped
@click.option("--group", "groups", multiple=True, metavar="group:ID", help="A group of the member; may be repeated.")
@click.pass_context
def test_access(
    context: click.Context, member: str, permission: str, project: str, domain: str, groups: tuple[str, ...]
) -> None:
    """Tell whether MEMBER may do PERMISSION there, and by which bindings, or who could grant it.

    Ends with status 1 when it may not.
    """
    session = context.ensure_object(Session)
    with session.connect() as client:
        answer = client.access.test(member, permission, project=project, domain=domain, groups=groups)
    session.show(answer)
    if not answer.allowed:
        context.exit(ExitCode.NOT_SUCCEEDED)


@questions.command("preview")
@click.option(
    "--create", multiple=True, nargs=4, metavar="MEMBER ROLE PROJECT DOMAIN", help="A binding that would be made."
)
@click.option("--remove", multiple=True, nargs=4, metavar="MEMBER ROLE PROJECT DOMAIN", help="One that would be gone.")
@click.option(
    "--days", type=click.IntRange(1, 30), default=7, show_default=True, help="How many days of calls to look at."
)
@pass_session
def preview_policy(
    session: Session,
    create: tuple[tuple[str, str, str, str], ...],
    remove: tuple[tuple[str, str, str, str], ...],
    days: int,
) -> None:
    """Tell which calls of the last days would have been answered otherwise. Nothing is changed."""
    with session.connect() as client:
        found = client.access.preview(create=create, remove=remove, days=days)
    session.show_all(found, ("allowed", "calls", "member", "method", "permission", "project", "domain", "last_hour"))


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
