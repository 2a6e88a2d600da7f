"""How rebuilt tables differ from the live ones, row by row and column by column.

Here belongs what is compared, and what a window cannot judge. Not here: how the tables were rebuilt
(`ingest/replay.py`).

Rows are paired by their keys at the source, and refer to each other by these. Not compared are the times and numbers of
our own work (`last_sync_at`, `read_at`, `sync_version`), the query string of a media address, which may be a signature,
the code of a department, which depends on the order of loading, and columns that no page tells. What people share
between chats of many hours is only judged where no hour beyond the window tells newer things of it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, LiteralString, NamedTuple
from uuid import uuid4

from psycopg import Connection, ServerCursor
from psycopg.rows import dict_row

from b2chat_pipeline.warehouse.write import copy_rows
from b2chat_pipeline.windows import Window

Row = Mapping[str, Any]
Kind = Literal["differs", "only in the tables", "only in the pages"]

_ROWS_AT_ONCE = 2_000
# Selected to pair rows, to name them and to judge what they tell.
_NOT_COMPARED = {"key", "id", "read_at"}

# Without last_seen_at no page told of it: it was configured.
_DEPARTMENTS: LiteralString = """
    select name as key, id, last_seen_at
      from departments
     where name = any(%(keys)s) or (last_seen_at >= %(start)s and last_seen_at < %(end)s)
     order by name collate "C"
"""
_AGENTS: LiteralString = """
    select a.b2chat_id as key, a.id, a.username, a.name, a.email, d.name as department_id, a.department_seen_at,
           a.last_seen_at, a.read_at
      from agents a left join departments d on d.id = a.department_id
     where a.b2chat_id = any(%(keys)s) or a.last_seen_at is null
        or (a.last_seen_at >= %(start)s and a.last_seen_at < %(end)s)
     order by a.b2chat_id collate "C"
"""
_CONTACTS: LiteralString = """
    select b2chat_id as key, id, full_name, mobile, raw_mobile, phone_number, email, identification, address, city,
           country, company, merchant_id, custom_attributes, tags, is_full, time_flags, row_hash,
           case when is_full then created_at end as created_at, case when is_full then updated_at end as updated_at,
           last_seen_at, read_at
      from contacts
     where b2chat_id = any(%(keys)s) or (last_seen_at is null and not is_full)
        or (last_seen_at >= %(start)s and last_seen_at < %(end)s)
        or (is_full and updated_at >= %(start)s and updated_at < %(end)s)
     order by b2chat_id collate "C"
"""
_CHATS: LiteralString = """
    select c.b2chat_id as key, c.id, a.b2chat_id as agent_id, k.b2chat_id as contact_id, d.name as department_id,
           c.provider, c.raw_provider, c.status, c.raw_status, c.is_agent_available, c.alias, c.tags, c.unread_count,
           c.created_at, c.opened_at, c.picked_up_at, c.response_at, c.closed_at, c.duration, c.raw_duration,
           c.time_flags, c.last_modified_at, c.row_hash, c.messages_hash, c.messages_told, c.is_deleted, c.deleted_at,
           c.deletion_reason
      from chats c
      left join agents a on a.id = c.agent_id
      left join contacts k on k.id = c.contact_id
      left join departments d on d.id = c.department_id
     where c.b2chat_id = any(%(keys)s) or (c.created_at >= %(start)s and c.created_at < %(end)s)
     order by c.b2chat_id collate "C"
"""
_MESSAGES: LiteralString = """
    select m.id as key, m.id, c.b2chat_id as chat_id, m.text, m.type, m.raw_type, m.incoming, m.broadcasted,
           split_part(m.image_url, '?', 1) as image_url, split_part(m.file_url, '?', 1) as file_url, m.caption,
           m.location, m.position, m.timestamp, m.time_flag, m.superseded_at is not null as superseded_at
      from messages m join chats c on c.id = m.chat_id
     where c.b2chat_id = any(%(keys)s) or (c.created_at >= %(start)s and c.created_at < %(end)s)
     order by m.id collate "C"
"""


class Difference(NamedTuple):
    """One row that differs; `id` is its key in the live table, or in the rebuilt one where the live one lacks it."""

    table_name: str
    id: str
    kind: Kind
    columns: list[str]


@dataclass(frozen=True)
class Rebuilt:
    """Of which window tables were rebuilt, and when that began by the server's clock."""

    window: Window
    began: datetime


@dataclass
class TableCompared:
    """What the comparison of a table has found.

    `rows` counts the rows of both sides, a pair as one; of `partly` of them not every column could be judged.
    """

    table: str
    rows: int = 0
    partly: int = 0
    differences: list[Difference] = field(default_factory=list)

    def count(self, kind: Kind) -> int:
        """How many differences of a kind there are."""
        return sum(difference.kind == kind for difference in self.differences)


class _Comparison(NamedTuple):
    """The keys of a table's rebuilt rows, its rows on either side, and the columns of a pair that are not judged."""

    keys: LiteralString
    rows: LiteralString
    unjudged: Callable[[Row, Row, Rebuilt], set[str]]


def compare_tables(live: Connection, side: Connection, rebuilt: Rebuilt) -> list[TableCompared]:
    """Compare the five tables of two connections, and write every difference into the side schema's `differences`.

    `live` is in a transaction, whose snapshot is compared.
    """
    compared = []
    for table, comparison in _COMPARISONS.items():
        found = _compared(table, comparison, live, side, rebuilt)
        copy_rows(side, "differences", Difference._fields, found.differences)
        compared.append(found)
    return compared


def _compared(
    table: str, comparison: _Comparison, live: Connection, side: Connection, rebuilt: Rebuilt
) -> TableCompared:
    keys = [row[0] for row in side.execute(comparison.keys)]
    values = {"keys": keys, "start": rebuilt.window.start, "end": rebuilt.window.end}
    found = TableCompared(table)
    with side.transaction():
        for told, again in _paired(_rows(live, comparison.rows, values), _rows(side, comparison.rows, values)):
            found.rows += 1
            if told is not None and again is not None:
                unjudged = comparison.unjudged(told, again, rebuilt)
                found.partly += bool(unjudged)
                names = [
                    name
                    for name in told
                    if name not in _NOT_COMPARED and name not in unjudged and told[name] != again[name]
                ]
                if names:
                    found.differences.append(Difference(table, told["id"], "differs", names))
            elif told is not None:
                found.differences.append(Difference(table, told["id"], "only in the tables", []))
            elif again is not None:
                found.differences.append(Difference(table, again["id"], "only in the pages", []))
    return found


def _rows(connection: Connection, query: LiteralString, values: Mapping[str, object]) -> Iterator[Row]:
    """The rows of a query, few in memory at a time."""
    with ServerCursor(connection, f"rows_{uuid4().hex}", row_factory=dict_row) as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        cursor.execute(query, values)
        yield from cursor


def _paired(live: Iterator[Row], side: Iterator[Row]) -> Iterator[tuple[Row | None, Row | None]]:
    """The rows of two sides, both in the order of their keys, in pairs of one key; None where a side lacks it."""
    told, again = next(live, None), next(side, None)
    while told is not None or again is not None:
        if again is None or (told is not None and told["key"] < again["key"]):
            yield told, None
            told = next(live, None)
        elif told is None or again["key"] < told["key"]:
            yield None, again
            again = next(side, None)
        else:
            yield told, again
            told, again = next(live, None), next(side, None)


def _all_judged(_told: Row, _again: Row, _rebuilt: Rebuilt) -> set[str]:
    """Whatever is told of a chat is told by the reads of its own hour."""
    return set()


def _told_beyond(told: Row, again: Row, column: str, window: Window) -> bool:
    """Whether the newest chat that decides a column was created outside the window."""
    seen_at = told[column]
    return seen_at is not None and (seen_at >= window.end or (seen_at < window.start and again[column] is None))


def _department_unjudged(told: Row, again: Row, rebuilt: Rebuilt) -> set[str]:
    return {"last_seen_at"} if _told_beyond(told, again, "last_seen_at", rebuilt.window) else set()


def _agent_unjudged(told: Row, again: Row, rebuilt: Rebuilt) -> set[str]:
    unjudged = set()
    if _told_beyond(told, again, "last_seen_at", rebuilt.window):
        unjudged |= {"last_seen_at"}
    if _told_beyond(told, again, "department_seen_at", rebuilt.window):
        unjudged |= {"department_id", "department_seen_at"}
    if told["read_at"] > again["read_at"]:
        unjudged |= {"name", "email"}
    return unjudged


def _contact_unjudged(told: Row, again: Row, rebuilt: Rebuilt) -> set[str]:
    unjudged = set()
    if _told_beyond(told, again, "last_seen_at", rebuilt.window):
        unjudged |= {"last_seen_at"}
    if _contact_told_beyond(told, again, rebuilt.window):
        unjudged |= told.keys() - {"last_seen_at"}
    if again["is_full"]:
        # Where the source does not tell them, they are times of our own work.
        unjudged |= {column for column in ("created_at", "updated_at") if again[column] >= rebuilt.began}
    return unjudged


def _contact_told_beyond(told: Row, again: Row, window: Window) -> bool:
    """Whether a contact's own values come from an hour outside the window: full ones go by when it was updated."""
    if not told["is_full"]:
        return not again["is_full"] and bool(told["read_at"] > again["read_at"])
    if told["updated_at"] in window:
        return False
    return not again["is_full"] or bool(told["updated_at"] >= window.end)


# By table, in the order in which rows refer to each other.
_COMPARISONS: Mapping[str, _Comparison] = {
    "departments": _Comparison("select name from departments", _DEPARTMENTS, _department_unjudged),
    "agents": _Comparison("select b2chat_id from agents", _AGENTS, _agent_unjudged),
    "contacts": _Comparison("select b2chat_id from contacts", _CONTACTS, _contact_unjudged),
    "chats": _Comparison("select b2chat_id from chats", _CHATS, _all_judged),
    "messages": _Comparison("select b2chat_id from chats", _MESSAGES, _all_judged),
}
