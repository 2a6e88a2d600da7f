"""One read of all contacts, whenever they were updated: hours only bring those that change while we look.

Here belongs walking the whole list and loading it page by page. Not here: how a page is read (`reading.py`), how its
contacts are written (`loading.py`). The list is asked for by day of creation: updates do not move a contact in it, and
new ones come at its end. The ledger counts each contact in the hour of its last update.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime

from b2chat_pipeline.b2chat.contract import CONTACTS, ENTITIES
from b2chat_pipeline.b2chat.errors import B2ChatError, BudgetExhausted
from b2chat_pipeline.b2chat.paging import Query
from b2chat_pipeline.ingest.ahead import ahead
from b2chat_pipeline.ingest.bookkeeping import Work, closing, stopping
from b2chat_pipeline.ingest.days import DayTold
from b2chat_pipeline.ingest.loading import DayLoader, LoadError, total_of
from b2chat_pipeline.ingest.reading import PageTold, Read, Reader
from b2chat_pipeline.ingest.received import Received
from b2chat_pipeline.ingest.sync import PAGES_AHEAD, Tools
from b2chat_pipeline.warehouse.books import EntityTotals, Sync, open_sync
from b2chat_pipeline.warehouse.connection import WarehouseStoppedError
from b2chat_pipeline.warehouse.ledger import Counts
from b2chat_pipeline.windows import AccountClock, Window

# Older than the service.
_EARLIEST = date(2000, 1, 1)
# A clock before this tells nothing, and its hour might lie beyond the calendar.
_NO_HOUR_BEFORE = datetime(2000, 1, 2, tzinfo=UTC)
_WORK = Work("the read of all contacts", again="materialize all_contacts again", unit="page")


@dataclass
class FullRead:
    """What came of a read of all contacts: terms of the ledger, pages that could not be loaded, why it broke off."""

    sync_id: str
    terms: Counter[str] = field(default_factory=Counter)
    failed: list[LoadError] = field(default_factory=list)
    broken_off: B2ChatError | WarehouseStoppedError | None = None
    requests: int = 0
    pages: int = 0

    @property
    def counts(self) -> Counts:
        """What became of the records; those that two pages overlap by count twice."""
        return Counts(**self.terms)

    @property
    def errors(self) -> list[Exception]:
        """All that went wrong."""
        return [*self.failed, *([self.broken_off] if self.broken_off else [])]

    @property
    def status(self) -> str:
        """success, partial (some contacts loaded, or the budget ran out) or error."""
        if not self.errors:
            return "success"
        return "partial" if self.counts.loaded or isinstance(self.broken_off, BudgetExhausted) else "error"

    @property
    def first_error(self) -> Exception | None:
        """What went wrong first; a budget that ran out is nothing wrong."""
        return next((error for error in self.errors if not isinstance(error, BudgetExhausted)), None)

    def total(self, _entity: str) -> EntityTotals:
        """What became of the contacts."""
        return total_of([self.counts])


def read_all_contacts(tools: Tools, *, user_id: str, run_id: str) -> FullRead:
    """Read and load every contact. Trouble with the source, with a page or with the database is in the outcome, not
    raised; anything else is raised after the books are closed.
    Raises BooksOpenError where the database does not let them be closed, WarehouseStoppedError where not even opened.
    """
    query = _query(tools.clock.day_of(tools.now()))
    with stopping(_WORK, tools.loading):
        sync = open_sync(
            tools.books,
            ENTITIES[CONTACTS],
            user_id=user_id,
            operation="full",
            run_id=run_id,
            metadata={"endpoint": CONTACTS, "from": query.first.isoformat(), "to": query.last.isoformat()},
            now=tools.now(),
        )
    outcome = FullRead(sync.id)
    with closing(_WORK, tools.books, sync, outcome, tools.now):
        _read(query, tools, sync, outcome)
    return outcome


def _read(query: Query, tools: Tools, sync: Sync, outcome: FullRead) -> None:
    reader = Reader(tools.reading, tools.client, tools.clock, now=tools.now)
    loader = DayLoader(tools.loading, CONTACTS, tools.clock, sync, now=tools.now)
    pages = reader.pages_of(Read(query, None), sync.id)
    try:
        with stopping(_WORK, tools.loading):
            _load(ahead(pages, depth=PAGES_AHEAD), loader, tools.clock, outcome)
    except (B2ChatError, WarehouseStoppedError) as error:
        outcome.broken_off = error
    finally:
        outcome.requests, outcome.pages = tools.client.requests, reader.pages


def _query(today: date) -> Query:
    """The list of all contacts. It ends with the year, so that one walk over it can go on over midnight."""
    return Query(CONTACTS, _EARLIEST, date(today.year + 1, 1, 1), "asc", contacts_by="created")


def _load(pages: Iterable[PageTold], loader: DayLoader, clock: AccountClock, outcome: FullRead) -> None:
    for page in pages:
        if not page.records:
            continue
        loaded = loader.load(loader.prepare(_part(page, clock)))
        outcome.failed += loaded.failed.values()
        for counts in loaded.tally.values():
            outcome.terms.update(asdict(counts))


def _part(page: PageTold, clock: AccountClock) -> DayTold:
    """A page as what a transaction loads: some contacts of many hours, of none of which it holds all.

    The hours are one span, so that the page is loaded as a whole or not at all.
    """
    read_at, sync_id = page.page.requested_at, page.page.sync_id
    hours = [_hour(record.instant, read_at, clock) for record in page.records]
    records = [Received(record.raw, read_at, hour.start) for record, hour in zip(page.records, hours, strict=True)]
    span = Window(min(hours).start, max(hours).end)
    return DayTold(clock.day_of(read_at), [span], sync_id, read_at, records, complete=False)


def _hour(updated: datetime | None, read_at: datetime, clock: AccountClock) -> Window:
    """The hour a contact counts in; where its clock cannot be believed, the one it was read in."""
    believed = updated is not None and _NO_HOUR_BEFORE <= updated <= read_at
    return clock.hour_of(updated if updated is not None and believed else read_at)
