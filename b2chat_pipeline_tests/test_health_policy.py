"""What counts as trouble, as tables: pure decisions."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from b2chat_pipeline.policy.gaps import SideHours
from b2chat_pipeline.policy.health import (
    Judgement,
    judge_audit,
    judge_budget,
    judge_drift,
    judge_hours,
    judge_newest_hour,
    judge_partitions,
    judge_promise,
    judge_quarantine,
)

ZONE = ZoneInfo("America/Bogota")
NOW = datetime(2025, 3, 10, 18, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TODAY = date(2025, 3, 10)


def hours_ago(*numbers: int) -> list[datetime]:
    """The hours that began so long ago."""
    return [NOW - number * HOUR for number in numbers]


@pytest.mark.parametrize(
    ("age", "trouble"),
    [
        (timedelta(minutes=7), None),
        (2 * HOUR, None),
        (2 * HOUR + timedelta(seconds=1), "note"),
        (6 * HOUR, "note"),
        (7 * HOUR, "bad"),
    ],
)
def test_the_newest_hour_is_late_after_two_hours_and_very_late_after_six(age: timedelta, trouble: str | None) -> None:
    assert judge_newest_hour(NOW - age, now=NOW).trouble == trouble


def test_an_account_that_was_never_loaded_is_no_trouble_that_needs_somebody() -> None:
    judged = judge_newest_hour(None, now=NOW)

    assert (judged.trouble, "b2chat load" in judged.mend) == ("note", True)


def judged_hours(*, failed: list[datetime], given_up: Sequence[datetime] = ()) -> Judgement:
    over = hours_ago(*range(200, 0, -1))
    side = SideHours(over, loaded=set(over) - set(failed), failed=set(failed))
    return judge_hours(side, given_up=given_up, now=NOW, zone=ZONE)


def test_hours_that_failed_are_listed_as_stretches_of_the_account_s_own_time() -> None:
    judged = judged_hours(failed=hours_ago(30, 29, 5))

    assert judged.told == (
        "3 failed or are missing: 2025-03-09 07:00 to 2025-03-09 09:00, 2025-03-10 08:00 to 2025-03-10 09:00"
    )
    assert (judged.trouble, judged.mend) == ("note", "nothing: the sensor gaps has them loaded")
    assert judged.figures == {"loaded_hours": 197, "failed_or_missing_hours": 3, "given_up_hours": 0}


def test_hours_that_failed_days_ago_are_left_to_a_person_who_is_told_the_command() -> None:
    judged = judged_hours(failed=hours_ago(73, 5))

    assert judged.trouble == "bad"
    assert judged.mend == (
        "b2chat load 2025-03-07T12:00 2025-03-07T13:00, b2chat load 2025-03-10T08:00 2025-03-10T09:00,"
        " once the cause is mended"
    )


def test_hours_that_the_sweeper_gave_up_are_told_at_once_with_the_command_that_loads_them() -> None:
    judged = judged_hours(failed=hours_ago(40, 39, 5), given_up=hours_ago(40, 39))

    assert judged.trouble == "bad"
    assert judged.told.startswith("2 hours were tried eight times and given up; of all, 3 failed or are missing: ")
    assert judged.mend == "b2chat load 2025-03-08T21:00 2025-03-08T23:00, once the cause is mended"
    assert judged.figures["given_up_hours"] == 2


def test_many_stretches_are_loaded_by_one_command() -> None:
    judged = judged_hours(failed=hours_ago(100, 98, 96, 94))

    assert judged.mend == "b2chat load 2025-03-06T09:00 2025-03-06T16:00, once the cause is mended"


def test_more_stretches_than_a_sentence_holds_are_counted() -> None:
    judged = judged_hours(failed=hours_ago(*range(40, 0, -2)))

    assert judged.told.endswith(" and 8 more")
    assert len(judged.listed.splitlines()) == 20


def test_without_a_failed_or_missing_hour_nothing_has_to_be_done() -> None:
    judged = judged_hours(failed=[])

    assert (judged.trouble, judged.mend) == (None, "")


@pytest.mark.parametrize(
    ("age", "within", "trouble"),
    [
        (3 * HOUR, 3 * HOUR, None),
        (3.5 * HOUR, 3 * HOUR, None),
        (3.6 * HOUR, 3 * HOUR, "note"),
        (6 * HOUR, 3 * HOUR, "note"),
        (7 * HOUR, 3 * HOUR, "bad"),
        (100 * HOUR, None, None),
    ],
)
def test_a_promise_counts_as_broken_once_its_decision_and_its_read_could_have_been_over(
    age: timedelta, within: timedelta | None, trouble: str | None
) -> None:
    judged = judge_promise({TODAY: NOW - age}, {TODAY: within}, now=NOW)

    assert judged.trouble == trouble
    assert (TODAY.isoformat() in judged.told) == (trouble is not None)


@pytest.mark.parametrize(
    ("sent", "per_day", "trouble"), [(0, 0, None), (99_999, 0, None), (94, 100, None), (95, 100, "note")]
)
def test_requests_are_nearly_used_up_at_95_percent(sent: int, per_day: int, trouble: str | None) -> None:
    assert judge_budget(sent, per_day, blocked_until=None, zone=ZONE).trouble == trouble


def test_a_pause_that_the_source_asked_for_is_told_with_its_end() -> None:
    judged = judge_budget(0, 100, blocked_until=NOW, zone=ZONE)

    assert (judged.trouble, "2025-03-10 13:00" in judged.told) == ("note", True)


@pytest.mark.parametrize(
    ("still_open", "put_aside", "received", "trouble"),
    [(0, 0, 0, None), (0, 5, 10, None), (3, 0, 0, "note"), (3, 1, 100, "note"), (3, 2, 100, "bad")],
)
def test_more_than_a_hundredth_of_the_records_put_aside_needs_somebody(
    still_open: int, put_aside: int, received: int, trouble: str | None
) -> None:
    assert judge_quarantine(still_open, put_aside=put_aside, received=received).trouble == trouble


def test_departures_from_the_contract_are_named() -> None:
    assert judge_drift([]).trouble is None
    assert "chats tags: unknown value" in judge_drift(["chats tags: unknown value"]).told


@pytest.mark.parametrize(
    ("ahead", "strays", "trouble"),
    [(8 * DAY, 0, None), (7 * DAY, 0, None), (6 * DAY, 0, "note"), (None, 0, "note"), (8 * DAY, 1, "bad")],
)
def test_raw_pages_have_their_week_seven_days_ahead(ahead: timedelta | None, strays: int, trouble: str | None) -> None:
    until = None if ahead is None else NOW + ahead

    assert judge_partitions(until, strays=strays, now=NOW).trouble == trouble


def test_a_sync_without_its_audit_row_is_bad() -> None:
    assert (judge_audit(3, without=0).trouble, judge_audit(3, without=1).trouble) == (None, "bad")
