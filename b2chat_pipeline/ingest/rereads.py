"""Which days are to be read again now: what the tables hold of them, put before the policy.

Not here: the decision itself (`policy/`), and the reading, which is that of any hours (`sync.py`).
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from psycopg import Connection

from b2chat_pipeline.b2chat.contract import CHATS
from b2chat_pipeline.policy import (
    REREAD_INTERVALS,
    REREAD_TICK,
    CreationDay,
    RereadBudget,
    RereadPlan,
    plan_rereads,
    request_share,
)
from b2chat_pipeline.warehouse.staleness import creation_days, requests_sent
from b2chat_pipeline.windows import AccountClock


@dataclass(frozen=True)
class Staleness:
    """The days that have been read, by day; what re-reads may use (None: no limit); and the plan for them."""

    days: dict[date, CreationDay]
    budget: RereadBudget | None
    plan: RereadPlan

    def oldest(self, now: datetime) -> timedelta:
        """How old the oldest state is of a day whose chats may change."""
        ages = (now - self.days[day].last_read for day in self.plan.promised)
        return max(ages, default=timedelta())


def staleness(connection: Connection, clock: AccountClock, *, per_day: int, now: datetime) -> Staleness:
    """How stale each day is and what is due, where `per_day` requests may be sent a day (0: any number)."""
    today = clock.day_of(now)
    # A day that has just become too old is read once more.
    age, interval = max(REREAD_INTERVALS.items())
    since = clock.day_window(today - timedelta(days=age) - 2 * interval).start
    days = creation_days(connection, CHATS, zone=clock.zone.key, since=since)
    budget = reread_budget(connection, clock, per_day=per_day, now=now) if per_day else None
    return Staleness({it.day: it for it in days}, budget, plan_rereads(days, today=today, now=now, budget=budget))


def reread_budget(connection: Connection, clock: AccountClock, *, per_day: int, now: datetime) -> RereadBudget:
    """What re-reads may use at a moment, where `per_day` requests may be sent a day."""
    today = clock.day_of(now)
    window = clock.day_window(today)
    sent = requests_sent(connection, today)
    return RereadBudget(
        share=request_share("reread", per_day),
        spent=sent["reread"],
        unspent=per_day - sum(sent.values()),
        elapsed=min(1.0, (now + REREAD_TICK - window.start) / (window.end - window.start)),
    )
