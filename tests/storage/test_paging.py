"""Pages: complete, in order, without doubles, and tokens that fit one list alone."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from test_scope_guard import project, task

from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.scope import Scope
from airspace_server.storage.database import Database, scoped
from airspace_server.storage.paging import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, Pager, page, page_size
from airspace_server.storage.tables import ProjectRow, TaskRow, table

PROJECTS, TASKS = table(ProjectRow), table(TaskRow)
SCOPE = Scope("ours", "development")
PAGER = Pager(b"k" * 32)
COLUMNS = (TASKS.c.created_at, TASKS.c.name, TASKS.c.version)


def test_a_page_size_is_a_default_a_wish_or_the_maximum() -> None:
    assert [page_size(asked) for asked in (0, 7, 5000)] == [DEFAULT_PAGE_SIZE, 7, MAX_PAGE_SIZE]
    with pytest.raises(ApiError) as refusal:
        page_size(-1)
    assert refusal.value.reason is Reason.INVALID_FIELD


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
@given(times=st.lists(st.integers(1, 5), min_size=1, max_size=25), size=st.integers(1, 7), descending=st.booleans())
def test_walking_the_pages_gives_every_row_once_in_order(
    database: Database, times: list[int], size: int, descending: bool
) -> None:
    with database.write() as tx:
        tx.insert_new(PROJECTS, project("ours"))
    with database.write(SCOPE) as tx:
        tx.execute(TASKS.delete().where(scoped(TASKS)))
        tx.insert(TASKS, *({**task(f"t{place:02}"), "created_at": at} for place, at in enumerate(times)))
    walked: list[tuple[int, str]] = []
    token = ""
    while True:
        with database.read(SCOPE) as tx:
            last = PAGER.position("tasks", token)
            rows, end = page(
                tx, select(TASKS).where(scoped(TASKS)), COLUMNS, size=size, last=last, descending=descending
            )
        assert len(rows) <= size
        walked += [(row.created_at, row.name) for row in rows]
        if end is None:
            break
        token = PAGER.token("tasks", end)
    expected = sorted(((at, f"t{place:02}") for place, at in enumerate(times)), reverse=descending)
    assert walked == expected


@pytest.mark.parametrize("token", ["x", "AAAA", "!", "=" * 40, "%00", "é", PAGER.token("other list", (1, "a", "v"))])
def test_a_token_of_another_list_or_of_nobody_is_refused(token: str) -> None:
    with pytest.raises(ApiError) as refusal:
        PAGER.position("tasks", token)
    assert refusal.value.reason is Reason.INVALID_PAGE_TOKEN


def test_a_token_of_another_server_is_refused() -> None:
    with pytest.raises(ApiError):
        Pager(b"other" * 8).position("tasks", PAGER.token("tasks", (1, "a", "v")))


def test_a_changed_token_is_refused() -> None:
    token = PAGER.token("tasks", (1, "a", "v"))
    for place in range(len(token)):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        with pytest.raises(ApiError):
            PAGER.position("tasks", changed)
