import os
import pty
import subprocess
import sys
from pathlib import Path

from client_samples import D, P, transition
from client_servers import ScriptedServer
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from airspace_client import _wire
from airspace_client.cli.output import printable
from airspace_client.cli.watching import Progress, parent_of


def shown(*responses) -> list[str]:
    progress = Progress("run-1")
    for response in responses:
        progress.apply(_wire.transition(response))
    console = Console(width=100, force_terminal=False)
    with console.capture() as capture:
        console.print(progress.tree())
    return [line.rstrip() for line in capture.get().splitlines()]


def test_nodes_of_sub_workflows_stand_under_the_nodes_that_run_them() -> None:
    assert shown(
        transition(1, "RUNNING"),
        transition(2, "RUNNING", node="n1"),
        transition(3, "SUCCEEDED", node="n1-n0", attempt=2),
        transition(4, "QUEUED", node="n10"),
        transition(5, "FAILED", node="n1-n0-n2", error=True),
    ) == [
        "run-1  RUNNING",
        "├── n1  RUNNING",
        "│   └── n1-n0  SUCCEEDED  attempt 2",
        "│       └── n1-n0-n2  FAILED",
        "│           USER:ValueError: bad rate",
        "└── n10  QUEUED",
    ]


def test_before_the_first_transition_there_is_only_the_name() -> None:
    assert shown() == ["run-1"]


IDS = st.text("n01-/.", min_size=1, max_size=8)


@given(IDS, st.lists(IDS))
def test_a_parent_is_the_longest_id_before_a_separator(node_id: str, known: list[str]) -> None:
    possible = {node_id[:end] for end in range(1, len(node_id)) if not node_id[end].isalnum()} & set(known)
    assert parent_of(node_id, known) == max(possible, key=len, default=None)


@given(st.text())
def test_printable_text_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    safe = printable(text)
    assert len(safe) == len(text)
    assert all(char.isprintable() or char in "\n\t" for char in safe)


def test_at_a_terminal_the_tree_is_alive(server: ScriptedServer, tmp_path: Path) -> None:
    server.script(
        "WatchExecution",
        [transition(1, "RUNNING"), transition(2, "SUCCEEDED", node="n0"), transition(3, "SUCCEEDED")],
    )
    config = tmp_path / "client.yaml"
    config.write_text(
        f"admin: {{endpoint: '{server.target}', insecure: true, authType: ExternalCommand, command: [echo, t]}}"
    )
    program = "from airspace_client.cli.main import main; main()"
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", program, "--config", str(config), "executions", "watch", "-p", P, "-d", D, "run-1"],
        stdout=follower,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "80"},
    )
    os.close(follower)
    seen = b""
    while True:
        try:
            chunk = os.read(leader, 4096)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        seen += chunk
    os.close(leader)
    assert process.wait(30) == 0
    assert b"\x1b[" in seen  # it draws over what it has drawn
    assert "└── n0".encode() in seen
