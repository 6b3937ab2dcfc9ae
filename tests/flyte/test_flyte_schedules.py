import datetime

import pytest
from cronsim import CronSim
from flyteidl.admin import schedule_pb2
from hypothesis import example, given
from hypothesis import strategies as st

from airspace_server.core.errors import ApiError, Reason
from airspace_server.flyte.schedules import ALIASES, check_schedule, cron, describe


def cron_schedule(text: str) -> schedule_pb2.Schedule:
    return schedule_pb2.Schedule(cron_schedule={"schedule": text})


def rate(value: int, unit=schedule_pb2.MINUTE) -> schedule_pb2.Schedule:
    return schedule_pb2.Schedule(rate={"value": value, "unit": unit})


def refusal(schedule: schedule_pb2.Schedule) -> str:
    with pytest.raises(ApiError) as caught:
        check_schedule(schedule)
    assert caught.value.reason is Reason.SCHEDULE_INVALID
    return caught.value.message


@pytest.mark.parametrize(
    "text", ["* * * * *", "0 2 * * *", "*/5 9-17 * * MON-FRI", "0 0 29 2 *", "0 0 1,15 JAN-JUN 0", " 0  2 * * * "]
)
def test_five_field_cron_is_taken(text):
    check_schedule(cron_schedule(text))
    assert describe(cron_schedule(text)) == " ".join(text.split())


@pytest.mark.parametrize("alias", ALIASES)
def test_the_names_of_flytes_documents_stand_for_their_cron(alias):
    check_schedule(cron_schedule(alias))
    assert describe(cron_schedule(alias)) == cron(cron_schedule(alias)) == ALIASES[alias]
    assert len(ALIASES[alias].split()) == 5


def test_the_older_field_of_flyte_is_read_alike():
    check_schedule(schedule_pb2.Schedule(cron_expression="@daily"))
    assert describe(schedule_pb2.Schedule(cron_expression="0 2 * * *")) == "0 2 * * *"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "0 0 2 * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "*/0 * * * *",
        "5-1 * * * *",
        "@every 1h",
        "@reboot",
        "CRON_TZ=Europe/Berlin 0 2 * * *",
        "0 10 * * ? *",
        "nonsense",
        "9" * 5000 + " * * * *",
    ],
)
def test_what_is_not_cron_is_refused(text):
    refusal(cron_schedule(text))


@pytest.mark.parametrize("text", ["0 0 31 2 *", "0 0 30 2 *", "0 0 31 4,6 *", "0 0 */28 2 MON#3"])
def test_a_cron_that_can_never_fire_is_refused_at_once(text):
    refusal(cron_schedule(text))


def test_an_offset_is_refused_rather_than_ignored():
    assert "offset" in refusal(schedule_pb2.Schedule(cron_schedule={"schedule": "@daily", "offset": "PT1H"}))


def test_a_kickoff_argument_without_an_expression_is_refused():
    refusal(schedule_pb2.Schedule(kickoff_time_input_arg="when"))


def test_no_schedule_is_fine_and_reads_as_nothing():
    check_schedule(schedule_pb2.Schedule())
    assert describe(schedule_pb2.Schedule()) == ""


def test_fixed_rates_read_as_text():
    assert describe(rate(10)) == "every 10 minutes"
    assert describe(rate(1, schedule_pb2.HOUR)) == "every hour"
    assert describe(rate(2, schedule_pb2.DAY)) == "every 2 days"
    check_schedule(rate(3650, schedule_pb2.DAY))


@pytest.mark.parametrize("schedule", [rate(0), rate(3651, schedule_pb2.DAY), rate(2**32 - 1), rate(1, 7)])
def test_a_rate_of_zero_of_ages_or_of_an_unknown_unit_is_refused(schedule):
    refusal(schedule)


FIELD = st.text("0123456789*/-,#LW?MONJA", max_size=6)


@given(st.lists(FIELD, min_size=5, max_size=5).map(" ".join) | st.text(max_size=20))
@example("0 0 L * *")
@example("0 0 LW * *")
@example("0 0 * * 5L")
@example("0 0 L/2 * 1#2/3")
def test_any_text_is_either_refused_or_fires(text):
    schedule = cron_schedule(text)
    try:
        check_schedule(schedule)
    except ApiError:
        return
    assert next(CronSim(cron(schedule), datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)))
