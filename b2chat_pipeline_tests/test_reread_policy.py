"""Which days are read again: settled or not, how often, and within which share of the day's requests."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2chat_pipeline.policy import (
    REREAD_TICK,
    CreationDay,
    RereadPlan,
    consecutive,
    plan_rereads,
    request_share,
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
    unread: timedelta | None = HOUR,
    changed: timedelta | None = None,
) -> CreationDay:
    """A day so many days old, last read and last changed so long ago."""
    last_read = None if unread is None else NOW - unread
    last_change = None if changed is None else NOW - changed
    return CreationDay(TODAY - age * DAY, chats, has_open, last_change, last_read)


def plan(*days: CreationDay, share: int | None = None, left: int | None = None) -> RereadPlan:
    return plan_rereads(days, today=TODAY, now=NOW, share=share, left=left)


@pytest.mark.parametrize(
    ("it", "unsettled"),
    [
        (day(3, has_open=True), True),
        (day(3, has_open=False), False),
        (day(3, has_open=False, changed=HOUR + 2 * DAY - timedelta(seconds=1)), True),
        (day(3, has_open=False, changed=HOUR + 2 * DAY), False),
        (day(3, has_open=False, unread=None), True),
        (day(3, chats=0, has_open=False, unread=None), False),
    ],
    ids=["open", "closed", "changed lately", "changed long ago", "never read", "empty"],
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
        (day(1, unread=3 * HOUR - REREAD_TICK), True),
        (day(1, unread=3 * HOUR - REREAD_TICK - timedelta(seconds=1)), False),
        (day(36, unread=6 * DAY), False),
        (day(36, unread=7 * DAY), True),
        (day(181, unread=100 * DAY), False),
        (day(1, unread=None), True),
    ],
)
def test_a_day_is_due_if_it_would_be_late_at_the_next_tick(it: CreationDay, *, is_due: bool) -> None:
    assert plan(it).due == ([it.day] if is_due else [])


def test_the_longest_unread_comes_first_and_the_rest_waits() -> None:
    days = [day(age, unread=age * DAY) for age in range(1, 6)]

    assert plan(*days, share=1000, left=3 * days[0].requests).due == [TODAY - age * DAY for age in (5, 4, 3)]


def test_where_the_share_suffices_the_promise_is_three_hours() -> None:
    months = plan(*[day(age) for age in range(36)], share=SHARE)

    assert set(months.promised.values()) == {3 * HOUR}


def test_where_the_share_does_not_suffice_the_promise_grows_but_stays_within_a_day() -> None:
    (promised,) = set(plan(*[day(age, chats=10_000) for age in range(36)], share=SHARE).promised.values())

    assert 3 * HOUR < promised <= DAY


@given(
    ages=st.lists(st.integers(0, 200), unique=True, max_size=40),
    unread=st.lists(st.integers(0, 300), min_size=40, max_size=40),
    chats=st.integers(0, 20_000),
    left=st.integers(0, 3500),
)
def test_a_plan_never_costs_more_than_is_left(ages: list[int], unread: list[int], chats: int, left: int) -> None:
    days = {
        TODAY - age * DAY: day(age, chats=chats, unread=hours * HOUR) for age, hours in zip(ages, unread, strict=False)
    }

    told = plan(*days.values(), share=SHARE, left=left)

    assert sum(days[it].requests for it in told.due) <= left
    assert set(told.due) <= told.promised.keys() <= {it for it in days if days[it].unsettled}
    assert [days[it].last_read for it in told.due] == sorted(
        NOW - (NOW - (days[it].last_read or NOW)) for it in told.due
    )


@pytest.mark.parametrize(("chats", "held", "bound"), [(1000, 36, 3 * HOUR), (9000, 7, 3 * HOUR), (10_000, 36, DAY)])
def test_days_of_ticks_stay_fresh_within_the_share(chats: int, held: int, bound: timedelta) -> None:
    start = NOW - 12 * HOUR
    read = {TODAY - age * DAY: start for age in range(held)}
    worst, spent = timedelta(), 0
    for number in range(3 * 72):  # ticks of three days
        now = start + number * REREAD_TICK
        spent = 0 if number % 72 == 0 else spent
        days = [CreationDay(it, chats, True, None, last) for it, last in read.items()]  # noqa: FBT003
        told = plan_rereads(days, today=TODAY, now=now, share=SHARE, left=SHARE - spent)
        spent += sum(it.requests for it in days if it.day in told.due)
        worst = max(worst, *(now - last for last in read.values()))
        read |= dict.fromkeys(told.due, now)
        assert spent <= SHARE

    assert worst <= bound


def test_days_become_ranges_of_bounded_length() -> None:
    days = [TODAY - age * DAY for age in (0, 1, 2, 3, 5, 6)]

    assert consecutive(days, most=3) == [
        (TODAY - 6 * DAY, TODAY - 5 * DAY),
        (TODAY - 3 * DAY, TODAY - 1 * DAY),
        (TODAY, TODAY),
    ]
