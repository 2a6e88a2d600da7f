"""Which days are to be read again now: what the tables hold of them, put before the policy.

Not here: the decision itself (`policy.py`), and the reading, which is that of any hours (`sync.py`).
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from psycopg import Connection

from b2chat_pipeline.b2chat.contract import CHATS
from b2chat_pipeline.policy import REREAD_INTERVALS, CreationDay, RereadPlan, plan_rereads, request_share
from b2chat_pipeline.warehouse.staleness import creation_days, rereads_spent
from b2chat_pipeline.windows import AccountClock


@dataclass(frozen=True)
class Staleness:
    """The days whose chats may change, by day, and the plan for them."""

    days: dict[date, CreationDay]
    plan: RereadPlan


def staleness(connection: Connection, clock: AccountClock, *, per_day: int, now: datetime) -> Staleness:
    """How stale each day is and what is due, where `per_day` requests may be sent a day (0: any number)."""
    today = clock.day_of(now)
    since = clock.day_window(today - timedelta(days=max(REREAD_INTERVALS))).start
    days = creation_days(connection, CHATS, zone=clock.zone.key, since=since)
    share = request_share("reread", per_day) if per_day else None
    left = None if share is None else max(0, share - rereads_spent(connection, today))
    plan = plan_rereads(days, today=today, now=now, share=share, left=left)
    return Staleness({it.day: it for it in days}, plan)
