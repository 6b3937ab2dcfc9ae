"""Accounts and bindings end when they are told to, at once, and nobody makes more of what is lent."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airspace_server.access.accounts import (
    create_service_account,
    disable,
    enable,
    list_accounts,
    rotate_secret,
)
from airspace_server.access.authenticate import Authenticator
from airspace_server.access.decide import Need, Visible, holds
from airspace_server.access.explain import explain
from airspace_server.access.identity import Principal
from airspace_server.access.issuer import InvalidClientError, Issuer
from airspace_server.access.keys import signing_key
from airspace_server.access.policy import PolicyStore
from airspace_server.access.store import (
    Binding,
    bindings_of,
    change,
    create_binding,
    create_role,
    delete_binding,
    insert_binding,
)
from airspace_server.access.trusted import BuiltInIssuer
from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.permissions import Permission
from airspace_server.core.scope import Scope, ScopePattern

EVERYWHERE, MAPS = ScopePattern("*", "*"), ScopePattern("maps", "*")
HOUR = 3_600_000_000
URL = "http://127.0.0.1:8088"


def do(setup, action: Callable, *args: Any, **more: Any) -> Any:
    with setup.database.write() as tx:
        result = action(tx, *args, **more)
    setup.policy.refresh()
    return result


def refused(setup, action: Callable, *args: Any, **more: Any) -> ApiError:
    with pytest.raises(ApiError) as caught, setup.database.write() as tx:
        action(tx, *args, **more)
    return caught.value


def lend(setup, member: str, role: str, pattern: ScopePattern, until: int) -> Principal:
    with setup.database.write() as tx:
        change(tx)
        insert_binding(tx, Binding(member, role, pattern, "user:test", 7, until))
    setup.policy.refresh()
    return Principal(member)


def may(policy: PolicyStore, principal: Principal, permission: Permission = Permission.EXECUTION_LAUNCH) -> bool:
    return holds(principal, Need(permission, ScopePattern("maps", "production")), policy.snapshot().grants)


@pytest.fixture
def issuer(setup, clock, tmp_path: Path) -> Issuer:
    return Issuer(setup.database, signing_key(tmp_path / "keys"), URL, "airspace", clock)


@pytest.fixture
def authenticator(setup, issuer: Issuer, clock) -> Authenticator:
    return Authenticator([BuiltInIssuer(issuer.key, URL, "airspace")], setup.policy, lambda _: None, clock)


# --- bindings that expire


def test_a_binding_gives_nothing_from_the_moment_on_at_which_it_expires(setup, clock, other):
    ann = lend(setup, "user:ann", "contributor", MAPS, clock() + 10_000_000)
    bob = lend(setup, "user:bob", "contributor", MAPS, clock() + 20_000_000)
    elsewhere = PolicyStore(other(), clock.seconds, now=clock)
    elsewhere.refresh()
    clock.now += 9.999
    assert all(may(policy, ann) and may(policy, bob) for policy in (setup.policy, elsewhere))
    clock.now += 0.001
    assert not any(may(policy, ann) for policy in (setup.policy, elsewhere))
    assert all(may(policy, bob) for policy in (setup.policy, elsewhere))
    clock.now += 10
    assert not any(may(policy, bob) for policy in (setup.policy, elsewhere))


def test_a_policy_whose_next_expiry_cannot_be_looked_at_allows_nothing(setup, clock, monkeypatch: pytest.MonkeyPatch):
    lend(setup, "user:ann", "contributor", MAPS, clock() + 1_000_000)
    clock.now += 1
    monkeypatch.setattr(setup.database, "read", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        setup.policy.snapshot()
    with pytest.raises(ApiError) as caught:
        setup.policy.snapshot()
    assert caught.value.reason is Reason.UNAVAILABLE


def test_who_names_a_revision_never_reads_an_older_policy(setup, clock, other):
    elsewhere = PolicyStore(other(), clock.seconds, now=clock)
    elsewhere.refresh()
    known = elsewhere.snapshot().revision
    ann = setup.bind("user:ann", "contributor", "maps", "production")
    made = setup.policy.snapshot().revision
    assert made > known
    assert not may(elsewhere, ann)  # nobody has told it yet
    policy = elsewhere.at_least(made)
    assert policy.revision == made
    assert may(elsewhere, ann)
    with pytest.raises(ApiError) as caught:
        elsewhere.at_least(made + 1)
    assert (caught.value.reason, caught.value.field) == (Reason.INVALID_FIELD, "min_revision")


def test_what_is_lent_cannot_be_given_on_for_longer(setup, clock):
    now = clock()
    guest = lend(setup, "user:guest", "admin", MAPS, now + HOUR)
    for until in (None, now + HOUR + 1):
        error = refused(setup, create_binding, guest, "user:bob", "viewer", MAPS, now, until)
        assert error.reason is Reason.GRANT_EXCEEDS_OWN
    binding, _ = do(setup, create_binding, guest, "user:bob", "viewer", MAPS, now, now + HOUR)
    assert binding.expires_at == now + HOUR
    clock.now += 3601
    error = refused(setup, create_binding, guest, "user:eve", "viewer", MAPS, clock(), clock() + 1)
    assert error.reason is Reason.GRANT_EXCEEDS_OWN


def test_one_binding_has_one_expiry_and_one_that_has_expired_is_made_anew(setup, clock):
    root = setup.bind("user:root", "admin")
    now = clock()
    first, _ = do(setup, create_binding, root, "user:bob", "viewer", MAPS, now, now + HOUR)
    assert do(setup, create_binding, root, "user:bob", "viewer", MAPS, now, now + HOUR)[0] == first
    error = refused(setup, create_binding, root, "user:bob", "viewer", MAPS, now)
    assert (error.reason, error.field) == (Reason.ALREADY_EXISTS, "expire_time")
    clock.now += 3600
    again, _ = do(setup, create_binding, root, "user:bob", "viewer", MAPS, clock())
    assert (again.expires_at, again.created_at) == (None, clock())
    assert may(setup.policy, Principal("user:bob"), Permission.EXECUTION_VIEW)


# --- the last administrator


def test_whoever_is_an_administrator_for_a_while_does_not_count_as_the_last(setup, clock):
    setup.bind("user:root", "admin")
    lend(setup, "user:guest", "admin", EVERYWHERE, clock() + HOUR)
    assert refused(setup, delete_binding, "user:root", "admin", EVERYWHERE).reason is Reason.LAST_ADMIN
    do(setup, delete_binding, "user:guest", "admin", EVERYWHERE)


def test_the_last_administrator_cannot_be_disabled(setup):
    setup.account("robot")
    setup.bind("service-account:robot", "admin")
    setup.account("other")
    assert refused(setup, disable, "robot").reason is Reason.LAST_ADMIN
    setup.bind("service-account:other", "admin")
    do(setup, disable, "robot")
    assert refused(setup, disable, "other").reason is Reason.LAST_ADMIN
    assert refused(setup, delete_binding, "service-account:other", "admin", EVERYWHERE).reason is Reason.LAST_ADMIN
    do(setup, enable, Principal("service-account:other"), "robot")
    do(setup, disable, "other")


# --- accounts


def test_a_new_secret_makes_the_old_one_and_its_tokens_worthless_at_once(
    setup, issuer: Issuer, authenticator: Authenticator
):
    root = setup.bind("user:root", "admin")
    old = setup.account("robot")
    header = f"Bearer {issuer.token('robot', old, '').access_token}"
    assert authenticator.authenticate(header).member == "service-account:robot"
    new, _ = do(setup, rotate_secret, root, "robot")
    with pytest.raises(ApiError) as caught:
        authenticator.authenticate(header)
    assert caught.value.reason is Reason.TOKEN_INVALID
    with pytest.raises(InvalidClientError):
        issuer.token("robot", old, "")
    assert authenticator.authenticate(f"Bearer {issuer.token('robot', new, '').access_token}")


def test_only_who_holds_what_an_account_holds_gets_its_secret_or_lets_it_in_again(setup):
    setup.account("robot")
    setup.bind("service-account:robot", "contributor", "ads")
    keeper = setup.bind("user:keeper", "access-keeper")
    with setup.database.write() as tx:
        root = Principal("user:root")
        change(tx)
        insert_binding(tx, Binding("user:root", "admin", EVERYWHERE, "user:test", 7))
        create_role(tx, root, "access-keeper", {Permission.ACCESS_MANAGE}, 8)
    setup.policy.refresh()
    assert refused(setup, rotate_secret, keeper, "robot").reason is Reason.GRANT_EXCEEDS_OWN
    do(setup, rotate_secret, root, "robot")
    do(setup, disable, "robot")
    assert refused(setup, enable, keeper, "robot").reason is Reason.GRANT_EXCEEDS_OWN
    assert "robot" not in setup.policy.snapshot().service_accounts
    do(setup, enable, root, "robot")
    assert "robot" in setup.policy.snapshot().service_accounts


def test_who_holds_it_for_a_while_does_not_let_an_account_in_for_good(setup, clock):
    setup.bind("user:root", "admin")
    setup.account("robot")
    setup.bind("service-account:robot", "contributor", "maps")
    guest = lend(setup, "user:guest", "admin", EVERYWHERE, clock() + HOUR)
    do(setup, disable, "robot")
    for action in (enable, rotate_secret):
        assert refused(setup, action, guest, "robot").reason is Reason.GRANT_EXCEEDS_OWN


def test_a_disabled_account_is_out_at_once_and_in_again_when_enabled(
    setup, issuer: Issuer, authenticator: Authenticator
):
    secret = setup.account("robot")
    header = f"Bearer {issuer.token('robot', secret, '').access_token}"
    account, _ = do(setup, disable, "robot")
    assert account.disabled
    with pytest.raises(ApiError) as caught:
        authenticator.authenticate(header)
    assert caught.value.reason is Reason.ACCOUNT_DISABLED
    with pytest.raises(InvalidClientError):
        issuer.token("robot", secret, "")
    do(setup, enable, Principal("user:keeper"), "robot")  # it is bound to nothing
    assert authenticator.authenticate(header)


def test_accounts_are_listed_by_name_in_pages(setup):
    for name in ("cc", "aa", "bb"):
        do(setup, create_service_account, name, "user:root", 7)
    do(setup, disable, "bb")
    with setup.database.read() as tx:
        page, end = list_accounts(tx, None, 2)
        assert [(each.name, each.disabled, each.creator) for each in page] == [
            ("aa", False, "user:root"),
            ("bb", True, "user:root"),
        ]
        assert [each.name for each in list_accounts(tx, end, 2)[0]] == ["cc"]


@pytest.mark.parametrize("action", [disable, enable, rotate_secret])
def test_an_account_that_is_not_there_is_said_to_be_so(setup, action: Callable):
    arguments = ("nobody",) if action is disable else (Principal("user:root"), "nobody")
    assert refused(setup, action, *arguments).reason is Reason.NOT_FOUND


# --- why


def asked(setup, principal: Principal, permission: Permission, now: int = 8, seen: ScopePattern = EVERYWHERE):
    with setup.database.read() as tx:
        bindings = bindings_of(tx, principal)
    visible = Visible(frozenset({(seen.project, seen.domain)}))
    return explain(setup.policy.snapshot(), principal, bindings, permission, Scope("maps", "production"), now, visible)


def test_an_answer_names_what_gives_a_permission_or_who_could(setup, clock):
    setup.bind("user:root", "admin")
    setup.bind("user:lead", "admin", "maps")
    setup.bind("user:other", "admin", "ads")
    setup.account("gone")
    setup.bind("service-account:gone", "admin")
    do(setup, disable, "gone")
    ann = Principal("user:ann", frozenset({"group:ml"}))
    setup.bind("group:ml", "contributor", "*", "production")
    setup.bind("user:ann", "viewer", "maps")
    setup.bind("user:ann", "contributor", "ads")
    answer = asked(setup, ann, Permission.EXECUTION_LAUNCH)
    assert answer.allowed
    assert [(each.member, each.role) for each in answer.bindings] == [("group:ml", "contributor")]
    assert answer.could_grant == ()
    answer = asked(setup, ann, Permission.LAUNCHPLAN_ACTIVATE)
    assert (answer.allowed, answer.bindings) == (False, ())
    assert answer.could_grant == ("user:lead", "user:root")
    answer = asked(setup, Principal("service-account:gone"), Permission.EXECUTION_LAUNCH)
    assert (answer.allowed, answer.shut_out, [each.role for each in answer.bindings]) == (False, True, ["admin"])


def test_an_answer_names_no_binding_and_no_member_of_wider_scopes_than_the_asker_sees(setup):
    setup.bind("user:root", "admin")
    setup.bind("user:domain-lead", "admin", "*", "production")
    setup.bind("user:lead", "admin", "maps")
    setup.bind("user:here", "admin", "maps", "production")
    ann = setup.bind("user:ann", "viewer")
    for seen, named in (
        (ScopePattern("ads", "*"), ()),
        (ScopePattern("maps", "production"), ("user:here",)),
        (MAPS, ("user:here", "user:lead")),
        (ScopePattern("*", "production"), ("user:domain-lead", "user:here")),
        (EVERYWHERE, ("user:domain-lead", "user:here", "user:lead", "user:root")),
    ):
        answer = asked(setup, ann, Permission.EXECUTION_LAUNCH, seen=seen)
        assert (answer.allowed, answer.could_grant) == (False, named)
        answer = asked(setup, ann, Permission.EXECUTION_VIEW, seen=seen)
        assert answer.allowed
        assert [each.role for each in answer.bindings] == (["viewer"] if seen == EVERYWHERE else [])


def test_an_answer_names_the_binding_that_has_expired(setup, clock):
    guest = lend(setup, "user:guest", "contributor", MAPS, clock() + 1)
    clock.now += 1
    answer = asked(setup, guest, Permission.EXECUTION_LAUNCH, clock())
    assert (answer.allowed, answer.shut_out) == (False, False)
    assert [each.expires_at for each in answer.bindings] == [clock() - 999_999]
