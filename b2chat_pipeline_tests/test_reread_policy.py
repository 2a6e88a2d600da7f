"""Which days are read again: settled or not, how often, and within which share of the day's requests."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2chat_pipeline.policy import (
    REREAD_LATENCY,
    REREAD_TICK,
    CreationDay,
    RereadBudget,
    RereadPlan,
    consecutive,
    plan_rereads,
    request_share,
    reread_class,
    wanted_interval,
)

TODAY = date(2025, 6, 30)
NOW = datetime(2025, 6, 30, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SHARE = request_share("reread", 10_000)


def day(
    age: int,
    *,
    chats: int = 1000,
    has_open: bool = True,
    unread: timedelta = HOUR,
    changed: timedelta | None = None,
) -> CreationDay:
    """A day so many days old when it was last read, and last changed so long ago."""
    last_change = None if changed is None else NOW - changed
    read_on = (NOW - unread).date()
    return CreationDay(read_on - age * DAY, chats, has_open, last_change, NOW - unread, read_on)


def at_noon(*, spent: int = 0, share: int = SHARE, unspent: int = 10_000) -> RereadBudget:
    return RereadBudget(share, spent, unspent, 0.5)


def plan(*days: CreationDay, budget: RereadBudget | None = None) -> RereadPlan:
    return plan_rereads(days, today=TODAY, now=NOW, budget=budget)


@pytest.mark.parametrize(
    ("it", "unsettled"),
    [
        (day(3, has_open=True), True),
        (day(3, has_open=False), False),
        (day(3, has_open=False, changed=HOUR + 2 * DAY - timedelta(seconds=1)), True),
        (day(3, has_open=False, changed=HOUR + 2 * DAY), False),
        (day(3, chats=0, has_open=False), False),
    ],
    ids=["open", "closed", "changed lately", "changed long ago", "empty"],
)
def test_a_day_is_settled_when_all_is_closed_and_two_days_went_by(it: CreationDay, *, unsettled: bool) -> None:
    assert it.unsettled is unsettled


@pytest.mark.parametrize(
    ("age", "interval"),
    [(0, 3 * HOUR), (35, 3 * HOUR), (36, 7 * DAY), (180, 7 * DAY), (181, None)],
)
def test_the_interval_depends_on_the_age(age: int, interval: timedelta | None) -> None:
    assert wanted_interval(age) == interval


@pytest.mark.parametrize(
    ("it", "is_due"),
    [
        (day(1, unread=3 * HOUR - REREAD_TICK - REREAD_LATENCY), True),
        (day(1, unread=3 * HOUR - REREAD_TICK - REREAD_LATENCY - timedelta(seconds=1)), False),
        (day(36, unread=6 * DAY), False),
        (day(36, unread=7 * DAY), True),
        (day(181, unread=100 * DAY), False),
    ],
)
def test_a_day_is_due_if_it_would_be_late_at_the_next_tick(it: CreationDay, *, is_due: bool) -> None:
    assert plan(it).due == ([it.day] if is_due else [])


def test_the_longest_unread_comes_first_and_the_rest_waits_and_says_why() -> None:
    days = [day(0, unread=age * DAY) for age in range(1, 6)]

    told = plan(*days, budget=at_noon(spent=SHARE // 2 - 3 * days[0].requests))

    assert told.due == [TODAY - age * DAY for age in (5, 4, 3)]
    reason = "it waits for the share of re-reads, which is handed out evenly over the day: 1729 of 3500 are used"
    assert told.left_out == {TODAY - age * DAY: reason for age in (2, 1)}


def test_a_large_day_is_not_passed_over_for_smaller_ones() -> None:
    large, small = day(2, chats=10_000, unread=2 * DAY), day(1, unread=DAY)

    assert plan(large, small, budget=at_noon(spent=SHARE // 2 - 10)).due == []


def test_what_other_work_has_left_of_the_day_is_a_limit_too() -> None:
    days = [day(age, unread=DAY) for age in range(1, 6)]

    assert len(plan(*days, budget=at_noon(unspent=2 * days[0].requests)).due) == 2


def test_a_day_that_no_whole_share_suffices_for_is_left_out_and_holds_up_nobody() -> None:
    huge, small = day(2, chats=20_000, unread=DAY), day(1, unread=DAY)

    told = plan(huge, small, budget=at_noon(share=100))

    assert told.due == [small.day]
    assert told.left_out == {huge.day: "it needs 102 requests, more than the share of a whole day"}
    assert (told.promised[huge.day], told.promised[small.day]) == (None, 3 * HOUR)


def test_days_read_at_once_are_spread_before_they_would_be_late_together() -> None:
    days = [day(age, chats=10_000) for age in range(36)]

    assert 1 <= len(plan(*days, budget=at_noon()).due) <= 4


def test_only_what_the_schedule_asked_for_uses_the_share_of_rereads() -> None:
    assert reread_class({"dagster/schedule_name": "rereads"}) == "reread"
    assert reread_class({"dagster/backfill": "abc"}) == "backfill"


def test_where_the_share_suffices_the_promise_is_three_hours() -> None:
    months = plan(*[day(age) for age in range(36)], budget=at_noon())

    assert set(months.promised.values()) == {3 * HOUR}


def test_where_the_share_does_not_suffice_the_promise_grows_but_stays_within_a_day() -> None:
    (promised,) = set(plan(*[day(age, chats=10_000) for age in range(36)], budget=at_noon()).promised.values())

    assert promised is not None
    assert 3 * HOUR < promised <= DAY


@given(
    ages=st.lists(st.integers(0, 200), unique=True, max_size=40),
    unread=st.lists(st.integers(0, 300), min_size=40, max_size=40),
    chats=st.integers(0, 20_000),
    spent=st.integers(0, 3500),
    unspent=st.integers(0, 10_000),
)
def test_a_plan_never_costs_more_than_is_left(
    ages: list[int], unread: list[int], chats: int, spent: int, unspent: int
) -> None:
    held = (day(age, chats=chats, unread=hours * HOUR) for age, hours in zip(ages, unread, strict=False))
    days = {it.day: it for it in held}
    budget = at_noon(spent=spent, unspent=unspent)

    told = plan(*days.values(), budget=budget)

    assert sum(days[it].requests for it in told.due) <= min(max(0, SHARE // 2 - spent), unspent)
    assert set(told.promised) == {it for it in days if days[it].unsettled and (days[it].read_on - it).days <= 180}
    assert set(told.due) | set(told.left_out) <= set(told.promised)
    assert not set(told.due) & set(told.left_out)


@dataclass
class Account:
    """A fake account in which every day has as many chats, today as many as its hours; days of reads are counted."""

    chats: int
    now: datetime
    read: dict[date, datetime]
    spent: int = 0
    # What was promised first after each read of a day.
    promised: dict[tuple[date, datetime], timedelta] = field(default_factory=dict)
    # By how much a state was ever older than was promised, then or when it was read again.
    broken: timedelta = -DAY

    @property
    def elapsed(self) -> float:
        return self.now.hour / 24 + self.now.minute / 1440

    def days(self) -> list[CreationDay]:
        """What the tables hold."""
        sizes = {it: int(self.chats * self.elapsed) if it == self.now.date() else self.chats for it in self.read}
        return [
            CreationDay(it, sizes[it], has_open=True, last_change=None, last_read=at, read_on=at.date())
            for it, at in self.read.items()
        ]

    def tick(self, per_day: int) -> None:
        """The time of the next decision, and what it leads to."""
        self.now += REREAD_TICK
        if self.now.time() == datetime.min.time():
            self.read[self.now.date()] = self.now
            self.spent = 0
        budget = RereadBudget(request_share("reread", per_day), self.spent, per_day, self.elapsed + REREAD_TICK / DAY)
        days = self.days()
        told = plan_rereads(days, today=self.now.date(), now=self.now, budget=budget)
        self._compare(told)
        self._send(days, told.due)

    def oldest(self, ages: Iterable[int]) -> timedelta:
        """How old the oldest state of days of some ages is."""
        return max(self.now - self.read[self.now.date() - age * DAY] for age in ages)

    def _compare(self, told: RereadPlan) -> None:
        for it, promise in told.promised.items():
            assert promise is not None
            first = self.promised.setdefault((it, self.read[it]), promise)
            # Over a week and more the account has grown, and what is promised with it.
            shorter = min(promise, first) if promise <= DAY else promise
            self.broken = max(self.broken, self.now - self.read[it] - shorter)

    def _send(self, days: list[CreationDay], due: Iterable[date]) -> None:
        sizes = {it.day: it.chats for it in days}
        for first, last in consecutive(list(due), most=7):
            asked = [first + number * DAY for number in range((last - first).days + 1)]
            self.spent += 1 + -(-sum(sizes[it] for it in asked) // 199)  # a token, and the pages
            self.read |= dict.fromkeys(asked, self.now)


@pytest.mark.parametrize(
    ("chats", "held", "per_day", "days", "hour", "bound"),
    [
        (1000, 40, 10_000, 4, 0, 3 * HOUR),
        (1000, 40, 10_000, 4, 23, 3 * HOUR),
        (1000, 181, 10_000, 9, 8, 3 * HOUR),
        (3000, 181, 10_000, 15, 8, 6 * HOUR),
        (7000, 6, 10_000, 2, 8, 3 * HOUR),
        (10_000, 40, 10_000, 5, 0, DAY),
        (10_000, 40, 10_000, 5, 13, DAY),
        (10_000, 40, 10_000, 5, 23, DAY),
        (100, 40, 500, 5, 8, DAY),
    ],
)
def test_no_state_gets_older_than_promised_and_no_share_is_exceeded(
    chats: int, held: int, per_day: int, days: int, hour: int, bound: timedelta
) -> None:
    # Everything has just been loaded, at one time.
    began = NOW.replace(hour=hour)
    account = Account(chats, began, {began.date() - age * DAY: began for age in range(held)})
    worst = timedelta()

    for _ in range(days * 72):
        account.tick(per_day)
        worst = max(worst, account.oldest(range(min(held, 36))))
        assert account.spent <= request_share("reread", per_day)

    assert worst <= bound
    assert account.broken <= timedelta()


def test_after_a_pause_of_two_days_everything_is_fresh_again_within_a_day() -> None:
    account = Account(10_000, NOW, {NOW.date() - age * DAY: NOW - 2 * DAY for age in range(181)})

    for _ in range(72):
        account.tick(10_000)

    assert account.oldest(range(36)) <= DAY


def test_days_become_ranges_of_bounded_length() -> None:
    days = [TODAY - age * DAY for age in (0, 1, 2, 3, 5, 6)]

    assert consecutive(days, most=3) == [
        (TODAY - 6 * DAY, TODAY - 5 * DAY),
        (TODAY - 3 * DAY, TODAY - 1 * DAY),
        (TODAY, TODAY),
    ]
