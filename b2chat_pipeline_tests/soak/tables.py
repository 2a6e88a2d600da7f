"""Which tables grow, and what keeps each from growing for ever. Not here: the retention itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
import psycopg
from psycopg import sql

from b2chat_pipeline.event_retention import retain_events
from b2chat_pipeline.warehouse.address import psycopg_url
from b2chat_pipeline.warehouse.books_retention import retain_books
from b2chat_pipeline.warehouse.connection import connect

# A partition counts as its table.
_TABLES = """
    select n.nspname, coalesce(root.relname, c.relname), sum(pg_total_relation_size(c.oid))::bigint
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      left join pg_inherits i on i.inhrelid = c.oid
      left join pg_class root on root.oid = i.inhparent
     where c.relkind in ('r', 'm', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
     group by 1, 2
"""
# Long after everything that a retention may ever remove has become old.
_LATER = timedelta(days=400)
# What no retention removes, and why that is right.
_ACCOUNT = "the account itself, kept for ever"
_PER_HOUR = "one row of an hour and a side, or of what changed: kept for ever, see the run-book"
_PER_RUN = "one row of a run, kept for ever: Dagster knows its partitions by them"
KEPT: Mapping[str, str] = {
    **dict.fromkeys(
        ("public.departments", "public.agents", "public.contacts", "public.chats", "public.messages"), _ACCOUNT
    ),
    "public.audit_logs": "kept for ever; the data dictionary wants seven years",
    "public.api_response_logs": "weeks older than B2CHAT_RAW_RETENTION_DAYS are dropped",
    "public.sync_checkpoints": "90 days, after the pages of their read",
    **dict.fromkeys(("ops.window_reads", "ops.chat_history", "ops.message_lists", "ops.chat_absences"), _PER_HOUR),
    "ops.request_budget": "one row of a day",
    "ops.hour_loads": "as long as its pages, the newest of each hour for ever",
    **dict.fromkeys(("dagster.runs", "dagster.run_tags", "dagster.bulk_actions", "dagster.backfill_tags"), _PER_RUN),
    "dagster.asset_event_tags": "go with their events",
    "dagster.snapshots": "one of a job or plan, however many runs: a new one where the code changes",
    "dagster.job_ticks": "Dagster removes them after 30 days, 3 where nothing was done",
}


@dataclass(frozen=True)
class Size:
    """Rows and bytes of a table, indexes included."""

    rows: int
    size: int


@dataclass(frozen=True)
class Growth:
    """How a table grew between two looks, and what keeps it small; None where nothing does."""

    table: str
    rows: int
    size: int
    total_rows: int
    covered_by: str | None


def sizes(warehouse: str, dagster: str) -> dict[str, Size]:
    """All tables of both databases; those of Dagster under the name of its database."""
    ours = _sizes(warehouse)
    return ours | {f"dagster.{name.partition('.')[2]}": size for name, size in _sizes(dagster).items()}


def _sizes(url: str) -> dict[str, Size]:
    with psycopg.connect(psycopg_url(url), autocommit=True) as connection:
        found = connection.execute(_TABLES).fetchall()
        return {f"{schema}.{table}": Size(_rows(connection, schema, table), size) for schema, table, size in found}


def _rows(connection: "psycopg.Connection[tuple[int]]", schema: str, table: str) -> int:
    counted = connection.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(schema, table))).fetchone()
    return counted[0] if counted else 0


def growth(before: Mapping[str, Size], after: Mapping[str, Size], removable: Mapping[str, int]) -> list[Growth]:
    """The tables that hold more rows than before, the largest growth first."""
    grown = []
    for table, now in after.items():
        was = before.get(table, Size(0, 0))
        if now.rows > was.rows:
            covered = _covered(table, removable)
            grown.append(Growth(table, now.rows - was.rows, now.size - was.size, now.rows, covered))
    return sorted(grown, key=lambda it: -it.size)


def _covered(table: str, removable: Mapping[str, int]) -> str | None:
    if removable.get(table):
        return f"the retention would remove {removable[table]:,} of its rows"
    if table.startswith("analytics."):
        return "built of the account's days, kept as long as they are"
    return KEPT.get(table)


def removable_later(warehouse: str, instance: dg.DagsterInstance) -> dict[str, int]:
    """How many of the rows there are now the retention would remove when all of them are old: a dry run of it."""
    later = datetime.now(UTC) + _LATER
    with connect(warehouse, purpose="soak") as connection:
        books = retain_books(connection, now=later, dry_run=True)
    events = retain_events(instance, now=later, dry_run=True)
    ours = {name if "." in name else f"public.{name}": rows for name, rows in books.items()}
    return ours | {f"dagster.{name}": rows for name, rows in events.items()}
