"""The script behind `make noisy-neighbours`, with one of its tenants: the whole of it is for machines with time."""

import subprocess
import sys
from pathlib import Path

from e2e_server import clean_environment

SCRIPT = Path(__file__).parents[2] / "examples" / "noisy_neighbours.py"


def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=170,
        check=False,
    )


def test_a_bad_tenant_is_ended_by_the_limit_that_it_is_above_while_production_does_its_work():
    done = ran("--only", "disk_filler")
    # Where the machine cannot shut tasks in, nothing bad is run at all.
    assert (done.returncode, "DISK_EXCEEDED" in done.stdout) == (0, True) or (
        done.returncode == 1 and "cannot shut tasks in" in done.stdout
    ), done.stdout
