"""Ten thousand damaged records: each is loaded right or put aside, none is lost, and those beside them load as ever."""

import codecs
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from b2chat_pipeline.b2chat.contract import CHATS, CONTACTS, Endpoint
from b2chat_pipeline.simulator import World, rewritten_body
from b2chat_pipeline.simulator.expectation import Expectation, ExpectedChat, ExpectedContact, expected
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.windows import AccountClock, Window
from b2chat_pipeline_tests.loading_support import hours_between, rows, running_pipeline, stored_chats
from b2chat_pipeline_tests.mutants import Mutant, mutant
from b2chat_pipeline_tests.postgres import PostgresServer

pytestmark = pytest.mark.any_postgres

SEED = 1
# Clocks go back on the second day.
ZONE = ZoneInfo("America/New_York")
FIRST, LAST = date(2025, 11, 1), date(2025, 11, 3)
NOW = datetime(2025, 11, 6, 12, tzinfo=UTC)
WORLD = World(
    first_day=FIRST, zone=ZONE, chats_per_day=2_200, contacts=5_000, messages_per_chat=3, weekly_shape=(1.0,) * 7
)
INTACT = 0.1
TERMS = ("inserted", "updated", "unchanged", "repeated", "older", "quarantined", "outside")
# What else differs where a field is damaged, by field.
TOUCHED: Mapping[str, set[str]] = {
    "created_at": {"created_at", "duration", "last_modified_at"},
    "closed_at": {"closed_at", "duration", "last_modified_at"},
    "responded_at": {"response_at", "last_modified_at"},
    "opened_at": {"opened_at", "last_modified_at"},
    "picked_up_at": {"picked_up_at", "last_modified_at"},
    "messages": {"unread_count", "last_modified_at"},
    "fullname": {"full_name"},
    "landline": {"phone_number"},
}
CONTACT_ROWS = """
    select b2chat_id, full_name, mobile, phone_number, email, identification, address, city, country, company,
           custom_attributes, tags
      from contacts where is_full
"""
LEDGER = """
    select log.metadata ->> 'endpoint' as endpoint, ledger.* from ops.ledger ledger
      join sync_logs log on log.id = ledger.sync_id
"""


@dataclass
class Damaging:
    """Pages of one endpoint on their way to the client, and what was made of their records, in the order told."""

    endpoint: Endpoint
    pages: list[list[Mutant]] = field(default_factory=list)

    def page(self, body: bytes) -> bytes:
        """A page with its records damaged, each in the same way however often it is told."""
        answer = json.loads(body)
        entity = self.endpoint[1:-7]
        key = "chat_id" if entity == "chats" else "contact_id"
        told = [
            mutant(entity, record, Random(f"{SEED}/{entity}/{record[key]}"), intact=INTACT) for record in answer[entity]
        ]
        self.pages.append(told)
        mark = codecs.BOM_UTF8 if len(self.pages) % 3 == 0 else b""
        records = b",".join(it.text for it in told)
        return mark + b'{"%s":[%s],"total":%d}' % (entity.encode(), records, answer["total"])

    def records(self, clock: AccountClock, hours: list[Window]) -> Iterator[tuple[Mutant, datetime, bool]]:
        """Every record told, its hour, and whether that is one of `hours`; one without a clock goes with the last."""
        asked = {hour.start for hour in hours}
        last = hours[0].start
        for page in self.pages:
            for it in page:
                last = (clock.read(it.clock).instant if it.clock else None) or last
                yield it, clock.hour_of(last).start, clock.hour_of(last).start in asked


@dataclass
class Loaded:
    """The account as damaged and loaded once."""

    url: str
    account: Expectation
    told: dict[Endpoint, list[tuple[Mutant, datetime, bool]]]
    statuses: list[str]

    def of(self, endpoint: Endpoint, fate: str) -> dict[str, Mutant]:
        """The records of the hours asked for that have a key of their own, and a fate."""
        return {
            it.key: it
            for it, _, asked in self.told[endpoint]
            if asked and it.fate == fate and it.key and not it.key.startswith("clash")
        }


@pytest.fixture(scope="module")
def loaded(postgres_server: PostgresServer) -> Iterator[Loaded]:
    damaging = {endpoint: Damaging(endpoint) for endpoint in (CHATS, CONTACTS)}
    with postgres_server.database(migrated=True) as url, running_pipeline(url, WORLD, now=NOW) as pipeline:
        for endpoint, it in damaging.items():
            pipeline.simulator.faults.add(rewritten_body(it.page, path=endpoint, times=None))
        yesterday = pipeline.clock.day_of(NOW) - timedelta(days=1)
        hours = {
            CHATS: hours_between(pipeline.clock, FIRST, LAST, until=NOW),
            CONTACTS: hours_between(pipeline.clock, yesterday - timedelta(days=85), yesterday, until=NOW),
        }
        statuses = [pipeline.load(endpoint, hours[endpoint]).status for endpoint in (CHATS, CONTACTS)]
        told = {endpoint: list(it.records(pipeline.clock, hours[endpoint])) for endpoint, it in damaging.items()}
        yield Loaded(url, expected(WORLD, NOW, first=FIRST, last=LAST), told, statuses)


def test_no_batch_fails_of_ten_thousand_damaged_records(loaded: Loaded) -> None:
    damaged = {it.text for told in loaded.told.values() for it, _, _ in told if it.damaged or it.key is None}

    assert loaded.statuses == ["success", "success"]
    assert len(damaged) >= 10_000


def test_every_damaged_record_is_counted_and_the_ledger_is_exact(loaded: Loaded) -> None:
    received, aside, outside = (Counter[tuple[Any, ...]]() for _ in range(3))
    for endpoint, told in loaded.told.items():
        for it, hour, asked in told:
            if not asked:
                outside[endpoint, endpoint[1:-7], hour] += 1
            for entity, number in (it.told if asked else Counter({endpoint[1:-7]: 1})).items():
                received[endpoint, entity, hour] += number
            for entity, number in (it.aside if asked else Counter[str]()).items():
                aside[endpoint, entity, hour] += number
    with connect(loaded.url, purpose="compare") as connection:
        booked = [{**row} for row in rows(connection, LEDGER)]

    def column(name: str) -> Counter[tuple[Any, ...]]:
        return +Counter({(row["endpoint"], row["entity"], row["hour_start"]): int(str(row[name])) for row in booked})

    assert all(row["received"] == sum(int(str(row[term])) for term in TERMS) for row in booked)
    assert column("received") == +received
    assert column("quarantined") == +aside
    assert column("outside") == +outside
    assert min(map(len, (received, aside, outside))) > 0


def test_chats_load_as_the_account_has_them_but_for_what_was_damaged(loaded: Loaded) -> None:
    loads = loaded.of(CHATS, "loads")
    with connect(loaded.url, purpose="compare") as connection:
        chats, messages = stored_chats(connection)
        flags: dict[str, list[str]] = dict(connection.execute("select b2chat_id, time_flags from chats").fetchall())

    assert {key for key in chats if not key.startswith("clash")} == loads.keys()
    for key, it in loads.items():
        assert_equal_but_for(it, chats[key], loaded.account.chats[key])
        for column, value in it.columns.items():
            if column.endswith(" flag"):
                assert f"{column.removesuffix(' flag')} {value}" in flags[key], (key, it.columns)
            elif column == "messages":
                assert len(messages[key]) == value, (key, it.columns)
            else:
                assert getattr(chats[key], column) == value, (key, column)
        if it.columns.get("messages") is None:
            assert messages[key] == loaded.account.messages[key], key
        elif it.columns["messages"]:
            assert not Counter(loaded.account.messages[key]) - Counter(messages[key]), key


def assert_equal_but_for(
    it: Mutant, row: ExpectedChat | ExpectedContact, account: ExpectedChat | ExpectedContact
) -> None:
    """Whether all columns that the damage does not touch are as the account has them."""
    touched = {column for name in it.damaged for column in TOUCHED.get(name, set()) | {name}}
    differing = {name for name in vars(row) if getattr(row, name) != getattr(account, name)}
    assert differing <= touched, (it.damaged, it.text[:2000])


def test_contacts_load_as_the_account_has_them_but_for_what_was_damaged(loaded: Loaded) -> None:
    loads = loaded.of(CONTACTS, "loads")
    with connect(loaded.url, purpose="compare") as connection:
        full: dict[str, dict[str, Any]] = {str(row["b2chat_id"]): row for row in rows(connection, CONTACT_ROWS)}

    assert {key for key in full if not key.startswith("clash")} == loads.keys()
    for key, it in loads.items():
        row = full[key] | {"custom_attributes": (), "tags": ()}
        if "custom_attributes" not in it.damaged:
            row["custom_attributes"] = tuple((told["name"], told["value"]) for told in full[key]["custom_attributes"])
        if "tags" not in it.damaged:
            row["tags"] = tuple(tag["name"] for tag in full[key]["tags"])
        assert_equal_but_for(it, ExpectedContact(**row), loaded.account.contacts[key])


def test_what_does_not_fit_is_in_quarantine_under_its_key_as_it_came(loaded: Loaded) -> None:
    with connect(loaded.url, purpose="compare") as connection:
        aside = rows(connection, "select *, raw_record::text as raw from ops.quarantine")
    keys = {(row["entity"], str(row["record_key"] or "")[:500]) for row in aside}
    records = Counter[str]()
    for endpoint, told in loaded.told.items():
        for it, _, asked in told:
            if asked:
                # A chat that is put aside takes what it holds along.
                records.update({endpoint[1:-7]: 1} if it.fate == "aside" else it.aside)

    for endpoint in (CHATS, CONTACTS):
        for it in loaded.of(endpoint, "aside").values():
            key = "" if {"\0", "\ud800"} & set(it.key or "") else str(it.key)[:500]
            assert (endpoint[1:-7], key) in keys, it.text[:2000]
        for it in loaded.of(endpoint, "loads").values():
            assert all((entity, it.key) in keys for entity in it.aside), it.text[:2000]
            assert (endpoint[1:-7], it.key) not in keys, it.text[:2000]
    met = Counter[str]()
    for row in aside:
        met[str(row["entity"])] += int(str(row["occurrences"]))
    assert met == records
    assert all(row["reason"] and row["json_path"] and row["raw"] for row in aside)
