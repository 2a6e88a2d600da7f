"""Which hours are asked for without anybody's doing: what is a gap, in what order, how often, within which limits."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from b2chat_pipeline.policy.circuit import Outage
from b2chat_pipeline.policy.gaps import (
    FRESH,
    GIVE_UP_AFTER,
    HOURS_PER_RUN,
    LONGEST_GAP,
    LONGEST_PAUSE,
    PAUSE,
    RUNS_AT_ONCE,
    GapPlan,
    SideHours,
    Sweep,
    Tried,
    plan_gaps,
    requests_per_day,
)

NOW = datetime(2025, 6, 30, 12, tzinfo=UTC)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
MONTH = LONGEST_GAP // HOUR


def ago(hours: int) -> datetime:
    """The hour that began so many hours ago."""
    return NOW - hours * HOUR


def hours(told: str) -> SideHours:
    """Hours as a picture, the oldest first: loaded (#), failed (x), held (o), not asked for (.)."""
    over = [ago(len(told) - place) for place in range(len(told))]

    def those(sign: str) -> set[datetime]:
        return {hour for hour, it in zip(over, told, strict=True) if it == sign}

    return SideHours(over, those("#"), those("x"), those("o"))


@pytest.mark.parametrize(
    ("told", "gaps"),
    [
        ("", ""),
        ("....", "...."),
        ("####", "...."),
        ("#..#", ".gg."),
        ("..#.", "...g"),
        ("..#..#..", "...gg.gg"),
        ("..x.", "..gg"),
        ("x...", "gggg"),
        ("#xo.", ".g.g"),
        ("..o.", "...g"),
        ("#" + MONTH * "." + "#", "." + MONTH * "g" + "."),
        ("#" + (MONTH + 1) * "." + "#.", "." + (MONTH + 1) * "." + ".g"),
        ("#" + (MONTH + 1) * ".", "." + (MONTH + 1) * "."),
        ("x" + (MONTH + 1) * "." + "x", "g" + (MONTH + 1) * "." + "g"),
    ],
    ids=[
        *("no hour yet", "nothing was ever asked for", "all are loaded", "between loaded ones", "after the last one"),
        *("not before the first one", "after one that failed", "one that failed is the first"),
        *("not what a run holds", "after what a run holds", "a month", "more than a month", "more than a month to now"),
        "failed ones however far apart",
    ],
)
def test_a_gap_is_what_failed_or_is_missing_for_a_month_at_most_after_what_was_asked_for(told: str, gaps: str) -> None:
    side = hours(told)

    assert side.gaps() == [hour for hour, it in zip(side.over, gaps, strict=True) if it == "g"]


def test_years_before_the_first_load_are_history_and_so_is_what_lies_behind_a_month() -> None:
    side = hours(5 * "." + "#" + (MONTH + 1) * "." + "#..#")

    assert side.history() == [(side.over[0], side.over[4]), (side.over[6], side.over[6 + MONTH])]


def sweep(
    gaps: Sequence[datetime],
    tried: Mapping[datetime, Tried] | None = None,
    *,
    side: str = "chats",
    running: int = 0,
    outage: Outage | None = None,
    cost: int = 1,
) -> Sweep:
    return Sweep(side, sorted(gaps), tried or {}, running, outage, cost)


def plan(*sweeps: Sweep, left: int | None = None) -> GapPlan:
    return plan_gaps(sweeps, now=NOW, left=left)


def asked(told: GapPlan) -> list[tuple[str, int, int]]:
    """The runs of a plan: side, and how many hours ago the first and the last of its hours began."""
    return [(it.side, (NOW - it.hours[0]) // HOUR, (NOW - it.hours[-1]) // HOUR) for it in told.due]


def in_vain(times: int, *, ended: timedelta, asked: int | None = None) -> Tried:
    return Tried(times if asked is None else asked, times, NOW - ended)


def stretch(first: int, last: int) -> list[datetime]:
    """The hours that began so many hours ago, both included."""
    return [ago(number) for number in range(first, last - 1, -1)]


def test_hours_that_follow_each_other_are_one_run_and_the_newest_come_first() -> None:
    assert asked(plan(sweep([*stretch(40, 30), *stretch(9, 5)]))) == [("chats", 9, 5), ("chats", 40, 30)]


def test_after_a_week_without_a_daemon_the_newest_48_hours_of_both_sides_come_first() -> None:
    week = stretch(7 * 24, 1)

    told = plan(sweep(week), sweep(week, side="contacts"))

    assert FRESH == 48 * HOUR
    assert asked(told) == [("chats", 48, 1), ("contacts", 48, 1), ("chats", 168, 49), ("contacts", 168, 49)]
    assert not told.left_out


def test_older_hours_go_a_week_at_a_time_from_new_to_old_and_the_rest_waits() -> None:
    told = plan(sweep(stretch(1000, 100)))

    assert asked(told) == [("chats", 99 + HOURS_PER_RUN, 100), ("chats", 99 + 2 * HOURS_PER_RUN, 100 + HOURS_PER_RUN)]
    assert told.left_out == {"chats wait for the runs asked for before": 901 - RUNS_AT_ONCE * HOURS_PER_RUN}


@pytest.mark.parametrize(("running", "runs"), [(0, 2), (1, 1), (2, 0), (3, 0)])
def test_no_more_than_two_runs_of_a_side_are_asked_for_and_not_finished(running: int, runs: int) -> None:
    assert len(plan(sweep([ago(5), ago(10), ago(15)], running=running)).due) == runs


@pytest.mark.parametrize(
    ("left", "runs"),
    [
        (None, [("chats", 72, 49), ("chats", 150, 80)]),
        (12, [("chats", 72, 49), ("chats", 150, 80)]),
        (11, [("chats", 72, 49), ("chats", 127, 80)]),
        (6, [("chats", 72, 49), ("chats", 103, 80)]),
        (5, [("chats", 72, 49)]),
        (2, []),
    ],
)
def test_no_more_is_asked_for_than_the_days_requests_suffice_for(
    left: int | None, runs: list[tuple[str, int, int]]
) -> None:
    told = plan(sweep([*stretch(150, 80), *stretch(72, 49)], cost=3), left=left)

    assert asked(told) == runs
    waiting = 71 + 24 - sum(len(it.hours) for it in told.due)
    assert told.left_out == ({"chats wait for requests of another day": waiting} if waiting else {})


def test_a_single_hour_costs_as_much_as_its_day() -> None:
    assert asked(plan(sweep([ago(60), ago(50)], cost=3), left=5)) == [("chats", 50, 50)]


@pytest.mark.parametrize(
    ("times", "pause"),
    [(1, PAUSE), (2, 2 * PAUSE), (3, 4 * PAUSE), (6, 32 * PAUSE), (7, LONGEST_PAUSE)],
)
def test_an_hour_rests_after_each_run_in_vain_twice_as_long_and_a_day_at_most(times: int, pause: timedelta) -> None:
    early = plan(sweep([ago(9)], {ago(9): in_vain(times, ended=pause - timedelta(seconds=1))}))
    later = plan(sweep([ago(9)], {ago(9): in_vain(times, ended=pause)}))

    assert (asked(early), early.left_out) == ([], {"chats rest after a run in vain": 1})
    assert (asked(later), [it.attempt for it in later.due]) == ([("chats", 9, 9)], [times + 1])


def test_an_hour_that_was_asked_for_in_vain_often_enough_is_given_up() -> None:
    given_up = {ago(9): in_vain(GIVE_UP_AFTER, ended=30 * DAY)}

    told = plan(sweep([ago(9), ago(8)], given_up))

    assert asked(told) == [("chats", 8, 8)]
    assert told.left_out == {"chats are given up": 1}


def test_a_run_that_the_days_requests_cut_off_was_not_in_vain_but_is_asked_for_under_another_key() -> None:
    (again,) = plan(sweep([ago(9)], {ago(9): in_vain(0, ended=timedelta(), asked=50)})).due

    assert again.attempt == 51


def test_an_hour_that_fails_again_and_again_does_not_hold_up_those_beside_it() -> None:
    tried = {ago(6): in_vain(3, ended=10 * DAY), ago(5): in_vain(1, ended=DAY), ago(4): in_vain(1, ended=DAY)}

    told = plan(sweep(stretch(6, 3), tried), sweep([], side="contacts"))

    assert asked(told) == [("chats", 3, 3), ("chats", 5, 4)]
    assert told.left_out == {"chats wait for the runs asked for before": 1}


def test_while_the_source_is_down_the_newest_hour_of_a_side_alone_is_asked_for_when_a_probe_is_due() -> None:
    gaps, why = [ago(30), ago(20), ago(11), ago(10)], "chats wait for the source, which is down"
    outage = Outage(NOW - 2 * HOUR, NOW - HOUR)
    resting = {ago(10): in_vain(1, ended=timedelta(minutes=1))}

    early = plan_gaps([sweep(gaps, outage=outage), sweep([ago(7)], side="contacts")], now=NOW - SECOND, left=None)
    due = plan(sweep(gaps, resting, outage=outage))
    probing = plan(sweep(gaps, outage=outage, running=1))

    probe = f"{why}; the next probe is due at {NOW:%Y-%m-%d %H:%M} UTC"
    assert (asked(early), early.left_out) == ([("contacts", 7, 7)], {probe: 4})
    assert (asked(due), due.left_out) == ([("chats", 10, 10)], {why: 3})
    assert [it.attempt for it in due.due] == [2]
    assert asked(probing) == []


def test_hours_that_fail_for_days_with_the_source_keep_their_attempts() -> None:
    """Three days without a source: each hour is missing from its grace on, and the sweeper probes."""
    begun = NOW
    now, missing, tried, failed = NOW, list[datetime](), dict[datetime, Tried](), NOW
    for _ in range(3 * 24 * 12):
        now += timedelta(minutes=5)
        if now.minute == 30:
            missing.append(now.replace(minute=0) - HOUR)
        told = plan_gaps([Sweep("chats", missing, tried, outage=Outage(begun, failed))], now=now, left=None)
        for hour in (hour for gap in told.due for hour in gap.hours):
            times = tried[hour].asked + 1 if hour in tried else 1
            tried[hour] = Tried(times, times, now)
            failed = now

    assert len(missing) == 72
    assert max(it.in_vain for it in tried.values()) <= 2
    assert sum(it.asked for it in tried.values()) <= 80


@pytest.mark.parametrize(("records", "requests"), [(0, 2), (1, 2), (199, 2), (199.5, 3), (1000, 7)])
def test_a_day_costs_its_pages_and_one_request_more(records: float, requests: int) -> None:
    assert requests_per_day(records) == requests
