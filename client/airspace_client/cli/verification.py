"""`airspace verify-isolation`."""

import click

from airspace_client.cli import output
from airspace_client.cli.exit_codes import ExitCode
from airspace_client.cli.session import Command, Session


@click.command("verify-isolation", cls=Command)
@click.pass_context
def verify_isolation(context: click.Context) -> None:
    """Ask a running deployment everything that it must refuse, with the client file of an administrator.

    It makes two projects and accounts of every role, calls every RPC as each of them about places where they may and
    may not, and compares the answers with the published rules. Then it archives the projects and disables the accounts:
    neither can be deleted. Ends with status 1 when anything is not as it must be.
    """
    from airspace_client import AirspaceClient
    from airspace_client._auth import ClientCredentials
    from airspace_client._channel import open_channel
    from airspace_client._config import find_config, read_config
    from airspace_client.isolation.verify import Verification

    session = context.ensure_object(Session)
    config = read_config(find_config(session.config))
    if not isinstance(config.credentials, ClientCredentials):
        raise click.UsageError("it makes service accounts, so it needs a client file with authType ClientSecret")
    tls = False if config.tls is None else config.tls
    with (
        AirspaceClient.connect(config.target, credentials=config.credentials, tls=tls) as admin,
        open_channel(config.target, tls) as channel,
    ):
        report = Verification(admin, channel, config.credentials).run()
    if session.wants_json:
        session.show(report)
    else:
        counts = [(each.name, str(each.cells), str(len(each.faults))) for each in report.checks]
        output.print_cells(counts, ("check", "cells", "faults"))
        times = [(each.rpc, f"{each.there:.2f}", f"{each.missing:.2f}") for each in report.timings]
        output.print_cells(times, ("median ms of refusals", "about what is there", "about what is not"))
        if report.faults:
            output.print_table(report.faults, ("check", "rpc", "account", "place", "found"))
    if report.faults:
        context.exit(ExitCode.NOT_SUCCEEDED)
