"""Raw pages are kept as long as is set and dropped by the week; what cannot be loaded from them any more is refused."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest
from dagster import DefaultScheduleStatus

from b2chat_pipeline.b2chat.contract import CHATS
from b2chat_pipeline.definitions import build_definitions
from b2chat_pipeline.ingest.sync import NothingStoredError
from b2chat_pipeline.simulator import World
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.warehouse.database import ensure_weekly_partitions
from b2chat_pipeline.warehouse.reads import mark_applied
from b2chat_pipeline.warehouse.retention import retain_raw_pages
from b2chat_pipeline_tests.dagster_support import account_environment, instance_in_postgres
from b2chat_pipeline_tests.loading_support import business_rows, hours_between, running_pipeline

# A Sunday; its week is 2025w10.
NOW = datetime(2025, 3, 9, 12, tzinfo=UTC)
MONTH = timedelta(days=30)
FIRST = date(2025, 3, 3)
WORLD = World(first_day=FIRST, zone=ZoneInfo("America/Bogota"), chats_per_day=150)
PAGE = "insert into api_response_logs values (%s, 's', '/chats/export', '{}', '{}', 2, 0, %s, %s)"


@pytest.fixture
def weeks(database_url: str) -> Iterator[psycopg.Connection]:
    """Ten weeks that end with the one of NOW, one page in each."""
    with connect(database_url, purpose="test") as connection:
        for back in range(9, -1, -1):
            at = NOW - timedelta(weeks=back)
            ensure_weekly_partitions(connection, now=at, weeks_ahead=0)
            connection.execute(PAGE, (f"page {back}", at, at))
        yield connection


def pages(connection: psycopg.Connection) -> list[str]:
    return [row[0] for row in connection.execute("select id from api_response_logs order by id")]


def test_weeks_older_than_the_retention_are_dropped_and_pages_within_it_survive(weeks: psycopg.Connection) -> None:
    done = retain_raw_pages(weeks, keep=MONTH, now=NOW)

    assert done.dropped == [f"api_response_logs_2025w{week:02d}" for week in range(1, 6)]
    assert pages(weeks) == [f"page {back}" for back in range(5)]
    assert (done.kept, len(done.ahead), done.default_rows, done.busy) == (5 + 4, 4, 0, [])
    assert retain_raw_pages(weeks, keep=MONTH, now=NOW).dropped == []


def test_a_dry_run_says_what_would_be_dropped_and_drops_nothing(weeks: psycopg.Connection) -> None:
    done = retain_raw_pages(weeks, keep=MONTH, now=NOW, dry_run=True)

    assert (len(done.dropped), done.kept, done.ahead) == (5, 5, [])
    assert len(pages(weeks)) == 10


def hour_loads(connection: psycopg.Connection) -> list[tuple[str, datetime]]:
    return connection.execute("select sync_id, hour_start from ops.hour_loads order by read_at, hour_start").fetchall()


def test_loads_from_pages_that_are_gone_are_dropped_but_for_the_newest_of_each_hour(weeks: psycopg.Connection) -> None:
    weeks.execute("update api_response_logs set sync_id = replace(id, 'page', 'read')")
    first, second = (datetime(2024, 12, 30, hour, tzinfo=UTC) for hour in (14, 15))
    for back in range(9, -1, -1):
        read_at = {first: NOW - timedelta(weeks=back)} | ({second: NOW - timedelta(weeks=9)} if back == 9 else {})
        mark_applied(weeks, CHATS, read_at, sync_id=f"read {back}")
    before = hour_loads(weeks)

    would = retain_raw_pages(weeks, keep=MONTH, now=NOW, dry_run=True)
    untouched = hour_loads(weeks)
    done = retain_raw_pages(weeks, keep=MONTH, now=NOW)

    assert (would.hour_loads, done.hour_loads, untouched) == (4, 4, before)
    assert hour_loads(weeks) == [("read 9", second), *((f"read {back}", first) for back in range(5, -1, -1))]
    assert retain_raw_pages(weeks, keep=MONTH, now=NOW).hour_loads == 0


def test_rows_outside_any_week_are_reported(weeks: psycopg.Connection) -> None:
    weeks.execute(PAGE, ("stray", NOW, NOW + timedelta(weeks=30)))

    assert retain_raw_pages(weeks, keep=MONTH, now=NOW).default_rows == 1


@pytest.mark.parametrize("which", ["true", "id = (select min(id) from api_response_logs)"], ids=["all", "the first"])
def test_hours_whose_pages_were_dropped_are_refused_and_not_credited(database_url: str, which: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        hours = hours_between(pipeline.clock, FIRST, date(2025, 3, 5), until=NOW)
        read = pipeline.load(CHATS, hours)
        before = business_rows(database_url)
        with connect(database_url, purpose="prepare") as connection:
            connection.execute(f"delete from api_response_logs where {which}".encode())  # noqa: S608
        again = pipeline.load(CHATS, hours, read=False)

    assert read.status == "success"
    assert {type(error) for error in again.failed.values()} == {NothingStoredError}
    told = {hour for hour, records in read.told.items() if records}
    assert all(again.told[hour] == read.told[hour] for hour in told - again.failed.keys())
    assert (told <= again.failed.keys()) == (which == "true")
    assert business_rows(database_url) == before


def test_the_job_removes_what_is_too_old_and_says_so(
    weeks: psycopg.Connection,
    database_url: str,
    empty_database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = account_environment("http://127.0.0.1:1", database_url) | {"B2CHAT_RAW_RETENTION_DAYS": "7"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    weeks.execute(
        "insert into error_logs (id, timestamp, level, message, source) values ('e', %s, 'x', 'x', 'x')", [NOW]
    )
    with instance_in_postgres(empty_database_url, tmp_path, monkeypatch) as instance:
        job = build_definitions(settings).resolve_job_def("retention")
        result = job.execute_in_process(instance=instance)
        told = {
            name: value.value
            for event in result.all_events
            if event.is_successful_output
            for name, value in event.step_output_data.metadata.items()
        }

    assert result.success
    assert pages(weeks) == []
    assert (told["error_logs"], told["notifications"], told["event_logs"]) == (1, 0, 0)
    assert told["dropped"]


def test_the_schedule_is_on_and_says_what_it_does() -> None:
    schedule = build_definitions({}).get_repository_def().get_schedule_def("retention")

    assert schedule.default_status is DefaultScheduleStatus.RUNNING
    assert "every night" in (schedule.description or "")
