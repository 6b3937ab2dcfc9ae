"""Launch plans: compiled against their workflow, and at most one version of a name active, whoever races."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from flyte_samples import chain, cron_lp, fan, nightly, rate_lp, workflow_spec
from flyteidl.admin import common_pb2, launch_plan_pb2
from flyteidl.core import identifier_pb2
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import bindparam
from sqlalchemy.exc import IntegrityError
from wing_doors import (
    DEV,
    PROD,
    Doors,
    call,
    errors,
    flyte_id,
    flyte_status,
    info,
    integer,
    moved,
    pages,
    plan_id,
    plan_spec,
    register_plan,
    scope_message,
    together,
    violated,
)

from airspace.launchplan.v1 import launch_plan_service_pb2 as pb
from airspace_server.admin.launch_plans import LAUNCH_PLANS
from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.scope import EntityId, Scope
from airspace_server.storage.database import scoped


def activate(doors: Doors, id_: EntityId) -> pb.LaunchPlan:
    return doors.plans.ActivateLaunchPlan(pb.ActivateLaunchPlanRequest(launch_plan=plan_id(id_)), call()).launch_plan


def deactivate(doors: Doors, id_: EntityId) -> pb.LaunchPlan:
    request = pb.DeactivateLaunchPlanRequest(launch_plan=plan_id(id_))
    return doors.plans.DeactivateLaunchPlan(request, call()).launch_plan


def get(doors: Doors, id_: EntityId) -> pb.LaunchPlan:
    return doors.plans.GetLaunchPlan(pb.GetLaunchPlanRequest(launch_plan=plan_id(id_)), call()).launch_plan


def active(doors: Doors, scope: Scope = DEV) -> list[tuple[str, str]]:
    request = pb.ListLaunchPlansRequest(scope=scope_message(scope), active_only=True)
    return [(plan.id.name, plan.id.version) for plan in doors.plans.ListLaunchPlans(request, call()).launch_plans]


def update(doors: Doors, id_: EntityId, state: int, kind: int = identifier_pb2.LAUNCH_PLAN) -> None:
    request = launch_plan_pb2.LaunchPlanUpdateRequest(id=flyte_id(id_, kind), state=state)
    doors.admin.UpdateLaunchPlan(request, call())


# --- registering


def test_a_registered_launch_plan_is_inactive_and_knows_what_a_launch_may_set(doors: Doors):
    id_ = doors.plan(doors.register(fan), defaults={"x": integer(4)})
    found = get(doors, id_)
    assert found.state == pb.LAUNCH_PLAN_STATE_INACTIVE
    assert (found.workflow.name, found.workflow.version) == (fan.name, "v1")
    closure = launch_plan_pb2.LaunchPlanClosure()
    found.closure.Unpack(closure)
    assert closure.expected_inputs.parameters["x"].default == integer(4)
    assert set(closure.expected_outputs.variables) == {"o0", "o1"}
    flyte = doors.admin.GetLaunchPlan(common_pb2.ObjectGetRequest(id=flyte_id(id_)), call())
    assert flyte.closure.expected_inputs == closure.expected_inputs
    assert flyte.closure.state == launch_plan_pb2.INACTIVE
    assert flyte.spec.default_inputs == closure.expected_inputs
    assert flyte.id.resource_type == identifier_pb2.LAUNCH_PLAN


@pytest.mark.parametrize(("plan", "text"), [(cron_lp, "0 2 * * *"), (rate_lp, "every 10 minutes")])
def test_a_schedule_of_flytekits_is_kept_and_told(doors: Doors, plan, text: str):
    from flyte_samples import serialize

    doors.register(plan.workflow)
    id_ = EntityId(DEV, plan.name, "v1")
    assert doors.plans.RegisterLaunchPlan(register_plan(id_, serialize(plan)[0].spec), call()).created
    assert get(doors, id_).schedule == text


def test_the_same_content_again_is_no_error_and_other_content_is_refused(doors: Doors):
    workflow = doors.register(chain)
    id_ = EntityId(DEV, "plan", "v1")
    answers = [
        doors.plans.RegisterLaunchPlan(register_plan(id_, plan_spec(workflow, fixed={"x": integer(1)})), call())
        for _ in range(2)
    ]
    assert [answer.created for answer in answers] == [True, False]
    other = plan_spec(workflow, fixed={"x": integer(2)})
    with pytest.raises(ApiError) as caught:
        doors.plans.RegisterLaunchPlan(register_plan(id_, other), call())
    assert caught.value.reason is Reason.DIFFERENT_CONTENT
    request = launch_plan_pb2.LaunchPlanCreateRequest(id=flyte_id(id_, identifier_pb2.LAUNCH_PLAN), spec=other)
    with pytest.raises(ApiError) as caught:
        doors.admin.CreateLaunchPlan(request, call())
    assert flyte_status(caught.value).code == 3
    request.spec.CopyFrom(plan_spec(workflow, fixed={"x": integer(1)}))
    with pytest.raises(ApiError) as caught:
        doors.admin.CreateLaunchPlan(request, call())
    assert (flyte_status(caught.value).code, info(flyte_status(caught.value)).reason) == (6, "ALREADY_EXISTS")


def test_registering_an_active_version_again_leaves_it_active(doors: Doors):
    id_ = doors.plan(doors.register(chain), active=True)
    spec = plan_spec(EntityId(DEV, chain.name, "v1"))
    assert not doors.plans.RegisterLaunchPlan(register_plan(id_, spec), call()).created
    assert active(doors) == [("plan", "v1")]


def test_a_launch_plan_needs_its_workflow_in_its_own_scope(doors: Doors):
    workflow = doors.register(chain, PROD)
    for spec, reason in (
        (plan_spec(workflow), Reason.FOREIGN_REFERENCE),
        (plan_spec(replace(workflow, scope=Scope("other", "development"))), Reason.FOREIGN_REFERENCE),
        (plan_spec(replace(workflow, scope=DEV)), Reason.NOT_FOUND),
        (plan_spec(replace(workflow, scope=DEV, version="")), Reason.INVALID_FIELD),
    ):
        with pytest.raises(ApiError) as caught:
            doors.plans.RegisterLaunchPlan(register_plan(EntityId(DEV, "plan", "v1"), spec), call())
        assert caught.value.reason is reason


@pytest.mark.parametrize(
    "inputs",
    [
        {"defaults": {"y": integer(1)}},
        {"fixed": {"y": integer(1)}},
        {"defaults": {"x": integer(1)}, "fixed": {"x": integer(1)}},
        {"labels": {"a b": ""}},
    ],
)
def test_a_launch_plan_that_does_not_fit_its_workflow_is_refused_and_not_stored(doors: Doors, inputs: dict):
    workflow = doors.register(chain)
    with pytest.raises(ApiError) as caught:
        doors.plan(workflow, **inputs)
    assert caught.value.code.value == 3
    assert doors.plans.ListLaunchPlans(pb.ListLaunchPlansRequest(scope=scope_message(DEV)), call()).launch_plans == []


def test_a_schedule_that_could_not_launch_is_refused(doors: Doors):
    workflow = doors.register(nightly)
    spec = plan_spec(workflow)
    spec.entity_metadata.schedule.cron_schedule.schedule = "0 2 * * *"
    with pytest.raises(ApiError) as caught:
        doors.plans.RegisterLaunchPlan(register_plan(EntityId(DEV, "plan", "v1"), spec), call())
    assert caught.value.reason is Reason.SCHEDULE_INVALID
    spec.entity_metadata.schedule.cron_schedule.schedule = "61 2 * * *"
    with pytest.raises(ApiError) as caught:
        doors.plans.RegisterLaunchPlan(register_plan(EntityId(DEV, "plan", "v1"), spec), call())
    assert caught.value.reason is Reason.SCHEDULE_INVALID


# --- one active version


def test_activating_takes_the_place_of_the_version_before(doors: Doors):
    workflow = doors.register(chain)
    first, second = (doors.plan(workflow, version=version) for version in ("v1", "v2"))
    other = doors.plan(workflow, "other", active=True)
    assert activate(doors, first).state == pb.LAUNCH_PLAN_STATE_ACTIVE
    assert activate(doors, second).state == pb.LAUNCH_PLAN_STATE_ACTIVE
    assert get(doors, first).state == pb.LAUNCH_PLAN_STATE_INACTIVE
    assert sorted(active(doors)) == [("other", "v1"), ("plan", "v2")]
    assert get(doors, other).state == pb.LAUNCH_PLAN_STATE_ACTIVE
    found = doors.plans.GetActiveLaunchPlan(
        pb.GetActiveLaunchPlanRequest(scope=scope_message(DEV), name="plan"), call()
    )
    assert found.launch_plan.id.version == "v2"
    assert found.launch_plan.HasField("spec")


def test_activating_what_is_active_and_deactivating_what_is_not_changes_nothing(doors: Doors):
    id_ = doors.plan(doors.register(chain), active=True)
    before = get(doors, id_)
    assert activate(doors, id_).update_time == before.update_time
    deactivated = deactivate(doors, id_)
    assert deactivated.update_time != before.update_time
    assert deactivate(doors, id_) == deactivated
    assert active(doors) == []


def test_domains_have_active_versions_of_their_own(doors: Doors):
    plans = {scope: doors.plan(doors.register(chain, scope), active=True) for scope in (DEV, PROD)}
    deactivate(doors, plans[PROD])
    assert (active(doors, DEV), active(doors, PROD)) == ([("plan", "v1")], [])


def test_without_an_active_version_there_is_none_to_get(doors: Doors):
    doors.plan(doors.register(chain))
    for act in (
        lambda: doors.plans.GetActiveLaunchPlan(
            pb.GetActiveLaunchPlanRequest(scope=scope_message(DEV), name="plan"), call()
        ),
        lambda: doors.admin.GetActiveLaunchPlan(
            launch_plan_pb2.ActiveLaunchPlanRequest(
                id=common_pb2.NamedEntityIdentifier(project="vision", domain="development", name="plan")
            ),
            call(),
        ),
    ):
        with pytest.raises(ApiError) as caught:
            act()
        assert caught.value.reason is Reason.NOT_FOUND


def test_a_version_that_is_not_registered_can_be_neither_activated_nor_deactivated(doors: Doors):
    doors.plan(doors.register(chain), active=True)
    missing = EntityId(DEV, "plan", "v9")
    for act in (
        lambda: activate(doors, missing),
        lambda: deactivate(doors, missing),
        lambda: update(doors, missing, launch_plan_pb2.ACTIVE),
        lambda: update(doors, missing, launch_plan_pb2.INACTIVE),
        lambda: activate(doors, EntityId(PROD, "plan", "v1")),
    ):
        with pytest.raises(ApiError) as caught:
            act()
        assert caught.value.reason is Reason.NOT_FOUND
    assert active(doors) == [("plan", "v1")]


def test_an_archived_project_activates_nothing_and_can_deactivate(doors: Doors):
    workflow = doors.register(chain)
    first, second = doors.plan(workflow, active=True), doors.plan(workflow, version="v2")
    doors.archive()
    for act in (lambda: activate(doors, second), lambda: update(doors, second, launch_plan_pb2.ACTIVE)):
        with pytest.raises(ApiError) as caught:
            act()
        assert caught.value.reason is Reason.PROJECT_ARCHIVED
    assert active(doors) == [("plan", "v1")]
    deactivate(doors, first)
    assert active(doors) == []


def test_flytes_update_without_a_state_deactivates(doors: Doors):
    workflow = doors.register(chain)
    first, second = doors.plan(workflow), doors.plan(workflow, version="v2")
    update(doors, first, launch_plan_pb2.ACTIVE)
    update(doors, second, launch_plan_pb2.ACTIVE, identifier_pb2.UNSPECIFIED)
    assert active(doors) == [("plan", "v2")]
    doors.admin.UpdateLaunchPlan(launch_plan_pb2.LaunchPlanUpdateRequest(id=flyte_id(second)), call())
    assert active(doors) == []
    with pytest.raises(ApiError) as caught:
        update(doors, first, 7)
    assert violated(flyte_status(caught.value)) == ["state"]


# --- history


def roll_back(doors: Doors, name: str = "plan", member: str = "user:ann") -> pb.LaunchPlan:
    request = pb.RollbackLaunchPlanRequest(scope=scope_message(DEV), name=name)
    return doors.plans.RollbackLaunchPlan(request, call(member)).launch_plan


def history(doors: Doors, name: str = "plan", scope: Scope = DEV, size: int = 0) -> list[tuple[str, str, str]]:
    def fetch(token: str) -> tuple[Sequence[pb.Activation], str]:
        request = pb.ListActivationsRequest(scope=scope_message(scope), name=name, page_size=size, page_token=token)
        answer = doors.plans.ListActivations(request, call())
        return answer.activations, answer.next_page_token

    return [
        (each.version, pb.ActivationCause.Name(each.cause).removeprefix("ACTIVATION_CAUSE_"), each.principal)
        for rows in pages(fetch)
        for each in rows
    ]


def versions(doors: Doors, *names: str) -> list[EntityId]:
    workflow = doors.register(chain)
    return [doors.plan(workflow, version=name) for name in names]


def test_a_rollback_needs_a_version_that_was_active_before(doors: Doors):
    first, _ = versions(doors, "v1", "v2")
    for name in ("plan", "none"):
        with pytest.raises(ApiError) as refused:
            roll_back(doors, name)
        assert refused.value.reason is Reason.WRONG_STATE
    activate(doors, first)
    with pytest.raises(ApiError) as refused:
        roll_back(doors)
    assert refused.value.metadata["state"] == "active v1"
    assert active(doors) == [("plan", "v1")]
    assert len(history(doors)) == 1


def test_a_rollback_brings_back_what_was_active_before_and_done_twice_changes_nothing(doors: Doors):
    for id_ in versions(doors, "v1", "v2", "v3"):
        activate(doors, id_)
    assert roll_back(doors, member="user:bob").id.version == "v2"
    assert active(doors) == [("plan", "v2")]
    assert roll_back(doors).id.version == "v3"
    assert history(doors, size=2) == [
        ("v3", "ROLLBACK", "user:ann"),
        ("v2", "ROLLBACK", "user:bob"),
        ("v3", "ACTIVATE", "user:ann"),
        ("v2", "ACTIVATE", "user:ann"),
        ("v1", "ACTIVATE", "user:ann"),
    ]


def test_where_nothing_is_active_a_rollback_brings_back_the_last_that_was(doors: Doors):
    first, second = versions(doors, "v1", "v2")
    activate(doors, first)
    activate(doors, second)
    deactivate(doors, first)  # is not active: nothing happens
    deactivate(doors, second)
    assert history(doors)[0] == ("", "DEACTIVATE", "user:ann")
    assert roll_back(doors).id.version == "v2"


def test_an_archived_project_rolls_nothing_back(doors: Doors):
    for id_ in versions(doors, "v1", "v2"):
        activate(doors, id_)
    doors.archive()
    with pytest.raises(ApiError) as refused:
        roll_back(doors)
    assert refused.value.reason is Reason.PROJECT_ARCHIVED


def test_what_changes_nothing_is_no_part_of_the_history_and_each_domain_has_its_own(doors: Doors):
    first, _ = versions(doors, "v1", "v2")
    activate(doors, first)
    activate(doors, first)
    assert history(doors) == [("v1", "ACTIVATE", "user:ann")]
    assert history(doors, scope=PROD) == []


def test_many_activations_at_the_same_moment_leave_exactly_one_active(doors: Doors):
    workflow = doors.register(chain)
    plans = [doors.plan(workflow, version=f"v{number}") for number in range(6)]
    for _ in range(3):
        answers = together(*(lambda id_=id_: activate(doors, id_) for id_ in plans))
        assert errors(answers) == []
        assert [answer.state for answer in answers] == [pb.LAUNCH_PLAN_STATE_ACTIVE] * 6
        assert len(active(doors)) == 1


def test_activations_deactivations_and_registrations_at_once_never_show_two_active_versions(doors: Doors):
    workflow = doors.register(chain)
    plans = [doors.plan(workflow, version=f"v{number}") for number in range(4)]
    seen: list[int] = []

    def move(mine: list[EntityId]) -> None:
        for id_ in mine * 3:
            activate(doors, id_)
            deactivate(doors, id_)

    def register() -> None:
        for number in range(6):
            activate(doors, doors.plan(workflow, version=f"new{number}"))

    def look() -> None:
        seen.extend(len(active(doors)) for _ in range(40))

    answers = together(lambda: move(plans), lambda: move(plans[::-1]), register, look, look)
    assert errors(answers) == []
    assert set(seen) <= {0, 1}


def test_the_database_itself_refuses_a_second_active_version(doors: Doors):
    workflow = doors.register(chain)
    doors.plan(workflow, active=True)
    doors.plan(workflow, version="v2")
    statement = (
        LAUNCH_PLANS.update()
        .where(scoped(LAUNCH_PLANS), LAUNCH_PLANS.c.version == bindparam("own_version"))
        .values(state="ACTIVE")
    )
    with pytest.raises(IntegrityError), doors.database.write(DEV) as tx:
        tx.execute(statement, own_version="v2")
    assert active(doors) == [("plan", "v1")]


def test_no_version_becomes_active_after_the_archiving_was_answered(doors: Doors):
    workflow = doors.register(chain)
    plans = [doors.plan(workflow, version=f"v{number}") for number in range(3)]
    archived: list[bool] = []

    def move(id_: EntityId) -> None:
        for _ in range(60):
            after = bool(archived)
            try:
                activate(doors, id_)
            except ApiError as error:
                assert error.reason is Reason.PROJECT_ARCHIVED  # noqa: PT017 -- either end is one that is tested
                return
            assert not after

    def archive() -> None:
        doors.archive()
        archived.append(True)

    assert errors(together(*(lambda id_=id_: move(id_) for id_ in plans), archive)) == []


@pytest.mark.timeout(120)
def test_any_sequence_of_moves_leaves_the_last_activated_version_active(doors: Doors):
    workflow = doors.register(chain)
    runs = iter(range(10**6))

    class Plans(RuleBasedStateMachine):
        """The model is one version or None; each run has a name of its own."""

        def __init__(self) -> None:
            super().__init__()
            self.name = f"plan{next(runs)}"
            self.versions: set[str] = set()
            self.active: str | None = None

        versions_ = st.sampled_from(["v1", "v2", "v3"])

        @rule(version=versions_)
        def register(self, version: str) -> None:
            doors.plan(workflow, self.name, version)
            self.versions.add(version)

        @rule(version=versions_, on=st.booleans(), native=st.booleans())
        def move(self, version: str, on: bool, native: bool) -> None:
            id_ = EntityId(DEV, self.name, version)

            def act() -> object:
                if native:
                    return activate(doors, id_) if on else deactivate(doors, id_)
                return update(doors, id_, launch_plan_pb2.ACTIVE if on else launch_plan_pb2.INACTIVE)

            if version not in self.versions:
                with pytest.raises(ApiError) as caught:
                    act()
                assert caught.value.reason is Reason.NOT_FOUND
                return
            act()
            if on:
                self.active = version
            elif self.active == version:
                self.active = None

        @invariant()
        def the_list_is_the_model(self) -> None:
            request = pb.ListLaunchPlansRequest(scope=scope_message(DEV), name=self.name)
            states = {
                plan.id.version: plan.state == pb.LAUNCH_PLAN_STATE_ACTIVE
                for plan in doors.plans.ListLaunchPlans(request, call()).launch_plans
            }
            assert states == {version: version == self.active for version in self.versions}

    run_state_machine_as_test(
        Plans,
        settings=settings(
            max_examples=12,
            stateful_step_count=12,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


# --- lists


def listing(**fields) -> common_pb2.ResourceListRequest:
    fields = {"limit": 100, **fields}
    return common_pb2.ResourceListRequest(
        id=common_pb2.NamedEntityIdentifier(project="vision", domain="development", name=fields.pop("name", "")),
        **fields,
    )


def test_lists_are_light_natively_and_full_on_flytes_wire(doors: Doors):
    workflow = doors.register(fan)
    for version in ("v1", "v2"):
        doors.plan(workflow, version=version, defaults={"x": integer(4)}, active=version == "v2")
    native = doors.plans.ListLaunchPlans(pb.ListLaunchPlansRequest(scope=scope_message(DEV)), call()).launch_plans
    assert [(plan.id.version, plan.HasField("spec")) for plan in native] == [("v2", False), ("v1", False)]
    flyte = doors.admin.ListLaunchPlans(listing(name="plan", sort_by=common_pb2.Sort(key="updated_at")), call())
    assert [(plan.id.version, plan.closure.state) for plan in flyte.launch_plans] == [
        ("v2", launch_plan_pb2.ACTIVE),
        ("v1", launch_plan_pb2.INACTIVE),
    ]
    assert flyte.launch_plans[0].spec.workflow_id.name == fan.name


def test_flytes_launch_plans_are_filtered_by_state_workflow_and_name(doors: Doors):
    first, second = doors.register(chain), doors.register(fan)
    doors.plan(first, "a", active=True)
    doors.plan(first, "b")
    doors.plan(second, "c", active=True)

    def names(**fields) -> list[str]:
        return sorted(plan.id.name for plan in doors.admin.ListLaunchPlans(listing(**fields), call()).launch_plans)

    assert names() == ["a", "b", "c"]
    assert names(filters="eq(state,1)") == ["a", "c"]
    assert names(filters="eq(launch_plan.state,ACTIVE)") == ["a", "c"]
    assert names(filters=f"eq(workflow.name,{chain.name})") == ["a", "b"]
    assert names(filters=f"eq(workflow.name,{chain.name})+eq(state,0)") == ["b"]
    assert names(name="b") == ["b"]
    request = launch_plan_pb2.ActiveLaunchPlanListRequest(project="vision", domain="development", limit=1000)
    assert sorted(plan.id.name for plan in doors.admin.ListActiveLaunchPlans(request, call()).launch_plans) == [
        "a",
        "c",
    ]
    ids = common_pb2.NamedEntityIdentifierListRequest(project="vision", domain="development", limit=10)
    assert [each.name for each in doors.admin.ListLaunchPlanIds(ids, call()).entities] == ["a", "b", "c"]


def test_pages_of_active_versions_are_a_list_of_their_own(doors: Doors):
    workflow = doors.register(chain)
    for name in ("a", "b", "c"):
        doors.plan(workflow, name, active=True)
        doors.plan(workflow, name, "v2")

    def fetch(token: str):
        request = pb.ListLaunchPlansRequest(scope=scope_message(DEV), active_only=True, page_size=2, page_token=token)
        answer = doors.plans.ListLaunchPlans(request, call())
        return [plan.id.name for plan in answer.launch_plans], answer.next_page_token

    assert pages(fetch) == [["c", "b"], ["a"]]
    _, token = fetch("")
    with pytest.raises(ApiError) as caught:
        doors.plans.ListLaunchPlans(
            pb.ListLaunchPlansRequest(scope=scope_message(DEV), page_size=2, page_token=token), call()
        )
    assert caught.value.reason is Reason.INVALID_PAGE_TOKEN


def test_a_workflow_moved_to_another_domain_launches_its_own_tasks(doors: Doors):
    """The helper that every test here uses must not itself leave references behind."""
    spec = moved(workflow_spec(chain), PROD, "v7")
    assert {
        (node.task_node.reference_id.domain, node.task_node.reference_id.version) for node in spec.template.nodes
    } == {("production", "v7")}
