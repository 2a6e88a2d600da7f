"""Time as the account counts it: hours, days, ranges, and the naive clocks of the API.

Here belongs pure arithmetic of windows and clocks. Not here: partition keys (`partitions.py`), reading the current
time, any I/O. All windows are half-open and held in UTC; days are the account's own, so they have 23, 24 or 25 hours
where clocks change.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

# Why a clock of the API is not simply what it says: it names two instants (clocks went back; the first is taken), none
# (clocks went forward; it is shifted by the gap), or cannot be read as a time at all.
ClockFlag = Literal["ambiguous", "nonexistent", "unreadable"]


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


@dataclass(frozen=True)
class ClockReading:
    """One clock of the API as an instant (UTC; None where unreadable), with the flag that says what was done to it."""

    instant: datetime | None
    flag: ClockFlag | None = None


@dataclass(frozen=True)
class AccountClock:
    """Turns the account's naive wall-clock times into instants and instants into its days."""

    zone: ZoneInfo

    def read(self, text: str) -> ClockReading:
        """The instant of `YYYY-MM-DD HH:MM:SS` in the account's zone."""
        try:
            naive = datetime.fromisoformat(text)
            if naive.tzinfo is not None:
                return ClockReading(naive.astimezone(UTC))
            offset = _steady_offset(self.zone, naive.date())
            if offset is not None:
                return ClockReading((naive - offset).replace(tzinfo=UTC))
            return self._read_near_a_change(naive)
        except (ValueError, OverflowError):
            return ClockReading(None, "unreadable")

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

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.zone).astimezone(UTC)

    def days_of(self, window: Window) -> list[date]:
        """The account-local days a window touches, in order."""
        first, last = self.day_of(window.start), self.day_of(window.end - timedelta(microseconds=1))
        return [first + timedelta(days=n) for n in range((last - first).days + 1)]


@lru_cache(maxsize=4096)
def _steady_offset(zone: ZoneInfo, day: date) -> timedelta | None:
    """The zone's offset on a day without a clock change, else None. Asking the zone once a day makes reading cheap."""
    # A day either side, since midnight itself may be the hour that is skipped or repeated.
    moments = [datetime.combine(day, time(12), zone) + timedelta(days=shift) for shift in (-1, 0, 1)]
    offsets = {moment.utcoffset() for moment in moments}
    return offsets.pop() if len(offsets) == 1 else None


def contiguous(windows: Iterable[Window]) -> list[Window]:
    """The fewest windows that cover the same time: neighbours are joined, order and overlaps do not matter."""
    joined: list[Window] = []
    for window in sorted(windows):
        if joined and window.start <= joined[-1].end:
            joined[-1] = Window(joined[-1].start, max(joined[-1].end, window.end))
        else:
            joined.append(window)
    return joined
