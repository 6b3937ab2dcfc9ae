"""What the local store promises: write once, all or nothing, and never outside the scope's own folder."""

import hashlib
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airspace_server.artifacts.local import LocalArtifactStore
from airspace_server.artifacts.store import MAX_PATH, ArtifactStore
from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.scope import Scope

SCOPE = Scope("fraud", "development")
OTHER = Scope("fraud", "production")
LIMIT = 1 << 20

BAD_PATHS = [
    "",
    "/",
    "/etc/passwd",
    ".",
    "..",
    "../production/x",
    "a/../../production/x",
    "a//b",
    "a/",
    "a/./b",
    "a\\b",
    "..\\x",
    "a\0b",
    "a\nb",
    "a\x7fb",
    "a\x85b",
    " a",
    "a /b",
    "a\u3000",
    "\ud800",
    "\udcff",
    "x" * 256,
    "ä" * 128,
    "/".join(["x" * 200] * 6),
]
GOOD_PATHS = [
    "a",
    "uploads/GEZDGNBVGY3TQOJQGEZDGNBVGY======/fast.tar.gz",
    "...",
    ".hidden",
    "a b/c",
    "%2e%2e/%2f",
    "ümläut/日本",
    "a:b?c#d&e=f",
    "x" * 255,
    "/".join(["x" * 204] * 5),
]


def files_below(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir())


def refused(reason: Reason, call, *args) -> ApiError:
    with pytest.raises(ApiError) as caught:
        call(*args)
    assert caught.value.reason is reason
    return caught.value


def outcome(call, *args):
    """Return what the call returns, or the ApiError that it raises."""
    try:
        return call(*args)
    except ApiError as error:
        return error


def content(store: ArtifactStore, scope: Scope, path: str) -> bytes:
    with store.open(scope, path) as file:
        return file.read()


def test_what_was_written_can_be_read_with_its_size_and_md5(store):
    assert store.write(SCOPE, "uploads/x/code.tar.gz", [b"one ", b"two"], LIMIT) == 7
    assert content(store, SCOPE, "uploads/x/code.tar.gz") == b"one two"
    assert store.exists(SCOPE, "uploads/x/code.tar.gz")
    assert store.md5(SCOPE, "uploads/x/code.tar.gz") == hashlib.md5(b"one two").digest()


def test_an_artifact_is_in_one_scope_alone(store):
    store.write(SCOPE, "x", [b"content"], LIMIT)
    assert not store.exists(OTHER, "x")
    refused(Reason.NOT_FOUND, store.open, OTHER, "x")
    refused(Reason.NOT_FOUND, store.md5, OTHER, "x")


def test_an_empty_artifact_is_an_artifact(store):
    assert store.write(SCOPE, "empty", [], LIMIT) == 0
    assert content(store, SCOPE, "empty") == b""


def test_a_folder_is_not_an_artifact(store):
    store.write(SCOPE, "a/b", [b"x"], LIMIT)
    assert not store.exists(SCOPE, "a")


def test_the_native_url_is_the_plain_absolute_path_of_the_content(store, root):
    store.write(SCOPE, "a b/c", [b"x"], LIMIT)
    url = store.native_url(SCOPE, "a b/c")
    assert url == f"{root}/fraud/development/a b/c"
    assert Path(url).read_bytes() == b"x"


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_bad_path_is_refused_by_every_operation(store, root, path):
    for call, args in (
        (store.native_url, ()),
        (store.write, ([b"x"], LIMIT)),
        (store.open, ()),
        (store.exists, ()),
        (store.md5, ()),
        (store.prefix, ()),
    ):
        assert refused(Reason.INVALID_FIELD, call, SCOPE, path, *args).field == "path"
    assert files_below(root) == []


@pytest.mark.parametrize("path", GOOD_PATHS)
def test_a_good_path_is_stored_as_it_is(store, path):
    store.write(SCOPE, path, [b"x"], LIMIT)
    assert content(store, SCOPE, path) == b"x"
    assert store.locate(store.native_url(SCOPE, path)) == (SCOPE, path)


@pytest.mark.parametrize("part", ["", "..", ".incoming", "a/b", "A", "a\0"])
def test_a_scope_that_cannot_be_is_refused(store, part):
    assert refused(Reason.INVALID_FIELD, store.native_url, Scope(part, "development"), "x").field == "project"
    assert refused(Reason.INVALID_FIELD, store.native_url, Scope("fraud", part), "x").field == "domain"


def test_too_much_content_leaves_nothing_and_stops_reading(store, root):
    asked = []

    def chunks():
        for n in range(1000):
            asked.append(n)
            yield b"x" * 10

    error = refused(Reason.TOO_LARGE, store.write, SCOPE, "a/big", chunks(), 25)
    assert error.metadata == {"limit": "25"}
    assert len(asked) == 3
    assert files_below(root) == []


def test_content_of_exactly_the_limit_is_not_too_much(store):
    assert store.write(SCOPE, "x", [b"x" * 25], 25) == 25


def test_content_with_another_md5_leaves_nothing(store, root):
    md5 = hashlib.md5(b"what was announced").digest()
    error = refused(Reason.INVALID_FIELD, store.write, SCOPE, "x", [b"what came"], LIMIT, md5)
    assert error.field == "content_md5"
    assert files_below(root) == []


def test_a_source_that_fails_leaves_nothing(store, root):
    def chunks():
        yield b"half"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        store.write(SCOPE, "x", chunks(), LIMIT)
    assert files_below(root) == []


def test_the_same_content_may_be_written_again_and_other_content_may_not(store, root):
    for size in (0, 1, 3 << 20):
        path = f"size-{size}"
        store.write(SCOPE, path, [b"a" * size], 4 << 20)
        assert store.write(SCOPE, path, [b"a" * size], 4 << 20) == size
        refused(Reason.ALREADY_EXISTS, store.write, SCOPE, path, [b"a" * size + b"b"], 4 << 20)
        assert content(store, SCOPE, path) == b"a" * size
    refused(Reason.ALREADY_EXISTS, store.write, SCOPE, "size-1", [b""], LIMIT)
    assert files_below(root) == [f"fraud/development/size-{n}" for n in (0, 1, 3 << 20)]


def test_a_file_and_a_folder_cannot_have_the_same_name(store):
    store.write(SCOPE, "a/b", [b"x"], LIMIT)
    refused(Reason.ALREADY_EXISTS, store.write, SCOPE, "a", [b"x"], LIMIT)
    refused(Reason.ALREADY_EXISTS, store.write, SCOPE, "a/b/c", [b"x"], LIMIT)
    refused(Reason.ALREADY_EXISTS, store.prefix, SCOPE, "a", "b")
    refused(Reason.NOT_FOUND, store.open, SCOPE, "a/b/c")


def test_of_writers_at_once_one_wins_and_its_content_is_whole(store, root):
    start = threading.Barrier(8)

    def write(n: int) -> int | ApiError:
        def chunks():
            start.wait(20)
            for _ in range(64):
                yield bytes([n]) * 1024

        return outcome(store.write, SCOPE, "deep/below/x", chunks(), LIMIT)

    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(write, range(8)))
    winner = outcomes.index(65536)
    assert [e.reason for n, e in enumerate(outcomes) if n != winner] == [Reason.ALREADY_EXISTS] * 7
    assert content(store, SCOPE, "deep/below/x") == bytes([winner]) * 65536
    assert files_below(root) == ["fraud/development/deep/below/x"]


def test_writers_of_the_same_content_at_once_all_succeed(store):
    start = threading.Barrier(8)

    def write(_: int) -> int:
        def chunks():
            start.wait(20)
            yield b"same"

        return store.write(SCOPE, "x", chunks(), LIMIT)

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(write, range(8))) == [4] * 8


def test_content_that_is_being_written_is_visible_nowhere_in_any_scope(store, root):
    def chunks():
        yield b"first"
        assert not store.exists(SCOPE, "x")
        assert [name for name in files_below(root) if not name.startswith(".incoming/")] == []
        yield b"last"

    store.write(SCOPE, "x", chunks(), LIMIT)
    assert files_below(root) == ["fraud/development/x"]


DIE_WHILE_WRITING = """
import os, sys
from pathlib import Path
from airspace_server.artifacts.local import LocalArtifactStore
from airspace_server.core.scope import Scope

def chunks():
    yield b"x" * 100_000
    os._exit(9)

LocalArtifactStore(Path(sys.argv[1])).write(Scope("fraud", "development"), "x", chunks(), 1 << 20)
"""


def test_a_process_that_dies_while_writing_leaves_no_artifact_and_its_leftover_goes_a_day_later(root):
    died = subprocess.run([sys.executable, "-c", DIE_WHILE_WRITING, root], check=False)
    assert died.returncode == 9
    store = LocalArtifactStore(root)
    assert not store.exists(SCOPE, "x")
    (leftover,) = (root / ".incoming").iterdir()  # it is young: it could be another process' running upload
    os.utime(leftover, (time.time() - 25 * 3600,) * 2)
    store = LocalArtifactStore(root)
    assert files_below(root) == []
    store.write(SCOPE, "x", [b"again"], LIMIT)
    assert content(store, SCOPE, "x") == b"again"


def test_a_symlink_is_followed_nowhere(store, root, tmp_path):
    store.write(OTHER, "secret/x", [b"theirs"], LIMIT)
    store.write(SCOPE, "own/x", [b"ours"], LIMIT)
    (tmp_path / "outside").write_bytes(b"the machine's")
    own = root / "fraud/development"
    targets = {
        "file": root / "fraud/production/secret/x",
        "absolute": tmp_path / "outside",
        "relative": Path("../production/secret/x"),
        "within": own / "own/x",
        "dangling": root / "fraud/production/new",
    }
    for name, target in targets.items():
        (own / name).symlink_to(target)
        assert not store.exists(SCOPE, name)
        refused(Reason.NOT_FOUND, store.open, SCOPE, name)
        refused(Reason.NOT_FOUND, store.md5, SCOPE, name)
        refused(Reason.ALREADY_EXISTS, store.write, SCOPE, name, [b"theirs"], LIMIT)
        refused(Reason.ALREADY_EXISTS, store.prefix, SCOPE, name)
    (own / "folder").symlink_to(root / "fraud/production/secret")
    assert not store.exists(SCOPE, "folder/x")
    refused(Reason.ALREADY_EXISTS, store.write, SCOPE, "folder/new", [b"x"], LIMIT)
    refused(Reason.ALREADY_EXISTS, store.prefix, SCOPE, "folder", "new")
    assert files_below(root / "fraud/production") == ["secret/x"]
    assert content(store, OTHER, "secret/x") == b"theirs"


def test_a_folder_that_becomes_a_symlink_during_a_write_is_not_followed(store, root):
    own = Path(store.prefix(SCOPE, "uploads"))
    theirs = store.prefix(OTHER, "uploads")

    def chunks():
        yield b"x"
        own.rename(own.with_name("moved"))
        own.symlink_to(theirs)

    refused(Reason.ALREADY_EXISTS, store.write, SCOPE, "uploads/x", chunks(), LIMIT)
    assert files_below(Path(theirs)) == []


def test_a_scope_that_is_a_symlink_to_another_is_not_followed(store, root):
    store.write(OTHER, "x", [b"theirs"], LIMIT)
    (root / "fraud/development").symlink_to(root / "fraud/production")
    assert not store.exists(SCOPE, "x")
    refused(Reason.ALREADY_EXISTS, store.write, SCOPE, "y", [b"x"], LIMIT)


@pytest.mark.timeout(20)
def test_a_pipe_in_the_place_of_an_artifact_blocks_nobody(store):
    folder = Path(store.prefix(SCOPE, "out"))
    os.mkfifo(folder / "pipe")
    assert not store.exists(SCOPE, "out/pipe")
    refused(Reason.ALREADY_EXISTS, store.write, SCOPE, "out/pipe", [b"x"], LIMIT)


def test_a_socket_in_the_place_of_an_artifact_is_none(store, monkeypatch):
    monkeypatch.chdir(store.prefix(SCOPE, "out"))  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    assert not store.exists(SCOPE, "out/socket")
    refused(Reason.ALREADY_EXISTS, store.write, SCOPE, "out/socket", [b"x"], LIMIT)


def test_a_prefix_is_a_folder_and_may_be_asked_for_again(store, root):
    url = store.prefix(SCOPE, "executions", "x1", "n0", "0")
    assert url == f"{root}/fraud/development/executions/x1/n0/0"
    assert store.prefix(SCOPE, "executions", "x1", "n0", "0") == url
    (Path(url) / "out").write_bytes(b"of a task")
    scope, path = store.locate(f"{url}/out")
    assert content(store, scope, path) == b"of a task"


def test_nobody_else_gets_in_and_what_is_inside_is_for_whoever_is_shown_it_to_read(store, root):
    mask = os.umask(0o077)
    try:
        store.write(SCOPE, "uploads/x", [b"x"], LIMIT)
    finally:
        os.umask(mask)
    modes = {path: path.stat().st_mode & 0o777 for path in (root, *root.rglob("*"))}
    assert modes == {
        root: 0o700,
        root / ".incoming": 0o700,
        root / "fraud": 0o755,
        root / "fraud/development": 0o755,
        root / "fraud/development/uploads": 0o755,
        root / "fraud/development/uploads/x": 0o444,
    }
    assert store.root(SCOPE) == root / "fraud/development"


def test_what_is_not_inside_the_store_cannot_be_located(store, root, tmp_path):
    (tmp_path / "alias").symlink_to(root)
    store.write(SCOPE, "x", [b"x"], LIMIT)
    for url in (
        "",
        "/",
        "/etc/passwd",
        str(root),
        f"{root}/",
        f"{root}/fraud",
        f"{root}/fraud/development",
        f"{root}/fraud/development/",
        f"{root}/.incoming/x/y",
        f"{root}/fraud/development/../production/x",
        f"{root}/fraud/../../x/y/z",
        f"{root}/fraud//development/x",
        f"{root}-2/fraud/development/x",
        f"{tmp_path}/alias/fraud/development/x",
        f"{root}/../{root.name}/fraud/development/x",
        f"/{root}/fraud/development/x",
        f"file://{root}/fraud/development/x",
        "fraud/development/x",
        f"x{root}/fraud/development/x",
        "s3://bucket/fraud/development/x",
    ):
        error = refused(Reason.INVALID_FIELD, store.locate, url)
        assert error.field == "native_url"
        assert str(tmp_path) not in error.message
    assert store.locate(f"{root}/fraud/development/x") == (SCOPE, "x")


def test_locating_is_the_same_whatever_is_there(store, root):
    own = Path(store.prefix(SCOPE, "a"))
    (own / "link").symlink_to("/etc/passwd")
    store.write(SCOPE, "a/file", [b"x"], LIMIT)
    for name in ("link", "file", "missing"):
        assert store.locate(f"{own}/{name}") == (SCOPE, f"a/{name}")
    assert not store.exists(SCOPE, "a/link")


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> LocalArtifactStore:
    return LocalArtifactStore(tmp_path_factory.mktemp("shared") / "artifacts")


SEGMENTS = st.one_of(st.text(max_size=6), st.sampled_from(["..", ".", "a", "", "%2e%2e", "~", "-", "\\", "fraud"]))
PATHS = st.one_of(st.text(), st.lists(SEGMENTS, max_size=6).map("/".join), st.sampled_from(BAD_PATHS + GOOD_PATHS))


@given(path=PATHS)
def test_any_path_lies_in_the_scopes_own_folder_or_is_refused(shared, path):
    url = outcome(shared.native_url, SCOPE, path)
    if isinstance(url, ApiError):
        assert url.field == "path"
        return
    assert url.startswith(shared.native_url(SCOPE, "x").removesuffix("x"))
    assert os.path.normpath(url) == url == os.path.realpath(url)
    assert len(path.encode()) <= MAX_PATH
    assert shared.locate(url) == (SCOPE, path)


@given(paths=st.lists(PATHS, max_size=4))
def test_whatever_is_written_lies_in_the_scopes_own_folder(shared, paths):
    root = Path(shared.native_url(SCOPE, "x")).parents[2]
    for path in paths:
        written = outcome(shared.write, SCOPE, path, [b"same"], LIMIT)
        if isinstance(written, ApiError):
            assert written.reason in (Reason.INVALID_FIELD, Reason.ALREADY_EXISTS)
        else:
            assert content(shared, SCOPE, path) == b"same"
    assert {p.name for p in root.iterdir()} <= {".incoming", "fraud"}
    assert {p.name for p in (root / "fraud").glob("*")} <= {"development"}
    assert list((root / ".incoming").iterdir()) == []


@given(project=st.text(), domain=st.text(), path=PATHS)
@example(project="..", domain="..", path="etc/passwd")
def test_any_scope_has_a_folder_of_its_own_or_is_refused(shared, project, domain, path):
    url = outcome(shared.native_url, Scope(project, domain), path)
    assert isinstance(url, ApiError) or shared.locate(url) == (Scope(project, domain), path)


@given(rest=st.one_of(st.text(), st.lists(SEGMENTS, max_size=6).map("/".join)))
def test_any_text_that_is_located_is_the_native_url_of_that_key(shared, rest):
    root = Path(shared.native_url(SCOPE, "x")).parents[2]
    for url in (rest, f"{root}{rest}", f"{root}/{rest}"):
        key = outcome(shared.locate, url)
        if isinstance(key, ApiError):
            assert key.field == "native_url"
        else:
            assert shared.native_url(*key) == url
