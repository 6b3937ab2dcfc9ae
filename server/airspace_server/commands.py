"""The server's commands, which the `airspace` command line finds by their entry points.

Flags stand above environment variables (AIRSPACE_...). What a command needs is imported when it runs: `airspace --help`
loads this module.
"""

import sys
from pathlib import Path
from typing import Any

import click

_DATA = click.option(
    "--data",
    type=click.Path(path_type=Path),
    envvar="AIRSPACE_DATA",
    default=Path("airspace-data"),
    show_default=True,
    help="The folder of everything that the server keeps.",
)
_PORT = click.IntRange(0, 65535)


@click.group(invoke_without_command=True)
@_DATA
@click.option("--grpc-port", type=_PORT, help="Port of the gRPC listener for everything; 0 takes a free one.  [8089]")
@click.option("--http-port", type=_PORT, help="Port of artifacts and the token endpoint; 0 takes a free one.  [8088]")
@click.option("--execution-port", type=_PORT, help="Port of the execution listener.  [a free one; 8090 apart]")
@click.pass_context
def serve(context: click.Context, /, **flags: Any) -> None:
    """Run the server: admin, execution and a worker in one process group.

    Prints `airspace ready grpc=HOST:PORT http=HOST:PORT data=DIR` when every part is healthy. SIGTERM ends it cleanly.
    Everything else is set by environment variables; docs/operating.md lists them.
    """
    context.obj = flags
    if context.invoked_subcommand is None:
        from airspace_server import processes

        _run("airspace", processes.serve, flags)


@serve.command("admin")
@click.pass_obj
def serve_admin(flags: dict[str, Any]) -> None:
    """Run the admin server alone: projects, registry, access, artifacts, and Flyte's one endpoint."""
    from airspace_server import processes

    _run("admin", processes.serve_admin, flags)


@serve.command("execution")
@click.pass_obj
def serve_execution(flags: dict[str, Any]) -> None:
    """Run the execution server alone."""
    from airspace_server import processes

    _run("execution", processes.serve_execution, flags)


@click.command()
@_DATA
@click.option("--slots", type=click.IntRange(1), help="Task attempts run at once.  [the number of cores]")
@click.option("--child", is_flag=True, hidden=True, help="Stop when stdin ends.")
def worker(child: bool, **flags: Any) -> None:
    """Run a worker: it takes executions from the database and runs their tasks on this machine."""
    from functools import partial

    from airspace_server import processes

    _run("worker", partial(processes.work, child=child), flags)


def _run(process: str, main: Any, flags: dict[str, Any]) -> None:
    """Read the settings and run a process; what the operator can mend is one line on stderr and exit code 2."""
    from pydantic import ValidationError
    from sqlalchemy.exc import OperationalError

    from airspace_server import observability
    from airspace_server.access.keys import KeyFileError
    from airspace_server.access.seed import ClientFilesError
    from airspace_server.settings import Settings, SettingsError, StartError
    from airspace_server.storage.migrate import NotMigratedError

    try:
        settings = Settings(**{name: value for name, value in flags.items() if value is not None})
        observability.start(process)
        main(settings)
    except ValidationError as error:
        for problem in error.errors():
            which = "".join(f"setting {part}: " for part in problem["loc"][:1])
            click.echo(f"error: {which}{problem.get('ctx', {}).get('error') or problem['msg']}", err=True)
        sys.exit(2)
    except OperationalError as error:
        why = str(error.orig).partition("\n")[0]
        click.echo(f"error: the database cannot be used: {why}", err=True)
        sys.exit(2)
    except (SettingsError, StartError, KeyFileError, ClientFilesError, NotMigratedError, OSError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
