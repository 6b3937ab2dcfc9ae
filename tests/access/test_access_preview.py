"""What another policy would have answered to the calls that were made."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airspace.access.v1 import access_service_pb2 as pb
from airspace_server.access.decide import Grant, Grants, Need, Reach, holds
from airspace_server.access.identity import Principal
from airspace_server.access.preview import flips
from airspace_server.access.service import AccessService
from airspace_server.access.usage import HOUR, KEPT_HOURS, KINDS_OF_ONE, Usage, Used
from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.permissions import BUILT_IN_ROLES, Permission
from airspace_server.core.scope import ScopePattern
from airspace_server.storage.paging import Pager

LAUNCH, VIEW = Permission.EXECUTION_LAUNCH, Permission.EXECUTION_VIEW
ANN, GROUP = Principal("user:ann", frozenset({"group:ml"})), Principal("user:bob", frozenset({"group:ml"}))


def need(permission: Permission = LAUNCH, project: str = "maps", domain: str = "production") -> Need:
    return Need(permission, ScopePattern(project, domain))


@pytest.fixture
def usage(setup, clock) -> Usage:
    return Usage(setup.database, clock)


@pytest.fixture
def service(setup, usage: Usage, clock) -> AccessService:
    return AccessService(setup.database, setup.policy, usage, Pager(b"k" * 32), clock)


def change(member: str, role: str, project: str, domain: str) -> pb.BindingChange:
    made = pb.BindingChange(member=member, role=role)
    made.pattern.project, made.pattern.domain = project, domain
    return made


def flipped(answer: pb.PreviewPolicyResponse) -> Iterator[tuple[str, str, str, int, bool]]:
    for each in answer.flipped:
        yield each.member, each.method, f"{each.pattern.project}/{each.pattern.domain}", each.calls, each.allowed


def test_calls_that_would_be_refused_or_let_in_are_named_with_their_number(setup, usage, service, clock):
    setup.bind("group:ml", "contributor", "maps")
    setup.bind("user:root", "admin")
    for _ in range(3):
        usage.count(ANN, "/a/Launch", [need()])
    usage.count(GROUP, "/a/Launch", [need()])
    usage.count(ANN, "/a/Launch", [need(project="ads")])
    usage.count(Principal("user:root"), "/a/Launch", [need()])
    usage.flush()
    usage.count(ANN, "/a/Launch", [need()])
    usage.flush()
    request = pb.PreviewPolicyRequest(
        create=[change("user:ann", "viewer", "maps", "*"), change("user:ann", "contributor", "ads", "production")],
        remove=[change("group:ml", "contributor", "maps", "*")],
    )
    answer = service.PreviewPolicy(request, None)
    assert list(flipped(answer)) == [
        ("user:ann", "/a/Launch", "maps/production", 4, False),
        ("user:ann", "/a/Launch", "ads/production", 1, True),
        ("user:bob", "/a/Launch", "maps/production", 1, False),
    ]
    assert answer.total == 3
    assert answer.flipped[0].last_hour.ToMicroseconds() == clock() // HOUR * HOUR
    assert holds(ANN, need(), setup.policy.snapshot().grants)  # nothing was changed


def test_only_calls_of_the_asked_days_count_and_old_ones_are_dropped(setup, usage, service, clock):
    setup.bind("user:ann", "contributor", "maps")
    usage.count(ANN, "/a/Launch", [need()])
    usage.flush()
    request = pb.PreviewPolicyRequest(remove=[change("user:ann", "contributor", "maps", "*")], days=1)
    assert len(service.PreviewPolicy(request, None).flipped) == 1
    clock.now += 25 * 3600
    assert not service.PreviewPolicy(request, None).flipped
    request.days = 30
    assert len(service.PreviewPolicy(request, None).flipped) == 1
    clock.now += KEPT_HOURS * 3600
    usage.count(ANN, "/a/Launch", [need(VIEW)])
    usage.flush()
    assert [each.need.permission for each in usage.since(0)] == [VIEW]


def test_whoever_asks_about_ever_new_places_is_not_counted_without_end(usage, clock, caplog):
    for place in range(KINDS_OF_ONE + 50):
        usage.count(ANN, "/a/Launch", [need(project=f"guess-{place}")])
    usage.flush()
    usage.count(ANN, "/a/Launch", [need(project="another")])
    usage.count(GROUP, "/a/Launch", [need()])
    usage.count(ANN, "/a/Launch", [need(project="NOT A NAME\0")])
    usage.flush()
    assert len(list(usage.since(0))) == KINDS_OF_ONE + 1
    assert "50 calls were not counted" in caplog.text
    clock.now += 3600
    usage.count(ANN, "/a/Launch", [need(project="another")])
    usage.flush()
    assert len(list(usage.since(0))) == KINDS_OF_ONE + 2


@pytest.mark.parametrize(
    ("request_", "reason", "field"),
    [
        (pb.PreviewPolicyRequest(days=31), Reason.INVALID_FIELD, "days"),
        (pb.PreviewPolicyRequest(days=-1), Reason.INVALID_FIELD, "days"),
        (
            pb.PreviewPolicyRequest(create=[change("user:ann", "no-such-role", "maps", "*")]),
            Reason.INVALID_FIELD,
            "create[0].role",
        ),
        (
            pb.PreviewPolicyRequest(create=[change("ann", "viewer", "maps", "*")]),
            Reason.INVALID_FIELD,
            "create[0].member",
        ),
        (
            pb.PreviewPolicyRequest(create=[change("user:ann", "viewer", "MAPS", "*")]),
            Reason.INVALID_FIELD,
            "create[0].pattern.project",
        ),
        (pb.PreviewPolicyRequest(remove=[change("user:ann", "viewer", "maps", "*")]), Reason.NOT_FOUND, ""),
    ],
)
def test_a_change_that_cannot_be_made_cannot_be_looked_at(setup, service, request_, reason: Reason, field: str):
    with pytest.raises(ApiError) as caught:
        service.PreviewPolicy(request_, None)
    assert (caught.value.reason, caught.value.field) == (reason, field)


def test_a_served_call_is_counted_whether_it_is_let_in_or_not(usage):
    usage.start()
    usage.count(ANN, "/a/Launch", [need()])
    usage.stop()  # writes what is left
    assert [each.calls for each in usage.since(0)] == [1]


members = st.sampled_from(["user:ann", "user:bob", "group:ml"])
patterns = st.builds(
    ScopePattern, st.sampled_from(["maps", "ads", "*"]), st.sampled_from(["development", "production", "*"])
)
grants = st.lists(st.builds(Grant, members, patterns, st.sampled_from(list(BUILT_IN_ROLES.values()))), max_size=4).map(
    Grants.compile
)
needs = st.builds(Need, st.sampled_from([LAUNCH, VIEW, Permission.ACCESS_MANAGE]), patterns, st.sampled_from(Reach))
used = st.lists(
    st.builds(Used, st.integers(0, 9), st.sampled_from([ANN, GROUP]), st.just("/a/B"), needs, st.integers(1, 9)),
    max_size=8,
)


@given(used, grants, grants)
def test_exactly_the_calls_that_are_decided_otherwise_flip(used: list[Used], now: Grants, then: Grants):
    def turns(each: Used) -> bool:
        return holds(each.principal, each.need, now) != holds(each.principal, each.need, then)

    otherwise = [each for each in used if turns(each)]
    found = flips(used, now, then)
    assert sum(each.calls for each in found) == sum(each.calls for each in otherwise)
    assert {(each.member, each.need, each.allowed) for each in found} == {
        (each.principal.member, each.need, holds(each.principal, each.need, then)) for each in otherwise
    }
    assert flips(used, now, now) == []
