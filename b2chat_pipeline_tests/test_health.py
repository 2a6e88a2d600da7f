"""The checks of the pipeline's health, run as their schedule runs them, on a real instance and a real warehouse."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import psycopg
import pytest
from dagster._core.storage.event_log import SqlEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable

from b2chat_pipeline.assets.gaps import GAP_TAG
from b2chat_pipeline.assets.health import HEALTH
from b2chat_pipeline.assets.sides import SIDES
from b2chat_pipeline.automation.troubles import trouble_sensor
from b2chat_pipeline.definitions import build_definitions
from b2chat_pipeline.policy.findings import AFTERMATH
from b2chat_pipeline.policy.gaps import GIVE_UP_AFTER
from b2chat_pipeline.policy.troubles import HELD
from b2chat_pipeline.resources import WarehouseResource
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


def told_by_the_sensor(pipeline: Pipeline, *, later: timedelta = timedelta()) -> str:
    """Have the sensor look that tells people, and what it says."""
    sensor = trouble_sensor(clock=lambda: datetime.now(UTC) + later)
    with dg.build_sensor_context(instance=pipeline.instance, resources={"warehouse": WarehouseResource()}) as context:
        return str(sensor.evaluate_tick(context).skip_message)


def notices(pipeline: Pipeline) -> list[tuple[str, str]]:
    """What administrators were told: cause and kind."""
    return pipeline.query("select metadata ->> 'cause', type from notifications order by created_at, 1")


def an_hour_ago(pipeline: Pipeline) -> None:
    """Have Dagster say that all looks so far were made an hour earlier."""
    history = pipeline.instance.event_log_storage
    assert isinstance(history, SqlEventLogStorage)
    with history.index_connection() as connection:
        connection.execute(
            AssetCheckExecutionsTable.update().values(
                create_timestamp=datetime.now(UTC).replace(tzinfo=None) - timedelta(hours=1)
            )
        )


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


def put_aside(pipeline: Pipeline, number: int) -> None:
    with psycopg.connect(pipeline.database_url) as connection:
        connection.execute(
            "insert into ops.quarantine (id, entity, endpoint, reason, raw_record, record_hash, sync_id, read_at)"
            " select n::text, 'chats', '/chats/export', 'no key', '{}', n::text::bytea, 's', now()"
            " from generate_series(1, %s) n",
            [number],
        )


def test_what_a_check_finds_is_told_once_to_each_administrator_and_so_is_its_end(pipeline: Pipeline) -> None:
    assert load(pipeline, 20, 1)
    put_aside(pipeline, 50)
    looked(pipeline)
    told_by_the_sensor(pipeline)
    after_one_look = notices(pipeline)
    an_hour_ago(pipeline)
    looked(pipeline)
    begun, again = told_by_the_sensor(pipeline), told_by_the_sensor(pipeline)
    told = notices(pipeline)
    with psycopg.connect(pipeline.database_url) as connection:
        connection.execute("delete from ops.quarantine")
    looked(pipeline)
    told_by_the_sensor(pipeline, later=HELD)

    assert after_one_look == []
    assert begun.startswith("1 troubles began, 0 came again, 0 are over")
    assert again.startswith("0 troubles began, 0 came again, 0 are over")
    assert told == [("health no_record_put_aside", "error")]
    assert notices(pipeline) == [("health no_record_put_aside", "success")]
    ((message,),) = pipeline.query("select message from notifications")
    assert "50 records do not fit the tables" in message
    assert message.endswith(": b2chat quarantine list.")


def test_what_comes_of_a_source_that_is_down_is_counted_and_not_told_beside_it(pipeline: Pipeline) -> None:
    assert load(pipeline, 20, 10)
    pipeline.simulator.faults.add(Fault(kind="status", status=404, times=None))
    pipeline.run([key(9), key(8)], assets=SIDES["chats"])
    looked(pipeline)
    an_hour_ago(pipeline)
    looked(pipeline)
    said = told_by_the_sensor(pipeline)
    told = notices(pipeline)
    # Over, but the checks still fail: hours were not loaded for another reason.
    pipeline.simulator.faults.clear()
    pipeline.run([key(9), key(9)], assets=SIDES["chats"])
    told_by_the_sensor(pipeline, later=HELD)
    soon = notices(pipeline)
    with psycopg.connect(pipeline.database_url) as connection:
        connection.execute("update ops.incidents set over_at = over_at - %s", [HELD + AFTERMATH])
    looked(pipeline)
    told_by_the_sensor(pipeline)

    assert "2 health checks fail because of another trouble" in said
    assert (told, soon) == ([("source", "error")], [("source", "success")])
    ((consequences,),) = pipeline.query("select metadata -> 'consequences' from notifications where type = 'success'")
    assert set(consequences) == {"newest_hour_of_chats", "newest_hour_of_contacts"}
    assert notices(pipeline)[1:] == [
        ("health newest_hour_of_chats", "error"),
        ("health newest_hour_of_contacts", "error"),
    ]


def test_hours_that_the_sweeper_gave_up_are_an_error_with_the_command_that_loads_them(pipeline: Pipeline) -> None:
    assert load(pipeline, 20, 4)
    pipeline.simulator.faults.add(Fault(kind="status", status=404, path="/chats/export", times=None))
    for _ in range(GIVE_UP_AFTER):
        pipeline.run([key(3), key(3)], assets=SIDES["chats"], tags={GAP_TAG: "chats"})
    pipeline.simulator.faults.clear()
    assert load(pipeline, 2, 1)

    passed, severity, told = looked(pipeline)["hours_of_chats"]

    start, end = (f"{(this_hour() - timedelta(hours=ago)).astimezone(ZONE):%Y-%m-%dT%H:%M}" for ago in (3, 2))
    assert (passed, severity) == (False, "ERROR")
    assert told.startswith("1 hours were tried eight times and given up; of all, 1 failed or are missing: ")
    assert told.endswith(f": b2chat load {start} {end}, once the cause is mended.")
