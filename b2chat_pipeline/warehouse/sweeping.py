"""What the books tell about asking for hours again: whether the source is down, what it would cost.

Not here: which hours (`policy/gaps.py`), what is left of the day's requests (`staleness.py`, `budget.py`).
"""

from collections.abc import Collection
from datetime import datetime

from psycopg import Connection

# `id` is that of the sync's main entity.
_NEWEST_SYNC = """
    select status, completed_at from sync_logs
     where entity_type = %s and id = metadata ->> 'sync_id' and completed_at >= %s
     order by completed_at desc limit 1
"""
_CUT_OFF = """
    select distinct metadata ->> 'run_id' from sync_logs
     where status = 'partial' and error_message is null and metadata ->> 'run_id' = any(%s)
"""
_RECORDS_PER_HOUR = "select avg(records)::float8 from ops.window_reads where endpoint = %s and hour_start >= %s"


def troubled_at(connection: Connection, entity: str, *, since: datetime) -> datetime | None:
    """When the newest sync of a side (by its main entity) ended, if nothing was loaded by it; None where it was good,
    or none has ended since then.
    """
    row = connection.execute(_NEWEST_SYNC, (entity, since)).fetchone()
    return row[1] if row and row[0] == "error" else None


def runs_cut_off(connection: Connection, run_ids: Collection[str]) -> set[str]:
    """Those of some runs that only the day's requests, or a pause that the source asked for, kept from ending well."""
    return {row[0] for row in connection.execute(_CUT_OFF, (list(run_ids),))} if run_ids else set()


def records_per_day(connection: Connection, endpoint: str, *, since: datetime) -> float:
    """How many records a day holds, on average over the hours since then that have been read; 0 where none has."""
    row = connection.execute(_RECORDS_PER_HOUR, (endpoint, since)).fetchone()
    return 24 * row[0] if row and row[0] else 0.0
