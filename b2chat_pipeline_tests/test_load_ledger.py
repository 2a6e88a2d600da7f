"""What became of every record: the ledger adds up, what does not fit is put aside, a failed hour is named."""

import json
from collections import Counter
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from b2chat_pipeline.b2chat.contract import CHATS, CONTACTS
from b2chat_pipeline.ingest.loading import ATTEMPTS, LoadError
from b2chat_pipeline.simulator import World, mutated_records, rewritten_body
from b2chat_pipeline.simulator.expectation import Expectation, expected
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.windows import Window
from b2chat_pipeline_tests.loading_support import all_loaded, hours_between, rows, running_pipeline, stored

FIRST, LAST = date(2025, 3, 3), date(2025, 3, 10)
NOW = datetime(2025, 3, 12, 18, tzinfo=UTC)
# More chats than a page holds, so that pages overlap and a record is told twice.
WORLD = World(first_day=FIRST, zone=ZoneInfo("America/Bogota"), chats_per_day=40, contacts=60)
TERMS = ("inserted", "updated", "unchanged", "repeated", "older", "quarantined", "outside")
# Counted in the pages as received, in the account's own hours.
COUNTED_IN_PAGES = """
    with chats as (
        select chat, date_trunc('hour', (chat ->> 'created_at')::timestamp) at time zone 'America/Bogota' as hour
          from api_response_logs, json_array_elements(raw_response -> 'chats') chat
         where endpoint = '/chats/export'
    ), contacts as (
        select date_trunc('hour', (contact ->> 'updated')::timestamp) at time zone 'America/Bogota' as hour
          from api_response_logs, json_array_elements(raw_response -> 'contacts') contact
         where endpoint = '/contacts/export'
    ), entities (side, entity, hour, number) as (
        select 'chats', 'chats', hour, 1 from chats
        union all select 'chats', 'messages', hour, json_array_length(chat -> 'messages') from chats
        union all select 'chats', 'agents', hour, 1 from chats where chat -> 'agent' ->> 'username' <> ''
        union all select 'chats', 'departments', hour, 1 from chats where trim(chat ->> 'department') <> ''
        union all select 'chats', 'contacts', hour, 1 from chats where chat -> 'contact' ->> 'id' is not null
        union all select 'contacts', 'contacts', hour, 1 from contacts
    )
    select side, entity, hour, sum(number)::int as number from entities group by side, entity, hour
"""
TOLD_CHATS = "select chat ->> 'chat_id' as id from api_response_logs, json_array_elements(raw_response -> 'chats') chat"
LEDGER = """
    select log.metadata ->> 'endpoint' as endpoint, ledger.* from ops.ledger ledger
      join sync_logs log on log.id = ledger.sync_id
"""


def ledger(url: str) -> list[dict[str, Any]]:
    with connect(url, purpose="compare") as connection:
        return rows(connection, LEDGER)


def chat_with_media(account: Expectation) -> str:
    """A chat one of whose messages has a URL with a signature, which differs in each answer."""
    return next(key for key, told in account.messages.items() if any(message.file_url for message in told))


def test_the_ledger_adds_up_and_counts_what_the_stored_pages_hold(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        hours = {hour.start for hour in hours_between(pipeline.clock, FIRST, LAST, until=NOW)}
        assert all_loaded(pipeline.load_days(FIRST, LAST))
    with connect(database_url, purpose="compare") as connection:
        counted = Counter[tuple[object, ...]]()
        for row in rows(connection, COUNTED_IN_PAGES):
            # What a chat outside the hours holds is not looked at.
            if row["number"] and (row["hour"] in hours or row["entity"] == row["side"]):
                counted[f"/{row['side']}/export", row["entity"], row["hour"]] += int(str(row["number"]))

    booked = ledger(database_url)
    assert all(row["received"] == sum(row[term] for term in TERMS) for row in booked)
    assert {(r["endpoint"], r["entity"], r["hour_start"]): r["received"] for r in booked if r["received"]} == counted
    assert sum(row["repeated"] for row in booked if row["entity"] == "chats") > 0
    assert all((row["outside"] == 0) == (row["hour_start"] in hours) for row in booked)


@pytest.mark.parametrize("day", [FIRST, LAST], ids=["a past day", "the running day"])
def test_records_told_beside_the_hours_asked_for_are_counted_as_outside_and_not_loaded(
    day: date, database_url: str
) -> None:
    now = datetime(2025, 3, 10, 23, tzinfo=UTC)
    with running_pipeline(database_url, WORLD, now=now) as pipeline:
        hours = hours_between(pipeline.clock, day, day, until=now)
        asked = next(
            hour
            for hour in hours[8:]
            if any(chat.created_at in hour for chat in expected(WORLD, now, first=day, last=day).chats.values())
        )
        outcome = pipeline.load(CHATS, [asked])
    with connect(database_url, purpose="compare") as connection:
        told = {str(row["id"]) for row in rows(connection, TOLD_CHATS)}
        (log,) = rows(connection, "select record_count from sync_logs where entity_type = 'chats'")
    booked = [row for row in ledger(database_url) if row["entity"] == "chats"]
    outside = sum(row["outside"] for row in booked)
    loaded = stored(database_url).chats

    assert all(chat.created_at in asked for chat in loaded.values())
    assert outside == len(told) - len(loaded) > 0
    assert log["record_count"] == len(loaded) > 0
    assert outcome.counts.keys() == {asked.start}
    assert all(row["received"] == row["outside"] for row in booked if row["hour_start"] != asked.start)


def test_a_record_that_does_not_fit_is_put_aside_once_and_the_rest_loads(database_url: str) -> None:
    account = expected(WORLD, NOW, first=FIRST, last=FIRST)
    odd = chat_with_media(account)
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        pipeline.simulator.faults.add(
            mutated_records(lambda chat: chat | {"status": 7} if chat["chat_id"] == odd else chat)
        )
        first, _ = pipeline.load_days(FIRST, FIRST)
        second, _ = pipeline.load_days(FIRST, FIRST)
    with connect(database_url, purpose="compare") as connection:
        (aside,) = rows(connection, "select * from ops.quarantine")

    assert (aside["entity"], aside["endpoint"], aside["record_key"]) == ("chats", CHATS, odd)
    assert (aside["reason"], aside["json_path"]) == ("Expected `str | null`, got `int`", "$.status")
    assert (aside["occurrences"], aside["sync_id"], aside["resolved_at"]) == (2, second.sync_id, None)
    assert dict(json.loads(json.dumps(aside["raw_record"])))["chat_id"] == odd
    assert stored(database_url).chats.keys() == account.chats.keys() - {odd}
    for outcome in (first, second):
        assert sum(hour["chats"].quarantined for hour in outcome.counts.values() if "chats" in hour) == 1
    assert all(row["received"] == sum(row[term] for term in TERMS) for row in ledger(database_url))


def test_a_message_that_does_not_fit_is_put_aside_alone(database_url: str) -> None:
    def damage(chat: dict[str, Any]) -> dict[str, Any]:
        return chat | {"messages": [{"body": "no clock"}, *chat["messages"]]}

    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        pipeline.simulator.faults.add(mutated_records(damage))
        pipeline.load_account(FIRST, FIRST)

    account = expected(WORLD, NOW, first=FIRST, last=FIRST)
    assert stored(database_url).messages == account.messages
    aside = sum(row["quarantined"] for row in ledger(database_url) if row["entity"] == "messages")
    assert aside == len(account.chats)


@pytest.mark.parametrize(
    "value",
    [
        *(
            b'"a\\u0000b"',
            b'"\\ud83d"',
            b'"\xff"',
            b"1e999",
            b"9" * 400,
            b"[" * 500 + b"]" * 500,
            b'"%s"' % (b"x" * 1_000_000),
        ),
    ],
    ids=lambda value: repr(value[:12]),
)
def test_no_value_of_a_message_keeps_anything_from_loading(value: bytes, database_url: str) -> None:
    account = expected(WORLD, NOW, first=FIRST, last=FIRST)
    odd = next(iter(account.chats))
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        day = hours_between(pipeline.clock, FIRST, FIRST, until=NOW)
        pipeline.simulator.faults.add(rewritten_body(lambda body: with_location(body, odd, value)))
        outcomes = [pipeline.load(CHATS, day), pipeline.load(CHATS, day, read=False)]

    assert all_loaded(outcomes)
    assert stored(database_url).chats.keys() == account.chats.keys()
    with connect(database_url, purpose="compare") as connection:
        assert len(rows(connection, "select 1 from messages where location is not null")) == 1


def with_location(body: bytes, chat_id: str, value: bytes) -> bytes:
    """A page in which a chat has one message, whose place is a value written byte for byte."""
    page = json.loads(body)
    for chat in page["chats"]:
        if chat["chat_id"] == chat_id:
            told = {"created_at": chat["created_at"], "incoming": True, "type": "LOCATION", "location": ["@@"]}
            chat["messages"] = [told]
    return json.dumps(page).encode().replace(b'"@@"', value)


def test_an_hour_that_cannot_be_loaded_is_named_and_the_others_of_its_day_load(database_url: str) -> None:
    account = expected(WORLD, NOW, first=FIRST, last=FIRST)
    odd = account.chats[chat_with_media(account)]
    with connect(database_url, purpose="prepare") as connection:
        connection.execute(
            f"""
            create function refuse() returns trigger language plpgsql as
            $$ begin raise exception 'not %', new using errcode = 'check_violation'; end $$;
            create trigger refuse before insert on chats for each row when (new.b2chat_id = '{odd.b2chat_id}')
            execute function refuse();
            """.encode()
        )
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        day = hours_between(pipeline.clock, FIRST, FIRST, until=NOW)
        outcome = pipeline.load(CHATS, day)

    bad = next(hour for hour in day if odd.created_at in hour)
    assert outcome.status == "partial"
    assert outcome.failed.keys() == {bad.start}
    assert isinstance(outcome.failed[bad.start], LoadError)
    assert "CheckViolation (23514)" in str(outcome.failed[bad.start])
    assert odd.b2chat_id not in str(outcome.failed[bad.start])
    loaded = {key for key, chat in account.chats.items() if chat.created_at not in bad}
    assert stored(database_url).chats.keys() == loaded
    assert bad.start not in {row["hour_start"] for row in ledger(database_url)}


def in_the_way(url: str, *, times: int) -> None:
    """Let the first transactions that write chats end in a deadlock. A sequence does not go back with them."""
    with connect(url, purpose="prepare") as connection:
        connection.execute(
            f"""
            create sequence attempts;
            create function deadlock() returns trigger language plpgsql as
            $$ begin
                 if nextval('attempts') <= {times} then raise exception 'x' using errcode = 'deadlock_detected'; end if;
                 return null;
               end $$;
            create trigger deadlock before insert on chats for each statement execute function deadlock();
            """.encode()
        )


def one_hour(account: Expectation, hours: list[Window]) -> Window:
    return next(hour for hour in hours if any(chat.created_at in hour for chat in account.chats.values()))


@pytest.mark.parametrize(("times", "status"), [(ATTEMPTS - 1, "success"), (ATTEMPTS, "error")])
def test_a_transaction_that_meets_another_is_repeated_a_few_times(times: int, status: str, database_url: str) -> None:
    account = expected(WORLD, NOW, first=FIRST, last=FIRST)
    in_the_way(database_url, times=times)
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        hour = one_hour(account, hours_between(pipeline.clock, FIRST, FIRST, until=NOW))
        outcome = pipeline.load(CHATS, [hour])

    assert outcome.status == status
    assert bool(stored(database_url).chats) == (status == "success")
    assert all("DeadlockDetected" in str(error) for error in outcome.failed.values())


def test_contacts_that_do_not_fit_are_put_aside_and_the_others_load(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        pipeline.simulator.faults.add(
            mutated_records(lambda it: it | {"email": "x" * 501} if it["contact_id"] % 2 else it, path=CONTACTS)
        )
        outcome = pipeline.load_days(FIRST, LAST)[1]
    counts = [hour["contacts"] for hour in outcome.counts.values() if "contacts" in hour]
    with connect(database_url, purpose="compare") as connection:
        aside = rows(connection, "select * from ops.quarantine")
        full = rows(connection, "select b2chat_id from contacts where is_full")

    assert len(aside) == sum(count.quarantined for count in counts) > 0
    assert {row["json_path"] for row in aside} == {"$.email"}
    assert {int(str(row["b2chat_id"])) % 2 for row in full} == {0}
