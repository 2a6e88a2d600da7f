"""What has been read from the API: the pages as received, how far a read has got, and which read covers an hour.

Here belong `api_response_logs`, `sync_checkpoints`, `ops.window_reads` and `ops.hour_loads`. Not here: asking for
pages, or loading them. A page and the move of its checkpoint commit together, so a read can always go on after the last
page that is stored.
"""

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from psycopg import Connection
from psycopg.types.json import Jsonb

from b2chat_pipeline.warehouse.identifiers import new_id

# A read younger than this is continued where its owner died; an older one has too many changes behind it.
CONTINUE_WITHIN = timedelta(hours=6)


@dataclass(frozen=True)
class StoredPage:
    """One page as received. `requested_at` (UTC) is what "newer" means everywhere; `params` is what was asked for.

    `id` is that of its row.
    """

    sync_id: str
    requested_at: datetime
    body: bytes
    params: Mapping[str, str | int]
    id: str


@dataclass(frozen=True)
class PageToStore:
    """A page with what is kept beside it."""

    endpoint: str
    params: dict[str, str | int]
    requested_at: datetime
    body: bytes
    records: int


@dataclass(frozen=True)
class Checkpoint:
    """How far one walk over one list has got. `text` is opaque here: the walk's own position."""

    id: str
    sync_id: str
    text: str
    started_at: datetime


def open_checkpoint(connection: Connection, *, sync_id: str, entity: str, text: str, now: datetime) -> Checkpoint:
    """Begin a read."""
    checkpoint = Checkpoint(new_id(), sync_id, text, now)
    connection.execute(
        "insert into sync_checkpoints (id, sync_id, entity_type, checkpoint, status, created_at, updated_at)"
        " values (%s, %s, %s, %s, 'active', %s, %s)",
        (checkpoint.id, sync_id, entity, text, now, now),
    )
    return checkpoint


def lease(connection: Connection, checkpoint_id: str) -> bool:
    """Whether this connection now owns the read. PostgreSQL lets go of the lease when the owner's connection ends."""
    row = connection.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", (checkpoint_id,)).fetchone()
    return row is not None and bool(row[0])


def release(connection: Connection, checkpoint_id: str) -> None:
    """Give the lease of a read back."""
    connection.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", (checkpoint_id,))


def abandoned_checkpoints(
    connection: Connection, *, entity: str, now: datetime, covering: datetime | None
) -> Iterator[Checkpoint]:
    """Unfinished reads that began after `covering` (so that they can hold all of it), are young, and whose owner died.

    Each one yielded is leased to this connection; the caller releases those it does not continue.
    """
    rows = connection.execute(
        "select id, sync_id, checkpoint, created_at from sync_checkpoints"
        " where entity_type = %s and status = 'active' and created_at >= greatest(%s::timestamptz, %s)"
        " order by created_at desc",
        (entity, covering, now - CONTINUE_WITHIN),
    ).fetchall()
    for row in rows:
        if lease(connection, row[0]):
            yield Checkpoint(*row)


def store_page(
    connection: Connection, checkpoint: Checkpoint, page: PageToStore, *, text: str, total: int | None, now: datetime
) -> StoredPage:
    """Store a page and move its checkpoint, in one transaction."""
    with connection.transaction():
        page_id = insert_page(connection, checkpoint.sync_id, page, now=now)
        connection.execute(
            "update sync_checkpoints set checkpoint = %s, total_records = coalesce(%s, total_records), updated_at = %s,"
            " processed_records = processed_records + %s, successful_records = successful_records + %s where id = %s",
            (text, total, now, page.records, page.records, checkpoint.id),
        )
    return StoredPage(checkpoint.sync_id, page.requested_at, page.body, page.params, page_id)


def insert_page(connection: Connection, sync_id: str, page: PageToStore, *, now: datetime) -> str:
    """Keep an answer as received, one that is no JSON as a JSON string; returns the id of its row."""
    page_id = new_id()
    connection.execute(
        "insert into api_response_logs (id, sync_id, endpoint, request_params, raw_response, response_size,"
        " record_count, api_timestamp, created_at) values (%s, %s, %s, %s, %s::json, %s, %s, %s, %s)",
        (
            *(page_id, sync_id, page.endpoint, Jsonb(page.params), storable_json(page.body)),
            *(len(page.body), page.records, page.requested_at, now),
        ),
    )
    return page_id


def storable_json(body: bytes) -> str:
    """A body as the text of a `json` column: as received where it is JSON, else as a JSON string."""
    text = body.decode("utf-8", "replace")
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        msgspec.json.decode(body, type=msgspec.Raw)
        return text
    try:
        # Numbers are not converted: PostgreSQL takes any, but none of Python's constants such as NaN.
        json.loads(text, parse_int=str, parse_float=str, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return json.dumps(text)
    return text


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def as_received(text: str) -> bytes:
    """What `storable_json` was given, as far as it was text."""
    return json.loads(text).encode() if text.startswith('"') else text.encode()


def finish_checkpoint(connection: Connection, checkpoint_id: str, *, status: str, now: datetime) -> None:
    """End a read: `completed` or `failed`. A read that may be continued stays active."""
    connection.execute(
        "update sync_checkpoints set status = %s, updated_at = %s, completed_at = %s where id = %s",
        (status, now, now, checkpoint_id),
    )


def stored_pages(connection: Connection, sync_id: str, endpoint: str) -> Generator[StoredPage, None, None]:
    """The pages of one read in the order they were asked for, one in memory at a time."""
    with connection.transaction(), connection.cursor(name="stored_pages") as cursor:
        cursor.itersize = 1
        cursor.execute(
            "select api_timestamp, raw_response::text, request_params, id from public.api_response_logs"
            " where sync_id = %s and endpoint = %s order by api_timestamp, id",
            (sync_id, endpoint),
        )
        for requested_at, body, params, page_id in cursor:
            yield StoredPage(sync_id, requested_at, as_received(body), params, page_id)


@dataclass(frozen=True)
class HourRead:
    """Which read covers an hour completely, and when its part of the list was asked for."""

    hour: datetime
    sync_id: str
    read_at: datetime
    records: int


def record_hours_read(connection: Connection, endpoint: str, hours: Sequence[HourRead]) -> None:
    """Remember the newest complete read of each hour; hours are given in order."""
    connection.execute(
        "insert into window_reads (endpoint, hour_start, sync_id, read_at, records)"
        " select %s, * from unnest(%s::timestamptz[], %s::text[], %s::timestamptz[], %s::int[])"
        " on conflict (endpoint, hour_start) do update"
        " set sync_id = excluded.sync_id, read_at = excluded.read_at, records = excluded.records"
        " where excluded.read_at >= window_reads.read_at",
        (
            *(endpoint, [hour.hour for hour in hours], [hour.sync_id for hour in hours]),
            *([hour.read_at for hour in hours], [hour.records for hour in hours]),
        ),
    )


def hours_read(connection: Connection, endpoint: str, hours: Sequence[datetime]) -> dict[datetime, HourRead]:
    """The newest complete read of each hour that has one."""
    rows = connection.execute(
        "select hour_start, sync_id, read_at, records from window_reads where endpoint = %s and hour_start = any(%s)",
        (endpoint, list(hours)),
    ).fetchall()
    return {row[0]: HourRead(*row) for row in rows}


def applied_reads(connection: Connection, endpoint: str, hours: Sequence[datetime]) -> dict[datetime, datetime]:
    """When the newest read was taken that each hour has been loaded from; hours never loaded are left out."""
    rows = connection.execute(
        "select hour_start, applied_read_at from window_reads"
        " where endpoint = %s and hour_start = any(%s) and applied_read_at is not null",
        (endpoint, list(hours)),
    ).fetchall()
    return dict(rows)


def mark_applied(connection: Connection, endpoint: str, hours: Mapping[datetime, datetime], *, sync_id: str) -> None:
    """Remember, by hour, when the read was taken that the tables now hold, and which one it was."""
    starts, read_at = sorted(hours), [hours[start] for start in sorted(hours)]
    connection.execute(
        "insert into hour_loads (endpoint, sync_id, hour_start, read_at)"
        " select %s, %s, * from unnest(%s::timestamptz[], %s::timestamptz[])"
        " on conflict (endpoint, hour_start, sync_id) do update"
        " set read_at = greatest(hour_loads.read_at, excluded.read_at)",
        (endpoint, sync_id, starts, read_at),
    )
    connection.execute(
        # Locked in the order in which another run records its reads of them.
        "with loaded as ("
        " select w.endpoint, w.hour_start, told.read_at"
        " from window_reads w join unnest(%s::timestamptz[], %s::timestamptz[]) as told (hour_start, read_at)"
        " using (hour_start) where w.endpoint = %s order by w.hour_start for no key update of w"
        ") update window_reads w set applied_read_at = greatest(w.applied_read_at, loaded.read_at)"
        " from loaded where w.endpoint = loaded.endpoint and w.hour_start = loaded.hour_start",
        (starts, read_at, endpoint),
    )
