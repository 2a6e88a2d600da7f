"""Loads one account-local day in one transaction; where that fails, hour by hour, so that the bad hour is named.

Here belongs what commits together: rows, quarantine, ledger, sync log, watermark. Not here: what is written
(`chats.py`, `contacts.py`), and where the records come from.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

import psycopg
import tenacity
from psycopg import Connection, errors

from b2chat_pipeline.b2chat.contract import CHATS, Endpoint
from b2chat_pipeline.b2chat.drift import Departure
from b2chat_pipeline.ingest.batch import chat_batch
from b2chat_pipeline.ingest.chats import make_ready_ahead, write_chats
from b2chat_pipeline.ingest.contacts import contact_batch, write_contacts
from b2chat_pipeline.ingest.days import DayRead, DayTold, day_again
from b2chat_pipeline.ingest.received import Tally, count_outside
from b2chat_pipeline.warehouse.books import EntityTotals, Sync, record_progress
from b2chat_pipeline.warehouse.connection import named, remedy
from b2chat_pipeline.warehouse.drift import record_drift
from b2chat_pipeline.warehouse.ledger import Counts, Rejected, put_aside, write_ledger
from b2chat_pipeline.warehouse.reads import mark_applied
from b2chat_pipeline.warehouse.write import lock_day
from b2chat_pipeline.windows import AccountClock, Window

T = TypeVar("T")

ATTEMPTS = 3
# Another load was in the way; the same transaction may well succeed now.
_IN_THE_WAY = (errors.DeadlockDetected, errors.LockNotAvailable, errors.SerializationFailure, errors.UniqueViolation)
# The hours of a day would meet the same trouble one by one, and wait for it each time.
_NO_FAULT_OF_AN_HOUR = (errors.DiskFull, errors.LockNotAvailable)


class LoadError(Exception):
    """A day or an hour could not be written; nothing of it was. The text is one sentence and holds no values.

    It is `cause` and `remedy`, and how to have the hours loaded after that; who loads them otherwise says how there.
    """

    def __init__(self, cause: str, remedy: str, *, again: str | None = None) -> None:
        super().__init__(f"{cause}: {remedy}{f', then {again}' if again else ''}.")
        self.cause = cause
        self.remedy = remedy


class DayHeldUpError(LoadError):
    """The database, not a record, stood in the way of a whole day."""


class LedgerError(LoadError):
    """The records received are not all accounted for, so the transaction was rolled back."""


@dataclass(frozen=True)
class PreparedDay:
    """A day with its records decoded: what does not fit, and how the rest is written within a transaction."""

    day: DayRead
    rejected: list[Rejected]
    # How its records depart from the contract, and how often.
    departures: Mapping[Departure, int]
    write: Callable[[datetime], Tally]


@dataclass(frozen=True)
class DayLoaded:
    """What became of the hours of a day: counts by entity and hour, and the hours that could not be loaded."""

    tally: Mapping[tuple[str, datetime], Counts] = field(default_factory=dict)
    failed: Mapping[datetime, LoadError] = field(default_factory=dict)


class DayLoader:
    """Loads days for one sync over one connection (autocommit; it opens the transactions itself)."""

    def __init__(
        self,
        connection: Connection,
        endpoint: Endpoint,
        clock: AccountClock,
        sync: Sync,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._connection = connection
        self._endpoint = endpoint
        self._clock = clock
        self._sync = sync
        self._now = now

    def load(self, prepared: PreparedDay) -> DayLoaded:
        """Load a day, or those of its hours that can be loaded. Raises psycopg.OperationalError where the connection is
        lost: whether the day was written is then not known.
        """
        try:
            return DayLoaded(tally=self._attempted(prepared))
        except LoadError as error:
            apart = [] if isinstance(error, DayHeldUpError) else self._hours_apart(prepared.day)
            if not apart:
                return DayLoaded(failed={hour.start: error for hour in prepared.day.hours})
        tally: dict[tuple[str, datetime], Counts] = {}
        failed: dict[datetime, LoadError] = {}
        for told in apart:
            try:
                tally |= self._attempted(self.prepare(told))
            except LoadError as error:
                failed[told.hours[0].start] = error
        return DayLoaded(tally, failed)

    def _hours_apart(self, day: DayRead) -> list[DayTold]:
        """The hours of a day, each by itself; none where it has but one, or where PostgreSQL is gone.

        From the stored pages, since the records were let go of once they had been decoded.
        """
        if len(day.hours) == 1:
            return []
        try:
            whole = day_again(self._connection, self._endpoint, day, self._clock)
        except psycopg.Error:
            return []
        if whole is None:
            return []
        first, *others = [_only(whole, hour) for hour in day.hours]
        # What lies outside all hours of the run is counted once.
        return [first, *(replace(it, outside={}) for it in others)]

    def _attempted(self, prepared: PreparedDay) -> Tally:
        try:
            return attempted(lambda: self._transaction(prepared))
        except psycopg.Error as error:
            if self._connection.closed:
                raise
            raise _load_error(prepared.day, error) from None

    def prepare(self, told: DayTold, *, fresh: Collection[datetime] = ()) -> PreparedDay:
        """Decode a day's records, and let go of them as they came. `fresh` are hours that were never loaded.

        Needs no database, so it can be done while another day is written.
        """
        connection, clock, day = self._connection, self._clock, told.read()
        if self._endpoint == CHATS:
            chats = chat_batch(told.taken(), clock)
            count_outside(chats.tally, "chats", day.outside)
            make_ready_ahead(chats, fresh)
            return PreparedDay(
                *(day, chats.rejected, chats.watch.found),
                lambda now: write_chats(connection, chats, day, synced_at=now).tally,
            )
        contacts = contact_batch(told.taken())
        count_outside(contacts.tally, "contacts", day.outside)
        return PreparedDay(
            *(day, contacts.rejected, contacts.watch.found),
            lambda now: write_contacts(connection, contacts, clock, synced_at=now),
        )

    def _transaction(self, prepared: PreparedDay) -> Tally:
        day = prepared.day
        with self._connection.transaction():
            lock_day(self._connection, self._endpoint, day.day.isoformat())
            synced_at = self._now()
            tally = prepared.write(synced_at)
            check_counts(day, tally)
            put_aside(self._connection, self._sync.id, prepared.rejected, now=synced_at)
            record_drift(self._connection, self._sync.id, prepared.departures, now=synced_at)
            write_ledger(self._connection, self._sync.id, tally, now=synced_at)
            if day.complete:
                read_at = {hour: it.read_at for hour, it in day.reads.items()}
                mark_applied(self._connection, self._endpoint, read_at, sync_id=day.sync_id)
            totals = {entity: total(tally, entity) for entity in self._sync.log_ids}
            watermark = max(hour.end for hour in day.hours) if day.complete else None
            record_progress(self._connection, self._sync, totals, watermark=watermark)
        return tally


def attempted(transaction: Callable[[], T]) -> T:
    """Run a transaction, and again where another load is in its way. Raises the last psycopg.Error."""
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(_IN_THE_WAY),
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=tenacity.wait_random(0.05, 0.5),
        reraise=True,
    )
    return retrying(transaction)


def _only(day: DayTold, hour: Window) -> DayTold:
    return replace(day, hours=[hour], records=[record for record in day.records if record.hour == hour.start])


def check_counts(day: DayRead, tally: Tally) -> None:
    """Raises LedgerError where the records received are not all accounted for."""
    for (entity, hour), counts in sorted(tally.items()):
        if counts.received != counts.accounted:
            raise LedgerError(
                f"{entity} of {hour.isoformat()}: {counts.received} records received, {counts.accounted} accounted"
                f" for; nothing of {day.day} was written",
                f"report this, the stored pages of sync {day.sync_id} show it",
            )


def total(tally: Tally, entity: str) -> EntityTotals:
    """What became of an entity's records in all hours."""
    return total_of([counts for (name, _), counts in tally.items() if name == entity])


def total_of(counts: Collection[Counts]) -> EntityTotals:
    """Several counts of one entity as one; records outside the hours asked for were not received for them."""
    return EntityTotals(
        received=sum(count.received - count.outside for count in counts),
        loaded=sum(count.loaded for count in counts),
        quarantined=sum(count.quarantined for count in counts),
    )


def _load_error(day: DayRead, error: psycopg.Error) -> LoadError:
    # PostgreSQL's own text may quote the row, so only its code and the table are passed on.
    where = f" in table {error.diag.table_name}" if error.diag.table_name else ""
    hours = f"{day.hours[0].start.isoformat()} .. {day.hours[-1].end.isoformat()}"
    kind = DayHeldUpError if isinstance(error, _NO_FAULT_OF_AN_HOUR) else LoadError
    return kind(
        f"loading {hours} failed with {named(error)}{where}; nothing of it was written",
        remedy(error),
        again="materialize these hours again",
    )
