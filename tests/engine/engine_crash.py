"""A worker that dies: `python engine_crash.py URL FOLDER POINT COUNT` ends itself at the COUNTth passage of POINT."""

import os
import sys
import threading
from pathlib import Path

from airspace_server.artifacts.local import LocalArtifactStore
from airspace_server.engine.runners.local import LocalRunner
from airspace_server.engine.worker import Worker
from airspace_server.storage.database import Database

url, folder, point, count = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
passed = 0


def checkpoint(name: str) -> None:
    global passed
    passed += name == point
    if passed == count:
        os._exit(9)


runner = LocalRunner(folder / "work", folder / "programs")
artifacts = LocalArtifactStore(folder / "artifacts")
Worker(Database(url), artifacts, runner, owner="doomed", slots=2, checkpoint=checkpoint).run(threading.Event())
