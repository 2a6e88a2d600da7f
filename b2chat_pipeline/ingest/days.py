"""Gathers told records into account-local days, each handed on as soon as its part of the list is told completely.

Here belongs which hour a record is loaded for. Not here: reading pages, or loading a day.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from psycopg import Connection

from b2chat_pipeline.b2chat.contract import Endpoint
from b2chat_pipeline.b2chat.paging import WALKS
from b2chat_pipeline.ingest.reading import PageTold, told_pages
from b2chat_pipeline.ingest.received import Received
from b2chat_pipeline.warehouse.reads import HourRead, stored_pages
from b2chat_pipeline.windows import AccountClock, Window


@dataclass(frozen=True)
class DayRead:
    """One account-local day as it was read: what is known of it without its records."""

    day: date
    hours: Sequence[Window]
    sync_id: str
    # When and how completely each hour (by its start) was read.
    reads: Mapping[datetime, HourRead]
    # Whether the records were all of the hours: only then does one that is lacking tell anything.
    complete: bool
    # By their own hour, the records told meanwhile that lie outside the hours asked for.
    outside: Mapping[datetime, int]
    # Whether a record that is lacking is absent. Not where the last walk over a list that moved told it: what came
    # meanwhile may hide what went.
    tells_absence: bool
    # Which stored pages told the records.
    pages: Sequence[str]


@dataclass
class DayTold:
    """The records of one account-local day that fall into the hours asked for, and when its hours were read."""

    day: date
    hours: list[Window]
    sync_id: str
    # When the first page of the list was asked for.
    read_at: datetime
    records: list[Received] = field(default_factory=list)
    # All as in DayRead.
    complete: bool = True
    outside: Mapping[datetime, int] = field(default_factory=dict)
    tells_absence: bool = True
    pages: list[str] = field(default_factory=list)

    def read(self) -> DayRead:
        """The day without its records. An hour counts as read when its oldest record was; one without, at the first."""
        records = defaultdict[datetime, list[datetime]](list)
        for record in self.records:
            records[record.hour].append(record.read_at)
        reads = {
            start: HourRead(start, self.sync_id, min(records[start], default=self.read_at), len(records[start]))
            for start in sorted(hour.start for hour in self.hours)
        }
        return DayRead(
            *(self.day, self.hours, self.sync_id, reads, self.complete, self.outside, self.tells_absence, self.pages)
        )

    def taken(self) -> Iterator[Received]:
        """The records, each let go of as it is taken: half of what a day takes in memory."""
        self.records.reverse()
        while self.records:
            yield self.records.pop()


def days_told(pages: Iterable[PageTold], hours: Sequence[Window], clock: AccountClock) -> Iterator[DayTold]:
    """The days of the hours asked for, each once its records are told; once more where the list is walked again.

    A record told later than its day was handed on, in the same walk, makes a day that is not complete, of its hour.
    Records outside the hours asked for are counted, no more. A record whose clock cannot be read goes with the one
    before it.
    """
    gathering: _Gathering | None = None
    for page in pages:
        gathering = gathering or _Gathering(sorted(hours), clock, page)
        gathering.add(page)
        yield from gathering.settled(page.settled_before)
    if gathering is not None:
        yield from gathering.rest()


def day_stored(
    connection: Connection, endpoint: Endpoint, sync_id: str, hours: Sequence[Window], clock: AccountClock
) -> DayTold | None:
    """The one day that some hours belong to, as the stored pages of a read tell it; None where none are stored.

    It may be told before the last page: the rest is left at once, since the pages keep the connection in a transaction.
    """
    with closing(stored_pages(connection, sync_id, endpoint)) as pages:
        return next(days_told(told_pages(pages, endpoint, clock), hours, clock), None)


def day_again(connection: Connection, endpoint: Endpoint, day: DayRead, clock: AccountClock) -> DayTold | None:
    """A day whose records were let go of, with the same records, from its stored pages; None where these are gone.

    What another page told of the day, before or after, belongs to another reading of it.
    """
    gathering: _Gathering | None = None
    with closing(stored_pages(connection, day.sync_id, endpoint)) as pages:
        for page in told_pages(pages, endpoint, clock):
            gathering = gathering or _Gathering(sorted(day.hours), clock, page)
            if page.page.id in day.pages:
                gathering.add(page)
            else:
                gathering.pass_over(page)
    if gathering is None:
        return None
    return replace(gathering.only_day(), complete=day.complete, outside=day.outside, tells_absence=day.tells_absence)


class _Gathering:
    """The days that are being gathered."""

    def __init__(self, hours: Sequence[Window], clock: AccountClock, first_page: PageTold) -> None:
        self._hours = hours
        self._starts = [hour.start for hour in hours]
        self._clock = clock
        self._last: datetime | None = None
        self._first_page = first_page.page
        self._open: dict[date, DayTold] = {}
        # In which walk over the list each day was handed on.
        self._handed_on: dict[date, int] = {}
        self._walk = first_page.walk
        self._days = sorted({clock.day_of(hour.start) for hour in hours})
        self._outside = Counter[datetime]()

    def add(self, page: PageTold) -> None:
        self._walk = page.walk
        for record in page.records:
            self._last = record.instant or self._last or self._starts[0]
            hour = self._hour_of(self._last)
            if hour is None:
                self._outside[self._clock.hour_of(self._last).start] += 1
            else:
                day = self._day(self._clock.day_of(hour.start))
                day.records.append(Received(record.raw, page.page.requested_at, hour.start))
                if day.pages[-1:] != [page.page.id]:
                    day.pages.append(page.page.id)

    def pass_over(self, page: PageTold) -> None:
        """A page whose records are not wanted; the next one's may be placed by its last clock."""
        self._last = next((record.instant for record in reversed(page.records) if record.instant), self._last)

    def settled(self, before: datetime | None) -> Iterator[DayTold]:
        """The days that end before a moment up to which the list has been told completely.

        But for the last one: what lies outside the hours is counted with the day after it in the list.
        """
        if before is None:
            return
        for day in self._days[:-1]:
            if day not in self._handed_on and self._clock.day_window(day).end <= before:
                yield self._hand_on(day)

    def rest(self) -> Iterator[DayTold]:
        """All days not handed on yet, and those of which more was told since."""
        for day in sorted((set(self._days) - self._handed_on.keys()) | self._open.keys()):
            yield self._hand_on(day)

    def only_day(self) -> DayTold:
        """The day of all hours, where they belong to one."""
        return self._day(self._days[0])

    def _hour_of(self, instant: datetime) -> Window | None:
        place = bisect_right(self._starts, instant) - 1
        return self._hours[place] if place >= 0 and instant in self._hours[place] else None

    def _day(self, day: date) -> DayTold:
        if day not in self._open:
            hours = [hour for hour in self._hours if self._clock.day_of(hour.start) == day]
            self._open[day] = DayTold(day, hours, self._first_page.sync_id, self._first_page.requested_at)
        return self._open[day]

    def _hand_on(self, day: date) -> DayTold:
        told = self._day(day)
        told.outside, self._outside = self._outside, Counter()
        # A walk that begins again tells the whole day; else these are stragglers, and tell nothing of other hours.
        told.complete = day not in self._handed_on or self._walk > self._handed_on[day]
        told.tells_absence = self._walk < WALKS
        if not told.complete:
            hours = {record.hour for record in told.records}
            told.hours = [hour for hour in told.hours if hour.start in hours]
        self._handed_on[day] = self._walk
        return self._open.pop(day)
