"""Weekly hours and holidays as instants. Pure.

A moment is in business when the clock on the account's wall shows a time within the hours of its day: an hour that is
skipped is no business, one that is repeated is business twice.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

from b2chat_pipeline.operations.configuration import Weekday, minutes_of
from b2chat_pipeline.windows import AccountClock, Window

_WEEKDAYS = get_args(Weekday)


def holidays_of(content: Mapping[str, Any], first: date, last: date) -> dict[date, str]:
    """The days from the first to the last on which a version of a calendar is closed, with what is celebrated."""
    days = {date.fromisoformat(text): "closed" for text in content["closed"]}
    if rule := content["holidays"]:
        import holidays

        years = range(first.year, last.year + 1)
        days |= dict(holidays.country_holidays(rule["country"], subdiv=rule["subdivision"], years=years))
    return {day: name for day, name in sorted(days.items()) if first <= day <= last}


def openings(day: date, spans: Sequence[str], zone: ZoneInfo) -> Iterator[Window]:
    """When business begins and ends on an account-local day with such hours (`08:00-12:30`)."""
    for opens, closes in map(minutes_of, spans):
        for part, offset in _parts(day, zone):
            midnight = datetime.combine(day, time(), UTC) - offset
            start = max(midnight + timedelta(minutes=opens), part.start)
            end = min(midnight + timedelta(minutes=closes), part.end)
            if start < end:
                yield Window(start, end)


def spans_on(content: Mapping[str, Any], day: date) -> Sequence[str]:
    """The hours of a version of a calendar on a weekday like that day's."""
    spans: Sequence[str] = content["hours"].get(_WEEKDAYS[day.weekday()], [])
    return spans


def _parts(day: date, zone: ZoneInfo) -> list[tuple[Window, timedelta]]:
    """A day in parts of one offset each: one part, or two where clocks change."""
    window = AccountClock(zone).day_window(day)
    before, after = _offset(window.start, zone), _offset(window.end - timedelta(seconds=1), zone)
    if before == after:
        return [(window, before)]
    same, changed = window.start, window.end - timedelta(seconds=1)
    while changed - same > timedelta(seconds=1):
        middle = same + (changed - same) // timedelta(seconds=2) * timedelta(seconds=1)
        same, changed = (middle, changed) if _offset(middle, zone) == before else (same, middle)
    return [(Window(window.start, changed), before), (Window(changed, window.end), after)]


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()
