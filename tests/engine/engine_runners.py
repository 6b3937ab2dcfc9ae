"""How attempts run on this machine: what holds for one way holds for the other."""

import tempfile
from pathlib import Path

from airspace_server.artifacts.local import LocalArtifactStore
from airspace_server.engine.runners.sandbox import Sandbox


def _can_shut_in() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        return Sandbox(Path(folder), LocalArtifactStore(Path(folder) / "artifacts")).problem() is None


RUNNERS = ["free", "shut in"] if _can_shut_in() else ["free"]
"""Where the machine cannot shut tasks in, a server says so when it starts (tests/deployment)."""
