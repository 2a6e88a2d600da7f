"""Has chats judged in batches, at a lower price: prepares them, writes each batch down, and asks the service for it.

The same order as of direct scoring. What comes of it is known hours later. Not here: reading the results
(`collecting.py`), what became of a creation without an answer (`adopting.py`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import msgspec
from psycopg import Connection

from b2chat_pipeline.analysis.adopting import adopt
from b2chat_pipeline.analysis.batch_service import BatchService, CreationLostError
from b2chat_pipeline.analysis.batches import Entry, begin_processing, book, release
from b2chat_pipeline.analysis.canaries import canaries
from b2chat_pipeline.analysis.direct import Order
from b2chat_pipeline.analysis.ledger import Booking, Call, CapReachedError, require_room, room
from b2chat_pipeline.analysis.notices import notify_cap
from b2chat_pipeline.analysis.preparing import Asking, Item, prepare
from b2chat_pipeline.analysis.requests import Prepared
from b2chat_pipeline.analysis.service import CallFailedError, ServiceStoppedError
from b2chat_pipeline.settings import OperatorError
from b2chat_pipeline.warehouse.identifiers import new_id

# A batch is held in memory until it is sent. The service would take 100,000 requests or 256 MB.
MOST_REQUESTS = 1000
MOST_BYTES = 32 * 2**20


class BatchFailedError(OperatorError):
    """The service took no batch, or its answer got lost."""


@dataclass
class Submission:
    """What was sent."""

    # The chats in batches that the service has, or may have.
    sent: list[str] = field(default_factory=list)
    batches: list[str] = field(default_factory=list)
    # Judged before or waited for, and not paid again.
    known: int = 0
    # The most that all of it can cost, canaries included.
    reserved: Decimal = Decimal()
    # Why it ended before all chats were sent.
    stopped: CapReachedError | ServiceStoppedError | BatchFailedError | None = None


def submit(connection: Connection, service: BatchService, order: Order, now: Callable[[], datetime]) -> Submission:
    """Send the chats of an order in batches, as far as the caps and the service allow.

    Hold `scoring_alone` meanwhile.
    """
    submitting = _Submitting(connection, service, order, now)
    submitting.run()
    return submitting.submission


@dataclass
class _Draft:
    """A batch that is being put together."""

    entries: list[Entry] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)
    size: int = 0
    amount: Decimal = Decimal()

    @property
    def is_full(self) -> bool:
        return len(self.entries) >= MOST_REQUESTS or self.size >= MOST_BYTES

    def add(self, prepared: Prepared, attempt: int, amount: Decimal) -> None:
        call = Call(new_id(), attempt)
        request = msgspec.json.encode({"custom_id": call.id, "params": prepared.params(attempt)})
        self.entries.append(Entry(call, prepared, amount))
        self.requests.append(request)
        self.size += len(request)
        self.amount += amount


class _Submitting:
    def __init__(
        self, connection: Connection, service: BatchService, order: Order, now: Callable[[], datetime]
    ) -> None:
        self._connection = connection
        self._service = service
        self._order = order
        self._now = now
        self._canaries = canaries(order.judge)
        self.submission = Submission()

    def run(self) -> None:
        try:
            # Whatever is found belongs to chats that must not be sent a second time.
            adopt(self._connection, self._service, self._now())
            items = self._items()
            while self.submission.stopped is None:
                draft = self._draft(items)
                if len(draft.entries) == len(self._canaries):
                    break
                self._send(draft)
        except CallFailedError as error:
            self._stop(f"no batch was sent: {error}")
        except ServiceStoppedError as error:
            self.submission.stopped = error

    def _items(self) -> Iterator[Item]:
        asking = Asking(self._order.judge, self._now(), self._order.is_manual)
        for item in prepare(self._connection, self._order.candidates, asking):
            if item is None:
                self.submission.known += 1
            else:
                yield item

    def _draft(self, items: Iterator[Item]) -> _Draft:
        """The next batch: canaries, and as many chats as there is room and money for."""
        terms, day = self._order.terms.terms, self._order.clock.day_of(self._now())
        left = room(self._connection, day, terms.caps)
        draft, price = _Draft(), terms.price_of(self._order.judge.model)
        for canary in self._canaries:
            draft.add(canary, 1, canary.most(price, 1, in_batch=True))
        while not draft.is_full and (item := next(items, None)) is not None:
            amount = item.prepared.most(price, item.attempt, in_batch=True)
            if draft.amount + amount > left:
                self._stop_at_cap(draft.amount + amount)
                break
            draft.add(item.prepared, item.attempt, amount)
        return draft

    def _stop_at_cap(self, amount: Decimal) -> None:
        now = self._now()
        try:
            require_room(self._connection, amount, self._order.clock.day_of(now), self._order.terms.terms.caps)
        except CapReachedError as reached:
            self.submission.stopped = reached
            notify_cap(self._connection, self._order.user_id, reached, now)

    def _send(self, draft: _Draft) -> None:
        """Write a batch down, then ask for it: whatever ends this process between, it is found again."""
        batch_id, now, order = new_id(), self._now(), self._order
        booking = Booking(order.user_id, order.terms.version, order.clock.day_of(now), now)
        chats = [it.prepared.candidate for it in draft.entries[len(self._canaries) :]]
        days = sorted({order.clock.day_of(it.closed_at) for it in chats})
        book(self._connection, batch_id, draft.entries, booking, days)
        try:
            created = self._service.create(draft.requests)
        except CreationLostError as error:
            self._stop(f"whether the service has a batch is not known: {error}; it is looked for before any other")
        except (CallFailedError, ServiceStoppedError):
            release(self._connection, batch_id, self._now())
            raise
        else:
            begin_processing(self._connection, batch_id, created.id, self._now())
        self.submission.batches.append(batch_id)
        self.submission.sent += [it.chat_id for it in chats]
        self.submission.reserved += draft.amount

    def _stop(self, sentence: str) -> None:
        self.submission.stopped = BatchFailedError(f"{sentence}; run this again in an hour.")
