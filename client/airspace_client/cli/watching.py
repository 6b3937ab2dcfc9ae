"""How an execution is watched: a tree that changes for people at a terminal, lines for everyone else."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import click

from airspace_client import ExecutionPhase, Transition
from airspace_client.cli import output
from airspace_client.cli.session import Session

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

STYLES: Final = {
    "RUNNING": "cyan",
    "FAILING": "red",
    "ABORTING": "yellow",
    "SUCCEEDED": "green",
    "FAILED": "bold red",
    "TIMED_OUT": "bold red",
    "ABORTED": "yellow",
    "SKIPPED": "dim",
}
"""The colours of the phases; the others have none."""


def watch(session: Session, name: str, transitions: Iterable[Transition]) -> ExecutionPhase:
    """Show transitions as they come, and return the phase in which they leave the execution."""
    phase = ExecutionPhase.UNKNOWN
    with _live(name) if session.live else _lines(session) as show:
        for transition in transitions:
            show(transition)
            if isinstance(transition.phase, ExecutionPhase):
                phase = transition.phase
    return phase


@contextmanager
def _lines(session: Session) -> Iterator[Callable[[Transition], None]]:
    yield lambda transition: click.echo(output.json_line(transition) if session.wants_json else line(transition))


def line(transition: Transition) -> str:
    """Return a transition as one line."""
    words = [
        output.rfc3339(transition.time, "seconds"),
        "execution" if transition.node_id is None else transition.node_id,
        transition.phase,
    ]
    if transition.attempt > 1:
        words.append(f"attempt {transition.attempt}")
    if transition.error is not None:
        words.append(f"{transition.error.code}: {' '.join(transition.error.message.split())}")
    return output.printable("  ".join(words))


@contextmanager
def _live(name: str) -> Iterator[Callable[[Transition], None]]:
    from rich.live import Live

    progress = Progress(name)
    with Live(progress.tree(), console=output.console()) as live:

        def show(transition: Transition) -> None:
            progress.apply(transition)
            live.update(progress.tree())

        yield show


@dataclass
class Progress:
    """What the transitions so far have led to: the last one of the execution and of each node."""

    name: str
    execution: Transition | None = None
    nodes: dict[str, Transition] = field(default_factory=dict)

    def apply(self, transition: Transition) -> None:
        """Take one more transition in."""
        if transition.node_id is None:
            self.execution = transition
        else:
            self.nodes[transition.node_id] = transition

    def tree(self) -> "Tree":
        """Return it as a tree: nodes of sub-workflows under the nodes that run them."""
        from rich.tree import Tree

        root = Tree(_label(self.name, self.execution))
        branches: dict[str, Tree] = {}
        for node_id in sorted(self.nodes, key=len):  # a parent's id is shorter
            parent = parent_of(node_id, branches)
            branches[node_id] = (root if parent is None else branches[parent]).add(_label(node_id, self.nodes[node_id]))
        return root


def parent_of(node_id: str, known: Iterable[str]) -> str | None:
    """Return the node whose sub-workflow a node is in: the longest id in front of its own, at a separator."""
    before = [
        other
        for other in known
        if len(other) < len(node_id) and node_id.startswith(other) and not node_id[len(other)].isalnum()
    ]
    return max(before, key=len, default=None)


def _label(name: str, transition: Transition | None) -> "Text":
    from rich.text import Text

    if transition is None:
        return Text(output.printable(name))
    label = Text.assemble(output.printable(name), "  ", (transition.phase, STYLES.get(transition.phase, "")))
    if transition.attempt > 1:
        label.append(f"  attempt {transition.attempt}")
    if transition.error is not None:
        label.append(output.printable(f"\n{transition.error.code}: {transition.error.message}".rstrip()))
    return label
