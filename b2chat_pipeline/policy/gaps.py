"""Which hours are asked for again without anybody's doing: those that are missing, and those that failed.

An hour is known by its start. Not here: what Dagster knows of hours (`assets/hours.py`), asking for them
(`automation/gaps.py`).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from b2chat_pipeline.policy import PAGE_SIZE
from b2chat_pipeline.policy.circuit import Outage

_HOUR = timedelta(hours=1)
_HOURS_A_DAY = 24

# An hour is the schedule's own until so long after its end.
GRACE = timedelta(minutes=30)
# These come before all others, of either side.
FRESH = timedelta(hours=48)
# A longer stretch that was never asked for is history, which nobody may want: a person loads it, or leaves it.
LONGEST_GAP = timedelta(days=31)
# Small enough for newer hours not to wait long behind older ones.
HOURS_PER_RUN = 7 * _HOURS_A_DAY
# Runs of one side that may be asked for and not finished.
RUNS_AT_ONCE = 2
# How long an hour rests after a run in vain; twice as long after each further one. After the last one it is given up.
PAUSE = timedelta(minutes=30)
LONGEST_PAUSE = timedelta(days=1)
GIVE_UP_AFTER = 8


@dataclass(frozen=True)
class Tried:
    """The runs that the sweeper has asked for about one hour, and that are over."""

    asked: int
    # Those that failed. One that the day's requests cut off did not.
    in_vain: int
    # When the last of them ended.
    ended: datetime

    @property
    def given_up(self) -> bool:
        """Whether the hour is left to a person."""
        return self.in_vain >= GIVE_UP_AFTER

    @property
    def due_at(self) -> datetime:
        """When it may be asked for again, unless it is given up."""
        if not self.in_vain:
            return self.ended
        pause: timedelta = min(PAUSE * 2 ** (self.in_vain - 1), LONGEST_PAUSE)
        return self.ended + pause


@dataclass(frozen=True)
class SideHours:
    """What is known of the hours of one side of the API."""

    # All on offer that are over, in order; the others are some of them.
    over: Sequence[datetime]
    loaded: Collection[datetime] = frozenset()
    failed: Collection[datetime] = frozenset()
    # A run that is not finished, or an open backfill, is going to load them.
    held: Collection[datetime] = frozenset()

    def gaps(self) -> list[datetime]:
        """The hours that are to be loaded, in order.

        They are those that failed, since somebody asked for them; and those that nobody asked for, with hours before
        them that somebody did ask for, in stretches of a month at most.
        """
        stretches = [hours for hours in self._unasked() if hours[0] != self.over[0] and not _is_history(hours)]
        missing = {hour for hours in stretches for hour in hours}
        return [hour for hour in self.over if hour in missing or (hour in self.failed and hour not in self.held)]

    def history(self) -> list[tuple[datetime, datetime]]:
        """The stretches that nobody asked for and that are left to a person, as their first and last hour."""
        stretches = (hours for hours in self._unasked() if hours[0] == self.over[0] or _is_history(hours))
        return [(hours[0], hours[-1]) for hours in stretches]

    def _unasked(self) -> Iterator[list[datetime]]:
        """The longest stretches of hours that nobody asked for, in order."""
        stretch: list[datetime] = []
        for hour in self.over:
            if hour not in self.loaded and hour not in self.failed and hour not in self.held:
                stretch.append(hour)
            elif stretch:
                yield stretch
                stretch = []
        if stretch:
            yield stretch


def _is_history(hours: Sequence[datetime]) -> bool:
    return len(hours) * _HOUR > LONGEST_GAP


@dataclass(frozen=True)
class Gap:
    """Hours of one side that follow each other, and that one run is to load."""

    side: str
    hours: Sequence[datetime]
    # How often the sweeper has asked for one of them, this time included.
    attempt: int


@dataclass(frozen=True)
class Sweep:
    """What the sweeper knows of one side when it decides."""

    side: str
    gaps: Sequence[datetime]
    tried: Mapping[datetime, Tried] = field(default_factory=dict)
    # Runs that it asked for and that are not finished.
    running: int = 0
    # Where the source of the side is down.
    outage: Outage | None = None
    # What reading a day costs.
    requests_per_day: int = 1


@dataclass(frozen=True)
class GapPlan:
    """The runs to ask for now, in order; and how many hours wait, by the reason."""

    due: Sequence[Gap]
    left_out: Mapping[str, int]


def requests_per_day(records: float) -> int:
    """What reading a day of so many records costs: its pages, and one for the token or the list's end."""
    return max(1, int(-(-records // (PAGE_SIZE - 1)))) + 1


def plan_gaps(sweeps: Sequence[Sweep], *, now: datetime, left: int | None) -> GapPlan:
    """Which gaps are asked for now, where so many requests are left for them (None: any number).

    The newest 48 hours come first, of both sides, then history from new to old. While the source of a side is down,
    one hour of it is asked for when a probe is due: its newest, so that no older one uses up its attempts.
    """
    left_out: dict[str, int] = {}
    candidates = [gap for sweep in sweeps for gap in _of_side(sweep, now=now, left_out=left_out)]
    candidates.sort(key=lambda gap: gap.hours[-1], reverse=True)
    costs = {sweep.side: sweep.requests_per_day for sweep in sweeps}
    due = []
    for gap in candidates:
        affordable = len(gap.hours) if left is None else left // costs[gap.side] * _HOURS_A_DAY
        hours = gap.hours[-affordable:] if affordable > 0 else ()
        if hours:
            due.append(Gap(gap.side, hours, gap.attempt))
        if left is not None:
            left -= -(-len(hours) // _HOURS_A_DAY) * costs[gap.side]
        _note(left_out, f"{gap.side} wait for requests of another day", len(gap.hours) - len(hours))
    return GapPlan(due, left_out)


def _of_side(sweep: Sweep, *, now: datetime, left_out: dict[str, int]) -> list[Gap]:
    """What could be asked for of one side if there were requests enough, the newest first."""
    tried = sweep.tried
    given_up = {hour for hour in sweep.gaps if hour in tried and tried[hour].given_up}
    _note(left_out, f"{sweep.side} are given up", len(given_up))
    if sweep.outage is not None:
        return _probe(
            sweep, sweep.outage, [hour for hour in sweep.gaps if hour not in given_up], now=now, left_out=left_out
        )
    resting = {hour for hour in sweep.gaps if hour in tried and hour not in given_up and now < tried[hour].due_at}
    _note(left_out, f"{sweep.side} rest after a run in vain", len(resting))
    gaps = _stretches(sweep, [hour for hour in sweep.gaps if hour not in given_up | resting], now=now)
    most = max(RUNS_AT_ONCE - sweep.running, 0)
    _note(left_out, f"{sweep.side} wait for the runs asked for before", sum(len(gap.hours) for gap in gaps[most:]))
    return gaps[:most]


def _probe(
    sweep: Sweep, outage: Outage, hours: Sequence[datetime], *, now: datetime, left_out: dict[str, int]
) -> list[Gap]:
    """The newest hour, if it is time to see whether the source is back. It does not rest: its side does."""
    if now >= outage.next_probe and not sweep.running and hours:
        newest = hours[-1:]
        _note(left_out, f"{sweep.side} wait for the source, which is down", len(hours) - 1)
        return [Gap(sweep.side, newest, _asked(newest, sweep.tried) + 1)]
    probe = f"{outage.next_probe:%Y-%m-%d %H:%M} UTC"
    _note(left_out, f"{sweep.side} wait for the source, which is down; the next probe is due at {probe}", len(hours))
    return []


def _stretches(sweep: Sweep, hours: Sequence[datetime], *, now: datetime) -> list[Gap]:
    """Hours as runs, the newest first: such as follow each other, have failed equally often and are equally urgent."""
    stretches: list[list[datetime]] = []
    kind: tuple[int, bool] | None = None
    for hour in reversed(hours):
        before, kind = kind, (sweep.tried[hour].in_vain if hour in sweep.tried else 0, _is_fresh(hour, now))
        joins = (
            stretches and kind == before and stretches[-1][-1] - hour == _HOUR and len(stretches[-1]) < HOURS_PER_RUN
        )
        if joins:
            stretches[-1].append(hour)
        else:
            stretches.append([hour])
    return [Gap(sweep.side, stretch[::-1], _asked(stretch, sweep.tried) + 1) for stretch in stretches]


def _is_fresh(hour: datetime, now: datetime) -> bool:
    return hour >= now - FRESH


def _asked(hours: Iterable[datetime], tried: Mapping[datetime, Tried]) -> int:
    return max((tried[hour].asked for hour in hours if hour in tried), default=0)


def _note(left_out: dict[str, int], why: str, hours: int) -> None:
    if hours:
        left_out[why] = left_out.get(why, 0) + hours
