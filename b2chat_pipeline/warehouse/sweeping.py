"""What the books tell about asking for hours: which runs were cut off, what it would cost, how long it would take.

Not here: which hours (`policy/gaps.py`), what is left of the day's requests (`staleness.py`, `budget.py`).
"""

from collections.abc import Collection
from datetime import datetime

from psycopg import Connection

from b2chat_pipeline.windows import Window

_CUT_OFF = """
    select distinct metadata ->> 'run_id' from sync_logs
     where status = 'partial' and error_message is null and metadata ->> 'run_id' = any(%s)
"""
_RECORDS_PER_HOUR = "select avg(records)::float8 from ops.window_reads where endpoint = %s and hour_start >= %s"

_RECORDS = """
    select count(*), coalesce(sum(records), 0) from ops.window_reads
     where endpoint = %s and hour_start >= %s and hour_start < %s
"""
_SECONDS_PER_PAGE = """
    with reads as (
        select extract(epoch from max(api_timestamp) - min(api_timestamp)) as seconds, count(*) - 1 as steps
          from api_response_logs where created_at >= %s and endpoint = %s group by sync_id
    )
    select (sum(seconds) / sum(steps))::float8 from reads where steps > 0
"""


def runs_cut_off(connection: Connection, run_ids: Collection[str]) -> set[str]:
    """Those of some runs that only the day's requests, or a pause that the source asked for, kept from ending well."""
    return {row[0] for row in connection.execute(_CUT_OFF, (list(run_ids),))} if run_ids else set()


def records_per_day(connection: Connection, endpoint: str, *, since: datetime) -> float:
    """How many records a day holds, on average over the hours since then that have been read; 0 where none has."""
    row = connection.execute(_RECORDS_PER_HOUR, (endpoint, since)).fetchone()
    return 24 * row[0] if row and row[0] else 0.0


def records_of_hours(connection: Connection, endpoint: str, window: Window) -> tuple[int, float]:
    """How many hours of a window have been read, and how many records those hold."""
    row = connection.execute(_RECORDS, (endpoint, window.start, window.end)).fetchone()
    return (row[0], float(row[1])) if row else (0, 0.0)


def seconds_per_page(connection: Connection, endpoint: str, *, since: datetime) -> float | None:
    """How long the reads since then took from one page to the next, what was loaded meanwhile included; None where no
    read had several pages.
    """
    row = connection.execute(_SECONDS_PER_PAGE, (since, endpoint)).fetchone()
    return row[0] if row else None
