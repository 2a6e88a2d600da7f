"""Reads the results of batches that have ended, and writes down what each call came to: once, whoever dies on the way.

The canaries of a batch are looked at first: where planted orders moved a score, its answers become held outcomes and no
scores. Not here: sending (`submitting.py`), what an answer is worth (`replies.py`).
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from psycopg import Connection

from b2chat_pipeline.analysis.adopting import adopt
from b2chat_pipeline.analysis.batch_service import BatchService, ItemResult
from b2chat_pipeline.analysis.batches import Batch, canary_ids, finish, item, lose, open_batches
from b2chat_pipeline.analysis.canaries import MOST_SHIFT, is_canary, shift
from b2chat_pipeline.analysis.ledger import ScoringBusyError, collecting_alone, scoring_alone
from b2chat_pipeline.analysis.outcomes import Answered, Asked, record_answer, record_failure
from b2chat_pipeline.analysis.replies import Kind, Message, UnreadableReplyError, Verdict, judge, read_message
from b2chat_pipeline.analysis.requests import Prepared
from b2chat_pipeline.analysis.service import CallFailedError
from b2chat_pipeline.analysis.terms import read_terms_of
from b2chat_pipeline.settings import OperatorError

# The service may not know a batch yet that it has just created. One that it still does not know is gone.
_UNKNOWN_FOR = timedelta(days=1)


class ResultsUnreadableError(OperatorError):
    """The results of a batch could not be read."""


@dataclass
class Collection:
    """What was collected."""

    batches: int = 0
    # Batches whose results are not there yet.
    waiting: int = 0
    held: int = 0
    outcomes: Counter[Kind] = field(default_factory=Counter)
    cost: Decimal = Decimal()

    def add(self, other: "Collection") -> None:
        """Count what another look collected; what waits is as that one saw it."""
        self.batches += other.batches
        self.waiting = other.waiting
        self.held += other.held
        self.outcomes += other.outcomes
        self.cost += other.cost


def collect(
    connection: Connection, service: BatchService, now: Callable[[], datetime], *, patience: float = 0
) -> Collection:
    """Collect every batch that has ended. Raises ScoringBusyError, ServiceStoppedError and ResultsUnreadableError."""
    collection = Collection()
    with _readable(), collecting_alone(connection, patience=patience):
        _adopt(connection, service, now())
        for batch in open_batches(connection):
            _collect(connection, service, batch, collection, now)
    return collection


def ended_batches(connection: Connection, service: BatchService, now: datetime) -> tuple[list[Batch], int]:
    """The batches that there is something to do about, and how many are to be waited for.

    Raises ServiceStoppedError and ResultsUnreadableError.
    """
    with _readable():
        _adopt(connection, service, now)
        batches = open_batches(connection)
        ended = [batch for batch in batches if _look(service, batch, now).is_over]
    return ended, len(batches) - len(ended)


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except CallFailedError as error:
        raise ResultsUnreadableError(
            f"the results of a batch could not be read: {error}; what is written down stays, run this again."
        ) from None


def _adopt(connection: Connection, service: BatchService, now: datetime) -> None:
    """Find what became of creations without an answer; who sends just now may still be waiting for one."""
    with suppress(ScoringBusyError), scoring_alone(connection, now):
        adopt(connection, service, now)


@dataclass(frozen=True)
class _Look:
    """How a batch stands with the service: over and done, with results to read, or without any more."""

    is_over: bool
    results_of: str | None = None


def _look(service: BatchService, batch: Batch, now: datetime) -> _Look:
    info = None if batch.service_id is None else service.batch(batch.service_id)
    if info is None:
        return _Look(batch.submitted_at is not None and now - batch.submitted_at > _UNKNOWN_FOR)
    return _Look(info.has_ended, info.id if info.has_ended and info.results_url else None)


def _collect(
    connection: Connection, service: BatchService, batch: Batch, collection: Collection, now: Callable[[], datetime]
) -> None:
    found = _look(service, batch, now())
    if not found.is_over:
        collection.waiting += 1
    elif found.results_of is None:
        lose(connection, batch.id, now())
    else:
        _Settling(connection, service, batch, found.results_of, now).run(collection)


class _Settling:
    """One batch whose results are there."""

    def __init__(
        self,
        connection: Connection,
        service: BatchService,
        batch: Batch,
        service_id: str,
        now: Callable[[], datetime],
    ) -> None:
        self._connection = connection
        self._service = service
        self._batch = batch
        self._service_id = service_id
        self._now = now
        self._terms = read_terms_of(connection, batch.terms_version)

    def run(self, collection: Collection) -> None:
        """Write every result down, then the end of the batch."""
        moved = self._shift()
        hold = _why_to_hold(moved)
        outcomes = Counter[Kind]()
        for result in self._results():
            kind, paid = self._settle(result, hold)
            if kind is not None:
                outcomes[kind] += 1
            collection.cost += paid
        is_held = hold is not None and outcomes["held"] > 0
        finish(self._connection, self._batch.id, "held" if is_held else "collected", moved, self._now())
        collection.batches += 1
        collection.held += is_held
        collection.outcomes += outcomes

    def _results(self) -> Iterator[ItemResult]:
        results = self._service.results(self._service_id)
        if results is None:
            raise CallFailedError("they are gone")
        return results

    def _shift(self) -> float | None:
        """By how much planted orders moved a score; None where that cannot be told."""
        planted = canary_ids(self._connection, self._batch)
        scores: dict[str, float] = {}
        for result in self._results():
            found = item(self._connection, self._batch, result.custom_id) if result.custom_id in planted else None
            if found is None:
                continue
            with suppress(UnreadableReplyError, CallFailedError):
                scored = judge(read_message(result.message()), found[1]).scored
                if scored is not None:
                    scores[found[1].chat_id] = scored.effectiveness
        return shift(scores)

    def _settle(self, result: ItemResult, hold: str | None) -> tuple[Kind | None, Decimal]:
        """Write one result down; what it came to, and what was paid for it now."""
        found = item(self._connection, self._batch, result.custom_id)
        if found is None:
            return None, Decimal()
        call, prepared = found
        asked = Asked(prepared, call, "batch", self._terms.prices[prepared.judge.model], self._batch.user_id)
        try:
            message = _message(result)
        except CallFailedError as error:
            record_failure(self._connection, asked, error, self._now())
            return "failed", Decimal()
        verdict = _verdict(message, prepared, hold)
        return verdict.kind, record_answer(self._connection, asked, Answered(message, verdict), self._now())


def _message(result: ItemResult) -> Message:
    """The answer to an item. Raises CallFailedError."""
    try:
        return read_message(result.message())
    except UnreadableReplyError as error:
        raise CallFailedError(str(error), unanswered=1) from None


def _verdict(message: Message, prepared: Prepared, hold: str | None) -> Verdict:
    verdict = judge(message, prepared)
    if is_canary(prepared.chat_id):
        return Verdict("canary", f"came to: {verdict.kind}", verdict.scored, verdict.checked)
    if hold is not None and verdict.kind == "scored":
        return Verdict("held", hold, verdict.scored, verdict.checked)
    return verdict


def _why_to_hold(moved: float | None) -> str | None:
    """Why the scores of a batch cannot be trusted; None where they can."""
    if moved is None:
        return "the canaries of its batch brought no scores, so that nothing shows what orders in a chat do"
    if moved > MOST_SHIFT:
        return f"orders planted in the canaries of its batch moved their score by {moved:.1f} points"
    return None
