"""A source that moves while it is read, from the first page to the tables: nothing is skipped, and after the next read
of it the tables are as if it had held still.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from b2chat_pipeline.b2chat.contract import CHATS
from b2chat_pipeline.b2chat.errors import ContractError, IncompleteListError
from b2chat_pipeline.ingest.sync import Order, Outcome, run_sync
from b2chat_pipeline.simulator import Clock, Fault, Simulator, World, dropped_record, inserted_record, mutated_records
from b2chat_pipeline.simulator.expectation import expected
from b2chat_pipeline.warehouse.accounts import SYSTEM_USER
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.windows import AccountClock
from b2chat_pipeline_tests.account_reference import ZONE, CompleteRead, Record, reference_tables
from b2chat_pipeline_tests.another_server import Account, other_server
from b2chat_pipeline_tests.loading_support import Pipeline, all_loaded, hours_between, rows, running_pipeline, stored
from b2chat_pipeline_tests.test_state_machine import Laboratory, load_hours

pytestmark = pytest.mark.any_postgres

DAY = date(2025, 3, 3)
# The day is over and read oldest first, or running and read newest first.
OVER, RUNNING = datetime(2025, 3, 6, 18, tzinfo=UTC), datetime(2025, 3, 4, 4, 30, tzinfo=UTC)
WORLD = World(first_day=DAY, zone=ZoneInfo("America/Bogota"), chats_per_day=500, messages_per_chat=1, contacts=20)
# Four days that are over, on several pages.
LAST, LATER = date(2025, 3, 6), datetime(2025, 3, 8, 18, tzinfo=UTC)
LONG_WORLD = World(first_day=DAY, zone=ZONE, chats_per_day=60, messages_per_chat=1, contacts=20)
ACCOUNT_OF_DAY = expected(LONG_WORLD, LATER, first=DAY, last=DAY)
LONG_HOURS = hours_between(AccountClock(ZONE), DAY, LAST, until=LATER)
Move = Callable[["MovingChats"], None]


class MovingChats(list[Record]):
    """Chats by the minute of their creation, of which some come and go whenever a page is asked for."""

    moves: Sequence[Move] = ()

    def __iter__(self) -> Iterator[Record]:
        if self.moves:
            move, *self.moves = self.moves
            move(self)
        return super().__iter__()

    def insert_at(self, minute: int) -> None:
        if all(chat["created_at"] != _clock(minute) for chat in super().__iter__()):
            self.append(_chat(minute))

    def remove_at(self, place: float) -> None:
        if self:
            del self[int(place * len(self))]

    def move(self, place: float, minute: int) -> None:
        """One goes and another comes, so that the total stays the same."""
        self.remove_at(place)
        self.insert_at(minute)


MINUTES, PLACES = st.integers(0, 22 * 60), st.floats(0, 1, exclude_max=True)
MOVES: st.SearchStrategy[Move] = st.one_of(
    st.just(lambda _: None),
    MINUTES.map(lambda minute: lambda chats: chats.insert_at(minute)),
    PLACES.map(lambda place: lambda chats: chats.remove_at(place)),
    st.tuples(PLACES, MINUTES).map(lambda it: lambda chats: chats.move(*it)),
)


def _clock(minute: int) -> str:
    return f"{DAY} {minute // 60:02}:{minute % 60:02}:00"


def _chat(minute: int) -> Record:
    message = {"body": "hello", "broadcasted": None, "created_at": _clock(minute), "incoming": True, "type": "TEXT"}
    return {
        "chat_id": f"chat {minute}", "created_at": _clock(minute), "opened_at": None, "picked_up_at": None,
        "responded_at": None, "closed_at": None, "status": "OPENED", "provider": "WHATSAPP", "messages": [message],
        "agent": {"username": f"agent {minute % 3}", "name": "A", "email": "a@example.test"}, "department": "Sales",
        "contact": {"id": minute % 5, "name": "B", "email": "b@example.test"},
    }  # fmt: skip


@pytest.fixture
def laboratory(database_url: str) -> Iterator[Laboratory]:
    account = Account(chats=MovingChats(), contacts=[], counts_last_day=True, largest_page=6)
    with other_server(account) as server:
        yield Laboratory(database_url, server)


@given(minutes=st.sets(MINUTES, max_size=24), moves=st.lists(MOVES, max_size=12), now=st.sampled_from([OVER, RUNNING]))
@settings(max_examples=12, suppress_health_check=list(HealthCheck), print_blob=False)
def test_rows_that_come_go_and_move_between_pages_hide_no_other_and_the_next_read_finds_everything(
    laboratory: Laboratory, minutes: set[int], moves: list[Move], now: datetime
) -> None:
    laboratory.begin(now=now)
    chats = MovingChats(map(_chat, sorted(minutes)))
    laboratory.server.account.chats = chats
    throughout = {chat["chat_id"] for chat in chats}
    hours = hours_between(AccountClock(ZONE), DAY, DAY, until=now)

    chats.moves = moves
    load_hours(laboratory, hours)
    told = laboratory.tables()
    chats.moves = ()
    load_hours(laboratory, hours)

    there = {chat["chat_id"]: chat for chat in chats if chat["created_at"] < _clock(23 * 60)}
    still = CompleteRead(frozenset(hour.start for hour in hours), [(now, list(there.values()))])
    wanted, held = reference_tables([still]), laboratory.tables()
    assert told["chats"].keys() >= throughout & there.keys()
    assert {key: row for key, row in held["chats"].items() if key in there} == wanted["chats"]
    assert {key: row for key, row in held["messages"].items() if key[0] in there} == wanted["messages"]
    assert held["agents"].keys() >= wanted["agents"].keys()


class RestlessChats(list[Record]):
    """Chats that change places with those of the same minute whenever a page is asked for."""

    random = Random(1)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.random.sample(list(super().__iter__()), len(self)))


def read_day(laboratory: Laboratory) -> Outcome:
    """One run over the day, a minute after the one before."""
    laboratory.now += timedelta(minutes=1)
    hours = hours_between(AccountClock(ZONE), DAY, DAY, until=OVER)
    order = Order(CHATS, hours, read=True, load=True, user_id=SYSTEM_USER, operation="manual", run_id="walk")
    return run_sync(order, laboratory.tools())


@given(groups=st.lists(st.integers(1, 4), min_size=4, max_size=8), seed=st.integers(0, 10**6))
@settings(max_examples=4, suppress_health_check=list(HealthCheck), print_blob=False)
def test_chats_that_change_places_whenever_they_are_listed_are_all_loaded_or_their_hours_fail_and_none_is_deleted(
    laboratory: Laboratory, groups: list[int], seed: int
) -> None:
    laboratory.begin(now=OVER)
    chats = RestlessChats(
        _chat(60 * hour) | {"chat_id": f"chat {hour} {place}"}
        for hour, size in enumerate(groups)
        for place in range(size)
    )
    chats.random = Random(seed)
    laboratory.server.account.chats = chats
    keys = {chat["chat_id"] for chat in chats}

    for _ in range(2):
        outcome = read_day(laboratory)
        held = laboratory.tables()["chats"]
        if outcome.status == "success":
            assert held.keys() == keys
        assert {type(error) for error in outcome.failed.values()} <= {IncompleteListError}
        assert not any(row["is_deleted"] for row in held.values())


def test_a_list_that_never_tells_all_it_holds_fails_its_hours_with_how_many_are_missing(
    laboratory: Laboratory,
) -> None:
    laboratory.begin(now=OVER)
    laboratory.server.account.chats = RestlessChats(_chat(60) | {"chat_id": f"chat {place}"} for place in range(90))

    outcome = read_day(laboratory)

    (error,) = set(outcome.failed.values())
    assert re.fullmatch(
        r"GET /chats/export \(window 2025-03-03 \.\. 2025-03-04, offset \d+, limit 200\): 3 walks over the list, which"
        r" did not hold still, told [78]\d of its 90 records; run this window again in smaller parts, since a list that"
        r" fits on one page is right in any order, and ask B2Chat support if it lasts\.",
        str(error),
    )
    assert outcome.told == {}
    with laboratory.connection() as connection:
        assert connection.execute("select hour_start from ops.window_reads").fetchall() == []


def test_the_last_walk_over_a_list_that_moved_tells_of_no_chat_that_it_is_absent(laboratory: Laboratory) -> None:
    laboratory.begin(now=OVER)
    chats = MovingChats(_chat(minute) for minute in range(10, 240, 20))
    laboratory.server.account.chats = chats
    read_day(laboratory)
    vanished = chats.pop(0)["chat_id"]
    # The second page of each of the first two walks is another than it was.
    chats.moves = [_stay, lambda it: it.insert_at(1), _stay, lambda it: it.remove_at(0.999)]

    restless = read_day(laboratory)
    absences = _absences(laboratory)
    chats.moves = ()
    for _ in range(2):
        read_day(laboratory)

    assert restless.status == "success"
    assert (chats.moves, absences) == ((), [])
    # The second chat came and went during the restless read.
    assert {key for key, row in laboratory.tables()["chats"].items() if row["is_deleted"]} == {vanished, "chat 1"}


def _stay(_: MovingChats) -> None:
    pass


def _absences(laboratory: Laboratory) -> list[tuple[str]]:
    with laboratory.connection() as connection:
        return connection.execute("select chat_id from ops.chat_absences").fetchall()


def holds_all(url: str, now: datetime) -> bool:
    """Whether the chats, their messages and agents are all there, and as the account tells them."""
    account, held = expected(WORLD, now, first=DAY, last=DAY), stored(url)
    return (held.chats, held.messages, held.agents) == (account.chats, account.messages, account.agents)


@pytest.mark.parametrize("fault", [dropped_record, inserted_record])
@pytest.mark.parametrize("page", [1, 2])
def test_a_row_less_or_more_before_any_page_is_made_up_for_by_the_next_read(
    fault: Callable[..., Fault], page: int, database_url: str
) -> None:
    with running_pipeline(database_url, WORLD, now=OVER) as pipeline:
        hours = hours_between(pipeline.clock, DAY, DAY, until=OVER)
        pipeline.simulator.faults.add(fault(index=0, after=page))
        assert pipeline.load(CHATS, hours).status == "success"
        pipeline.simulator.faults.clear()
        pipeline.simulator.clock.advance(timedelta(minutes=1))
        assert all_loaded([pipeline.load(CHATS, hours)])

    assert holds_all(database_url, OVER)


@pytest.mark.parametrize("total", [0, 1, 10**9, None, "many"])
def test_a_total_that_lies_hides_nothing(total: Any, database_url: str) -> None:  # noqa: ANN401 - whatever JSON may hold
    with running_pipeline(database_url, WORLD, now=OVER) as pipeline:
        pipeline.simulator.faults.add(Fault(kind="total", value=total, times=None))
        hours = hours_between(pipeline.clock, DAY, DAY, until=OVER)
        assert pipeline.load(CHATS, hours).status == "success"

    assert holds_all(database_url, OVER)


def test_the_same_page_for_ever_fails_with_its_second_telling_and_the_next_read_makes_up_for_it(
    database_url: str,
) -> None:
    with running_pipeline(database_url, WORLD, now=OVER) as pipeline:
        hours = hours_between(pipeline.clock, DAY, DAY, until=OVER)
        pipeline.simulator.faults.add(Fault(kind="same_page", times=None))
        repeated = pipeline.load(CHATS, hours)
        pages = repeated.pages
        pipeline.simulator.faults.clear()
        pipeline.simulator.clock.advance(timedelta(minutes=1))
        assert pipeline.load(CHATS, hours).status == "success"

    assert {type(error) for error in repeated.failed.values()} == {ContractError}
    assert pages <= 4
    assert holds_all(database_url, OVER)


@pytest.fixture
def days_on_many_pages(database_url: str) -> Iterator[Pipeline]:
    """Four days of chats, most of a day on each page, read while the clock goes on."""
    with Simulator(LONG_WORLD, clock=Clock(LATER, speed=1)) as simulator:
        yield Pipeline(simulator, database_url, AccountClock(ZONE))


def test_a_chat_told_after_its_day_was_loaded_says_nothing_of_the_others_of_its_hour(
    days_on_many_pages: Pipeline,
) -> None:
    pipeline, late = days_on_many_pages, next(iter(expected(LONG_WORLD, LATER, first=LAST, last=LAST).chats))
    reads = "select hour_start, records from ops.window_reads where hour_start < '2025-03-06' order by 1"
    pipeline.simulator.faults.add(Fault(kind="page_cap", value=40, times=None))
    assert pipeline.load(CHATS, LONG_HOURS).status == "success"
    with connect(pipeline.url, purpose="compare") as connection:
        before = rows(connection, reads)
        pipeline.simulator.faults.add(
            mutated_records(lambda it: it | {"created_at": _clock(12 * 60)} if it["chat_id"] == late else it)
        )
        outcome = pipeline.load(CHATS, LONG_HOURS)
        absent = rows(connection, "select b2chat_id from chat_absences a join chats c on c.id = a.chat_id")
        after = rows(connection, reads)
    stored_again = pipeline.load(CHATS, LONG_HOURS, read=False)

    assert outcome.status == stored_again.status == "success"
    assert [row for row in absent if row["b2chat_id"] != late] == []
    assert after == before
    noon = datetime(2025, 3, 3, 12, tzinfo=ZONE)
    assert outcome.told[noon] == stored_again.told[noon]
    assert [outcome.told[noon] - 1] == [row["records"] for row in before if row["hour_start"] == noon]


def test_counts_of_a_day_told_twice_add_up_as_they_do_in_the_books(days_on_many_pages: Pipeline) -> None:
    pipeline = days_on_many_pages
    pipeline.simulator.faults.add(Fault(kind="page_cap", value=40, times=None), dropped_record(index=0, after=3))
    outcome = pipeline.load(CHATS, LONG_HOURS)

    with connect(pipeline.url, purpose="compare") as connection:
        ledger = rows(
            connection, "select entity, hour_start, received, inserted, unchanged from ops.ledger where outside = 0"
        )
        (log,) = rows(connection, "select record_count from sync_logs where entity_type = 'chats'")
    assert outcome.total("chats").received > sum(outcome.told.values())
    assert {(row["entity"], row["hour_start"]): row for row in ledger} == {
        (entity, hour): {
            "entity": entity,
            "hour_start": hour,
            **{name: getattr(counts, name) for name in ("received", "inserted", "unchanged")},
        }
        for hour, of_hour in outcome.counts.items()
        for entity, counts in of_hour.items()
    }
    assert outcome.total("chats").received == log["record_count"]


def test_chats_told_late_that_are_tried_hour_by_hour_are_counted_once(days_on_many_pages: Pipeline) -> None:
    pipeline = days_on_many_pages
    early, refused = list(expected(LONG_WORLD, LATER, first=LAST, last=LAST).chats)[:2]
    noon, one = (datetime(2025, 3, 3, hour, tzinfo=ZONE) for hour in (12, 13))
    of_noon = sum(it.created_at.replace(minute=0, second=0) == noon for it in ACCOUNT_OF_DAY.chats.values())
    late = {early: _clock(12 * 60), refused: _clock(13 * 60)}
    with connect(pipeline.url, purpose="compare") as connection:
        connection.execute(f"alter table chats add constraint refused check (b2chat_id <> '{refused}')".encode())
        pipeline.simulator.faults.add(
            Fault(kind="page_cap", value=40, times=None),
            mutated_records(lambda it: it | {"created_at": late.get(it["chat_id"], it["created_at"])}),
        )
        outcome = pipeline.load(CHATS, LONG_HOURS)
        ledger = rows(
            connection, "select hour_start, sum(received) as received from ops.ledger where entity = 'chats' group by 1"
        )

    assert set(outcome.failed) == {one}
    assert {row["hour_start"]: row["received"] for row in ledger}[noon] == of_noon + 1
    assert outcome.counts[noon]["chats"].received == outcome.told[noon] == of_noon + 1
    assert early in stored(pipeline.url).chats
