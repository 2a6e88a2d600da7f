"""Decisions that need no database and no Dagster: pure functions over numbers, sets and times.

Here belongs what an operator may want to argue about. Not here: carrying a decision out.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from typing import Literal

RequestClass = Literal["hourly", "reread", "backfill"]
Operation = Literal["full", "incremental", "manual"]

# The largest part of the day's requests that each kind of work may use. The fresh hour may use whatever is left, and
# together the other two leave 5 % that only it can reach.
SHARES: Mapping[RequestClass, float] = {"hourly": 1.0, "reread": 0.35, "backfill": 0.60}

# Records that a page is asked to hold; the first of them is the last one of the page before.
PAGE_SIZE = 200

_SCHEDULE = "dagster/schedule_name"
_AUTOMATION = (_SCHEDULE, "dagster/sensor_name", "dagster/from_automation_condition")


def request_share(request_class: RequestClass, per_day: int) -> int:
    """How many of the day's requests one kind of work may use."""
    return int(per_day * SHARES[request_class])


def history_left(sent: Mapping[str, int], per_day: int) -> int:
    """How many more requests history may use on a day, of which some are sent, by kind of work."""
    return max(0, min(request_share("backfill", per_day) - sent["backfill"], per_day - sum(sent.values())))


def request_class(run_tags: Mapping[str, str]) -> RequestClass:
    """What a load run's requests are counted as: the schedule's are hourly, all others fill in history."""
    return "hourly" if _SCHEDULE in run_tags else "backfill"


def reread_class(run_tags: Mapping[str, str]) -> RequestClass:
    """What a re-read's requests are counted as: only the schedule's plan may use the share of re-reads.

    A day that somebody asks for is history filled in, so it can never make the promise of the others untrue.
    """
    return "reread" if _SCHEDULE in run_tags else "backfill"


def operation(run_tags: Mapping[str, str]) -> Operation:
    """How the data dictionary names a run: incremental where a schedule or sensor asked for it, else manual."""
    return "incremental" if any(tag in run_tags for tag in _AUTOMATION) else "manual"


# How old the stored state of a day's chats may get, by the day's age; beyond the last one a day is never read again.
REREAD_INTERVALS: Mapping[int, timedelta] = {35: timedelta(hours=3), 180: timedelta(days=7)}
# How often it is decided which days are read again: a day is due if it would be late at the next decision.
REREAD_TICK = timedelta(minutes=20)
# What may pass between a decision and the last commit of the reads it asked for, without a promise being broken.
REREAD_LATENCY = timedelta(minutes=10)
SETTLED_AFTER = timedelta(days=2)
_SLACK = REREAD_TICK + REREAD_LATENCY
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class CreationDay:
    """What the tables hold of the chats created on one account-local day."""

    day: date
    chats: int
    # Some chat is not closed, or was missing from the last answer and may be gone.
    has_open: bool
    # The latest clock of its chats; None where one is open, since it then decides nothing.
    last_change: datetime | None
    # When the oldest of its hours was last read completely, and which day it was then for the account.
    last_read: datetime
    read_on: date

    @property
    def wanted(self) -> timedelta | None:
        """How old its state may get. What held when it was last read holds until it is read again, so that a change on
        the last day of an age is seen as soon as any other.
        """
        return wanted_interval((self.read_on - self.day).days) if self.unsettled else None

    @property
    def unsettled(self) -> bool:
        """Whether its chats may still change: one is open, or changed shortly before the last read."""
        if self.has_open or self.last_change is None:
            return self.has_open
        return self.last_change > self.last_read - SETTLED_AFTER

    @property
    def requests(self) -> int:
        """What reading it again costs: its pages, and one for the token, or for the list that ends beyond it."""
        return -(-self.chats // (PAGE_SIZE - 1)) + 1


@dataclass(frozen=True)
class RereadBudget:
    """The requests that re-reads may use today."""

    # Their share of a whole day, and how much of it is spent.
    share: int
    spent: int
    # What all kinds of work together have left of the day's requests.
    unspent: int
    # The part of the day that will be over at the next decision, 0 to 1.
    elapsed: float

    @property
    def left(self) -> int:
        """How many may be used now. The share is handed out evenly over the day: used up in a burst, it would leave
        nothing for the rest of the day, and the days read first would wait until midnight.
        """
        return max(0, min(int(self.share * self.elapsed) - self.spent, self.unspent))


@dataclass(frozen=True)
class RereadPlan:
    """The days to read again now, in order; for each unsettled day how old its state may get (None: it cannot be read
    at all); and the days that are due but left out, with the reason.
    """

    due: Sequence[date]
    promised: Mapping[date, timedelta | None]
    left_out: Mapping[date, str]


def wanted_interval(age: int) -> timedelta | None:
    """How often a day is to be read again, `age` days after it; None where it no longer is."""
    return next((interval for days, interval in REREAD_INTERVALS.items() if age <= days), None)


def plan_rereads(days: Sequence[CreationDay], *, today: date, now: datetime, budget: RereadBudget | None) -> RereadPlan:
    """Which days are read again now, and how old each may get. Without a budget there is no limit.

    Days are spread: one is due as soon as waiting for the next decision would make it, or one after it, late at the
    rate that its kind has. Of those that are due, the one longest unread for its promise comes first, as far as the
    requests left reach. Where the share does not suffice, every promise grows.
    """
    wanted = {it: it.wanted for it in days if it.wanted is not None}
    too_large = {it for it in wanted if budget is not None and it.requests > budget.share}
    readable = [it for it in wanted if it not in too_large]
    rates = _rates(readable, wanted, today=today, budget=budget)
    urgency: dict[CreationDay, float] = {}
    for interval, rate in rates.by_interval.items():
        kind = [it for it in readable if wanted[it] == interval]
        aim = rates.aim(interval)
        urgency |= {it: late / aim for it, late in _lateness(kind, aim, now=now, rate=rate).items()}
    due = sorted((it for it in urgency if urgency[it] >= 0), key=lambda it: (-urgency[it], it.day))
    taken = _within(due, None if budget is None else budget.left)
    return RereadPlan(
        taken,
        {it.day: None if it in too_large else rates.aim(wanted[it]) + rates.gathering for it in wanted},
        {it.day: f"it needs {it.requests} requests, more than the share of a whole day" for it in too_large}
        | {it.day: _waits(budget) for it in due if it.day not in taken},
    )


@dataclass(frozen=True)
class _Rates:
    """How far the share reaches: for each wanted interval the requests a day that its days have, and how many times
    longer than wanted they must wait (1: the share suffices).
    """

    by_interval: Mapping[timedelta, float]
    stretch: float
    # Where the share does not suffice, a day may wait until the requests for the largest one have come together.
    gathering: timedelta

    def aim(self, interval: timedelta) -> timedelta:
        """How old days of a wanted interval are to get, at most."""
        return (interval - _SLACK) * self.stretch + _SLACK


def _rates(
    days: Sequence[CreationDay], wanted: Mapping[CreationDay, timedelta], *, today: date, budget: RereadBudget | None
) -> _Rates:
    """The share of a day, handed out to the kinds of days in proportion to what they need."""
    largest = max((it.requests for it in days), default=0)
    # What is left at midnight may be too little for the largest day.
    capacity = math.inf if budget is None else max(budget.share - largest, largest, 1)
    needed: dict[timedelta, float] = {}
    for it in days:
        requests = largest if it.day == today else it.requests  # today still grows
        needed[wanted[it]] = needed.get(wanted[it], 0.0) + requests * (_DAY / (wanted[it] - _SLACK))
    total = sum(needed.values())
    stretch = max(1.0, total / capacity)
    gathering = largest / capacity * _DAY if stretch > 1 else timedelta()
    return _Rates({interval: capacity * requests / total for interval, requests in needed.items()}, stretch, gathering)


def _lateness(
    kind: Sequence[CreationDay], aim: timedelta, *, now: datetime, rate: float
) -> dict[CreationDay, timedelta]:
    """By how much the next decision would come too late for each day, if none is to get older than `aim` and all are
    read at `rate` requests a day. Negative where it does not.
    """
    next_decision, latest = now + REREAD_TICK, _NEVER
    late = {}
    for it in sorted(kind, key=lambda it: it.last_read, reverse=True):
        latest = min(latest, it.last_read + aim - REREAD_LATENCY)
        late[it] = next_decision - latest
        latest -= it.requests / rate * _DAY
    return late


def _within(days: Sequence[CreationDay], left: int | None) -> list[date]:
    """The first days, as far as a number of requests reaches. None is passed over for a smaller one, or it might wait
    for ever.
    """
    if left is None:
        return [it.day for it in days]
    costs = accumulate(it.requests for it in days)
    return [it.day for it, cost in zip(days, costs, strict=True) if cost <= left]


def _waits(budget: RereadBudget | None) -> str:
    spent = "" if budget is None else f": {budget.spent} of {budget.share} are used"
    return f"it waits for the share of re-reads, which is handed out evenly over the day{spent}"


# Contacts are loaded by the day of their last update; how often all of them are read, whenever that was.
FULL_READ_INTERVAL = timedelta(days=30)


# How long the next read of all contacts waits after one that failed; twice as long after each further one.
FULL_READ_PAUSE = timedelta(hours=1)
LONGEST_FULL_READ_PAUSE = timedelta(days=1)
# A read begins a little after the decision that asked for it.
_FULL_READ_SLACK = timedelta(minutes=10)


@dataclass(frozen=True)
class FullReads:
    """How the reads of all contacts went: when the last complete one began, and those that failed since. One that the
    day's requests cut off has not failed.
    """

    completed: datetime | None
    failures: int = 0
    failed: datetime | None = None


def full_read_due_at(reads: FullReads) -> datetime | None:
    """When all contacts are to be read next; None: now, since they never were.

    A month after the last time. Where reads have failed since, after a pause that grows with each.
    """
    due = [] if reads.completed is None else [reads.completed + FULL_READ_INTERVAL]
    if reads.failed is not None:
        # The power is bounded, since the number of failures is not.
        pause = min(FULL_READ_PAUSE * 2 ** min(reads.failures - 1, 10), LONGEST_FULL_READ_PAUSE)
        due.append(reads.failed + pause - _FULL_READ_SLACK)
    return max(due, default=None)


# How long days wait whose build failed before they are built again; twice as long after each further failure.
BUILD_PAUSE = timedelta(minutes=1)
LONGEST_BUILD_PAUSE = timedelta(hours=6)


def build_again_at(failed: datetime, *, attempt: int) -> datetime:
    """When days are to be built again whose build has failed so many times in a row, the last time then."""
    # The power is bounded, since the number of failures is not.
    return failed + min(BUILD_PAUSE * 2.0 ** min(attempt - 1, 10), LONGEST_BUILD_PAUSE)


def consecutive(days: Sequence[date], *, most: int, apart: int = 1) -> list[tuple[date, date]]:
    """Days as ranges (first, last) of at most so many, in order of time; a range goes on where the next is so near."""
    ranges: list[tuple[date, date]] = []
    for day in sorted(days):
        if ranges and day - ranges[-1][1] <= apart * _DAY and (day - ranges[-1][0]).days < most:
            ranges[-1] = (ranges[-1][0], day)
        else:
            ranges.append((day, day))
    return ranges
