"""The policy: what a change needs, when it holds, and when nobody can tell."""

import json
import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, update
from sqlalchemy.exc import SQLAlchemyError

from airspace_server.access.decide import Need, Visible, holds
from airspace_server.access.identity import Principal
from airspace_server.access.policy import POLL_SECONDS, PolicyStore
from airspace_server.access.store import (
    bindings_of,
    change,
    create_binding,
    create_role,
    delete_binding,
    delete_role,
    establish,
    has_bindings,
    list_bindings,
    require_own_bindings,
)
from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.permissions import BUILT_IN_ROLES, Permission
from airspace_server.core.scope import ScopePattern
from airspace_server.storage.tables import BindingRow, PolicyRevisionRow, RoleRow, ServiceAccountRow, table

EVERYWHERE = ScopePattern("*", "*")
LAUNCH = Permission.EXECUTION_LAUNCH


def may(policy: PolicyStore, principal: Principal, project: str, domain: str, permission: Permission = LAUNCH) -> bool:
    return holds(principal, Need(permission, ScopePattern(project, domain)), policy.snapshot().grants)


def raised(setup, action: Callable, *args) -> ApiError:
    with pytest.raises(ApiError) as caught, setup.database.write() as tx:
        action(tx, *args)
    return caught.value


def do(setup, action: Callable, *args):
    with setup.database.write() as tx:
        result = action(tx, *args)
    setup.policy.refresh()
    return result


# --- reading


def test_the_policy_says_what_the_tables_say(setup):
    ann = setup.bind("user:ann", "contributor", "maps", "development")
    setup.account("ci")
    policy = setup.policy.snapshot()
    assert may(setup.policy, ann, "maps", "development")
    assert not may(setup.policy, ann, "maps", "production")
    assert not may(setup.policy, ann, "maps", "*")
    assert policy.roles == BUILT_IN_ROLES
    assert policy.service_accounts == {"ci": 1}


def test_a_binding_to_a_role_that_is_gone_gives_nothing(setup):
    ann = setup.bind("user:ann", "launcher")
    assert not any(may(setup.policy, ann, "maps", "production", permission) for permission in Permission)


def test_a_planted_role_cannot_stand_for_a_built_in_one(setup):
    with setup.database.write() as tx:
        change(tx)
        tx.insert(table(RoleRow), {"name": "viewer", "permissions": json.dumps(["execution.launch"]), "created_at": 1})
    ann = setup.bind("user:ann", "viewer")
    assert not may(setup.policy, ann, "maps", "production")
    assert setup.policy.snapshot().roles == BUILT_IN_ROLES


def test_permissions_of_a_newer_version_give_nothing(setup):
    with setup.database.write() as tx:
        change(tx)
        permissions = json.dumps(["execution.teleport", "execution.launch"])
        tx.insert(table(RoleRow), {"name": "future", "permissions": permissions, "created_at": 1})
    ann = setup.bind("user:ann", "future")
    assert setup.policy.snapshot().roles["future"] == {LAUNCH}
    assert may(setup.policy, ann, "maps", "production")


def test_a_disabled_account_is_not_among_the_accounts(setup):
    setup.account("ci")
    accounts = table(ServiceAccountRow)
    with setup.database.write() as tx:
        change(tx)
        tx.execute(update(accounts).values(disabled=True))
    setup.policy.refresh()
    assert setup.policy.snapshot().service_accounts == {}


def test_ten_thousand_bindings_load(setup):
    rows = [
        {
            "member": f"user:{number % 2_000}",
            "role": ("viewer", "contributor", "launcher")[number % 3],
            "project_pattern": f"project-{number // 4}",
            "domain_pattern": ("development", "production", "*", "staging")[number % 4],
            "creator": "user:test",
            "created_at": number,
        }
        for number in range(10_000)
    ]
    do(setup, create_role_unchecked, "launcher")
    with setup.database.write() as tx:
        change(tx)
        tx.insert(table(BindingRow), *rows)
    policy = PolicyStore(setup.database)
    policy.refresh()
    assert len(policy.snapshot().grants.table) == 2_000


def create_role_unchecked(tx, name: str) -> None:
    change(tx)
    tx.insert(table(RoleRow), {"name": name, "permissions": json.dumps([LAUNCH]), "created_at": 1})


def test_an_unchanged_policy_is_not_compiled_again(setup):
    before = setup.policy.snapshot()
    setup.policy.refresh()
    assert setup.policy.snapshot() is before
    setup.bind("user:ann", "viewer")
    assert setup.policy.snapshot() is not before


def test_a_restored_backup_is_noticed_although_its_revision_is_lower(setup):
    ann = setup.bind("user:ann", "admin")
    with setup.database.write() as tx:
        tx.execute(delete(table(BindingRow)))
        tx.execute(update(table(PolicyRevisionRow)).values(revision=0))
    setup.policy.refresh()
    assert not may(setup.policy, ann, "maps", "production")


# --- failing closed


def test_no_policy_was_read_yet(setup):
    with pytest.raises(ApiError) as caught:
        PolicyStore(setup.database).snapshot()
    assert caught.value.reason is Reason.UNAVAILABLE


def test_a_policy_too_old_to_be_trusted_allows_nothing(setup, clock):
    setup.bind("user:ann", "admin")
    clock.now += 30
    setup.policy.snapshot()
    clock.now += 0.1
    with pytest.raises(ApiError) as caught:
        setup.policy.snapshot()
    assert caught.value.reason is Reason.UNAVAILABLE
    setup.policy.refresh()
    setup.policy.snapshot()


def test_a_policy_without_a_revision_allows_nothing(setup):
    setup.bind("user:ann", "admin")
    with setup.database.write() as tx:
        tx.execute(delete(table(PolicyRevisionRow)))
    setup.policy.refresh()
    with pytest.raises(ApiError) as caught:
        setup.policy.snapshot()
    assert caught.value.reason is Reason.UNAVAILABLE
    admin = Principal("user:ann")
    assert raised(setup, create_binding, admin, "user:bob", "viewer", EVERYWHERE, 1).reason is Reason.UNAVAILABLE
    do(setup, establish)
    setup.policy.snapshot()


def test_a_writer_that_cannot_read_its_change_back_leaves_no_old_policy_behind(setup, monkeypatch):
    setup.bind("user:ann", "admin")

    def broken(**_options) -> None:
        raise SQLAlchemyError("the database is gone")

    with monkeypatch.context() as patched:
        patched.setattr(setup.database, "read", broken)
        with pytest.raises(SQLAlchemyError):
            setup.policy.refresh()
    with pytest.raises(ApiError) as caught:
        setup.policy.snapshot()
    assert caught.value.reason is Reason.UNAVAILABLE


# --- other processes


def wait_until(condition: Callable[[], bool], seconds: float) -> float:
    """Return after how many seconds the condition held."""
    began = time.monotonic()
    pause = threading.Event()
    while not condition():
        assert time.monotonic() - began < seconds, "the condition did not come to hold in time"
        pause.wait(0.005)
    return time.monotonic() - began


def test_another_process_sees_a_revocation_within_a_second(setup, other):
    ann = setup.bind("user:ann", "contributor")
    elsewhere = PolicyStore(other())
    elsewhere.start()
    try:
        assert may(elsewhere, ann, "maps", "production")
        do(setup, delete_binding, "user:ann", "contributor", EVERYWHERE)
        assert not may(setup.policy, ann, "maps", "production")
        assert wait_until(lambda: not may(elsewhere, ann, "maps", "production"), 5.0) < 1.0
        setup.bind("user:ann", "viewer")
        wait_until(lambda: may(elsewhere, ann, "maps", "production", Permission.EXECUTION_VIEW), 5.0)
    finally:
        elsewhere.stop()


def test_watching_goes_on_after_the_database_was_away(setup, other, caplog):
    database = other()
    elsewhere = PolicyStore(database)
    elsewhere.start()
    read = database.read
    failed = threading.Event()

    def broken(**_options) -> None:
        failed.set()
        raise SQLAlchemyError("the database is gone")

    try:
        database.read = broken
        assert failed.wait(10 * POLL_SECONDS)
        elsewhere.snapshot()
        ann = setup.bind("user:ann", "contributor")
        database.read = read
        wait_until(lambda: may(elsewhere, ann, "maps", "production"), 5.0)
    finally:
        elsewhere.stop()
    assert "policy" in caplog.text


def test_a_policy_is_never_replaced_by_an_older_one(setup):
    """Many refresh at once while bindings change: no reader ever sees a revision go back."""
    stop = threading.Event()
    seen: list[list[int]] = []

    def look() -> None:
        mine: list[int] = []
        seen.append(mine)
        while not stop.is_set():
            setup.policy.refresh()
            mine.append(setup.policy.snapshot().revision)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for number in range(25):
            setup.bind(f"user:{number}", "viewer")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert all(mine == sorted(mine) for mine in seen)
    assert setup.policy.snapshot().revision == 26


# --- changing


def test_a_binding_is_made_once_and_found_again(setup):
    admin = setup.bind("user:root", "admin")
    first, revision = do(setup, create_binding, admin, "user:ann", "viewer", ScopePattern("maps", "*"), 11)
    assert (first.creator, first.created_at) == ("user:root", 11)
    assert setup.policy.snapshot().revision == revision
    again, _ = do(setup, create_binding, admin, "user:ann", "viewer", ScopePattern("maps", "*"), 12)
    assert again == first


def test_each_change_is_a_new_revision(setup):
    admin = setup.bind("user:root", "admin")
    revisions = [
        do(setup, create_role, admin, "launcher", [LAUNCH, LAUNCH], 1),
        do(setup, create_binding, admin, "user:ann", "launcher", EVERYWHERE, 2)[1],
        do(setup, delete_binding, "user:ann", "launcher", EVERYWHERE),
        do(setup, delete_role, "launcher"),
    ]
    assert revisions == list(range(revisions[0], revisions[0] + 4))
    assert setup.policy.snapshot().revision == revisions[-1]


def test_a_change_that_fails_is_no_change(setup):
    setup.bind("user:root", "admin")
    before = setup.policy.snapshot().revision
    raised(setup, delete_binding, "user:ann", "viewer", EVERYWHERE)
    raised(setup, create_role, Principal("user:eve"), "launcher", [LAUNCH], 1)
    setup.policy.refresh()
    assert setup.policy.snapshot().revision == before


def test_nobody_grants_what_they_do_not_hold_there(setup):
    manager = setup.bind("user:mia", "viewer", "maps", "*")
    setup.bind("user:mia", "contributor", "maps", "development")
    for role, pattern, allowed in (
        ("viewer", ScopePattern("maps", "*"), True),
        ("viewer", ScopePattern("maps", "production"), True),
        ("viewer", ScopePattern("*", "production"), False),
        ("viewer", ScopePattern("ads", "production"), False),
        ("contributor", ScopePattern("maps", "development"), True),
        ("contributor", ScopePattern("maps", "*"), False),
        ("contributor", ScopePattern("maps", "production"), False),
        ("admin", ScopePattern("maps", "development"), False),
    ):
        if allowed:
            do(setup, create_binding, manager, "user:ann", role, pattern, 1)
        else:
            error = raised(setup, create_binding, manager, "user:mia", role, pattern, 1)
            assert error.reason is Reason.GRANT_EXCEEDS_OWN
            assert error.metadata["scope"] == str(pattern)
            assert error.metadata["permission"] in {str(permission) for permission in BUILT_IN_ROLES[role]}


def test_a_groups_rights_can_be_passed_on(setup):
    setup.bind("group:leads", "admin", "maps", "*")
    lead = Principal("user:lea", frozenset({"group:leads"}))
    do(setup, create_binding, lead, "user:ann", "contributor", ScopePattern("maps", "production"), 1)


def test_what_was_revoked_a_moment_ago_elsewhere_cannot_be_passed_on(setup):
    """The caller was authorized by a snapshot that still had its binding."""
    setup.bind("user:root", "admin")
    eve = setup.bind("user:eve", "admin", "maps", "*")
    with setup.database.write() as tx:
        delete_binding(tx, "user:eve", "admin", ScopePattern("maps", "*"))
    assert may(setup.policy, eve, "maps", "production")
    error = raised(setup, create_binding, eve, "user:mallory", "viewer", ScopePattern("maps", "*"), 1)
    assert error.reason is Reason.GRANT_EXCEEDS_OWN


def test_a_role_needs_all_its_permissions_everywhere(setup):
    setup.bind("user:mia", "contributor", "*", "development")
    mia = setup.bind("user:mia", "viewer")
    do(setup, create_role, mia, "looker", [Permission.EXECUTION_VIEW, Permission.REGISTRY_VIEW], 1)
    error = raised(setup, create_role, mia, "launcher", [Permission.EXECUTION_VIEW, LAUNCH], 1)
    assert error.reason is Reason.GRANT_EXCEEDS_OWN
    assert error.metadata == {"permission": "execution.launch", "scope": "*/*"}


def test_an_unknown_role_cannot_be_bound(setup):
    admin = setup.bind("user:root", "admin")
    error = raised(setup, create_binding, admin, "user:ann", "launcher", EVERYWHERE, 1)
    assert (error.reason, error.field) == (Reason.INVALID_FIELD, "role")


@pytest.mark.parametrize("name", BUILT_IN_ROLES)
def test_built_in_roles_are_neither_made_nor_deleted(setup, name: str):
    admin = setup.bind("user:root", "admin")
    assert raised(setup, create_role, admin, name, [LAUNCH], 1).reason is Reason.ALREADY_EXISTS
    error = raised(setup, delete_role, name)
    assert (error.reason, error.field) == (Reason.INVALID_FIELD, "name")


def test_a_role_that_is_taken_bound_or_missing(setup):
    admin = setup.bind("user:root", "admin")
    do(setup, create_role, admin, "launcher", [LAUNCH], 1)
    assert raised(setup, create_role, admin, "launcher", [], 1).reason is Reason.ALREADY_EXISTS
    do(setup, create_binding, admin, "user:ann", "launcher", EVERYWHERE, 1)
    assert raised(setup, delete_role, "launcher").reason is Reason.IN_USE
    do(setup, delete_binding, "user:ann", "launcher", EVERYWHERE)
    do(setup, delete_role, "launcher")
    assert raised(setup, delete_role, "launcher").reason is Reason.NOT_FOUND


def test_a_binding_that_is_not_there_cannot_be_removed(setup):
    setup.bind("user:ann", "viewer", "maps", "*")
    error = raised(setup, delete_binding, "user:ann", "viewer", ScopePattern("maps", "production"))
    assert error.reason is Reason.NOT_FOUND


def test_the_last_administrator_stays(setup):
    setup.bind("user:root", "admin")
    setup.bind("user:ann", "admin", "maps", "*")
    setup.bind("user:bob", "releaser")
    assert raised(setup, delete_binding, "user:root", "admin", EVERYWHERE).reason is Reason.LAST_ADMIN
    setup.bind("group:roots", "admin")
    do(setup, delete_binding, "user:root", "admin", EVERYWHERE)
    assert raised(setup, delete_binding, "group:roots", "admin", EVERYWHERE).reason is Reason.LAST_ADMIN


def test_an_administrator_that_nobody_can_be_does_not_count(setup):
    setup.bind("user:root", "admin")
    setup.bind("service-account:ci", "admin")
    assert raised(setup, delete_binding, "user:root", "admin", EVERYWHERE).reason is Reason.LAST_ADMIN
    do(setup, delete_binding, "service-account:ci", "admin", EVERYWHERE)
    setup.bind("service-account:ci", "admin")
    setup.account("ci")
    do(setup, delete_binding, "user:root", "admin", EVERYWHERE)
    assert raised(setup, delete_binding, "service-account:ci", "admin", EVERYWHERE).reason is Reason.LAST_ADMIN


def test_a_disabled_account_is_no_administrator(setup):
    setup.account("ci")
    setup.bind("service-account:ci", "admin")
    setup.bind("user:root", "admin")
    with setup.database.write() as tx:
        change(tx)
        tx.execute(update(table(ServiceAccountRow)).values(disabled=True))
    assert raised(setup, delete_binding, "user:root", "admin", EVERYWHERE).reason is Reason.LAST_ADMIN


def test_of_two_administrators_leaving_at_once_one_stays(setup):
    setup.bind("user:ann", "admin")
    setup.bind("user:bob", "admin")
    gate = threading.Barrier(2)
    answers: list[str] = []

    def leave(member: str) -> None:
        gate.wait()
        try:
            with setup.database.write() as tx:
                delete_binding(tx, member, "admin", EVERYWHERE)
            answers.append("gone")
        except ApiError as error:
            answers.append(error.reason)

    threads = [threading.Thread(target=leave, args=[member]) for member in ("user:ann", "user:bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [Reason.LAST_ADMIN, "gone"]


def test_becoming_able_to_be_a_member_needs_what_it_is_bound_to(setup):
    setup.bind("service-account:ci", "contributor", "maps", "*")
    mia = setup.bind("user:mia", "contributor", "maps", "development")
    error = raised(setup, require_own_bindings, mia, "service-account:ci")
    assert error.reason is Reason.GRANT_EXCEEDS_OWN
    setup.bind("user:mia", "contributor", "*", "*")
    do(setup, require_own_bindings, mia, "service-account:ci")


# --- listing


@pytest.fixture
def many(setup):
    for member in ("user:ann", "user:bob", "group:ads"):
        for project in ("*", "ads", "maps"):
            for domain in ("*", "development", "production"):
                setup.bind(member, "viewer", project, domain)
    return setup


cells = st.tuples(st.sampled_from(("*", "ads", "maps", "search")), st.sampled_from(("*", "development", "production")))


def listed(setup, visible: Visible, member: str = "", size: int = 4) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    with setup.database.read() as tx:
        page, end = list_bindings(tx, visible, member, None, size)
        found += [binding.key for binding in page]
        while end is not None:
            page, end = list_bindings(tx, visible, member, end, size)
            found += [binding.key for binding in page]
    return found


def test_a_list_has_all_and_only_what_is_covered_by_one_visible_pattern(many):
    every = listed(many, Visible(frozenset({("*", "*")})), size=1000)
    assert len(every) == 27
    assert every == sorted(every)

    @given(st.frozensets(cells, max_size=5), st.sampled_from(("", "user:ann", "user:zoe")), st.integers(1, 6))
    def check(patterns: frozenset[tuple[str, str]], member: str, size: int) -> None:
        visible = Visible(patterns)
        expected = [
            key for key in every if visible.includes(ScopePattern(key[2], key[3])) and (not member or key[0] == member)
        ]
        assert listed(many, visible, member, size) == expected

    check()


def test_seeing_nothing_lists_nothing(many):
    assert listed(many, Visible(frozenset())) == []


def test_thousands_of_visible_scopes_are_one_question(many):
    scopes = {(f"project-{number}", ("development", "production")[number % 2]) for number in range(5_000)}
    projects = {(f"other-{number}", "*") for number in range(5_000)}
    visible = Visible(frozenset(scopes | projects | {("maps", "*")}))
    assert {key[2] for key in listed(many, visible)} == {"maps"}


def test_the_bindings_of_a_principal_are_its_own_and_its_groups(setup):
    setup.bind("user:ann", "viewer", "maps", "*")
    setup.bind("group:ads", "contributor", "ads", "*")
    setup.bind("user:bob", "admin")
    with setup.database.read() as tx:
        found = bindings_of(tx, Principal("user:ann", frozenset({"group:ads", "group:none"})))
        assert has_bindings(tx)
    assert [binding.key for binding in found] == [
        ("group:ads", "contributor", "ads", "*"),
        ("user:ann", "viewer", "maps", "*"),
    ]


def test_nobody_is_bound_in_the_beginning(setup):
    with setup.database.read() as tx:
        assert not has_bindings(tx)
