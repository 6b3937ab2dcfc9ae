"""What every command shares: its options, the session they make, and the classes that put them on each command."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import click

from airspace_client.cli import output

if TYPE_CHECKING:
    from airspace_client import AirspaceClient

TABLE = "table"
JSON = "json"

F = TypeVar("F", bound=Callable[..., object])


@dataclass
class Session:
    """One run of the command line: which client file, and for whom the output is."""

    config: str | None = None
    output: str = TABLE

    def connect(self) -> "AirspaceClient":
        """Return a client; to be used in a `with` statement. Raises ConfigError."""
        from airspace_client import AirspaceClient  # brings gRPC, which takes a while

        return AirspaceClient.from_config(self.config)

    @property
    def wants_json(self) -> bool:
        """Whether programs will read the output."""
        return self.output == JSON

    @property
    def live(self) -> bool:
        """Whether a person looks on as the output appears."""
        return not self.wants_json and sys.stdout.isatty()

    def show(self, value: Any) -> None:
        """Print one thing."""
        if self.wants_json:
            click.echo(output.json_document(value))
        else:
            output.print_fields(value)

    def show_all(self, values: Iterable[object], columns: tuple[str, ...], limit: int | None = None) -> None:
        """Print things, one a row; as JSON, one array with all that they hold."""
        shown = list(islice(values, limit))
        if self.wants_json:
            click.echo(output.json_document(shown))
        else:
            output.print_table(shown, columns)


pass_session = click.make_pass_decorator(Session)


def _set_config(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.ensure_object(Session).config = value


def _set_output(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.ensure_object(Session).output = value


def session_options() -> list[click.Parameter]:
    """Return --config and --output, which may stand before or after the command."""
    return [
        click.Option(
            ["--config"],
            metavar="PATH",
            type=click.Path(dir_okay=False),
            expose_value=False,
            callback=_set_config,
            help="The client file, as pyflyte and flytectl read it.",
        ),
        click.Option(
            ["-o", "--output"],
            type=click.Choice([TABLE, JSON]),
            expose_value=False,
            callback=_set_output,
            help="For people (table, the default) or programs (json).",
        ),
    ]


class Command(click.Command):
    """A command that takes the session's options."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(session_options())


class Group(click.Group):
    """A group of such commands."""

    command_class = Command


def scoped(command: F) -> F:
    """Add -p and -d, which say where."""
    command = click.option("-d", "--domain", required=True, metavar="DOMAIN", help="The domain.")(command)
    return click.option("-p", "--project", required=True, metavar="PROJECT", help="The project.")(command)


def limited(command: F) -> F:
    """Add --limit."""
    return click.option("--limit", type=click.IntRange(min=1), help="At most this many; all by default.")(command)


def labelled(command: F) -> F:
    """Add --label, which gives `labels` as a dict."""
    return click.option(
        "--label", "labels", multiple=True, callback=_pairs, metavar="KEY=VALUE", help="A label; may be repeated."
    )(command)


def _pairs(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = [value.partition("=") for value in values]
    for value, (key, equals, _rest) in zip(values, pairs, strict=True):
        if not key or not equals:
            raise click.BadParameter(f"{value!r} is not KEY=VALUE")
    return {key: rest for key, _equals, rest in pairs}
