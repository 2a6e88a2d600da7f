"""A second way to business time, slow and without SQL: minute by minute, by the clock on the account's wall.

Written from the definition alone: a moment is in business when that clock shows a time within the hours of its weekday,
no holiday. Knows nothing of the pipeline but the shape of its configuration.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True)
class WallCalendar:
    """A calendar as its configuration tells it, looked at for some days."""

    weeks: Sequence[Mapping[str, Any]]
    holidays: frozenset[date]
    zone: ZoneInfo
    first: date
    last: date

    @cached_property
    def _open_minutes(self) -> list[datetime]:
        moment = datetime(self.first.year, self.first.month, self.first.day, tzinfo=self.zone).astimezone(UTC)
        end = datetime(self.last.year, self.last.month, self.last.day, tzinfo=self.zone).astimezone(UTC)
        minutes = []
        while moment < end:
            if self._is_open(moment.astimezone(self.zone)):
                minutes.append(moment)
            moment += MINUTE
        return minutes

    def _is_open(self, wall: datetime) -> bool:
        week = next((week for week in reversed(self.weeks) if week["valid_from"] <= wall.date()), None)
        if week is None or wall.date() in self.holidays or wall.date() in week.get("closed", ()):
            return False
        clock = f"{wall:%H:%M}"
        spans = (span.split("-") for span in week["hours"].get(WEEKDAYS[wall.weekday()], ()))
        return any(opens <= clock < closes for opens, closes in spans)

    def seconds(self, start: datetime | None, end: datetime | None) -> float | None:
        """Seconds of business from one instant to another; None where one is not known or they are out of order."""
        if start is None or end is None or end < start or start < self._beginning:
            return None
        minutes = self._open_minutes
        first, beyond = bisect_left(minutes, start - MINUTE), bisect_left(minutes, end)
        return sum(
            max(0.0, (min(minute + MINUTE, end) - max(minute, start)).total_seconds())
            for minute in minutes[first:beyond]
        )

    def next_opening(self, instant: datetime) -> datetime | None:
        """The instant itself in business, else the next minute that is."""
        if instant < self._beginning:
            return None
        minutes = self._open_minutes
        after = bisect_left(minutes, instant)
        if after and minutes[after - 1] + MINUTE > instant:
            return instant
        return minutes[after]

    @cached_property
    def _beginning(self) -> datetime:
        first = self.weeks[0]["valid_from"]
        return datetime(first.year, first.month, first.day, tzinfo=self.zone).astimezone(UTC)
