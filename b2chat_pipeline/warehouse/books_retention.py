"""How long the books of the warehouse are kept: the retention table of the data dictionary, and what it leaves open.

Here belongs which rows are still needed although they are old. Not here: raw pages, which go by whole weeks
(`retention.py`), Dagster's own events (`event_retention.py`).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg import Connection, sql

from b2chat_pipeline.warehouse.removal import remove


@dataclass(frozen=True)
class _Kept:
    """How long the rows of a table are kept, and which of the older ones are not needed any more."""

    table: str
    days: int
    removable: sql.SQL


_BOOKS = (
    # Kept: syncs that are open; complete reads of all contacts, which say when the next one is due; and syncs that only
    # the day's requests cut off, for by them the sensor `gaps` knows an attempt that was not in vain.
    _Kept(
        "sync_logs",
        90,
        sql.SQL(
            "t.started_at < %(before)s and t.status <> 'in_progress'"
            " and not (t.operation = 'full' and t.status = 'success')"
            " and not (t.status = 'partial' and t.error_message is null)"
        ),
    ),
    # A replay counts by them whether all pages of a read are still there.
    _Kept(
        "sync_checkpoints",
        90,
        sql.SQL(
            "t.updated_at < %(before)s and not exists"
            " (select from api_response_logs page where page.sync_id = t.sync_id offset 0)"
        ),
    ),
    _Kept("error_logs", 90, sql.SQL("t.timestamp < %(before)s")),
    # What people were told of and what still lasts is rewritten when it is over.
    _Kept(
        "notifications",
        30,
        sql.SQL(
            "t.created_at < %(before)s and not exists"
            " (select from ops.incidents i where i.id = t.metadata ->> 'incident' and i.over_at is null)"
        ),
    ),
    _Kept("ops.incidents", 90, sql.SQL("t.over_at < %(before)s")),
    _Kept("ops.outbox", 30, sql.SQL("coalesce(t.sent_at, t.given_up_at) < %(before)s")),
    # A day is read again some hundred times: what became of the records of an hour stays, of its newest load.
    _Kept(
        "ops.ledger",
        90,
        sql.SQL(
            "t.loaded_at < %(before)s and exists (select from ops.ledger newer where newer.entity = t.entity"
            " and newer.hour_start = t.hour_start and newer.loaded_at > t.loaded_at offset 0)"
        ),
    ),
)


def retain_books(connection: Connection, *, now: datetime, dry_run: bool = False) -> dict[str, int]:
    """Remove what is older than its retention, and not needed any more; how many rows of each table.

    The connection is in autocommit mode. A dry run removes nothing, and tells what would be.
    """
    return {
        kept.table: remove(
            connection, kept.table, kept.removable, {"before": now - timedelta(days=kept.days)}, dry_run=dry_run
        )
        for kept in _BOOKS
    }
