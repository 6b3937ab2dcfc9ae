"""Both wings over a real database: executions need what is registered."""

import sys
from pathlib import Path

sys.path.extend(str(Path(__file__).parents[1] / part) for part in ("flyte", "admin", "deployment"))

from wing_fixtures import database, doors, wing_database

__all__ = ["database", "doors", "wing_database"]
