"""FROM and TO, as people write them: two times of the account with whole hours between them, or the days they lie in.

Not here: which hours are on offer (`partitions.py`).
"""

from datetime import date, timedelta

from b2chat_pipeline.settings import Account, SettingsError
from b2chat_pipeline.windows import AccountClock, Window


def read_span(account: Account, start: str, end: str) -> Window:
    """The window from `start` to before `end`, days or times of the account. Raises SettingsError."""
    clock = AccountClock(account.zone)
    bounds = []
    for text in (start, end):
        instant = clock.read(text).instant
        if instant is None:
            raise SettingsError(f"{text!r} is no day and no time: write 2026-01-31, or 2026-01-31T14:00.")
        bounds.append(instant)
    first, last = bounds
    if first >= last:
        raise SettingsError(f"{start} .. {end} holds no hour: the end is not included, so it must lie after the start.")
    return Window(first, last)


def read_days(account: Account, start: str, end: str) -> tuple[date, date]:
    """The first and the last account-local day of `read_span`. Raises SettingsError."""
    clock, span = AccountClock(account.zone), read_span(account, start, end)
    return clock.day_of(span.start), clock.day_of(span.end - timedelta(microseconds=1))


def read_day(account: Account, text: str) -> date:
    """A day of the account. Raises SettingsError."""
    instant = AccountClock(account.zone).read(text).instant
    if instant is None:
        raise SettingsError(f"{text!r} is no day: write 2026-01-31.")
    return AccountClock(account.zone).day_of(instant)


def require_whole_hours(window: Window, account: Account, start: str, end: str) -> None:
    """Raises SettingsError where a bound does not lie on the hour, as the account counts it."""
    bounds = (bound.astimezone(account.zone) for bound in (window.start, window.end))
    if any((bound.minute, bound.second, bound.microsecond) != (0, 0, 0) for bound in bounds):
        raise SettingsError(f"{start} .. {end} cuts an hour in two: begin and end on the hour.")
