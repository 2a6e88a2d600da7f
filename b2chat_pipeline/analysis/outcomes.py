"""Writes down what became of a call: the score or why there is none, together with what it cost, in one transaction.

Not here: what an answer is worth (`replies.py`).
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec
from psycopg import Connection, sql
from psycopg.types.json import Jsonb

from b2chat_pipeline.analysis.ledger import Call, Ending, Mode, end
from b2chat_pipeline.analysis.redaction import REDACTION_VERSION
from b2chat_pipeline.analysis.replies import Message, Verdict
from b2chat_pipeline.analysis.requests import Prepared
from b2chat_pipeline.analysis.rubric import RUBRIC_VERSION, SCHEMA_VERSION
from b2chat_pipeline.analysis.scores import RESOLUTION, SATISFACTION
from b2chat_pipeline.analysis.service import CallFailedError
from b2chat_pipeline.analysis.terms import Price, cost

# Scores on trial stand apart, in a table of the same columns.
_SCORE = """
    insert into {} (id, chat_id, user_id, effectiveness_score, response_time_score, resolution_score,
                    customer_satisfaction, analysis_data, created_at)
    values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_REPORTED, _ON_TRIAL = sql.Identifier("effectiveness_analysis"), sql.Identifier("ops", "analysis_trials")
_OUTCOME = """
    insert into ops.analysis_outcomes (call_id, chat_id, outcome, reason, response, created_at)
    values (%s, %s, %s, %s, %s, %s)
"""


@dataclass(frozen=True)
class Asked:
    """A call that was sent: about which chat, how, at which price, and who asked for it."""

    prepared: Prepared
    call: Call
    mode: Mode
    price: Price
    user_id: str
    # Its score is not reported: who judges is on trial.
    is_trial: bool = False


@dataclass(frozen=True)
class Answered:
    """The service's answer to a call, and what it is worth."""

    message: Message
    verdict: Verdict
    request_id: str | None = None
    # Attempts before it whose answer never came.
    unanswered: int = 0


def record_answer(connection: Connection, asked: Asked, answered: Answered, now: datetime) -> Decimal:
    """Settle a call and write its score or its outcome; returns what it cost. Does nothing where that is done."""
    message, verdict = answered.message, answered.verdict
    paid = cost(asked.price, message.usage, in_batch=asked.mode == "batch")
    ending = Ending("settled", verdict.kind, paid, message.raw_usage, answered.unanswered, answered.request_id)
    with connection.transaction():
        if not end(connection, asked.call, ending, now):
            return Decimal()
        if verdict.kind == "scored":
            _write_score(connection, asked, answered, paid, now)
        else:
            _write_outcome(connection, asked, verdict.kind, verdict.reason, now, message)
    return paid


def record_failure(connection: Connection, asked: Asked, error: CallFailedError, now: datetime) -> None:
    """Write down that a call brought no answer: it cost nothing, or nobody knows what."""
    ending = Ending(_state(error), "failed", None if error.unanswered else Decimal(), None, error.unanswered)
    with connection.transaction():
        if end(connection, asked.call, ending, now):
            _write_outcome(connection, asked, "failed", str(error), now, None)


def _state(error: CallFailedError) -> Literal["settled", "released", "lost"]:
    """How a call ends by an error: what is settled is not asked for again."""
    if error.unanswered:
        return "lost"
    return "settled" if error.is_final else "released"


def _write_score(connection: Connection, asked: Asked, answered: Answered, paid: Decimal, now: datetime) -> None:
    scored = answered.verdict.scored
    if scored is None:
        raise ValueError("what is scored has scores")
    connection.execute(
        sql.SQL(_SCORE).format(_ON_TRIAL if asked.is_trial else _REPORTED),
        (
            *(asked.call.id, asked.prepared.chat_id, asked.user_id, scored.effectiveness, scored.response_time),
            *(scored.resolution, scored.satisfaction, Jsonb(_analysis_data(asked, answered, paid)), now),
        ),
    )


def _write_outcome(
    connection: Connection, asked: Asked, kind: str, reason: str, now: datetime, message: Message | None
) -> None:
    response = None if message is None else Jsonb(message.raw)
    connection.execute(_OUTCOME, (asked.call.id, asked.prepared.chat_id, kind, reason, response, now))


def _analysis_data(asked: Asked, answered: Answered, paid: Decimal) -> dict[str, Any]:
    """Everything that a score rests on, so that anybody can trace it."""
    checked, scored, prepared = answered.verdict.checked, answered.verdict.scored, asked.prepared
    if checked is None or scored is None:
        raise ValueError("what is scored was checked")
    answer = checked.answer
    criteria = msgspec.to_builtins(answer.criteria)
    return {
        "model": prepared.judge.model,
        "prompt_version": prepared.judge.prompt_version,
        "rubric_version": RUBRIC_VERSION,
        "schema_version": SCHEMA_VERSION,
        "redaction_version": REDACTION_VERSION,
        "score_key": prepared.key.hex(),
        "resolution_details": {name: criteria[name] for name in RESOLUTION},
        "sentiment_analysis": {
            **msgspec.to_builtins(answer.sentiment),
            "criteria": {name: criteria[name] for name in SATISFACTION},
        },
        "satisfaction_basis": scored.satisfaction_basis,
        "voided_criteria": dict(checked.voided),
        "response_time": {
            "elapsed_seconds": prepared.candidate.clock.elapsed_seconds,
            "target_seconds": prepared.candidate.clock.target_seconds,
        },
        "recommendations": msgspec.to_builtins(answer.recommendations),
        "topics": answer.topics,
        "root_causes": answer.root_causes,
        "language": answer.language,
        "injection_suspected": answer.injection_suspected,
        "analyzed_messages": len(prepared.transcript.lines),
        "mode": asked.mode,
        "attempt": asked.call.attempt,
        "usage": answered.message.raw_usage,
        "cost_usd": str(paid),
        "response": answered.message.raw,
    }
