"""The story of `make demo`, whole."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from e2e_server import clean_environment

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"
SECONDS = 600


@pytest.mark.timeout(SECONDS + 30)
def test_the_demo_does_what_each_of_its_steps_says(tmp_path):
    told = subprocess.run(
        [sys.executable, DEMO],
        cwd=tmp_path,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert told.returncode == 0, told.stdout
    assert re.findall(r"^Step (\d)\.", told.stdout, re.MULTILINE) == list("123456788")
    refused = {"artifact.write", "execution.launch", "registry.view", "launchplan.activate", "execution.view"}
    assert set(re.findall(r"PERMISSION_DENIED: this needs ([\w.]+) in", told.stdout)) == refused
    assert list(tmp_path.iterdir()) == []
