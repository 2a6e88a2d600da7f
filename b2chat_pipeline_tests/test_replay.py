"""Tables rebuilt from the stored pages equal the live ones; whatever differs is named, and nothing live is touched."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from b2chat_pipeline.b2chat.contract import CHATS, CONTACTS
from b2chat_pipeline.ingest.replay import NotLoadedError, PagesGoneError, Place, Replayed, replay
from b2chat_pipeline.simulator import World, mutated_records
from b2chat_pipeline.simulator.expectation import expected
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.warehouse.side_schema import SIDE, ReplayRunningError, hold_side_schema
from b2chat_pipeline.windows import Window
from b2chat_pipeline_tests.command_support import Home, home_in
from b2chat_pipeline_tests.dagster_support import PROJECT, account_environment
from b2chat_pipeline_tests.loading_support import (
    Pipeline,
    all_loaded,
    business_rows,
    hours_between,
    rows,
    running_pipeline,
    stored,
)

FIRST, LAST = date(2025, 3, 3), date(2025, 3, 6)
# The last day is over.
NOW = datetime(2025, 3, 7, 6, tzinfo=UTC)
WORLD = World(first_day=FIRST, zone=ZoneInfo("America/Bogota"), chats_per_day=25, contacts=60)
TABLES = ("departments", "agents", "contacts", "chats", "messages")


@pytest.fixture
def pipeline(database_url: str) -> Iterator[Pipeline]:
    with running_pipeline(database_url, WORLD, now=NOW) as running:
        yield running


@pytest.fixture
def loaded(pipeline: Pipeline) -> Pipeline:
    assert all_loaded(pipeline.load_days(FIRST, LAST))
    return pipeline


def rebuild(pipeline: Pipeline, first: date = FIRST, last: date = LAST) -> Replayed:
    window = Window(pipeline.clock.day_window(first).start, pipeline.clock.day_window(last).end)
    with connect(pipeline.url, purpose="compare") as live, connect(pipeline.url, purpose="replay") as side:
        return replay(window, Place(live, side, pipeline.clock, lambda: datetime.now(UTC)), lambda _: lambda _: None)


def found(replayed: Replayed) -> list[tuple[str, str, str, list[str]]]:
    return [tuple(difference) for table in replayed.tables for difference in table.differences]  # type: ignore[misc]


def compared(replayed: Replayed) -> dict[str, int]:
    return {table.table: table.rows for table in replayed.tables}


def change(pipeline: Pipeline, statement: str) -> Any:  # noqa: ANN401 - what a statement returns
    with connect(pipeline.url, purpose="tamper") as connection:
        row = connection.execute(statement.encode()).fetchone()
    return row and row[0]


@contextmanager
def side_as_live(url: str) -> Iterator[str]:
    """An address under which the rebuilt tables are the ones that a query without a schema finds."""
    yield f"{url}&options=-csearch_path%3D{SIDE}" if "?" in url else f"{url}?options=-csearch_path%3D{SIDE}"


def everything(url: str) -> dict[str, list[dict[str, object]]]:
    """Where each row of every live table lies, and which transaction wrote it."""
    with connect(url, purpose="compare") as connection:
        names = connection.execute(
            "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname in ('public', 'ops')"
        ).fetchall()
        return {
            name: rows(connection, f"select ctid::text, xmin::text from {name} order by 1")  # noqa: S608
            for (name,) in names
        }


def test_a_loaded_window_is_rebuilt_equal_from_its_pages_alone(loaded: Pipeline) -> None:
    asked = len(loaded.simulator.requests)
    account = expected(WORLD, NOW, first=FIRST, last=LAST)

    replayed = rebuild(loaded)

    assert found(replayed) == []
    assert compared(replayed)["chats"] == len(account.chats)
    assert compared(replayed)["messages"] == sum(map(len, account.messages.values()))
    assert len(loaded.simulator.requests) == asked
    assert (replayed.hours, replayed.reads) == (96, 2)


def test_the_live_tables_and_the_books_are_not_written(loaded: Pipeline) -> None:
    before = everything(loaded.url)

    rebuild(loaded)

    assert everything(loaded.url) == before
    assert before["public.messages"]
    assert before["ops.hour_loads"]
