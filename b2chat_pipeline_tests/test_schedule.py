"""The hourly schedule: which hour a tick asks for, also where clocks change, and when it asks for none."""

import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import islice
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator  # what the daemon walks

from b2chat_pipeline.definitions import build_definitions
from b2chat_pipeline.partitions import hourly_partitions
from b2chat_pipeline.resources import WarehouseResource
from b2chat_pipeline.settings import read_account
from b2chat_pipeline.windows import AccountClock
from b2chat_pipeline_tests.dagster_support import account_environment

NEW_YORK = ZoneInfo("America/New_York")
GOOD = account_environment("http://127.0.0.1:1", "postgresql://u@127.0.0.1:1/d")
IN_NEW_YORK = {**GOOD, "B2CHAT_TIMEZONE": NEW_YORK.key}


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Good settings, of which a test may change some."""
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@cache
def repository_in(zone: str | None) -> dg.RepositoryDefinition:
    """What Dagster loads where everything is set, or nothing (None)."""
    return build_definitions({**GOOD, "B2CHAT_TIMEZONE": zone} if zone else {}).get_repository_def()


def tick(at: datetime, environ: Mapping[str, str] = GOOD) -> dg.RunRequest | str:
    """What the schedule does at a scheduled time: the run it asks for, or why it skips."""
    repository = repository_in(environ.get("B2CHAT_TIMEZONE"))
    zone = ZoneInfo(environ.get("B2CHAT_TIMEZONE", "UTC"))
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_schedule_context(
            instance,
            scheduled_execution_time=at.astimezone(zone),
            repository_def=repository,
            resources={"warehouse": WarehouseResource()},
        ) as context,
    ):
        told = repository.get_schedule_def("hourly_sync").evaluate_tick(context)
    if told.run_requests:
        (request,) = told.run_requests
        return request
    return told.skip_message or ""


def test_it_runs_from_the_first_start_seven_minutes_past_in_the_accounts_zone() -> None:
    schedule = repository_in(NEW_YORK.key).get_schedule_def("hourly_sync")

    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("7 * * * *", NEW_YORK.key)


def test_it_asks_for_the_hour_that_just_ended() -> None:
    request = tick(datetime(2025, 3, 6, 10, 7, tzinfo=ZoneInfo("America/Bogota")))

    assert isinstance(request, dg.RunRequest)
    assert (request.partition_key, request.run_key) == ("2025-03-06-09:00", "2025-03-06-09:00")


def test_the_hour_before_midnight_belongs_to_the_day_before() -> None:
    request = tick(datetime(2025, 3, 6, 0, 7, tzinfo=ZoneInfo("America/Bogota")))

    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == "2025-03-05-23:00"


def test_a_tick_that_is_late_or_repeated_asks_under_the_same_run_key() -> None:
    at = datetime(2025, 3, 6, 10, 7, tzinfo=ZoneInfo("America/Bogota"))

    requests = [tick(at), tick(at), tick(at + timedelta(minutes=50))]

    assert {request.run_key for request in requests if isinstance(request, dg.RunRequest)} == {"2025-03-06-09:00"}


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "America/Los_Angeles"])
def test_a_machine_in_another_zone_asks_for_the_same_hour(zone: str, settings: pytest.MonkeyPatch) -> None:
    try:
        settings.setenv("TZ", zone)
        time.tzset()
        request = tick(datetime(2025, 3, 6, 15, 7, tzinfo=UTC))
        window = AccountClock(ZoneInfo("America/Bogota")).day_window(date(2025, 3, 6))
    finally:
        settings.delenv("TZ")
        time.tzset()

    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == "2025-03-06-09:00"
    assert window.start == datetime(2025, 3, 6, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2026, 3, 8), 23), (date(2025, 11, 2), 25), (date(2025, 7, 1), 24)],
    ids=["clocks go forward", "clocks go back", "ordinary"],
)
def test_every_hour_of_a_day_is_asked_for_once(settings: pytest.MonkeyPatch, day: date, hours: int) -> None:
    settings.setenv("B2CHAT_TIMEZONE", NEW_YORK.key)
    partitions = hourly_partitions(read_account(IN_NEW_YORK))
    window = AccountClock(NEW_YORK).day_window(day)

    schedule = repository_in(NEW_YORK.key).get_schedule_def("hourly_sync")
    # The times that Dagster's own scheduler makes of the cron line, for as long as the hours of the day are due.
    due = [
        at
        for at in _ticks(schedule, window.start)
        if window.start + timedelta(hours=1) <= at < window.end + timedelta(hours=1)
    ]
    requests = [tick(at, IN_NEW_YORK) for at in due]

    keys = [request.partition_key for request in requests if isinstance(request, dg.RunRequest)]
    in_window = partitions.get_partition_keys_in_time_window(dg.TimeWindow(window.start, window.end))
    assert keys == list(in_window)
    assert len(set(keys)) == hours
    assert all(partitions.has_partition_key(str(key)) for key in keys)


def _ticks(schedule: dg.ScheduleDefinition, start: datetime) -> list[datetime]:
    upcoming = schedule_execution_time_iterator(
        start.timestamp(), str(schedule.cron_schedule), schedule.execution_timezone
    )
    return list(islice(upcoming, 30))


def test_a_missing_setting_skips_with_the_sentence_that_names_it(settings: pytest.MonkeyPatch) -> None:
    settings.delenv("B2CHAT_PASSWORD")

    told = tick(datetime(2025, 3, 6, 10, 7, tzinfo=UTC))

    assert isinstance(told, str)
    assert told.startswith("B2CHAT_PASSWORD is not set: ")


def test_without_any_setting_it_skips_with_a_sentence(settings: pytest.MonkeyPatch) -> None:
    for name in GOOD:
        settings.delenv(name)

    told = tick(datetime(2026, 3, 6, 10, 7, tzinfo=UTC), {})

    assert isinstance(told, str)
    assert told.startswith("B2CHAT_TIMEZONE is not set: ")


@pytest.mark.parametrize("at", [(2025, 3, 1, 12, 7), (2025, 3, 3, 0, 7)], ids=["days before", "the hour before"])
def test_nothing_is_asked_for_before_the_first_hour_is_over(at: tuple[int, int, int, int, int]) -> None:
    told = tick(datetime(*at, tzinfo=ZoneInfo("America/Bogota")))

    assert told == "No hour is over yet: B2CHAT_START_DATE lies ahead."


def test_the_first_hour_is_asked_for_when_it_is_over() -> None:
    told = tick(datetime(2025, 3, 3, 1, 7, tzinfo=ZoneInfo("America/Bogota")))

    assert isinstance(told, dg.RunRequest)
    assert told.partition_key == "2025-03-03-00:00"
