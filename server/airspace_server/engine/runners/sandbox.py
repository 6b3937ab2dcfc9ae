"""What an attempt is shut in with on this machine: which files it sees, and as whom it runs.

It sees, to read: the system's programs and libraries, the Python that it runs with, and the artifacts of its own scope.
To write: its own folders and what it was told to write its data to. It sees no other attempt, no key, no database and
no process but its own (namespaces.py says how).

Where the server runs as root, each scope's tasks run as a user of their own, who owns nothing else on this machine.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from airspace_server.artifacts.local import LocalArtifactStore
from airspace_server.artifacts.store import too_large
from airspace_server.core.errors import ApiError
from airspace_server.core.scope import Scope
from airspace_server.engine.runners import launcher
from airspace_server.engine.runners.namespaces import View

_SYSTEM: Final = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"),
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives"),
    *("/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/services"),
    *("/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/crypto-policies"),
    *("/etc/localtime", "/etc/timezone", "/etc/mime.types", "/etc/fonts"),
)
"""What is everybody's. Not all of /etc: much of it may be for the server's user alone."""
MAX_BORROWED: Final = 1024 * 1024 * 1024
"""Largest artifact that comes along from another project, in bytes: what an upload may have."""
_FIRST_USER: Final = 1 << 30
"""Above the users that systems give out, and below half of what fits: some programs take user ids for signed."""
_PYTHONS_OWN: Final = "import sys; print(*sys.path, sys.prefix, sys.base_prefix, sep='\\n')"
_TRIAL: Final = """
import os
open("written", "x").close()
assert [name for name in os.listdir("/proc") if name.isdigit()] == ["1", str(os.getpid())], "it sees other processes"
"""
_TRIAL_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What the attempts of a server see. `data` is its folder, of which they see what is theirs of the artifacts.

    `processes` is how many processes and threads there may be at a time: of a scope where scopes have users of their
    own, else of an attempt.
    """

    data: Path
    artifacts: LocalArtifactStore
    processes: int = 4096

    def user(self, scope: Scope) -> int | None:
        """Return the user and group of a scope's tasks; None where they run as the server's own.

        Two scopes have the same one once in a billion pairs, and even then see nothing of each other.
        """
        if os.geteuid() != 0:
            return None
        return _FIRST_USER + int.from_bytes(hashlib.sha256(str(scope).encode()).digest()) % _FIRST_USER

    def own(self, scope: Scope, paths: Iterable[Path]) -> None:
        """Give files and folders to the user of a scope's tasks. Raises OSError."""
        user = self.user(scope)
        if user is not None:
            for path in paths:
                os.chown(path, user, user, follow_symlinks=False)

    def view(self, scope: Scope, folder: Path, *, work: Path, read: Iterable[Path], write: Iterable[Path]) -> View:
        """Say what is seen by a command of a scope that has a folder, and starts in one of its folders."""
        return {
            "root": str(folder / "root"),
            "read": _outermost((*_SYSTEM, *_python())),
            "hidden": str(self.data),
            "read_inside": [str(path) for path in (self.artifacts.root(scope), *read)],
            "write": [str(path) for path in write],
            "work": str(work),
            "user": self.user(scope) or os.geteuid(),
            "processes": self.processes,
        }

    def borrowed(
        self, scope: Scope, owner: Scope, words: Sequence[str], registered: Container[str], folder: Path
    ) -> Sequence[str]:
        """Copy what a command line names of the artifacts of its task's owner, and let it name the copies.

        That is the code of a task that another project exports: the scope that runs it sees no other file of its owner.
        Only words that stand so in the registered task count: others are made of inputs, which are the borrower's.
        Raises NOT_FOUND and TOO_LARGE.
        """
        if owner == scope:
            return words
        return [
            self._copy(owner, word, folder / f"borrowed-{place}") if word in registered else word
            for place, word in enumerate(words)
        ]

    def _copy(self, owner: Scope, word: str, folder: Path) -> str:
        try:
            named, path = self.artifacts.locate(word)
        except ApiError:
            return word
        if named != owner:
            return word
        folder.mkdir()
        copy = folder / Path(word).name
        with self.artifacts.open(owner, path) as source, copy.open("xb") as target:
            # A file of the lender's tasks can be of any size, and sparse.
            if os.fstat(source.fileno()).st_size > MAX_BORROWED:
                raise too_large(MAX_BORROWED)
            shutil.copyfileobj(source, target)
        return str(copy)

    def problem(self) -> str | None:
        """Try it out: return why this machine cannot shut tasks in, None if it can."""
        scope = Scope("trial", "development")
        with tempfile.TemporaryDirectory(dir=self.data, prefix=".sandbox-") as name:
            folder, work = Path(name), Path(name) / "work"
            work.mkdir()
            try:
                self.own(scope, [work])
                view = self.view(scope, folder, work=work, read=(), write=[work])
                done = subprocess.run(  # noqa: S603 -- our own arguments
                    launcher.command_line(folder),
                    input=launcher.order([sys.executable, "-I", "-c", _TRIAL], {}, view, 0),
                    capture_output=True,
                    timeout=_TRIAL_SECONDS,
                    check=False,
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                return str(error)
            code = folder / "done"
            if code.is_file() and code.read_text() == "0":
                return None
            said = done.stderr.decode(errors="replace").strip().splitlines()
            return said[-1] if said else "a trial of it ended without a word"


@cache
def _python() -> Sequence[str]:
    """List what the Python of the tasks reads: its prefixes and what is installed for it, also from elsewhere."""
    command = [sys.executable, "-I", "-c", _PYTHONS_OWN]  # isolated: nothing of this process' folder or environment
    said = subprocess.run(command, capture_output=True, text=True, timeout=_TRIAL_SECONDS, check=True)  # noqa: S603 -- our own arguments
    return said.stdout.splitlines()


def _outermost(paths: Iterable[str]) -> list[str]:
    """Keep of the paths those that exist and are in none of the others."""
    there = {Path(path) for path in paths if path and Path(path).exists()}
    return sorted(str(path) for path in there if not there.intersection(path.parents))
