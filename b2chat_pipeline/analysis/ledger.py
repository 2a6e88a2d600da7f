"""The ledger of money: a call is reserved before it is sent, and settled by the usage that the service told.

What is reserved counts against the caps until it is settled or released; what got lost counts for good. Not here: what
tokens cost (`terms.py`), what an answer says (`replies.py`), which calls are a batch (`batches.py`).
"""

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from psycopg import Connection
from psycopg.types.json import Jsonb

from b2chat_pipeline.analysis.replies import Kind
from b2chat_pipeline.analysis.requests import Prepared
from b2chat_pipeline.analysis.terms import Caps
from b2chat_pipeline.settings import OperatorError
from b2chat_pipeline.warehouse.identifiers import new_id

Mode = Literal["direct", "batch"]

# Whoever scores holds this on its connection; PostgreSQL takes it back when the process dies.
_SCORING = "b2chat scoring"
# Whoever collects batches holds this one: their calls are sent already, so others may score meanwhile.
_COLLECTING = "b2chat collecting scores"
_SPENT = """
    select coalesce(sum(coalesce(cost_usd, reserved_usd)) filter (where day = %(day)s), 0),
           coalesce(sum(coalesce(cost_usd, reserved_usd)), 0)
      from ops.analysis_calls
     where day >= date_trunc('month', %(day)s::date)::date and day <= %(day)s
"""
_RESERVE = """
    insert into ops.analysis_calls (id, chat_id, score_key, attempt, mode, user_id, model, prompt_version,
                                    terms_version, day, state, reserved_usd, reserved_at)
    values (%(id)s, %(chat_id)s, %(key)s, %(attempt)s, %(mode)s, %(user_id)s, %(model)s, %(prompt)s,
            %(terms_version)s, %(day)s, 'reserved', %(amount)s, %(now)s)
"""
_END = """
    update ops.analysis_calls
       set state = %(state)s, cost_usd = %(cost)s, usage = %(usage)s, outcome = %(outcome)s,
           unanswered = %(unanswered)s, request_id = %(request_id)s, ended_at = %(now)s
     where id = %(id)s and state = 'reserved'
"""
# A call that nobody waits for any more: its process died between sending it and writing its answer down.
_LOSE = "update ops.analysis_calls set state = 'lost', ended_at = %s where state = 'reserved' and mode = 'direct'"
# What the calls under a key came to. One that was lost or failed says nothing about the conversation.
_KNOWN = """
    select score_key,
           bool_or(state = 'reserved' and mode = 'batch'),
           count(*) filter (where outcome = 'failed' and mode = 'batch'),
           (array_agg(outcome order by ended_at desc, attempt desc) filter (where state = 'settled'))[1],
           (array_agg(attempt order by ended_at desc, attempt desc) filter (where state = 'settled'))[1],
           max(ended_at) filter (where state = 'settled')
      from ops.analysis_calls
     where score_key = any(%s)
     group by score_key
"""


class CapReachedError(OperatorError):
    """What may be spent is spent: `cap` names the cap, of the day or the month of `day`."""

    def __init__(self, sentence: str, *, cap: str, day: date) -> None:
        super().__init__(sentence)
        self.cap = cap
        self.day = day


class ScoringBusyError(OperatorError):
    """Another process scores."""


@dataclass(frozen=True)
class Booking:
    """By whom, when and on whose terms a call is booked."""

    user_id: str
    terms_version: int
    day: date
    now: datetime


@dataclass(frozen=True)
class Call:
    """One reserved call."""

    id: str
    attempt: int


@dataclass(frozen=True)
class Settled:
    """What the last settled call under a key came to."""

    outcome: Kind
    attempt: int
    ended_at: datetime


@dataclass(frozen=True)
class Known:
    """What is known under a key: whether a batch with it is waited for, how often it failed in one, how it ended."""

    is_waiting: bool
    failures: int
    settled: Settled | None


@dataclass(frozen=True)
class Ending:
    """How a call ended. `cost` is None where nobody knows."""

    state: Literal["settled", "released", "lost"]
    outcome: Kind
    cost: Decimal | None
    usage: Mapping[str, Any] | None = None
    unanswered: int = 0
    request_id: str | None = None


@contextmanager
def scoring_alone(connection: Connection, now: datetime, *, patience: float = 0) -> Iterator[None]:
    """Be the only process that sends calls, and close the books of one that died.

    Raises ScoringBusyError where another one still does after some seconds of patience.
    """
    with _alone(connection, _SCORING, "another process scores conversations", patience=patience):
        connection.execute(_LOSE, (now,))
        yield


@contextmanager
def collecting_alone(connection: Connection, *, patience: float = 0) -> Iterator[None]:
    """Be the only process that collects batches. Raises ScoringBusyError as `scoring_alone`."""
    with _alone(connection, _COLLECTING, "another process collects scores", patience=patience):
        yield


@contextmanager
def _alone(connection: Connection, lock: str, busy: str, *, patience: float) -> Iterator[None]:
    deadline = time.monotonic() + patience
    while not _took(connection, lock):
        if time.monotonic() >= deadline:
            raise ScoringBusyError(f"{busy}: wait until it has ended, then run this again.")
        time.sleep(1)
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", (lock,))


def _took(connection: Connection, lock: str) -> bool:
    row = connection.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", (lock,)).fetchone()
    return row is not None and bool(row[0])


def reserve(
    connection: Connection, prepared: Prepared, amount: Decimal, booking: Booking, *, attempt: int, caps: Caps
) -> Call:
    """Put the most that a call can cost aside, and write the call down. Raises CapReachedError."""
    with connection.transaction():
        require_room(connection, amount, booking.day, caps)
        call = Call(new_id(), attempt)
        connection.execute(
            _RESERVE,
            {
                "id": call.id,
                "chat_id": prepared.chat_id,
                "key": prepared.key,
                "attempt": attempt,
                "mode": "direct",
                "user_id": booking.user_id,
                "model": prepared.judge.model,
                "prompt": prepared.judge.prompt_version,
                "terms_version": booking.terms_version,
                "day": booking.day,
                "amount": amount,
                "now": booking.now,
            },
        )
    return call


def end(connection: Connection, call: Call, ending: Ending, now: datetime) -> bool:
    """Write down how a call ended; false where that is known already. Within the caller's transaction."""
    done = connection.execute(
        _END,
        {
            "id": call.id,
            "state": ending.state,
            "cost": ending.cost,
            "outcome": ending.outcome,
            "now": now,
            "usage": None if ending.usage is None else Jsonb(ending.usage),
            "unanswered": ending.unanswered,
            "request_id": ending.request_id,
        },
    )
    return done.rowcount == 1


def known(connection: Connection, keys: Collection[bytes]) -> Mapping[bytes, Known]:
    """What is known under some keys, where anything is."""
    return {
        key: Known(is_waiting, failures, None if last[0] is None else Settled(*last))
        for key, is_waiting, failures, *last in connection.execute(_KNOWN, (list(keys),))
    }


def room(connection: Connection, day: date, caps: Caps) -> Decimal:
    """Dollars that may still be spent on a day."""
    on_day, in_month = spent(connection, day)
    return min(caps.day - on_day, caps.month - in_month)


def spent(connection: Connection, day: date) -> tuple[Decimal, Decimal]:
    """Dollars spent or put aside on a day, and in its month up to it."""
    row = connection.execute(_SPENT, {"day": day}).fetchone()
    return (Decimal(), Decimal()) if row is None else (row[0], row[1])


def require_room(connection: Connection, amount: Decimal, day: date, caps: Caps) -> None:
    """Raises CapReachedError where an amount is more than what may still be spent."""
    on_day, in_month = spent(connection, day)
    for name, so_far, cap in (("day", on_day, caps.day), ("month", in_month, caps.month)):
        if so_far + amount > cap:
            raise CapReachedError(
                f"the cap of the {name} is reached: ${so_far:.2f} of ${cap:.2f} are spent or put aside, and another"
                f" call may cost ${amount:.4f}: go on tomorrow or later, or raise `scoring.caps.{name}` in the"
                " configuration and run `b2chat config apply`.",
                cap=name,
                day=day,
            )
