"""Wherever a load is killed, the next run makes the tables what they would be without the kill.

A process kills itself before an exchange with PostgreSQL, or right after a COMMIT: so between any two statements, and
at every boundary of a page. `make crashes` tries every such moment of a load; the suite those that differ most.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import cast
from zoneinfo import ZoneInfo

import msgspec
import pytest

from b2chat_pipeline.b2chat.contract import CHATS, CONTACTS
from b2chat_pipeline.simulator import World, mutated_records
from b2chat_pipeline.simulator.expectation import expected
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.windows import AccountClock
from b2chat_pipeline_tests.crash_support import (
    RUN_ID,
    Exchange,
    Moment,
    Work,
    counted,
    first_transaction,
    kill,
    moments,
    work_of,
)
from b2chat_pipeline_tests.loading_support import (
    Pipeline,
    all_loaded,
    business_rows,
    hours_between,
    row_versions,
    rows,
    running_pipeline,
    stored,
)
from b2chat_pipeline_tests.postgres import PostgresServer

pytestmark = pytest.mark.any_postgres

Rows = dict[str, list[dict[str, object]]]

FIRST, LAST = date(2025, 3, 3), date(2025, 3, 4)
# Noon in Bogotá: the first day is over. Ten days on, its chats have moved, and the second day is new.
EARLY = datetime(2025, 3, 4, 17, tzinfo=UTC)
LATE = EARLY + timedelta(days=10)
FLAT = (1.0,) * 7
CLOCK = AccountClock(ZoneInfo("America/Bogota"))
SMALL = World(first_day=FIRST, zone=CLOCK.zone, chats_per_day=6, messages_per_chat=3, contacts=8, weekly_shape=FLAT)
# Three pages, with several chats on each day.
PAGED = World(first_day=FIRST, zone=CLOCK.zone, chats_per_day=260, messages_per_chat=1, contacts=20, weekly_shape=FLAT)
# `make crashes`.
EVERY_MOMENT = "B2CHAT_TEST_EVERY_MOMENT" in os.environ

# Tests that the moments are dealt out to, so that both cores have some.
PARTS = 4
HOURS = hours_between(CLOCK, FIRST, LAST, until=LATE)
# Where the last page of both days begins, and how far the pages are apart.
LAST_OFFSET, STEP = 398, 199

# What else must be the same, but for the times and syncs that tell of the kill.
BESIDE = {
    "versions": "select id, sync_version from chats order by id",
    "history": "select chat_id, field, old, new from ops.chat_history order by 1, 2, 3, 4",
    "quarantine": "select entity, record_key, reason, json_path, raw_record::text from ops.quarantine order by 1, 2, 3",
    "drift": "select endpoint, path, kind, detail from ops.contract_drift order by 1, 2, 3, 4",
    "absences": "select chat_id from ops.chat_absences order by 1",
    "hours": "select endpoint, hour_start, records, applied_read_at is null as due from ops.window_reads order by 1, 2",
    "watermarks": "select entity_type, last_sync_timestamp from sync_states order by 1",
}


@dataclass(frozen=True)
class Account:
    """An account of which the first day has been loaded, and what a load of both days without a kill makes of it."""

    early: Pipeline
    server: PostgresServer
    before: Rows
    after: Rows
    beside: Rows

    @contextmanager
    def pipeline(self) -> Iterator[Pipeline]:
        """A copy of its tables, before the load."""
        self.early.simulator.clock.set(LATE)
        with self.server.copy_of(self.early.url) as url:
            yield Pipeline(self.early.simulator, url, self.early.clock)


def work(pipeline: Pipeline) -> Work:
    return work_of(pipeline, (CHATS, HOURS), (CONTACTS, HOURS))


def beside(url: str) -> Rows:
    with connect(url, purpose="compare") as connection:
        return {name: rows(connection, query) for name, query in BESIDE.items()}


def chats_of(day: date) -> list[str]:
    """The keys of the chats that were created on a day."""
    return list(expected(SMALL, LATE, first=day, last=day).chats)


ODD = {chats_of(day)[0] for day in (FIRST, LAST)}


def spoiled(chat: dict[str, object]) -> dict[str, object]:
    """An account that departs from the contract: a field unknown to us everywhere, and two chats that do not fit."""
    odd = {"status": 7} if chat["chat_id"] in ODD else {}
    return chat | {"mood": "sunny"} | odd


@pytest.fixture(scope="module")
def account(postgres_server: PostgresServer) -> Iterator[Account]:
    with (
        postgres_server.database(migrated=True) as before,
        running_pipeline(before, SMALL, now=EARLY) as pipeline,
    ):
        pipeline.simulator.faults.add(mutated_records(spoiled))
        assert all_loaded(pipeline.load_days(FIRST, FIRST))
        with postgres_server.copy_of(before) as url:
            pipeline.simulator.clock.set(LATE + timedelta(seconds=1))
            assert all_loaded(Pipeline(pipeline.simulator, url, pipeline.clock).load_days(FIRST, LAST))
            assert_is_the_account(url)
            after, besides = business_rows(url), beside(url)
        yield Account(pipeline, postgres_server, business_rows(before), after, besides)


def assert_is_the_account(url: str) -> None:
    """The tables hold what the account does, without the chats that do not fit."""
    held, told = stored(url), expected(SMALL, LATE + timedelta(seconds=1), first=FIRST, last=LAST)
    assert held.chats == {key: chat for key, chat in told.chats.items() if key not in ODD}
    assert held.messages == {key: messages for key, messages in told.messages.items() if key not in ODD}
    assert held.contacts.keys() <= told.contacts.keys()


def of_day(held: Rows, day: date) -> Rows:
    """The chats that were created on a day, and their messages."""
    window = CLOCK.day_window(day)
    chats = [row for row in held["chats"] if cast("datetime", row["created_at"]) in window]
    ids = {row["id"] for row in chats}
    return {"chats": chats, "messages": [row for row in held["messages"] if row["chat_id"] in ids]}


def assert_survives(account: Account, moment: Moment) -> None:
    """Kill a load, run it again, and compare with a load that nothing happened to."""
    with account.pipeline() as pipeline:
        kill(work(pipeline), moment)
        left, versions = business_rows(pipeline.url), row_versions(pipeline.url)
        pipeline.simulator.clock.advance(timedelta(seconds=1))

        assert all_loaded(pipeline.load_days(FIRST, LAST)), moment

        again = row_versions(pipeline.url)
        for day in (FIRST, LAST):
            assert of_day(left, day) in (of_day(account.before, day), of_day(account.after, day)), (moment, day)
            if of_day(left, day) == of_day(account.after, day):
                assert versions_of(versions, of_day(left, day)) == versions_of(again, of_day(left, day)), (moment, day)
        if left == account.after:
            assert again == versions, moment
        assert business_rows(pipeline.url) == account.after, moment
        assert beside(pipeline.url) == account.beside, moment
        assert_closed_books(pipeline.url, moment)


def versions_of(versions: Rows, held: Rows) -> Rows:
    """The versions of some rows."""
    ids = {table: {row["id"] for row in rows_of} for table, rows_of in held.items()}
    return {table: [row for row in versions[table] if row["id"] in ids[table]] for table in held}


def assert_closed_books(url: str, moment: Moment) -> None:
    with connect(url, purpose="compare") as connection:
        logs = rows(connection, "select metadata ->> 'run_id' as run, status, error_message from sync_logs")
        states = rows(connection, "select distinct sync_status from sync_states")
        ledger = rows(
            connection,
            "select * from ops.ledger where received <>"
            " inserted + updated + unchanged + repeated + older + quarantined + outside",
        )
    dead = {(log["status"], log["error_message"]) for log in logs if log["run"] == RUN_ID}
    assert dead <= {("error", "its process died"), ("success", None)}, moment
    assert {log["status"] for log in logs if log["run"] != RUN_ID} == {"success"}, moment
    assert states == [{"sync_status": "idle"}], moment
    assert ledger == [], moment


def tried(exchanges: Sequence[Exchange]) -> list[Moment]:
    """All moments of a load; without `make crashes`, those of a day with news of every kind, and around each commit."""
    if EVERY_MOMENT:
        return moments(exchanges)
    day = first_transaction(exchanges, "load")
    return moments(day) + moments(it for it in exchanges if it.commits and it.purpose == "books")


@pytest.mark.parametrize("part", range(PARTS))
def test_a_load_killed_between_any_two_statements_is_made_whole_by_the_next(part: int, account: Account) -> None:
    with account.pipeline() as pipeline:
        exchanges = counted(work(pipeline))

    for moment in tried(exchanges)[part::PARTS]:
        assert_survives(account, moment)


@pytest.fixture(scope="module")
def page_moments(postgres_server: PostgresServer) -> list[Moment]:
    """Before and after each statement of the reading connection."""
    with postgres_server.database(migrated=True) as url, running_pipeline(url, PAGED, now=LATE) as pipeline:
        exchanges = counted(work_of(pipeline, (CHATS, HOURS)))
    return moments(it for it in exchanges if it.purpose == "read")


def test_a_read_killed_at_any_boundary_of_a_page_asks_for_no_page_again(
    page_moments: list[Moment], postgres_server: PostgresServer
) -> None:
    for moment in page_moments:
        with postgres_server.database(migrated=True) as url, running_pipeline(url, PAGED, now=LATE) as pipeline:
            kill(work_of(pipeline, (CHATS, HOURS)), moment)
            kept = checkpoint(url)
            asked = len(pipeline.simulator.requests)

            again = pipeline.load(CHATS, HOURS)

            offsets = [
                int(str(request.params["offset"]))
                for request in pipeline.simulator.requests[asked:]
                if request.path == CHATS
            ]
            assert again.status == "success", moment
            assert offsets == list(range(kept, max(kept, LAST_OFFSET) + 1, STEP)), moment
            held, told = stored(url), expected(PAGED, LATE, first=FIRST, last=LAST)
            assert (held.chats, held.messages) == (told.chats, told.messages), moment
            assert pages_stored_twice(url) == [], moment
            assert_closed_books(url, moment)


def pages_stored_twice(url: str) -> list[dict[str, object]]:
    with connect(url, purpose="compare") as connection:
        return rows(
            connection,
            "select sync_id, request_params ->> 'offset' from api_response_logs group by 1, 2 having count(*) > 1",
        )


def checkpoint(url: str) -> int:
    """The offset at which the read goes on that has been cut off; 0 where there is none."""
    with connect(url, purpose="compare") as connection:
        found = rows(connection, "select checkpoint from sync_checkpoints where status = 'active'")
    return msgspec.json.decode(str(found[0]["checkpoint"]))["position"]["offset"] if found else 0
