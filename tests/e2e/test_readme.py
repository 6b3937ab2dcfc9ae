"""What the README says is true: its commands are run as they stand there, against a server started as it says.

Blocks marked `console` and `python` are run, all others are for reading. The first console block is the first terminal:
its last command is the server. All others are one shell, the second terminal, in the README's order. In a console block
a line that begins with "$ " is a command, and every other line is part of what it prints; a command must end with 0
unless what it prints begins with "error:".
"""

import fcntl
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from e2e_server import clean_environment

ROOT = Path(__file__).parents[2]
SECONDS = 600


@dataclass
class Command:
    """A command and lines that it prints, among others."""

    text: str
    prints: list[str] = field(default_factory=list)

    @property
    def fails(self) -> bool:
        return bool(self.prints) and self.prints[0].startswith("error:")


@pytest.mark.timeout(SECONDS + 60)
def test_every_command_of_the_readme_does_what_it_says(tmp_path):
    server, *session = _blocks((ROOT / "README.md").read_text())
    commands = [command for block in session for command in block]
    # As in a fresh clone after `make env`, but what the server and the examples leave behind is not left there.
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "examples").symlink_to(ROOT / "examples")

    with _default_ports(), _first_terminal(server, tmp_path):
        printed = _second_terminal(commands, tmp_path)

    assert len(printed) == len(commands)
    for command, (code, output) in zip(commands, printed, strict=True):
        assert (code != 0) == command.fails, f"$ {command.text}\n{output}"
        for line in command.prints:
            assert line in output, f"$ {command.text}\n{output}"


def test_every_relative_link_of_the_documents_leads_to_a_file():
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    broken = [
        f"{document.name}: {link}"
        for document in documents
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text())
        if not (document.parent / link).exists()
    ]

    assert broken == []


def _blocks(text: str) -> list[list[Command]]:
    """Return the commands of each block that is run."""
    blocks = []
    for language, content in re.findall(r"^```(console|python)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if language == "python":
            blocks.append([Command(f"python - <<'README'\n{content}README")])
            continue
        commands: list[Command] = []
        for line in content.splitlines():
            if line.startswith("$ "):
                commands.append(Command(line.removeprefix("$ ")))
            else:
                commands[-1].prints.append(line.strip())
        blocks.append(commands)
    return blocks


@contextmanager
def _default_ports() -> Iterator[None]:
    """Wait for the ports that the README names: other runs of this test on this machine use them too."""
    with (Path(tempfile.gettempdir()) / "airspace-default-ports.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _first_terminal(commands: list[Command], folder: Path) -> Iterator[None]:
    *before, serve = commands
    script = "\n".join([*(command.text for command in before), f"exec {serve.text}"])
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            ["bash", "-c", script],
            cwd=folder,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        (ready,) = serve.prints
        assert any(ready in line for line in server.stdout), (folder / "server.log").read_text()
        yield
    finally:
        server.send_signal(signal.SIGTERM)
        code = server.wait(timeout=60)
        server.stdout.close()
    assert code == 0


def _second_terminal(commands: list[Command], folder: Path) -> list[tuple[int, str]]:
    """Run commands in one shell, and return what each ended with and printed."""
    mark = f"--{os.urandom(8).hex()}--"
    script = "".join(f'{command.text}\necho "{mark} $?"\n' for command in commands)
    environment = clean_environment(COLUMNS="1000", NO_COLOR="1")
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    parts = re.split(rf"^{mark} (\d+)\n", done.stdout, flags=re.MULTILINE)
    return [(int(code), output) for output, code in zip(parts[:-1:2], parts[1::2], strict=True)]
