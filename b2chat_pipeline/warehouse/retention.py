"""How long raw pages are kept: whole weeks are dropped, and the weeks to come are made ahead.

Here belongs the retention of `api_response_logs`. Not here: making a partition (`database.py`), loading from pages that
are gone, which is refused (`ingest/sync.py`).
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from psycopg import Connection, errors, sql

from b2chat_pipeline.warehouse.database import ensure_weekly_partitions

# While a drop waits for readers of the parent table, everybody else waits behind it.
_PATIENCE = "5s"
_WEEKS = r"""
    select c.relname, (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''([^'']+)''\)'))[1]::timestamptz
      from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where i.inhparent = 'public.api_response_logs'::regclass and pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT'
     order by 2
"""


@dataclass
class Retained:
    """What a retention has done: weeks dropped, not dropped because they are in use, made ahead, and kept."""

    dropped: list[str] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)
    ahead: list[str] = field(default_factory=list)
    kept: int = 0
    # Rows for which there was no week; making the week moves them.
    default_rows: int = 0


def retain_raw_pages(connection: Connection, *, keep: timedelta, now: datetime, dry_run: bool = False) -> Retained:
    """Drop the weeks that ended before `now - keep`, and make those ahead. The connection is in autocommit mode."""
    done = Retained()
    for name, end in connection.execute(_WEEKS).fetchall():
        if end > now - keep:
            done.kept += 1
        elif dry_run or _dropped(connection, name):
            done.dropped.append(name)
        else:
            done.busy.append(name)
    if not dry_run:
        done.ahead = ensure_weekly_partitions(connection, now=now)
        done.kept += len(done.ahead)
    row = connection.execute("select count(*) from api_response_logs_default").fetchone()
    done.default_rows = row[0] if row else 0
    return done


def _dropped(connection: Connection, name: str) -> bool:
    """Whether a week could be dropped; false where somebody reads from it."""
    try:
        with connection.transaction():
            connection.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(_PATIENCE)))
            connection.execute(sql.SQL("drop table {}").format(sql.Identifier("public", name)))
    except errors.LockNotAvailable:
        return False
    return True
