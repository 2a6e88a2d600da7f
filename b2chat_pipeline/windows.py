"""Time as the account counts it: hours, days, ranges, and the naive clocks of the API.

Here belongs pure arithmetic of windows and clocks. Not here: partition keys (`partitions.py`), reading the current
time, any I/O. All windows are half-open and held in UTC; days are the account's own, so they have 23, 24 or 25 hours
where clocks change.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

# Why a clock of the API is not simply what it says: it names two instants (clocks went back; the first is taken), none
# (clocks went forward; it is shifted by the gap), or cannot be read as a time at all.
ClockFlag = Literal["ambiguous", "nonexistent", "unreadable"]
_CLOCK_LENGTH, _MINUTE_LENGTH, _DAY_LENGTH = len("2025-01-31 23:59:59"), len("2025-01-31 23:59"), len("2025-01-31")
# `2025-01-31 23:59` with any separator: Python reads other forms too, which PostgreSQL does not.
_MINUTE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}.[0-9]{2}:[0-9]{2}").fullmatch
# Any number of them, a line each, with their seconds.
_CLOCKS = re.compile(r"(?:(?:^|\n)[0-9]{4}-[0-9]{2}-[0-9]{2}.(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])*").fullmatch
_HOUR = timedelta(hours=1)
# The seconds of a clock, by what stands behind its minute.
_SECONDS = {f":{second:02}": second for second in range(60)}


@dataclass(frozen=True, order=True)
class Window:
    """A half-open span of time, `start <= t < end`, in UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise ValueError(f"a window must end after it starts: {self.start.isoformat()} .. {self.end.isoformat()}")

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    def __str__(self) -> str:
        return f"{self.start.isoformat()} .. {self.end.isoformat()}"


class ClockReading(NamedTuple):
    """One clock of the API as an instant (UTC; None where unreadable), with the flag that says what was done to it."""

    instant: datetime | None
    flag: ClockFlag | None = None


# A clock as hundreds of thousands of messages need it: seconds since 1970, the text PostgreSQL reads, the flag.
Stamp = tuple[float, str, ClockFlag | None]


@dataclass(frozen=True)
class AccountClock:
    """Turns the account's naive wall-clock times into instants and instants into its days."""

    zone: ZoneInfo

    def read(self, text: str) -> ClockReading:
        """The instant of `YYYY-MM-DD HH:MM:SS` in the account's zone."""
        try:
            steady = _steady_day(self.zone, text[:10])
            if steady is not None and len(text) == _CLOCK_LENGTH:
                # In UTC, since instants of one zone compare faster than those of two.
                return ClockReading(datetime.fromisoformat(f"{text}+00:00") - steady.ahead)
            naive = datetime.fromisoformat(text)
            if naive.tzinfo is not None:
                return ClockReading(naive.astimezone(UTC))
            return self._read_near_a_change(naive)
        except (ValueError, OverflowError):
            return ClockReading(None, "unreadable")

    def reads(self, text: str) -> bool:
        """Whether a clock can be read at all."""
        return self.reads_all([text]) or self.read(text).instant is not None

    def reads_all(self, texts: Collection[str]) -> bool:
        """Whether all these clocks are of the usual form and can be read, without reading them."""
        if not _CLOCKS("\n".join(texts)):
            return False
        return all(_steady_day_if_any(self.zone, day) for day in {text[:_DAY_LENGTH] for text in texts})

    def stamp(self, text: str) -> Stamp | None:
        """The same clock as a stamp; None where it cannot be read. Several times as fast as `read`."""
        second = text[_MINUTE_LENGTH:]
        minute = _steady_minute(self.zone, text[:_MINUTE_LENGTH]) if second in _SECONDS else None
        if minute is not None:
            return minute.epoch + _SECONDS[second], f"{minute.text}{second}{minute.offset}", None
        instant, flag = self.read(text)
        return None if instant is None else (instant.timestamp(), instant.isoformat(), flag)

    def _read_near_a_change(self, naive: datetime) -> ClockReading:
        first, second = naive.replace(tzinfo=self.zone), naive.replace(tzinfo=self.zone, fold=1)
        before, after = first.utcoffset(), second.utcoffset()
        flag: ClockFlag | None = None
        if before != after and before is not None and after is not None:
            flag = "ambiguous" if before > after else "nonexistent"
        return ClockReading(first.astimezone(UTC), flag)

    def day_of(self, instant: datetime) -> date:
        """The account-local day an instant falls on."""
        return instant.astimezone(self.zone).date()

    def day_window(self, day: date) -> Window:
        """The hours of one account-local day (23, 24 or 25 of them)."""
        return Window(self._midnight(day), self._midnight(day + timedelta(days=1)))

    def hour_of(self, instant: datetime) -> Window:
        """The hour an instant falls into."""
        midnight, hour = self.day_window(self.day_of(instant)).start, timedelta(hours=1)
        start = midnight + (instant - midnight) // hour * hour
        return Window(start, start + hour)

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.zone).astimezone(UTC)

    def days_of(self, window: Window) -> list[date]:
        """The account-local days a window touches, in order."""
        first, last = self.day_of(window.start), self.day_of(window.end - timedelta(microseconds=1))
        return [first + timedelta(days=n) for n in range((last - first).days + 1)]


class _SteadyDay(NamedTuple):
    """A day on which clocks do not change: its offset (`-05:00`), the same as time ahead of UTC, and its midnight in
    seconds since 1970.
    """

    offset: str
    ahead: timedelta
    midnight: int


class _SteadyMinute(NamedTuple):
    """A minute of such a day: the offset, its beginning in seconds since 1970, and as text that PostgreSQL reads."""

    offset: str
    epoch: int
    text: str


# A week of them: the messages of a load lie close together, and most minutes hold many.
@lru_cache(maxsize=7 * 1440)
def _steady_minute(zone: ZoneInfo, text: str) -> _SteadyMinute | None:
    """What holds for all clocks of a minute; None where it has another form, or clocks change that day."""
    if not _MINUTE(text):
        return None
    day = _steady_day_if_any(zone, text[:_DAY_LENGTH])
    try:
        local = datetime.fromisoformat(text)
    except ValueError:
        return None
    if day is None:
        return None
    return _SteadyMinute(day.offset, day.midnight + local.hour * 3600 + local.minute * 60, f"{text[:10]} {text[11:]}")


@lru_cache(maxsize=4096)
def _steady_day_if_any(zone: ZoneInfo, day: str) -> _SteadyDay | None:
    """`_steady_day` of what may be no day at all: None then."""
    try:
        return _steady_day(zone, day)
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=4096)
def _steady_day(zone: ZoneInfo, day: str) -> _SteadyDay | None:
    """What holds for all clocks of a day, or None where they change about it. Raises ValueError for what is no day.

    Asking the zone once a day makes reading hundreds of thousands of clocks cheap.
    """
    noon = datetime.combine(date.fromisoformat(day), time(12), zone)
    # A day either side, since midnight itself may be the hour that is skipped or repeated.
    offsets = {(noon + timedelta(days=shift)).isoformat()[19:] for shift in (-1, 0, 1)}
    if len(offsets) > 1:
        return None
    return _SteadyDay(offsets.pop(), noon.utcoffset() or timedelta(), int(noon.timestamp()) - 12 * 3600)


def hours_of(window: Window, *, until: datetime) -> list[Window]:
    """The hours of a window that are over by `until`."""
    return [Window(start, start + _HOUR) for start in hour_starts(window.start, min(window.end, until))]


def hour_starts(start: datetime, end: datetime) -> Iterator[datetime]:
    """The starts of the hours that follow each other from a start, as far as they are over by an end."""
    while start + _HOUR <= end:
        yield start
        start += _HOUR
