"""Stands in for flytekit's pyflyte-execute, which takes a second to start: the same arguments, and what ACT says.

It copies its inputs to its outputs, unless ACT is another act. LOG is a file that each start and end is added to, and
each start while another process still runs the same task of the same execution.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ATTEMPT = os.environ["FLYTE_ATTEMPT_NUMBER"]
ESCAPE = """
import os, sys, time
if os.fork():
    os._exit(0)
with open(sys.argv[1] + ".new", "w") as file:
    file.write(str(os.getpid()))
os.rename(file.name, sys.argv[1])  # never there without its words
time.sleep(600)
"""


def option(name):
    return sys.argv[sys.argv.index(name) + 1]


def log(what):
    if "LOG" in os.environ:
        with Path(os.environ["LOG"]).open("a") as file:
            file.write(f"{what} {sys.argv[-1]} {ATTEMPT}\n")


def wait_for(path):
    while not Path(path).exists():
        time.sleep(0.01)


def output(name, data):
    Path(option("--output-prefix"), name).write_bytes(data)


def escape():
    """Leave a process behind that has left session, group and environment, and whose parent has ended."""
    command = [sys.executable, "-S", "-c", ESCAPE, os.environ["ESCAPED"]]
    subprocess.run(command, env={}, start_new_session=True, check=True)
    wait_for(os.environ["ESCAPED"])


def alone():
    """Tell whether no other process runs this; the lock goes with the process, however it ends."""
    path = f"{os.environ['LOG']}.{os.environ['FLYTE_INTERNAL_EXECUTION_ID']}.{sys.argv[-1]}"
    lock = os.open(path, os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


if "LOG" in os.environ and not alone():
    log("overlap")
log("start")
act = os.environ.get("ACT", "copy")
if act == "first-waits":
    act = "wait" if ATTEMPT == "0" else "copy"
if act == "fail":
    output("error.pb", bytes.fromhex(os.environ["ERROR"]))
elif act == "exit":
    print("the runway is closed", file=sys.stderr)
    sys.exit(3)
elif act == "die":
    os.kill(os.getpid(), signal.SIGSEGV)
elif act == "dynamic":
    output("futures.pb", b"")
elif act == "write":
    output("outputs.pb", bytes.fromhex(os.environ["OUT"]))
elif act == "pipe":
    os.mkfifo(Path(option("--output-prefix"), "outputs.pb"))
elif act != "nothing":
    if act in ("escape", "escape-and-wait"):
        escape()
    if act == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if act in ("wait", "escape-and-wait", "stubborn"):
        log("ready")
        wait_for(os.environ.get("GATE", "/never"))
    if act == "exec":
        exec(os.environ["CODE"])
    if act == "environ":
        seen = {"env": dict(os.environ), "argv": sys.argv, "cwd": str(Path.cwd())}
        Path(os.environ["SEEN"]).write_text(json.dumps(seen))
    output("outputs.pb", Path(option("--inputs")).read_bytes())
log("end")
