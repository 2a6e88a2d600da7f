"""Runs records that were put aside through today's mapping again, in the write path of every load.

Here belongs what becomes of an open record. Not here: the table (`warehouse/quarantine.py`), what fits (`contract.py`,
`mapping.py`).

A whole record, a chat or a full contact, is loaded from the quarantine itself, as of the time its page was asked for,
so a row that was read later stays as it is. A part of a chat (a message, its agent, its contact) means nothing without
the chat: the hour it belongs to is loaded again from its stored pages.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import psycopg
from psycopg import Connection

from b2chat_pipeline.b2chat.contract import ENTITIES, Endpoint
from b2chat_pipeline.ingest.days import DayTold, days_told
from b2chat_pipeline.ingest.loading import DayLoader, LoadError, PreparedDay, attempted, check_counts, total
from b2chat_pipeline.ingest.reading import told_pages
from b2chat_pipeline.ingest.received import Received
from b2chat_pipeline.warehouse.books import EntityTotals, Sync, close_sync, open_sync, record_progress
from b2chat_pipeline.warehouse.ledger import Rejected, put_aside, record_hash, write_ledger
from b2chat_pipeline.warehouse.quarantine import Quarantined, resolve, stored_read_at
from b2chat_pipeline.warehouse.reads import applied_reads, as_received, hours_read, stored_pages
from b2chat_pipeline.warehouse.write import lock_day
from b2chat_pipeline.windows import AccountClock, Window

ENTERED = "entered by a replay of the quarantine"
ARRIVED = "had arrived with a load of what was read later"
UNTOLD = "has no key that can be read, and a later read of its hour told it no more"
HOUR_LOADED = "fits since its hour was loaded again from the stored pages"


@dataclass
class Replayed:
    """What became of open records, by id; `failed` could not be tried, for the reason given."""

    resolved: dict[str, str] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Workplace:
    """What a replay works with: two connections in autocommit mode, the account's clock, and on whose behalf."""

    loading: Connection
    books: Connection
    clock: AccountClock
    now: Callable[[], datetime]
    user_id: str


def replay(endpoint: Endpoint, records: Sequence[Quarantined], place: Workplace) -> Replayed:
    """Try open records of one endpoint again, under a sync of their own. Trouble with a record is not raised."""
    sync = open_sync(
        place.books,
        ENTITIES[endpoint],
        user_id=place.user_id,
        operation="manual",
        run_id="",
        metadata={"endpoint": endpoint, "quarantined": len(records)},
        now=place.now(),
    )
    again = _Again(endpoint, place, sync)
    try:
        again.run(records)
    except BaseException as error:
        close_sync(place.books, sync, again.totals, status="error", error=error, now=place.now())
        raise
    status = "partial" if again.replayed.failed else "success"
    close_sync(place.books, sync, again.totals, status=status, error=None, now=place.now())
    return again.replayed


class _Again:
    """One replay while it runs."""

    def __init__(self, endpoint: Endpoint, place: Workplace, sync: Sync) -> None:
        self._endpoint = endpoint
        self._place = place
        self._sync = sync
        self._loader = DayLoader(place.loading, endpoint, place.clock, sync, now=place.now)
        self.replayed = Replayed()
        self.totals: dict[str, EntityTotals] = {}

    def run(self, records: Sequence[Quarantined]) -> None:
        parts = defaultdict[datetime, list[Quarantined]](list)
        for record in records:
            if record.hour_start is None:
                self.replayed.failed[record.id] = "the hour it belongs to is not known"
            elif record.entity == ENTITIES[self._endpoint][0]:
                self._one(record, record.hour_start)
            else:
                parts[record.hour_start].append(record)
        for hour, of_hour in sorted(parts.items()):
            self._hour(hour, of_hour)

    def _one(self, record: Quarantined, hour: datetime) -> None:
        try:
            resolution = attempted(lambda: self._transaction(record, hour))
        except LoadError as error:
            self.replayed.failed[record.id] = str(error)
        except psycopg.Error as error:
            # PostgreSQL's own text may quote the row.
            self.replayed.failed[record.id] = f"{type(error).__name__} ({error.sqlstate or 'no connection'})"
        else:
            self._note(record, resolution)

    def _transaction(self, record: Quarantined, hour: datetime) -> str | None:
        """Load one whole record; how it is resolved by that, or None where it still does not fit."""
        connection, now = self._place.loading, self._place.now()
        window, day = Window(hour, hour + timedelta(hours=1)), self._place.clock.day_of(hour)
        received = Received(as_received(record.raw_record), record.read_at, hour)
        told = DayTold(day, [window], record.sync_id, record.read_at, [received], complete=False)
        prepared = _without(self._loader.prepare(told), [record])
        with connection.transaction():
            lock_day(connection, self._endpoint, day.isoformat())
            tally = prepared.write(now)
            check_counts(prepared.day, tally)
            put_aside(connection, self._sync.id, prepared.rejected, now=now)
            write_ledger(connection, self._sync.id, tally, now=now)
            counts = tally[record.entity, hour]
            resolution = ENTERED if counts.inserted + counts.updated else ARRIVED if counts.loaded else None
            if resolution is None:
                stored = stored_read_at(connection, record.entity, record.record_key)
                resolution = ARRIVED if counts.older or (stored and stored > record.read_at) else None
            if resolution is None and record.record_key is None:
                # Whose it is nobody knows, but a later read of its hour would have met it again.
                applied = applied_reads(connection, self._endpoint, [hour]).get(hour)
                resolution = UNTOLD if applied and applied > record.read_at else None
            if resolution is not None:
                resolve(connection, record.id, resolution, now=now)
            totals = {entity: total(tally, entity) for entity in self._sync.log_ids}
            record_progress(connection, self._sync, totals, watermark=window.start)
        return resolution

    def _hour(self, hour: datetime, records: Sequence[Quarantined]) -> None:
        """Load an hour again from its stored pages, and see which of its open records are refused no more."""
        day = self._told(hour)
        newest = max(record.read_at for record in records)
        if day is None or newest > max((it.read_at for it in day.records), default=day.read_at):
            sentence = "its pages are not stored any more: read its hour again"
            self.replayed.failed |= {record.id: sentence for record in records}
            return
        prepared = self._loader.prepare(day)
        refused = {_identity(it) for it in prepared.rejected}
        loaded = self._loader.load(_without(prepared, records))
        if loaded.failed:
            self.replayed.failed |= {record.id: str(loaded.failed[hour]) for record in records}
            return
        for record in records:
            resolution = None if (record.entity, record.record_hash) in refused else HOUR_LOADED
            if resolution is not None:
                resolve(self._place.books, record.id, resolution, now=self._place.now())
            self._note(record, resolution)

    def _told(self, hour: datetime) -> DayTold | None:
        """The hour as its newest complete read tells it."""
        connection = self._place.books
        read = hours_read(connection, self._endpoint, [hour]).get(hour)
        if read is None:
            return None
        pages = told_pages(stored_pages(connection, read.sync_id, self._endpoint), self._endpoint, self._place.clock)
        return next(days_told(list(pages), [Window(hour, hour + timedelta(hours=1))], self._place.clock), None)

    def _note(self, record: Quarantined, resolution: str | None) -> None:
        if resolution is None:
            self.replayed.open.append(record.id)
        else:
            self.replayed.resolved[record.id] = resolution


def _without(prepared: PreparedDay, records: Sequence[Quarantined]) -> PreparedDay:
    """The same day. What is refused again stays aside as it is, and is not met once more."""
    known = {(record.entity, record.record_hash) for record in records}
    fresh = [it for it in prepared.rejected if _identity(it) not in known]
    return replace(prepared, rejected=fresh)


def _identity(rejected: Rejected) -> tuple[str, bytes]:
    return rejected.entity, record_hash(rejected.record_key, rejected.raw_record)


def replay_all(records: Sequence[Quarantined], place: Workplace) -> Replayed:
    """Try open records of any endpoint again, in the order they were read."""
    everything = Replayed()
    for endpoint in ENTITIES:
        those = [record for record in records if record.endpoint == endpoint]
        if those:
            replayed = replay(endpoint, those, place)
            everything.resolved |= replayed.resolved
            everything.open += replayed.open
            everything.failed |= replayed.failed
    return everything
