"""Re-reads through the running daemon: the schedule decides, a run is launched, the hours' own state is not touched."""

import json
import re
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from b2chat_pipeline.assets.sides import ASSETS
from b2chat_pipeline.commands.ports import free_port
from b2chat_pipeline.simulator import FLAT_WEEK, Clock, Simulator, World
from b2chat_pipeline.simulator.expectation import expected
from b2chat_pipeline_tests.command_support import Home, home_in, wait_for_line, wait_until_none
from b2chat_pipeline_tests.dagster_support import account_environment
from b2chat_pipeline_tests.loading_support import stored

ZONE = ZoneInfo("America/Bogota")


@pytest.fixture
def home(server_directory: Path) -> Iterator[Home]:
    with home_in(server_directory) as home:
        yield home


def test_the_daemon_reads_a_stale_day_again_and_leaves_its_hours_alone(
    home: Home, database_url: str, empty_database_url: str
) -> None:
    now = datetime.now(UTC)
    day = now.astimezone(ZONE).date() - timedelta(days=3)
    loaded_at = datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=ZONE)
    world = World(first_day=day, zone=ZONE, chats_per_day=20, weekly_shape=FLAT_WEEK)
    with Simulator(world, clock=Clock(loaded_at)) as simulator:
        settings = account_environment(simulator.url, database_url) | {
            "DAGSTER_DATABASE_URL": empty_database_url,
            "B2CHAT_START_DATE": day.isoformat(),
            "B2CHAT_REQUESTS_PER_DAY": "10000",
        }
        with home.running(["b2chat", "dev", "--port", str(free_port())], settings) as dev:
            wait_for_line(dev.stdout, "Dagster is at ")
            loaded = home.run(["b2chat", "load", day.isoformat(), (day + timedelta(days=1)).isoformat()], settings)
            assert loaded.status == 0, loaded.output
            before = materializations(empty_database_url, day.isoformat())
            simulator.clock.set(now)
            grow_stale(database_url, hours=5)
            make_the_last_decision_due(empty_database_url)

            (metadata,) = wait_for_reread(empty_database_url, day.isoformat())

            dev.send_signal(signal.SIGTERM)
            assert dev.wait(60) == 0
            wait_until_none(home)

    after = expected(world, now, first=day, last=day)
    held = stored(database_url)
    assert (held.chats, held.messages) == (after.chats, after.messages)
    assert materializations(empty_database_url, day.isoformat()) == before
    assert metadata["changed_chats"] > 0
    assert 5 <= metadata["staleness_hours"] < 6
    assert (metadata["promised_hours"], metadata["unsettled_days"]) == (3, 1)
    assert (metadata["share"], metadata["share_used"], metadata["left_out"]) == (3500, 2, "none")
    run_of_the_day(empty_database_url, day.isoformat())


def materializations(dagster_url: str, day: str) -> dict[str, int]:
    """How often each hour's asset has been credited with the hours of a day."""
    with psycopg.connect(dagster_url) as connection:
        told = connection.execute(
            "select asset_key, count(*) from event_logs where dagster_event_type = 'ASSET_MATERIALIZATION'"
            " and partition like %s and asset_key <> '[\"chat_updates\"]' group by 1",
            (f"{day}-%",),
        ).fetchall()
    assert {key for key, _ in told} == {f'["{asset}"]' for asset in ASSETS}
    return dict(told)


def grow_stale(url: str, *, hours: int) -> None:
    """Make everything look as if it had been read earlier than it was."""
    with psycopg.connect(url) as connection:
        connection.execute(
            "update ops.window_reads set read_at = read_at - make_interval(hours => %(hours)s),"
            " applied_read_at = applied_read_at - make_interval(hours => %(hours)s)",
            {"hours": hours},
        )


def make_the_last_decision_due(dagster_url: str) -> None:
    """Let the schedule have been on for an hour already, so that the daemon makes up for what it has missed."""
    deadline = time.monotonic() + 60
    with psycopg.connect(dagster_url, autocommit=True) as connection:
        while True:
            told = connection.execute("select id, job_body from jobs where job_body like '%\"rereads\"%'").fetchall()
            if told:
                break
            assert time.monotonic() < deadline
            time.sleep(0.5)
        ((key, body),) = told
        earlier, changed = re.subn(r'("start_timestamp": )[0-9.]+', rf"\g<1>{time.time() - 3600}", body)
        assert changed == 1, body
        connection.execute("update jobs set job_body = %s where id = %s", (earlier, key))


def wait_for_reread(dagster_url: str, day: str) -> list[dict[str, Any]]:
    """The metadata of every re-read of a day, once there is one."""
    deadline = time.monotonic() + 120
    with psycopg.connect(dagster_url, autocommit=True) as connection:
        while True:
            told = connection.execute(
                "select event from event_logs where dagster_event_type = 'ASSET_MATERIALIZATION'"
                " and asset_key = '[\"chat_updates\"]' and partition = %s",
                (day,),
            ).fetchall()
            finished = connection.execute("select 1 from runs where pipeline_name = 'rereads' and status = 'SUCCESS'")
            if told and finished.fetchone():
                return [_metadata(json.loads(event)) for (event,) in told]
            assert time.monotonic() < deadline, connection.execute(
                "select pipeline_name, status from runs where pipeline_name = 'rereads'"
            ).fetchall()
            time.sleep(0.5)


def _metadata(event: dict[str, Any]) -> dict[str, Any]:
    entries = event["dagster_event"]["event_specific_data"]["materialization"]["metadata_entries"]
    return {
        entry["label"]: next(value for name, value in entry["entry_data"].items() if name != "__class__")
        for entry in entries
    }


def run_of_the_day(dagster_url: str, day: str) -> None:
    """One run, asked for by the schedule, which says what was decided."""
    with psycopg.connect(dagster_url) as connection:
        tags = connection.execute(
            "select key, value from run_tags join runs using (run_id) where pipeline_name = 'rereads'"
        ).fetchall()
    assert {
        ("dagster/schedule_name", "rereads"),
        ("dagster/asset_partition_range_start", day),
        ("b2chat/reread_plan", "1 of 1 days whose chats may change; 0 are left out"),
    } <= set(tags)
