"""The checks of the pipeline's health, run as their schedule runs them, on a real instance and a real warehouse."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import psycopg
import pytest

from b2chat_pipeline.assets.health import HEALTH
from b2chat_pipeline.assets.sides import SIDES
from b2chat_pipeline.definitions import build_definitions
from b2chat_pipeline.simulator import Fault, World
from b2chat_pipeline.warehouse.database import ensure_weekly_partitions
from b2chat_pipeline_tests.dagster_support import Pipeline, running_pipeline

pytestmark = pytest.mark.any_postgres

ZONE = ZoneInfo("America/Bogota")
# Dagster's own clock is the real one.
FIRST_DAY = datetime.now(ZONE).date() - timedelta(days=1)
WORLD = World(first_day=FIRST_DAY, zone=ZONE, chats_per_day=12, messages_per_chat=1, contacts=10)


@pytest.fixture
def pipeline(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    with running_pipeline(database_url, monkeypatch, world=WORLD, now=this_hour()) as running:
        monkeypatch.setenv("B2CHAT_START_DATE", FIRST_DAY.isoformat())
        with psycopg.connect(database_url) as connection:
            ensure_weekly_partitions(connection, now=datetime.now(UTC))
        yield running


def this_hour() -> datetime:
    """The beginning of the hour that runs; one may end between two tests."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def key(hours_ago: int) -> str:
    """The partition of the hour that began so many hours before this one."""
    return f"{(this_hour() - timedelta(hours=hours_ago)).astimezone(ZONE):%Y-%m-%d-%H:00}"


def load(pipeline: Pipeline, oldest: int, newest: int) -> bool:
    """Load the hours that began between so many hours before this one."""
    return all(pipeline.run([key(oldest), key(newest)], assets=assets).success for assets in SIDES.values())


def looked(pipeline: Pipeline) -> dict[str, tuple[bool, str, str]]:
    """Of each check: whether it passed, how severe it is, and what it says."""
    job = build_definitions(os.environ).resolve_job_def(HEALTH)
    result = job.execute_in_process(
        instance=pipeline.instance, run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    )
    return {
        it.check_name: (it.passed, it.severity.value, it.description or "")
        for it in result.get_asset_check_evaluations()
    }


def troubles(pipeline: Pipeline) -> dict[str, str]:
    """The checks that fail, with their severities."""
    return {name: severity for name, (passed, severity, _) in looked(pipeline).items() if not passed}


def test_it_is_looked_at_every_hour_from_the_first_start() -> None:
    repository = build_definitions({}).get_repository_def()

    schedule = repository.get_schedule_def(HEALTH)

    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert schedule.cron_schedule == "27 * * * *"


def test_without_settings_it_says_what_is_missing_and_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("B2CHAT_TIMEZONE", raising=False)
    schedule = build_definitions({}).get_repository_def().get_schedule_def(HEALTH)

    with dg.build_schedule_context() as context:
        told = schedule.evaluate_tick(context)

    assert (told.run_requests, "B2CHAT_TIMEZONE is not set" in str(told.skip_message)) == ([], True)


def test_an_account_that_is_loaded_up_to_the_last_hour_is_well(pipeline: Pipeline) -> None:
    assert load(pipeline, 20, 1)

    assert troubles(pipeline) == {}


def test_an_account_that_was_never_loaded_has_nothing_that_needs_somebody(pipeline: Pipeline) -> None:
    assert troubles(pipeline) == {"newest_hour_of_chats": "WARN", "newest_hour_of_contacts": "WARN"}


def test_hours_that_failed_and_are_late_are_told_with_their_list(pipeline: Pipeline) -> None:
    assert load(pipeline, 20, 10)
    pipeline.simulator.faults.add(Fault(kind="status", status=404, times=None))
    pipeline.run([key(9), key(8)], assets=SIDES["chats"])

    found = looked(pipeline)

    assert {name for name, (passed, *_) in found.items() if not passed} == {
        *("newest_hour_of_chats", "newest_hour_of_contacts"),
        *("hours_of_chats", "hours_of_contacts"),
    }
    assert found["newest_hour_of_chats"][1] == "ERROR"
    assert f"{key(9)[:10]} {key(9)[11:]} to " in found["hours_of_chats"][2]


def test_what_the_books_tell_is_judged_too(pipeline: Pipeline) -> None:
    assert load(pipeline, 20, 1)
    with psycopg.connect(pipeline.database_url) as connection:
        connection.execute("delete from audit_logs where event_type = 'sync.complete'")
        connection.execute("update ops.window_reads set read_at = read_at - interval '9 hours'")
        connection.execute(
            "insert into ops.contract_drift (id, endpoint, path, kind, detail, sync_id)"
            " values ('d', '/chats/export', 'chats[].mood', 'unknown field', 'string', 's')"
        )
        connection.execute(
            "insert into ops.quarantine (id, entity, endpoint, reason, raw_record, record_hash, sync_id, read_at)"
            " values ('q', 'chats', '/chats/export', 'no key', '{}', 'hash', 's', now())"
        )

    assert troubles(pipeline) == {
        "syncs_audited": "ERROR",
        "rereads_as_promised": "ERROR",
        "contract_kept": "WARN",
        "no_record_put_aside": "ERROR",
    }


def test_pages_of_weeks_to_come_without_their_partition_are_told(pipeline: Pipeline) -> None:
    assert load(pipeline, 20, 1)
    with psycopg.connect(pipeline.database_url) as connection:
        weeks = connection.execute(
            'select inhrelid::regclass::text collate "C" from pg_inherits where inhparent ='
            " 'public.api_response_logs'::regclass and inhrelid::regclass::text not like '%default' order by 1 desc"
        ).fetchall()
        for (week,) in weeks[:-1]:
            connection.execute(f"drop table {week}".encode())

    assert troubles(pipeline) == {"raw_weeks_ahead": "WARN"}
