"""Artifacts in a folder of this machine, at ROOT/project/domain/path.

Tasks write into their scope's folder, so anything may stand there: a symlink to another scope, a pipe, a folder that
becomes a symlink between two looks. No path below the root is therefore ever given to the kernel as a whole. Every
segment is opened relative to the folder opened before it and never as a symlink: there is no moment between a check
and its use, as there would be with realpath. Links inside the scope are refused as well: nothing promised needs one.
"""

import errno
import hashlib
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import IO, Final

from airspace_server.artifacts.store import check_key, too_large
from airspace_server.core.errors import ApiError, Reason, invalid_field, not_found
from airspace_server.core.scope import Scope

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
# Opening a pipe for reading waits for its writer unless told not to.
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
# What opening a segment says when nothing is there, or a symlink, a socket, or a file in the place of a folder.
_ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO})
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})

# A slash as the kernel understands it, and a project or a domain.
_SLASH: Final = r"(?:/\.?)*/"
_NAME: Final = r"([a-z0-9][a-z0-9-]*)"

_READ_BYTES: Final = 1 << 20
_LEFTOVER_SECONDS: Final = 24 * 3600


class LocalArtifactStore:
    """An ArtifactStore in the folder `root`, which is made if it is missing and must be one file system.

    What is below `root` can be read by whoever gets there; `root` itself lets nobody in but this user.

    Files being written are in ROOT/.incoming, which no scope can be named like, and appear under their key by a hard
    link: a link, unlike a rename, never replaces what another writer put there first. What a crash leaves there is
    removed by a later start, once it is a day old and so no other process' running upload.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._root = root.resolve()
        self._below = re.compile(f"{_SLASH}".join((re.escape(str(self._root)), _NAME, _NAME)))
        self._incoming = self._root / ".incoming"
        self._incoming.mkdir(mode=0o700, exist_ok=True)
        oldest = time.time() - _LEFTOVER_SECONDS
        for leftover in self._incoming.iterdir():
            with suppress(FileNotFoundError):  # another process may be done with it, or cleaning too
                if leftover.stat().st_mtime < oldest:
                    leftover.unlink()

    def native_url(self, scope: Scope, path: str) -> str:
        """Return the absolute path: flytekit reads files and folders of this machine by nothing else."""
        return "/".join((str(self._root), *check_key(scope, path)))

    def locate(self, native_url: str) -> tuple[Scope, str]:
        """Return the key that has this absolute path, without touching the disk."""
        root = f"{self._root}/"
        project, domain, path, *_ = (*native_url.removeprefix(root).split("/", 2), "", "", "")
        scope = Scope(project, domain)
        try:
            check_key(scope, path)
            inside = native_url.startswith(root)
        except ApiError:
            inside = False
        if not inside:
            raise invalid_field("native_url", "must be the URL of an artifact of this server")
        return scope, path

    def mentioned(self, text: str) -> Iterator[Scope]:
        """Give the scopes of which a text has a path in it: also one with more slashes or dots than it needs."""
        for found in self._below.finditer(text):
            yield Scope(*found.groups())

    def write(self, scope: Scope, path: str, chunks: Iterable[bytes], limit: int, md5: bytes | None = None) -> int:
        """Store the joined chunks; also raises UNAVAILABLE when the disk is full."""
        *folders, name = check_key(scope, path)
        try:
            with tempfile.NamedTemporaryFile(dir=self._incoming) as file:
                size = _fill(file, chunks, limit, md5)
                # A task gets this very file as its input, whoever it runs as, and must not change it by mistake.
                os.fchmod(file.fileno(), 0o444)
                os.fsync(file.fileno())
                with self._folder(folders, create=True) as folder:
                    try:
                        os.link(file.name, name, dst_dir_fd=folder, follow_symlinks=False)
                    except FileExistsError:
                        _require_same(file, folder, name)
                    os.fsync(folder)
        except OSError as error:
            if error.errno in _FULL:
                raise ApiError(Reason.UNAVAILABLE, "the artifact store is full") from error
            raise
        return size

    def open(self, scope: Scope, path: str) -> BufferedReader:
        """Open the file for reading. Raises NOT_FOUND, also for what is not a regular file."""
        *folders, name = check_key(scope, path)
        try:
            with self._folder(folders, create=False) as folder:
                file = _open_regular(folder, name)
        except OSError as error:
            if error.errno not in _ABSENT:
                raise
            file = None
        if file is None:
            raise not_found("artifact", path)
        return file

    def exists(self, scope: Scope, path: str) -> bool:
        """Tell whether there is a regular file."""
        try:
            self.open(scope, path).close()
        except ApiError as error:
            if error.reason is not Reason.NOT_FOUND:
                raise
            return False
        return True

    def md5(self, scope: Scope, path: str) -> bytes:
        """Read the file and return its MD5. Raises NOT_FOUND."""
        with self.open(scope, path) as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).digest()

    def prefix(self, scope: Scope, *segments: str) -> str:
        """Make the folder and return its absolute path.

        Raises ALREADY_EXISTS when something else than a folder is in the way.
        """
        path = "/".join(segments)
        with self._folder(check_key(scope, path), create=True):
            return self.native_url(scope, path)

    def root(self, scope: Scope) -> Path:
        """Make the folder of all artifacts of a scope, and return its absolute path."""
        project, domain, _ = check_key(scope, "any")
        with self._folder((project, domain), create=True):
            return self._root / project / domain

    @contextmanager
    def _folder(self, segments: Iterable[str], *, create: bool) -> Iterator[int]:
        """Descend to the folder below the root and lend its descriptor.

        Raises OSError when it is absent; with `create`, ALREADY_EXISTS when something else is in the way.
        """
        folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for segment in segments:
                inner = _make_folder(folder, segment) if create else os.open(segment, _FOLDER, dir_fd=folder)
                os.close(folder)
                folder = inner
            yield folder
        finally:
            os.close(folder)


def _fill(file: IO[bytes], chunks: Iterable[bytes], limit: int, md5: bytes | None) -> int:
    """Write the chunks and return how many bytes they were, or raise TOO_LARGE or INVALID_FIELD."""
    digest = hashlib.md5(usedforsecurity=False)
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        digest.update(chunk)
        file.write(chunk)
    if md5 is not None and digest.digest() != md5:
        raise invalid_field("content_md5", "is not the MD5 of the content")
    file.flush()
    return size


def _make_folder(parent: int, name: str) -> int:
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
        made = True
        os.fsync(parent)
    except FileExistsError:
        made = False
    try:
        folder = os.open(name, _FOLDER, dir_fd=parent)
    except OSError as error:
        if error.errno not in _ABSENT:
            raise
        raise _taken() from None
    if made:
        os.fchmod(folder, 0o755)  # as it is said here, whatever the umask is
    return folder


def _open_regular(folder: int, name: str) -> BufferedReader | None:
    """Open a regular file; None when something else has the name. Raises OSError."""
    file = os.open(name, _FILE, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        return None
    return os.fdopen(file, "rb")


def _require_same(file: IO[bytes], folder: int, name: str) -> None:
    """Raise ALREADY_EXISTS unless the name in the folder is a regular file with the content of `file`."""
    try:
        there = _open_regular(folder, name)
    except OSError as error:
        if error.errno not in _ABSENT:
            raise
        there = None
    if there is None:
        raise _taken()
    with there:
        file.seek(0)
        while (block := file.read(_READ_BYTES)) == there.read(_READ_BYTES):
            if not block:
                return
    raise _taken()


def _taken() -> ApiError:
    return ApiError(Reason.ALREADY_EXISTS, "there is other content under this name, and artifacts never change")
