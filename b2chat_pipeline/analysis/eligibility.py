"""Which chats can be scored, and of the others, why not.

The conditions stand in the model `scoring_candidates`, which the marts read too; here belongs what depends on the time
of asking. Not here: whether a chat was scored before (`ledger.py`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import LiteralString

from psycopg import Connection, errors, sql

from b2chat_pipeline.analysis.rubric import RUBRIC_VERSION
from b2chat_pipeline.analysis.scores import ResponseClock
from b2chat_pipeline.settings import OperatorError
from b2chat_pipeline.windows import Window

# A chat is left alone so long: customers come back, and late messages are read again.
QUIET = timedelta(hours=24)

# The reason of chats that are judged once their day is built; one of those that `scoring_candidates` gives.
NOT_MEASURED = "metrics not built: run `b2chat build`"

# The first reason that holds is the one a chat is counted by.
_CANDIDATES = """
    select chat_id, target_seconds, elapsed_seconds, answered_turns, closed_at,
           case when closed_at > %(quiet)s then 'closed less than 24 hours ago' else reason end
      from analytics.scoring_candidates
     where {}
     order by closed_at, chat_id
"""
_CLOSED_WITHIN = "closed_at >= %(start)s and closed_at < %(end)s"
_LABELLED = "chat_id in (select chat_id from ops.analysis_labels where rubric_version = %(rubric)s)"


class MetricsMissingError(OperatorError):
    """The metrics that scoring rests on were never built."""


@dataclass(frozen=True)
class Candidate:
    """A chat that can be scored, with the facts that the messages do not tell."""

    chat_id: str
    clock: ResponseClock
    # Runs of the customer's messages that somebody answered.
    answered_turns: int
    closed_at: datetime


@dataclass(frozen=True)
class Eligibility:
    """The closed chats of a window: those that can be scored, in order of closing, and the others by reason."""

    candidates: Sequence[Candidate]
    reasons: Mapping[str, int]

    @property
    def chats(self) -> int:
        """All closed chats of the window."""
        return len(self.candidates) + sum(self.reasons.values())


def eligible(connection: Connection, window: Window, now: datetime) -> Eligibility:
    """The chats closed within a window, judged at `now`. Raises MetricsMissingError."""
    return _read(connection, _CLOSED_WITHIN, {"start": window.start, "end": window.end, "quiet": now - QUIET})


def eligible_labelled(connection: Connection, now: datetime) -> Eligibility:
    """The same of the closed chats that people have judged by the rubric. Raises MetricsMissingError."""
    return _read(connection, _LABELLED, {"rubric": RUBRIC_VERSION, "quiet": now - QUIET})


def _read(connection: Connection, which: LiteralString, values: Mapping[str, object]) -> Eligibility:
    try:
        rows = connection.execute(sql.SQL(_CANDIDATES).format(sql.SQL(which)), values)
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        raise MetricsMissingError(
            "scoring needs the model scoring_candidates, which is not there: run `b2chat build`, then this again."
        ) from None
    candidates: list[Candidate] = []
    reasons: Counter[str] = Counter()
    for chat_id, target, elapsed, answered, closed_at, reason in rows:
        if reason is None:
            candidates.append(Candidate(chat_id, ResponseClock(elapsed, target), answered, closed_at))
        else:
            reasons[reason] += 1
    return Eligibility(candidates, reasons)
