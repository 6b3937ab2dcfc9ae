"""The log's lines are written many at a time: none is lost, none is late, and none stops the others."""

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import TextIO

import pytest

from airspace_server.observability import Batches, JsonLines

_WAIT = 10.0


@pytest.fixture
def pipe() -> Iterator[tuple[TextIO, TextIO]]:
    reading, writing = os.pipe()
    with os.fdopen(reading) as reader, os.fdopen(writing, "w") as writer:
        yield reader, writer


@pytest.fixture
def log(pipe: tuple[TextIO, TextIO]) -> Iterator[logging.Logger]:
    logger = logging.Logger("test.lines", logging.INFO)
    handler = Batches(pipe[1])
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    yield logger
    handler.close()


def test_a_line_is_written_without_a_further_one(log: logging.Logger, pipe: tuple[TextIO, TextIO]) -> None:
    log.info("alone")
    assert json.loads(pipe[0].readline())["message"] == "alone"


def test_no_line_of_many_threads_is_lost_and_each_threads_lines_stay_in_order(
    log: logging.Logger, pipe: tuple[TextIO, TextIO]
) -> None:
    def write(thread: int) -> None:
        for place in range(2_000):
            log.info("line", extra={"airspace": {"thread": thread, "place": place}})

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    seen: dict[int, list[int]] = {number: [] for number in range(4)}
    for _ in range(8_000):
        line = json.loads(pipe[0].readline())
        seen[line["thread"]].append(line["place"])
    for thread in threads:
        thread.join()
    assert all(places == list(range(2_000)) for places in seen.values())


def test_a_line_that_cannot_be_written_down_does_not_take_others_with_it(
    log: logging.Logger, pipe: tuple[TextIO, TextIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    log.info("before")
    log.info("no place for %s %s", "this")
    log.warning("after")
    assert [json.loads(pipe[0].readline())["message"] for _ in range(2)] == ["before", "after"]


@pytest.mark.parametrize("end", ["pass", "raise SystemExit(3)", "raise RuntimeError"])
def test_the_last_lines_of_a_process_are_written_when_it_ends(end: str) -> None:
    begin = "import logging; from airspace_server import observability; observability.start('t'); logging.info('last')"
    ended = subprocess.run(
        [sys.executable, "-c", f"{begin}; {end}"], capture_output=True, text=True, timeout=60, check=False
    )
    assert json.loads(ended.stderr.splitlines()[-1])["message"] == "last"
