"""The books of batches: which calls were sent together, what their answers are held against, how each batch ended.

A batch is written down, with every call in it reserved, before the service is asked for it. Not here: asking for it
(`submitting.py`), finding it again (`adopting.py`), reading its results (`collecting.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

import msgspec
from psycopg import Connection

from b2chat_pipeline.analysis.canaries import is_canary
from b2chat_pipeline.analysis.eligibility import Candidate
from b2chat_pipeline.analysis.ledger import Booking, Call
from b2chat_pipeline.analysis.prompts import Judge, first_version
from b2chat_pipeline.analysis.requests import Prepared
from b2chat_pipeline.analysis.scores import ResponseClock
from b2chat_pipeline.analysis.transcript import Line, Transcript

_BOOK = """
    insert into ops.analysis_batches (id, state, days, requests, model, user_id, terms_version, prepared_at)
    values (%s, 'creating', %s, %s, %s, %s, %s, %s)
"""
_RESERVE = """
    insert into ops.analysis_calls (id, chat_id, score_key, attempt, mode, user_id, model, prompt_version,
                                    terms_version, day, state, reserved_usd, reserved_at, batch_id)
    values (%s, %s, %s, %s, 'batch', %s, %s, %s, %s, %s, 'reserved', %s, %s, %s)
"""
_KEEP = "insert into ops.analysis_batch_items (call_id, batch_id, sent) values (%s, %s, %s::jsonb)"
_OPEN = """
    select id, service_id, days, requests, user_id, terms_version, prepared_at, submitted_at
      from ops.analysis_batches
     where ended_at is null
     order by prepared_at, id
"""
_ITEM = """
    select call.chat_id, call.score_key, call.attempt, call.model, call.prompt_version, item.sent::text
      from ops.analysis_batch_items item
      join ops.analysis_calls call on call.id = item.call_id
     where item.call_id = %s and item.batch_id = %s
"""
# What nobody answered any more may have been billed.
_LOSE = """
    with lost as (
        update ops.analysis_calls
           set state = 'lost', outcome = 'failed', ended_at = %(now)s
         where batch_id = %(batch)s and state = 'reserved'
        returning id, chat_id
    )
    insert into ops.analysis_outcomes (call_id, chat_id, outcome, reason, created_at)
    select id, chat_id, 'failed', %(reason)s, %(now)s from lost
"""
# Says nothing about the chats: no outcome.
_RELEASE = """
    update ops.analysis_calls set state = 'released', cost_usd = 0, ended_at = %s where batch_id = %s
"""
_END = """
    update ops.analysis_batches set state = %s, canary_shift = %s, ended_at = %s where id = %s and ended_at is null
"""


@dataclass(frozen=True)
class Entry:
    """One call of a batch, with the most it can cost."""

    call: Call
    prepared: Prepared
    amount: Decimal


@dataclass(frozen=True)
class Batch:
    """An open batch. `service_id` is None while no answer to its creation is known."""

    id: str
    service_id: str | None
    days: Sequence[date]
    requests: int
    user_id: str
    terms_version: int
    prepared_at: datetime
    submitted_at: datetime | None


class _Sent(msgspec.Struct, frozen=True):
    """What an answer is held against, as it was when the call was sent."""

    lines: Sequence[Line]
    elapsed_seconds: float
    target_seconds: float
    answered_turns: int
    closed_at: datetime

    @staticmethod
    def of(prepared: Prepared) -> "_Sent":
        candidate = prepared.candidate
        clock = candidate.clock
        return _Sent(
            *(prepared.transcript.lines, clock.elapsed_seconds, clock.target_seconds),
            *(candidate.answered_turns, candidate.closed_at),
        )

    def candidate(self, chat_id: str) -> Candidate:
        clock = ResponseClock(self.elapsed_seconds, self.target_seconds)
        return Candidate(chat_id, clock, self.answered_turns, self.closed_at)


def book(
    connection: Connection, batch_id: str, entries: Sequence[Entry], booking: Booking, days: Sequence[date]
) -> None:
    """Write a batch down, and reserve all its calls."""
    judge = entries[0].prepared.judge
    calls = [
        (
            *(it.call.id, it.prepared.chat_id, it.prepared.key, it.call.attempt, booking.user_id, judge.model),
            *(judge.prompt_version, booking.terms_version, booking.day, it.amount, booking.now, batch_id),
        )
        for it in entries
    ]
    batch = (batch_id, list(days), len(entries), judge.model, booking.user_id, booking.terms_version, booking.now)
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(_BOOK, batch)
        cursor.executemany(_RESERVE, calls)
        kept = ((it.call.id, batch_id, msgspec.json.encode(_Sent.of(it.prepared)).decode()) for it in entries)
        cursor.executemany(_KEEP, kept)


def begin_processing(connection: Connection, batch_id: str, service_id: str, now: datetime) -> None:
    """Write down that the service has a batch."""
    connection.execute(
        "update ops.analysis_batches set state = 'processing', service_id = %s, submitted_at = %s where id = %s",
        (service_id, now, batch_id),
    )


def open_batches(connection: Connection) -> list[Batch]:
    """The batches that nobody has collected, the oldest first."""
    return [Batch(*row) for row in connection.execute(_OPEN)]


def known_to_us(connection: Connection) -> set[str]:
    """The service's ids of all our batches."""
    rows = connection.execute("select service_id from ops.analysis_batches where service_id is not null")
    return {service_id for (service_id,) in rows}


def call_ids(connection: Connection, batch: Batch) -> set[str]:
    """The calls of an open batch, by which the service names its items."""
    rows = connection.execute("select call_id from ops.analysis_batch_items where batch_id = %s", (batch.id,))
    return {call_id for (call_id,) in rows}


def canary_ids(connection: Connection, batch: Batch) -> set[str]:
    """The calls of an open batch that are about canaries."""
    rows = connection.execute("select id, chat_id from ops.analysis_calls where batch_id = %s", (batch.id,))
    return {call_id for call_id, chat_id in rows if is_canary(chat_id)}


def item(connection: Connection, batch: Batch, call_id: str) -> tuple[Call, Prepared] | None:
    """A call of an open batch as it was sent; None where the batch holds no such call."""
    row = connection.execute(_ITEM, (call_id, batch.id)).fetchone()
    if row is None:
        return None
    chat_id, key, attempt, model, prompt_version, text = row
    sent = msgspec.json.decode(text, type=_Sent)
    # NULL in batches that were sent when there was but one prompt.
    judge = Judge(model, prompt_version or first_version())
    return Call(call_id, attempt), Prepared(sent.candidate(chat_id), Transcript(sent.lines), key, judge)


def release(connection: Connection, batch_id: str, now: datetime) -> None:
    """End a batch that the service never had: it cost nothing."""
    with connection.transaction():
        connection.execute(_RELEASE, (now, batch_id))
        _end(connection, batch_id, "released", None, now)


def lose(connection: Connection, batch_id: str, now: datetime) -> None:
    """End a batch whose results are gone: nobody knows what it cost."""
    with connection.transaction():
        connection.execute(_LOSE, {"batch": batch_id, "now": now, "reason": "the results of its batch are gone"})
        _end(connection, batch_id, "lost", None, now)


def finish(
    connection: Connection, batch_id: str, state: Literal["collected", "held"], shift: float | None, now: datetime
) -> None:
    """End a batch whose results are all written down."""
    with connection.transaction():
        connection.execute(_LOSE, {"batch": batch_id, "now": now, "reason": "the results of its batch lack it"})
        _end(connection, batch_id, state, shift, now)


def _end(connection: Connection, batch_id: str, state: str, shift: float | None, now: datetime) -> None:
    connection.execute("delete from ops.analysis_batch_items where batch_id = %s", (batch_id,))
    connection.execute(_END, (state, shift, now, batch_id))
