"""The schema that a rebuild from stored pages fills: the same tables as the live ones, empty, beside them.

Here belongs making it, one rebuild at a time, and what the books say of the reads to repeat. Not here: filling it
(`ingest/replay.py`), comparing it with the live tables (`differences.py`). Statements of the write path name no schema:
on the connection of a rebuild they find these tables and no others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection, errors, sql

from b2chat_pipeline.settings import OperatorError
from b2chat_pipeline.windows import Window

SIDE = "b2chat_replay"
# All that a load reads or writes, but for the pages.
_TABLES = {
    "public": ("departments", "agents", "contacts", "chats", "messages", "sync_logs", "sync_states"),
    "ops": (
        *("window_reads", "hour_loads", "chat_history", "chat_absences", "message_lists", "ledger", "quarantine"),
        "contract_drift",
    ),
}
_DIFFERENCES = "create table {}.differences (table_name text, id text, kind text, columns text[])"


class ReplayRunningError(OperatorError):
    """Another rebuild holds the side schema."""


class SideSchemaError(OperatorError):
    """The side schema cannot be made."""


@dataclass(frozen=True)
class HourLoad:
    """One read that an hour was loaded from, and when its part of the list was asked for."""

    hour: datetime
    sync_id: str
    read_at: datetime


def hold_side_schema(connection: Connection) -> None:
    """Make this connection the only one that rebuilds, until it ends. Raises ReplayRunningError."""
    try:
        with connection.transaction():
            # PostgreSQL takes a moment to notice that the connection of one just ended is gone.
            connection.execute("set local lock_timeout = '2s'")
            connection.execute("select pg_advisory_lock(hashtextextended('b2chat replay', 0))")
    except errors.LockNotAvailable:
        text = "another replay is running in this database: wait until it ends, then run this again."
        raise ReplayRunningError(text) from None


def make_side_schema(connection: Connection) -> datetime:
    """Drop what the last rebuild left, make empty tables, and let this connection write into them alone.

    Returns the server's time before any row is written. Raises SideSchemaError.
    """
    try:
        with connection.transaction():
            connection.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(SIDE)))
            connection.execute(sql.SQL("create schema {}").format(sql.Identifier(SIDE)))
            for schema, tables in _TABLES.items():
                for table in tables:
                    # What can be made again at any time needs no write-ahead log.
                    statement = sql.SQL("create unlogged table {} (like {} including all)")
                    names = sql.Identifier(SIDE, table), sql.Identifier(schema, table)
                    connection.execute(statement.format(*names))
            connection.execute(sql.SQL(_DIFFERENCES).format(sql.Identifier(SIDE)))
    except errors.InsufficientPrivilege:
        raise SideSchemaError(
            f"schema {SIDE} cannot be made: let the user of B2CHAT_DATABASE_URL create schemas in the database, and"
            " own the one that is there."
        ) from None
    except errors.LockNotAvailable:
        raise SideSchemaError(
            f"schema {SIDE} of the last replay is still being read: end those queries, then run this again."
        ) from None
    connection.execute(sql.SQL("set search_path to {}").format(sql.Identifier(SIDE)))
    began: datetime
    ((began,),) = connection.execute("select clock_timestamp()").fetchall()
    return began


def hour_loads(connection: Connection, endpoint: str, window: Window) -> list[HourLoad]:
    """The reads that the hours of a window were loaded from."""
    rows = connection.execute(
        "select hour_start, sync_id, read_at from hour_loads"
        " where endpoint = %s and hour_start >= %s and hour_start < %s order by hour_start, read_at",
        (endpoint, window.start, window.end),
    )
    return [HourLoad(*row) for row in rows]


def reads_without_pages(connection: Connection, endpoint: str, entity: str, sync_ids: Sequence[str]) -> set[str]:
    """Those of some reads of which not all records are stored any more."""
    rows = connection.execute(
        """
        with read as (
            select sync_id, sum(processed_records) as records from sync_checkpoints
             where entity_type = %(entity)s and sync_id = any(%(reads)s) group by 1
        ), kept as (
            select sync_id, sum(record_count) as records from api_response_logs
             where endpoint = %(endpoint)s and sync_id = any(%(reads)s) group by 1
        )
        select r.sync_id from read r left join kept k using (sync_id)
         where k.records is null or k.records < r.records
        """,
        {"entity": entity, "endpoint": endpoint, "reads": list(sync_ids)},
    )
    return {row[0] for row in rows}
