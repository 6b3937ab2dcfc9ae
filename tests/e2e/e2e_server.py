"""A real server process: `airspace serve`, as anybody starts it."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

BIN = Path(sys.executable).parent
FREE_PORTS = ("--grpc-port", "0", "--http-port", "0", "--execution-port", "0")
STOP_SECONDS = 60


def clean_environment(**more: str) -> dict[str, str]:
    """Return this process's environment without what configures servers and clients, and with `more`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRSPACE_", "FLYTE"))}
    path = f"{BIN}{os.pathsep}{kept.get('PATH', '')}"
    return {**kept, "PATH": path, "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost", **more}


def eventually(condition: Callable[[], object], seconds: float = 60) -> None:
    """Return when a condition holds; fail after some time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def free_ports(count: int) -> list[int]:
    """Return ports that nobody has now."""
    bound = [socket.socket() for _ in range(count)]
    for one in bound:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in bound]
    for one in bound:
        one.close()
    return ports


SLOTS = str(max(3, os.cpu_count() or 1))
"""A task that waits for what it launched, while another runs beside it, needs three, however few cores there are."""


class Server:
    """A server process on a data folder."""

    def __init__(self, data: Path, *flags: str) -> None:
        self.data = data
        self.log = data.with_suffix(".log")
        self._flags = flags or FREE_PORTS
        self.start()

    def start(self) -> None:
        """Start it and wait until it says that it is ready."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [BIN / "airspace", "serve", "--data", self.data, *self._flags],
                env=clean_environment(AIRSPACE_SLOTS=SLOTS),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        for line in self.process.stdout:
            if ready := re.fullmatch(r"airspace ready grpc=(\S+) http=(\S+) data=(\S+)\n", line):
                self.grpc, self.http = ready[1], ready[2]
                return
        self.stop()
        raise AssertionError(self.log.read_text())

    def stop(self) -> int:
        """Tell it to end, and return its exit code."""
        self.process.terminate()
        code = self.process.wait(timeout=STOP_SECONDS)
        self.process.stdout.close()
        return code

    def worker(self) -> psutil.Process:
        """Return its worker, a process of its own."""
        eventually(self._workers)
        return self._workers()[0]

    def _workers(self) -> Sequence[psutil.Process]:
        found = []
        for child in psutil.Process(self.process.pid).children():
            try:
                if "worker" in child.cmdline():
                    found.append(child)
            except psutil.NoSuchProcess:
                continue
        return found

    def file(self, project: str) -> Path:
        """Name a file that is not there yet, where the tasks of the project's development see it."""
        return self.data / "artifacts" / project / "development" / uuid.uuid4().hex

    def processes(self, execution: str) -> list[psutil.Process]:
        """List the processes of the attempts of an execution."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("FLYTE_INTERNAL_EXECUTION_ID") == execution:
                    found.append(process)
        return found

    def has_printed(self, execution: str, line: str) -> bool:
        """Tell whether a task of an execution has written this line."""
        outputs = (self.data / "work").glob(f"*/*/{execution}/*/*/stdout")
        return any(line in output.read_text().splitlines() for output in outputs)

    def client_file(self, account: str) -> Path:
        return self.data / "clients" / f"{account}.yaml"
