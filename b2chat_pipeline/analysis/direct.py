"""Judges chats one by one through the Messages API, some of them at a time.

One thread talks to PostgreSQL: it reserves, and writes down what the others were answered. Whatever ends this process,
a call is in the ledger before it is sent. Not here: batches.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from psycopg import Connection

from b2chat_pipeline.analysis.eligibility import Candidate
from b2chat_pipeline.analysis.ledger import Booking, CapReachedError, reserve
from b2chat_pipeline.analysis.notices import notify_cap
from b2chat_pipeline.analysis.outcomes import Answered, Asked, record_answer, record_failure
from b2chat_pipeline.analysis.preparing import Asking, Item, prepare
from b2chat_pipeline.analysis.prompts import Judge
from b2chat_pipeline.analysis.replies import (
    MOST_ATTEMPTS,
    WORTH_ANOTHER,
    Kind,
    UnreadableReplyError,
    judge,
    read_message,
)
from b2chat_pipeline.analysis.service import CallFailedError, Reply, Service, ServiceStoppedError
from b2chat_pipeline.analysis.terms import DatedTerms
from b2chat_pipeline.windows import AccountClock

# Calls in flight at once.
CONCURRENCY = 4


@dataclass(frozen=True)
class Order:
    """What is to be scored, for whom."""

    candidates: Sequence[Candidate]
    terms: DatedTerms
    clock: AccountClock
    user_id: str
    is_manual: bool
    # Who judges in the place of the active judge; these scores are not reported.
    on_trial: Judge | None = None

    @property
    def judge(self) -> Judge:
        """Who judges."""
        return self.on_trial or self.terms.judge

    @property
    def is_trial(self) -> bool:
        """Whether the scores stay apart from those that are reported."""
        return self.judge != self.terms.judge


@dataclass
class Tally:
    """What came of scoring some chats."""

    # What the last attempt at each chat came to.
    last: dict[str, Kind] = field(default_factory=dict)
    # Judged before, and not paid again.
    known: int = 0
    calls: int = 0
    cost: Decimal = Decimal()
    # Why it ended before all chats were asked about.
    stopped: CapReachedError | ServiceStoppedError | None = None

    @property
    def outcomes(self) -> Counter[Kind]:
        """Chats by what came of them."""
        return Counter(self.last.values())


def score(connection: Connection, service: Service, order: Order, now: Callable[[], datetime]) -> Tally:
    """Have the chats of an order judged, as far as the caps and the service allow. Hold `scoring_alone` meanwhile."""
    scoring = _Scoring(connection, service, order, now)
    scoring.run()
    return scoring.tally


class _Scoring:
    def __init__(self, connection: Connection, service: Service, order: Order, now: Callable[[], datetime]) -> None:
        self._connection = connection
        self._service = service
        self._order = order
        self._now = now
        self._flying: dict[Future[Reply], tuple[Item, Asked]] = {}
        self._again: deque[Item] = deque()
        self.tally = Tally()

    def run(self) -> None:
        items = self._items()
        with ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="scoring") as pool:
            try:
                while self._fly(pool, items) or self._flying:
                    self._land()
            except KeyboardInterrupt:
                # What is sent is paid: its answers are worth the wait.
                while self._flying:
                    self._land()
                raise

    def _items(self) -> Iterator[Item]:
        asking = Asking(self._order.judge, self._now(), self._order.is_manual)
        for item in prepare(self._connection, self._order.candidates, asking):
            if item is None:
                self.tally.known += 1
            else:
                yield item

    def _fly(self, pool: ThreadPoolExecutor, items: Iterator[Item]) -> bool:
        """Send as much as may be in flight at once; whether anything was sent."""
        before = self.tally.calls
        while self.tally.stopped is None and len(self._flying) < CONCURRENCY:
            item = self._again.popleft() if self._again else next(items, None)
            if item is None:
                break
            try:
                asked = self._reserve(item)
            except CapReachedError as reached:
                # What is in flight may cost less than was put aside for it.
                self._again.appendleft(item)
                if not self._flying:
                    self._stop_at_cap(reached)
                break
            self._flying[pool.submit(self._service.ask, item.prepared.params(item.attempt))] = (item, asked)
            self.tally.calls += 1
        return self.tally.calls > before

    def _stop_at_cap(self, reached: CapReachedError) -> None:
        self.tally.stopped = reached
        notify_cap(self._connection, self._order.user_id, reached, self._now())

    def _reserve(self, item: Item) -> Asked:
        terms, now = self._order.terms, self._now()
        price = terms.terms.price_of(self._order.judge.model)
        amount = item.prepared.most(price, item.attempt, in_batch=False)
        booking = Booking(self._order.user_id, terms.version, self._order.clock.day_of(now), now)
        caps = terms.terms.caps
        call = reserve(self._connection, item.prepared, amount, booking, attempt=item.attempt, caps=caps)
        return Asked(item.prepared, call, "direct", price, self._order.user_id, self._order.is_trial)

    def _land(self) -> None:
        """Wait for an answer, and write down all that came."""
        for future in wait(self._flying, return_when=FIRST_COMPLETED).done:
            item, asked = self._flying.pop(future)
            try:
                self._answered(item, asked, future.result())
            except CallFailedError as error:
                self._failed(asked, error)
            except ServiceStoppedError as error:
                self._failed(asked, CallFailedError("the service refuses to work"))
                self.tally.stopped = error

    def _answered(self, item: Item, asked: Asked, reply: Reply) -> None:
        try:
            message = read_message(reply.body)
        except UnreadableReplyError as error:
            raise CallFailedError(str(error), unanswered=reply.unanswered + 1) from None
        verdict = judge(message, asked.prepared)
        answered = Answered(message, verdict, reply.request_id, reply.unanswered)
        self.tally.cost += record_answer(self._connection, asked, answered, self._now())
        self.tally.last[asked.prepared.chat_id] = verdict.kind
        if verdict.kind in WORTH_ANOTHER and item.attempt < MOST_ATTEMPTS:
            self._again.append(Item(item.prepared, item.attempt + 1))

    def _failed(self, asked: Asked, error: CallFailedError) -> None:
        record_failure(self._connection, asked, error, self._now())
        self.tally.last[asked.prepared.chat_id] = "failed"
