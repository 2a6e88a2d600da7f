"""Which days of closing scheduled work looks at: a day once, and again when one of its chats has changed.

Not here: which chats of a day are sent (`preparing.py`).
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from psycopg import Connection

from b2chat_pipeline.analysis.replies import MOST_ATTEMPTS, WORTH_ANOTHER
from b2chat_pipeline.windows import AccountClock

# The newest day all of whose chats have been closed for as long as eligibility asks for.
NEWEST = timedelta(days=2)
# Changes of chats that were closed longer ago are a person's to score.
OLDEST = timedelta(days=35)

# A day that was never looked at is due from the first day on that ever was: what lies before, a person asks for.
_DUE = """
    with closed as (
        select (closed_at at time zone %(zone)s)::date as day, max(last_sync_at) as changed_at
          from chats
         where closed_at >= %(start)s and closed_at < %(end)s and not is_deleted
         group by 1
    ), ended as (
        select (c.closed_at at time zone %(zone)s)::date as day, max(call.ended_at) as ended_at
          from ops.analysis_calls call
          join chats c on c.id = call.chat_id
         where c.closed_at >= %(start)s and c.closed_at < %(end)s
           and call.mode = 'batch'
           and (call.outcome = 'failed' or call.state = 'released'
                or call.outcome = any(%(worth_another)s) and call.attempt < %(most_attempts)s)
         group by 1
    )
    select day
      from closed
      left join ops.analysis_days looked using (day)
      left join ended using (day)
     where case when looked.day is not null then greatest(changed_at, ended_at) > looked.looked_at
                else day = %(newest)s or day > (select min(first.day) from ops.analysis_days first) end
     order by day
"""
_LOOKED = """
    insert into ops.analysis_days (day, looked_at) values (%s, %s)
    on conflict (day) do update set looked_at = excluded.looked_at
"""


def due_days(connection: Connection, clock: AccountClock, now: datetime) -> list[date]:
    """The days that scheduled work has to look at."""
    today = clock.day_of(now)
    values = {
        "zone": clock.zone.key,
        "newest": today - NEWEST,
        "start": clock.day_window(today - OLDEST).start,
        "end": clock.day_window(today - NEWEST).end,
        "worth_another": list(WORTH_ANOTHER),
        "most_attempts": MOST_ATTEMPTS,
    }
    return [day for (day,) in connection.execute(_DUE, values)]


def note_looked_at(connection: Connection, days: Iterable[date], now: datetime) -> None:
    """Write down that all chats of some days were looked at, as they were at a time."""
    with connection.cursor() as cursor:
        cursor.executemany(_LOOKED, [(day, now) for day in days])
