"""A worker until it is killed: `python engine_worker.py URL FOLDER OWNER SLOTS LEASE_US`.

Its leases last LEASE_US microseconds, so that a test need not wait for those of killed ones.
"""

import sys
import threading
from pathlib import Path

from airspace_server.artifacts.local import LocalArtifactStore
from airspace_server.engine import store, worker
from airspace_server.engine.runners.local import LocalRunner
from airspace_server.engine.worker import Worker
from airspace_server.storage.database import Database

url, folder, owner = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
store.LEASE_US = int(sys.argv[5])
worker.RENEW_SECONDS = store.LEASE_US / 4e6
runner = LocalRunner(folder / "work", folder / "programs")
artifacts = LocalArtifactStore(folder / "artifacts")
Worker(Database(url), artifacts, runner, owner=owner, slots=int(sys.argv[4])).run(threading.Event())
