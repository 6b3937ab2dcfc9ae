"""The server's own secrets on disk."""

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from airspace_server.access.keys import KeyFileError, read_private, secret, signing_key, write_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_signing_key_is_made_once_and_found_again(tmp_path: Path):
    folder = tmp_path / "keys"
    first, second = signing_key(folder), signing_key(folder)
    assert first.kid == second.kid == first.thumbprint()
    assert first.as_dict(private=True) == second.as_dict(private=True)
    assert first.as_dict() | {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig"} == first.as_dict()
    assert mode(folder / "signing-key.json") == 0o600
    assert mode(folder) == 0o700


def test_secrets_are_random_kept_and_private(tmp_path: Path):
    pages, urls = secret(tmp_path, "pages"), secret(tmp_path, "urls")
    assert len(pages) == len(urls) == 32
    assert pages != urls
    assert secret(tmp_path, "pages") == pages
    assert {path.name: mode(path) for path in tmp_path.iterdir()} == {"pages.key": 0o600, "urls.key": 0o600}


def test_a_wide_open_umask_changes_nothing(tmp_path: Path):
    before = os.umask(0)
    try:
        secret(tmp_path / "keys", "pages")
    finally:
        os.umask(before)
    assert mode(tmp_path / "keys" / "pages.key") == 0o600
    assert mode(tmp_path / "keys") == 0o700


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o602, 0o610, 0o777])
def test_a_file_that_others_may_use_stops_the_server(tmp_path: Path, bits: int):
    signing_key(tmp_path)
    (tmp_path / "signing-key.json").chmod(bits)
    with pytest.raises(KeyFileError, match="open to other users"):
        signing_key(tmp_path)


def test_a_link_is_not_followed(tmp_path: Path):
    secret(tmp_path, "pages")
    (tmp_path / "urls.key").symlink_to(tmp_path / "pages.key")
    with pytest.raises(KeyFileError, match="plain file"):
        secret(tmp_path, "urls")


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"kty": "EC"}', b"\xff", b'{"kty":"oct","k":"YQ"}'])
def test_a_damaged_key_stops_the_server(tmp_path: Path, content: bytes):
    write_private(tmp_path / "signing-key.json", content, replace=False)
    with pytest.raises(KeyFileError, match="does not hold"):
        signing_key(tmp_path)


def test_a_public_key_cannot_sign(tmp_path: Path):
    public = json.dumps(signing_key(tmp_path / "one").as_dict(private=False)).encode()
    write_private(tmp_path / "two" / "signing-key.json", public, replace=False)
    with pytest.raises(KeyFileError, match="private"):
        signing_key(tmp_path / "two")


def test_a_short_secret_stops_the_server(tmp_path: Path):
    write_private(tmp_path / "pages.key", b"short", replace=False)
    with pytest.raises(KeyFileError, match="32 bytes"):
        secret(tmp_path, "pages")


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "a.b", "a" * 64])
def test_a_secret_cannot_be_named_like_a_path(tmp_path: Path, name: str):
    with pytest.raises(ValueError, match="cannot name a secret"):
        secret(tmp_path, name)


def test_of_many_that_start_at_once_all_use_one_key(tmp_path: Path):
    gate = threading.Barrier(8)
    found: list[bytes] = []

    def start() -> None:
        gate.wait()
        found.append(secret(tmp_path, "pages"))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["pages.key"]


def test_replacing_is_complete_and_not_replacing_leaves_what_is_there(tmp_path: Path):
    path = tmp_path / "x"
    assert write_private(path, b"one", replace=False)
    assert not write_private(path, b"two", replace=False)
    assert read_private(path) == b"one"
    assert write_private(path, b"three", replace=True)
    assert read_private(path) == b"three"
    with pytest.raises(FileNotFoundError):
        read_private(tmp_path / "y")
