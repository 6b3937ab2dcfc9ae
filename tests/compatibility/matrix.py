"""Drives a real server with every flytekit that the matrix has, and writes docs/compatibility.md.

`make compatibility` makes the environments and runs it. What it writes has no dates and no generated names, so that a
diff tells what has changed.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from e2e_clients import Account, create_project
from e2e_server import BIN, Server, clean_environment
from outcomes import WORKS, Outcome

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DOCUMENT = ROOT / "docs" / "compatibility.md"
OLDER = ("1.15", "1.14", "1.13")
SECONDS = 400

INTRODUCTION = """# Compatibility

Written by `make compatibility`, which gives every command to each client, against one real server, as an account that
may do everything. The newest flytekit is checked in every run of the tests as well. The commands are those of pyflyte,
FlyteRemote and the client below it that call a server; tasks run with the worker's own flytekit, the newest here.

`works` means that the command did what it does, with its effect looked at. A letter stands for a note below. `-` means
that the client has no such command. Notes that begin with AttributeError or TypeError, or say that there is no such
option, are the client's own: it lacks what the newest one has, and the server was not asked.
"""


def drive(server: Server, python: Path, project: str, folder: Path) -> Sequence[Outcome]:
    """Give every command to the flytekit of a Python, in a project of its own, and return what became of each."""
    create_project(Account(server, "admin"), project)
    source = folder / project
    shutil.copytree(HERE.parent / "e2e" / "flows", source / "flows", ignore=shutil.ignore_patterns("__pycache__"))
    shared = server.data / "artifacts" / project / "development"  # where its tasks may read
    shared.mkdir(parents=True, exist_ok=True)
    command = [
        python,
        "-W",
        "ignore",
        HERE / "flytekit_client.py",
        server.client_file("admin"),
        project,
        source,
        shared,
    ]
    ran = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=SECONDS, check=False)
    if ran.returncode:
        raise RuntimeError(ran.stderr)
    return [Outcome(**json.loads(line)) for line in ran.stdout.splitlines()]


def document(columns: dict[str, Sequence[Outcome]]) -> str:
    """Render the outcomes by client, whose commands are the same ones in the same order."""
    notes: dict[str, str] = {}
    lines = []
    part = ""
    for row in zip(*columns.values(), strict=True):
        if row[0].part != part:
            part = row[0].part
            lines += ["", f"## {part}", "", f"| command | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
        lines.append(f"| {row[0].command} | {' | '.join(cell(outcome, notes) for outcome in row)} |")
    lines += ["", "## Notes", "", *(f"- {letter}: {said}" for said, letter in notes.items())]
    return INTRODUCTION + "\n".join(lines) + "\n"


def cell(outcome: Outcome, notes: dict[str, str]) -> str:
    """Return what a cell says, with the letter of its note; a new note is added to `notes`."""
    if not outcome.said:
        return outcome.verdict if outcome.verdict == WORKS else "-"
    letter = notes.setdefault(outcome.said, chr(ord("a") + len(notes)))
    return f"{outcome.verdict} ({letter})"


def column(client: str, text: str) -> dict[tuple[str, str], str]:
    """Read what a document says of a client: by part and command the cell, with its note in the place of its letter."""
    notes = dict(line[2:].split(": ", 1) for line in text.splitlines() if line.startswith("- "))
    said, part, place = {}, "", 0
    for line in text.splitlines():
        cells = [each.strip() for each in line.strip("|").split("|")]
        if line.startswith("## "):
            part = line[3:]
        elif line.startswith("| command"):
            place = cells.index(client)
        elif line.startswith("| "):
            verdict, _, letter = cells[place].partition(" (")
            said[part, cells[0]] = f"{verdict}: {notes[letter[:-1]]}" if letter else verdict
    return said


def newest() -> str:
    """Name the flytekit of this environment."""
    return f"flytekit {version('flytekit')}"


def main() -> None:
    """Write the matrix."""
    columns = {}
    with tempfile.TemporaryDirectory(prefix="compatibility") as made:
        folder = Path(made)
        folder.chmod(0o755)  # as root, the server runs tasks as users of their own, who must get in
        server = Server(folder / "data")
        try:
            columns[newest()] = drive(server, BIN / "python", "fk-1", folder)
            for minor in OLDER:
                python = ROOT / ".venv-clients" / minor / "bin" / "python"
                asked = [python, "-c", "from importlib.metadata import version; print(version('flytekit'))"]
                name = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
                columns[f"flytekit {name}"] = drive(server, python, f"fk-{minor.replace('.', '-')}", folder)
        finally:
            code = server.stop()
    DOCUMENT.write_text(document(columns))
    sys.exit(code)


if __name__ == "__main__":
    main()
