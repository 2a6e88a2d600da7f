"""What is remembered of chats: when they changed, and when the source stopped telling them."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from b2chat_pipeline.b2chat.contract import CHATS
from b2chat_pipeline.ingest.sync import Outcome
from b2chat_pipeline.simulator import Fault, World, mutated_records, vanished_record
from b2chat_pipeline.simulator.expectation import expected
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline_tests.loading_support import Pipeline, hours_between, load_pages_of, running_pipeline

FIRST = date(2025, 3, 3)
NOW = datetime(2025, 3, 4, 18, tzinfo=UTC)
WORLD = World(first_day=FIRST, zone=ZoneInfo("America/Bogota"), chats_per_day=12)
HOUR = timedelta(hours=1)
GONE = next(iter(expected(WORLD, NOW, first=FIRST, last=FIRST).chats))
STATE = "select is_deleted, deleted_at, deletion_reason, sync_version from chats where b2chat_id = %s"
HISTORY = """
    select h.field, h.old, h.new, h.seen_before, h.seen_at
      from ops.chat_history h join chats c on c.id = h.chat_id where c.b2chat_id = %s order by h.seen_at, h.field
"""


@pytest.fixture
def pipeline(database_url: str) -> Iterator[Pipeline]:
    with running_pipeline(database_url, WORLD, now=NOW) as running:
        yield running


def read_day(pipeline: Pipeline, *, load: bool = True) -> Outcome:
    """A complete read of the first day, an hour after the one before."""
    pipeline.simulator.clock.advance(HOUR)
    hours = hours_between(pipeline.clock, FIRST, FIRST, until=pipeline.simulator.clock.now())
    return pipeline.load(CHATS, hours, load=load)


def load_again(pipeline: Pipeline, outcome: Outcome) -> None:
    load_pages_of(pipeline, outcome.sync_id, hours_between(pipeline.clock, FIRST, FIRST, until=NOW))


def query(pipeline: Pipeline, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with connect(pipeline.url, purpose="compare") as connection:
        return connection.execute(statement.encode(), values).fetchall()


def is_deleted(pipeline: Pipeline) -> bool:
    return bool(query(pipeline, STATE, GONE)[0][0])


def test_a_chat_absent_from_one_read_is_kept_and_from_two_is_soft_deleted(pipeline: Pipeline) -> None:
    read_day(pipeline)
    pipeline.simulator.faults.add(vanished_record(GONE))

    read_day(pipeline)
    after_one = is_deleted(pipeline)
    read_day(pipeline)

    assert not after_one
    assert query(pipeline, STATE, GONE) == [(True, NOW + 3 * HOUR, "absent upstream", 2)]
    assert query(pipeline, "select count(*) from chats where is_deleted") == [(1,)]
    assert query(pipeline, HISTORY, GONE) == [("deleted", "false", "true", NOW + HOUR, NOW + 2 * HOUR)]


def test_a_chat_told_again_is_revived_and_counts_as_updated(pipeline: Pipeline) -> None:
    read_day(pipeline)
    pipeline.simulator.faults.add(vanished_record(GONE))
    read_day(pipeline)
    read_day(pipeline)
    pipeline.simulator.faults.clear()

    outcome = read_day(pipeline)

    assert query(pipeline, STATE, GONE) == [(False, None, None, 3)]
    assert sum(hour["chats"].updated for hour in outcome.counts.values() if "chats" in hour) == 1
    assert query(pipeline, HISTORY, GONE)[-1] == ("deleted", "true", "false", NOW + 3 * HOUR, NOW + 4 * HOUR)
    assert query(pipeline, "select * from ops.chat_absences") == []


def test_absences_with_a_telling_between_them_do_not_add_up(pipeline: Pipeline) -> None:
    read_day(pipeline)
    for _ in range(2):
        pipeline.simulator.faults.add(vanished_record(GONE))
        read_day(pipeline)
        pipeline.simulator.faults.clear()
        read_day(pipeline)

    assert query(pipeline, STATE, GONE) == [(False, None, None, 1)]


def test_loading_one_read_twice_counts_its_absences_once(pipeline: Pipeline) -> None:
    read_day(pipeline)
    pipeline.simulator.faults.add(vanished_record(GONE))
    once = read_day(pipeline)

    load_again(pipeline, once)

    assert not is_deleted(pipeline)


def test_a_chat_that_was_only_told_badly_is_not_absent(pipeline: Pipeline) -> None:
    read_day(pipeline)
    spoilt = mutated_records(lambda chat: chat | {"created_at": 7} if str(chat["chat_id"]) == GONE else chat)
    pipeline.simulator.faults.add(spoilt)

    read_day(pipeline)
    read_day(pipeline)

    assert not is_deleted(pipeline)


def test_a_read_that_ended_early_says_nothing_of_absence(pipeline: Pipeline) -> None:
    read_day(pipeline)

    for _ in range(2):
        pipeline.simulator.faults.add(Fault(kind="empty_body", times=None))
        assert read_day(pipeline).status == "error"
        pipeline.simulator.faults.clear()

    assert query(pipeline, "select * from ops.chat_absences") == []


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (2, 0, 1)])
def test_reads_may_be_loaded_in_any_order(pipeline: Pipeline, order: tuple[int, ...]) -> None:
    read_day(pipeline)
    read_day(pipeline)
    pipeline.simulator.faults.add(vanished_record(GONE))
    lacking = [read_day(pipeline, load=False) for _ in range(2)]
    reads = [*lacking, read_day(pipeline, load=False)]

    for place in order:
        load_again(pipeline, reads[place])

    assert is_deleted(pipeline)
    assert query(pipeline, "select count(*) from ops.chat_absences") == [(3,)]


def test_an_old_page_of_a_chat_that_is_told_still_leaves_no_absence(pipeline: Pipeline) -> None:
    early = read_day(pipeline)
    read_day(pipeline)

    load_again(pipeline, early)

    assert query(pipeline, "select * from ops.chat_absences") == []


def test_a_change_is_bounded_by_the_last_answer_before_it_and_the_first_one_after_it(pipeline: Pipeline) -> None:
    def told_as(status: str, department: str) -> None:
        pipeline.simulator.faults.clear()
        change = {"status": status, "department": department}
        pipeline.simulator.faults.add(mutated_records(lambda chat: chat | change))

    told_as("OPENED", "First line")
    read_day(pipeline)
    read_day(pipeline)
    told_as("PICKED_UP", "Second line")

    read_day(pipeline)
    read_day(pipeline)

    changes = [row for row in query(pipeline, HISTORY, GONE) if row[0] != "agent"]
    departments = dict(query(pipeline, "select id, name from departments"))
    assert [(row[0], row[3], row[4]) for row in changes] == [
        ("department", NOW + 2 * HOUR, NOW + 3 * HOUR),
        ("status", NOW + 2 * HOUR, NOW + 3 * HOUR),
    ]
    assert [departments[row] for row in changes[0][1:3]] == ["First line", "Second line"]
    assert changes[1][1:3] == ("OPENED", "PICKED_UP")


def test_an_unchanged_read_leaves_no_history(pipeline: Pipeline) -> None:
    read_day(pipeline)

    hours = hours_between(pipeline.clock, FIRST, FIRST, until=NOW)
    assert pipeline.load(CHATS, hours).status == "success"

    assert query(pipeline, "select * from ops.chat_history") == []
