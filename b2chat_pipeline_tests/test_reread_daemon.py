"""A chat that changed at the source, from the tick of a real daemon's schedule to the row in the table."""

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import psycopg
import pytest
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
)

from b2chat_pipeline.b2chat.contract import CHATS
from b2chat_pipeline.policy import REREAD_TICK
from b2chat_pipeline.simulator import Clock, Simulator, World, mutated_records
from b2chat_pipeline.simulator.expectation import expected
from b2chat_pipeline.windows import AccountClock
from b2chat_pipeline_tests.command_support import Home, instigator
from b2chat_pipeline_tests.dagster_support import account_environment
from b2chat_pipeline_tests.loading_support import Pipeline, hours_between

pytestmark = pytest.mark.any_postgres

CLOCK = AccountClock(ZoneInfo("America/Bogota"))
# Longer than any promise of a day so young.
UNREAD = timedelta(hours=4)


def test_a_chat_that_changed_at_the_source_is_brought_up_to_date_by_the_daemons_schedule(
    home: Home, database_url: str, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The daemon's clock is the real one. The day has been over for six hours at least.
    now = datetime.now(UTC)
    day = CLOCK.day_of(now - timedelta(hours=30))
    world = World(first_day=day, zone=CLOCK.zone, chats_per_day=20, messages_per_chat=2, contacts=10)
    account = expected(world, now, first=day, last=day)
    changed = next(key for key, chat in account.chats.items() if chat.status == "closed")
    with Simulator(world, clock=Clock(now - UNREAD, speed=1)) as simulator:
        simulator.faults.add(
            mutated_records(lambda it: it | {"status": "OPENED", "closed_at": None} if it["chat_id"] == changed else it)
        )
        hours = hours_between(CLOCK, day, day, until=now - UNREAD)
        assert Pipeline(simulator, database_url, CLOCK).load(CHATS, hours).status == "success"
        before = _status(database_url, changed)
        simulator.faults.clear()
        simulator.clock.set(now)
        settings = account_environment(simulator.url, database_url) | {
            "B2CHAT_START_DATE": day.isoformat(),
            "DAGSTER_DATABASE_URL": empty_database_url,
            "DAGSTER_HOME": str(home.folder),
        }
        for name in ("DAGSTER_DATABASE_URL", "DAGSTER_HOME"):
            monkeypatch.setenv(name, settings[name])
        with dg.DagsterInstance.get() as instance:
            instance.add_instigator_state(_on_since(now - REREAD_TICK))
            with home.running(["dagster-daemon", "run", "-w", "workspace.yaml"], settings):
                run = _finished_run(instance)
            told = instance.fetch_materializations(dg.AssetKey("chat_updates"), limit=2).records

    assert (before, _status(database_url, changed)) == ("pending", "closed")
    assert (run.status, run.job_name) == (dg.DagsterRunStatus.SUCCESS, "rereads")
    assert run.tags["dagster/schedule_name"] == "rereads"
    assert [it.partition_key for it in told] == [day.isoformat()]
    with psycopg.connect(database_url) as connection:
        history = connection.execute("select field, old, new from ops.chat_history where field = 'status'").fetchall()
    assert ("status", "OPENED") in [row[:2] for row in history]


def _on_since(start: datetime) -> InstigatorState:
    """The state of the schedule of re-reads as a daemon that was started then has left it: one tick is to be made up
    for.
    """
    data = ScheduleInstigatorData("*/20 * * * *", start.timestamp())
    return InstigatorState(instigator("rereads"), InstigatorType.SCHEDULE, InstigatorStatus.DECLARED_IN_CODE, data)


def _finished_run(instance: dg.DagsterInstance, *, seconds: float = 90) -> dg.DagsterRun:
    """The first run of the re-reads, once it is over."""
    deadline = time.monotonic() + seconds
    finished = dg.RunsFilter(job_name="rereads", statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE])
    while not (runs := instance.get_runs(finished)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return runs[0]


def _status(url: str, key: str) -> str | None:
    with psycopg.connect(url) as connection:
        row = connection.execute("select status::text from chats where b2chat_id = %s", [key]).fetchone()
    return None if row is None else str(row[0])
