"""Decisions that need no database and no Dagster: pure functions over numbers, sets and times.

Here belongs what an operator may want to argue about. Not here: carrying a decision out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

RequestClass = Literal["hourly", "reread", "backfill"]
Operation = Literal["full", "incremental", "manual"]

# The largest part of the day's requests that each kind of work may use. The fresh hour may use whatever is left, and
# together the other two leave 5 % that only it can reach.
SHARES: Mapping[RequestClass, float] = {"hourly": 1.0, "reread": 0.35, "backfill": 0.60}

_SCHEDULED = ("dagster/schedule_name", "dagster/sensor_name", "dagster/from_automation_condition")


def request_share(request_class: RequestClass, per_day: int) -> int:
    """How many of the day's requests one kind of work may use."""
    return int(per_day * SHARES[request_class])


def request_class(run_tags: Mapping[str, str]) -> RequestClass:
    """What a load run's requests are counted as: the schedule's are hourly, all others fill in history."""
    return "hourly" if "dagster/schedule_name" in run_tags else "backfill"


def operation(run_tags: Mapping[str, str]) -> Operation:
    """How the data dictionary names a run: incremental where a schedule or sensor asked for it, else manual."""
    return "incremental" if any(tag in run_tags for tag in _SCHEDULED) else "manual"


# How old the stored state of a day's chats may get, by the day's age; beyond the last one a day is never read again.
REREAD_INTERVALS: Mapping[int, timedelta] = {35: timedelta(hours=3), 180: timedelta(days=7)}
# How often it is decided which days are read again: a day is due if it would be late at the next decision.
REREAD_TICK = timedelta(minutes=20)
SETTLED_AFTER = timedelta(days=2)
_PAGE_SIZE = 200
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class CreationDay:
    """What the tables hold of the chats created on one account-local day."""

    day: date
    chats: int
    # Some chat is not closed, or was missing from the last answer and may be gone.
    has_open: bool
    # The latest clock of its chats.
    last_change: datetime | None
    # When the oldest of its hours was last read completely.
    last_read: datetime | None

    @property
    def unsettled(self) -> bool:
        """Whether its chats may still change: one is open, or changed shortly before the last read."""
        if self.last_read is None or self.has_open:
            return self.chats > 0
        return self.last_change is not None and self.last_change > self.last_read - SETTLED_AFTER

    @property
    def requests(self) -> int:
        """What reading it again costs, at most: its pages, and one for the list that ends beyond it."""
        return -(-self.chats // _PAGE_SIZE) + 1


@dataclass(frozen=True)
class RereadPlan:
    """The days to read again now, in order, and for each unsettled day how old its state may get."""

    due: Sequence[date]
    promised: Mapping[date, timedelta]


def wanted_interval(age: int) -> timedelta | None:
    """How often a day is to be read again, `age` days after it; None where it no longer is."""
    return next((interval for days, interval in REREAD_INTERVALS.items() if age <= days), None)


def plan_rereads(
    days: Sequence[CreationDay], *, today: date, now: datetime, share: int | None, left: int | None
) -> RereadPlan:
    """Which days are due, the longest unread first, as far as the requests `left` today reach.

    `share` is what re-reads may use in a whole day (None: no limit). Where it does not suffice, every promise grows.
    """
    wanted = {it: interval for it in days if it.unsettled and (interval := wanted_interval((today - it.day).days))}
    daily = sum(it.requests * (_DAY / (interval - REREAD_TICK)) for it, interval in wanted.items())
    stretch = 1.0 if share is None else max(1.0, daily / max(share, 1))
    promised = {it.day: (interval - REREAD_TICK) * stretch + REREAD_TICK for it, interval in wanted.items()}
    due = [it for it in wanted if it.last_read is None or now - it.last_read + REREAD_TICK >= promised[it.day]]
    due.sort(key=lambda it: (it.last_read is not None, it.last_read or now, it.day))
    return RereadPlan(_within(due, left), promised)


def _within(days: Sequence[CreationDay], left: int | None) -> list[date]:
    """The days that a number of requests reaches for."""
    taken = []
    for it in days:
        if left is not None:
            if it.requests > left:
                continue
            left -= it.requests
        taken.append(it.day)
    return taken


# Contacts are loaded by the day of their last update; how often all of them are read, whenever that was.
FULL_READ_INTERVAL = timedelta(days=30)


def full_read_is_due(last: datetime | None, *, now: datetime) -> bool:
    """Whether all contacts are to be read: they never were, or the last time they were is a month ago."""
    return last is None or now - last >= FULL_READ_INTERVAL


def consecutive(days: Sequence[date], *, most: int) -> list[tuple[date, date]]:
    """Days as ranges (first, last) of at most so many, in order of time."""
    ranges: list[tuple[date, date]] = []
    for day in sorted(days):
        if ranges and day - ranges[-1][1] == _DAY and (day - ranges[-1][0]).days < most:
            ranges[-1] = (ranges[-1][0], day)
        else:
            ranges.append((day, day))
    return ranges
