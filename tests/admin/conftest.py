"""The admin wing over a real database."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "flyte"))  # real workflows, written with flytekit: flyte_samples.py

from wing_fixtures import database, doors, wing_database

__all__ = ["database", "doors", "wing_database"]
