"""How long raw pages are kept: whole weeks are dropped, and the weeks to come are made ahead.

Here belongs the retention of `api_response_logs`, and of what `ops.hour_loads` says of pages that are gone. Not here:
making a partition (`database.py`), loading from pages that are gone, which is refused (`ingest/sync.py`).
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
# Loads of an hour from reads of which no page is left, but for the newest: by it a rebuild of the hour is refused.
# Weeks that a dry run would drop count as dropped.
_SPENT = sql.SQL("""
    with old as (select distinct endpoint, sync_id from ops.hour_loads where read_at < %(before)s),
    gone as (
        select endpoint, sync_id from old o
         where not exists (
               select from public.api_response_logs p
                where p.sync_id = o.sync_id and p.endpoint = o.endpoint
                  and p.tableoid::regclass::text <> all(%(weeks)s))
    ), spent as (
        select endpoint, hour_start, sync_id,
               row_number() over (partition by endpoint, hour_start order by read_at desc, sync_id) as place
          from ops.hour_loads join gone using (endpoint, sync_id)
    )
""")
_COUNT_SPENT = sql.SQL("{} select count(*) from spent where place > 1").format(_SPENT)
_DROP_SPENT = sql.SQL(
    "{} delete from ops.hour_loads l using spent s where s.place > 1"
    " and (l.endpoint, l.hour_start, l.sync_id) = (s.endpoint, s.hour_start, s.sync_id)"
).format(_SPENT)


@dataclass
class Retained:
    """What a retention has done: weeks dropped, not dropped because they are in use, made ahead, and kept."""

    dropped: list[str] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)
    ahead: list[str] = field(default_factory=list)
    kept: int = 0
    # Rows for which there was no week; making the week moves them.
    default_rows: int = 0
    # Rows of `ops.hour_loads` dropped, since no page is left of what they name.
    hour_loads: int = 0


def retain_raw_pages(connection: Connection, *, keep: timedelta, now: datetime, dry_run: bool = False) -> Retained:
    """Drop the weeks that ended before `now - keep`, and make those ahead. The connection is in autocommit mode.

    A dry run drops and makes nothing, and tells what would be dropped.
    """
    done = Retained()
    for name, end in connection.execute(_WEEKS).fetchall():
        if end > now - keep:
            done.kept += 1
        elif dry_run or _dropped(connection, name):
            done.dropped.append(name)
        else:
            done.busy.append(name)
    spent = {"before": now - keep, "weeks": done.dropped}
    if dry_run:
        ((done.hour_loads,),) = connection.execute(_COUNT_SPENT, spent).fetchall()
    else:
        done.hour_loads = connection.execute(_DROP_SPENT, spent).rowcount
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
