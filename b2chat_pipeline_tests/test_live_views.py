"""What the live views say of open chats at the moment of the query, on both sides of each limit.

Chats, models and questions are in one transaction, in which time stands still: ages are exact.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from psycopg import Connection

from b2chat_pipeline.transform.build import build
from b2chat_pipeline.transform.models import Project
from b2chat_pipeline.transform.project import models_folder, read_project
from b2chat_pipeline.transform.run import ensure_schema
from b2chat_pipeline.transform.target import SCHEMA, Target
from b2chat_pipeline.warehouse.connection import connect

VIEWS = ("open_chats", "open_now", "unattended", "whatsapp_windows", "sla_at_risk", "sla_attainment")
CHAT = """
    insert into chats (id, b2chat_id, provider, status, raw_status, agent_id, priority, is_agent_available, created_at,
                       opened_at, picked_up_at, response_at, closed_at, messages_told, row_hash, read_at)
    select %(id)s, %(id)s, %(provider)s::chat_provider, %(status)s::chat_status, %(raw_status)s, %(agent)s, 'normal',
           true, now() - %(age)s::interval,
           now() - %(age)s::interval, now() - %(picked)s::interval, now() - %(answered)s::interval,
           now() - %(closed)s::interval, true, '', now()
"""
MESSAGE = """
    insert into messages (id, chat_id, text, type, raw_type, incoming, timestamp, position)
    select concat(%(id)s::text, %(at)s::text), %(id)s, 'Hola', 'text', 'TEXT', %(incoming)s, now() - %(at)s::interval, 1
"""
AGENT = "insert into agents (id, b2chat_id, name, read_at) values ('ana', 'ana', 'Ana', now())"


class Account:
    """Chats that a test invents, in a transaction that is forgotten."""

    def __init__(self, connection: Connection, project: Project) -> None:
        self._connection = connection
        self._project = project
        connection.execute(AGENT)

    def chat(self, key: str, age: str, *messages: tuple[bool, str], **told: str | None) -> None:
        """A chat of some age; messages are (from the customer, age)."""
        usual = {"provider": "whatsapp", "status": "open", "raw_status": "OPENED"}
        values = {**usual, **dict.fromkeys(("agent", "picked", "answered", "closed")), **told, "id": key, "age": age}
        self._connection.execute(CHAT, values)
        for incoming, at in messages:
            self._connection.execute(MESSAGE, {"id": key, "incoming": incoming, "at": at})

    def build(self) -> None:
        """Build the live views and what they read."""
        target = Target(self._project, {"time_zone": "America/Bogota"})
        ensure_schema(self._connection, SCHEMA)
        wanted = {*VIEWS, *(name for view in VIEWS for name in self._project.ancestors(view))}
        for name, model in self._project.models.items():
            if name in wanted:
                build(self._connection, target, model, None)

    def told(self, query: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(query.encode()).fetchall()


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
    account.chat("kept", "9 min", (True, "9 min"), picked="8 min", answered="5 min")
    account.chat("broken", "9 min", (True, "9 min"), picked="8 min", answered="1 min")
    account.chat("past", "9 min", (True, "9 min"))
    account.chat("within", "1 min", (True, "1 min"))
    account.chat("gave up", "9 min", (True, "9 min"), closed="8 min", status="closed", raw_status="CLOSED")
    account.build()

    columns = "met, breached, open_past_target, open_within_target, not_judged"
    sums = ", ".join(f"sum({name})::int" for name in columns.split(", "))
    (told,) = account.told(f"select {sums} from analytics.sla_attainment where clock = 'first_response'")  # noqa: S608
    assert told == (1, 1, 1, 1, 1)
    assert account.told("select attainment from analytics.sla_attainment where clock = 'first_response'") == [(1 / 3,)]


def test_open_chats_are_counted_by_age_and_by_who_had_the_last_word(account: Account) -> None:
    account.chat("young", "59 min 59 s", (True, "59 min"))
    account.chat("older", "1 h", (True, "59 min"), (False, "58 min"), agent="ana")
    account.chat("untold", "168 h", agent="ana")
    account.chat("nearly", "167 h 59 min 59 s", agent="ana")
    account.chat("closed", "3 h", (True, "3 h"), closed="1 h", status="closed", raw_status="CLOSED")
    account.build()

    assert account.told(
        "select age, open_chats, unassigned, unattended_known, unattended from analytics.open_now order by age"
    ) == [("1 to 4 h", 1, 0, 1, 0), ("3 to 7 days", 1, 0, 0, 0), ("over 7 days", 1, 0, 0, 0), ("under 1 h", 1, 1, 1, 1)]
    assert account.told("select chat_id, is_unassigned, waiting_seconds from analytics.unattended") == [
        ("young", True, 59 * 60)
    ]


def test_a_window_closes_24_hours_after_the_customers_last_message(account: Account) -> None:
    account.chat("closing", "30 h", (True, "30 h"), (False, "29 h"), (True, "23 h"))
    account.chat("lapsed", "30 h", (True, "24 h"))
    account.chat("ours", "30 h", (True, "23 h"), (False, "22 h"))
    account.chat("web", "30 h", (True, "23 h"), provider="livechat")
    account.build()

    assert account.told(
        "select chat_id, minutes_left, is_lapsed, closes_at - as_of from analytics.whatsapp_windows order by 1"
    ) == [("closing", 60, False, timedelta(hours=1)), ("lapsed", 0, True, timedelta(0))]
