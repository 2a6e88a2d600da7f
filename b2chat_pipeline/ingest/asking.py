"""Asks for the pages of one list, each as soon as the one before has been told: it needs no database.

Here belongs what an answer means for the walk over its list. Not here: which page comes next (`b2chat/paging.py`), what
is stored (`reading.py`).
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import datetime

from b2chat_pipeline.b2chat.client import Answer, B2ChatClient
from b2chat_pipeline.b2chat.contract import Endpoint, NotAPageError, Page
from b2chat_pipeline.b2chat.decoding import decode_created, decode_head, decode_page
from b2chat_pipeline.b2chat.drift import Departure
from b2chat_pipeline.b2chat.errors import Attempted, ContractError, IncompleteListError, RequestTimeout
from b2chat_pipeline.b2chat.paging import (
    MissingRecordsError,
    Position,
    Query,
    Step,
    Tellings,
    Told,
    WalkError,
    advance,
    departures,
    require_all,
    shrink,
)
from b2chat_pipeline.windows import AccountClock, Window


@dataclass(frozen=True)
class RecordTold:
    """A raw record with its key and the instant it is listed by (None where that cannot be read)."""

    raw: bytes
    key: str | None
    instant: datetime | None


@dataclass(frozen=True)
class PageAsked:
    """An answer, and what it means for the walk."""

    answer: Answer
    records: list[RecordTold]
    total: int | None
    drift: list[Departure]
    walk: int
    # Where the walk goes on, and whether it does.
    after: Position
    step: Step
    # Why it is no page of this list, so that it is kept as evidence only.
    refused: ContractError | None = None
    # Why the list that it ends is not complete.
    incomplete: IncompleteListError | None = None


class Asking:
    """The walk over one list from a position on. `tellings` holds what was told before, and is added to."""

    def __init__(
        self,
        client: B2ChatClient,
        clock: AccountClock,
        query: Query,
        window: Window | None,
        position: Position,
        tellings: Tellings,
    ) -> None:
        self._client = client
        self._clock = clock
        self._query = query
        self._window = window
        self._tellings = tellings
        # Where the next page begins.
        self.position = position

    def pages(self) -> Generator[PageAsked, None, None]:
        """Every page up to the list's end. Raises B2ChatError where there is no answer to be had."""
        step = Step.ON
        while step is not Step.DONE:
            asked = self._next()
            self.position, step = asked.after, asked.step
            yield asked

    def _next(self) -> PageAsked:
        answer, position = self._ask()
        page = _decoded(self._query, answer)
        records = [told_record(raw, self._query.endpoint, self._clock) for raw in page.records]
        keys, contents = [record.key for record in records], [hash(record.raw) for record in records]
        facts = Told(
            keys, self._instants(records), page.total, page.total_type, self._tellings.repeats(position, keys, contents)
        )
        drift = departures(position, facts, query=self._query)
        try:
            after, step = advance(position, facts, query=self._query, window=self._window)
        except WalkError as error:
            refused = _contract_error(str(error), self._query, answer)
            return PageAsked(answer, records, page.total, drift, position.walk, position, Step.DONE, refused=refused)
        self._tellings.add(position.walk, position.offset, keys, contents)
        incomplete = self._incomplete(after, facts, answer) if step is Step.DONE else None
        return PageAsked(answer, records, page.total, drift, position.walk, after, step, incomplete=incomplete)

    def _ask(self) -> tuple[Answer, Position]:
        """One page; where the API takes too long for it, half of it."""
        position, query = self.position, self._query
        while True:
            params = query.params(offset=position.offset, limit=position.limit)
            try:
                answer = self._client.get(query.endpoint, params, window=str(query))
            except RequestTimeout:
                smaller = shrink(position)
                if smaller is None:
                    raise
                position = smaller
            else:
                return answer, position

    def _instants(self, told: Sequence[RecordTold]) -> list[datetime | None]:
        """The clocks that the list is ordered by."""
        if self._query.contacts_by == "updated":
            return [record.instant for record in told]
        created = (decode_created(record.raw) for record in told)
        return [self._clock.read(text).instant if text else None for text in created]

    def _incomplete(self, after: Position, facts: Told, answer: Answer) -> IncompleteListError | None:
        try:
            require_all(after, facts, distinct=len(self._tellings))
        except MissingRecordsError as error:
            return IncompleteListError(str(error), **_attempted(self._query, answer))
        return None


def told_record(raw: bytes, endpoint: Endpoint, clock: AccountClock) -> RecordTold:
    """A raw record of a page with its key and the instant it is listed by."""
    key, text = decode_head(raw, endpoint)
    return RecordTold(raw, key, clock.read(text).instant if text else None)


def _decoded(query: Query, answer: Answer) -> Page:
    try:
        return decode_page(answer.body, query.endpoint)
    except NotAPageError as error:
        raise _contract_error(str(error), query, answer) from None


def _contract_error(problem: str, query: Query, answer: Answer) -> ContractError:
    return ContractError(problem, body=answer.body, **_attempted(query, answer))


def _attempted(query: Query, answer: Answer) -> Attempted:
    position = f"offset {answer.params['offset']}, limit {answer.params['limit']}"
    return Attempted(endpoint=query.endpoint, window=str(query), attempt=position)
