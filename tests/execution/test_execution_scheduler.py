"""Schedules: every tick is fired once or its reason is written down, with the rights of who activated it."""

from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flyte_samples import chain, nightly
from flyteidl.admin import execution_pb2, launch_plan_pb2, schedule_pb2
from flyteidl.core import literals_pb2
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from wing_doors import (
    DEV,
    Doors,
    call,
    errors,
    flyte_id,
    integer,
    plan_id,
    plan_spec,
    register_plan,
    scope_message,
    together,
)

from airspace.launchplan.v1 import launch_plan_service_pb2 as pb
from airspace_server.access.identity import Principal
from airspace_server.access.policy import PolicyStore
from airspace_server.access.store import Binding, establish, insert_binding
from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.notifications import Channel, Event, Rule, Rules, Target
from airspace_server.core.quotas import Quota
from airspace_server.core.scope import EntityId, Scope, ScopePattern
from airspace_server.execution.catalog import Catalog
from airspace_server.execution.launch import Launcher
from airspace_server.execution.scheduler import Scheduler
from airspace_server.flyte.schedules import Ticks
from airspace_server.storage import notifications, schedules
from airspace_server.storage.database import scoped
from airspace_server.storage.notifications import NOTIFICATIONS
from airspace_server.storage.settings import put, put_quotas
from airspace_server.storage.tables import ExecutionRow, table

SECOND = 1_000_000
MINUTE, HOUR = 60 * SECOND, 3600 * SECOND
NOON = int(datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp()) * SECOND


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


# --- when


@pytest.mark.parametrize(
    ("cron", "after", "ticks"),
    [
        ("0 2 * * *", "2026-11-27T12:00", ["2026-11-28T02:00", "2026-11-29T02:00"]),
        ("0 2 * * *", "2026-11-28T02:00", ["2026-11-29T02:00"]),
        ("30 2 * * *", "2026-03-28T12:00", ["2026-03-29T02:30", "2026-03-30T02:30"]),  # UTC knows no summer time
        ("30 1 * * *", "2026-10-25T00:00", ["2026-10-25T01:30", "2026-10-26T01:30"]),
        ("0 0 29 2 *", "2026-01-01T00:00", ["2028-02-29T00:00"]),
        ("@hourly", "2026-11-27T12:00:30", ["2026-11-27T13:00"]),
    ],
)
def test_a_cron_schedule_ticks_in_utc(cron: str, after: str, ticks: list[str]):
    schedule = schedule_pb2.Schedule(cron_schedule=schedule_pb2.CronSchedule(schedule=cron))
    moment, found = at(after), []
    for _ in ticks:
        moment = Ticks(schedule, 0).after(moment)
        found.append(moment)
    assert found == [at(tick) for tick in ticks]


SCHEDULES = st.one_of(
    st.sampled_from(("* * * * *", "*/7 * * * *", "0 2 * * *", "15 3 1 * *", "0 12 * * 1-5")).map(
        lambda text: schedule_pb2.Schedule(cron_schedule=schedule_pb2.CronSchedule(schedule=text))
    ),
    st.tuples(st.integers(1, 90), st.sampled_from((schedule_pb2.MINUTE, schedule_pb2.HOUR, schedule_pb2.DAY))).map(
        lambda rate: schedule_pb2.Schedule(rate=schedule_pb2.FixedRate(value=rate[0], unit=rate[1]))
    ),
)


@given(SCHEDULES, st.integers(0, 400 * 86_400 * SECOND), st.integers(0, 40 * 86_400 * SECOND))
def test_the_last_tick_until_a_moment_and_the_next_one_after_it_have_none_between_them(schedule, since, ago):
    moment = NOON + since
    ticks = Ticks(schedule, moment - ago)
    after = ticks.after(moment)
    assert after > moment
    assert ticks.until(after) == after
    assert ticks.after(after - 1) == after
    until = ticks.until(moment)
    assert until <= moment
    assert ticks.after(until) == after
    assert after % SECOND == 0


def test_a_fixed_rate_counts_from_its_activation():
    rate = schedule_pb2.Schedule(rate=schedule_pb2.FixedRate(value=10, unit=schedule_pb2.MINUTE))
    ticks = Ticks(rate, NOON + 3 * SECOND + 5)
    assert ticks.after(NOON + 4 * SECOND) == NOON + 10 * MINUTE + 3 * SECOND
    assert ticks.after(NOON + 10 * MINUTE + 3 * SECOND) == NOON + 20 * MINUTE + 3 * SECOND


# --- what is fired


class Scheduled:
    """A registered and activated launch plan, and a scheduler whose clock stands where it is put."""

    def __init__(self, doors: Doors) -> None:
        self.doors = doors
        self.clock = doors.clock
        self.policy = PolicyStore(doors.database, now=doors.clock)
        with doors.database.write() as tx:
            establish(tx)
            for member in ("user:ann", "group:ops"):
                insert_binding(tx, Binding(member, "operator", ScopePattern("vision", "*"), "user:root", 1))
        self.policy.refresh()
        self.scheduler = self.another()
        self.clock.frozen = NOON

    def another(self) -> Scheduler:
        launcher = Launcher(self.doors.database, Catalog(), self.clock, self.doors.refusals)
        return Scheduler(self.doors.database, launcher, self.policy, self.clock, lambda _: nullcontext())

    def plan(
        self, *, name: str = "plan", version: str = "v1", every: int = 10, kickoff: str = "", cron: str = ""
    ) -> EntityId:
        workflow = self.doors.register(nightly if kickoff else chain)
        spec = plan_spec(workflow, defaults={"x": integer(1)})
        schedule = spec.entity_metadata.schedule
        if cron:
            schedule.cron_schedule.schedule = cron
        else:
            schedule.rate.value, schedule.rate.unit = every, schedule_pb2.MINUTE
        schedule.kickoff_time_input_arg = kickoff
        id_ = EntityId(DEV, name, version)
        self.doors.plans.RegisterLaunchPlan(register_plan(id_, spec), call())
        return id_

    def activate(self, id_: EntityId, by: str = "user:ann") -> EntityId:
        self.doors.plans.ActivateLaunchPlan(pb.ActivateLaunchPlanRequest(launch_plan=plan_id(id_)), call(by))
        return id_

    def fire(self, now: int, scheduler: Scheduler | None = None) -> None:
        self.clock.frozen = now
        (scheduler or self.scheduler).fire()

    def ticks(self, name: str = "plan", size: int = 0) -> list[pb.Tick]:
        request = pb.ListScheduleTicksRequest(scope=scope_message(DEV), name=name, page_size=size)
        return list(self.doors.plans.ListScheduleTicks(request, call()).ticks)

    def outcomes(self, name: str = "plan") -> list[tuple[int, str]]:
        """The minutes since noon that were due, oldest first, and what became of them."""
        return [
            (
                (tick.due_time.ToMicroseconds() - NOON) // MINUTE,
                pb.TickOutcome.Name(tick.outcome)[len("TICK_OUTCOME_") :],
            )
            for tick in reversed(self.ticks(name))
        ]

    def executions(self) -> list[Any]:
        with self.doors.database.read(DEV) as tx:
            rows = table(ExecutionRow)
            return list(tx.all(select(rows).where(scoped(rows)).order_by(rows.c.created_at, rows.c.name)))


@pytest.fixture
def scheduled(doors: Doors) -> Scheduled:
    return Scheduled(doors)


def test_nothing_is_fired_before_a_version_is_active_nor_before_it_is_due(scheduled: Scheduled):
    id_ = scheduled.plan()
    scheduled.fire(NOON + HOUR)
    scheduled.clock.frozen = NOON
    scheduled.activate(id_)
    scheduled.fire(NOON + 10 * MINUTE - 1)
    assert (scheduled.ticks(), scheduled.executions()) == ([], [])


def test_each_tick_is_fired_once_by_however_many_schedulers(scheduled: Scheduled):
    scheduled.activate(scheduled.plan())
    others = [scheduled.another() for _ in range(4)]
    for turn in (1, 2, 3):
        scheduled.clock.frozen = NOON + turn * 10 * MINUTE
        together(*[other.fire for other in others])
        scheduled.scheduler.fire()
    assert scheduled.outcomes() == [(10, "FIRED"), (20, "FIRED"), (30, "FIRED")]
    launched = scheduled.executions()
    assert sorted(row.name for row in launched) == sorted(tick.execution for tick in scheduled.ticks())
    spec = execution_pb2.ExecutionSpec.FromString(launched[0].spec)
    assert (spec.metadata.mode, spec.metadata.principal) == (execution_pb2.ExecutionMetadata.SCHEDULED, "user:ann")
    assert spec.metadata.scheduled_at.ToMicroseconds() == NOON + 10 * MINUTE
    assert {(row.launch_plan_name, row.launch_plan_version) for row in launched} == {("plan", "v1")}


def test_what_was_missed_is_caught_up_once_and_the_rest_is_said_to_be_skipped(scheduled: Scheduled):
    scheduled.activate(scheduled.plan())
    scheduled.fire(NOON + 47 * MINUTE)
    assert scheduled.outcomes() == [(10, "SKIPPED"), (40, "CAUGHT_UP")]
    skipped = scheduled.ticks()[1]
    assert skipped.last_due_time.ToMicroseconds() == NOON + 30 * MINUTE
    assert len(scheduled.executions()) == 1
    scheduled.fire(NOON + 50 * MINUTE)
    assert scheduled.outcomes()[2:] == [(50, "FIRED")]


def test_a_clock_that_goes_back_fires_nothing_again(scheduled: Scheduled):
    scheduled.activate(scheduled.plan())
    scheduled.fire(NOON + 10 * MINUTE)
    for minute in (9, 10, 19):
        scheduled.fire(NOON + minute * MINUTE)
    assert scheduled.outcomes() == [(10, "FIRED")]


def test_the_kickoff_time_is_the_tick_and_not_the_moment(scheduled: Scheduled):
    scheduled.activate(scheduled.plan(kickoff="when", cron="5 * * * *"))
    scheduled.fire(NOON + 7 * MINUTE)
    (row,) = scheduled.executions()
    spec = row.inputs
    assert _when(spec) == (NOON + 5 * MINUTE) // SECOND
    assert scheduled.outcomes() == [(5, "CAUGHT_UP")]


def _when(inputs: bytes) -> int:
    literal = literals_pb2.LiteralMap.FromString(inputs).literals["when"]
    return literal.scalar.primitive.datetime.seconds


def test_another_version_takes_the_schedule_over_and_a_deactivation_ends_it(scheduled: Scheduled):
    first = scheduled.activate(scheduled.plan())
    scheduled.fire(NOON + 10 * MINUTE)
    scheduled.activate(scheduled.plan(version="v2", every=3))  # now, at ten past
    scheduled.fire(NOON + 13 * MINUTE)
    assert [tick.version for tick in reversed(scheduled.ticks())] == ["v1", "v2"]
    request = pb.DeactivateLaunchPlanRequest(launch_plan=plan_id(EntityId(DEV, "plan", "v2")))
    scheduled.doors.plans.DeactivateLaunchPlan(request, call())
    scheduled.fire(NOON + 40 * MINUTE)
    assert scheduled.outcomes() == [(10, "FIRED"), (13, "FIRED")]
    scheduled.activate(first)  # what was missed while nothing was active is nobody's
    scheduled.fire(NOON + 50 * MINUTE)
    assert scheduled.outcomes()[2:] == [(50, "FIRED")]


def test_an_archived_project_is_suppressed_and_goes_on_when_it_is_restored(scheduled: Scheduled):
    scheduled.activate(scheduled.plan())
    scheduled.doors.archive()
    scheduled.fire(NOON + 10 * MINUTE)
    (tick,) = scheduled.ticks()
    assert tick.outcome == pb.TICK_OUTCOME_SUPPRESSED
    assert tick.reason == "PROJECT_ARCHIVED: project vision is archived"
    assert scheduled.executions() == []


def test_a_quota_that_is_used_up_skips_the_tick_and_says_so(scheduled: Scheduled):
    scheduled.activate(scheduled.plan())
    with scheduled.doors.database.write() as tx:
        put_quotas(tx, ScopePattern("vision", "development"), {Quota.EXECUTIONS_QUEUED: 1})
    scheduled.fire(NOON + 10 * MINUTE)
    scheduled.fire(NOON + 20 * MINUTE)
    assert scheduled.outcomes() == [(10, "FIRED"), (20, "SKIPPED")]
    assert scheduled.ticks()[0].reason.startswith("QUOTA_EXCEEDED: ")
    assert len(scheduled.executions()) == 1


def test_who_activated_it_must_still_be_allowed_to_at_each_tick(scheduled: Scheduled):
    scheduled.activate(scheduled.plan(name="anns"))
    scheduled.activate(scheduled.plan(name="bobs"), by="user:bob")  # who was let in before, and is bound to nothing
    scheduled.activate(scheduled.plan(name="robots"), by="service-account:gone")
    scheduled.fire(NOON + 10 * MINUTE)
    assert scheduled.outcomes("anns") == [(10, "FIRED")]
    for name, words in (("bobs", "does not hold launchplan.activate"), ("robots", "is disabled")):
        (tick,) = scheduled.ticks(name)
        assert tick.outcome == pb.TICK_OUTCOME_SUPPRESSED
        assert words in tick.reason
    assert len(scheduled.executions()) == 1


def test_the_groups_of_who_activated_it_count(scheduled: Scheduled):
    id_ = scheduled.plan()
    by = Principal("user:cleo", frozenset({"group:ops"}))
    request = pb.ActivateLaunchPlanRequest(launch_plan=plan_id(id_))
    scheduled.doors.plans.ActivateLaunchPlan(request, replace(call(), principal=by))
    scheduled.fire(NOON + 10 * MINUTE)
    assert scheduled.outcomes() == [(10, "FIRED")]


def test_ticks_that_are_not_launched_are_told_of_with_their_reason(
    scheduled: Scheduled, monkeypatch: pytest.MonkeyPatch
):
    events = (Event.TICK_FAILED, Event.TICK_SUPPRESSED)
    with scheduled.doors.database.write() as tx:
        rules = Rules((Rule(events, (Target(Channel.EMAIL, "ops@example.com"),)),))
        put(tx, NOTIFICATIONS, ScopePattern("vision", "development"), rules.dumps())
    scheduled.activate(scheduled.plan(name="fires"))
    scheduled.activate(scheduled.plan(name="fails"))
    scheduled.activate(scheduled.plan(name="bobs"), by="user:bob")  # who is bound to nothing
    prepare = Launcher.prepare

    def broken(launcher: Launcher, launch: Any) -> Any:
        if launch.target.name == "fails":
            raise ApiError(Reason.NOT_RUNNABLE, "node n0 is a thing")
        return prepare(launcher, launch)

    monkeypatch.setattr(Launcher, "prepare", broken)
    scheduled.fire(NOON + 10 * MINUTE)
    with scheduled.doors.database.read(Scope("vision", "development")) as tx:
        found, _ = notifications.newest(tx, (), 10, None)
    told = {each.notice.event: each.notice for each in found}
    assert len(found) == 2
    assert told[Event.TICK_FAILED].facts["launch_plan"] == "fails"
    assert told[Event.TICK_FAILED].facts["reason"] == "NOT_RUNNABLE: node n0 is a thing"
    assert told[Event.TICK_FAILED].title == "fails: the tick of 2026-11-27T12:10:00+00:00 could not be launched"
    assert "does not hold launchplan.activate" in told[Event.TICK_SUPPRESSED].facts["reason"]


def test_one_that_cannot_be_launched_delays_nobody_elses(scheduled: Scheduled, monkeypatch: pytest.MonkeyPatch):
    for name in ("a", "b", "c"):
        scheduled.activate(scheduled.plan(name=name))
    prepare = Launcher.prepare

    def broken(launcher: Launcher, launch: Any) -> Any:
        if launch.target.name == "a":
            raise RuntimeError("a fault")
        if launch.target.name == "b":
            raise ApiError(Reason.NOT_RUNNABLE, "node n0 is a thing")
        return prepare(launcher, launch)

    monkeypatch.setattr(Launcher, "prepare", broken)
    scheduled.fire(NOON + 10 * MINUTE)
    assert scheduled.outcomes("a") == scheduled.outcomes("b") == [(10, "FAILED")]
    assert [scheduled.ticks(name)[0].reason.partition(":")[0] for name in "ab"] == ["INTERNAL", "NOT_RUNNABLE"]
    assert scheduled.outcomes("c") == [(10, "FIRED")]
    monkeypatch.undo()
    scheduled.fire(NOON + 20 * MINUTE)
    assert scheduled.outcomes("a")[1:] == [(20, "FIRED")]


def test_what_is_due_when_a_version_is_taken_out_of_force_is_suppressed(scheduled: Scheduled):
    scheduled.activate(scheduled.plan())
    scheduled.clock.frozen = NOON + 25 * MINUTE  # no scheduler was there
    scheduled.activate(scheduled.plan(version="v2", every=7))
    scheduled.clock.frozen = NOON + 40 * MINUTE
    request = pb.DeactivateLaunchPlanRequest(launch_plan=plan_id(EntityId(DEV, "plan", "v2")))
    scheduled.doors.plans.DeactivateLaunchPlan(request, call())
    assert scheduled.outcomes() == [(10, "SUPPRESSED"), (32, "SUPPRESSED")]
    older = scheduled.ticks()[1]
    assert (older.version, older.last_due_time.ToMicroseconds()) == ("v1", NOON + 20 * MINUTE)


def test_a_schedule_that_comes_into_force_again_does_not_tick_twice_for_a_clock_that_is_behind(scheduled: Scheduled):
    first = scheduled.activate(scheduled.plan(cron="*/10 * * * *"))
    scheduled.fire(NOON + 10 * MINUTE)
    scheduled.clock.frozen = NOON + 10 * MINUTE - SECOND
    scheduled.activate(scheduled.plan(version="v2", cron="*/10 * * * *"))
    scheduled.activate(first)
    scheduled.fire(NOON + 10 * MINUTE)
    scheduled.fire(NOON + 20 * MINUTE)
    assert scheduled.outcomes() == [(10, "FIRED"), (20, "FIRED")]


def test_activating_again_lets_it_be_fired_with_the_rights_of_who_does_that(scheduled: Scheduled):
    id_ = scheduled.activate(scheduled.plan(), by="user:bob")
    scheduled.fire(NOON + 10 * MINUTE)
    scheduled.activate(id_)
    scheduled.activate(id_)
    scheduled.fire(NOON + 20 * MINUTE)
    assert scheduled.outcomes() == [(10, "SUPPRESSED"), (20, "FIRED")]
    request = pb.ListActivationsRequest(scope=scope_message(DEV), name="plan")
    history = scheduled.doors.plans.ListActivations(request, call()).activations
    assert [each.principal for each in history] == ["user:ann", "user:bob"]


def test_projects_take_turns_however_many_ticks_one_has_due(scheduled: Scheduled):
    with scheduled.doors.database.read(across=True) as tx:
        assert schedules.due(tx, NOON + HOUR, 9) == []
    for name in ("a", "b", "c"):
        scheduled.activate(scheduled.plan(name=name))
    scheduled.clock.frozen = NOON + MINUTE
    scheduled.doors.project("sonar")
    workflow = scheduled.doors.register(chain, Scope("sonar", "development"))
    spec = plan_spec(workflow, defaults={"x": integer(1)})
    spec.entity_metadata.schedule.rate.value = 10
    id_ = EntityId(workflow.scope, "late", "v1")
    scheduled.doors.plans.RegisterLaunchPlan(register_plan(id_, spec), call())
    scheduled.activate(id_)
    with scheduled.doors.database.read(across=True) as tx:
        assert [name for _, name in schedules.due(tx, NOON + HOUR, 2)] == ["a", "late"]


def test_activations_and_ticks_at_the_same_moment_wait_for_one_another(scheduled: Scheduled):
    plans = [scheduled.plan(version=version) for version in ("v1", "v2")]
    scheduled.activate(plans[0])
    for turn in range(1, 9):
        scheduled.clock.frozen = NOON + turn * 10 * MINUTE
        answers = together(
            scheduled.scheduler.fire,
            lambda turn=turn: scheduled.activate(plans[turn % 2]),
            scheduled.another().fire,
        )
        assert not errors(answers)
        scheduled.scheduler.fire()
    due = [minute for minute, _ in scheduled.outcomes()]
    assert len(due) == len(set(due))
    launched = [tick.execution for tick in scheduled.ticks() if tick.execution]
    assert sorted(launched) == sorted(row.name for row in scheduled.executions())


def test_whenever_a_scheduler_ends_the_tick_is_fired_once(scheduled: Scheduled, monkeypatch: pytest.MonkeyPatch):
    scheduled.activate(scheduled.plan())
    ends: Counter[str] = Counter()

    class Died(BaseException):
        """The process ends here."""

    for place in ("prepare", "store"):
        original = getattr(Launcher, place)

        def dying(launcher: Launcher, *arguments: Any, place: str = place, original: Any = original) -> Any:
            made = original(launcher, *arguments)
            ends[place] += 1
            if ends[place] == 1:
                raise Died  # after it was done, before it was committed
            return made

        monkeypatch.setattr(Launcher, place, dying)
    for _ in range(2):
        with pytest.raises(Died):
            scheduled.fire(NOON + 10 * MINUTE)
        assert (scheduled.ticks(), scheduled.executions()) == ([], [])
    scheduled.fire(NOON + 10 * MINUTE)
    scheduled.fire(NOON + 10 * MINUTE)
    assert scheduled.outcomes() == [(10, "FIRED")]
    assert len(scheduled.executions()) == 1


def test_a_policy_that_cannot_be_read_fires_nothing_and_loses_nothing(scheduled: Scheduled):
    scheduled.activate(scheduled.plan())
    empty = PolicyStore(scheduled.doors.database)
    launcher = Launcher(scheduled.doors.database, Catalog(), scheduled.clock, scheduled.doors.refusals)
    blind = Scheduler(scheduled.doors.database, launcher, empty, scheduled.clock, lambda _: nullcontext())
    with pytest.raises(ApiError) as refused:
        scheduled.fire(NOON + 10 * MINUTE, blind)
    assert refused.value.reason is Reason.UNAVAILABLE
    scheduled.fire(NOON + 10 * MINUTE)
    assert scheduled.outcomes() == [(10, "FIRED")]


def test_a_schedule_is_previewed_without_being_active(scheduled: Scheduled):
    id_ = scheduled.plan(cron="0 2 * * *")
    request = pb.PreviewScheduleRequest(launch_plan=plan_id(id_), count=3)
    ticks = scheduled.doors.plans.PreviewSchedule(request, call()).ticks
    first = datetime(2026, 11, 28, 2, tzinfo=UTC)
    assert [tick.ToDatetime(UTC) for tick in ticks] == [first + timedelta(days=day) for day in range(3)]
    unscheduled = scheduled.doors.plan(scheduled.doors.register(chain, version="v9"), name="other")
    assert not scheduled.doors.plans.PreviewSchedule(
        pb.PreviewScheduleRequest(launch_plan=plan_id(unscheduled)), call()
    ).ticks
    with pytest.raises(ApiError) as refused:
        scheduled.doors.plans.PreviewSchedule(pb.PreviewScheduleRequest(launch_plan=plan_id(id_), count=101), call())
    assert refused.value.field == "count"


def test_a_preview_of_what_is_in_force_knows_that_a_clock_was_ahead(scheduled: Scheduled):
    id_ = scheduled.activate(scheduled.plan(cron="*/10 * * * *"))
    scheduled.fire(NOON + 24 * HOUR)
    scheduled.clock.frozen = NOON + MINUTE
    request = pb.PreviewScheduleRequest(launch_plan=plan_id(id_), count=2)
    ticks = scheduled.doors.plans.PreviewSchedule(request, call()).ticks
    first, second = (tick.ToMicroseconds() for tick in ticks)
    scheduled.fire(first - SECOND)
    assert len(scheduled.executions()) == 1
    scheduled.fire(first)
    scheduled.fire(second)
    assert len(scheduled.executions()) == 3


def test_flytes_update_activates_the_schedule_too(scheduled: Scheduled):
    id_ = scheduled.plan()
    request = launch_plan_pb2.LaunchPlanUpdateRequest(id=flyte_id(id_), state=launch_plan_pb2.ACTIVE)
    scheduled.doors.admin.UpdateLaunchPlan(request, call())
    scheduled.fire(NOON + 10 * MINUTE)
    assert scheduled.outcomes() == [(10, "FIRED")]
