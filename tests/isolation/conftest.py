"""What keeps tenants apart, seen across every part of the server."""

import sys
from pathlib import Path

sys.path.extend(
    str(Path(__file__).parents[1] / part) for part in ("flyte", "admin", "execution", "rpc", "e2e", "deployment")
)

from wing_fixtures import database, doors, wing_database

__all__ = ["database", "doors", "wing_database"]
