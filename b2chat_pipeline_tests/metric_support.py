"""Puts chats of the reference into a warehouse, builds the core models over them, and reads what these say."""

from collections.abc import Sequence
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from b2chat_pipeline.ingest.vocabulary import chat_status
from b2chat_pipeline.transform.build import build
from b2chat_pipeline.transform.project import FOLDER, read_project
from b2chat_pipeline.transform.target import Days, Target
from b2chat_pipeline_tests.dagster_support import PROJECT
from b2chat_pipeline_tests.metric_reference import Change, Chat, Message, Row

CORE = ("counted_chats", "message_turns", "chat_metrics")
_MODELS = read_project(PROJECT / FOLDER)
_METRICS = """
    with m as ({query})
    select m.*, case when m.active_spans is not null then (
               select coalesce(sum(extract(epoch from upper(span) - lower(span))), 0)::integer
                 from unnest(m.active_spans) as span
           ) end as active_seconds
      from m
"""
_TURNS = "with t as ({query}) select * from t order by chat_id, turn_number"


def store(connection: Connection, chats: Sequence[Chat]) -> None:
    """Make some chats all that the core tables hold."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("delete from messages; delete from chats; delete from ops.chat_history; delete from departments")
        cursor.execute("delete from agents; delete from contacts")
        departments = sorted({(chat.department_id, chat.department) for chat in chats if chat.department_id})
        cursor.executemany(
            "insert into departments (id, b2chat_code, name) values (%s, %s, %s)",
            [(key, key, name) for key, name in departments],
        )
        cursor.executemany(
            "insert into agents (id, b2chat_id, name, read_at) values (%s, %s, '', now())",
            [(key, key) for key in sorted({chat.agent_id for chat in chats if chat.agent_id})],
        )
        cursor.executemany(
            "insert into contacts (id, b2chat_id, full_name, read_at, row_hash) values (%s, %s, '', now(), '')",
            [(key, key) for key in sorted({chat.contact_id for chat in chats if chat.contact_id})],
        )
        for chat in chats:
            _store(cursor, chat)


def _store(cursor: Any, chat: Chat) -> None:  # noqa: ANN401 - a cursor of whatever rows
    cursor.execute(
        "insert into chats (id, b2chat_id, provider, status, raw_status, priority, department_id, is_agent_available,"
        " tags, created_at, opened_at, picked_up_at, response_at, closed_at, time_flags, is_deleted, agent_id,"
        " contact_id, alias, row_hash, read_at)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, '', %s)",
        (
            *(chat.key, f"b-{chat.key}", chat.provider, chat_status(chat.raw_status), chat.raw_status, chat.priority),
            *(chat.department_id, chat.available, list(chat.tags), chat.created, chat.opened, chat.picked_up),
            *(chat.response, chat.closed, list(chat.time_flags), chat.is_deleted, chat.agent_id, chat.contact_id),
            *(chat.alias, chat.created),
        ),
    )
    cursor.executemany(
        "insert into messages (id, chat_id, text, type, raw_type, incoming, broadcasted, media_backed_up, timestamp,"
        " position, superseded_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            (
                *(f"{chat.key}-{place:03}", chat.key, it.text, it.kind, it.kind.upper(), it.incoming, it.broadcasted),
                # Of two neighbours at one place the key decides.
                *(it.backed_up, it.at, place // 2, it.at if it.superseded else None),
            )
            for place, it in enumerate(chat.messages)
        ],
    )
    cursor.executemany(
        "insert into ops.chat_history (chat_id, field, old, new, seen_before, seen_at, sync_id)"
        " values (%s, %s, %s, %s, %s, %s, 'a sync')",
        [(chat.key, it.field, it.old, it.new, it.seen_before, it.seen_at) for it in chat.history],
    )


def build_core(connection: Connection, zone: str, days: Days | None = None, also: Sequence[str] = ()) -> None:
    """Build the core models, all days or some, the view that scoring reads of them, and others that are asked for."""
    target = Target(_MODELS, {"time_zone": zone})
    for name in (*CORE, "scoring_candidates", *also):
        build(connection, target, _MODELS.models[name], days)


def measured(connection: Connection, query: str = "select * from analytics.chat_metrics") -> dict[str, Row]:
    """What chat_metrics says of each chat, by its key; or what a query says that stands for it."""
    return {row["chat_id"]: row for row in _rows(connection, _METRICS.format(query=query))}


def turns(connection: Connection, query: str = "select * from analytics.message_turns") -> dict[str, list[Row]]:
    """What message_turns says of each chat, by its key; or what a query says that stands for it."""
    found: dict[str, list[Row]] = {}
    for row in _rows(connection, _TURNS.format(query=query)):
        found.setdefault(row["chat_id"], []).append(row)
    return found


def stored_chats(connection: Connection) -> list[Chat]:
    """The chats that the tables hold, as the reference knows them."""
    messages: dict[str, list[Message]] = {}
    for row in _rows(connection, "select * from messages order by chat_id, timestamp, position, id"):
        messages.setdefault(row["chat_id"], []).append(
            Message(
                *(row["timestamp"], row["incoming"], row["text"], row["broadcasted"], row["type"]),
                *(row["media_backed_up"], row["superseded_at"] is not None),
            )
        )
    changes: dict[str, list[Change]] = {}
    for row in _rows(connection, "select * from ops.chat_history"):
        change = Change(*(row[name] for name in ("field", "old", "new", "seen_before", "seen_at")))
        changes.setdefault(row["chat_id"], []).append(change)
    query = "select c.*, d.name as department from chats c left join departments d on d.id = c.department_id"
    return [
        Chat(
            *(row["id"], row["created_at"], row["raw_status"], row["opened_at"], row["picked_up_at"]),
            *(row["response_at"], row["closed_at"], row["provider"], row["priority"], row["department"]),
            *(
                row["is_agent_available"],
                tuple(row["tags"]),
                tuple(row["time_flags"]),
                tuple(messages.get(row["id"], ())),
            ),
            tuple(changes.get(row["id"], ())),
            **{name: row[name] for name in ("department_id", "agent_id", "contact_id", "alias")},
        )
        for row in _rows(connection, f"{query} where not c.is_deleted")
    ]


def differences(expected: Row, found: Row) -> dict[str, tuple[Any, Any]]:
    """The columns in which a row differs from what the reference says of it, with both values."""
    return {name: (value, found[name]) for name, value in expected.items() if not _same(value, found[name])}


def _same(one: object, other: object) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return abs(one - other) < 1e-6
    return one == other


def _rows(connection: Connection, query: str) -> Sequence[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode()).fetchall()
