"""One sync of one side of the API: reads the hours asked for, loads them day by day, and keeps the books.

Here belongs what one run does from its first request to its last commit. Not here: Dagster, and how any single step
works. The chats side and the contacts side do not depend on each other, so trouble at one endpoint never holds up the
other.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from psycopg import Connection

from b2chat_pipeline.b2chat.client import B2ChatClient
from b2chat_pipeline.b2chat.contract import CHATS, ENTITIES, Endpoint
from b2chat_pipeline.b2chat.errors import B2ChatError, BudgetExhausted
from b2chat_pipeline.ingest.ahead import ahead
from b2chat_pipeline.ingest.bookkeeping import Work, closing, stopping
from b2chat_pipeline.ingest.days import DayTold, days_told
from b2chat_pipeline.ingest.loading import DayLoaded, DayLoader, LoadError, PreparedDay, total_of
from b2chat_pipeline.ingest.reading import PageTold, Reader, plan_reads, told_pages
from b2chat_pipeline.warehouse.books import EntityTotals, Sync, open_sync
from b2chat_pipeline.warehouse.connection import WarehouseStoppedError
from b2chat_pipeline.warehouse.ledger import Counts
from b2chat_pipeline.warehouse.reads import HourRead, applied_reads, hours_read, record_hours_read, stored_pages
from b2chat_pipeline.windows import AccountClock, Window

# Pages read before they are needed: enough to keep the connection busy, few enough to hold in memory.
PAGES_AHEAD = 4

PagesTold = Generator[PageTold, None, None]


class NothingStoredError(LoadError):
    """An hour was to be loaded from stored pages, but no stored read covers it."""


@dataclass(frozen=True)
class Order:
    """What a run asks for: hours of one side; whether to read them, and whether to load them."""

    endpoint: Endpoint
    hours: Sequence[Window]
    read: bool
    load: bool
    user_id: str
    operation: str
    run_id: str


@dataclass
class Outcome:
    """What became of each hour: what was told and counts by entity where it is done, else the error."""

    sync_id: str
    # Records told of each hour that was read, or found in stored pages.
    told: dict[datetime, int] = field(default_factory=dict)
    counts: dict[datetime, dict[str, Counts]] = field(default_factory=dict)
    failed: dict[datetime, Exception] = field(default_factory=dict)
    # All that were sent, for tokens and in vain too, and the pages that came.
    requests: int = 0
    pages: int = 0

    @property
    def status(self) -> str:
        """success, partial (some hours loaded, or the budget ran out) or error."""
        if not self.failed:
            return "success"
        stopped = all(isinstance(error, BudgetExhausted) for error in self.failed.values())
        return "partial" if self.told or stopped else "error"

    @property
    def first_error(self) -> Exception | None:
        """What went wrong first; a budget that ran out is nothing wrong."""
        return next((error for error in self.failed.values() if not isinstance(error, BudgetExhausted)), None)

    def total(self, entity: str) -> EntityTotals:
        """What became of an entity's records in all hours."""
        return total_of([hour[entity] for hour in self.counts.values() if entity in hour])


@dataclass(frozen=True)
class Tools:
    """What a sync works with. The three connections are its own, in autocommit mode."""

    client: B2ChatClient
    reading: Connection
    loading: Connection
    books: Connection
    clock: AccountClock
    now: Callable[[], datetime]


def run_sync(order: Order, tools: Tools) -> Outcome:
    """Do what is ordered, as far as it can be done, and say what became of every hour. Trouble with the source, with a
    day or with the database is recorded in the outcome, not raised; anything else is raised after the books are closed.
    Raises BooksOpenError where the database does not let them be closed, WarehouseStoppedError where not even opened.
    """
    work = _work(order)
    with stopping(work, tools.loading):
        sync = _open(order, tools)
    outcome = Outcome(sync.id)
    with closing(work, tools.books, sync, outcome, tools.now):
        _Running(order, tools, sync, outcome).run(work)
    return outcome


class _Running:
    """One sync while it runs."""

    def __init__(self, order: Order, tools: Tools, sync: Sync, outcome: Outcome) -> None:
        self._order = order
        self._tools = tools
        self._outcome = outcome
        self._reader = Reader(tools.reading, tools.client, tools.clock, now=tools.now)
        self._loader = DayLoader(tools.loading, order.endpoint, tools.clock, sync, now=tools.now)
        self._sync = sync

    def run(self, work: Work) -> None:
        try:
            with stopping(work, self._tools.loading):
                if self._order.read:
                    self._read()
                else:
                    self._load_stored()
        except WarehouseStoppedError as error:
            hours = [hour.start for hour in self._order.hours]
            self._fail((hour for hour in hours if not self._is_done(hour)), error)
        finally:
            self._outcome.requests, self._outcome.pages = self._tools.client.requests, self._reader.pages

    def _read(self) -> None:
        """Read the lists that hold the hours, and load each day as soon as it has been told."""
        now = self._tools.now()
        for read in plan_reads(self._order.endpoint, self._order.hours, self._tools.clock, now=now):
            hours = [hour for hour in self._order.hours if read.holds(hour)]
            try:
                for day in self._days(self._reader.pages_of(read, self._sync.id), hours):
                    if day.day.complete:
                        record_hours_read(self._tools.books, self._order.endpoint, list(day.day.reads.values()))
                    self._settle(day)
            except B2ChatError as error:
                self._fail((hour.start for hour in hours if not self._is_done(hour.start)), error)

    def _load_stored(self) -> None:
        """Load the hours from the newest complete read of each."""
        starts = [hour.start for hour in self._order.hours]
        stored = hours_read(self._tools.reading, self._order.endpoint, starts)
        self._fail((start for start in starts if start not in stored), _nothing_stored(self._order.endpoint))
        by_sync: dict[str, list[Window]] = defaultdict(list)
        for hour in self._order.hours:
            if hour.start in stored:
                by_sync[stored[hour.start].sync_id].append(hour)
        for sync_id, hours in sorted(by_sync.items()):
            pages = stored_pages(self._tools.reading, sync_id, self._order.endpoint)
            told = self._told(told_pages(pages, self._order.endpoint, self._tools.clock), hours)
            for day in self._prepared(_whole(told, stored)):
                self._settle(day)
            missing = (hour.start for hour in hours if not self._is_done(hour.start))
            self._fail(missing, _nothing_stored(self._order.endpoint))

    def _days(self, pages: PagesTold, hours: Sequence[Window]) -> Iterator[PreparedDay]:
        """The days of some pages. Pages are read and days decoded while the day before is written."""
        return self._prepared(self._told(pages, hours))

    def _told(self, pages: PagesTold, hours: Sequence[Window]) -> Iterator[DayTold]:
        return days_told(ahead(pages, depth=PAGES_AHEAD), hours, self._tools.clock)

    def _prepared(self, days: Iterable[DayTold]) -> Iterator[PreparedDay]:
        hours = [hour.start for hour in self._order.hours]
        fresh = set(hours) - applied_reads(self._tools.loading, self._order.endpoint, hours).keys()
        return ahead((self._loader.prepare(day, fresh=fresh) for day in days), depth=1)

    def _settle(self, prepared: PreparedDay) -> None:
        """Load a day where loading is ordered, and note what became of its hours."""
        day, outcome = prepared.day, self._outcome
        # Popped before it is loaded: where that breaks off, these hours are not done.
        told = {hour: outcome.told.pop(hour, None) for hour in day.reads}
        if day.complete:  # whatever an earlier walk over the list made of it
            told = dict.fromkeys(told, 0)
            for hour in told:
                outcome.failed.pop(hour, None)
        loaded = self._loader.load(prepared) if self._order.load else DayLoaded()
        for (entity, hour), counts in loaded.tally.items():
            if hour in day.reads:
                of_hour = outcome.counts.setdefault(hour, {})
                of_hour[entity] = of_hour.get(entity, Counts()) + counts
        for hour, before in told.items():
            # Stragglers of an hour that failed do not make up for it.
            if before is not None and hour not in loaded.failed:
                outcome.told[hour] = before + day.reads[hour].records
        outcome.failed |= loaded.failed

    def _is_done(self, hour: datetime) -> bool:
        return hour in self._outcome.told or hour in self._outcome.failed

    def _fail(self, hours: Iterable[datetime], error: Exception) -> None:
        for hour in hours:
            self._outcome.failed[hour] = error


def _whole(days: Iterable[DayTold], stored: Mapping[datetime, HourRead]) -> Iterator[DayTold]:
    """Days with those of their hours of which all records are still stored: old pages are dropped by the week.

    Stragglers come on top of a day that was looked at already.
    """
    for day in days:
        if not day.complete:
            yield day
            continue
        number = Counter(record.hour for record in day.records)
        hours = [hour for hour in day.hours if number[hour.start] >= stored[hour.start].records]
        if hours:
            starts = {hour.start for hour in hours}
            yield replace(day, hours=hours, records=[record for record in day.records if record.hour in starts])


def _nothing_stored(endpoint: Endpoint) -> NothingStoredError:
    asset = "chat_pages" if endpoint == CHATS else "contact_pages"
    return NothingStoredError("no stored pages cover this hour", f"materialize {asset} together with the tables")


def _about(order: Order) -> dict[str, object]:
    return {
        "endpoint": order.endpoint,
        "from": min(hour.start for hour in order.hours).isoformat(),
        "to": max(hour.end for hour in order.hours).isoformat(),
        "hours": len(order.hours),
        "read": order.read,
        "load": order.load,
    }


def _open(order: Order, tools: Tools) -> Sync:
    return open_sync(
        tools.books,
        ENTITIES[order.endpoint],
        user_id=order.user_id,
        operation=order.operation,
        run_id=order.run_id,
        metadata=_about(order),
        now=tools.now(),
    )


def _work(order: Order) -> Work:
    first, last = min(hour.start for hour in order.hours), max(hour.end for hour in order.hours)
    name = f"the sync of {order.endpoint} {first.isoformat()} .. {last.isoformat()}"
    return Work(name, again="materialize these hours again", unit="day")
