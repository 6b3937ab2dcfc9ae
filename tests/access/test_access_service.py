"""The front door of airspace.access.v1, with a real policy behind it."""

import pytest

from airspace.access.v1 import access_service_pb2 as pb
from airspace.options.v1 import options_pb2
from airspace.type.v1 import identifiers_pb2
from airspace_server.access.call import Call
from airspace_server.access.decide import Visible
from airspace_server.access.identity import Principal
from airspace_server.access.service import AccessService
from airspace_server.access.usage import Usage
from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.permissions import BUILT_IN_ROLES, Permission
from airspace_server.storage.paging import Pager


@pytest.fixture
def service(setup, clock) -> AccessService:
    return AccessService(setup.database, setup.policy, Usage(setup.database, clock), Pager(b"k" * 32), clock)


@pytest.fixture
def root(setup) -> Principal:
    return setup.bind("user:root", "admin")


@pytest.fixture
def call(setup):
    def make(principal: Principal, *visible: tuple[str, str]) -> Call:
        grants = setup.policy.snapshot().grants
        restriction = Visible(frozenset(visible)) if visible else None
        return Call(
            method="/test",
            principal=principal,
            request_id="r-1",
            grants=grants,
            active=lambda: True,
            recheck=lambda: None,
            visible=restriction,
        )

    return make


def pattern(project: str = "*", domain: str = "*") -> identifiers_pb2.ScopePattern:
    return identifiers_pb2.ScopePattern(project=project, domain=domain)


def keys(bindings) -> list[tuple[str, str, str, str]]:
    return [(each.member, each.role, each.pattern.project, each.pattern.domain) for each in bindings]


def test_the_service_has_a_method_for_every_rpc():
    methods = pb.DESCRIPTOR.services_by_name["AccessService"].methods
    assert [method.name for method in methods if not callable(getattr(AccessService, method.name, None))] == []


def test_who_am_i(setup, service: AccessService, call):
    setup.bind("user:ann", "viewer", "maps", "*")
    setup.bind("group:ads", "contributor", "ads", "development")
    setup.bind("user:bob", "admin")
    ann = Principal("user:ann", frozenset({"group:ads", "group:all"}))
    answer = service.WhoAmI(pb.WhoAmIRequest(), call(ann))
    assert (answer.principal, list(answer.groups)) == ("user:ann", ["group:ads", "group:all"])
    assert keys(answer.bindings) == [
        ("group:ads", "contributor", "ads", "development"),
        ("user:ann", "viewer", "maps", "*"),
    ]


def test_a_role_from_its_creation_to_its_end(setup, service: AccessService, call, root: Principal, clock):
    wanted = [options_pb2.PERMISSION_EXECUTION_LAUNCH, options_pb2.PERMISSION_EXECUTION_VIEW] * 2
    made = service.CreateRole(pb.CreateRoleRequest(name="launcher", permissions=wanted), call(root))
    assert made.role == pb.Role(name="launcher", permissions=sorted(set(wanted)))
    assert made.revision == setup.policy.snapshot().revision

    listed = service.ListRoles(pb.ListRolesRequest(), call(root)).roles
    assert [role.name for role in listed] == [*BUILT_IN_ROLES, "launcher"]
    assert [role.built_in for role in listed] == [True] * len(BUILT_IN_ROLES) + [False]
    assert len(listed[4].permissions) == len(Permission)

    request = pb.CreateBindingRequest(member="user:ann", role="launcher", pattern=pattern("maps"))
    bound = service.CreateBinding(request, call(root))
    assert keys([bound.binding]) == [("user:ann", "launcher", "maps", "*")]
    assert bound.binding.creator == "user:root"
    assert bound.binding.create_time.seconds == int(clock.now)
    assert service.CreateBinding(request, call(root)).binding == bound.binding

    with pytest.raises(ApiError) as caught:
        service.DeleteRole(pb.DeleteRoleRequest(name="launcher"), call(root))
    assert caught.value.reason is Reason.IN_USE
    removal = pb.DeleteBindingRequest(member="user:ann", role="launcher", pattern=pattern("maps"))
    assert service.DeleteBinding(removal, call(root)).revision == setup.policy.snapshot().revision
    assert service.DeleteRole(pb.DeleteRoleRequest(name="launcher"), call(root)).revision > bound.revision
    assert [role.name for role in service.ListRoles(pb.ListRolesRequest(), call(root)).roles] == [*BUILT_IN_ROLES]


@pytest.mark.parametrize("number", [0, 9999, -1])
def test_permissions_that_nobody_knows_are_refused(service: AccessService, call, root: Principal, number: int):
    with pytest.raises(ApiError) as caught:
        service.CreateRole(pb.CreateRoleRequest(name="odd", permissions=[number]), call(root))
    assert (caught.value.reason, caught.value.field) == (Reason.INVALID_FIELD, "permissions")


def test_a_revocation_is_in_force_when_it_is_answered(setup, service: AccessService, call, root: Principal):
    setup.bind("user:ann", "viewer")
    service.DeleteBinding(pb.DeleteBindingRequest(member="user:ann", role="viewer", pattern=pattern()), call(root))
    assert "user:ann" not in setup.policy.snapshot().grants.table


def test_bindings_come_in_full_pages_of_what_the_caller_may_see(setup, service: AccessService, call):
    for number in range(7):
        setup.bind(f"user:u{number}", "viewer", "maps", "development")
        setup.bind(f"user:u{number}", "viewer", "ads", "development")
    setup.bind("user:all", "viewer")
    mia = call(Principal("user:mia"), ("maps", "*"))
    found, sizes, token = [], [], ""
    while True:
        answer = service.ListBindings(pb.ListBindingsRequest(page_size=3, page_token=token), mia)
        found += keys(answer.bindings)
        sizes.append(len(answer.bindings))
        token = answer.next_page_token
        if not token:
            break
    assert sizes == [3, 3, 1]
    assert found == [(f"user:u{number}", "viewer", "maps", "development") for number in range(7)]


def test_bindings_of_one_member(setup, service: AccessService, call):
    setup.bind("user:ann", "viewer", "maps")
    setup.bind("user:bob", "viewer", "maps")
    everything = call(Principal("user:root"), ("*", "*"))
    answer = service.ListBindings(pb.ListBindingsRequest(member="user:ann"), everything)
    assert keys(answer.bindings) == [("user:ann", "viewer", "maps", "*")]
    assert answer.next_page_token == ""


def test_a_page_token_belongs_to_its_list(setup, service: AccessService, call):
    for project in ("ads", "maps"):
        setup.bind("user:ann", "viewer", project)
    everything = call(Principal("user:root"), ("*", "*"))
    token = service.ListBindings(pb.ListBindingsRequest(page_size=1), everything).next_page_token
    for request in (
        pb.ListBindingsRequest(member="user:ann", page_token=token),
        pb.ListBindingsRequest(page_token=token + "x"),
        pb.ListBindingsRequest(page_token="bm9ib2R5"),
    ):
        with pytest.raises(ApiError) as caught:
            service.ListBindings(request, everything)
        assert caught.value.reason is Reason.INVALID_PAGE_TOKEN


def test_listing_without_a_restriction_is_a_fault_and_shows_nothing(setup, service: AccessService, call):
    setup.bind("user:ann", "viewer")
    with pytest.raises(RuntimeError, match="not guarded as a filtered list"):
        service.ListBindings(pb.ListBindingsRequest(), call(Principal("user:root")))


def test_a_service_account_can_log_in_at_once(setup, service: AccessService, call, root: Principal):
    answer = service.CreateServiceAccount(pb.CreateServiceAccountRequest(name="ci"), call(root))
    assert answer.name == "ci"
    assert len(answer.secret) == 43
    assert setup.policy.snapshot().service_accounts == {"ci": 1}
    with pytest.raises(ApiError) as caught:
        service.CreateServiceAccount(pb.CreateServiceAccountRequest(name="ci"), call(root))
    assert caught.value.reason is Reason.ALREADY_EXISTS


def test_creating_an_account_does_not_lead_to_rights_that_wait_for_it(setup, service: AccessService, call, root):
    """Who may create accounts, and nothing else, must not take over the name that an administrator bound."""
    permissions = [options_pb2.PERMISSION_ACCESS_MANAGE]
    service.CreateRole(pb.CreateRoleRequest(name="clerk", permissions=permissions), call(root))
    clerk = setup.bind("user:eve", "clerk")
    setup.bind("service-account:deployer", "admin")
    with pytest.raises(ApiError) as caught:
        service.CreateServiceAccount(pb.CreateServiceAccountRequest(name="deployer"), call(clerk))
    assert caught.value.reason is Reason.GRANT_EXCEEDS_OWN
    setup.policy.refresh()
    assert setup.policy.snapshot().service_accounts == {}
    service.CreateServiceAccount(pb.CreateServiceAccountRequest(name="harmless"), call(clerk))
    service.CreateServiceAccount(pb.CreateServiceAccountRequest(name="deployer"), call(root))
