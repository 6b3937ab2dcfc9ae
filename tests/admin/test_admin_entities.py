"""What is said of names and how versions are described, as Flyte's clients see and change it."""

import pytest
from flyte_samples import chain, double, task_spec
from flyteidl.admin import common_pb2, description_entity_pb2, launch_plan_pb2, task_pb2
from flyteidl.core import identifier_pb2
from wing_doors import DEV, PROD, Doors, call, flyte_id, pages

from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.scope import EntityId, Scope

TASK, WORKFLOW, PLAN = identifier_pb2.TASK, identifier_pb2.WORKFLOW, identifier_pb2.LAUNCH_PLAN
ACTIVE, ARCHIVED = common_pb2.NAMED_ENTITY_ACTIVE, common_pb2.NAMED_ENTITY_ARCHIVED


def refused(act) -> ApiError:
    with pytest.raises(ApiError) as caught:
        act()
    return caught.value


def register(doors: Doors, name: str, scope: Scope = DEV, version: str = "v1", **described: object) -> None:
    spec = task_pb2.TaskSpec()
    spec.CopyFrom(task_spec(double))
    spec.description.CopyFrom(description_entity_pb2.DescriptionEntity(**described))
    id_ = EntityId(scope, name, version)
    doors.admin.CreateTask(task_pb2.TaskCreateRequest(id=flyte_id(id_, TASK), spec=spec), call())


def name_id(name: str, scope: Scope = DEV) -> common_pb2.NamedEntityIdentifier:
    return common_pb2.NamedEntityIdentifier(project=scope.project, domain=scope.domain, name=name)


def said(doors: Doors, name: str, kind: int = TASK, scope: Scope = DEV) -> tuple[str, int]:
    request = common_pb2.NamedEntityGetRequest(resource_type=kind, id=name_id(name, scope))
    metadata = doors.entities.GetNamedEntity(request, call()).metadata
    return metadata.description, metadata.state


def say(doors: Doors, name: str, kind: int = TASK, scope: Scope = DEV, **metadata: object) -> None:
    request = common_pb2.NamedEntityUpdateRequest(resource_type=kind, id=name_id(name, scope))
    request.metadata.CopyFrom(common_pb2.NamedEntityMetadata(**metadata))
    doors.entities.UpdateNamedEntity(request, call())


def listed(doors: Doors, kind: int = TASK, scope: Scope = DEV, limit: int = 100, **more: object) -> list[str]:
    def fetch(token: str) -> tuple[list[common_pb2.NamedEntity], str]:
        request = common_pb2.NamedEntityListRequest(
            resource_type=kind, project=scope.project, domain=scope.domain, limit=limit, token=token, **more
        )
        answer = doors.entities.ListNamedEntities(request, call())
        return answer.entities, answer.token

    return [entity.id.name for page in pages(fetch) for entity in page]


# --- names


def test_a_name_has_one_entry_however_many_versions_it_has_and_only_in_its_scope(doors: Doors):
    for version in ("v1", "v2"):
        register(doors, "bake", version=version)
    register(doors, "only-there", PROD)
    assert listed(doors) == ["bake"]
    assert said(doors, "bake") == ("", ACTIVE)
    assert refused(lambda: said(doors, "only-there")).reason is Reason.NOT_FOUND
    assert refused(lambda: say(doors, "only-there", description="x")).reason is Reason.NOT_FOUND


def test_each_kind_has_names_of_its_own(doors: Doors):
    doors.plan(doors.register(chain), name=chain.name)
    say(doors, chain.name, WORKFLOW, description="of the workflow")
    assert said(doors, chain.name, WORKFLOW) == ("of the workflow", ACTIVE)
    assert said(doors, chain.name, PLAN) == ("", ACTIVE)
    assert refused(lambda: said(doors, chain.name, TASK)).reason is Reason.NOT_FOUND
    for kind in (identifier_pb2.UNSPECIFIED, identifier_pb2.DATASET):
        assert refused(lambda kind=kind: listed(doors, kind)).field == "resource_type"


def test_what_is_said_of_a_name_stays_in_its_scope(doors: Doors):
    for scope in (DEV, PROD):
        register(doors, "bake", scope)
    say(doors, "bake", description="mine", state=ARCHIVED)
    assert said(doors, "bake") == ("mine", ARCHIVED)
    assert said(doors, "bake", scope=PROD) == ("", ACTIVE)
    assert listed(doors, scope=PROD, filters="eq(state,1)") == []


def test_a_new_description_never_brings_an_archived_name_back(doors: Doors):
    register(doors, "bake")
    say(doors, "bake", state=ARCHIVED)
    assert said(doors, "bake") == ("", ARCHIVED)
    say(doors, "bake", description="bread")  # flytectl sends ACTIVE along, which is the wire's zero
    assert said(doors, "bake") == ("bread", ARCHIVED)
    say(doors, "bake", description="bread")  # it is that already: then the state is what is meant
    assert said(doors, "bake") == ("bread", ACTIVE)
    say(doors, "bake", state=ARCHIVED)
    assert said(doors, "bake") == ("bread", ARCHIVED)
    say(doors, "bake")
    assert said(doors, "bake") == ("bread", ACTIVE)


def test_names_are_found_by_what_is_said_of_them_page_by_page(doors: Doors):
    for name in ("a", "b", "c", "d", ".flytegen.e"):
        register(doors, name)
    say(doors, "b", description="bread", state=ARCHIVED)
    say(doors, "d", state=ARCHIVED)
    assert listed(doors, limit=1) == ["a", "b", "c", "d"]  # pages are whole, and what clients made is left out
    assert listed(doors, filters="eq(state,0)") == [".flytegen.e", "a", "c"]
    assert listed(doors, limit=1, filters="eq(state,1)") == ["b", "d"]
    assert listed(doors, filters="eq(named_entity_metadata.state,NAMED_ENTITY_ARCHIVED)") == ["b", "d"]
    assert listed(doors, filters="contains(description,rea)") == ["b"]
    by_state = common_pb2.Sort(key="state", direction=common_pb2.Sort.DESCENDING)
    assert listed(doors, limit=2, sort_by=by_state) == ["d", "b", "c", "a"]
    assert refused(lambda: listed(doors, filters="eq(state,9)")).field == "filters"
    assert refused(lambda: listed(doors, filters="eq(color,red)")).reason is Reason.UNKNOWN_FIELD


@pytest.mark.parametrize("description", ["x" * 301, "a\0b"])
def test_a_description_that_cannot_be_kept_is_refused_and_nothing_is_said(doors: Doors, description: str):
    register(doors, "bake")
    assert refused(lambda: say(doors, "bake", description=description)).field == "metadata.description"
    assert refused(lambda: say(doors, "bake", state=7)).field == "metadata.state"
    request = common_pb2.NamedEntityUpdateRequest(resource_type=TASK, id=name_id("bake"))
    assert refused(lambda: doors.entities.UpdateNamedEntity(request, call())).field == "metadata"
    assert said(doors, "bake") == ("", ACTIVE)


def test_in_an_archived_project_names_can_be_read_and_not_changed(doors: Doors):
    register(doors, "bake")
    doors.archive()
    assert said(doors, "bake") == ("", ACTIVE)
    assert refused(lambda: say(doors, "bake", state=ARCHIVED)).reason is Reason.PROJECT_ARCHIVED


def test_an_archived_name_can_still_be_launched(doors: Doors):
    plan = doors.plan(doors.register(chain), active=True)
    say(doors, plan.name, PLAN, state=ARCHIVED)
    request = launch_plan_pb2.ActiveLaunchPlanRequest(id=name_id(plan.name))
    assert doors.admin.GetActiveLaunchPlan(request, call()).id.version == plan.version


# --- descriptions


def description_of(doors: Doors, name: str, version: str = "v1", kind: int = TASK, scope: Scope = DEV):
    id_ = flyte_id(EntityId(scope, name, version), kind)
    return doors.entities.GetDescriptionEntity(common_pb2.ObjectGetRequest(id=id_), call())


def test_a_version_is_described_as_it_was_registered(doors: Doors):
    markdown = description_entity_pb2.Description(value="# Bread", format=1, icon_link="icon")
    code = description_entity_pb2.SourceCode(link="https://git.example/bake")
    register(
        doors, "bake", short_description="bakes", long_description=markdown, source_code=code, tags=["oven", "hot"]
    )
    register(doors, "bake", version="v2")
    for kind in (TASK, identifier_pb2.UNSPECIFIED):
        found = description_of(doors, "bake", kind=kind)
        assert found.id == flyte_id(EntityId(DEV, "bake", "v1"), TASK)
        assert (found.short_description, found.long_description, found.source_code) == ("bakes", markdown, code)
        assert found.tags == ["oven", "hot"]
    for act in (
        lambda: description_of(doors, "bake", "v2"),  # nothing was said of it
        lambda: description_of(doors, "bake", kind=WORKFLOW),
        lambda: description_of(doors, "bake", scope=PROD),
    ):
        assert refused(act).reason is Reason.NOT_FOUND
    assert refused(lambda: description_of(doors, "bake", kind=PLAN)).field == "id.resource_type"


def test_descriptions_are_listed_newest_first_of_all_names_or_of_one(doors: Doors):
    for name, version in (("a", "v1"), ("b", "v1"), ("a", "v2")):
        register(doors, name, version=version, short_description=f"{name} {version}")
    register(doors, "c", PROD, short_description="there")

    def found(name: str = "", **more: object) -> list[str]:
        def fetch(token: str) -> tuple[list[description_entity_pb2.DescriptionEntity], str]:
            request = description_entity_pb2.DescriptionEntityListRequest(
                resource_type=TASK, id=name_id(name), limit=1, token=token, **more
            )
            answer = doors.entities.ListDescriptionEntities(request, call())
            return answer.descriptionEntities, answer.token

        return [each.short_description for page in pages(fetch) for each in page]

    assert found() == ["a v2", "b v1", "a v1"]
    assert found("a") == ["a v2", "a v1"]
    assert found(filters="eq(version,v1)") == ["b v1", "a v1"]
    assert refused(lambda: found("not a name!")).field == "id.name"


def test_a_description_that_cannot_be_kept_keeps_its_version_out(doors: Doors):
    too_long = description_entity_pb2.Description(value="x" * (1 << 20))
    assert refused(lambda: register(doors, "bake", long_description=too_long)).field == "spec.description"
    assert refused(lambda: register(doors, "bake", short_description="a\0")).field is not None
    assert listed(doors) == []
