"""Signals through Flyte's front door: typed questions about an execution, each answered once."""

import pytest
from execution_rows import launch, move
from flyte_samples import chain
from flyteidl.admin import common_pb2, signal_pb2
from flyteidl.core import identifier_pb2, literals_pb2, types_pb2
from google.protobuf.struct_pb2 import Struct
from wing_doors import DEV, Doors, call, flyte_status, integer, pages, together

from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.execution import ENDED_EXECUTION, ExecutionPhase
from airspace_server.core.scope import EntityId, ExecutionId, Scope
from airspace_server.execution.signals import MAX_ANSWER

ONE = Struct()
ONE.update({"x": 1})
YES_OR_NO = types_pb2.LiteralType(simple=types_pb2.BOOLEAN)
NUMBER = types_pb2.LiteralType(simple=types_pb2.INTEGER)


@pytest.fixture
def plan(doors: Doors) -> EntityId:
    return doors.plan(doors.register(chain))


@pytest.fixture
def run(doors: Doors, plan: EntityId) -> ExecutionId:
    return launch(doors, plan, inputs=ONE)


def wire(run: ExecutionId) -> identifier_pb2.WorkflowExecutionIdentifier:
    return identifier_pb2.WorkflowExecutionIdentifier(project=run.scope.project, domain=run.scope.domain, name=run.name)


def identified(run: ExecutionId, signal_id: str) -> identifier_pb2.SignalIdentifier:
    return identifier_pb2.SignalIdentifier(signal_id=signal_id, execution_id=wire(run))


def ask(
    doors: Doors, run: ExecutionId, signal_id: str = "go", kind: types_pb2.LiteralType = YES_OR_NO
) -> signal_pb2.Signal:
    request = signal_pb2.SignalGetOrCreateRequest(id=identified(run, signal_id), type=kind)
    return doors.signals.GetOrCreateSignal(request, call())


def answer(doors: Doors, run: ExecutionId, value: literals_pb2.Literal, signal_id: str = "go") -> None:
    request = signal_pb2.SignalSetRequest(id=identified(run, signal_id), value=value)
    doors.signals.SetSignal(request, call())


def listed(doors: Doors, run: ExecutionId, **fields) -> list[signal_pb2.Signal]:
    request = signal_pb2.SignalListRequest(workflow_execution_id=wire(run), **{"limit": 100, **fields})
    return list(doors.signals.ListSignals(request, call()).signals)


def boolean(value: bool) -> literals_pb2.Literal:
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(boolean=value)))


def refused(act) -> ApiError:
    with pytest.raises(ApiError) as caught:
        act()
    return caught.value


def test_a_signal_is_asked_for_answered_and_seen_with_its_answer(doors: Doors, run: ExecutionId):
    made = ask(doors, run)
    assert (made.id, made.type, made.HasField("value")) == (identified(run, "go"), YES_OR_NO, False)
    assert ask(doors, run) == made
    answer(doors, run, boolean(False))
    (found,) = listed(doors, run)
    assert (found.id, found.type, found.value) == (made.id, YES_OR_NO, boolean(False))
    assert ask(doors, run) == found


def test_an_answer_of_another_type_is_refused_and_changes_nothing(doors: Doors, run: ExecutionId):
    ask(doors, run)
    for value in (integer(1), literals_pb2.Literal(), literals_pb2.Literal(collection={"literals": [boolean(True)]})):
        error = refused(lambda value=value: answer(doors, run, value))
        assert (error.reason, error.field) == (Reason.INVALID_FIELD, "value")
        assert flyte_status(error).code == 3
    assert not listed(doors, run)[0].HasField("value")


def test_an_answer_is_no_place_for_data(doors: Doors, run: ExecutionId):
    ask(doors, run, kind=types_pb2.LiteralType(simple=types_pb2.STRING))
    long = literals_pb2.Literal()
    long.scalar.primitive.string_value = "x" * MAX_ANSWER
    error = refused(lambda: answer(doors, run, long))
    assert (error.reason, error.field) == (Reason.INVALID_FIELD, "value")
    long.scalar.primitive.string_value = "x" * (MAX_ANSWER - 100)
    answer(doors, run, long)


def test_an_id_is_whatever_an_author_can_print(doors: Doors, run: ExecutionId):
    for name in ("how many loaves?", "größe", "x" * 255):
        ask(doors, run, name)
        answer(doors, run, boolean(True), name)


def test_the_first_answer_counts(doors: Doors, run: ExecutionId):
    ask(doors, run)
    answer(doors, run, boolean(True))
    answer(doors, run, boolean(True))
    assert refused(lambda: answer(doors, run, boolean(False))).reason is Reason.WRONG_STATE
    assert listed(doors, run)[0].value == boolean(True)


def test_of_an_approval_and_a_rejection_at_once_one_is_what_happened(doors: Doors, run: ExecutionId):
    ask(doors, run)
    outcomes = together(
        *(lambda value=value: answer(doors, run, boolean(value)) for value in (True, False, True, False))
    )
    kept = listed(doors, run)[0].value.scalar.primitive.boolean
    said = dict.fromkeys((True, False), 0)
    for value, outcome in zip((True, False, True, False), outcomes, strict=True):
        said[value] += not isinstance(outcome, ApiError)
    assert said == {kept: 2, not kept: 0}


def test_a_signal_that_nobody_asked_for_is_not_found(doors: Doors, run: ExecutionId, plan: EntityId):
    other = launch(doors, plan, inputs=ONE)
    ask(doors, other)
    assert refused(lambda: answer(doors, run, boolean(True))).reason is Reason.NOT_FOUND
    assert listed(doors, run) == []
    nothing = ExecutionId(DEV, "nothing")
    for act in (
        lambda: ask(doors, nothing),
        lambda: answer(doors, nothing, boolean(True)),
        lambda: listed(doors, nothing),
    ):
        assert refused(act).reason is Reason.NOT_FOUND


def test_a_signal_asked_for_with_another_type_is_refused(doors: Doors, run: ExecutionId):
    ask(doors, run)
    error = refused(lambda: ask(doors, run, kind=NUMBER))
    assert (error.reason, error.field) == (Reason.ALREADY_EXISTS, "type")
    assert "boolean" in error.message


def test_bad_fields_are_named(doors: Doors, run: ExecutionId):
    elsewhere = ExecutionId(Scope("vision", "qa"), run.name)
    unknown = types_pb2.LiteralType(simple=99)
    for act, field in (
        (lambda: ask(doors, run, ""), "id.signal_id"),
        (lambda: ask(doors, run, "a\0b"), "id.signal_id"),
        (lambda: answer(doors, run, boolean(True), "x" * 256), "id.signal_id"),
        (lambda: ask(doors, run, kind=types_pb2.LiteralType()), "type"),
        (lambda: ask(doors, run, kind=unknown), "type"),
        (lambda: listed(doors, run, limit=0), "limit"),
        (lambda: ask(doors, ExecutionId(DEV, "")), "id.execution_id.name"),
        (lambda: ask(doors, elsewhere), "id.execution_id.domain"),
        (lambda: answer(doors, elsewhere, boolean(True)), "id.execution_id.domain"),
        (lambda: listed(doors, elsewhere), "workflow_execution_id.domain"),
    ):
        assert refused(act).field == field


def test_signals_come_in_pages_and_can_be_filtered(doors: Doors, run: ExecutionId):
    for number in range(5):
        ask(doors, run, f"s{number}")
    assert [each.id.signal_id for each in listed(doors, run)] == ["s4", "s3", "s2", "s1", "s0"]
    first = common_pb2.Sort(key="signal_id", direction=common_pb2.Sort.ASCENDING)
    assert [each.id.signal_id for each in listed(doors, run, sort_by=first)] == ["s0", "s1", "s2", "s3", "s4"]
    assert [each.id.signal_id for each in listed(doors, run, filters="eq(signal_id,s3)")] == ["s3"]
    assert [each.id.signal_id for each in listed(doors, run, filters="eq(signal.signal_id,s3)")] == ["s3"]
    assert refused(lambda: listed(doors, run, filters="eq(value,x)")).reason is Reason.UNKNOWN_FIELD

    def page(token: str) -> tuple[list[str], str]:
        request = signal_pb2.SignalListRequest(workflow_execution_id=wire(run), limit=2, token=token)
        found = doors.signals.ListSignals(request, call())
        return [each.id.signal_id for each in found.signals], found.token

    assert pages(page) == [["s4", "s3"], ["s2", "s1"], ["s0"]]


@pytest.mark.parametrize("phase", sorted(ENDED_EXECUTION))
def test_an_execution_that_has_ended_is_asked_nothing_more(doors: Doors, run: ExecutionId, phase: ExecutionPhase):
    ask(doors, run)
    move(doors, run, phase)
    for act in (lambda: ask(doors, run), lambda: answer(doors, run, boolean(True))):
        assert refused(act).reason is Reason.WRONG_STATE
    assert len(listed(doors, run)) == 1


def test_an_archived_project_takes_no_signals_and_still_shows_them(doors: Doors, run: ExecutionId):
    ask(doors, run)
    doors.archive()
    for act in (lambda: ask(doors, run, "new"), lambda: ask(doors, run), lambda: answer(doors, run, boolean(True))):
        assert refused(act).reason is Reason.PROJECT_ARCHIVED
    assert [each.id.signal_id for each in listed(doors, run)] == ["go"]
