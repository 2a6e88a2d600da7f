"""However the hours are cut into windows, in whatever order, however often and beside each other: the same tables."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import pytest

from b2chat_pipeline.b2chat.contract import CHATS, CONTACTS, Endpoint
from b2chat_pipeline.simulator import World
from b2chat_pipeline.simulator.expectation import expected
from b2chat_pipeline.windows import Window
from b2chat_pipeline_tests.loading_support import (
    Pipeline,
    all_loaded,
    business_rows,
    hours_between,
    running_pipeline,
    stored,
)
from b2chat_pipeline_tests.postgres import PostgresServer

FIRST, LAST = date(2025, 3, 3), date(2025, 3, 5)
# 13:00 in Bogotá on the last day.
NOW = datetime(2025, 3, 5, 18, tzinfo=UTC)
TINY = World(first_day=FIRST, zone=ZoneInfo("America/Bogota"), chats_per_day=15, contacts=20)
ENDPOINTS: tuple[Endpoint, ...] = (CHATS, CONTACTS)
Load = tuple[Endpoint, list[Window]]


def tables_after(server: PostgresServer, load: Callable[[Pipeline], None]) -> dict[str, list[dict[str, object]]]:
    """What a fresh database holds after a load."""
    with server.database(migrated=True) as url, running_pipeline(url, TINY, now=NOW) as pipeline:
        load(pipeline)
        return business_rows(url)


def in_one_go(pipeline: Pipeline) -> None:
    assert all_loaded(pipeline.load_days(FIRST, LAST))


def loads_of(random: Random, hours: list[Window]) -> list[Load]:
    """The hours of both sides, cut into windows, some of them twice, all shuffled."""
    loads: list[Load] = []
    for endpoint in ENDPOINTS:
        cuts = sorted({0, len(hours), *(random.randrange(len(hours)) for _ in range(5))})
        loads += [(endpoint, hours[start:end]) for start, end in pairwise(cuts)]
    loads += random.sample(loads, 3)
    random.shuffle(loads)
    return loads


@pytest.mark.parametrize("day", [FIRST, LAST], ids=["a past day", "the running day"])
def test_a_range_equals_its_hours_loaded_one_by_one_row_for_row(day: date, postgres_server: PostgresServer) -> None:
    def hour_by_hour(pipeline: Pipeline) -> None:
        for hour in hours_between(pipeline.clock, day, day, until=NOW):
            assert all_loaded([pipeline.load(endpoint, [hour]) for endpoint in ENDPOINTS])

    def in_a_range(pipeline: Pipeline) -> None:
        assert all_loaded(pipeline.load_days(day, day))

    ranged = tables_after(postgres_server, in_a_range)

    assert tables_after(postgres_server, hour_by_hour) == ranged
    assert len(ranged["chats"]) > 5


@pytest.mark.parametrize("seed", range(4))
def test_any_order_and_repetition_of_windows_gives_the_same_tables(seed: int, postgres_server: PostgresServer) -> None:
    def shuffled(pipeline: Pipeline) -> None:
        for endpoint, hours in loads_of(Random(seed), hours_between(pipeline.clock, FIRST, LAST, until=NOW)):
            assert all_loaded([pipeline.load(endpoint, hours)])

    assert tables_after(postgres_server, shuffled) == tables_after(postgres_server, in_one_go)


@pytest.mark.parametrize("seed", range(2))
def test_whatever_was_loaded_on_the_way_the_last_look_at_the_account_decides(seed: int, database_url: str) -> None:
    random = Random(seed)
    with running_pipeline(database_url, TINY, now=NOW) as pipeline:
        for endpoint, hours in loads_of(random, hours_between(pipeline.clock, FIRST, LAST, until=NOW)):
            pipeline.load(endpoint, hours)
            pipeline.simulator.clock.advance(timedelta(hours=random.randrange(48)))
        now = pipeline.simulator.clock.now()
        assert all_loaded(pipeline.load_account(FIRST, LAST))

    held, account = stored(database_url), expected(TINY, now, first=FIRST, last=LAST)
    assert held == account


def test_two_loads_of_overlapping_hours_beside_each_other_give_the_same_tables(postgres_server: PostgresServer) -> None:
    def side_by_side(pipeline: Pipeline) -> None:
        hours = hours_between(pipeline.clock, FIRST, LAST, until=NOW)
        with ThreadPoolExecutor(4) as threads:
            loads = [
                threads.submit(pipeline.load, endpoint, part)
                for endpoint in ENDPOINTS
                for part in (hours[:40], list(reversed(hours[20:])))
            ]
        assert all_loaded([load.result() for load in loads])

    assert tables_after(postgres_server, side_by_side) == tables_after(postgres_server, in_one_go)
