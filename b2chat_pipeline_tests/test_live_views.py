"""What the live views say of open chats at the moment of the query, on both sides of each limit.

Chats, models and questions are in one transaction, in which time stands still: ages are exact.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from psycopg import Connection

from b2chat_pipeline.transform.build import build
from b2chat_pipeline.transform.models import Project
from b2chat_pipeline.transform.project import models_folder, read_project
from b2chat_pipeline.transform.run import ensure_schema
from b2chat_pipeline.transform.target import SCHEMA, Target
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline_tests.mart_reference import table_rows

VIEWS = ("open_chats", "open_now", "unattended", "whatsapp_windows", "sla_at_risk", "sla_attainment")
CHAT = """
    insert into chats (id, b2chat_id, provider, status, raw_status, agent_id, department_id, alias, priority,
                       is_agent_available, created_at, opened_at, picked_up_at, response_at, closed_at, messages_told,
                       row_hash, read_at)
    select %(id)s, 'b-' || %(id)s, %(provider)s::chat_provider, %(status)s::chat_status, %(raw_status)s, %(agent)s,
           %(department)s, %(alias)s, %(priority)s::chat_priority, true, now() - %(age)s::interval,
           now() - %(age)s::interval, now() - %(picked)s::interval, now() - %(answered)s::interval,
           now() - %(closed)s::interval, true, '', now()
"""
MESSAGE = """
    insert into messages (id, chat_id, text, type, raw_type, incoming, timestamp, position)
    select concat(%(id)s::text, %(at)s::text), %(id)s, 'Hola', 'text', 'TEXT', %(incoming)s, now() - %(at)s::interval, 1
"""
PLACES = """
    insert into agents (id, b2chat_id, name, read_at) values ('ana', 'ana', 'Ana', now());
    insert into departments (id, b2chat_code, name) values ('sales', 'sales', 'Sales');
"""
# A calendar that opened 200 seconds ago, and a promise that counts its hours.
BUSINESS = """
    insert into ops.calendars values ('default', now() - interval '1 day', now() + interval '1 day');
    insert into ops.business_hours values ('default', now() - interval '200 s', now() + interval '1 hour');
    insert into ops.sla_policies (policy, version, clock, channel, target_seconds, in_business_hours)
    values ('web', 4, 'first_response', 'livechat', 250, true), ('web', 4, 'pickup', 'livechat', 199, true);
"""
BOGOTA = ZoneInfo("America/Bogota")


class Account:
    """Chats that a test invents, in a transaction that is forgotten."""

    def __init__(self, connection: Connection, project: Project) -> None:
        self._connection = connection
        self._project = project
        connection.execute(PLACES)

    def chat(self, key: str, age: str, *messages: tuple[bool, str], **told: str | None) -> None:
        """A chat of some age; messages are (from the customer, age)."""
        usual = {"provider": "whatsapp", "status": "open", "raw_status": "OPENED", "priority": "normal"}
        unknown = dict.fromkeys(("agent", "department", "alias", "picked", "answered", "closed"))
        values = {**usual, **unknown, **told, "id": key, "age": age}
        self._connection.execute(CHAT, values)
        for incoming, at in messages:
            self._connection.execute(MESSAGE, {"id": key, "incoming": incoming, "at": at})

    def build(self) -> None:
        """Build the live views and what they read."""
        target = Target(self._project, {"time_zone": BOGOTA.key})
        ensure_schema(self._connection, SCHEMA)
        wanted = {*VIEWS, *(name for view in VIEWS for name in self._project.ancestors(view))}
        for name, model in self._project.models.items():
            if name in wanted:
                build(self._connection, target, model, None)

    def told(self, query: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(query.encode()).fetchall()

    def rows(self, view: str) -> list[dict[str, Any]]:
        """All rows of a view."""
        return table_rows(self._connection, f"select * from analytics.{view}")  # noqa: S608


@pytest.fixture(scope="module")
def project() -> Project:
    return read_project(models_folder())


@pytest.fixture
def account(database_url: str, project: Project) -> Iterator[Account]:
    with connect(database_url, purpose="test") as connection, connection.transaction(force_rollback=True):
        yield Account(connection, project)


def test_a_promise_is_at_risk_from_four_fifths_of_its_target_on_and_broken_beyond_it(account: Account) -> None:
    for key, age in {"calm": "239 s", "risk": "240 s", "edge": "300 s", "late": "301 s"}.items():
        account.chat(key, age, (True, age), picked=age, agent="ana")
    account.chat("answered", "1 h", (True, "1 h"), picked="1 h", answered="59 min", agent="ana")
    account.chat("ours", "1 h", (False, "1 h"), picked="1 h", agent="ana")
    account.build()

    at_risk = account.told(
        "select chat_id, elapsed_seconds, seconds_left, is_breached from analytics.sla_at_risk"
        " where clock = 'first_response' order by elapsed_seconds"
    )
    assert at_risk == [("risk", 240, 60, False), ("edge", 300, 0, False), ("late", 301, -1, True)]
    assert account.told("select distinct as_of = now() from analytics.sla_at_risk") == [(True,)]


def test_attainment_counts_open_chats_past_their_target_and_leaves_out_those_within_it(account: Account) -> None:
    for number in range(5):
        account.chat(f"kept {number}", "9 min", (True, "9 min"), picked="8 min", answered="5 min")
    for number in range(3):
        account.chat(f"broken {number}", "9 min", (True, "9 min"), picked="8 min", answered="1 min")
    for number in range(2):
        account.chat(f"past {number}", "9 min", (True, "9 min"))
    for age in ("1 min", "2 min", "3 min", "250 s"):
        account.chat(f"within {age}", age, (True, age))
    account.chat("gave up", "9 min", (True, "9 min"), closed="8 min", status="closed", raw_status="CLOSED")
    account.build()

    # Around midnight they are of two days.
    assert account.told(
        "select sum(met)::int, sum(breached)::int, sum(open_past_target)::int, sum(open_within_target)::int,"
        " sum(not_judged)::int, sum(attainment * (met + breached + open_past_target))::int"
        " from analytics.sla_attainment where clock = 'first_response'"
    ) == [(5, 3, 2, 4, 1, 5)]


def test_open_chats_are_counted_by_age_and_by_who_had_the_last_word(account: Account) -> None:
    account.chat("young", "59 min 59 s", (True, "59 min"))
    account.chat("older", "1 h", (True, "59 min"), (False, "58 min"), agent="ana")
    account.chat("young too", "58 min", (True, "57 min"))
    account.chat("young and untold", "5 min")
    account.chat("untold", "168 h", agent="ana")
    account.chat("nearly", "167 h 59 min 59 s", agent="ana")
    account.chat("closed", "3 h", (True, "3 h"), closed="1 h", status="closed", raw_status="CLOSED")
    account.build()

    assert account.told(
        "select age, open_chats, unassigned, unattended_known, unattended from analytics.open_now order by age"
    ) == [("1 to 4 h", 1, 0, 1, 0), ("3 to 7 days", 1, 0, 0, 0), ("over 7 days", 1, 0, 0, 0), ("under 1 h", 3, 3, 2, 2)]
    assert account.told("select chat_id, is_unassigned, waiting_seconds from analytics.unattended order by 3") == [
        ("young too", True, 57 * 60),
        ("young", True, 59 * 60),
    ]


def test_a_window_closes_24_hours_after_the_customers_last_message(account: Account) -> None:
    account.chat("closing", "30 h", (True, "30 h"), (False, "29 h"), (True, "23 h"))
    account.chat("lapsed", "30 h", (True, "24 h"))
    account.chat("ours", "30 h", (True, "23 h"), (False, "22 h"))
    account.chat("web", "30 h", (True, "23 h"), provider="livechat")
    account.chat("closed", "30 h", (True, "23 h"), closed="1 h", status="closed", raw_status="CLOSED")
    account.build()

    assert account.told(
        "select chat_id, minutes_left, is_lapsed, closes_at - as_of from analytics.whatsapp_windows order by 1"
    ) == [("closing", 60, False, timedelta(hours=1)), ("lapsed", 0, True, timedelta(0))]


def test_every_row_tells_whose_chat_it_is_about(account: Account) -> None:
    account.chat(
        *("one", "3 h", (True, "3 h"), (False, "150 min"), (True, "2 h")),
        agent="ana",
        department="sales",
        alias="Brand",
        priority="urgent",
    )
    account.build()

    ((now,),) = account.told("select now()")
    created, last = now - timedelta(hours=3), now - timedelta(hours=2)
    places = {"department_id": "sales", "agent_id": "ana", "provider": "whatsapp", "alias": "Brand"}
    day = {"as_of": now, "created_day": created.astimezone(BOGOTA).date(), **places, "priority": "urgent"}
    chat = day | {"chat_id": "one", "b2chat_id": "b-one"}
    open_chat = chat | {"is_unassigned": False, "last_message_at": last}
    assert account.rows("unattended") == [open_chat | {"waiting_seconds": 7200}]
    assert account.rows("open_chats") == [
        open_chat
        | {"created_at": created, "direction": "inbound", "raw_status": "OPENED", "is_unattended": True}
        | {"age_seconds": 10_800, "age": "1 to 4 h"}
    ]
    window = {name: value for name, value in chat.items() if name != "provider"}
    assert account.rows("whatsapp_windows") == [
        window | {"closes_at": last + timedelta(hours=24), "minutes_left": 1320, "is_lapsed": False}
    ]
    assert account.rows("open_now") == [
        {"as_of": now, "priority": "urgent", "age": "1 to 4 h", "department_id": "sales", "provider": "whatsapp"}
        | {"open_chats": 1, "unassigned": 0, "unattended_known": 1, "unattended": 1}
    ]
    promise = day | {"policy": "default", "policy_version": 1}
    clocks = {"pickup": 120, "first_response": 300, "resolution": 7200}
    assert sorted(account.rows("sla_at_risk"), key=lambda row: row["target_seconds"]) == [
        promise
        | {"chat_id": "one", "clock": clock, "in_business_time": False, "target_seconds": target}
        | {"elapsed_seconds": 10_800, "seconds_left": target - 10_800, "is_breached": True}
        for clock, target in clocks.items()
    ]
    counts = dict.fromkeys(("met", "breached", "open_within_target", "not_judged"), 0)
    assert sorted(account.rows("sla_attainment"), key=lambda row: clocks[row["clock"]]) == [
        promise | {"clock": clock} | counts | {"open_past_target": 1, "attainment": 0} for clock in clocks
    ]


def test_an_age_begins_at_its_full_hour(account: Account) -> None:
    steps = ("under 1 h", "1 to 4 h", "4 to 24 h", "1 to 3 days", "3 to 7 days", "over 7 days")
    for place, hours in enumerate((1, 4, 24, 72, 168)):
        account.chat(f"{place} before", f"{hours * 3600 - 1} s")
        account.chat(f"{place} then", f"{hours} h")
    account.build()

    assert account.told("select chat_id, age from analytics.open_chats order by chat_id") == [
        (f"{place} {word}", steps[place + (word == "then")]) for place in range(5) for word in ("before", "then")
    ]


def test_a_promise_in_business_time_is_at_risk_by_the_hours_of_its_calendar(account: Account) -> None:
    account._connection.execute(BUSINESS)
    account.chat("web", "10 min", (True, "10 min"), provider="livechat")
    account.build()

    assert account.told(
        "select clock, policy, policy_version, in_business_time, elapsed_seconds, seconds_left, is_breached"
        " from analytics.sla_at_risk where policy = 'web' order by clock"
    ) == [("first_response", "web", 4, True, 200, 50, False), ("pickup", "web", 4, True, 200, -1, True)]
    assert account.told(
        "select clock, policy_version, open_past_target, open_within_target"
        " from analytics.sla_attainment where policy = 'web' order by clock"
    ) == [("first_response", 4, 0, 1), ("pickup", 4, 1, 0)]
