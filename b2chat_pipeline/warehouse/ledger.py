"""What became of every record: counts per entity and hour, and the records put aside.

Here belong `ops.ledger`, and putting records into `ops.quarantine`. Not here: deciding what fits (`ingest/`), taking
records out again (`quarantine.py`).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from hashlib import blake2b
from typing import Any

import msgspec
from psycopg import Connection, sql

from b2chat_pipeline.warehouse.identifiers import new_id


@dataclass
class Counts:
    """What became of the records of one entity in one hour. All terms but `received` add up to it.

    What a chat holds is counted with it, loaded or put aside; a record outside the hours asked for is not opened.
    """

    received: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    repeated: int = 0
    older: int = 0
    quarantined: int = 0
    outside: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    @property
    def accounted(self) -> int:
        """The records whose fate is known."""
        return sum(getattr(self, field.name) for field in fields(self) if field.name != "received")

    @property
    def loaded(self) -> int:
        """The records that are now in the table as told."""
        return self.inserted + self.updated + self.unchanged


@dataclass(frozen=True)
class Rejected:
    """A record to put aside."""

    entity: str
    endpoint: str
    record_key: str | None
    reason: str
    json_path: str
    raw_record: str
    hour: datetime | None
    read_at: datetime


_COUNTERS = [field.name for field in fields(Counts)]
# All rows in one statement: an hour and entity each, a hundred of them for a day.
_ADD = sql.SQL(
    "insert into ledger (sync_id, entity, hour_start, loaded_at, {columns})"
    " select %s, entity, hour_start, %s, {columns}"
    " from jsonb_to_recordset(%s) as counted (entity text, hour_start timestamptz, {types})"
    " on conflict (sync_id, entity, hour_start) do update set loaded_at = excluded.loaded_at, {sums}"
).format(
    columns=sql.SQL(", ").join(map(sql.Identifier, _COUNTERS)),
    types=sql.SQL(", ").join(sql.SQL("{} int").format(sql.Identifier(name)) for name in _COUNTERS),
    sums=sql.SQL(", ").join(
        sql.SQL("{0} = ledger.{0} + excluded.{0}").format(sql.Identifier(name)) for name in _COUNTERS
    ),
)


def write_ledger(
    connection: Connection, sync_id: str, counts: Mapping[tuple[str, datetime], Counts], *, now: datetime
) -> None:
    """Add the counts of (entity, hour) to the sync's page of the ledger."""
    rows = [
        {"entity": entity, "hour_start": hour, **{name: getattr(of_hour, name) for name in _COUNTERS}}
        for (entity, hour), of_hour in counts.items()
    ]
    connection.execute(_ADD, (sync_id, now, msgspec.json.encode(rows).decode()))


# The query string of a media URL may be a signature that changes with each answer.
_SIGNATURE = re.compile(r"(https?://[^\s\"?]*)\?[^\s\"]*")


def record_hash(record_key: str | None, raw_record: str) -> bytes:
    """Tells records apart, however often and with whatever signatures they are told. Parts of two chats may look alike,
    hence the key.
    """
    lasting = _SIGNATURE.sub(r"\1", raw_record)
    return blake2b(f"{record_key or ''}\x1f{lasting}".encode(), digest_size=16).digest()


def put_aside(connection: Connection, sync_id: str, rejected: Iterable[Rejected], *, now: datetime) -> None:
    """Keep records that do not fit, each once however often it is told; one that had been resolved is open again."""
    rows: list[tuple[Any, ...]] = [
        (
            *(new_id(), record.entity, record.endpoint, record.record_key, record.reason, record.json_path),
            *(record.raw_record, record_hash(record.record_key, record.raw_record), record.hour),
            *(sync_id, record.read_at, now, now),
        )
        for record in rejected
    ]
    rows.sort(key=lambda row: bytes(row[7]))
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into quarantine (id, entity, endpoint, record_key, reason, json_path, raw_record, record_hash,"
            " hour_start, sync_id, read_at, first_seen_at, last_seen_at)"
            " values (%s, %s, %s, %s, %s, %s, %s::json, %s, %s, %s, %s, %s, %s)"
            " on conflict (entity, record_hash, reason) do update"
            " set last_seen_at = excluded.last_seen_at, occurrences = quarantine.occurrences + 1,"
            " sync_id = excluded.sync_id, read_at = excluded.read_at, resolved_at = null, resolution = null",
            rows,
        )
