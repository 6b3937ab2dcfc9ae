"""No more wait in a scope, and no more are launched in a minute, than its quotas say; a waiting one says why."""

from collections import Counter

import pytest
from execution_rows import execution_id, launch, move, names
from flyte_samples import chain
from flyteidl.admin import execution_pb2
from flyteidl.core import identifier_pb2
from google.rpc.error_details_pb2 import QuotaFailure, RetryInfo
from sqlalchemy import bindparam
from wing_doors import DEV, PROD, START, Doors, call, flyte_id, integer, scope_message, together

from airspace.execution.v1 import execution_service_pb2 as pb
from airspace_server.core.errors import ApiError, Code, Reason
from airspace_server.core.execution import ExecutionPhase
from airspace_server.core.quotas import Quota
from airspace_server.core.scope import EntityId, ExecutionId, Scope, ScopePattern
from airspace_server.flyte.errors import translate
from airspace_server.rpc.status import native, status_of
from airspace_server.storage.database import scoped
from airspace_server.storage.settings import put_quotas
from airspace_server.storage.tables import ExecutionRow, table

MINUTE = 60_000_000
_EXECUTIONS = table(ExecutionRow)
_LEASE = _EXECUTIONS.update().where(scoped(_EXECUTIONS), _EXECUTIONS.c.name == bindparam("own_name"))


def limit(doors: Doors, project: str = "vision", domain: str = "development", **limits: int) -> None:
    with doors.database.write() as tx:
        put_quotas(tx, ScopePattern(project, domain), {Quota(name): value for name, value in limits.items()})


def take(doors: Doors, execution: ExecutionId) -> None:
    """Take an execution as a worker does."""
    with doors.database.write(execution.scope) as tx:
        tx.execute(_LEASE.values(lease_epoch=1, lease_expires_at=1), own_name=execution.name)


def usage(doors: Doors, scope: Scope = DEV) -> dict[str, int]:
    answer = doors.executions.GetQuotaUsage(pb.GetQuotaUsageRequest(scope=scope_message(scope)), call())
    return {field.name: each.used for field, each in answer.ListFields()}


def waiting(doors: Doors, execution: ExecutionId) -> pb.Waiting | None:
    found = doors.executions.GetExecution(pb.GetExecutionRequest(execution=execution_id(execution)), call()).execution
    return found.waiting if found.HasField("waiting") else None


def refused(act) -> ApiError:
    with pytest.raises(ApiError) as caught:
        act()
    return caught.value


@pytest.fixture
def plan(doors: Doors) -> EntityId:
    return doors.plan(doors.register(chain), fixed={"x": integer(1)})


def flyte_launch(doors: Doors, plan: EntityId) -> None:
    spec = execution_pb2.ExecutionSpec(launch_plan=flyte_id(plan, identifier_pb2.LAUNCH_PLAN))
    domain = plan.scope.domain
    asked = execution_pb2.ExecutionCreateRequest(project="vision", domain=domain, spec=spec)
    doors.flyte.CreateExecution(asked, call())


def test_a_full_queue_takes_no_launch_on_either_contract_until_one_is_taken(doors: Doors, plan: EntityId):
    limit(doors, executions_queued=2)
    first = launch(doors, plan)
    flyte_launch(doors, plan)
    before = names(doors)
    for act in (lambda: launch(doors, plan), lambda: flyte_launch(doors, plan)):
        error = refused(act)
        assert (error.reason, error.code) == (Reason.QUOTA_EXCEEDED, Code.RESOURCE_EXHAUSTED)
        assert error.metadata["quota"] == "executions_queued"
    assert names(doors) == before
    take(doors, first)
    launch(doors, plan)
    assert refused(lambda: launch(doors, plan)).reason is Reason.QUOTA_EXCEEDED


def test_a_refusal_says_which_quota_and_when_to_try_again_on_both_contracts(doors: Doors, plan: EntityId):
    limit(doors, launches_per_minute=1)
    doors.clock.frozen = START
    launch(doors, plan)
    doors.clock.frozen = START + 18_000_000
    error = refused(lambda: launch(doors, plan))
    for protocol in (native, translate):
        status = status_of(error, "r-1", protocol)
        assert status.code == Code.RESOURCE_EXHAUSTED.value
        details = {detail.TypeName(): detail for detail in status.details}
        failure = QuotaFailure.FromString(details["google.rpc.QuotaFailure"].value)
        assert [each.subject for each in failure.violations] == ["vision/development"]
        assert RetryInfo.FromString(details["google.rpc.RetryInfo"].value).retry_delay.seconds == 42
        assert "at most 1 launches within 60 seconds; try again in 42 s" in status.message


def test_within_no_minute_are_more_launched_than_may_be(doors: Doors, plan: EntityId):
    limit(doors, launches_per_minute=3)
    launched = []
    for second in range(0, 200, 7):
        doors.clock.frozen = START + second * 1_000_000
        try:
            launch(doors, plan)
        except ApiError as error:
            again = doors.clock.frozen + error.retry_after * 1_000_000
            assert sum(at > again - MINUTE for at in launched) < 3  # what the hint promises
        else:
            launched.append(doors.clock.frozen)
    assert max(sum(at <= other < at + MINUTE for other in launched) for at in launched) == 3
    assert [(at - START) // 1_000_000 for at in launched] == [0, 7, 14, 63, 70, 77, 126, 133, 140, 189, 196]


def test_nothing_is_launched_where_nothing_may_be(doors: Doors, plan: EntityId):
    for quota in ("launches_per_minute", "executions_queued"):
        limit(doors, **{quota: 0})
        assert refused(lambda: launch(doors, plan)).metadata["quota"] == quota
    assert names(doors) == []


def test_one_scopes_queue_is_none_of_anothers(doors: Doors, plan: EntityId):
    limit(doors, "*", "*", executions_queued=1, launches_per_minute=1)
    other = doors.plan(doors.register(chain, PROD), fixed={"x": integer(1)})
    launch(doors, plan)
    launch(doors, other)
    assert refused(lambda: launch(doors, plan)).metadata["scope"] == "vision/development"
    assert usage(doors, PROD) == usage(doors)


def test_a_refused_launch_and_a_repeated_one_use_nothing(doors: Doors, plan: EntityId):
    limit(doors, launches_per_minute=2)
    same = {"request_id": "123e4567-e89b-42d3-a456-426614174000"}
    assert launch(doors, plan, **same) == launch(doors, plan, **same)
    launch(doors, plan, name="named")
    assert refused(lambda: launch(doors, plan)).reason is Reason.QUOTA_EXCEEDED
    assert usage(doors) == {"executions_running": 0, "executions_queued": 2, "launches_per_minute": 2}
    assert launch(doors, plan, **same)  # its answer of then, although there is no room now


def test_however_many_launch_at_once_as_many_get_in_as_may(doors: Doors, plan: EntityId):
    limit(doors, executions_queued=7)

    def several() -> Counter[str]:
        said: Counter[str] = Counter()
        for number in range(5):
            try:
                launch(doors, plan) if number % 2 else flyte_launch(doors, plan)
            except ApiError as error:
                said[error.reason] += 1
            else:
                said["launched"] += 1
        return said

    total = sum(together(*[several] * 6), Counter())
    assert total == {"launched": 7, Reason.QUOTA_EXCEEDED: 23}
    assert len(names(doors)) == 7


def test_a_waiting_execution_says_its_place_and_what_it_waits_for(doors: Doors, plan: EntityId):
    limit(doors, executions_running=1)
    first, second, third = (launch(doors, plan) for _ in range(3))
    assert [waiting(doors, each).position for each in (first, second, third)] == [1, 2, 3]
    assert waiting(doors, first).reason == pb.WAIT_REASON_SLOT
    take(doors, first)
    assert waiting(doors, first) is None
    assert (waiting(doors, third).position, waiting(doors, third).reason) == (2, pb.WAIT_REASON_QUOTA)
    sentence = "number 2 in the queue of vision/development, where 1 executions run of at most 1"
    assert waiting(doors, third).message == sentence
    seen = doors.flyte.GetExecution(
        execution_pb2.WorkflowExecutionGetRequest(
            id=identifier_pb2.WorkflowExecutionIdentifier(project="vision", domain="development", name=third.name)
        ),
        call(),
    )
    assert seen.spec.annotations.values["airspace/waiting"] == sentence
    assert usage(doors) == {"executions_running": 1, "executions_queued": 2, "launches_per_minute": 3}
    doors.store.terminate(second, cause="enough", principal="user:ann")
    assert waiting(doors, third).position == 1
    move(doors, first, ExecutionPhase.SUCCEEDED)
    assert waiting(doors, third).reason == pb.WAIT_REASON_SLOT
    assert usage(doors)["executions_running"] == 0
