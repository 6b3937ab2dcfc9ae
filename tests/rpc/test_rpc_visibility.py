"""Lists over several scopes: everybody sees what is theirs, on full pages, and walks their own list alone."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from flyteidl.admin import project_pb2 as flyte_pb
from rpc_expected import ACCESS, ADMIN, PROJECT
from rpc_servers import Airspace, Caller, airspace, copied_sqlite

from airspace.access.v1 import access_service_pb2 as access_pb
from airspace.options.v1 import options_pb2
from airspace.project.v1 import project_service_pb2 as project_pb
from airspace.type.v1 import identifiers_pb2
from airspace_server.core.permissions import Permission

PROJECTS = [f"team-{letter}" for letter in "abcdefghij"]
ARCHIVED = {"team-c", "team-g"}
BINDINGS = {
    "all": (("viewer", "*/*"),),
    "domain": (("viewer", "*/staging"),),
    "few": (("viewer", "team-b/*"), ("contributor", "team-d/production"), ("operator", "team-j/staging")),
    "one": (("viewer", "team-e/development"),),
    "absent": (("viewer", "no-such-team/*"),),
    "nobody": (),
    "blind": (("registrar", "*/*"),),
}
SEEN = {
    "all": PROJECTS,
    "domain": PROJECTS,
    "few": ["team-b", "team-d", "team-j"],
    "one": ["team-e"],
    "absent": [],
    "nobody": [],
    "blind": [],
}
"""The projects of which each caller sees a domain."""


@pytest.fixture(scope="module")
def teams(migrated_sqlite: Path, folder: Path) -> Iterator[Callable[[str], Caller]]:
    with copied_sqlite(migrated_sqlite, folder) as url, airspace(url, folder) as server, server.served() as caller:
        server.role("admin", "registrar", Permission.REGISTRY_REGISTER, Permission.EXECUTION_VIEW)
        for project in reversed(PROJECTS):
            create = project_pb.CreateProjectRequest(project=project)
            assert not caller("admin")(f"{PROJECT}/CreateProject", create).status
        for project in ARCHIVED:
            archive = project_pb.ArchiveProjectRequest(project=project)
            assert not caller("admin")(f"{PROJECT}/ArchiveProject", archive).status
        for name, bindings in BINDINGS.items():
            server.account(name, *bindings)
        yield caller


def native(caller: Caller, size: int, *, archived: bool = True) -> list[list[str]]:
    """Walk the native list and return its pages."""
    pages, request = [], project_pb.ListProjectsRequest(page_size=size, include_archived=archived)
    while True:
        response = project_pb.ListProjectsResponse.FromString(caller(f"{PROJECT}/ListProjects", request).messages[0])
        pages.append([project.id for project in response.projects])
        if not response.next_page_token:
            return pages
        request.page_token = response.next_page_token


def flyte(caller: Caller, size: int, filters: str = "") -> list[list[str]]:
    """Walk Flyte's list and return its pages."""
    pages, request = [], flyte_pb.ProjectListRequest(limit=size, filters=filters)
    while True:
        response = flyte_pb.Projects.FromString(caller(f"{ADMIN}/ListProjects", request).messages[0])
        pages.append([project.id for project in response.projects])
        if not response.token:
            return pages
        request.token = response.token


def joined(pages: list[list[Any]]) -> list[Any]:
    return [each for page in pages for each in page]


def full(pages: list[list[str]], size: int) -> bool:
    """Tell whether every page but the last is full, and the last is empty only if it is the only one."""
    return all(len(page) == size for page in pages[:-1]) and (len(pages) == 1 or 0 < len(pages[-1]) <= size)


@pytest.mark.parametrize("name", SEEN)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 10, 1000])
def test_projects_are_listed_to_those_who_see_a_domain_of_them(teams, name: str, size: int):
    pages = native(teams(name), size)
    assert joined(pages) == SEEN[name]
    assert full(pages, size)
    active = native(teams(name), size, archived=False)
    assert joined(active) == [project for project in SEEN[name] if project not in ARCHIVED]
    assert full(active, size)


@pytest.mark.parametrize("name", SEEN)
@pytest.mark.parametrize("size", [1, 3, 10, 1000])
def test_flytes_list_of_projects_shows_the_same(teams, name: str, size: int):
    active = flyte(teams(name), size)
    assert joined(active) == [project for project in SEEN[name] if project not in ARCHIVED]
    assert full(active, size)
    archived = flyte(teams(name), size, "eq(state,1)")
    assert joined(archived) == [project for project in SEEN[name] if project in ARCHIVED]


@pytest.mark.parametrize("name", SEEN)
@pytest.mark.parametrize("filters", ["ne(id,x)", "value_in(id,team-a;team-b;team-c;team-e)", "contains(name,team)"])
def test_no_filter_shows_more(teams, name: str, filters: str):
    shown = joined(flyte(teams(name), 3, filters))
    assert set(shown) <= set(SEEN[name])


@pytest.mark.parametrize("name", SEEN)
def test_a_project_can_be_read_by_those_who_see_it_in_the_list(teams, name: str):
    for project in (*PROJECTS, "no-such-team"):
        answers = [
            teams(name)(f"{PROJECT}/GetProject", project_pb.GetProjectRequest(project=project)),
            teams(name)(f"{ADMIN}/GetProject", flyte_pb.ProjectGetRequest(id=project)),
        ]
        for answer in answers:
            if project in SEEN[name]:
                assert answer.code is grpc.StatusCode.OK
            elif answer.reason == "NOT_FOUND":  # only to those who hold what a reader of it would need
                assert (project, name) in {("no-such-team", who) for who in ("all", "domain", "absent")}
            else:
                assert answer.reason == "PERMISSION_MISSING"


# --- bindings


ACCESS_BINDINGS = {
    "root": ("admin", "*/*"),
    "lead-a": ("admin", "team-a/*"),
    "lead-b": ("admin", "team-b/*"),
    "staging": ("admin", "*/staging"),
    "spot": ("admin", "team-a/staging"),
    "reader": ("viewer", "*/*"),
}


@pytest.fixture(scope="module")
def leads(migrated_sqlite: Path, tmp_path_factory) -> Iterator[tuple[Airspace, Callable[[str], Caller]]]:
    data = tmp_path_factory.mktemp("leads")
    with copied_sqlite(migrated_sqlite, data) as url, airspace(url, data) as server, server.served() as caller:
        for name, binding in ACCESS_BINDINGS.items():
            server.account(name, binding)
        for project in ("team-a", "team-b", "*"):
            for domain in ("staging", "production", "*"):
                for number in range(3):
                    server.bind(f"member-{number}", "viewer", f"{project}/{domain}")
        yield server, caller


def bindings(caller: Caller, size: int, member: str = "") -> list[list[Any]]:
    pages, request = [], access_pb.ListBindingsRequest(page_size=size, member=member)
    while True:
        response = access_pb.ListBindingsResponse.FromString(caller(f"{ACCESS}/ListBindings", request).messages[0])
        pages.append(list(response.bindings))
        if not response.next_page_token:
            return pages
        request.page_token = response.next_page_token


def key(binding: Any) -> tuple[str, str, str, str]:
    return binding.member, binding.role, binding.pattern.project, binding.pattern.domain


@pytest.mark.parametrize("name", ACCESS_BINDINGS)
@pytest.mark.parametrize("size", [1, 4, 7, 1000])
def test_bindings_are_listed_to_those_who_see_access_in_all_of_their_pattern(leads, name: str, size: int):
    _, caller = leads
    everything = joined(bindings(caller("root"), 1000))
    pages = bindings(caller(name), size)
    role, pattern = ACCESS_BINDINGS[name]
    project, domain = pattern.split("/")
    expected = [
        binding
        for binding in everything
        if role == "admin" and project in ("*", binding.pattern.project) and domain in ("*", binding.pattern.domain)
    ]
    shown = joined(pages)
    assert shown == expected
    assert shown == sorted(shown, key=key)
    assert full(pages, size)
    of_one = joined(bindings(caller(name), size, "service-account:member-1"))
    assert of_one == [binding for binding in expected if binding.member == "service-account:member-1"]


@pytest.mark.parametrize("name", ["root", "lead-a", "staging", "spot"])
def test_why_somebody_may_is_told_by_no_more_than_the_asker_can_list(leads, name: str):
    _, caller = leads
    listed = joined(bindings(caller(name), 1000))
    here = [
        binding
        for binding in listed
        if binding.pattern.project in ("*", "team-a") and binding.pattern.domain in ("*", "staging")
    ]
    request = access_pb.TestAccessRequest(
        member="service-account:member-1",
        permission=options_pb2.PERMISSION_EXECUTION_VIEW,
        scope=identifiers_pb2.Scope(project="team-a", domain="staging"),
    )
    held = access_pb.TestAccessResponse.FromString(caller(name)(f"{ACCESS}/TestAccess", request).messages[0])
    assert (held.allowed, held.shut_out) == (False, True)  # bound to it, and nobody has made the account
    assert list(held.bindings) == [binding for binding in here if binding.member == "service-account:member-1"]
    request.permission = options_pb2.PERMISSION_EXECUTION_LAUNCH
    missing = access_pb.TestAccessResponse.FromString(caller(name)(f"{ACCESS}/TestAccess", request).messages[0])
    assert (missing.allowed, list(missing.bindings)) == (False, [])
    assert set(missing.could_grant) == {binding.member for binding in here if binding.role == "admin"}


def test_a_caller_sees_its_own_bindings_whatever_it_may_list(leads):
    _, caller = leads
    answer = caller("reader")(f"{ACCESS}/WhoAmI", access_pb.WhoAmIRequest())
    (own,) = access_pb.WhoAmIResponse.FromString(answer.messages[0]).bindings
    assert key(own) == ("service-account:reader", "viewer", "*", "*")
    assert joined(bindings(caller("reader"), 10)) == []


# --- tokens


@pytest.mark.parametrize(
    ("path", "request_type", "response_type", "size", "token", "given"),
    [
        (
            f"{PROJECT}/ListProjects",
            project_pb.ListProjectsRequest,
            project_pb.ListProjectsResponse,
            "page_size",
            "page_token",
            "next_page_token",
        ),
        (f"{ADMIN}/ListProjects", flyte_pb.ProjectListRequest, flyte_pb.Projects, "limit", "token", "token"),
    ],
    ids=["native", "flyte"],
)
def test_a_page_token_of_projects_is_its_callers_own(teams, path, request_type, response_type, size, token, given):
    first = teams("all")(path, request_type(**{size: 2}))
    page_token = getattr(response_type.FromString(first.messages[0]), given)
    request = request_type(**{size: 2, token: page_token})
    assert not teams("all")(path, request).status
    for name in ("domain", "few", "one", "nobody", "admin"):
        refused = teams(name)(path, request)
        assert (refused.reason, refused.fields) == ("INVALID_PAGE_TOKEN", [token])


def test_a_page_token_of_bindings_is_its_callers_own(leads):
    _, caller = leads
    path = f"{ACCESS}/ListBindings"
    first = caller("root")(path, access_pb.ListBindingsRequest(page_size=2))
    token = access_pb.ListBindingsResponse.FromString(first.messages[0]).next_page_token
    request = access_pb.ListBindingsRequest(page_size=2, page_token=token)
    assert not caller("root")(path, request).status
    for name in ("lead-a", "staging", "reader", "admin"):
        assert caller(name)(path, request).reason == "INVALID_PAGE_TOKEN"


def test_a_page_token_shows_no_more_than_its_caller_may_see_by_now(leads):
    server, caller = leads
    server.account("leaver", ("viewer", "*/*"), ("admin", "team-a/*"))
    path, gone = f"{ACCESS}/ListBindings", f"{ACCESS}/DeleteBinding"
    first = access_pb.ListBindingsResponse.FromString(
        caller("leaver")(path, access_pb.ListBindingsRequest(page_size=1)).messages[0]
    )
    request = access_pb.DeleteBindingRequest(member="service-account:leaver", role="admin")
    request.pattern.project, request.pattern.domain = "team-a", "*"
    assert not caller("root")(gone, request).status
    after = caller("leaver")(path, access_pb.ListBindingsRequest(page_size=1, page_token=first.next_page_token))
    assert access_pb.ListBindingsResponse.FromString(after.messages[0]) == access_pb.ListBindingsResponse()
