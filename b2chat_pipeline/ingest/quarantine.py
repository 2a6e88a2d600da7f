"""Runs records that were put aside through today's mapping again, in the write path of every load.

Here belongs what becomes of an open record. Not here: the table (`warehouse/quarantine.py`), what fits
(`b2chat/decoding.py`, `mapping.py`).

A whole record, a chat or a full contact, is loaded from the quarantine itself, as of the time its page was asked for,
so a row that was read later stays as it is. A part of a chat (a message, its agent, contact or department)
means nothing without the chat: the hour it belongs to is loaded again from its stored pages.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import psycopg
from psycopg import Connection

from b2chat_pipeline.b2chat.contract import ENTITIES, Endpoint
from b2chat_pipeline.ingest.bookkeeping import Work, closing, stopping
from b2chat_pipeline.ingest.days import DayTold, day_stored
from b2chat_pipeline.ingest.loading import DayLoader, LoadError, PreparedDay, attempted, check_counts, total, total_of
from b2chat_pipeline.ingest.received import Received, Tally
from b2chat_pipeline.warehouse.books import EntityTotals, Sync, open_sync, record_progress
from b2chat_pipeline.warehouse.connection import named, remedy
from b2chat_pipeline.warehouse.ledger import Counts, Rejected, put_aside, record_hash, write_ledger
from b2chat_pipeline.warehouse.quarantine import Quarantined, resolve, stored_read_at
from b2chat_pipeline.warehouse.reads import applied_reads, as_received, hours_read
from b2chat_pipeline.warehouse.write import lock_day
from b2chat_pipeline.windows import AccountClock, Window

ENTERED = "entered by a replay of the quarantine"
ARRIVED = "had arrived with a load of what was read later"
UNTOLD = "has no key that can be read, and a later read of its hour told it no more"
HOUR_LOADED = "fits since its hour was loaded again from the stored pages"
_WORK = Work("the replay of the quarantine", again="run `b2chat quarantine replay` again", unit="record")


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
    """Try open records of one endpoint again, under a sync of their own. Trouble with a record is not raised.

    Raises WarehouseStoppedError, and BooksOpenError where the books cannot even be closed.
    """
    with stopping(_WORK, place.loading):
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
    with closing(_WORK, place.books, sync, again, place.now), stopping(_WORK, place.loading):
        again.run(records)
    return again.replayed


class _Again:
    """One replay while it runs."""

    def __init__(self, endpoint: Endpoint, place: Workplace, sync: Sync) -> None:
        self._endpoint = endpoint
        self._place = place
        self._sync = sync
        self._loader = DayLoader(place.loading, endpoint, place.clock, sync, now=place.now)
        self._counts = defaultdict[str, list[Counts]](list)
        self.replayed = Replayed()

    @property
    def status(self) -> str:
        return "partial" if self.replayed.failed else "success"

    @property
    def first_error(self) -> None:
        return None  # what stood in the way of a record is told beside it

    def total(self, entity: str) -> EntityTotals:
        return total_of(self._counts[entity])

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
            resolution, tally = attempted(lambda: self._transaction(record, hour))
        except LoadError as error:
            self.replayed.failed[record.id] = str(error)
        except psycopg.Error as error:
            if self._place.loading.closed:
                raise
            self.replayed.failed[record.id] = f"{named(error)}: {remedy(error)}, then {_WORK.again}"
        else:
            self._count(tally)
            self._note(record, resolution)

    def _transaction(self, record: Quarantined, hour: datetime) -> tuple[str | None, Tally]:
        """Load one whole record: how that resolves it, or None where it still does not fit; and its counts."""
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
        return resolution, tally

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
        self._count(loaded.tally)
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
        hours = [Window(hour, hour + timedelta(hours=1))]
        return day_stored(connection, self._endpoint, read.sync_id, hours, self._place.clock)

    def _count(self, tally: Mapping[tuple[str, datetime], Counts]) -> None:
        for (entity, _), counts in tally.items():
            self._counts[entity].append(counts)

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
