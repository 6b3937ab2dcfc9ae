"""Load on a server in a process of its own, from a few threads that each wait for their answer, and what it cost."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import psutil

THREADS = 4
"""Calls that are under way at once."""
_CHANNELS = 2
_TIMEOUT = 30.0
_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Cost:
    """What calls cost: CPU time of the server's process in microseconds a call, and calls a second."""

    cpu: float
    rate: float


class Loaded:
    """A server that runs, and the channels to it."""

    def __init__(self, process: psutil.Process, channels: Sequence[grpc.Channel], token: str) -> None:
        self.channel = channels[0]
        self.metadata = (("authorization", f"Bearer {token}"),)
        self._process = process
        self._channels = channels

    def cost(self, method: str, requests: Sequence[bytes]) -> Cost:
        """Send every request once, `THREADS` at a time. Raises what a call raises: only answers count."""
        with ThreadPoolExecutor(THREADS) as threads:
            started, used = time.perf_counter(), self._cpu()
            shares = [
                threads.submit(self._send, self._channels[n % _CHANNELS], method, requests[n::THREADS])
                for n in range(THREADS)
            ]
            for share in shares:
                share.result()
            used, took = self._cpu() - used, time.perf_counter() - started
        return Cost(used * 1e6 / len(requests), len(requests) / took)

    def _send(self, channel: grpc.Channel, method: str, requests: Sequence[bytes]) -> None:
        call: Any = channel.unary_unary(method)
        for request in requests:
            call(request, metadata=self.metadata, timeout=_TIMEOUT)

    def _cpu(self) -> float:
        times = self._process.cpu_times()
        return times.user + times.system


@contextmanager
def loaded(data: Path, database_url: str) -> Iterator[Loaded]:
    """Start bench.server on a database, SQLite in `data` if no URL is given; its log goes to `data`, as files do."""
    data.mkdir()
    command = [sys.executable, "-m", "bench.server", str(data), database_url]
    with ExitStack() as stack:
        log = stack.enter_context((data / "server.log").open("w"))
        process = stack.enter_context(
            subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        )
        # Popen waits on the way out; the end of its stdin, which it closes before, ends the server.
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise RuntimeError(f"the server did not start: {(data / 'server.log').read_text()[-2000:]}")
        said = json.loads(line)
        # Without a pool of its own each channel would share one connection with the others.
        options = [("grpc.use_local_subchannel_pool", 1)]
        channels = [stack.enter_context(grpc.insecure_channel(said["target"], options)) for _ in range(_CHANNELS)]
        yield Loaded(psutil.Process(process.pid), channels, said["token"])
