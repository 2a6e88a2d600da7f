"""The load against a second server that shares nothing with the simulator, with rows written by hand."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from b2chat_pipeline.b2chat.contract import CHATS, CONTACTS
from b2chat_pipeline.ingest.sync import Order, Outcome, run_sync
from b2chat_pipeline.warehouse.accounts import SYSTEM_USER
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.windows import AccountClock
from b2chat_pipeline_tests.another_account import (
    AGENTS_BEFORE,
    AGENTS_LATER,
    CHATS_BEFORE,
    CHATS_LATER,
    CONTACTS_BEFORE,
    CONTACTS_LATER,
    DEPARTMENTS,
    MESSAGES_BEFORE,
    MESSAGES_LATER,
    TOLD_BEFORE,
    TOLD_CONTACTS_BEFORE,
    TOLD_CONTACTS_LATER,
    TOLD_LATER,
)
from b2chat_pipeline_tests.another_server import Account, other_server
from b2chat_pipeline_tests.loading_support import hours_between, rows, tools_for

CLOCK = AccountClock(ZoneInfo("America/Bogota"))
FIRST, LAST = date(2025, 3, 3), date(2025, 3, 4)
BEFORE = datetime(2025, 3, 5, 17, tzinfo=UTC)
LATER = BEFORE + timedelta(days=21)

CHAT_ROWS = """
    select c.b2chat_id, a.b2chat_id as agent, k.b2chat_id as contact, d.name as department, c.provider::text,
           c.raw_provider, c.status::text, c.raw_status, c.is_agent_available, c.alias, c.tags, c.priority::text,
           c.topic, c.unread_count, c.resolution_note, c.created_at, c.opened_at, c.picked_up_at, c.response_at,
           c.closed_at, c.duration, c.raw_duration, c.is_deleted, c.deleted_at, c.deletion_reason,
           c.last_modified_at, c.sync_version, c.messages_told, c.time_flags
      from chats c left join agents a on a.id = c.agent_id left join contacts k on k.id = c.contact_id
      left join departments d on d.id = c.department_id
     order by c.created_at
"""
MESSAGE_ROWS = """
    select c.b2chat_id as chat, m.timestamp, m.text, m.type::text, m.raw_type, m.incoming, m.broadcasted,
           m.image_url, m.file_url, m.caption, m.location, m.b2chat_message_id, m.local_image_path,
           m.local_file_path, m.media_backed_up, m.media_size, m.media_mime_type, m.time_flag,
           m.superseded_at is not null as superseded
      from messages m join chats c on c.id = m.chat_id order by c.created_at, m.timestamp, m.position
"""
CONTACT_ROWS = """
    select b2chat_id, full_name, mobile, raw_mobile, phone_number, email, identification, address, city, country,
           company, merchant_id, custom_attributes, tags, is_full, is_deleted, deleted_at, deletion_reason, time_flags,
           case when is_full then created_at end as created_at, case when is_full then updated_at end as updated_at
      from contacts order by b2chat_id
"""
AGENT_ROWS = """
    select a.b2chat_id, a.username, a.name, a.email, d.name as department, a.is_active, a.is_deleted, a.deleted_at,
           a.deletion_reason
      from agents a left join departments d on d.id = a.department_id order by a.b2chat_id
"""
DEPARTMENT_ROWS = "select b2chat_code, name, parent_id, is_leaf, is_active, path, level from departments order by name"


def ticking(start: datetime) -> Callable[[], datetime]:
    """A clock that moves on by half a second whenever it is looked at."""
    ticks = 0

    def now() -> datetime:
        nonlocal ticks
        ticks += 1
        return start + ticks * timedelta(seconds=0.5)

    return now


def load(api_url: str, url: str, *, now: datetime) -> list[Outcome]:
    """The chats of the two days, and the contacts of all days up to yesterday."""
    chats = hours_between(CLOCK, FIRST, LAST, until=now)
    contacts = hours_between(CLOCK, FIRST, CLOCK.day_of(now) - timedelta(days=1), until=now)
    with tools_for(api_url, url, CLOCK, now=ticking(now)) as tools:
        return [
            run_sync(
                Order(endpoint, hours, read=True, load=True, user_id=SYSTEM_USER, operation="manual", run_id="other"),
                tools,
            )
            for endpoint, hours in ((CHATS, chats), (CONTACTS, contacts))
        ]


def updated_chats(outcome: Outcome) -> int:
    return sum(hour["chats"].updated for hour in outcome.counts.values() if "chats" in hour)


def tables(url: str) -> dict[str, list[dict[str, Any]]]:
    queries = {
        "chats": CHAT_ROWS,
        "messages": MESSAGE_ROWS,
        "contacts": CONTACT_ROWS,
        "agents": AGENT_ROWS,
        "departments": DEPARTMENT_ROWS,
    }
    with connect(url, purpose="compare") as connection:
        return {name: rows(connection, query) for name, query in queries.items()}


def check(url: str, **by_hand: list[dict[str, Any]]) -> None:
    held = tables(url)
    for name, wanted in by_hand.items():
        assert held[name] == wanted


@pytest.mark.parametrize("counts_last_day", [True, False], ids=["to day included", "to day not included"])
def test_every_column_is_what_was_written_by_hand_now_and_three_weeks_later(
    *, counts_last_day: bool, database_url: str
) -> None:
    account = Account(TOLD_BEFORE, TOLD_CONTACTS_BEFORE, counts_last_day)
    with other_server(account) as server:
        first = load(server.url, database_url, now=BEFORE)
        check(
            database_url,
            departments=DEPARTMENTS,
            agents=AGENTS_BEFORE,
            contacts=CONTACTS_BEFORE,
            chats=CHATS_BEFORE,
            messages=MESSAGES_BEFORE,
        )

        account.chats, account.contacts = TOLD_LATER, TOLD_CONTACTS_LATER
        second = load(server.url, database_url, now=LATER)
        check(
            database_url,
            departments=DEPARTMENTS,
            agents=AGENTS_LATER,
            contacts=CONTACTS_LATER,
            chats=CHATS_LATER,
            messages=MESSAGES_LATER,
        )

        third = load(server.url, database_url, now=LATER + timedelta(hours=1))
    assert [outcome.status for outcome in (*first, *second, *third)] == ["success"] * 6
    assert [
        sum(hour["chats"].updated for hour in it.counts.values() if "chats" in hour) for it in (second[0], third[0])
    ] == [4, 0]
    assert len(account.tokens) > 6
