"""Scoring by days of closing: which are due, sending theirs in batches, and how they stand.

Scheduled work looks at a day once, and again when one of its chats has changed. Not here: which chats of a day are sent
(`preparing.py`).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from psycopg import Connection

from b2chat_pipeline.analysis.batch_service import BatchService
from b2chat_pipeline.analysis.direct import Order
from b2chat_pipeline.analysis.eligibility import NOT_MEASURED, QUIET, Eligibility, eligible
from b2chat_pipeline.analysis.replies import MOST_ATTEMPTS, WORTH_ANOTHER
from b2chat_pipeline.analysis.submitting import Submission, submit
from b2chat_pipeline.analysis.terms import DatedTerms
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
_STANDING = """
    with closed as (
        select id, (closed_at at time zone %(zone)s)::date as day
          from chats
         where closed_at >= %(start)s and closed_at < %(end)s and not is_deleted
    ), newest as (
        select distinct on (score.chat_id) score.chat_id, score.analysis_data ->> 'model' as model
          from effectiveness_analysis score
          join closed on closed.id = score.chat_id
         order by score.chat_id, score.created_at desc
    ), waiting as (
        select distinct call.chat_id
          from ops.analysis_calls call
          join closed on closed.id = call.chat_id
         where call.state = 'reserved'
    )
    select day, count(*), count(newest.chat_id), count(waiting.chat_id),
           coalesce(string_agg(distinct newest.model, ', '), '')
      from closed
      left join newest on newest.chat_id = closed.id
      left join waiting on waiting.chat_id = closed.id
     group by day
"""


@dataclass(frozen=True)
class Wish:
    """The days whose chats are to be scored, by whom, and on which terms."""

    days: Sequence[date]
    terms: DatedTerms
    clock: AccountClock
    user_id: str
    is_manual: bool


@dataclass(frozen=True)
class DaysSent:
    """What was found on each day, and what was sent of it."""

    found: Mapping[date, Eligibility]
    sent: Counter[date]
    submission: Submission


@dataclass(frozen=True)
class Standing:
    """How a day stands: its chats, those with a score, those waited for, and whose scores these are."""

    chats: int = 0
    scored: int = 0
    waiting: int = 0
    models: str = ""


def submit_days(connection: Connection, service: BatchService, wish: Wish, now: Callable[[], datetime]) -> DaysSent:
    """Send the chats closed on some days in batches. Hold `scoring_alone` meanwhile. Raises MetricsMissingError."""
    began = now()
    found = {day: eligible(connection, wish.clock.day_window(day), began) for day in wish.days}
    candidates = [it for day in found.values() for it in day.candidates]
    order = Order(candidates, wish.terms, wish.clock, wish.user_id, wish.is_manual)
    submission = submit(connection, service, order, now)
    if submission.stopped is None:
        note_looked_at(connection, (day for day in found if _is_final(found[day], wish.clock, day, began)), began)
    closed_on = {it.chat_id: wish.clock.day_of(it.closed_at) for it in candidates}
    return DaysSent(found, Counter(closed_on[chat_id] for chat_id in submission.sent), submission)


def _is_final(found: Eligibility, clock: AccountClock, day: date, now: datetime) -> bool:
    """Whether no chat of a day is left to be looked at only because of the time."""
    return clock.day_window(day).end + QUIET <= now and not found.reasons.get(NOT_MEASURED)


def standing(connection: Connection, clock: AccountClock, days: Sequence[date]) -> Mapping[date, Standing]:
    """How some days stand."""
    first, last = clock.day_window(min(days)), clock.day_window(max(days))
    values = {"zone": clock.zone.key, "start": first.start, "end": last.end}
    found = {day: Standing(*counts) for day, *counts in connection.execute(_STANDING, values)}
    return {day: found.get(day, Standing()) for day in days}


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
