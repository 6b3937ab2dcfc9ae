"""When a launch plan fires by itself.

A cron schedule is five fields in UTC, or one of the names of `ALIASES`. Not taken, because two schedulers would not
agree on them or because they would be ignored: a sixth field, `@every` (write a fixed rate), `@reboot`, a time zone
before the fields, and an offset.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cronsim import CronSim, CronSimError
from flyteidl.admin import schedule_pb2

from airspace_server.core.errors import ApiError, Reason

MAX_CRON_LENGTH: Final = 255
"""Longest cron expression, in characters."""
MAX_RATE: Final = timedelta(days=3650)
"""Longest fixed rate."""

_HOURLY, _DAILY, _WEEKLY, _MONTHLY, _YEARLY = "0 * * * *", "0 0 * * *", "0 0 * * 0", "0 0 1 * *", "0 0 1 1 *"
ALIASES: Final = {
    **dict.fromkeys(("@hourly", "hourly", "hours"), _HOURLY),
    **dict.fromkeys(("@daily", "@midnight", "daily", "days"), _DAILY),
    **dict.fromkeys(("@weekly", "weekly", "weeks"), _WEEKLY),
    **dict.fromkeys(("@monthly", "monthly", "months"), _MONTHLY),
    **dict.fromkeys(("@yearly", "@annually", "yearly", "years", "annually"), _YEARLY),
}
"""The names that stand for a cron expression: those that flytekit and the reference server know."""

_UNITS: Final = {
    schedule_pb2.MINUTE: ("minute", timedelta(minutes=1)),
    schedule_pb2.HOUR: ("hour", timedelta(hours=1)),
    schedule_pb2.DAY: ("day", timedelta(days=1)),
}
_FIELDS: Final = 5
_TICK: Final = 1_000_000
"""A second, in microseconds."""
_SECOND: Final = timedelta(seconds=1)
# Where the search for a first firing begins: cronsim looks 50 years ahead, and the calendar repeats itself within 28.
_ANY_TIME: Final = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Ticks:
    """When a checked schedule fires, in whole seconds given as microseconds since the epoch, UTC.

    A fixed rate counts from `anchor`, when its launch plan was activated.
    """

    schedule: schedule_pb2.Schedule
    anchor: int

    def after(self, moment: int) -> int:
        """Return the first tick after a moment. Raises StopIteration when there is none any more."""
        if self._every:
            return self._start + self._every * max(1, (moment - self._start) // self._every + 1)
        return _microseconds(next(CronSim(cron(self.schedule), _datetime(moment))))

    def until(self, moment: int) -> int:
        """Return the last tick until a moment, that one included; there is one."""
        if self._every:
            return self._start + self._every * ((moment - self._start) // self._every)
        return _microseconds(next(CronSim(cron(self.schedule), _datetime(moment) + _SECOND, reverse=True)))

    @property
    def _start(self) -> int:
        return self.anchor // _TICK * _TICK

    @property
    def _every(self) -> int:
        """The fixed rate in microseconds, 0 for a cron schedule."""
        if self.schedule.WhichOneof("ScheduleExpression") != "rate":
            return 0
        _, unit = _UNITS[self.schedule.rate.unit]
        return self.schedule.rate.value * (unit // timedelta(microseconds=1))


def is_scheduled(schedule: schedule_pb2.Schedule) -> bool:
    """Tell whether a schedule fires at all."""
    return schedule.WhichOneof("ScheduleExpression") is not None


def check_schedule(schedule: schedule_pb2.Schedule) -> None:
    """Check that a schedule can be read and fires at least once; a schedule without an expression is fine.

    Raises:
        ApiError: SCHEDULE_INVALID, with the schedule's text in the metadata.
    """
    kind = schedule.WhichOneof("ScheduleExpression")
    if kind == "rate":
        _check_rate(schedule.rate)
    elif kind is not None:
        _check_cron(schedule)
    elif schedule.kickoff_time_input_arg:
        raise _invalid("", "names an input for the kickoff time but has no expression")


def cron(schedule: schedule_pb2.Schedule) -> str:
    """Return the five fields of a cron schedule, names replaced by what they stand for; "" for a rate or none."""
    text = schedule.cron_schedule.schedule or schedule.cron_expression
    return ALIASES.get(text.strip(), " ".join(text.split()))


def describe(schedule: schedule_pb2.Schedule) -> str:
    """Say when a checked schedule fires: "0 2 * * *", "every 10 minutes", or "" for no schedule."""
    if schedule.WhichOneof("ScheduleExpression") != "rate":
        return cron(schedule)
    unit, _ = _UNITS[schedule.rate.unit]
    return f"every {unit}" if schedule.rate.value == 1 else f"every {schedule.rate.value} {unit}s"


def _check_rate(rate: schedule_pb2.FixedRate) -> None:
    if rate.unit not in _UNITS:
        raise _invalid(str(rate.value), "must count minutes, hours or days")
    if rate.value == 0:
        raise _invalid("0", "has a rate of 0, which never fires")
    _, unit = _UNITS[rate.unit]
    if rate.value > MAX_RATE // unit:
        raise _invalid(str(rate.value), f"must fire at least every {MAX_RATE.days} days")


def _check_cron(schedule: schedule_pb2.Schedule) -> None:
    text = schedule.cron_schedule.schedule or schedule.cron_expression
    if len(text) > MAX_CRON_LENGTH:
        raise _invalid(text[:MAX_CRON_LENGTH], f"must have at most {MAX_CRON_LENGTH} characters")
    if schedule.cron_schedule.offset:
        raise _invalid(text, "has an offset, which this server does not apply; write the times into the expression")
    expression = cron(schedule)
    if len(expression.split()) != _FIELDS:
        raise _invalid(text, "must have five fields (minute, hour, day, month, weekday) or be a name such as @daily")
    try:
        next(CronSim(expression, _ANY_TIME))
    except CronSimError:
        raise _invalid(text, "has a field that cron does not know, or a day that no month has") from None
    except StopIteration:
        raise _invalid(text, "never fires") from None


def _datetime(moment: int) -> datetime:
    return datetime.fromtimestamp(moment // _TICK, UTC)


def _microseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * _TICK


def _invalid(schedule: str, problem: str) -> ApiError:
    return ApiError(Reason.SCHEDULE_INVALID, f"the schedule {problem}", {"schedule": schedule})
