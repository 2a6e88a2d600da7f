"""Loads beside each other, of the same hours and the same people: none is lost, none is in another's way for good."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest

from b2chat_pipeline.b2chat.contract import CHATS, CONTACTS, Endpoint
from b2chat_pipeline.simulator import World
from b2chat_pipeline.simulator.expectation import expected
from b2chat_pipeline.warehouse.write import lock_day
from b2chat_pipeline.windows import AccountClock, Window
from b2chat_pipeline_tests.loading_support import (
    Pipeline,
    all_loaded,
    business_rows,
    hours_between,
    load_pages_of,
    running_pipeline,
    stored,
)
from b2chat_pipeline_tests.postgres import PostgresServer

FIRST, LAST = date(2025, 3, 3), date(2025, 3, 10)
DAY = timedelta(days=1)
NOW = datetime(2025, 3, 11, 18, tzinfo=UTC)
THREE_WEEKS = timedelta(days=21)
CLOCK = AccountClock(ZoneInfo("America/Bogota"))
WORLD = World(
    first_day=FIRST, zone=CLOCK.zone, chats_per_day=25, messages_per_chat=4, contacts=15, weekly_shape=(1.0,) * 7
)
HOURS = hours_between(CLOCK, FIRST, LAST, until=NOW)
# Six windows of three days, each a day after the one before; beside them, two of contacts.
CHAT_LOADS = 6
PATIENCE = 60.0

_WAITING = """
    select count(*) filter (where wait_event in ('transactionid', 'tuple')), count(*) from pg_stat_activity
     where datname = current_database() and application_name = 'b2chat load' and wait_event_type = 'Lock'
"""


@contextmanager
def holding(url: str) -> Iterator[psycopg.Connection]:
    """Another writer, in a transaction that ends with the block."""
    with psycopg.connect(url) as connection:
        yield connection


def wait_until_held_up(connection: psycopg.Connection, loads: int) -> int:
    """Wait until so many loads wait for a lock; returns how many of them are in the middle of a day, at a row."""
    deadline = time.monotonic() + PATIENCE
    while True:
        connection.execute("select pg_stat_clear_snapshot()")
        at_a_row, waiting = connection.execute(_WAITING).fetchone() or (0, 0)
        if waiting == loads:
            return int(at_a_row)
        assert time.monotonic() < deadline, waiting
        time.sleep(0.01)


def deadlocks(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("select deadlocks from pg_stat_database where datname = current_database()").fetchone()
    return int(row[0]) if row else 0


def test_eight_loads_of_overlapping_windows_beside_a_writer_who_holds_their_parents(
    postgres_server: PostgresServer,
) -> None:
    with (
        postgres_server.database(migrated=True) as early,
        running_pipeline(early, WORLD, now=NOW) as pipeline,
        ThreadPoolExecutor(8) as threads,
    ):
        assert all_loaded(pipeline.load_days(FIRST, FIRST))
        pipeline.simulator.clock.advance(THREE_WEEKS)
        with postgres_server.copy_of(early) as url:
            assert all_loaded(Pipeline(pipeline.simulator, url, CLOCK).load_account(FIRST, LAST))
            one_by_one = business_rows(url)
        with postgres_server.copy_of(early) as url:
            beside = Pipeline(pipeline.simulator, url, CLOCK)
            with holding(url) as writer:
                writer.execute("select * from contacts for update")
                loads = [threads.submit(beside.load, *order) for order in overlapping(beside)]
                in_the_middle = wait_until_held_up(writer, len(loads))
            assert all_loaded([load.result(PATIENCE) for load in loads])

            assert deadlocks(url) == 0
            # The day that the first load begins with is stored already: it may not need anybody's row.
            assert in_the_middle >= CHAT_LOADS - 1
            assert business_rows(url) == one_by_one
            assert stored(url) == expected(WORLD, NOW + THREE_WEEKS, first=FIRST, last=LAST)


def overlapping(pipeline: Pipeline) -> list[tuple[Endpoint, list[Window]]]:
    """Loads of one side each that share days with their neighbours, and people with all."""
    now = pipeline.simulator.clock.now()
    months = hours_between(CLOCK, CLOCK.day_of(now - timedelta(days=85)), CLOCK.day_of(now), until=now)
    chats: list[tuple[Endpoint, list[Window]]] = [
        (CHATS, HOURS[24 * first : 24 * (first + 3)]) for first in range(CHAT_LOADS)
    ]
    return [*chats, (CONTACTS, months), (CONTACTS, months[24 * 10 :])]


def test_of_two_loads_of_the_same_hours_at_once_one_waits_and_finds_nothing_to_do(database_url: str) -> None:
    with (
        running_pipeline(database_url, WORLD, now=NOW) as pipeline,
        ThreadPoolExecutor(2) as threads,
    ):
        with holding(database_url) as writer:
            lock_day(writer, CHATS, FIRST.isoformat())
            loads = [threads.submit(pipeline.load, CHATS, HOURS) for _ in range(2)]
            wait_until_held_up(writer, 2)
        outcomes = [load.result(PATIENCE) for load in loads]

    assert all_loaded(outcomes)
    account, held = expected(WORLD, NOW, first=FIRST, last=LAST), stored(database_url)
    assert (held.chats, held.messages, held.agents) == (account.chats, account.messages, account.agents)
    counts = [hour["chats"] for outcome in outcomes for hour in outcome.counts.values() if "chats" in hour]
    assert sum(count.inserted for count in counts) == sum(count.unchanged for count in counts) == len(account.chats)
    assert sum(count.updated + count.older for count in counts) == 0


@pytest.mark.parametrize("order", ["backfill first", "hourly first", "at once"])
def test_what_was_read_later_wins_in_whatever_order_a_backfill_and_an_hourly_load_write(
    order: str, database_url: str
) -> None:
    later = NOW + THREE_WEEKS
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        both, second = HOURS[:48], HOURS[24:48]
        backfill = pipeline.load(CHATS, both, load=False).sync_id, both
        pipeline.simulator.clock.set(later)
        hourly = pipeline.load(CHATS, second, load=False).sync_id, second

        if order == "at once":
            with ThreadPoolExecutor(2) as threads:
                with holding(database_url) as writer:
                    lock_day(writer, CHATS, (FIRST + DAY).isoformat())
                    loads = [threads.submit(load_pages_of, pipeline, *read) for read in (hourly, backfill)]
                    wait_until_held_up(writer, 2)
                for load in loads:
                    load.result(PATIENCE)
        else:
            for read in (backfill, hourly) if order == "backfill first" else (hourly, backfill):
                load_pages_of(pipeline, *read)

    held = stored(database_url)
    early = expected(WORLD, NOW, first=FIRST, last=FIRST)
    late = expected(WORLD, later, first=FIRST + DAY, last=FIRST + DAY)
    assert late.chats != expected(WORLD, NOW, first=FIRST + DAY, last=FIRST + DAY).chats
    assert held.chats == early.chats | late.chats
    assert held.messages == early.messages | late.messages
