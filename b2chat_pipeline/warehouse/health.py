"""What the warehouse tells about the pipeline's health: figures only, which `policy/health.py` judges.

Not here: how stale the days are (`staleness.py`), the day's requests (`budget.py`).
"""

from datetime import datetime

from psycopg import Connection

_LOADED_UNTIL = """
    select max(hour_start) + interval '1 hour' from ops.window_reads
     where endpoint = %s and applied_read_at is not null
"""
_QUARANTINE = """
    select count(*) filter (where resolved_at is null), count(*) filter (where first_seen_at >= %s) from ops.quarantine
"""
_RECEIVED = "select coalesce(sum(received), 0)::bigint from ops.ledger where loaded_at >= %s"
_NEW_DEPARTURES = """
    select endpoint || ' ' || path || ': ' || kind from ops.contract_drift
     where first_seen_at >= %s order by first_seen_at, endpoint, path, kind
"""
# The first week that does not begin where one before it ends, is where raw pages would lack theirs.
_WEEKS = r"""
    with weeks as (
        select (bound[1])::timestamptz as start, (bound[2])::timestamptz as stop
          from pg_inherits i
          join pg_class c on c.oid = i.inhrelid
         cross join regexp_match(pg_get_expr(c.relpartbound, c.oid), '''([^'']+)''\) TO \(''([^'']+)''') told (bound)
         where i.inhparent = 'public.api_response_logs'::regclass and bound is not null
    )
    select min(w.stop) from weeks w
     where w.stop > %(now)s and not exists (select from weeks next where next.start = w.stop)
"""
_AUDITED = """
    select count(*), count(*) filter (where not exists (
               select from audit_logs a where a.request_id = s.id and a.event_type = 'sync.complete'))
      from sync_logs s
     where s.completed_at >= %s and s.id = s.metadata ->> 'sync_id'
"""


def loaded_until(connection: Connection, endpoint: str) -> datetime | None:
    """The end of the newest hour that was read completely and loaded."""
    ((until,),) = connection.execute(_LOADED_UNTIL, (endpoint,)).fetchall()
    return until  # type: ignore[no-any-return]


def quarantined(connection: Connection, *, since: datetime) -> tuple[int, int, int]:
    """The records in quarantine that are open; those first put aside since then; and all received since then."""
    ((still_open, put_aside),) = connection.execute(_QUARANTINE, (since,)).fetchall()
    ((received,),) = connection.execute(_RECEIVED, (since,)).fetchall()
    return still_open, put_aside, received


def new_departures(connection: Connection, *, since: datetime) -> list[str]:
    """How the API departed from its contract for the first time since then: where, and in which way; no values."""
    return [told for (told,) in connection.execute(_NEW_DEPARTURES, (since,))]


def weeks_ahead(connection: Connection, *, now: datetime) -> tuple[datetime | None, int]:
    """Until when raw pages have a week, without a break; and how many rows lie outside any week."""
    ((until,),) = connection.execute(_WEEKS, {"now": now}).fetchall()
    ((strays,),) = connection.execute("select count(*) from api_response_logs_default").fetchall()
    return until, strays


def audited_syncs(connection: Connection, *, since: datetime) -> tuple[int, int]:
    """The syncs that ended since then, and those of them that audit_logs does not tell of."""
    ((syncs, without),) = connection.execute(_AUDITED, (since,)).fetchall()
    return syncs, without
