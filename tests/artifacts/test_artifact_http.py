"""The HTTP door, through a real server and real connections."""

import base64
import collections
import hashlib
import http.client
import json
import logging
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airspace_server.artifacts.http import byte_range
from airspace_server.artifacts.signing import UrlGrant
from airspace_server.core.scope import Scope

SCOPE = Scope("fraud", "development")
OTHER = Scope("fraud", "production")
MAX_UPLOAD = 1 << 20
DENIED = {"reason": "PERMISSION_MISSING", "message": "this URL is not valid, or no longer valid"}


def md5_header(content: bytes) -> dict[str, str]:
    return {"Content-MD5": base64.b64encode(hashlib.md5(content).digest()).decode()}


def raw(door, method: str, target: str, body: bytes | None = None) -> tuple[int, bytes]:
    """Send the target as it stands: no client may normalize it first."""
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=20)
    try:
        connection.request(method, target, body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def files(root) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if not p.is_dir())


def test_an_upload_as_flytekit_sends_it_can_be_downloaded_and_read_by_its_native_url(door, store):
    content = b"code" * 50_000
    url = door.put_url("uploads/x/fast.tar.gz", md5=hashlib.md5(content).digest())
    answer = door.client.put(url, content=content, headers=md5_header(content))
    assert (answer.status_code, answer.content) == (200, b"")
    got = door.client.get(door.get_url("uploads/x/fast.tar.gz"))
    assert (got.status_code, got.content) == (200, content)
    assert got.headers["content-length"] == str(len(content))
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert Path(store.native_url(SCOPE, "uploads/x/fast.tar.gz")).read_bytes() == content


def test_an_upload_without_md5_is_taken_when_none_was_signed(door):
    assert door.client.put(door.put_url("uploads/00000/x"), content=b"rows").status_code == 200
    assert door.client.get(door.get_url("uploads/00000/x")).content == b"rows"


def test_an_upload_without_a_length_is_taken_within_the_limit(door):
    assert door.client.put(door.put_url("x"), content=iter([b"a", b"b"])).status_code == 200
    assert door.client.get(door.get_url("x")).content == b"ab"


def test_an_empty_upload_is_taken(door):
    assert door.client.put(door.put_url("x"), content=b"").status_code == 200
    got = door.client.get(door.get_url("x"))
    assert (got.status_code, got.content) == (200, b"")


def test_names_that_need_quoting_survive_the_way(door, store):
    path = "uploads/a b%2Fc/ü?#&=+%;日本.gz"
    assert door.client.put(door.put_url(path), content=b"x").status_code == 200
    assert store.exists(SCOPE, path)
    assert door.client.get(door.get_url(path)).content == b"x"


def test_head_tells_the_size_under_a_url_for_get_and_sends_nothing(door):
    door.client.put(door.put_url("x"), content=b"x" * 1000)
    answer = door.client.head(door.get_url("x"))
    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "1000", b"")
    assert door.client.head(door.put_url("x")).status_code == 403


def test_every_url_that_is_not_valid_gets_the_same_answer_whether_or_not_something_is_there(door, clock, signer):
    door.client.put(door.put_url("there"), content=b"x")
    for path in ("there", "missing"):
        good = door.get_url(path)
        upload = door.put_url(path)
        expired = signer.sign(UrlGrant("GET", SCOPE, path, clock.after(1)))
        clock.advance(1)
        attempts = [
            ("GET", good.partition("?")[0]),
            ("GET", good[:-1] + ("0" if good[-1] != "0" else "1")),
            ("GET", good.replace("expires=", "expires=9")),
            ("GET", good.replace("/development/", "/production/")),
            ("GET", good.replace("/fraud/", "/ads/")),
            ("GET", good.replace(f"/{path}?", f"/{path}x?")),
            ("GET", good + "&x=1"),
            ("GET", door.base_url + expired),
            ("GET", upload),
            ("PUT", good),
            ("PUT", upload.replace("limit=", "limit=9")),
            ("PUT", upload.replace("/development/", "/production/")),
        ]
        for method, url in attempts:
            answer = door.client.request(method, url, content=b"x" if method == "PUT" else None)
            assert (answer.status_code, answer.json()) == (403, DENIED), url
    assert door.client.get(door.get_url("there")).content == b"x"
    assert door.client.get(door.get_url("missing")).status_code == 404
    assert door.client.get(door.get_url("there", OTHER)).status_code == 404


def test_other_methods_do_not_exist(door):
    for method in ("POST", "DELETE", "PATCH"):
        assert door.client.request(method, door.get_url("x")).status_code == 405


TRAVERSALS = [
    "../production/x",
    "a/../../production/x",
    "%2e%2e/production/x",
    "..%2fproduction%2fx",
    "%2e%2e%2fproduction%2fx",
    "%252e%252e%252fproduction%252fx",
    "..%5cproduction%5cx",
    "..\\production\\x",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "//etc/passwd",
    "x%00",
    "x%00.gz",
    "%00",
    "a//x",
    "./x",
    "%2e/x",
    "x/",
    "%20x",
    "%ff",
    "%ed%a0%80",
    "",
]


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_crooked_path_under_another_paths_signature_is_denied(door, store, root, method):
    store.write(OTHER, "x", [b"theirs"], 100)
    query = (door.get_url("x") if method == "GET" else door.put_url("x")).partition("?")[2]
    for path in TRAVERSALS:
        target = f"/artifacts/fraud/development/{path}?{query}"
        status, body = raw(door, method, target, b"x" if method == "PUT" else None)
        assert (status, json.loads(body)) == (403, DENIED), path
    assert files(root) == ["fraud/production/x"]
    assert store.md5(OTHER, "x") == hashlib.md5(b"theirs").digest()


def test_a_line_feed_behind_a_path_is_cut_off_and_what_was_signed_is_left(door, store):
    store.write(SCOPE, "x", [b"ours"], 100)
    assert raw(door, "GET", door.get_url("x").removeprefix(door.base_url).replace("/x?", "/x%0a?")) == (200, b"ours")


def test_a_crooked_path_is_refused_by_the_store_even_with_a_good_signature(door, store, root):
    store.write(OTHER, "x", [b"theirs"], 100)
    for path in ("../production/x", "..", "a/../../production/x", "a//x", "/etc/passwd", "a\\b", "a\0b", " a", "a/"):
        for method in ("GET", "PUT"):
            target = door.signer.sign(UrlGrant(method, SCOPE, path, door.clock.after(60), 100))
            status, body = raw(door, method, target, b"x" if method == "PUT" else None)
            assert (status, json.loads(body)["reason"]) == (400, "INVALID_FIELD"), path
    assert files(root) == ["fraud/production/x"]


def test_a_symlink_that_a_task_planted_leads_nowhere(door, store, root, tmp_path):
    store.write(OTHER, "secret", [b"theirs"], 100)
    own = root / "fraud/development"
    own.mkdir()
    (own / "link").symlink_to(root / "fraud/production/secret")
    (own / "folder").symlink_to(root / "fraud/production")
    (own / "passwd").symlink_to("/etc/passwd")
    for path in ("link", "folder/secret", "passwd"):
        assert door.client.get(door.get_url(path)).status_code == 404
        assert door.client.put(door.put_url(path), content=b"mine").status_code == 409
    assert door.client.put(door.put_url("folder/new"), content=b"mine").status_code == 409
    assert files(root / "fraud/production") == ["secret"]
    assert store.md5(OTHER, "secret") == hashlib.md5(b"theirs").digest()


def test_more_than_was_signed_is_refused_and_leaves_nothing(door, root):
    for content in (b"x" * 11, iter([b"x" * 6, b"x" * 5])):
        answer = door.client.put(door.put_url("x", limit=10), content=content)
        assert (answer.status_code, answer.json()["reason"]) == (413, "TOO_LARGE")
    assert files(root) == []
    assert door.client.put(door.put_url("x", limit=10), content=b"x" * 10).status_code == 200


def test_an_announced_length_beyond_the_limit_is_refused_before_anything_is_written(door, store):
    assert door.client.put(door.put_url("x", limit=10), content=b"x" * 11).status_code == 413
    assert not store.write_over.is_set()


def test_the_servers_own_limit_binds_urls_that_were_signed_with_a_larger_one(door, root):
    url = door.put_url("x", limit=100 * MAX_UPLOAD)
    assert door.client.put(url, content=b"x" * (MAX_UPLOAD + 1)).status_code == 413
    assert files(root) == []


def test_a_client_that_sends_far_too_much_still_hears_why(door, root):
    for content in (b"x" * (32 << 20), iter([b"x" * (1 << 20)] * 32)):
        answer = door.client.put(door.put_url("x", limit=10), content=content)
        assert (answer.status_code, answer.json()["reason"]) == (413, "TOO_LARGE")
    assert files(root) == []


def talk(door, url: str, headers: bytes, body: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", door.port), timeout=20)
    target = url.removeprefix(door.base_url).encode()
    connection.sendall(b"PUT " + target + b" HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n\r\n" + body)
    return connection


def test_content_behind_a_content_length_that_is_too_small_is_not_part_of_the_artifact(door, store):
    with talk(door, door.put_url("x"), b"Content-Length: 3\r\nConnection: close", b"abcdefghi") as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    with store.open(SCOPE, "x") as file:
        assert file.read() == b"abc"


def test_a_client_that_announces_more_than_it_sends_leaves_nothing(door, store, root):
    with talk(door, door.put_url("x"), b"Content-Length: 1000", b"abc"):
        pass
    assert store.write_over.wait(20)
    assert files(root) == []


def test_a_client_that_goes_away_in_the_middle_of_chunks_leaves_nothing(door, store, root):
    with talk(door, door.put_url("x"), b"Transfer-Encoding: chunked", b"3\r\nabc\r\n"):
        pass
    assert store.write_over.wait(20)
    assert files(root) == []


def test_chunks_that_pass_the_limit_are_refused_before_they_end(door, root):
    chunks = b"6\r\nabcdef\r\n" * 3 + b"0\r\n\r\n"
    with talk(door, door.put_url("x", limit=10), b"Transfer-Encoding: chunked", chunks) as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 413")
    assert files(root) == []


def test_content_with_another_md5_than_the_signed_one_is_refused_and_leaves_nothing(door, root):
    signed = hashlib.md5(b"announced").digest()
    for headers in ({}, md5_header(b"announced"), md5_header(b"came"), {"Content-MD5": "?"}):
        answer = door.client.put(door.put_url("x", md5=signed), content=b"came", headers=headers)
        assert (answer.status_code, answer.json()["reason"]) == (400, "INVALID_FIELD")
    assert files(root) == []
    assert door.client.put(door.put_url("x", md5=signed), content=b"announced").status_code == 200


def test_an_md5_that_the_client_adds_itself_must_be_right(door, root):
    for header in (b"", b"?", b"AAAA", b"\xe9", base64.b64encode(bytes(16))):
        answer = door.client.put(door.put_url("x"), content=b"came", headers={b"Content-MD5": header})
        assert (answer.status_code, answer.json()["reason"]) == (400, "INVALID_FIELD")
    assert files(root) == []
    assert door.client.put(door.put_url("x"), content=b"came", headers=md5_header(b"came")).status_code == 200


def test_an_artifact_is_replaced_by_the_same_content_alone(door):
    assert door.client.put(door.put_url("x"), content=b"first").status_code == 200
    assert door.client.put(door.put_url("x"), content=b"first").status_code == 200
    answer = door.client.put(door.put_url("x"), content=b"second")
    assert (answer.status_code, answer.json()["reason"]) == (409, "ALREADY_EXISTS")
    assert door.client.get(door.get_url("x")).content == b"first"


def test_of_uploads_at_once_one_wins_and_the_others_hear_of_it(door, root):
    start = threading.Barrier(6)

    def put(n: int) -> int:
        def chunks():
            yield bytes([n]) * 1000
            start.wait(20)
            yield bytes([n]) * 1000

        return door.client.put(door.put_url("x"), content=chunks()).status_code

    with ThreadPoolExecutor(6) as threads:
        statuses = list(threads.map(put, range(6)))
    assert sorted(statuses) == [200, 409, 409, 409, 409, 409]
    assert door.client.get(door.get_url("x")).content == bytes([statuses.index(200)]) * 2000
    assert files(root) == ["fraud/development/x"]


def test_a_part_of_an_artifact_can_be_asked_for(door):
    content = bytes(range(256)) * 4000
    door.client.put(door.put_url("x"), content=content)

    def get(asked: str):
        return door.client.get(door.get_url("x"), headers={"Range": asked})

    part = get("bytes=1000-601000")
    assert (part.status_code, part.content) == (206, content[1000:601001])
    assert part.headers["content-range"] == f"bytes 1000-601000/{len(content)}"
    assert get("bytes=-5").content == content[-5:]
    assert get("bytes=1023990-").content == content[1023990:]
    assert get("bytes=0-99999999").content == content
    past = get(f"bytes={len(content)}-")
    assert (past.status_code, past.headers["content-range"]) == (416, f"bytes */{len(content)}")
    assert (get("bytes=0-1,5-6").status_code, get("bytes=5-1").status_code, get("lines=1-2").status_code) == (200,) * 3


@given(content=st.binary(max_size=20), first=st.integers(0, 25), last=st.integers(0, 25))
def test_a_range_is_what_slicing_gives(content, first, last):
    size = len(content)
    for asked, sliced in (
        (f"bytes={first}-", content[first:]),
        (f"bytes=-{last}", content[max(0, size - last) :]),
        (f"bytes={first}-{last}", content[first : last + 1]),
    ):
        part = byte_range(asked, size)
        if part is None:
            assert last < first
        else:
            assert content[part[0] : part[1]] == sliced
            assert (part[0] < part[1]) == bool(sliced)


@given(st.text())
def test_a_range_that_cannot_be_read_asks_for_everything(asked):
    assert byte_range(asked, 10) is None
    assert byte_range(None, 10) is None


def test_a_download_that_the_client_gives_up_closes_the_file(door, store, monkeypatch):
    store.write(SCOPE, "x", [b"x" * (1 << 20)] * 64, 1 << 30)
    closed = threading.Event()
    open_file = store.open

    def watched_open(scope, path):
        file = open_file(scope, path)

        class Watched(type(file)):
            def close(self):
                super().close()
                closed.set()

        return Watched(file.detach())

    monkeypatch.setattr(store, "open", watched_open)
    with door.client.stream("GET", door.get_url("x")) as answer:
        next(answer.iter_raw(1000))
    assert closed.wait(20)


@pytest.mark.timeout(60)
def test_a_download_of_a_file_that_a_task_makes_shorter_meanwhile_is_cut_off_and_never_looks_complete(door, store):
    file = Path(store.prefix(SCOPE, "out")) / "x"
    file.write_bytes(b"x" * (64 << 20))
    with door.client.stream("GET", door.get_url("out/x")) as answer:
        parts = answer.iter_raw(1000)
        next(parts)
        os.truncate(file, 1000)
        with pytest.raises(httpx.RemoteProtocolError):
            collections.deque(parts, maxlen=0)
    assert door.client.get(door.get_url("out/x")).content == b"x" * 1000


def test_what_nobody_foresaw_is_logged_and_told_to_nobody(door, store, monkeypatch, caplog):
    def broken(scope, path):
        raise OSError("/secret/place is on fire")

    monkeypatch.setattr(store, "open", broken)
    with caplog.at_level(logging.ERROR):
        answer = door.client.get(door.get_url("x"))
    assert (answer.status_code, answer.json()["reason"]) == (500, "INTERNAL")
    assert "secret" not in answer.text
    assert "on fire" in caplog.text


def test_a_full_disk_is_said_to_be_one(door, store, root, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("airspace_server.artifacts.local.os.link", full)
    answer = door.client.put(door.put_url("x"), content=b"x")
    assert (answer.status_code, answer.json()["reason"]) == (503, "UNAVAILABLE")
    assert files(root) == []


def test_who_sends_many_uploads_and_ends_none_keeps_no_other_scope_from_uploading(door):
    def begin(path: str) -> socket.socket:
        url = httpx.URL(door.put_url(path))
        sent = socket.create_connection(("127.0.0.1", door.port), timeout=20)
        sent.sendall(f"PUT {url.raw_path.decode()} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx".encode())
        return sent

    slow = [begin(f"uploads/slow/{number}") for number in range(40)]
    try:
        assert door.client.put(door.put_url("uploads/x", scope=OTHER), content=b"rows").status_code == 200
        slow[0].sendall(b"x" * 8)  # whose turn it is not yet waits for it and is not refused
        assert slow[0].recv(12) == b"HTTP/1.1 200"
        for each in slow[1:]:
            each.sendall(b"x" * 8)
        assert all(each.recv(12) == b"HTTP/1.1 200" for each in slow[1:])
    finally:
        for each in slow:
            each.close()


def test_content_that_stops_coming_is_given_up(door, store, root, monkeypatch):
    monkeypatch.setattr("airspace_server.artifacts.http._IDLE_SECONDS", 0.05)
    with talk(door, door.put_url("x"), b"Content-Length: 1000", b"abc") as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 503")
    assert files(root) == []
