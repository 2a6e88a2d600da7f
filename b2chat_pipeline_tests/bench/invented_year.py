"""A year of chats and messages made in the warehouse by SQL: to load so many would take longer than to measure.

Invented and always the same: every value follows from a chat's number. Here belong rows of the core tables as a load
leaves them. Not here: chats told by an API (`account.py`), the measures.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from psycopg import Connection, sql

from b2chat_pipeline.commands.config import apply_to
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline_tests.dagster_support import PROJECT

ZONE = ZoneInfo("America/Bogota")
FIRST_DAY = date(2025, 1, 1)
DAYS = 365
MESSAGES_PER_CHAT = 20
# Of each day, local time: chats begin evenly from seven in the morning to ten in the evening.
_MORNING, _EVENING = time(7), time(22)

# The departments of config.example.yaml: two calendars and a tree come with them.
_PLACES = """
    insert into departments (id, b2chat_code, name)
    select 'department ' || place, 'd-' || place, name
      from unnest(array['Ventas', 'Facturación', 'Soporte Técnico', 'Customer Care', 'Garantías', 'Comercial'])
           with ordinality as department (name, place)
"""
_PEOPLE = """
    insert into agents (id, b2chat_id, name, read_at)
    select 'agent ' || n, 'agent' || n, '', now() from generate_series(0, 39) as n;
    insert into contacts (id, b2chat_id, full_name, read_at, row_hash)
    select 'contact ' || n, 'contact' || n, '', now(), '' from generate_series(0, 49999) as n
"""
# 38 of 40 are closed, one of them after a survey that was answered; one in ten begins with the agent, one in fifty with
# a broadcast. Keys sort by time, as those of a load do.
_CHATS = """
    insert into chats (id, b2chat_id, agent_id, contact_id, department_id, provider, status, raw_status,
                       is_agent_available, alias, tags, created_at, opened_at, picked_up_at, response_at, closed_at,
                       duration, last_modified_at, messages_told, read_at, row_hash)
    select 'c' || lpad(to_hex(extract(epoch from created_at)::bigint), 10, '0') || left(md5(n::text), 24),
           md5('chat ' || n), 'agent ' || n * 7 %% 40, 'contact ' || n * 7919 %% 50000, 'department ' || n %% 6 + 1,
           (array['whatsapp', 'whatsapp', 'whatsapp', 'whatsapp', 'livechat', 'facebook', 'instagram'])
               [n %% 7 + 1]::chat_provider,
           case when n %% 40 in (13, 27) then 'open' else 'closed' end::chat_status,
           case n %% 40 when 13 then 'PICKED_UP' when 27 then 'RESPONDED_BY_AGENT' when 31 then 'COMPLETED_POLL'
               else 'CLOSED' end,
           n %% 11 > 0, (array['Marca Uno', 'Marca Dos'])[n %% 2 + 1],
           (array['envío', 'garantía', 'pago', 'reclamo', 'seguimiento'])[1:n %% 4],
           created_at, created_at,
           case when n %% 10 = 0 then created_at else created_at + interval '1 second' * (n * 37 %% 110) end,
           created_at + 2 * pace,
           case when n %% 40 not in (13, 27) then ended_at end,
           case when n %% 40 not in (13, 27) then extract(epoch from ended_at - created_at) end,
           ended_at, true, ended_at, ''
      from generate_series(0::bigint, %(chats)s - 1) as n
     cross join lateral (
        select %(morning)s::timestamptz + n / %(per_day)s * interval '1 day'
                   + n %% %(per_day)s * %(open_seconds)s / %(per_day)s * interval '1 second' as created_at,
               (60 + n * 7 %% 180) * interval '1 second' as pace
           ) as begun
     cross join lateral (select created_at + 20 * pace + (n * 13 %% 7200) * interval '1 second' as ended_at) as course
     order by n
"""
# Twenty of each chat, some runs longer than one message. Of a chat with a survey the last one is its rating.
_MESSAGES = """
    insert into messages (id, chat_id, text, type, raw_type, incoming, broadcasted, timestamp, position)
    select 'c' || lpad(to_hex(extract(epoch from sent_at)::bigint), 10, '0') || left(md5(chat.id || place), 24),
           chat.id, case when is_rating then '5' else repeat('bla ', 4 + place * 7 %% 20) || '?' end,
           kind::message_type, upper(kind),
           is_rating
               or substr('11010011010110010100', place + 1, 1) = '1'
               and (place > 0 or chat.picked_up_at <> chat.opened_at),
           place = 0 and chat.number %% 50 = 5, sent_at, place
      from (select *, row_number() over (order by id) as number from chats) as chat
     cross join generate_series(0, %(messages)s - 1) as place
     cross join lateral (
        select chat.raw_status = 'COMPLETED_POLL' and place = %(messages)s - 1 as is_rating,
               case (chat.number + place) %% 23 when 0 then 'image' when 1 then 'file' else 'text' end as kind
           ) as told
     cross join lateral (
        select case when is_rating then chat.closed_at + interval '1 minute'
                   else chat.created_at + place * (chat.response_at - chat.created_at) / 2 end as sent_at
           ) as clock
     order by chat.id, place
"""
# One chat in thirty was opened again, one in twenty handed over.
_HISTORY = """
    insert into ops.chat_history (chat_id, field, old, new, seen_before, seen_at, sync_id)
    select id, field, old, new, created_at + interval '1 hour', created_at + interval '2 hours', 'invented'
      from (select *, row_number() over (order by id) as number from chats) as chat
     cross join lateral (
        values ('status', 'CLOSED', 'PICKED_UP', number % 30 = 0), ('agent', 'agent 1', 'agent 2', number % 20 = 0)
           ) as change (field, old, new, happened)
     where happened
"""
_INDEXES = """
    select relname, pg_get_indexdef(indexrelid)
      from pg_index
      join pg_class on pg_class.oid = indexrelid
     where indrelid = to_regclass(%s) and not exists (select from pg_constraint where conindid = indexrelid)
"""


def make_chats(url: str, *, per_day: int, days: int = DAYS, first_day: date = FIRST_DAY) -> None:
    """Fill a migrated warehouse with chats of some days, and all they refer to but their messages."""
    morning = datetime.combine(first_day, _MORNING, ZONE)
    told = {
        "chats": per_day * days,
        "per_day": per_day,
        "morning": morning,
        "open_seconds": (datetime.combine(first_day, _EVENING, ZONE) - morning) // timedelta(seconds=1),
    }
    with connect(url, purpose="bench") as connection:
        _insert(connection, _PLACES)
        _insert(connection, _PEOPLE)
        # Before there are chats, so that it holds for all of them.
        apply_to(url, _configuration(first_day))
        with _indexed_afterwards(connection, "chats"):
            _insert(connection, _CHATS, told)
        connection.execute("vacuum analyze")


def make_messages(url: str) -> None:
    """Give all chats of a warehouse their messages, and some a history."""
    with connect(url, purpose="bench") as connection:
        with _indexed_afterwards(connection, "messages"):
            _insert(connection, _MESSAGES, {"messages": MESSAGES_PER_CHAT})
        _insert(connection, _HISTORY)
        connection.execute("vacuum analyze")


def _configuration(first_day: date) -> Mapping[str, str]:
    return {
        "B2CHAT_TIMEZONE": ZONE.key,
        "B2CHAT_START_DATE": first_day.isoformat(),
        "B2CHAT_CONFIG": str(PROJECT / "config.example.yaml"),
    }


@contextmanager
def _indexed_afterwards(connection: Connection, table: str) -> Iterator[None]:
    """Within, a table has no indexes but those of its keys: to make the others at once takes a fraction of the time."""
    indexes = connection.execute(_INDEXES, [table]).fetchall()
    for name, _ in indexes:
        connection.execute(sql.SQL("drop index {}").format(sql.Identifier(name)))
    yield
    connection.execute("set maintenance_work_mem = '256MB'")
    for _, definition in indexes:
        connection.execute(definition)


def _insert(connection: Connection, statement: str, told: Mapping[str, object] | None = None) -> None:
    """One insert that asks of no foreign key: what is referred to is there."""
    with connection.transaction():
        connection.execute("set local synchronous_commit = off; set local session_replication_role = replica")
        connection.execute(statement.encode(), told)
