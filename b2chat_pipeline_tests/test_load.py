"""After a load the tables hold what the account holds, and go on doing so as the account moves."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from b2chat_pipeline.b2chat.contract import CHATS, CONTACTS
from b2chat_pipeline.ingest.sync import NothingStoredError
from b2chat_pipeline.simulator import Fault, World, mutated_records, vanished_record
from b2chat_pipeline.simulator.expectation import Expectation, expected
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.windows import Window
from b2chat_pipeline_tests.loading_support import (
    all_loaded,
    business_rows,
    hours_between,
    load_pages_of,
    row_versions,
    rows,
    running_pipeline,
    stored,
)

FIRST, LAST = date(2025, 3, 3), date(2025, 3, 12)
# Wednesday of the second week, 13:00 in Bogotá.
NOW = datetime(2025, 3, 12, 18, tzinfo=UTC)
BOGOTA = ZoneInfo("America/Bogota")
WORLD = World(first_day=FIRST, zone=BOGOTA, chats_per_day=32)
SMALL = World(first_day=FIRST, zone=BOGOTA, chats_per_day=12)
THREE_WEEKS = timedelta(days=21)
TABLES = "messages, chats, contacts, agents, departments"


def check_tables(url: str, account: Expectation) -> None:
    held = stored(url)
    assert held.departments == account.departments
    assert held.agents == account.agents
    assert held.contacts == account.contacts
    assert held.chats == account.chats
    assert held.messages == account.messages


def test_every_column_is_what_the_account_holds_and_follows_it_three_weeks_on(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        before = expected(WORLD, NOW, first=FIRST, last=LAST)
        assert all_loaded(pipeline.load_account(FIRST, LAST))
        check_tables(database_url, before)

        pipeline.simulator.clock.advance(THREE_WEEKS)
        after = expected(WORLD, NOW + THREE_WEEKS, first=FIRST, last=LAST)
        assert all_loaded(pipeline.load_account(FIRST, LAST))
        check_tables(database_url, after)

    moved = [(before.chats[key], after.chats[key]) for key in before.chats]
    assert {"status", "closed_at", "tags", "response_at", "last_modified_at", "duration"} <= {
        name for old, new in moved for name in vars(old) if getattr(old, name) != getattr(new, name)
    }
    assert any(before.messages[key] != after.messages[key] for key in before.messages)
    assert any(before.contacts[key] != after.contacts[key] for key in before.contacts)


@pytest.mark.any_postgres
def test_a_clock_that_jumps_an_hour_back_and_forth_loses_nothing_and_brings_nothing_old_back(database_url: str) -> None:
    with running_pipeline(database_url, SMALL, now=NOW) as pipeline:
        assert all_loaded(pipeline.load_account(FIRST, LAST))
        pipeline.simulator.clock.advance(-timedelta(hours=1))
        assert all_loaded(pipeline.load_account(FIRST, LAST))
        check_tables(database_url, expected(SMALL, NOW, first=FIRST, last=LAST))

        pipeline.simulator.clock.advance(timedelta(hours=2))
        assert all_loaded(pipeline.load_account(FIRST, LAST))
        check_tables(database_url, expected(SMALL, NOW + timedelta(hours=1), first=FIRST, last=LAST))


def test_a_chat_that_changed_counts_its_versions_and_one_that_did_not_keeps_the_first(database_url: str) -> None:
    with running_pipeline(database_url, SMALL, now=NOW) as pipeline:
        pipeline.load_days(FIRST, FIRST)
        first = expected(SMALL, NOW, first=FIRST, last=FIRST)
        pipeline.simulator.clock.advance(THREE_WEEKS)
        pipeline.load_days(FIRST, FIRST)
        second = expected(SMALL, NOW + THREE_WEEKS, first=FIRST, last=FIRST)
    with connect(database_url, purpose="compare") as connection:
        versions: dict[str, int] = dict(connection.execute("select b2chat_id, sync_version from chats").fetchall())

    told = {key: (first.chats[key], first.messages[key]) for key in first.chats}
    again = {key: (second.chats[key], second.messages[key]) for key in second.chats}
    assert versions == {key: 1 if told[key] == again[key] else 2 for key in told}
    assert set(versions.values()) == {1, 2}


@pytest.mark.parametrize(
    ("zone", "edge", "hours"),
    [
        ("America/New_York", date(2025, 3, 9), 23),
        ("America/New_York", date(2025, 11, 2), 25),
        ("Europe/Madrid", date(2025, 3, 30), 23),
        ("Europe/Madrid", date(2025, 10, 26), 25),
    ],
)
def test_days_on_which_clocks_change_are_loaded_whole(zone: str, edge: date, hours: int, database_url: str) -> None:
    first, last = edge - timedelta(days=1), edge + timedelta(days=1)
    world = World(first_day=first, zone=ZoneInfo(zone), chats_per_day=60, weekly_shape=(1.0,) * 7)
    now = datetime(edge.year, edge.month, edge.day, 12, tzinfo=UTC) + timedelta(days=3)
    with running_pipeline(database_url, world, now=now) as pipeline:
        day = hours_between(pipeline.clock, edge, edge, until=now)
        assert all_loaded(pipeline.load_account(first, last))
    with connect(database_url, purpose="compare") as connection:
        shifted = rows(connection, "select b2chat_id from chats where 'created_at nonexistent' = any (time_flags)")

    check_tables(database_url, expected(world, now, first=first, last=last))
    assert len(day) == hours
    assert shifted == []


def test_a_second_load_of_the_same_hours_writes_no_row(database_url: str) -> None:
    with running_pipeline(database_url, SMALL, now=NOW) as pipeline:
        pipeline.load_account(FIRST, LAST)
        before = row_versions(database_url)

        chats, contacts = pipeline.load_account(FIRST, LAST)

    assert row_versions(database_url) == before
    for hour in (*chats.counts.values(), *contacts.counts.values()):
        assert all(counts.inserted == counts.updated == 0 for counts in hour.values())


def test_an_empty_answer_for_a_full_window_changes_nothing_and_reports_0(database_url: str) -> None:
    with running_pipeline(database_url, SMALL, now=NOW) as pipeline:
        pipeline.load_account(FIRST, LAST)
        before = row_versions(database_url)
        for path in (CHATS, CONTACTS):
            none = Fault(kind="total", value=0, times=None, path=path)
            pipeline.simulator.faults.add(mutated_records(lambda _: None, path=path), none)

        outcomes = pipeline.load_account(FIRST, LAST)

    assert all_loaded(outcomes)
    assert row_versions(database_url) == before
    assert all(set(outcome.told.values()) == {0} for outcome in outcomes)
    assert len(outcomes[0].told) == 9 * 24 + 13


def test_stored_pages_load_again_when_the_source_is_gone(database_url: str) -> None:
    with running_pipeline(database_url, SMALL, now=NOW) as pipeline:
        hours = hours_between(pipeline.clock, FIRST, LAST, until=NOW)
        pipeline.load_days(FIRST, LAST)
        before = business_rows(database_url)
        with connect(database_url, purpose="empty") as connection:
            connection.execute(f"truncate {TABLES} cascade".encode())
        pipeline.simulator.faults.add(Fault(kind="reset", path="*", times=None))
        asked = len(pipeline.simulator.requests)

        outcomes = [pipeline.load(endpoint, hours, read=False) for endpoint in (CHATS, CONTACTS)]

        assert len(pipeline.simulator.requests) == asked
    assert all_loaded(outcomes)
    assert business_rows(database_url) == before


def test_hours_that_were_never_read_cannot_be_loaded_from_stored_pages(database_url: str) -> None:
    with running_pipeline(database_url, SMALL, now=NOW) as pipeline:
        read, never = (hours_between(pipeline.clock, day, day, until=NOW) for day in (FIRST, LAST))
        pipeline.load(CHATS, read)

        outcome = pipeline.load(CHATS, [*read, *never], read=False)

    assert outcome.status == "partial"
    assert outcome.failed.keys() == {hour.start for hour in never}
    assert {type(error) for error in outcome.failed.values()} == {NothingStoredError}


def test_the_evidence_of_a_failed_read_is_no_obstacle_to_loading_the_days_before_it(database_url: str) -> None:
    many = World(first_day=FIRST, zone=BOGOTA, chats_per_day=60)
    with running_pipeline(database_url, many, now=NOW) as pipeline:
        hours = hours_between(pipeline.clock, FIRST, LAST, until=NOW)
        pipeline.simulator.faults.add(Fault(kind="html", after=1))

        broken = pipeline.load(CHATS, hours)
        again = pipeline.load(
            CHATS, sorted(Window(start, start + timedelta(hours=1)) for start in broken.told), read=False
        )

    assert broken.status == "partial"
    assert broken.told
    assert again.status == "success"
    assert {error.__class__.__name__ for error in broken.failed.values()} == {"ContractError"}


def test_agents_belong_to_the_department_that_their_newest_chat_was_last_told_with(database_url: str) -> None:
    with running_pipeline(database_url, SMALL, now=NOW) as pipeline:
        hours = hours_between(pipeline.clock, FIRST, FIRST, until=NOW)
        pipeline.simulator.faults.add(mutated_records(lambda chat: chat | {"department": "Before"}, times=1))
        early = pipeline.load(CHATS, hours)
        pipeline.simulator.faults.add(mutated_records(lambda chat: chat | {"department": "After"}))
        pipeline.simulator.clock.advance(timedelta(minutes=1))
        pipeline.load(CHATS, hours)
        told = stored(database_url).agents

        load_pages_of(pipeline, early.sync_id, hours)

    assert {agent.department for agent in told.values()} == {"After"}
    assert stored(database_url).agents == told


def test_a_page_read_earlier_but_loaded_later_changes_nothing_and_inserts_what_is_missing(database_url: str) -> None:
    vanished = next(iter(expected(SMALL, NOW, first=FIRST, last=FIRST).chats))
    with running_pipeline(database_url, SMALL, now=NOW) as pipeline:
        hours = hours_between(pipeline.clock, FIRST, FIRST, until=NOW)
        early = pipeline.load(CHATS, hours, load=False)
        pipeline.simulator.clock.advance(THREE_WEEKS)
        pipeline.simulator.faults.add(vanished_record(vanished))
        pipeline.load(CHATS, hours)
        before, newest = row_versions(database_url), stored(database_url)

        became = load_pages_of(pipeline, early.sync_id, hours)

    after, held = row_versions(database_url), stored(database_url)
    assert held.chats.keys() - newest.chats.keys() == {vanished}
    assert all(held.chats[key] == newest.chats[key] for key in newest.chats)
    assert all(held.messages[key] == newest.messages[key] for key in newest.messages)
    assert all(version in after[table] for table in ("chats", "messages") for version in before[table])
    assert (became["chats inserted"], became["chats updated"]) == (1, 0)
    assert became["chats older"] > 0
