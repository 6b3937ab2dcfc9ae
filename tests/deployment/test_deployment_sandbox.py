"""What a server says on a machine that cannot shut its tasks in."""

import json
import sys
from pathlib import Path

import pytest
from deployment_processes import BIN, Process

FREE = ("--grpc-port", "0", "--http-port", "0", "--execution-port", "0")
WITHOUT_MEANS = """
import ctypes, os, sys
if os.geteuid() == 0:  # without the capability to make namespaces
    ctypes.CDLL(None).prctl(24, 21, 0, 0, 0)
else:  # among users who may have none of their own
    ctypes.CDLL(None).unshare(0x10000000)
    open("/proc/sys/user/max_user_namespaces", "w").write("0")
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def process(tmp_path: Path) -> Process:
    command = ("-c", WITHOUT_MEANS, str(BIN / "airspace"), "serve", *FREE)
    return Process(command, {"data": str(tmp_path / "data")}, tmp_path / "log", program=Path(sys.executable))


def test_a_server_that_must_shut_tasks_in_does_not_start_where_it_cannot(process: Process):
    process.settings["sandbox"] = "true"
    with pytest.raises(
        AssertionError, match=r"this machine cannot shut tasks in, as the setting sandbox asks: .*unshare"
    ):
        process.start("airspace ready")
    assert process.ended() == 2


def test_a_server_in_development_starts_all_the_same_and_says_that_tasks_are_free(process: Process):
    process.start("airspace ready")
    assert process.stop() == 0
    lines = [json.loads(line) for line in process.log.read_text().splitlines() if line.startswith("{")]
    warning = next(line for line in lines if "tasks are not shut in" in line["message"])
    assert "unshare" in json.dumps(warning)
