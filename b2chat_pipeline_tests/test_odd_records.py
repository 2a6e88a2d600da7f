"""One kind of oddity at a time, from the API to the tables: what is kept, what is put aside, what is recorded."""

import codecs
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from b2chat_pipeline.b2chat.contract import CHATS, CONTACTS
from b2chat_pipeline.simulator import World, mutated_records, rewritten_body
from b2chat_pipeline.simulator.expectation import expected
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline_tests.loading_support import all_loaded, hours_between, row_versions, running_pipeline, stored

pytestmark = pytest.mark.any_postgres

FIRST = date(2025, 3, 3)
NOW = datetime(2025, 3, 12, 18, tzinfo=UTC)
WORLD = World(first_day=FIRST, zone=ZoneInfo("America/New_York"), chats_per_day=15, contacts=20)
ACCOUNT = expected(WORLD, NOW, first=FIRST, last=FIRST)
ODD = next(key for key, told in ACCOUNT.messages.items() if len(told) > 2)
OTHERS = {key: chat for key, chat in ACCOUNT.chats.items() if key != ODD}
SUMS = """
    select sum(received)::int as received, sum(quarantined)::int as quarantined,
           sum(inserted + updated + unchanged + repeated + older + quarantined + outside)::int as accounted
      from ops.ledger where entity = %s
"""
Mutation = Callable[[dict[str, Any]], dict[str, Any]]


def load(url: str, change: Mutation, *, times: int = 1) -> None:
    """Load a day of chats, one of which is told changed; every hour must be loaded."""

    def changed(body: bytes) -> bytes:
        page = json.loads(body)
        page["chats"] = [change(chat) if chat.get("chat_id") == ODD else chat for chat in page["chats"]]
        return json.dumps(page).encode()

    load_rewritten(url, changed, times=times)


def load_rewritten(url: str, rewrite: Callable[[bytes], bytes], *, times: int = 1) -> None:
    """Load a day of chats whose pages have other bytes; every hour must be loaded."""
    with running_pipeline(url, WORLD, now=NOW) as pipeline:
        pipeline.simulator.faults.add(rewritten_body(rewrite, times=None))
        hours = hours_between(pipeline.clock, FIRST, FIRST, until=NOW)
        for _ in range(times):
            assert all_loaded([pipeline.load(CHATS, hours)])


def select(url: str, query: str, *values: object) -> list[tuple[Any, ...]]:
    with connect(url, purpose="compare") as connection:
        return connection.execute(query.encode(), values).fetchall()


def without(*names: str) -> Mutation:
    return lambda chat: {name: value for name, value in chat.items() if name not in names}


def check_others(url: str) -> None:
    held = stored(url)
    assert {key: chat for key, chat in held.chats.items() if key != ODD} == OTHERS
    assert {key: held.messages[key] for key in OTHERS} == {key: ACCOUNT.messages[key] for key in OTHERS}


def check_books(url: str, *, quarantined: dict[str, int]) -> None:
    for entity in ("chats", "messages", "agents", "departments", "contacts"):
        ((received, aside, accounted),) = select(url, SUMS, entity)
        assert received == accounted
        assert aside == quarantined.get(entity, 0), entity


def test_an_unknown_field_is_kept_in_the_raw_page_and_recorded_and_the_chat_loads(database_url: str) -> None:
    load(database_url, lambda chat: chat | {"mood": "Zoraida Inventada"})

    assert stored(database_url).chats == ACCOUNT.chats
    assert select(database_url, "select path, kind, detail from ops.contract_drift") == [
        ("$.mood", "unknown field", "")
    ]
    assert select(
        database_url,
        "select distinct chat ->> 'mood' from api_response_logs, json_array_elements(raw_response -> 'chats') chat"
        " where chat ->> 'chat_id' = %s",
        ODD,
    ) == [("Zoraida Inventada",)]
    check_books(database_url, quarantined={})


@pytest.mark.parametrize("name", ["chat_id", "created_at"])
def test_a_chat_without_a_required_field_is_put_aside_with_all_it_holds_and_the_others_load(
    name: str, database_url: str
) -> None:
    load(database_url, without(name))

    (row,) = select(database_url, "select entity, record_key, reason, json_path from ops.quarantine")
    key = None if name == "chat_id" else ODD
    assert row == ("chats", key, f"Object missing required field `{name}`", "$")
    assert ODD not in stored(database_url).chats
    check_others(database_url)
    odd = ACCOUNT.chats[ODD]
    people = {"agents": odd.agent, "departments": odd.department, "contacts": odd.contact}
    check_books(
        database_url,
        quarantined={"chats": 1, "messages": len(ACCOUNT.messages[ODD])} | {it: 1 for it in people if people[it]},
    )


@pytest.mark.parametrize(
    ("change", "reason", "path"),
    [
        ({"status": 7}, "Expected `str | null`, got `int`", "$.status"),
        ({"chat_id": 12345}, "Expected `str`, got `int`", "$.chat_id"),
        ({"is_agent_available": "yes"}, "Expected `bool | null`, got `str`", "$.is_agent_available"),
        ({"tags": {"name": "VIP"}}, "Expected `array | null`, got `object`", "$.tags"),
    ],
)
def test_a_field_of_another_type_puts_its_chat_aside_and_the_difference_is_recorded(
    change: dict[str, object], reason: str, path: str, database_url: str
) -> None:
    load(database_url, lambda chat: chat | change)

    assert select(database_url, "select reason, json_path from ops.quarantine") == [(reason, path)]
    assert select(database_url, "select path, kind, detail from ops.contract_drift") == [(path, "other type", reason)]
    assert ODD not in stored(database_url).chats
    check_others(database_url)


@pytest.mark.parametrize(
    ("name", "entity", "value"),
    [
        *(("agent", "agents", ["mruiz"]), ("contact", "contacts", [{"id": 7}]), ("department", "departments", ["V"])),
        *(("contact", "contacts", {"name": "Ana"}), ("messages", "messages", {"0": "Hola"})),
    ],
)
def test_a_part_of_another_type_is_put_aside_alone_and_its_chat_loads(
    name: str, entity: str, value: object, database_url: str
) -> None:
    load(database_url, lambda chat: chat | {name: value})

    ((aside_entity, key, raw),) = select(database_url, "select entity, record_key, raw_record from ops.quarantine")
    assert (aside_entity, key, raw) == (entity, ODD, value)
    held, account = stored(database_url).chats[ODD], ACCOUNT.chats[ODD]
    touched = {name} | ({"unread_count", "last_modified_at"} if name == "messages" else set())
    assert {it for it in vars(held) if getattr(held, it) != getattr(account, it)} <= touched
    check_others(database_url)
    check_books(database_url, quarantined={entity: 1})
    drift = "select path from ops.contract_drift where kind in ('other type', 'missing field')"
    assert select(database_url, drift) == [(f"$.{name}",)]


def test_parts_of_two_chats_that_look_alike_are_two_records_in_quarantine(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        pipeline.simulator.faults.add(mutated_records(lambda chat: chat | {"contact": {"name": "Ana"}}))
        pipeline.load(CHATS, hours_between(pipeline.clock, FIRST, FIRST, until=NOW))

    keys = {row[0] for row in select(database_url, "select record_key from ops.quarantine where entity = 'contacts'")}
    assert keys == ACCOUNT.chats.keys()


@pytest.mark.parametrize("value", [{}, None, ""])
def test_an_empty_part_means_that_nobody_is_told(value: object, database_url: str) -> None:
    load(database_url, lambda chat: chat | {"agent": value, "contact": value, "department": value})

    held = stored(database_url).chats[ODD]
    assert (held.agent, held.contact, held.department) == (None, None, None)
    check_books(database_url, quarantined={})


def test_an_unknown_status_and_provider_load_as_unknown_and_other_beside_the_raw_values(database_url: str) -> None:
    load(database_url, lambda chat: chat | {"status": "FROZEN_SOLID", "provider": "PIGEON"})

    query = "select status::text, raw_status, provider::text, raw_provider from chats where b2chat_id = %s"
    assert select(database_url, query, ODD) == [("unknown", "FROZEN_SOLID", "other", "PIGEON")]
    assert select(database_url, "select path, kind, detail from ops.contract_drift order by path") == [
        ("$.provider", "unknown value", "PIGEON"),
        ("$.status", "unknown value", "FROZEN_SOLID"),
    ]
    check_books(database_url, quarantined={})


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("a\0b", "a\N{REPLACEMENT CHARACTER}b"),
        ("a\ud800b", "a\N{REPLACEMENT CHARACTER}b"),
        ("x" * 1_000_000, "x" * 1_000_000),
        ("👩\u200d👩\u200d👧 🇨🇴", "👩\u200d👩\u200d👧 🇨🇴"),
        (
            "\u202e\u0645\u0631\u062d\u0628\u0627 back\\slash\ttab\r\nline \\N \\.",
            "\u202e\u0645\u0631\u062d\u0628\u0627 back\\slash\ttab\r\nline \\N \\.",
        ),
    ],
    ids=["NUL", "lone surrogate", "1 MB", "emoji", "right to left, and what COPY gives a meaning"],
)
def test_any_text_of_a_message_is_stored_and_told_again_changes_nothing(
    text: str, held: str, database_url: str
) -> None:
    def change(chat: dict[str, Any]) -> dict[str, Any]:
        first, *others = chat["messages"]
        return chat | {"messages": [first | {"type": "TEXT", "body": text}, *others], "tags": [text[:20]]}

    load(database_url, change)
    before = row_versions(database_url)
    load(database_url, change)

    query = (
        "select m.text, c.tags from messages m join chats c on c.id = m.chat_id where c.b2chat_id = %s and m.text = %s"
    )
    assert select(database_url, query, ODD, held) == [(held, [held[:20]])]
    assert row_versions(database_url) == before
    check_others(database_url)
    check_books(database_url, quarantined={})


@pytest.mark.parametrize("key", ["a\0b", "a\ud800b", "x" * 501])
def test_a_key_that_no_index_takes_puts_what_it_names_aside(key: str, database_url: str) -> None:
    load(
        database_url,
        lambda chat: chat | {"agent": {"username": key}, "contact": {"id": key}, "department": key},
    )

    assert set(select(database_url, "select entity, record_key from ops.quarantine")) == {
        *(("agents", ODD), ("contacts", ODD), ("departments", ODD)),
    }
    held = stored(database_url).chats[ODD]
    assert (held.agent, held.contact, held.department) == (None, None, None)
    check_others(database_url)
    check_books(database_url, quarantined={"agents": 1, "contacts": 1, "departments": 1})


@pytest.mark.parametrize(
    ("told", "instant", "flag"),
    [
        ("0000-00-00 00:00:00", None, "unreadable"),
        ("20250-03-03 10:00:00", None, "unreadable"),
        ("2025-03-09 02:30:00", datetime(2025, 3, 9, 7, 30, tzinfo=UTC), "nonexistent"),
        ("2025-11-02 01:30:00", datetime(2025, 11, 2, 5, 30, tzinfo=UTC), "ambiguous"),
        ("2025-03-05 16:40:10", datetime(2025, 3, 5, 21, 40, 10, tzinfo=UTC), None),
    ],
)
def test_an_odd_clock_follows_its_rule_and_the_row_says_so(
    told: str, instant: datetime | None, flag: str | None, database_url: str
) -> None:
    extra = {"type": "TEXT", "body": "odd clock", "incoming": True, "created_at": told}
    load(
        database_url, lambda chat: chat | {"closed_at": told, "duration": None, "messages": [*chat["messages"], extra]}
    )

    ((closed_at, flags),) = select(database_url, "select closed_at, time_flags from chats where b2chat_id = %s", ODD)
    assert (closed_at, flags) == (instant, [f"closed_at {flag}"] if flag else [])
    stamps = select(database_url, "select timestamp, time_flag from messages where text = 'odd clock'")
    assert stamps == ([] if instant is None else [(instant, flag)])
    check_others(database_url)
    check_books(database_url, quarantined={} if instant else {"messages": 1})


def test_an_odd_creation_puts_its_chat_aside_and_an_odd_update_flags_its_contact(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        odd = "20250-01-01 00:00:00"
        pipeline.simulator.faults.add(
            mutated_records(lambda it: it | {"created_at": odd}, path=CHATS),
            mutated_records(lambda it: it | {"created": odd}, path=CONTACTS),
        )
        assert all_loaded(pipeline.load_account(FIRST, FIRST))

    assert stored(database_url).chats == {}
    reasons = select(database_url, "select distinct reason, json_path from ops.quarantine")
    assert reasons == [("no time that can be read", "$.created_at")]
    assert select(database_url, "select distinct time_flags from contacts where is_full") == [
        (["created_at unreadable"],)
    ]


def test_clocks_out_of_order_are_loaded_as_told_with_no_duration_and_flagged(database_url: str) -> None:
    def change(chat: dict[str, Any]) -> dict[str, Any]:
        day = chat["created_at"][:10]
        clocks = {"picked_up_at": f"{day} 00:00:03", "responded_at": f"{day} 00:00:02", "closed_at": f"{day} 00:00:01"}
        return chat | clocks | {"created_at": f"{day} 12:00:00", "opened_at": f"{day} 12:00:00", "duration": None}

    load(database_url, change)

    query = "select closed_at < created_at, duration, time_flags from chats where b2chat_id = %s"
    flags = ["picked_up_at before opened_at", "response_at before picked_up_at", "closed_at before created_at"]
    assert select(database_url, query, ODD) == [(True, None, flags)]
    check_others(database_url)
    check_books(database_url, quarantined={})


def test_messages_that_are_the_same_in_everything_stay_as_many_across_reloads(database_url: str) -> None:
    twin = {"type": "TEXT", "body": "twin", "incoming": True, "created_at": "2025-03-03 10:00:00"}
    load(database_url, lambda chat: chat | {"messages": [twin, *chat["messages"], twin, twin]})
    before = row_versions(database_url)
    load(database_url, lambda chat: chat | {"messages": [*chat["messages"], twin, twin, twin]}, times=2)

    count = "select count(*), count(distinct m.id) from messages m where text = 'twin' and superseded_at is null"
    assert select(database_url, count) == [(3, 3)]
    assert row_versions(database_url) == before
    check_books(database_url, quarantined={})


def test_a_byte_order_mark_is_passed_over_and_the_page_kept_as_json(database_url: str) -> None:
    load_rewritten(database_url, lambda body: codecs.BOM_UTF8 + body)

    assert stored(database_url).chats == ACCOUNT.chats
    kinds = select(database_url, "select distinct json_typeof(raw_response) from api_response_logs")
    assert kinds == [("object",)]


def test_a_record_that_is_no_json_is_put_aside_and_the_others_of_its_page_load(database_url: str) -> None:
    def not_a_number(body: bytes) -> bytes:
        page = json.loads(body)
        for chat in page["chats"]:
            if chat["chat_id"] == ODD:
                chat["alias"] = "@@"
        return json.dumps(page).encode().replace(b'"@@"', b"NaN")

    load_rewritten(database_url, not_a_number)

    (row,) = select(database_url, "select reason, json_path, json_typeof(raw_record) from ops.quarantine")
    assert row == ("no JSON that can be read", "$", "string")
    check_others(database_url)
    check_books(database_url, quarantined={"chats": 1})
