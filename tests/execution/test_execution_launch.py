"""Launching: what is launched, with which inputs, under which name, and where nothing can be launched any more."""

import math
import re
import time
import uuid

import pytest
from execution_rows import execution_id, launch, move, names, request
from flyte_samples import chain, chain_lp, fan, launching, typed
from flyteidl.admin import execution_pb2
from flyteidl.core import identifier_pb2, literals_pb2
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from wing_doors import (
    DEADLINE,
    DEV,
    PROD,
    Doors,
    call,
    errors,
    flyte_id,
    flyte_status,
    integer,
    integers,
    packed,
    plan_id,
    together,
)

from airspace.execution.v1 import execution_service_pb2 as pb
from airspace.launchplan.v1 import launch_plan_service_pb2 as plan_pb
from airspace.project.v1 import project_service_pb2 as project_pb
from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.execution import ExecutionPhase
from airspace_server.core.names import execution as name_problem
from airspace_server.core.quotas import LARGEST, Quota
from airspace_server.core.scope import EntityId, ExecutionId, Scope, ScopePattern
from airspace_server.storage.settings import put_quotas


def struct(**values) -> Struct:
    made = Struct()
    made.update(values)
    return made


def data(doors: Doors, id_: ExecutionId) -> pb.GetExecutionDataResponse:
    return doors.executions.GetExecutionData(pb.GetExecutionDataRequest(execution=execution_id(id_)), call())


def inputs(doors: Doors, id_: ExecutionId) -> dict:
    return MessageToDict(data(doors, id_).inputs)


def get(doors: Doors, id_: ExecutionId) -> pb.Execution:
    return doors.executions.GetExecution(pb.GetExecutionRequest(execution=execution_id(id_)), call()).execution


def activate(doors: Doors, plan: EntityId) -> None:
    doors.plans.ActivateLaunchPlan(plan_pb.ActivateLaunchPlanRequest(launch_plan=plan_id(plan)), call())


def refused(act) -> ApiError:
    with pytest.raises(ApiError) as caught:
        act()
    return caught.value


@pytest.fixture
def plan(doors: Doors) -> EntityId:
    """A launch plan of one required input, x."""
    return doors.plan(doors.register(chain))


# --- what is launched


def test_a_launched_execution_is_queued_and_knows_who_launched_what(doors: Doors, plan: EntityId):
    made = doors.executions.LaunchExecution(request(plan, inputs=struct(x=3), labels={"why": "test"}), call()).execution
    assert made.phase == pb.EXECUTION_PHASE_QUEUED
    assert (made.launch_plan, made.principal) == (plan_id(plan), "user:ann")
    assert dict(made.labels) == {"why": "test"}
    assert not made.HasField("start_time")
    assert not made.HasField("end_time")
    found = get(doors, ExecutionId(DEV, made.id.name))
    assert (found.waiting.position, found.waiting.reason) == (1, pb.WAIT_REASON_SLOT)
    found.ClearField("waiting")
    assert found == made
    flyte = doors.flyte.GetExecution(
        execution_pb2.WorkflowExecutionGetRequest(
            id=identifier_pb2.WorkflowExecutionIdentifier(project="vision", domain="development", name=made.id.name)
        ),
        call(),
    )
    assert flyte.spec.launch_plan == flyte_id(plan, identifier_pb2.LAUNCH_PLAN)
    assert flyte.closure.workflow_id.name == chain.name
    assert flyte.closure.phase == 1


def test_without_a_version_the_active_one_is_launched(doors: Doors, plan: EntityId):
    second = doors.plan(EntityId(DEV, chain.name, "v1"), version="v2")
    error = refused(lambda: launch(doors, plan, version="", inputs=struct(x=1)))
    assert error.reason is Reason.NO_ACTIVE_VERSION
    assert (error.code.value, flyte_status(error).code) == (9, 5)
    activate(doors, plan)
    assert get(doors, launch(doors, plan, version="", inputs=struct(x=1))).launch_plan.version == "v1"
    activate(doors, second)
    assert get(doors, launch(doors, plan, version="", inputs=struct(x=1))).launch_plan.version == "v2"
    assert get(doors, launch(doors, plan, inputs=struct(x=1))).launch_plan.version == "v1"
    assert names(doors).__len__() == 3


def test_what_is_not_registered_here_cannot_be_launched(doors: Doors, plan: EntityId):
    doors.plan(doors.register(chain, PROD), "only-there", active=True)
    for other in (
        EntityId(DEV, "plan", "v9"),
        EntityId(DEV, "only-there", "v1"),
        EntityId(PROD, "plan", "v1"),
        EntityId(Scope("nobody", "development"), "plan", "v1"),
    ):
        assert refused(lambda other=other: launch(doors, other, inputs=struct(x=1))).reason is Reason.NOT_FOUND
    assert refused(lambda: launch(doors, EntityId(DEV, "only-there", ""))).reason is Reason.NO_ACTIVE_VERSION
    assert (names(doors), names(doors, PROD)) == ([], [])


def test_what_the_engine_cannot_run_is_refused_before_anything_is_stored(doors: Doors):
    doors.plan(doors.register(chain), chain_lp.name)
    plan = doors.plan(doors.register(launching))
    error = refused(lambda: launch(doors, plan, inputs=struct(x=1)))
    assert error.reason is Reason.NOT_RUNNABLE
    assert error.metadata["construct"] == "launch plan node"
    assert names(doors) == []


# --- names


def test_a_name_is_taken_once_in_a_scope(doors: Doors, plan: EntityId):
    there = doors.plan(doors.register(chain, PROD))
    assert launch(doors, plan, name="nightly", inputs=struct(x=1)).name == "nightly"
    assert launch(doors, there, name="nightly", inputs=struct(x=1)).name == "nightly"
    error = refused(lambda: launch(doors, plan, name="nightly", inputs=struct(x=2)))
    assert (error.reason, error.field) == (Reason.ALREADY_EXISTS, "name")
    assert inputs(doors, ExecutionId(DEV, "nightly")) == {"x": 1.0}


def test_of_many_launches_under_one_name_exactly_one_is_stored(doors: Doors, plan: EntityId):
    acts = [lambda x=x: launch(doors, plan, name="nightly", inputs=struct(x=x)) for x in range(6)]
    answers = together(*acts)
    assert [error.reason for error in errors(answers)] == [Reason.ALREADY_EXISTS] * 5
    assert names(doors) == ["nightly"]


def test_names_that_the_server_chooses_are_valid_and_all_different(doors: Doors, plan: EntityId):
    made = together(*[lambda: launch(doors, plan, inputs=struct(x=1))] * 6)
    chosen = [id_.name for id_ in made] + [launch(doors, plan, inputs=struct(x=1)).name for _ in range(10)]
    assert len(set(chosen)) == 16
    for name in chosen:
        assert name_problem(name) is None
        assert re.fullmatch(r"a[a-z0-9]{19}", name)


# --- inputs


def test_inputs_are_those_given_the_defaults_of_the_others_and_the_fixed_ones(doors: Doors):
    workflow = doors.register(fan)
    with_default = doors.plan(workflow, "default", defaults={"x": integer(4)})
    with_fixed = doors.plan(workflow, "fixed", fixed={"x": integer(7)})
    assert inputs(doors, launch(doors, with_default)) == {"x": 4.0}
    assert inputs(doors, launch(doors, with_default, inputs=struct(x=5))) == {"x": 5.0}
    assert inputs(doors, launch(doors, with_default, literals=packed(integers(x=6)))) == {"x": 6.0}
    assert inputs(doors, launch(doors, with_fixed)) == {"x": 7.0}


def test_inputs_that_do_not_fit_are_refused_by_name_and_nothing_is_stored(doors: Doors, plan: EntityId):
    fixed = doors.plan(EntityId(DEV, chain.name, "v1"), "fixed", fixed={"x": integer(7)})
    text = literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(string_value="1")))
    for target, given in (
        (plan, {}),
        (plan, {"inputs": struct()}),
        (plan, {"inputs": struct(x="1")}),
        (plan, {"inputs": struct(x=1.5)}),
        (plan, {"inputs": struct(x=True)}),
        (plan, {"inputs": struct(x=None)}),
        (plan, {"inputs": struct(x=[1])}),
        (plan, {"inputs": struct(x=1e300)}),
        (plan, {"literals": packed(literals_pb2.LiteralMap())}),
        (plan, {"literals": packed(literals_pb2.LiteralMap(literals={"x": text}))}),
        (plan, {"literals": packed(literals_pb2.LiteralMap(literals={"x": literals_pb2.Literal()}))}),
        (fixed, {"inputs": struct(x=7)}),
        (fixed, {"inputs": struct(x=8)}),
        (fixed, {"literals": packed(integers(x=8))}),
    ):
        error = refused(lambda target=target, given=given: launch(doors, target, **given))
        assert (error.reason, error.metadata.get("input")) == (Reason.INPUT_INVALID, "x"), (given, error)
    unknown = refused(lambda: launch(doors, plan, inputs=struct(x=1, y=2)))
    assert (unknown.reason, unknown.metadata["input"]) == (Reason.INPUT_INVALID, "y")
    assert names(doors) == []


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_cannot_say_is_refused_wherever_it_stands(doors: Doors, plan: EntityId, number: float):
    value = Value(number_value=number)
    nested = Value(list_value=ListValue(values=[Value(struct_value=Struct(fields={"deep": value}))]))
    for given in (value, nested):
        error = refused(lambda given=given: launch(doors, plan, inputs=Struct(fields={"x": given})))
        assert error.reason is Reason.INPUT_INVALID
    assert names(doors) == []


def test_literals_of_another_message_type_are_refused(doors: Doors, plan: EntityId):
    error = refused(lambda: launch(doors, plan, literals=packed(integer(1))))
    assert (error.reason, error.field) == (Reason.INVALID_FIELD, "literals")


def test_json_is_brought_to_the_types_of_the_workflow(doors: Doors):
    plan = doors.plan(doors.register(typed))
    given = {"x": 3, "file": "/data/cats.csv", "maybe": None, "color": "red"}
    id_ = launch(doors, plan, inputs=struct(**given))
    stored = literals_pb2.LiteralMap()
    data(doors, id_).input_literals.Unpack(stored)
    assert stored.literals["x"].scalar.primitive.integer == 3
    assert stored.literals["file"].scalar.blob.uri == "/data/cats.csv"
    assert stored.literals["maybe"].scalar.union.value.scalar.HasField("none_type")
    assert stored.literals["color"].scalar.primitive.string_value == "red"
    assert inputs(doors, id_) == {**given, "x": 3.0}
    # And what was answered can be sent again, in either form.
    again = launch(doors, plan, literals=data(doors, id_).input_literals)
    assert data(doors, again) == data(doors, id_)
    assert data(doors, launch(doors, plan, inputs=data(doors, id_).inputs)) == data(doors, id_)
    for name, bad in (("color", "green"), ("file", 3), ("file", ""), ("maybe", "three")):
        error = refused(lambda name=name, bad=bad: launch(doors, plan, inputs=struct(**{**given, name: bad})))
        assert (error.reason, error.metadata["input"]) == (Reason.INPUT_INVALID, name)


def test_integers_beyond_what_json_numbers_hold_survive_as_text(doors: Doors, plan: EntityId):
    big = 2**62 + 1
    id_ = launch(doors, plan, inputs=struct(x=str(big)))
    assert inputs(doors, id_) == {"x": str(big)}
    stored = literals_pb2.LiteralMap()
    data(doors, id_).input_literals.Unpack(stored)
    assert stored == integers(x=big)


def test_inputs_that_are_too_large_to_be_stored_are_refused(doors: Doors):
    plan = doors.plan(doors.register(typed))
    given = struct(x=1, file="/" + "x" * (2 * 1024 * 1024), maybe=1, color="red")
    error = refused(lambda: launch(doors, plan, inputs=given))
    assert (error.reason, error.field) == (Reason.TOO_LARGE, "inputs")
    assert names(doors) == []


def test_labels_are_the_plans_with_the_launchs_on_top(doors: Doors):
    plan = doors.plan(doors.register(chain), labels={"team": "cv", "tier": "1"})
    id_ = launch(doors, plan, inputs=struct(x=1), labels={"tier": "2", "run": "a"})
    assert dict(get(doors, id_).labels) == {"team": "cv", "tier": "2", "run": "a"}
    many = {f"key{number}": "" for number in range(15)}
    for bad in ({"a b": ""}, {"a": "-"}, many):
        error = refused(lambda bad=bad: launch(doors, plan, inputs=struct(x=1), labels=bad))
        assert (error.reason, error.field) == (Reason.INVALID_FIELD, "labels")


# --- repeated requests


def test_a_repeated_launch_is_answered_as_the_first_was_whatever_happened_since(doors: Doors, plan: EntityId):
    activate(doors, plan)
    wanted = request(plan, version="", inputs=struct(x=1), request_id=str(uuid.uuid4()))
    first = doors.executions.LaunchExecution(wanted, call())
    move(doors, ExecutionId(DEV, first.execution.id.name), ExecutionPhase.RUNNING)
    assert doors.executions.LaunchExecution(wanted, call()) == first
    doors.plans.DeactivateLaunchPlan(plan_pb.DeactivateLaunchPlanRequest(launch_plan=plan_id(plan)), call())
    doors.archive()
    assert doors.executions.LaunchExecution(wanted, call()) == first
    assert names(doors) == [first.execution.id.name]


def test_launches_repeated_at_the_same_moment_make_one_execution(doors: Doors, plan: EntityId):
    wanted = request(plan, inputs=struct(x=1), request_id=str(uuid.uuid4()))
    answers = together(*[lambda: doors.executions.LaunchExecution(wanted, call())] * 6)
    assert errors(answers) == []
    assert all(answer == answers[0] for answer in answers)
    assert names(doors) == [answers[0].execution.id.name]


def test_a_request_id_with_another_launch_is_refused(doors: Doors, plan: EntityId):
    key = str(uuid.uuid4())
    launch(doors, plan, inputs=struct(x=1), request_id=key)
    for other in (
        {"inputs": struct(x=2)},
        {"inputs": struct(x=1), "name": "mine"},
        {"literals": packed(integers(x=1))},
    ):
        error = refused(lambda other=other: launch(doors, plan, request_id=key, **other))
        assert error.reason is Reason.REQUEST_ID_REUSED
    assert len(names(doors)) == 1


# --- archived projects


def test_an_archived_project_launches_nothing_and_can_still_be_read(doors: Doors, plan: EntityId):
    id_ = launch(doors, plan, inputs=struct(x=1))
    doors.archive()
    error = refused(lambda: launch(doors, plan, inputs=struct(x=1)))
    assert error.reason is Reason.PROJECT_ARCHIVED
    assert names(doors) == [id_.name]
    assert get(doors, id_).phase == pb.EXECUTION_PHASE_QUEUED
    doors.projects.RestoreProject(project_pb.RestoreProjectRequest(project="vision"), call())
    launch(doors, plan, inputs=struct(x=1))
    assert len(names(doors)) == 2


def test_after_the_archiving_was_answered_no_execution_is_stored_whoever_races(doors: Doors, plan: EntityId):
    most = dict.fromkeys(Quota, LARGEST)  # how many are stored before the archiving is nobody's matter here
    with doors.database.write() as tx:
        put_quotas(tx, ScopePattern("vision", "development"), most)
    at_the_answer: list[str] = []
    started = [False] * 5

    def launch_until_refused(number: int) -> str:
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            try:
                if number % 2:
                    launch(doors, plan, inputs=struct(x=1))
                else:
                    doors.flyte.CreateExecution(
                        execution_pb2.ExecutionCreateRequest(
                            project="vision",
                            domain="development",
                            spec=execution_pb2.ExecutionSpec(launch_plan=flyte_id(plan, identifier_pb2.LAUNCH_PLAN)),
                            inputs=integers(x=1),
                        ),
                        call(),
                    )
            except ApiError as error:
                return error.reason
            started[number] = True
        return "never refused"

    def archive() -> str:
        deadline = time.monotonic() + DEADLINE
        while not all(started) and time.monotonic() < deadline:
            time.sleep(0.001)
        doors.archive()
        at_the_answer.extend(names(doors))
        return Reason.PROJECT_ARCHIVED

    reasons = together(*(lambda number=number: launch_until_refused(number) for number in range(5)), archive)
    assert reasons == [Reason.PROJECT_ARCHIVED] * 6
    assert len(at_the_answer) >= 5
    assert names(doors) == at_the_answer
