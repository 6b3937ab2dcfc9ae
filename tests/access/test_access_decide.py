"""The decision, against an oracle that is too simple to be wrong."""

import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airspace_server.access.decide import Grant, Grants, Need, Reach, first_missing, holds, visible
from airspace_server.access.identity import ANONYMOUS, Principal
from airspace_server.core.permissions import DELEGATED, Permission
from airspace_server.core.scope import ANY, EntityKind, ExecutionId, Scope, ScopePattern

PROJECTS = ("ads", "maps", "search")
DOMAINS = ("development", "production")
MEMBERS = ("user:ann", "user:bob", "group:ads", "group:all", "service-account:ci")
PERMISSIONS = tuple(Permission)[:4]
KINDS, NAMES = (EntityKind.TASK, EntityKind.WORKFLOW), ("fit", "train")
WORLD = [Scope(project, domain) for project in (*PROJECTS, "elsewhere") for domain in (*DOMAINS, "staging")]
"""No binding names the project "elsewhere" or the domain "staging": they stand for all that may be there tomorrow."""
CASES = int(os.environ.get("RANDOM_DECISIONS", "50000"))
SEED = os.environ.get("RANDOM_SEED", "airspace")


Exports = list[tuple[tuple[str, str, EntityKind, str], str]]


def oracle(principal: Principal, need: Need, grants: list[Grant], exports: Exports | tuple[()] = ()) -> bool:
    """Go through every scope of the world and every binding, and use nothing of the product but its data classes."""

    def matches(pattern: ScopePattern, scope: Scope) -> bool:
        return pattern.project in ("*", scope.project) and pattern.domain in ("*", scope.domain)

    def allowed_at(scope: Scope) -> bool:
        return any(
            grant.member in {principal.member, *principal.groups}
            and need.permission in grant.permissions
            and matches(grant.pattern, scope)
            for grant in grants
        )

    answers = [allowed_at(scope) for scope in WORLD if matches(need.target, scope)]
    if any(answers) if need.reach is Reach.SOME else all(answers):
        return True
    for (project, domain, kind, name), consumer in exports:
        if need.exported is None or (project, domain) != (need.target.project, need.target.domain):
            continue
        if kind is need.exported[0] and name in ("*", need.exported[1]) and allowed_at(Scope(consumer, domain)):
            return True
    return False


patterns = st.builds(ScopePattern, st.sampled_from((*PROJECTS, ANY)), st.sampled_from((*DOMAINS, ANY)))
principals = st.builds(
    Principal, st.sampled_from((*MEMBERS, ANONYMOUS.member)), st.frozensets(st.sampled_from(MEMBERS[2:4]))
)
needs = st.builds(Need, st.sampled_from(PERMISSIONS), patterns, st.sampled_from(Reach))
one_grant = st.builds(Grant, st.sampled_from(MEMBERS), patterns, st.frozensets(st.sampled_from(PERMISSIONS)))
some_grants = st.lists(one_grant, max_size=8)


def random_case(case: int) -> tuple[Principal, list[Need], list[Grant], Exports]:
    """Make one case from its number alone, so that a failure is seen again without those before it."""
    chance = random.Random(f"{SEED}/{case}")

    def pattern() -> ScopePattern:
        return ScopePattern(chance.choice((*PROJECTS, ANY)), chance.choice((*DOMAINS, ANY)))

    def some(values, most: int) -> frozenset:
        return frozenset(chance.sample(values, chance.randint(0, most)))

    grants = [Grant(chance.choice(MEMBERS), pattern(), some(PERMISSIONS, 3)) for _ in range(chance.randint(0, 6))]
    principal = Principal(chance.choice((*MEMBERS, "user:nobody")), some(MEMBERS[2:4], 2))
    wanted = [
        Need(
            chance.choice(PERMISSIONS),
            pattern(),
            chance.choice((Reach.ALL, Reach.SOME)),
            chance.choice((None, (chance.choice(KINDS), chance.choice(NAMES)))),
        )
        for _ in range(chance.choice((1, 1, 1, 2)))
    ]
    exports = [
        (
            (chance.choice(PROJECTS), chance.choice(DOMAINS), chance.choice(KINDS), chance.choice((*NAMES, ANY))),
            chance.choice((*PROJECTS, "elsewhere")),
        )
        for _ in range(chance.randint(0, 5))
    ]
    return principal, wanted, grants, exports


def test_every_random_decision_is_that_of_the_oracle():
    answers, through_export = {True: 0, False: 0}, 0
    for case in range(CASES):
        principal, wanted, grants, exports = random_case(case)
        expected = next((need for need in wanted if not oracle(principal, need, grants, exports)), None)
        found = first_missing(principal, wanted, Grants.compile(grants, exports))
        assert found == expected, f"random_case({case}) with RANDOM_SEED={SEED}: {random_case(case)}"
        answers[expected is None] += 1
        through_export += found != first_missing(principal, wanted, Grants.compile(grants))
    assert through_export > CASES // 5000
    assert min(answers.values()) > CASES // 10


@given(principals, needs, some_grants, st.data())
def test_removing_a_binding_never_grants(principal: Principal, need: Need, grants: list[Grant], data: st.DataObject):
    rest = list(grants)
    if rest:
        rest.pop(data.draw(st.integers(0, len(rest) - 1)))
    assert holds(principal, need, Grants.compile(grants)) >= holds(principal, need, Grants.compile(rest))


@given(principals, needs, some_grants, one_grant)
def test_adding_a_binding_never_denies(principal: Principal, need: Need, grants: list[Grant], more: Grant):
    before = holds(principal, need, Grants.compile(grants))
    assert holds(principal, need, Grants.compile([*grants, more])) >= before


@given(principals, st.sampled_from(PERMISSIONS), patterns, some_grants)
def test_a_list_shows_exactly_what_a_check_would_allow(
    principal: Principal, permission: Permission, target: ScopePattern, grants: list[Grant]
):
    compiled = Grants.compile(grants)
    shown = visible(principal, permission, compiled)
    assert shown.includes(target) == holds(principal, Need(permission, target), compiled)
    for scope in WORLD:
        assert shown.includes(scope) == oracle(
            principal, Need(permission, ScopePattern(scope.project, scope.domain)), grants
        )
    some_domain = {
        project
        for project in PROJECTS
        if holds(principal, Need(permission, ScopePattern(project, ANY), Reach.SOME), compiled)
    }
    assert (some_domain == set(PROJECTS)) if shown.projects is None else (some_domain == set(shown.projects))


@given(principals, st.lists(needs, min_size=1, max_size=4), some_grants)
def test_all_needs_must_be_held(principal: Principal, wanted: list[Need], grants: list[Grant]):
    missing = [need for need in wanted if not oracle(principal, need, grants)]
    assert first_missing(principal, wanted, Grants.compile(grants)) == (missing[0] if missing else None)


def test_needing_nothing_is_no_right():
    with pytest.raises(ValueError, match="at least one requirement"):
        first_missing(Principal("user:ann"), [], Grants())


@given(needs, some_grants)
def test_the_anonymous_caller_holds_nothing(need: Need, grants: list[Grant]):
    assert not holds(ANONYMOUS, need, Grants.compile(grants))


# --- executions

MIXED = (Permission.EXECUTION_LAUNCH, Permission.ARTIFACT_READ, Permission.REGISTRY_REGISTER, Permission.ACCESS_MANAGE)
mixed_grants = st.lists(st.builds(Grant, st.sampled_from(MEMBERS), patterns, st.frozensets(st.sampled_from(MIXED))))
own_scopes = st.builds(Scope, st.sampled_from(PROJECTS), st.sampled_from(DOMAINS))


@given(own_scopes, principals, st.sampled_from(MIXED), patterns, st.sampled_from(Reach), mixed_grants)
def test_an_execution_may_what_its_launcher_may_in_its_own_scope_and_nothing_else(
    own: Scope, launcher: Principal, permission: Permission, target: ScopePattern, reach: Reach, grants: list[Grant]
):
    principal = Principal.of_execution(ExecutionId(own, "a1"), launcher)
    here, compiled = ScopePattern(own.project, own.domain), Grants.compile(grants)
    launcher_may = permission in DELEGATED and oracle(launcher, Need(permission, here), grants)
    reached = target.covers(own) if reach is Reach.SOME else target == here
    assert holds(principal, Need(permission, target, reach), compiled) == (launcher_may and reached)
    assert visible(principal, permission, compiled).patterns == ({(own.project, own.domain)} if launcher_may else set())


@given(patterns, st.sampled_from(MIXED), mixed_grants)
def test_an_execution_without_a_launcher_may_nothing_even_if_a_binding_named_it(target, permission, grants):
    own = ExecutionId(Scope("ads", "development"), "a1")
    named = [Grant(member, ScopePattern(ANY, ANY), frozenset(MIXED)) for member in (f"execution:{own}", "")]
    assert not holds(Principal.of_execution(own), Need(permission, target), Grants.compile([*grants, *named]))
    assert not visible(Principal.of_execution(own), permission, Grants.compile([*grants, *named])).patterns


def test_an_execution_reads_what_is_exported_to_its_own_project_alone():
    launcher = Grant("user:ann", ScopePattern(ANY, ANY), frozenset({Permission.REGISTRY_VIEW}))
    need = Need(Permission.REGISTRY_VIEW, ScopePattern("maps", "development"), exported=(EntityKind.TASK, "fit"))
    principal = Principal.of_execution(ExecutionId(Scope("ads", "development"), "a1"), Principal("user:ann"))
    for consumer, may in (("ads", True), ("search", False)):
        exports = [(("maps", "development", EntityKind.TASK, "fit"), consumer)]
        assert (first_missing(principal, [need], Grants.compile([launcher], exports)) is None) == may
