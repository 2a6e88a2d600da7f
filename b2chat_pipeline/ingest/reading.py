"""Reads lists of the API into stored pages, going on where an earlier read was cut off.

Here belongs storing each page with its checkpoint. Not here: asking for it (`asking.py`), what is done with the records
(`days.py`, `sync.py`).
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import msgspec
import psycopg
from psycopg import Connection

from b2chat_pipeline.b2chat.client import Answer, B2ChatClient
from b2chat_pipeline.b2chat.contract import ENTITIES, Endpoint, NotAPageError
from b2chat_pipeline.b2chat.decoding import decode_page
from b2chat_pipeline.b2chat.errors import BudgetExhausted, ContractError, TransientError
from b2chat_pipeline.b2chat.paging import Position, Query, Step, Tellings
from b2chat_pipeline.ingest.ahead import ahead
from b2chat_pipeline.ingest.asking import Asking, PageAsked, RecordTold, told_record
from b2chat_pipeline.warehouse.drift import record_drift
from b2chat_pipeline.warehouse.reads import (
    Checkpoint,
    PageToStore,
    StoredPage,
    abandoned_checkpoints,
    finish_checkpoint,
    insert_page,
    lease,
    open_checkpoint,
    release,
    store_page,
    stored_pages,
)
from b2chat_pipeline.windows import AccountClock, Window


@dataclass(frozen=True)
class PageTold:
    """A stored page with its records. All records listed before `settled_before` have been told by now."""

    page: StoredPage
    records: list[RecordTold]
    settled_before: datetime | None
    # Which walk over its list told the page: the first, or one that began again at the head.
    walk: int


@dataclass(frozen=True)
class Read:
    """One list to walk for the sake of one window of it, or of the whole list (None)."""

    query: Query
    window: Window | None

    def holds(self, hour: Window) -> bool:
        """Whether an hour is to be read."""
        return self.window is None or hour.start in self.window


class _Walk(msgspec.Struct, frozen=True):
    """The text of a checkpoint: which list is walked, and where the walk stands."""

    endpoint: str
    first: date
    last: date
    order: str
    position: Position
    contacts_by: str = "updated"


def plan_reads(endpoint: Endpoint, windows: Sequence[Window], clock: AccountClock, *, now: datetime) -> list[Read]:
    """The fewest lists that hold the windows: past days oldest first, the running day newest first.

    The last day asked for is the day after the last one needed: that is right whether the API counts it or not, and
    stopping early makes it cost a page at most.
    """
    today = clock.day_window(clock.day_of(now))
    reads = []
    past = [window for window in windows if window.start < today.start]
    if past:
        window = Window(min(w.start for w in past), min(max(w.end for w in past), today.start))
        days = clock.days_of(window)
        reads.append(Read(Query(endpoint, days[0], days[-1] + timedelta(days=1), "asc"), window))
    running = [window for window in windows if window.end > today.start]
    if running:
        window = Window(max(min(w.start for w in running), today.start), max(w.end for w in running))
        day = clock.day_of(today.start)
        reads.append(Read(Query(endpoint, day, day + timedelta(days=1), "desc"), window))
    return reads


class Reader:
    """Walks lists for one sync. `connection` is its own (autocommit): it holds the lease of the read."""

    def __init__(
        self, connection: Connection, client: B2ChatClient, clock: AccountClock, *, now: Callable[[], datetime]
    ) -> None:
        self._connection = connection
        self._client = client
        self._clock = clock
        self._now = now
        self.pages = 0

    def pages_of(self, read: Read, sync_id: str) -> Generator[PageTold, None, None]:
        """The pages of a list, each stored before it is yielded. Raises B2ChatError where the list cannot be read."""
        checkpoint, position = self._begin(read, sync_id)
        tellings, status = Tellings(), "failed"
        asking = Asking(self._client, self._clock, read.query, read.window, position, tellings)
        try:
            if position.offset:
                # What the dead owner had read already.
                pages = stored_pages(self._connection, checkpoint.sync_id, read.query.endpoint)
                for page in told_pages(pages, read.query.endpoint, self._clock):
                    _take_down(tellings, page, read.query)
                    yield page
            # A page is asked for while the one before is stored.
            with closing(ahead(asking.pages(), depth=1)) as answers:
                for asked in answers:
                    yield self._stored(read.query, checkpoint, asked)
            status = "completed"
        except (TransientError, BudgetExhausted, psycopg.OperationalError, GeneratorExit):
            status = "active"  # the next read of this list goes on from here
            raise
        except ContractError as error:
            with suppress(psycopg.OperationalError):
                self._keep(read.query, checkpoint, asking.position, error.body)
            raise
        finally:
            self._end(checkpoint, status)

    def _begin(self, read: Read, sync_id: str) -> tuple[Checkpoint, Position]:
        """Continue the read of a dead owner where there is one, else begin a new one."""
        entity = ENTITIES[read.query.endpoint][0]
        now = self._now()
        covering = None if read.window is None else read.window.end
        found = abandoned_checkpoints(self._connection, entity=entity, now=now, covering=covering)
        for checkpoint in found:
            walk = msgspec.json.decode(checkpoint.text, type=_Walk)
            if walk == _walk(read.query, walk.position):
                return checkpoint, walk.position
            release(self._connection, checkpoint.id)
        text = _text(read.query, Position())
        checkpoint = open_checkpoint(self._connection, sync_id=sync_id, entity=entity, text=text, now=now)
        lease(self._connection, checkpoint.id)
        return checkpoint, Position()

    def _end(self, checkpoint: Checkpoint, status: str) -> None:
        """Let go of a read. Of one that broke off, what broke it off is told, whatever becomes of the database now."""
        with nullcontext() if status == "completed" else suppress(psycopg.OperationalError):
            if status != "active":
                finish_checkpoint(self._connection, checkpoint.id, status=status, now=self._now())
            release(self._connection, checkpoint.id)

    def _stored(self, query: Query, checkpoint: Checkpoint, asked: PageAsked) -> PageTold:
        """Store a page with its checkpoint. Raises the B2ChatError that it stands for, one that is none before that."""
        record_drift(self._connection, checkpoint.sync_id, Counter(asked.drift), now=self._now())
        if asked.refused is not None:
            raise asked.refused
        stored = store_page(
            self._connection,
            checkpoint,
            _page(query, asked.answer, len(asked.records)),
            text=_text(query, asked.after),
            total=asked.total,
            now=self._now(),
        )
        self.pages += 1
        if asked.incomplete is not None:
            raise asked.incomplete
        in_order = query.order == "asc" and asked.after.in_order and asked.step is not Step.AGAIN
        return PageTold(stored, asked.records, asked.after.last_instant if in_order else None, asked.walk)

    def _keep(self, query: Query, checkpoint: Checkpoint, position: Position, body: bytes) -> None:
        """Store an answer that is no page: it is the evidence."""
        params = query.params(offset=position.offset, limit=position.limit)
        now = self._now()
        insert_page(self._connection, checkpoint.sync_id, PageToStore(query.endpoint, params, now, body, 0), now=now)


def _take_down(tellings: Tellings, page: PageTold, query: Query) -> None:
    """Note what a stored page has told, where it is one of this list: one sync may have read several."""
    offset, limit = int(page.page.params["offset"]), int(page.page.params["limit"])
    if page.page.params == query.params(offset=offset, limit=limit):
        records = page.records
        tellings.add(page.walk, offset, [it.key for it in records], [hash(it.raw) for it in records])


def told_pages(pages: Iterable[StoredPage], endpoint: Endpoint, clock: AccountClock) -> Generator[PageTold, None, None]:
    """The records of stored pages, which settle what they settled when they were read, so that days can be handed on.

    Answers that were no pages are stored among them, as evidence, and left out.
    """
    settling, walks = _Settling(), Counter[frozenset[tuple[str, str | int]]]()
    for page in pages:
        try:
            records = decode_page(page.body, endpoint).records
        except NotAPageError:
            continue
        told = [told_record(raw, endpoint, clock) for raw in records]
        asked_for = frozenset(it for it in page.params.items() if it[0] not in {"offset", "limit"})
        walks[asked_for] += page.params.get("offset") == 0
        yield PageTold(page, told, settling.before(told), walks[asked_for])


class _Settling:
    """Up to which moment stored pages have told a list completely: they do as long as it is told oldest first, and each
    page begins with the last record of the one before and goes on with others than were told. After that, nobody knows
    which walk a page belongs to.
    """

    def __init__(self) -> None:
        self._last: RecordTold | None = None
        self._latest: datetime | None = None
        self._keys = set[int]()
        self._holds = True

    def before(self, told: Sequence[RecordTold]) -> datetime | None:
        """The moment after one more page."""
        if self._last is not None:
            self._holds = self._holds and bool(told) and told[0].key == self._last.key
        fresh = {hash(record.key) for record in told[self._last is not None :]}
        instants = [it for it in (self._latest, *(record.instant for record in told)) if it]
        self._holds = self._holds and fresh.isdisjoint(self._keys) and instants == sorted(instants)
        self._keys |= fresh
        self._last = told[-1] if told else self._last
        self._latest = instants[-1] if instants else None
        return self._latest if self._holds else None


def _walk(query: Query, position: Position) -> _Walk:
    return _Walk(query.endpoint, query.first, query.last, query.order, position, query.contacts_by)


def _text(query: Query, position: Position) -> str:
    return msgspec.json.encode(_walk(query, position)).decode()


def _page(query: Query, answer: Answer, records: int) -> PageToStore:
    return PageToStore(query.endpoint, answer.params, answer.requested_at, answer.body, records)
