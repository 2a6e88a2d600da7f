"""Rebuilds the five tables from stored pages, in a schema of their own, and compares them with the live ones.

Here belongs which stored reads are loaded again, in which order, and when that is refused. Not here: the loading,
which is that of any load (`loading.py`), the side schema (`warehouse/side_schema.py`), what is compared
(`warehouse/differences.py`).

Every read that an hour of the window was loaded from is loaded again, in the order in which they were taken. The books,
the pages and the live tables are those of one moment, so loads that go on meanwhile are no differences.
"""

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from psycopg import Connection, IsolationLevel

from b2chat_pipeline.b2chat.contract import ENTITIES, Endpoint
from b2chat_pipeline.ingest.ahead import ahead
from b2chat_pipeline.ingest.bookkeeping import Work, stopping
from b2chat_pipeline.ingest.days import days_told
from b2chat_pipeline.ingest.loading import DayLoader, PreparedDay
from b2chat_pipeline.ingest.reading import told_pages
from b2chat_pipeline.settings import OperatorError
from b2chat_pipeline.warehouse.accounts import SYSTEM_USER
from b2chat_pipeline.warehouse.books import Sync
from b2chat_pipeline.warehouse.differences import Rebuilt, TableCompared, compare_tables
from b2chat_pipeline.warehouse.reads import StoredPage, record_hours_read, stored_pages
from b2chat_pipeline.warehouse.side_schema import (
    HourLoad,
    hold_side_schema,
    hour_loads,
    make_side_schema,
    reads_without_pages,
)
from b2chat_pipeline.windows import AccountClock, Window, hours_of

_AGAIN = "run `b2chat replay` again"
Loads = Mapping[Endpoint, Sequence[HourLoad]]
# Called with the loads of an hour that a rebuild repeats; gives what is called with how many were just repeated.
Begin = Callable[[int], Callable[[int], None]]


class NotLoadedError(OperatorError):
    """Hours of the window were never loaded from a complete read."""


class PagesGoneError(OperatorError):
    """Pages that hours of the window were loaded from are not stored any more."""


class RebuildError(OperatorError):
    """Stored pages that were loaded once cannot be loaded again."""


@dataclass(frozen=True)
class Place:
    """Where a rebuild works: two connections of its own in autocommit mode, and the account's clock."""

    live: Connection
    side: Connection
    clock: AccountClock
    now: Callable[[], datetime]


@dataclass(frozen=True)
class WindowCompared:
    """What was rebuilt from how many reads, and how each table compares."""

    hours: int
    reads: int
    tables: Sequence[TableCompared]

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not any(table.differences for table in self.tables)


@dataclass(frozen=True)
class _Pass:
    """Days of one read that are loaded one after the other."""

    endpoint: Endpoint
    sync_id: str
    hours: Sequence[Window]


def replay(window: Window, place: Place, begin: Begin) -> WindowCompared:
    """Rebuild a window and compare it. Raises NotLoadedError, PagesGoneError, ReplayRunningError, RebuildError, and
    WarehouseStoppedError where the database goes away.

    The side schema stays for inspection until the next rebuild. Nothing else is written.
    """
    hold_side_schema(place.side)
    place.live.isolation_level, place.live.read_only = IsolationLevel.REPEATABLE_READ, True
    work = Work(f"the rebuild of {window}", again=_AGAIN)
    with stopping(work, place.side), place.live.transaction():
        loads = {endpoint: hour_loads(place.live, endpoint, window) for endpoint in ENTITIES}
        _require_loaded(loads, window, place.clock)
        _require_pages(loads, place)
        rebuilt = Rebuilt(window, make_side_schema(place.side))
        advance = begin(sum(map(len, loads.values())))
        for one in _passes(loads, place.clock):
            _load(one, place, advance)
        reads = {load.sync_id for told in loads.values() for load in told}
        tables = compare_tables(place.live, place.side, rebuilt)
    return WindowCompared(len(hours_of(window, until=window.end)), len(reads), tables)


def _require_loaded(loads: Loads, window: Window, clock: AccountClock) -> None:
    for endpoint, told in loads.items():
        loaded = {load.hour for load in told}
        missing = [hour.start for hour in hours_of(window, until=window.end) if hour.start not in loaded]
        if missing:
            raise NotLoadedError(
                f"{_count(missing)} of {ENTITIES[endpoint][0]} within {_span(missing, clock)} were never loaded from a"
                " complete read, so there is nothing to compare: load them (`b2chat load FROM TO`), or replay a window"
                " without them."
            )


def _require_pages(loads: Loads, place: Place) -> None:
    for endpoint, told in loads.items():
        entity, reads = ENTITIES[endpoint][0], sorted({load.sync_id for load in told})
        gone = reads_without_pages(place.live, endpoint, entity, reads)
        hours = sorted({load.hour for load in told if load.sync_id in gone})
        if hours:
            raise _pages_gone(entity, hours, place.clock)


def _pages_gone(entity: str, hours: Sequence[datetime], clock: AccountClock) -> PagesGoneError:
    return PagesGoneError(
        f"{_count(hours)} of {entity} within {_span(hours, clock)} were loaded from pages that are not all stored any"
        " more (B2CHAT_RAW_RETENTION_DAYS), so they cannot be rebuilt: replay a window without them."
    )


def _count(hours: Sequence[datetime]) -> str:
    return "1 hour" if len(hours) == 1 else f"{len(hours):,} hours"


def _span(hours: Sequence[datetime], clock: AccountClock) -> str:
    first, last = (hour.astimezone(clock.zone) for hour in (min(hours), max(hours)))
    return f"{first:%Y-%m-%dT%H:%M} .. {last:%Y-%m-%dT%H}:59"


def _passes(loads: Loads, clock: AccountClock) -> Iterator[_Pass]:
    """The days of all reads in the order in which they were read; neighbours of one read in one pass over its pages."""
    days = defaultdict[tuple[Endpoint, str, date], list[HourLoad]](list)
    for endpoint, told in loads.items():
        for load in told:
            days[endpoint, load.sync_id, clock.day_of(load.hour)].append(load)
    in_order = sorted(days.items(), key=lambda item: (min(load.read_at for load in item[1]), item[0]))
    for (endpoint, sync_id), group in groupby(in_order, key=lambda item: item[0][:2]):
        hours = sorted(load.hour for _, those in group for load in those)
        yield _Pass(endpoint, sync_id, [Window(hour, hour + timedelta(hours=1)) for hour in hours])


def _load(one: _Pass, place: Place, advance: Callable[[int], None]) -> None:
    """Load days of a read as they were loaded once."""
    entities = ENTITIES[one.endpoint]
    sync = Sync(dict.fromkeys(entities, one.sync_id), entities[0], SYSTEM_USER, "", place.now())
    loader = DayLoader(place.side, one.endpoint, place.clock, sync, now=place.now)
    loaded: set[datetime] = set()
    # Closed here, and in this order: an error must not leave a cursor open in the transaction that it ends.
    with (
        closing(stored_pages(place.live, one.sync_id, one.endpoint)) as pages,
        closing(_prepared(one, place, loader, pages)) as days,
    ):
        for prepared in days:
            if prepared.day.complete:
                record_hours_read(place.side, one.endpoint, list(prepared.day.reads.values()))
            failed = loader.load(prepared).failed
            for hour, error in failed.items():
                raise RebuildError(
                    f"{_span([hour], place.clock)} cannot be rebuilt from its stored pages, since {error.cause}:"
                    f" {error.remedy}, then {_AGAIN}."
                )
            fresh = {hour.start for hour in prepared.day.hours} - loaded
            loaded |= fresh
            advance(len(fresh))
    gone = [hour.start for hour in one.hours if hour.start not in loaded]
    if gone:
        raise _pages_gone(entities[0], gone, place.clock)


def _prepared(
    one: _Pass, place: Place, loader: DayLoader, pages: Iterable[StoredPage]
) -> Generator[PreparedDay, None, None]:
    days = days_told(told_pages(pages, one.endpoint, place.clock), one.hours, place.clock)
    return ahead((loader.prepare(day) for day in days), depth=1)
