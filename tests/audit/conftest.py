"""Servers for the tests of the audit: those of the chain's tests."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "rpc"))

from rpc_requests import populate
from rpc_servers import OURS, Airspace, airspace


@pytest.fixture
def audited(database_url: str, tmp_path: Path) -> Iterator[Airspace]:
    """A server with one of everything in ours/development."""
    with airspace(database_url, tmp_path) as built:
        populate(built, OURS)
        yield built
