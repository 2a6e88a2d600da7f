"""Makes chats ready to be judged: reads them, takes personal data out, and passes over what is judged already.

Not here: who can be judged at all (`eligibility.py`), sending (`direct.py`, `submitting.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg import Connection

from b2chat_pipeline.analysis.eligibility import Candidate
from b2chat_pipeline.analysis.ledger import Known, known
from b2chat_pipeline.analysis.people import agents, customers
from b2chat_pipeline.analysis.prompts import Judge
from b2chat_pipeline.analysis.redaction import Person, Redactor
from b2chat_pipeline.analysis.replies import MOST_ATTEMPTS, WORTH_ANOTHER
from b2chat_pipeline.analysis.requests import Prepared, score_key
from b2chat_pipeline.analysis.transcript import Transcript, read_transcripts

# How long a person who asks again is given what is stored. Scheduled work never pays a second time.
STORED_FOR = timedelta(days=30)
# Scheduled work leaves a chat alone whose call failed so often in batches.
MOST_FAILURES = 3
# Chats whose messages are held in memory at once.
_AT_ONCE = 50


@dataclass(frozen=True)
class Item:
    """A chat to be judged now; the attempt counts from 1."""

    prepared: Prepared
    attempt: int


@dataclass(frozen=True)
class Asking:
    """By whom, at which time, and whether a person asks for it."""

    judge: Judge
    now: datetime
    is_manual: bool


def prepare(connection: Connection, candidates: Sequence[Candidate], asking: Asking) -> Iterator[Item | None]:
    """What is to be sent for each candidate, in order; None where its judgement is known already, or
    waited for.
    """
    colleagues = agents(connection)
    for start in range(0, len(candidates), _AT_ONCE):
        some = candidates[start : start + _AT_ONCE]
        transcripts = read_transcripts(connection, [it.chat_id for it in some])
        keys = {chat_id: score_key(chat_id, asking.judge, transcript) for chat_id, transcript in transcripts.items()}
        stored = known(connection, keys.values())
        attempts = {chat_id: _attempt(stored.get(key), asking) for chat_id, key in keys.items()}
        contacts = customers(connection, [chat_id for chat_id, attempt in attempts.items() if attempt])
        for candidate in some:
            attempt = attempts[candidate.chat_id]
            if attempt is None:
                yield None
                continue
            transcript = _redacted(transcripts[candidate.chat_id], contacts.get(candidate.chat_id), colleagues)
            yield Item(Prepared(candidate, transcript, keys[candidate.chat_id], asking.judge), attempt)


def _redacted(transcript: Transcript, customer: Person | None, colleagues: Sequence[Person]) -> Transcript:
    people = colleagues if customer is None else [customer, *colleagues]
    return Redactor(people).redacted(transcript)


def _attempt(known: Known | None, asking: Asking) -> int | None:
    """The number of the next attempt at a chat; None where what is stored, or waited for, is the answer."""
    if known is None:
        return 1
    if known.is_waiting:
        return None
    stored = known.settled
    if stored is None:
        return 1 if asking.is_manual or known.failures < MOST_FAILURES else None
    if stored.outcome in WORTH_ANOTHER and stored.attempt < MOST_ATTEMPTS:
        return stored.attempt + 1
    is_old = asking.now - stored.ended_at >= STORED_FOR
    return 1 if asking.is_manual and is_old else None
