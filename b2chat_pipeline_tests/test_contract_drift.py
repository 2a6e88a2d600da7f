"""How the API departs from its contract is recorded once per kind, counted, and without anybody's words."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from b2chat_pipeline.b2chat.contract import CHATS, CONTACTS, Contact
from b2chat_pipeline.b2chat.decoding import decode_contact
from b2chat_pipeline.b2chat.drift import DriftWatch
from b2chat_pipeline.ingest.people import full_hash
from b2chat_pipeline.ingest.values import content_hash
from b2chat_pipeline.simulator import World, mutated_records
from b2chat_pipeline.simulator.expectation import expected
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline_tests.loading_support import all_loaded, rows, running_pipeline, stored

FIRST = date(2025, 3, 3)
NOW = datetime(2025, 3, 12, 18, tzinfo=UTC)
WORLD = World(first_day=FIRST, zone=ZoneInfo("America/Bogota"), chats_per_day=10, contacts=20)
ACCOUNT = expected(WORLD, NOW, first=FIRST, last=FIRST)
MESSAGE = {"body": "Zoraida Inventada", "incoming": True, "created_at": "2025-03-03 09:00:00"}
HOLOGRAM = MESSAGE | {"type": "HOLOGRAM"}
WITH_ID = MESSAGE | {"type": "TEXT", "id": 1}
Mutation = Callable[[dict[str, Any]], dict[str, Any]]


def drift(url: str) -> list[dict[str, Any]]:
    with connect(url, purpose="compare") as connection:
        return rows(connection, "select * from ops.contract_drift order by path, kind, detail")


def found(url: str) -> list[tuple[str, str, str]]:
    return [(row["path"], row["kind"], row["detail"]) for row in drift(url)]


def test_an_account_that_keeps_to_the_contract_leaves_no_trace(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        assert all_loaded(pipeline.load_account(FIRST, FIRST))

    assert drift(database_url) == []


@pytest.mark.parametrize(
    ("mutate", "told"),
    [
        (lambda it: it | {"mood": "x"}, ("$.mood", "unknown field", "")),
        (lambda it: it | {"Ana Inventada": 1}, ("$.<masked>", "unknown field", "")),
        (lambda it: it | {"agent": {"username": "a", "team": 1}}, ("$.agent.team", "unknown field", "")),
        (lambda it: it | {"messages": [WITH_ID]}, ("$.messages[].id", "unknown field", "")),
        (lambda it: it | {"messages": [HOLOGRAM]}, ("$.messages[].type", "unknown value", "HOLOGRAM")),
        (lambda it: it | {"status": "FROZEN_SOLID"}, ("$.status", "unknown value", "FROZEN_SOLID")),
        (lambda it: it | {"status": "Ana told me"}, ("$.status", "unknown value", "<masked>")),
        (lambda it: it | {"provider": "PIGEON"}, ("$.provider", "unknown value", "PIGEON")),
        (lambda it: it | {"status": 7}, ("$.status", "other type", "Expected `str | null`, got `int`")),
        (lambda it: it | {"messages": [7]}, ("$.messages[]", "other type", "Expected `object`, got `int`")),
    ],
)
def test_a_departure_is_recorded_and_the_load_goes_on(
    database_url: str, mutate: Mutation, told: tuple[str, str, str]
) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        pipeline.simulator.faults.add(mutated_records(mutate))
        first, *_ = pipeline.load_account(FIRST, FIRST)

    assert first.status == "success"
    assert found(database_url) == [told]
    aside = told[1] == "other type" and told[0] == "$.status"
    assert stored(database_url).chats.keys() == (set() if aside else ACCOUNT.chats.keys())


def test_a_kind_is_recorded_once_and_counted(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        pipeline.simulator.faults.add(mutated_records(lambda it: it | {"mood": "x"}))
        pipeline.load_account(FIRST, FIRST)
        second = pipeline.load_account(FIRST, FIRST)[0]

    (row,) = drift(database_url)
    assert (row["endpoint"], row["occurrences"], row["sync_id"]) == (CHATS, 2 * len(ACCOUNT.chats), second.sync_id)


def test_unknown_fields_of_contacts_are_recorded_too(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        pipeline.simulator.faults.add(mutated_records(lambda it: it | {"mood": "x"}, path=CONTACTS))
        pipeline.load_account(FIRST, FIRST)

    (row,) = drift(database_url)
    assert (row["endpoint"], row["path"], row["kind"]) == (CONTACTS, "$.mood", "unknown field")


def test_a_contact_is_the_same_whichever_way_it_was_decoded() -> None:
    told = b'{"contact_id": 7, "fullname": "Ana Inventada", "tags": [{"name": "vip"}]}'

    watched, plain = DriftWatch(CONTACTS).decoded(told).record, decode_contact(told).record

    assert isinstance(watched, Contact)
    assert isinstance(plain, Contact)
    assert full_hash(watched) == full_hash(plain) == content_hash(plain)
