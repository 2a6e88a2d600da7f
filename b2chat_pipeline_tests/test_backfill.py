"""The whole project at work: a range handed to a running daemon, its own processes around it, the tables compared."""

import signal
import time
from datetime import date

import dagster as dg
import psycopg
import pytest
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, InstigatorType

from b2chat_pipeline.assets.sides import ASSETS
from b2chat_pipeline.automation.models import CHANGED_DAYS
from b2chat_pipeline.commands.ports import free_port
from b2chat_pipeline.simulator import Clock, Simulator
from b2chat_pipeline.simulator.expectation import Expectation, expected
from b2chat_pipeline_tests.command_support import Home, instigator, wait_for_daemon, wait_for_line, wait_until_none
from b2chat_pipeline_tests.dagster_support import BUSY_WORLD, FIRST_DAY, NOW, account_environment

pytestmark = pytest.mark.any_postgres

LAST_DAY = date(2025, 3, 5)


def test_a_range_is_handed_to_the_daemon_and_without_one_is_loaded_in_process(
    home: Home, database_url: str, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A plain postgresql:// address, under which Dagster's storage must still use the driver it can work with.
    assert empty_database_url.startswith("postgresql://")
    with Simulator(BUSY_WORLD, clock=Clock(NOW)) as simulator:
        settings = account_environment(simulator.url, database_url) | {
            "DAGSTER_DATABASE_URL": empty_database_url,
            "DAGSTER_HOME": str(home.folder),
        }
        for name in ("DAGSTER_DATABASE_URL", "DAGSTER_HOME"):
            monkeypatch.setenv(name, settings[name])
        with dg.DagsterInstance.get() as instance:
            # Building all models meanwhile takes longer than the load, and is not what this is about.
            instance.add_instigator_state(
                InstigatorState(instigator(CHANGED_DAYS), InstigatorType.SENSOR, InstigatorStatus.STOPPED)
            )
        load = ["b2chat", "load", "2025-03-03", "2025-03-06"]
        with home.running(["b2chat", "dev", "--port", str(free_port())], settings) as dev:
            wait_for_line(dev.stdout, "Dagster is at ")
            wait_for_daemon(empty_database_url)

            through_daemon = home.run(load, settings)

            assert_backfill_completes(empty_database_url)
            dev.send_signal(signal.SIGTERM)
            assert dev.wait(60) == 0
            wait_until_none(home)
        asked = len(simulator.requests)
        in_process = home.run(["b2chat", "load", "2025-03-05T09:00", "2025-03-05T12:00"], settings)

    assert (through_daemon.status, in_process.status) == (0, 0), through_daemon.output + in_process.output
    assert "72 hours in 1 run" in through_daemon.output
    assert "3 hours in 1 run" in in_process.output
    assert len(simulator.requests) > asked
    assert_every_hour_is_green(empty_database_url)
    assert_holds(database_url, expected(BUSY_WORLD, NOW, first=FIRST_DAY, last=LAST_DAY))


def assert_every_hour_is_green(dagster_url: str) -> None:
    with psycopg.connect(dagster_url) as connection:
        rows = connection.execute(
            "select asset_key, count(distinct partition) from event_logs"
            " where dagster_event_type = 'ASSET_MATERIALIZATION' and partition < '2025-03-06' group by 1"
        ).fetchall()
        # Of the load's own runs: those that build the models go on meanwhile, and end with `b2chat dev`.
        statuses = connection.execute(
            "select distinct status from runs"
            " where run_id in (select run_id from event_logs where asset_key = any(%s))",
            ([f'["{asset}"]' for asset in ASSETS],),
        ).fetchall()
    hours_of: dict[str, int] = dict(rows)
    assert {asset: hours_of.get(f'["{asset}"]') for asset in ASSETS} == dict.fromkeys(ASSETS, 72)
    assert statuses == [("SUCCESS",)]


def assert_backfill_completes(dagster_url: str) -> None:
    """The daemon finds that the backfill has been worked off; it looks every 30 seconds."""
    deadline = time.monotonic() + 60
    with psycopg.connect(dagster_url, autocommit=True) as connection:
        while (statuses := connection.execute("select status from bulk_actions").fetchall()) == [("REQUESTED",)]:
            assert time.monotonic() < deadline
            time.sleep(0.5)
    assert statuses == [("COMPLETED_SUCCESS",)]


def assert_holds(database_url: str, account: Expectation) -> None:
    """The tables hold exactly what a right loader must hold of those days."""
    with psycopg.connect(database_url, options="-c timezone=UTC") as connection:
        chats = connection.execute(
            "select chats.b2chat_id, chats.status::text, chats.provider::text, chats.created_at, chats.closed_at,"
            " chats.duration, agents.username, departments.name from chats"
            " left join agents on agents.id = agent_id left join departments on departments.id = chats.department_id"
        ).fetchall()
        messages = connection.execute(
            "select b2chat_id, timestamp, incoming, messages.type::text, text, caption"
            " from messages join chats on chats.id = chat_id"
        ).fetchall()
        contacts = connection.execute("select b2chat_id from contacts where b2chat_id is not null").fetchall()
    assert set(chats) == {
        (it.b2chat_id, it.status, it.provider, it.created_at, it.closed_at, it.duration, it.agent, it.department)
        for it in account.chats.values()
    }
    assert sorted(map(repr, messages)) == sorted(
        repr((key, it.timestamp, it.incoming, it.type, it.text, it.caption))
        for key, told in account.messages.items()
        for it in told
    )
    assert {key for (key,) in contacts} <= account.contacts.keys()
    assert {it.contact for it in account.chats.values() if it.contact} <= {key for (key,) in contacts}
