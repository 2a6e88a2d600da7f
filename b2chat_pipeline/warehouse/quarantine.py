"""The records put aside: how many there are and why, one of them in full, and taking them out again.

Here belongs reading and resolving `ops.quarantine`. Not here: putting records aside (`ledger.py`), running them through
the mapping again (`ingest/quarantine.py`).
"""

from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection
from psycopg.rows import class_row


@dataclass(frozen=True)
class Group:
    """Open records of one entity with one reason at one place. `newest_id` is the one met last."""

    entity: str
    reason: str
    json_path: str
    records: int
    first_seen_at: datetime
    last_seen_at: datetime
    newest_id: str


@dataclass(frozen=True)
class Quarantined:
    """One record as it was put aside. `raw_record` may hold personal data."""

    id: str
    entity: str
    endpoint: str
    record_key: str | None
    reason: str
    json_path: str
    raw_record: str
    record_hash: bytes
    hour_start: datetime | None
    sync_id: str
    read_at: datetime
    resolved_at: datetime | None
    resolution: str | None


_RECORD = """
    select id, entity, endpoint, record_key, reason, coalesce(json_path, '$') as json_path,
           raw_record::text as raw_record, record_hash, hour_start, sync_id, read_at, resolved_at, resolution
      from ops.quarantine
"""


def open_groups(connection: Connection) -> list[Group]:
    """What is open, by entity, reason and place; places in a list count as one. Holds no personal data."""
    with connection.cursor(row_factory=class_row(Group)) as cursor:
        return cursor.execute(
            r"""
            select entity, reason, regexp_replace(coalesce(json_path, '$'), '\[\d+\]', '[]', 'g') as json_path,
                   count(*)::int as records, min(first_seen_at) as first_seen_at, max(last_seen_at) as last_seen_at,
                   (array_agg(id order by last_seen_at desc, id desc))[1] as newest_id
              from ops.quarantine where resolved_at is null
             group by 1, 2, 3 order by 1, 2, 3
            """
        ).fetchall()


def quarantined(connection: Connection, record_id: str) -> Quarantined | None:
    """One record, open or resolved."""
    with connection.cursor(row_factory=class_row(Quarantined)) as cursor:
        return cursor.execute(_RECORD.encode() + b" where id = %s", (record_id,)).fetchone()


def open_records(
    connection: Connection, *, record_id: str | None = None, entity: str | None = None
) -> list[Quarantined]:
    """The open records, or that one, or those of an entity; in the order they were read."""
    with connection.cursor(row_factory=class_row(Quarantined)) as cursor:
        return cursor.execute(
            _RECORD.encode() + b" where resolved_at is null and (%s::text is null or id = %s)"
            b" and (%s::text is null or entity = %s) order by read_at, id",
            (record_id, record_id, entity, entity),
        ).fetchall()


def resolve(connection: Connection, record_id: str, resolution: str, *, now: datetime) -> None:
    """Mark a record as resolved: when, and how."""
    connection.execute(
        "update ops.quarantine set resolved_at = %s, resolution = %s where id = %s and resolved_at is null",
        (now, resolution, record_id),
    )


def stored_read_at(connection: Connection, entity: str, key: str | None) -> datetime | None:
    """When a chat, or a contact in full form, was read that is stored under a key of the source."""
    query = (
        "select read_at from chats where b2chat_id = %s"
        if entity == "chats"
        else "select read_at from contacts where b2chat_id = %s and is_full"
    )
    row = connection.execute(query.encode(), (key,)).fetchone()
    return row[0] if row else None
