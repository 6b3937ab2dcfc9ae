"""Records come with their mutations or not at all, in one chain whoever writes, and refusals cannot flood them."""

import threading
from collections.abc import Callable, Iterator, Mapping

import pytest
from sqlalchemy import func, select

from airspace_server.audit import store
from airspace_server.audit.chain import Kind
from airspace_server.audit.ledger import CALLERS, KINDS_OF_ONE, SYSTEM, Actor, Ledger, Refusal, acting
from airspace_server.audit.store import Wanted
from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.scope import ScopePattern
from airspace_server.storage.database import Database, Transaction
from airspace_server.storage.tables import AuditHeadRow, AuditRecordRow, ProjectRow, table

KEY = b"k" * 32
RECORDS, HEADS, PROJECTS = table(AuditRecordRow), table(AuditHeadRow), table(ProjectRow)
EVERYTHING = Wanted(ScopePattern("*", "*"))


@pytest.fixture
def ledger(database: Database) -> Ledger:
    made = Ledger(database, KEY, lambda: 7)
    database.before_commit = made.keep
    return made


def project(tx: Transaction, name: str) -> None:
    tx.insert(
        PROJECTS,
        {
            "id": name,
            "name": name,
            "description": "",
            "labels": "{}",
            "state": "ACTIVE",
            "version": 1,
            "created_at": 1,
            "updated_at": 1,
        },
    )


def created(database: Database, name: str) -> None:
    with database.write() as tx:
        project(tx, name)
        tx.changed(f"project {name}", None, {"name": name}, at=(name, "*"))


def records(database: Database) -> list[store.Link]:
    return list(store.export(database, EVERYTHING))


def problems(database: Database, key: bytes = KEY) -> Mapping[str, str]:
    verdicts = store.verify(database, key, "*", {})
    return {each.chain: each.problem.what for each in verdicts if each.problem is not None}


def test_a_mutation_is_recorded_with_who_made_it(database: Database, ledger: Ledger):
    with acting(lambda: Actor("user:ann", "/a.B/C", "project.create", "r-1", "user:bob")):
        created(database, "team")
    created(database, "other")
    first, second = sorted((each.record for each in records(database)), key=lambda each: each.principal, reverse=True)
    assert (first.principal, first.origin, first.method, first.permission) == (
        "user:ann",
        "user:bob",
        "/a.B/C",
        "project.create",
    )
    assert (first.chain, first.sequence, first.request_id, first.kind) == ("team", 1, "r-1", Kind.MUTATION)
    assert second.principal == SYSTEM
    assert problems(database) == {}


def test_a_mutation_that_is_undone_leaves_no_record(database: Database, ledger: Ledger):
    def half() -> None:
        with database.write() as tx:
            project(tx, "team")
            tx.changed("project team", None, {}, at=("team", "*"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert records(database) == []


def test_a_call_that_writes_and_does_not_say_what_is_undone(database: Database, ledger: Ledger):
    with (
        pytest.raises(RuntimeError, match="does not say what it changed"),
        acting(lambda: Actor("user:ann", "/a.B/C")),
        database.write() as tx,
    ):
        project(tx, "team")
    with database.read() as tx:
        assert tx.all(select(PROJECTS)) == []


def test_what_is_the_same_as_before_is_no_change(database: Database, ledger: Ledger):
    with database.write() as tx:
        tx.changed("thing", {"x": 1}, {"x": 1})
    assert records(database) == []


def test_many_writers_make_one_chain(database_url: str, database: Database, ledger: Ledger):
    created(database, "team")
    others = [Database(database_url, pool_size=2) for _ in range(3)]
    failures: list[BaseException] = []

    def write(own: Database, writer: int) -> None:
        own.before_commit = Ledger(own, KEY, lambda: 7).keep
        try:
            for place in range(10):
                with own.write() as tx:
                    tx.changed(f"thing {writer} {place}", None, {}, at=("team", "*"))
                    tx.changed(f"thing {writer} {place}", None, {}, at=("*", "*"))
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=write, args=(own, n)) for n, own in enumerate(others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for own in others:
        own.close()
    assert failures == []
    assert problems(database) == {}
    sequences = [each.record.sequence for each in records(database) if each.record.chain == "team"]
    assert sequences == list(range(1, 32))


# --- tampering


def one(database: Database) -> None:
    for name in ("left", "right"):
        created(database, name)
        for place in range(3):
            with database.write() as tx:
                tx.changed(f"thing {place}", None, {}, at=(name, "development"))


def alter(tx: Transaction) -> None:
    tx.execute(RECORDS.update().where(RECORDS.c.chain == "left", RECORDS.c.sequence == 2).values(principal="user:eve"))


def remove(place: int) -> Callable[[Transaction], None]:
    def act(tx: Transaction) -> None:
        tx.execute(RECORDS.delete().where(RECORDS.c.chain == "left", RECORDS.c.sequence == place))

    return act


def shorten(tx: Transaction) -> None:
    remove(4)(tx)
    last = tx.execute(select(RECORDS.c.hash).where(RECORDS.c.chain == "left", RECORDS.c.sequence == 3)).scalar_one()
    tx.execute(HEADS.update().where(HEADS.c.chain == "left").values(sequence=3, hash=last))


def forget(tx: Transaction) -> None:
    tx.execute(RECORDS.delete().where(RECORDS.c.chain == "left"))
    tx.execute(HEADS.delete().where(HEADS.c.chain == "left"))


def behead(tx: Transaction) -> None:
    tx.execute(HEADS.delete().where(HEADS.c.chain == "left"))


def add(tx: Transaction) -> None:
    last = tx.execute(select(RECORDS).where(RECORDS.c.chain == "left", RECORDS.c.sequence == 4)).one()
    tx.insert(RECORDS, {**last._mapping, "sequence": 5, "previous": last.hash})


def forge(tx: Transaction) -> None:
    """Put a record before the first, which no other follows from."""
    first = tx.execute(select(RECORDS).where(RECORDS.c.chain == "left", RECORDS.c.sequence == 1)).one()
    tx.insert(RECORDS, {**first._mapping, "sequence": 0})


@pytest.mark.parametrize("tamper", [alter, remove(1), remove(2), remove(4), shorten, forget, behead, add, forge])
def test_whatever_is_done_to_a_chain_is_found_and_only_there(database: Database, ledger: Ledger, tamper):
    one(database)
    assert problems(database) == {}
    with database.write() as tx:
        tamper(tx)
    assert set(problems(database)) == {"left"}


@pytest.mark.parametrize(
    "garbled", [{"kind": "ODD"}, {"changes": "["}, {"changes": "[1]"}, {"changes": "[[1,2,3,4]]"}, {"at": 2**62}]
)
def test_what_no_server_has_written_is_found_and_read_to_nobody(database: Database, ledger: Ledger, garbled):
    one(database)
    with database.write() as tx:
        tx.execute(RECORDS.update().where(RECORDS.c.chain == "left", RECORDS.c.sequence == 2).values(**garbled))
    assert problems(database) == {"left": "record 2 cannot be read"}
    with pytest.raises(ApiError) as refused:
        records(database)
    assert refused.value.reason is Reason.UNAVAILABLE


def test_a_chain_that_was_forgotten_is_found_after_the_next_record_too(database: Database, ledger: Ledger):
    one(database)
    with database.write() as tx:
        forget(tx)
    with database.write() as tx:
        tx.changed("thing", None, {}, at=("left", "*"))
    assert "left" in problems(database)


def test_nothing_is_changed_where_the_head_is_not_as_the_server_left_it(database: Database, ledger: Ledger):
    one(database)
    with database.write() as tx:
        tx.execute(HEADS.update().where(HEADS.c.chain == "left").values(hash="0" * 64))
    with pytest.raises(ApiError) as refused, database.write() as tx:
        tx.changed("thing", None, {}, at=("left", "*"))
    assert refused.value.reason is Reason.UNAVAILABLE
    with database.write() as tx:
        tx.changed("thing", None, {}, at=("right", "*"))
    assert set(problems(database)) == {"left"}
    assert set(problems(database, b"another key" * 3)) == {"left", "right"}


# --- refusals


def refusal(principal: str = "user:eve", project: str = "team", method: str = "/a.B/C") -> Refusal:
    return Refusal(principal, method, "execution.launch", project, "production", "PERMISSION_MISSING")


def denials(database: Database) -> Iterator[tuple[str, str, str, str, int]]:
    for each in records(database):
        if each.record.kind is Kind.DENIAL:
            yield each.record.chain, each.record.principal, each.record.method, each.record.domain, each.record.count


def test_refusals_of_a_kind_are_one_record_with_their_number(database: Database, ledger: Ledger):
    created(database, "team")
    for _ in range(500):
        ledger.refused(refusal(), "r")
    ledger.refused(refusal(project="no-such-team"), "r")
    ledger.refused(refusal(project="NOT A NAME\0"), "r")
    ledger.flush()
    ledger.flush()
    assert sorted(denials(database)) == [
        ("*", "user:eve", "/a.B/C", "production", 1),
        ("*", "user:eve", "/a.B/C", "production", 1),
        ("team", "user:eve", "/a.B/C", "production", 500),
    ]
    assert problems(database) == {}


def test_a_storm_of_refusals_makes_few_records_and_none_is_uncounted(database: Database, ledger: Ledger):
    created(database, "team")
    for place in range(1_000):
        ledger.refused(refusal(project=f"guess-{place}"), "r")
    ledger.flush()
    assert len(list(denials(database))) == KINDS_OF_ONE + 1
    assert sum(count for *_, count in denials(database)) == 1_000


def test_not_even_many_callers_make_many_records(database: Database, ledger: Ledger):
    for place in range(CALLERS + 50):
        ledger.refused(refusal(f"user:u{place}", method="/a.B/C"), "r")
    counted = [each for kinds in ledger._refusals.values() for each in kinds.values()]
    assert len(counted) <= CALLERS + 1
    assert sum(each.count for each in counted) == CALLERS + 50


def test_refusals_wait_for_a_database_that_is_away(database: Database, ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    created(database, "team")
    ledger.refused(refusal(), "r")
    with monkeypatch.context() as away:
        away.setattr(database, "write", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ledger.flush()
    ledger.refused(refusal(), "r")
    ledger.start()
    ledger.stop()  # writes what is left
    assert list(denials(database)) == [("team", "user:eve", "/a.B/C", "production", 2)]


def test_a_chain_that_was_tampered_with_holds_up_no_other(database: Database, ledger: Ledger):
    created(database, "another")
    created(database, "team")
    with database.write() as tx:
        tx.execute(HEADS.update().where(HEADS.c.chain == "another").values(seal="0" * 64))
    for _ in range(3):
        for place in range(2 * KINDS_OF_ONE):
            ledger.refused(refusal(project="another", method=f"/a.B/C{place}"), "r")
        ledger.refused(refusal("user:ann"), "r")
        with pytest.raises(ApiError):
            ledger.flush()
    written = [each for each in denials(database) if each[0] == "team"]
    assert written == [("team", "user:ann", "/a.B/C", "production", 1)] * 3
    waiting = [counted.count for kinds in ledger._refusals.values() for counted in kinds.values()]
    assert (len(waiting), sum(waiting)) == (KINDS_OF_ONE, 3 * KINDS_OF_ONE)


def test_names_of_any_length_are_not_kept(database: Database, ledger: Ledger):
    for place in range(10):
        ledger.refused(
            Refusal("user:eve", "/a.B/C", "", f"{place}" * 1_000, f"{place}" * 1_000, "PERMISSION_MISSING"), ""
        )
    assert list(ledger._refusals["user:eve"]) == [Refusal("user:eve", "/a.B/C", "", "", "*", "PERMISSION_MISSING")]


def test_stopping_writes_what_is_left(database: Database, ledger: Ledger):
    ledger.start()
    ledger.refused(refusal(), "r")
    ledger.stop()
    with database.read() as tx:
        assert tx.execute(select(func.count()).select_from(RECORDS)).scalar_one() == 1
