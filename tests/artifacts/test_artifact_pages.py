"""Pages that tasks wrote: shown once, and without the rights of this server's own pages."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from airspace_server.artifacts.pages import UsedPages
from airspace_server.artifacts.signing import MAX_LIFETIME, UrlGrant
from airspace_server.core.scope import Scope
from airspace_server.storage.database import Database, scoped
from airspace_server.storage.tables import ProjectRow, UsedUrlRow, table

SCOPE = Scope("fraud", "development")
DECK = b"<script>document.title = document.cookie</script>"
DENIED = {"reason": "PERMISSION_MISSING", "message": "this URL is not valid, or no longer valid"}


@pytest.fixture
def use_page(database: Database, clock) -> Callable[[UrlGrant], None]:
    row = {"id": "fraud", "name": "fraud", "description": "", "labels": "{}", "state": "ACTIVE", "version": 1}
    with database.write() as tx:
        tx.insert(table(ProjectRow), {**row, "created_at": 1, "updated_at": 1})
    return UsedPages(database, clock).use


@pytest.fixture
def deck(store) -> str:
    store.write(SCOPE, "decks/run/n0/0/deck.html", [DECK], 1000)
    return "decks/run/n0/0/deck.html"


def policy(headers) -> dict[str, list[str]]:
    """Read a content security policy as a browser does: the first of a name counts."""
    found: dict[str, list[str]] = {}
    for directive in headers["content-security-policy"].split(";"):
        name, *values = directive.split()
        found.setdefault(name, values)
    return found


def test_a_page_is_shown_once_and_then_denied_like_every_url_that_is_not_valid(door, deck):
    url = door.page_url(deck)
    first, second = door.client.get(url), door.client.get(url)
    assert (first.status_code, first.content) == (200, DECK)
    assert (second.status_code, second.json()) == (403, DENIED)
    assert door.client.get(door.page_url(deck, "6" * 32)).content == DECK


def test_of_many_who_open_a_page_at_once_one_sees_it(door, deck):
    url = door.page_url(deck)
    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(lambda _: door.client.get(url).status_code, range(8)))
    assert sorted(statuses) == [200] + [403] * 7


def test_to_ask_for_a_pages_size_or_a_part_of_it_is_not_to_see_it_twice(door, deck):
    """flytekit asks with HEAD before it reads; a part would leave the rest to nobody, so all of it is sent."""
    url = door.page_url(deck)
    for _ in range(2):
        asked = door.client.head(url)
        assert (asked.status_code, asked.headers["content-length"], asked.content) == (200, str(len(DECK)), b"")
    part = door.client.get(url, headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (200, DECK)


def test_a_page_that_is_not_there_is_not_used_up(door, store, clock):
    url = door.page_url("decks/run/n1/0/deck.html")
    assert door.client.get(url).status_code == 404
    store.write(SCOPE, "decks/run/n1/0/deck.html", [DECK], 1000)
    assert door.client.get(url).content == DECK


def test_a_page_has_an_origin_of_its_own_and_can_load_send_open_and_frame_nothing(door, deck):
    for headers in (door.client.head(door.page_url(deck)).headers, door.client.get(door.page_url(deck)).headers):
        found = policy(headers)
        # Each word here takes a bar out of the cage: same-origin would end it, popups and downloads would leave it.
        assert found["sandbox"] == ["allow-scripts"]
        assert found["default-src"] == ["'none'"]
        for name in ("script-src", "style-src"):
            assert found[name] == ["'unsafe-inline'"]
        for name in ("img-src", "font-src", "media-src"):
            assert found[name] == ["data:"]
        assert found["form-action"] == found["base-uri"] == ["'none'"]
        assert found["frame-ancestors"] == ["'self'"]
        assert set(found) <= {
            *("sandbox", "default-src", "script-src", "style-src", "img-src", "font-src", "media-src"),
            *("form-action", "base-uri", "frame-ancestors"),
        }
        assert headers["content-type"] == "text/html; charset=utf-8"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers
        assert "set-cookie" not in headers


def test_nothing_but_a_url_that_was_signed_for_it_makes_a_page_of_an_artifact(door, deck):
    token = f"&page={'5' * 32}"
    page = door.page_url(deck)
    download = door.get_url(deck)
    attempts = [
        page.replace(token, ""),
        page.replace(token, f"&page={'6' * 32}"),
        page.replace(token, token * 2),
        page.replace(token, "&page="),
        download.replace("&signature", f"{token}&signature"),
    ]
    for url in attempts:
        answer = door.client.get(url)
        assert (answer.status_code, answer.json()) == (403, DENIED), url
    attached = door.client.get(download)
    assert attached.headers["content-type"] == "application/octet-stream"
    assert attached.headers["content-disposition"] == "attachment"
    assert door.client.get(page).content == DECK


def test_a_page_that_cannot_be_marked_as_shown_is_not_shown(door, deck, database, monkeypatch):
    url = door.page_url(deck)
    with monkeypatch.context() as broken:
        broken.setattr(type(database), "write", lambda *_: (_ for _ in ()).throw(OSError("the database is away")))
        answer = door.client.get(url)
    assert (answer.status_code, answer.json()["reason"]) == (500, "INTERNAL")
    assert door.client.get(url).content == DECK


def test_what_has_long_expired_is_forgotten(door, deck, database, clock):
    def tokens() -> list[str]:
        used = table(UsedUrlRow)
        with database.read(SCOPE) as tx:
            return [row.token for row in tx.all(select(used.c.token).where(scoped(used)))]

    door.client.get(door.page_url(deck))
    clock.advance(600 + MAX_LIFETIME - 1)
    door.client.get(door.page_url(deck, "6" * 32))
    assert sorted(tokens()) == ["5" * 32, "6" * 32]
    clock.advance(1)
    door.client.get(door.page_url(deck, "7" * 32))
    assert sorted(tokens()) == ["6" * 32, "7" * 32]
