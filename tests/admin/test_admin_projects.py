"""Projects through the native front door and through Flyte's."""

import uuid

import pytest
from flyteidl.admin import common_pb2, project_pb2, version_pb2
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from wing_doors import (
    DOMAINS,
    EVERYTHING,
    Doors,
    call,
    create_project,
    errors,
    flyte_status,
    info,
    pages,
    together,
    violated,
)

from airspace.project.v1 import project_service_pb2 as pb
from airspace_server.access.decide import Visible
from airspace_server.core.errors import ApiError, Reason


def request_id() -> str:
    return str(uuid.uuid4())


def get(doors: Doors, project: str = "vision") -> pb.Project:
    return doors.projects.GetProject(pb.GetProjectRequest(project=project), call()).project


def update(doors: Doors, *paths: str, **fields) -> pb.Project:
    fields = {"project": "vision", **fields}
    request = pb.UpdateProjectRequest(update_mask=FieldMask(paths=paths), **fields)
    return doors.projects.UpdateProject(request, call()).project


def listed(doors: Doors, *, archived: bool = True, size: int = 0, visible: Visible = EVERYTHING) -> list[str]:
    def fetch(token: str):
        request = pb.ListProjectsRequest(page_size=size, page_token=token, include_archived=archived)
        answer = doors.projects.ListProjects(request, call(visible=visible))
        return [project.id for project in answer.projects], answer.next_page_token

    return [project for page in pages(fetch) for project in page]


# --- the native front door


def test_a_new_project_is_active_and_is_what_was_said_of_it(doors: Doors):
    request = pb.CreateProjectRequest(
        project="recommendation-engine",
        name="Recommendation Engine",
        description="ML pipelines for the recommendation system",
        labels={"team": "ranking", "example.com/tier": ""},
    )
    created = doors.projects.CreateProject(request, call()).project
    assert created == get(doors, "recommendation-engine")
    assert (created.name, created.description) == (request.name, request.description)
    assert dict(created.labels) == dict(request.labels)
    assert created.state == pb.PROJECT_STATE_ACTIVE
    assert created.create_time == created.update_time


def test_a_project_without_a_name_is_called_by_its_id(doors: Doors):
    assert get(doors).name == "vision"
    assert update(doors, "name", name="Computer vision").name == "Computer vision"
    assert update(doors, "name", name="").name == "vision"


def test_a_project_exists_once_and_what_is_there_stays(doors: Doors):
    before = get(doors)
    with pytest.raises(ApiError) as caught:
        doors.projects.CreateProject(pb.CreateProjectRequest(project="vision", name="Mine"), call())
    assert (caught.value.reason, caught.value.field) == (Reason.ALREADY_EXISTS, "project")
    assert get(doors) == before


def test_a_project_that_is_not_there_is_not_found(doors: Doors):
    for act in (
        lambda: get(doors, "nobody"),
        lambda: update(doors, "name", name="x", project="nobody"),
        lambda: doors.archive("nobody"),
        lambda: doors.projects.RestoreProject(pb.RestoreProjectRequest(project="nobody"), call()),
    ):
        with pytest.raises(ApiError) as caught:
            act()
        assert caught.value.reason is Reason.NOT_FOUND


@pytest.mark.parametrize(
    "labels",
    [
        {"": "x"},
        {"-team": "x"},
        {"team": "a b"},
        {"team": "x" * 64},
        {"Example.com/team": "x"},
        {f"{'a' * 254}/team": "x"},
        {"team\0": "x"},
        {f"key{number}": "" for number in range(17)},
    ],
)
def test_labels_that_kubernetes_would_refuse_are_refused(doors: Doors, labels: dict[str, str]):
    for act in (
        lambda: doors.projects.CreateProject(pb.CreateProjectRequest(project="other", labels=labels), call()),
        lambda: update(doors, "labels", labels=labels),
        lambda: doors.admin.RegisterProject(
            create_project("other", name="Other", labels=common_pb2.Labels(values=labels)), call()
        ),
    ):
        with pytest.raises(ApiError) as caught:
            act()
        assert (caught.value.reason, caught.value.field) == (Reason.INVALID_FIELD, "labels")
    assert listed(doors) == ["vision"]


def test_only_what_the_mask_names_is_changed(doors: Doors):
    update(doors, "name", "description", "labels", name="Vision", description="Cameras", labels={"a": "1", "b": "2"})
    changed = update(doors, "description", name="ignored", description="Lidars", labels={"ignored": ""})
    assert (changed.name, changed.description, dict(changed.labels)) == ("Vision", "Lidars", {"a": "1", "b": "2"})
    assert dict(update(doors, "labels", labels={"c": "3"}).labels) == {"c": "3"}
    assert dict(update(doors, "labels").labels) == {}
    assert update(doors, "description").description == ""


@pytest.mark.parametrize("path", ["state", "id", "etag", "labels.a", "*", ""])
def test_a_mask_that_names_what_cannot_be_changed_is_refused(doors: Doors, path: str):
    before = get(doors)
    with pytest.raises(ApiError) as caught:
        update(doors, "name", path, name="x")
    assert (caught.value.reason, caught.value.field) == (Reason.UNKNOWN_FIELD, "update_mask")
    assert get(doors) == before


def test_a_mask_that_names_nothing_is_refused(doors: Doors):
    with pytest.raises(ApiError) as caught:
        update(doors, name="x")
    assert (caught.value.reason, caught.value.field) == (Reason.INVALID_FIELD, "update_mask")


def test_a_change_on_top_of_one_that_the_caller_has_not_seen_is_refused(doors: Doors):
    first = get(doors).etag
    second = update(doors, "name", name="Mine", etag=first).etag
    assert second != first
    for stale in (first, "never given", "0", "9" * 64, "-1"):
        with pytest.raises(ApiError) as caught:
            update(doors, "name", name="Theirs", etag=stale)
        assert caught.value.reason is Reason.ETAG_MISMATCH
    assert get(doors).name == "Mine"
    assert update(doors, "name", name="Theirs", etag=second).name == "Theirs"


def test_of_many_changes_on_top_of_one_another_exactly_one_wins(doors: Doors):
    etag = get(doors).etag
    answers = together(
        *(lambda name=name: update(doors, "name", name=name, etag=etag) for name in ("a", "b", "c", "d", "e", "f"))
    )
    assert [error.reason for error in errors(answers)] == [Reason.ETAG_MISMATCH] * 5
    (winner,) = (answer for answer in answers if not isinstance(answer, ApiError))
    assert get(doors) == winner


def test_a_change_that_changes_nothing_writes_nothing(doors: Doors):
    before = get(doors)
    assert update(doors, "name", "labels", name="vision", etag=before.etag) == before
    assert doors.projects.RestoreProject(pb.RestoreProjectRequest(project="vision"), call()).project == before
    doors.archive()
    archived = get(doors)
    doors.archive()
    assert get(doors) == archived


def test_archiving_and_restoring_change_the_state_and_nothing_else(doors: Doors):
    before = get(doors)
    doors.archive()
    archived = get(doors)
    assert archived.state == pb.PROJECT_STATE_ARCHIVED
    assert (archived.name, archived.create_time) == (before.name, before.create_time)
    assert archived.etag != before.etag
    restored = doors.projects.RestoreProject(pb.RestoreProjectRequest(project="vision"), call()).project
    assert restored.state == pb.PROJECT_STATE_ACTIVE


def test_the_list_has_every_project_once_by_id_whatever_the_page_size(doors: Doors):
    names = sorted(f"p{number}" for number in range(13))
    for name in reversed(names):
        doors.project(name)
    for size in (1, 3, 13, 14, 1000, 0):
        assert listed(doors, size=size) == [*names, "vision"]


def test_the_list_shows_archived_projects_only_on_request(doors: Doors):
    doors.project("old")
    doors.archive("old")
    assert listed(doors, archived=False) == ["vision"]
    assert listed(doors, archived=True) == ["old", "vision"]


def test_the_list_shows_only_what_the_caller_may_see(doors: Doors):
    for name in ("ads", "maps", "search"):
        doors.project(name)
    assert listed(doors, visible=Visible(frozenset({("maps", "development"), ("ads", "*")}))) == ["ads", "maps"]
    assert listed(doors, visible=Visible(frozenset({("*", "production")}))) == ["ads", "maps", "search", "vision"]
    assert listed(doors, visible=Visible(frozenset())) == []


def test_a_page_token_belongs_to_its_caller_and_its_list(doors: Doors):
    doors.project("ads")

    def page(member: str, *, archived: bool, token: str = ""):
        request = pb.ListProjectsRequest(page_size=1, page_token=token, include_archived=archived)
        return doors.projects.ListProjects(request, call(member, visible=EVERYTHING))

    token = page("user:ann", archived=False).next_page_token
    assert [project.id for project in page("user:ann", archived=False, token=token).projects] == ["vision"]
    for member, archived, given in (
        ("user:bob", False, token),
        ("user:ann", True, token),
        ("user:ann", False, token[:-4] + "AAAA"),
        ("user:ann", False, "1"),
        ("user:ann", False, "%"),
        ("user:ann", False, "é"),
    ):
        with pytest.raises(ApiError) as caught:
            page(member, archived=archived, token=given)
        assert caught.value.reason is Reason.INVALID_PAGE_TOKEN


def test_the_domains_are_the_servers_in_their_order(doors: Doors):
    native = doors.projects.ListDomains(pb.ListDomainsRequest(), call()).domains
    flyte = doors.admin.GetDomains(project_pb2.GetDomainRequest(), call()).domains
    assert [domain.id for domain in native] == [domain.id for domain in flyte] == list(DOMAINS)


# --- repeated requests


def test_a_repeated_request_is_answered_as_the_first_was(doors: Doors):
    request = pb.CreateProjectRequest(project="ads", request_id=request_id())
    first = doors.projects.CreateProject(request, call())
    update_ads = pb.UpdateProjectRequest(
        project="ads", name="Ads", update_mask=FieldMask(paths=["name"]), request_id=request_id()
    )
    renamed = doors.projects.UpdateProject(update_ads, call())
    doors.archive("ads")
    assert doors.projects.CreateProject(request, call()) == first
    assert doors.projects.UpdateProject(update_ads, call()) == renamed
    assert get(doors, "ads").state == pb.PROJECT_STATE_ARCHIVED


def test_a_repeated_archiving_does_not_undo_a_restoring(doors: Doors):
    archive = pb.ArchiveProjectRequest(project="vision", request_id=request_id())
    doors.projects.ArchiveProject(archive, call())
    doors.projects.RestoreProject(pb.RestoreProjectRequest(project="vision"), call())
    assert doors.projects.ArchiveProject(archive, call()).project.state == pb.PROJECT_STATE_ARCHIVED
    assert get(doors).state == pb.PROJECT_STATE_ACTIVE


def test_a_request_id_with_another_request_is_refused(doors: Doors):
    key = request_id()
    doors.projects.CreateProject(pb.CreateProjectRequest(project="ads", request_id=key), call())
    for request in (
        pb.CreateProjectRequest(project="maps", request_id=key),
        pb.CreateProjectRequest(project="ads", name="Ads", request_id=key),
        pb.CreateProjectRequest(project="ads", labels={"a": ""}, request_id=key),
    ):
        with pytest.raises(ApiError) as caught:
            doors.projects.CreateProject(request, call())
        assert (caught.value.reason, caught.value.field) == (Reason.REQUEST_ID_REUSED, "request_id")
    assert listed(doors) == ["ads", "vision"]


def test_request_ids_are_the_callers_own_and_the_methods_own(doors: Doors):
    key = request_id()
    doors.projects.CreateProject(pb.CreateProjectRequest(project="ads", request_id=key), call())
    with pytest.raises(ApiError) as caught:  # another caller's identical request is a new one
        doors.projects.CreateProject(pb.CreateProjectRequest(project="ads", request_id=key), call("user:bob"))
    assert caught.value.reason is Reason.ALREADY_EXISTS
    archived = doors.projects.ArchiveProject(
        pb.ArchiveProjectRequest(project="ads", request_id=key), call(method="/test/ArchiveProject")
    )
    assert archived.project.state == pb.PROJECT_STATE_ARCHIVED


def test_a_request_that_failed_may_be_tried_again_with_its_id(doors: Doors):
    request = pb.ArchiveProjectRequest(project="ads", request_id=request_id())
    with pytest.raises(ApiError):
        doors.projects.ArchiveProject(request, call())
    doors.project("ads")
    assert doors.projects.ArchiveProject(request, call()).project.id == "ads"


def test_the_order_of_a_map_does_not_make_another_request(doors: Doors):
    key = request_id()
    labels = [(f"k{number}", str(number)) for number in range(9)]
    first, second = (
        pb.CreateProjectRequest(project="ads", labels=dict(order), request_id=key) for order in (labels, labels[::-1])
    )
    assert doors.projects.CreateProject(first, call()) == doors.projects.CreateProject(second, call())


def test_repetitions_at_the_same_moment_happen_once_and_are_answered_alike(doors: Doors):
    for round_ in range(3):
        request = pb.CreateProjectRequest(project=f"ads-{round_}", request_id=request_id())
        answers = together(*[lambda request=request: doors.projects.CreateProject(request, call())] * 6)
        assert errors(answers) == []
        assert all(answer == answers[0] for answer in answers)


def test_of_two_projects_at_the_same_moment_with_one_request_id_one_is_created(doors: Doors):
    key = request_id()
    names = ("a", "b", "c", "d", "e", "f")
    answers = together(
        *(
            lambda name=name: doors.projects.CreateProject(
                pb.CreateProjectRequest(project=name, request_id=key), call()
            )
            for name in names
        )
    )
    assert [error.reason for error in errors(answers)] == [Reason.REQUEST_ID_REUSED] * 5
    assert len(listed(doors)) == 2


# --- Flyte's front door


def flyte_list(doors: Doors, **fields) -> list[str]:
    answer = doors.admin.ListProjects(project_pb2.ProjectListRequest(**fields), call(visible=EVERYTHING))
    return [project.id for project in answer.projects]


def test_a_project_registered_through_flyte_is_active_whatever_it_says(doors: Doors):
    request = create_project(
        "ads",
        name="Ads",
        description="Ranking",
        labels=common_pb2.Labels(values={"team": "ads"}),
        state=project_pb2.Project.ARCHIVED,
    )
    assert doors.admin.RegisterProject(request, call()) == project_pb2.ProjectRegisterResponse()
    native = get(doors, "ads")
    assert (native.name, native.description, dict(native.labels)) == ("Ads", "Ranking", {"team": "ads"})
    assert native.state == pb.PROJECT_STATE_ACTIVE
    flyte = doors.admin.GetProject(project_pb2.ProjectGetRequest(id="ads"), call())
    assert (flyte.id, flyte.name, flyte.state) == ("ads", "Ads", project_pb2.Project.ACTIVE)
    assert [domain.id for domain in flyte.domains] == list(DOMAINS)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"id": ""}, "project.id"),
        ({"id": "Ads"}, "project.id"),
        ({"id": "*"}, "project.id"),
        ({"id": "a" * 64}, "project.id"),
        ({"id": "ads-"}, "project.id"),
        ({"name": ""}, "project.name"),
        ({"name": "x" * 65}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"description": "x" * 301}, "description"),
        ({"domains": [project_pb2.Domain(id="qa")]}, "project.domains"),
    ],
)
def test_a_bad_project_is_refused_through_flyte_with_its_field(doors: Doors, fields: dict, field: str):
    request = project_pb2.ProjectRegisterRequest(project=project_pb2.Project(**{"id": "ads", "name": "Ads", **fields}))
    with pytest.raises(ApiError) as caught:
        doors.admin.RegisterProject(request, call())
    assert flyte_status(caught.value).code == 3
    assert violated(flyte_status(caught.value)) == [field]
    assert listed(doors) == ["vision"]


def test_a_second_registration_through_flyte_already_exists(doors: Doors):
    with pytest.raises(ApiError) as caught:
        doors.admin.RegisterProject(create_project("vision", name="Vision"), call())
    assert flyte_status(caught.value).code == 6
    assert info(flyte_status(caught.value)).metadata["project"] == "vision"


def test_an_update_through_flyte_keeps_what_it_leaves_empty_and_always_says_the_state(doors: Doors):
    labels = common_pb2.Labels(values={"team": "cv"})
    doors.admin.UpdateProject(
        project_pb2.Project(
            id="vision", name="Vision", description="Cameras", labels=labels, state=project_pb2.Project.ARCHIVED
        ),
        call(),
    )
    assert get(doors).state == pb.PROJECT_STATE_ARCHIVED
    doors.admin.UpdateProject(project_pb2.Project(id="vision", labels=common_pb2.Labels()), call())
    after = get(doors)
    assert (after.name, after.description, dict(after.labels)) == ("Vision", "Cameras", {"team": "cv"})
    assert after.state == pb.PROJECT_STATE_ACTIVE


@pytest.mark.parametrize("state", [2, 3, 17])
def test_a_state_that_is_not_for_clients_is_refused(doors: Doors, state: int):
    with pytest.raises(ApiError) as caught:
        doors.admin.UpdateProject(project_pb2.Project(id="vision", state=state), call())
    assert violated(flyte_status(caught.value)) == ["state"]


def test_flytes_list_hides_archived_projects_unless_a_filter_is_given(doors: Doors):
    doors.project("old")
    doors.archive("old")
    assert flyte_list(doors) == ["vision"]
    assert flyte_list(doors, filters="eq(identifier,old)", limit=1) == ["old"]
    assert flyte_list(doors, filters="eq(state,1)") == ["old"]
    assert flyte_list(doors, filters="eq(project.state,ACTIVE)") == ["vision"]
    assert flyte_list(doors, filters="ne(identifier,nobody)") == ["old", "vision"]
    assert flyte_list(doors, filters="contains(identifier,visio)+eq(state,0)") == ["vision"]


def test_flytes_list_is_sorted_as_asked_with_descending_as_the_unset_direction(doors: Doors):
    for name in ("b", "a", "c"):
        doors.project(name)
    assert flyte_list(doors) == ["a", "b", "c", "vision"]
    assert flyte_list(doors, sort_by=common_pb2.Sort(key="created_at")) == ["c", "a", "b", "vision"]
    ascending = common_pb2.Sort(key="created_at", direction=common_pb2.Sort.ASCENDING)
    assert flyte_list(doors, sort_by=ascending) == ["vision", "b", "a", "c"]
    for key in ("identifier", "name", "id", "updated_at", "labels", "state", "description"):
        assert len(flyte_list(doors, sort_by=common_pb2.Sort(key=key))) == 4


def test_flytes_list_takes_row_numbers_as_flytectl_sends_them_and_tokens_of_our_own(doors: Doors):
    names = [f"p{number}" for number in range(7)]
    for name in names:
        doors.project(name)
    expected = [*names, "vision"]
    counted = [flyte_list(doors, limit=3, token=str(start)) for start in (0, 3, 6, 9)]
    assert counted == [expected[:3], expected[3:6], expected[6:], []]

    def fetch(token: str):
        answer = doors.admin.ListProjects(
            project_pb2.ProjectListRequest(limit=3, token=token), call(visible=EVERYTHING)
        )
        return [project.id for project in answer.projects], answer.token

    assert pages(fetch) == [expected[:3], expected[3:6], expected[6:]]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"token": "x"}, Reason.INVALID_PAGE_TOKEN),
        ({"token": "-1"}, Reason.INVALID_PAGE_TOKEN),
        ({"token": "1000001"}, Reason.INVALID_PAGE_TOKEN),
        ({"token": "9" * 30}, Reason.INVALID_PAGE_TOKEN),
        ({"limit": -1 & 0xFFFFFFFF}, None),
        ({"filters": "eq(identifier)"}, Reason.INVALID_FIELD),
        ({"filters": "like(identifier,a)"}, Reason.INVALID_FIELD),
        ({"filters": "eq(state,7)"}, Reason.INVALID_FIELD),
        ({"filters": "eq(created_at,yesterday)"}, Reason.INVALID_FIELD),
        ({"filters": "eq(name,a\0b)"}, Reason.INVALID_FIELD),
        ({"filters": "eq(secret,a)"}, Reason.UNKNOWN_FIELD),
        ({"filters": "eq(task.name,a)"}, Reason.UNKNOWN_FIELD),
        ({"sort_by": common_pb2.Sort(key="secret")}, Reason.UNKNOWN_FIELD),
    ],
)
def test_what_flytes_list_cannot_read_is_refused(doors: Doors, fields: dict, reason: Reason | None):
    if reason is None:  # the wire's limit is unsigned: the largest one is a long page and no error
        assert flyte_list(doors, **fields) == ["vision"]
        return
    with pytest.raises(ApiError) as caught:
        flyte_list(doors, **fields)
    assert caught.value.reason is reason


def test_flytes_list_shows_only_what_the_caller_may_see(doors: Doors):
    doors.project("ads")
    only = call(visible=Visible(frozenset({("ads", "development")})))
    for request in (project_pb2.ProjectListRequest(), project_pb2.ProjectListRequest(filters="eq(identifier,vision)")):
        assert "vision" not in [project.id for project in doors.admin.ListProjects(request, only).projects]


def test_the_version_is_that_of_the_installed_server(doors: Doors):
    version = doors.admin.GetVersion(version_pb2.GetVersionRequest(), call()).control_plane_version
    assert (version.Build, bool(version.Version)) == ("airspace", True)


# --- any sequence of calls


@pytest.mark.timeout(120)
def test_both_front_doors_show_one_truth_after_any_sequence_of_calls(doors: Doors):
    prefix = iter(range(10**6))

    class Projects(RuleBasedStateMachine):
        """A dict is the model; each run has ids of its own, so that runs share the database."""

        def __init__(self) -> None:
            super().__init__()
            self.run = f"run{next(prefix)}-"
            self.model: dict[str, dict] = {}
            self.etags: dict[str, list[str]] = {}

        ids = st.sampled_from(["a", "b", "c"])
        texts = st.text(max_size=5).filter(lambda text: "\0" not in text)

        @rule(name=ids, text=texts, native=st.booleans())
        def create(self, name: str, text: str, native: bool) -> None:
            id_ = self.run + name

            def act() -> object:
                if native:
                    return doors.projects.CreateProject(pb.CreateProjectRequest(project=id_, description=text), call())
                return doors.admin.RegisterProject(create_project(id_, name=id_, description=text), call())

            if id_ in self.model:
                with pytest.raises(ApiError) as caught:
                    act()
                assert caught.value.reason is Reason.ALREADY_EXISTS
            else:
                act()
                self.model[id_] = {"name": id_, "description": text, "archived": False}

        @precondition(lambda self: self.model)
        @rule(data=st.data(), text=texts, native=st.booleans())
        def describe(self, data: st.DataObject, text: str, native: bool) -> None:
            id_ = data.draw(st.sampled_from(sorted(self.model)))
            state = self.model[id_]
            if native:
                update(doors, "description", project=id_, description=text)
                state["description"] = text
            else:
                flyte_state = project_pb2.Project.ARCHIVED if state["archived"] else project_pb2.Project.ACTIVE
                doors.admin.UpdateProject(project_pb2.Project(id=id_, description=text, state=flyte_state), call())
                state["description"] = text or state["description"]

        @precondition(lambda self: self.model)
        @rule(data=st.data(), archived=st.booleans(), native=st.booleans())
        def move(self, data: st.DataObject, archived: bool, native: bool) -> None:
            id_ = data.draw(st.sampled_from(sorted(self.model)))
            if not native:
                state = project_pb2.Project.ARCHIVED if archived else project_pb2.Project.ACTIVE
                doors.admin.UpdateProject(project_pb2.Project(id=id_, state=state), call())
            elif archived:
                doors.archive(id_)
            else:
                doors.projects.RestoreProject(pb.RestoreProjectRequest(project=id_), call())
            self.model[id_]["archived"] = archived

        @invariant()
        def both_lists_are_the_model(self) -> None:
            mine = Visible(frozenset((self.run + name, "*") for name in ("a", "b", "c")))
            native = doors.projects.ListProjects(
                pb.ListProjectsRequest(include_archived=True), call(visible=mine)
            ).projects
            assert {
                project.id: {
                    "name": project.name,
                    "description": project.description,
                    "archived": project.state == pb.PROJECT_STATE_ARCHIVED,
                }
                for project in native
            } == self.model
            flyte = doors.admin.ListProjects(project_pb2.ProjectListRequest(), call(visible=mine)).projects
            assert [project.id for project in flyte] == sorted(
                id_ for id_, state in self.model.items() if not state["archived"]
            )

        @invariant()
        def every_change_has_an_etag_of_its_own(self) -> None:
            for id_ in self.model:
                etag, known = get(doors, id_).etag, self.etags.setdefault(id_, [])
                if not known or known[-1] != etag:
                    assert etag not in known
                    known.append(etag)

    run_state_machine_as_test(
        Projects,
        settings=settings(
            max_examples=15,
            stateful_step_count=15,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
