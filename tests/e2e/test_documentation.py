"""The documents keep up with the code."""

import re
from pathlib import Path

from airspace_server.core.permissions import BUILT_IN_ROLES
from airspace_server.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"


def test_every_setting_is_documented_and_nothing_else():
    documented = set(re.findall(r"^\| `AIRSPACE_(\w+)` \|", (DOCS / "operating.md").read_text(), re.MULTILINE))

    assert documented == {name.upper() for name in Settings.model_fields} | {"LOG"}


def test_every_built_in_role_is_documented_and_nothing_else():
    documented = set(re.findall(r"^\| `(\w+)` \|", (DOCS / "security.md").read_text(), re.MULTILINE))

    assert documented == set(BUILT_IN_ROLES)


def test_files_that_the_architecture_names_are_there():
    """Paths are named as one says them: below the server's package, or below the repository."""
    text = (DOCS / "architecture.md").read_text()
    roots = (DOCS.parent, DOCS.parent / "server" / "airspace_server")
    named = re.findall(r"`((?:\w+/)+\w*(?:\.py)?|\w+\.py)`", text)

    assert named
    missing = [name for name in named if not any((root / name).exists() for root in roots)]
    # Each wing has its own service.py and flyte.py.
    assert set(missing) <= {"service.py", "flyte.py"}
