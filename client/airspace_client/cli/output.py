"""Values as text: JSON for programs, tables for people.

The JSON is the contract of the command line: keys are the field names of `airspace_client`'s values, times are RFC 3339
in UTC, enums are their names, and a message that only Flyte knows is {"type_url", "value"} with the value in base64.
"""

import base64
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from airspace_client import AirspaceError, ExecutionError

if TYPE_CHECKING:
    from rich.console import Console

UNBOUNDED: Final = 100_000
"""Columns of an output that is no terminal: nothing is cut or wrapped."""


def rfc3339(moment: datetime, timespec: str = "auto") -> str:
    """Return a time as RFC 3339 in UTC."""
    return moment.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def plain(value: Any) -> Any:
    """Return a value as what JSON has."""
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "type_url"):
        return {"type_url": value.type_url, "value": base64.b64encode(value.value).decode()}
    return value


def json_document(value: object) -> str:
    """Return one JSON document over several lines."""
    return json.dumps(plain(value), indent=2)


def json_line(value: object) -> str:
    """Return one JSON document in one line."""
    return json.dumps(plain(value))


def error_document(error: AirspaceError) -> dict[str, object]:
    """Return an error as what JSON has."""
    return {
        "error": {
            "code": error.code,
            "reason": error.reason,
            "message": error.message,
            "field": error.field,
            "metadata": dict(error.metadata),
            "request_id": error.request_id,
        }
    }


def error_text(error: AirspaceError) -> str:
    """Return an error for people: what, then a line for the field and each piece of metadata."""
    facts = dict(sorted(error.metadata.items()))
    if error.field:
        facts = {"field": error.field} | facts
    return printable("\n".join([f"error: {error}", *(f"  {key}: {value}" for key, value in facts.items())]))


def printable(text: str) -> str:
    """Return text without what a terminal would obey: it may come from another tenant's task."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text)


def cell(value: object) -> str:
    """Return a value as it stands in a table."""
    match value:
        case None:
            text = ""
        case bool():
            text = "yes" if value else "no"
        case datetime():
            text = rfc3339(value, "seconds")
        case ExecutionError():
            text = f"{value.code}: {value.message}"
        case Mapping():
            text = ", ".join(f"{key}={cell(item)}" for key, item in sorted(value.items()))
        case list() | tuple():
            text = ", ".join(map(cell, value))
        case _:
            text = str(value)
    return printable(text)


def console() -> "Console":
    """Return where tables go: as wide as the terminal, or as they need where there is none."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else UNBOUNDED
    return Console(width=width, markup=False, emoji=False, highlight=False)


def print_table(rows: Iterable[object], columns: Sequence[str]) -> None:
    """Print a table of the attributes `columns`."""
    print_cells([[cell(getattr(row, column)) for column in columns] for row in rows], columns)


def print_cells(rows: Iterable[Sequence[str]], columns: Sequence[str]) -> None:
    """Print a table of texts."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column.upper().replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console().print(table)


def print_fields(value: Any) -> None:
    """Print a thing, one field a line; empty fields and what only Flyte knows are left out."""
    from rich.table import Table
    from rich.text import Text

    pairs = value.items() if isinstance(value, Mapping) else ((f.name, getattr(value, f.name)) for f in fields(value))
    table = Table.grid(padding=(0, 2))
    for name, item in pairs:
        text = "" if hasattr(item, "type_url") else cell(item)
        if text:
            table.add_row(Text(f"{name.replace('_', ' ')}:"), Text(text, overflow="fold"))
    console().print(table)
