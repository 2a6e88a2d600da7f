"""Records put aside are tried again: each enters once, says when and how, and what still does not fit stays.

A record or page that is put right in place stands for a mapping that has learned to take it as it was.
"""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from b2chat_pipeline.b2chat.contract import CHATS, CONTACTS
from b2chat_pipeline.ingest.quarantine import ARRIVED, ENTERED, HOUR_LOADED, UNTOLD, Replayed, Workplace, replay_all
from b2chat_pipeline.simulator import World, mutated_records, rewritten_body
from b2chat_pipeline.simulator.expectation import expected
from b2chat_pipeline.warehouse.accounts import SYSTEM_USER
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.warehouse.quarantine import open_groups, open_records
from b2chat_pipeline_tests.loading_support import Pipeline, hours_between, row_versions, rows, running_pipeline, stored

FIRST, LAST = date(2025, 3, 3), date(2025, 3, 10)
NOW = datetime(2025, 3, 12, 18, tzinfo=UTC)
WORLD = World(first_day=FIRST, zone=ZoneInfo("America/Bogota"), chats_per_day=20, contacts=30)
ACCOUNT = expected(WORLD, NOW, first=FIRST, last=FIRST)
ODD = next(key for key, told in ACCOUNT.messages.items() if len(told) > 2)


def odd_status(chat: dict[str, Any]) -> dict[str, Any]:
    return chat | {"status": 7, "was": chat["status"]} if chat["chat_id"] == ODD else chat


def odd_message(chat: dict[str, Any]) -> dict[str, Any]:
    if chat["chat_id"] != ODD:
        return chat
    first, *others = chat["messages"]
    return chat | {"messages": [first | {"created_at": 7, "was": first["created_at"]}, *others]}


def replay(pipeline: Pipeline, **which: str) -> Replayed:
    with connect(pipeline.url, purpose="load") as loading, connect(pipeline.url, purpose="books") as books:
        place = Workplace(loading, books, pipeline.clock, pipeline.simulator.clock.now, SYSTEM_USER)
        return replay_all(open_records(books, **which), place)


def put_right(url: str, table: str, column: str, name: str) -> None:
    """Give a field that was told wrong its right value."""
    with connect(url, purpose="prepare") as connection:
        for old, new in ((f'"{name}": ?7', '"wrong": 7'), ('"was":', f'"{name}":')):
            query = f"update {table} set {column} = regexp_replace({column}::text, %s, %s)::json"  # noqa: S608
            connection.execute(query.encode(), (old, new))


def aside(url: str) -> list[dict[str, Any]]:
    with connect(url, purpose="compare") as connection:
        return rows(connection, "select * from ops.quarantine order by id")


def test_a_chat_enters_once_after_the_fix_and_its_row_says_when_and_how(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        pipeline.simulator.faults.add(mutated_records(odd_status))
        pipeline.load_account(FIRST, FIRST)
        put_right(database_url, "ops.quarantine", "raw_record", "status")
        first = replay(pipeline)
        written = row_versions(database_url)
        second = replay(pipeline)

    (row,) = aside(database_url)
    assert first.resolved == {row["id"]: ENTERED}
    assert (row["resolved_at"], row["resolution"], row["occurrences"]) == (NOW, ENTERED, 1)
    assert stored(database_url).chats == ACCOUNT.chats
    assert stored(database_url).messages == ACCOUNT.messages
    assert (second, row_versions(database_url)) == (Replayed(), written)


def test_what_still_does_not_fit_stays_with_its_reason(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        pipeline.simulator.faults.add(mutated_records(lambda chat: odd_message(odd_status(chat))))
        pipeline.simulator.faults.add(
            mutated_records(lambda it: it | {"email": "x" * 501} if it["contact_id"] % 2 else it, path=CONTACTS)
        )
        pipeline.load_days(FIRST, LAST)
        before = aside(database_url)
        replayed = replay(pipeline)

    assert before == aside(database_url)
    assert sorted(replayed.open) == [row["id"] for row in before]
    assert len(before) > 1


def test_only_what_is_asked_for_is_tried(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        pipeline.simulator.faults.add(mutated_records(odd_status))
        pipeline.load_account(FIRST, FIRST)
        (row,) = aside(database_url)

        assert replay(pipeline, entity="contacts") == Replayed()
        assert replay(pipeline, record_id="another") == Replayed()
        assert replay(pipeline, record_id=row["id"]).open == [row["id"]]


def test_a_chat_that_a_later_load_brought_is_resolved_and_left_as_it_is(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        pipeline.simulator.faults.add(mutated_records(odd_status))
        pipeline.load_account(FIRST, FIRST)
        pipeline.simulator.faults.clear()
        pipeline.simulator.clock.advance(timedelta(minutes=1))
        pipeline.load_account(FIRST, FIRST)
        written = row_versions(database_url)
        replayed = replay(pipeline)

    (row,) = aside(database_url)
    assert replayed.resolved == {row["id"]: ARRIVED}
    assert row["resolution"] == ARRIVED
    assert row_versions(database_url) == written


def test_a_message_enters_its_chat_once_after_the_fix(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        pipeline.simulator.faults.add(mutated_records(odd_message))
        pipeline.load_account(FIRST, FIRST)
        still = replay(pipeline)
        put_right(database_url, "api_response_logs", "raw_response", "created_at")
        first, second = replay(pipeline), replay(pipeline)

    (row,) = aside(database_url)
    assert still.open == [row["id"]]
    assert first.resolved == {row["id"]: HOUR_LOADED}
    assert second == Replayed()
    assert stored(database_url).messages == ACCOUNT.messages


def test_a_message_whose_page_is_gone_stays_and_the_replay_says_what_to_do(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        pipeline.simulator.faults.add(mutated_records(odd_message))
        pipeline.load_account(FIRST, FIRST)
        with connect(database_url, purpose="prepare") as connection:
            connection.execute("truncate api_response_logs")
        replayed = replay(pipeline)

    (row,) = aside(database_url)
    assert replayed.failed == {row["id"]: "its pages are not stored any more: read its hour again"}
    assert row["resolved_at"] is None


def test_a_record_that_is_told_wrong_again_is_open_again(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        pipeline.simulator.faults.add(mutated_records(odd_status))
        pipeline.load_account(FIRST, FIRST)
        with connect(database_url, purpose="prepare") as connection:
            connection.execute("update ops.quarantine set resolved_at = now(), resolution = 'by hand'")
        pipeline.load_account(FIRST, FIRST)

    (row,) = aside(database_url)
    assert (row["resolved_at"], row["resolution"], row["occurrences"]) == (None, None, 2)


def test_the_ledger_and_the_books_count_a_replay(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        pipeline.simulator.faults.add(mutated_records(odd_status))
        pipeline.load_account(FIRST, FIRST)
        put_right(database_url, "ops.quarantine", "raw_record", "status")
        replay(pipeline)
    with connect(database_url, purpose="compare") as connection:
        query = """
            select l.*, s.status from ops.ledger l join sync_logs s on s.id = l.sync_id
             where s.metadata ? 'quarantined'
        """
        booked = {str(row["entity"]): row for row in rows(connection, query)}
        (state,) = rows(connection, "select total_records, failed_records from sync_states where entity_type = 'chats'")

    assert (booked["chats"]["received"], booked["chats"]["inserted"], booked["chats"]["status"]) == (1, 1, "success")
    assert booked["messages"]["inserted"] == len(ACCOUNT.messages[ODD])
    assert state == {"total_records": 1, "failed_records": 0}


def test_the_groups_hold_counts_and_no_record(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        pipeline.simulator.faults.add(mutated_records(lambda chat: chat | {"messages": [{}, {"body": "a word"}]}))
        pipeline.load(CHATS, hours_between(pipeline.clock, FIRST, FIRST, until=NOW))
    with connect(database_url, purpose="compare") as connection:
        (group,) = open_groups(connection)

    assert (group.entity, group.json_path) == ("messages", "$.messages[]")
    assert group.records == len(aside(database_url))
    assert "a word" not in json.dumps([str(value) for value in vars(group).values()])


def not_a_number(body: bytes) -> bytes:
    """A page in which a field of the odd chat is no JSON."""
    page = json.loads(body)
    for chat in page["chats"]:
        if chat["chat_id"] == ODD:
            chat["mood"] = "@@"
    return json.dumps(page).encode().replace(b'"@@"', b"NaN")


def test_a_record_that_was_no_json_is_tried_as_it_came(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        pipeline.simulator.faults.add(rewritten_body(not_a_number, times=None))
        pipeline.load_account(FIRST, FIRST)
        before = aside(database_url)
        still = replay(pipeline)
        assert aside(database_url) == before
        with connect(database_url, purpose="prepare") as connection:
            connection.execute("update ops.quarantine set raw_record = replace(raw_record::text, 'NaN', 'null')::json")
        first, second = replay(pipeline), replay(pipeline)

    (row,) = before
    assert isinstance(row["raw_record"], str)
    assert still.open == [row["id"]]
    assert first.resolved == {row["id"]: ENTERED}
    assert second == Replayed()
    assert stored(database_url).chats == ACCOUNT.chats
    assert stored(database_url).messages == ACCOUNT.messages


def test_a_record_without_a_key_is_resolved_once_a_later_read_of_its_hour_tells_it_no_more(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        hours = hours_between(pipeline.clock, FIRST, FIRST, until=NOW)
        pipeline.simulator.faults.add(rewritten_body(not_a_number, times=None))
        pipeline.load(CHATS, hours)
        pipeline.simulator.clock.advance(timedelta(minutes=1))
        pipeline.load(CHATS, hours)
        still = replay(pipeline)
        pipeline.simulator.faults.clear()
        pipeline.simulator.clock.advance(timedelta(minutes=1))
        pipeline.load(CHATS, hours)
        replayed = replay(pipeline)

    (row,) = aside(database_url)
    assert (still.open, row["occurrences"]) == ([row["id"]], 2)
    assert replayed.resolved == {row["id"]: UNTOLD}
    assert stored(database_url).chats == ACCOUNT.chats
