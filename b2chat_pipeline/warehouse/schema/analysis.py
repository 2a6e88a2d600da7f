"""Scoring of conversations: every paid request with its money, batches of them, and answers that became no score.

The scores themselves are `effectiveness_analysis` (`application.py`).
"""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import ARRAY, Date, Index, Numeric, text
from sqlalchemy.orm import Mapped, mapped_column

from b2chat_pipeline.warehouse.schema.base import Base, JsonBinary
from b2chat_pipeline.warehouse.schema.operations import OPS

_MONEY = Numeric(14, 8)


class AnalysisCall(Base):
    """One request to the model's service that may cost money."""

    __tablename__ = "analysis_calls"
    __table_args__ = (
        Index(None, "day"),
        Index(None, "chat_id"),
        Index(None, "score_key"),
        Index(None, "batch_id"),
        Index("analysis_calls_reserved_idx", "mode", postgresql_where=text("state = 'reserved'")),
        {
            "schema": OPS,
            "comment": "The ledger of money: requests to the model's service, each reserved before it is sent.",
        },
    )

    id: Mapped[str] = mapped_column(primary_key=True, comment="Key; also that of the row in effectiveness_analysis.")
    chat_id: Mapped[str] = mapped_column(
        comment="Chat that is judged; canary: and a name where it is none of the account."
    )
    score_key: Mapped[bytes] = mapped_column(
        comment="SHA-256 of chat, model, versions of prompt, rubric, schema and redaction, and transcript."
    )
    attempt: Mapped[int] = mapped_column(comment="1, or 2 where an unusable answer is asked for again.")
    mode: Mapped[str] = mapped_column(comment="How it was sent: direct or batch.")
    user_id: Mapped[str] = mapped_column(comment="Who asked for it.")
    model: Mapped[str] = mapped_column(comment="Model that is asked.")
    prompt_version: Mapped[str | None] = mapped_column(
        comment="Version of the prompt it is asked by; NULL: of before it was noted, and brought no score."
    )
    terms_version: Mapped[int] = mapped_column(comment="Version of the configured terms its cost is counted by.")
    day: Mapped[date] = mapped_column(comment="Account-local day whose cap it counts against.")
    state: Mapped[str] = mapped_column(
        comment="reserved, settled (paid by usage), released (cost nothing), or lost (nobody knows what it cost)."
    )
    reserved_usd: Mapped[Decimal] = mapped_column(_MONEY, comment="The most it can cost.")
    cost_usd: Mapped[Decimal | None] = mapped_column(
        _MONEY, comment="What it cost; NULL while reserved, and where lost: then reserved_usd counts."
    )
    usage: Mapped[JsonBinary | None] = mapped_column(comment="Tokens as the service counted them.")
    outcome: Mapped[str | None] = mapped_column(comment="scored, or what analysis_outcomes tells more of.")
    unanswered: Mapped[int | None] = mapped_column(comment="Attempts whose answer never came; may have been billed.")
    request_id: Mapped[str | None] = mapped_column(comment="The service's own id of the request.")
    reserved_at: Mapped[datetime] = mapped_column(comment="When the money was reserved, before sending.")
    ended_at: Mapped[datetime | None] = mapped_column(comment="When it was settled, released or lost.")
    batch_id: Mapped[str | None] = mapped_column(comment="Batch it was sent in; NULL where it was sent alone.")


class AnalysisOutcome(Base):
    """One request that brought no score."""

    __tablename__ = "analysis_outcomes"
    __table_args__ = (
        Index(None, "chat_id"),
        Index(None, "outcome"),
        {"schema": OPS, "comment": "Requests to the model's service that brought no score, and why."},
    )

    call_id: Mapped[str] = mapped_column(primary_key=True, comment="The request, with its usage and cost.")
    chat_id: Mapped[str] = mapped_column(comment="Chat that was to be scored; canary: and a name where it is none.")
    outcome: Mapped[str] = mapped_column(
        comment="undecided (no evidence), voided (an answer that is none), refused, truncated, held (a person must"
        " look), failed (no answer), or canary (planted orders, whose score says only whether a batch can be trusted)."
    )
    reason: Mapped[str] = mapped_column(comment="Why, in words; no personal data.")
    response: Mapped[JsonBinary | None] = mapped_column(comment="The complete answer, where there was one.")
    created_at: Mapped[datetime] = mapped_column(comment="When it came.")


class AnalysisBatch(Base):
    """Requests that were sent together."""

    __tablename__ = "analysis_batches"
    __table_args__ = (
        Index("analysis_batches_open_idx", "state", postgresql_where=text("ended_at is null")),
        {"schema": OPS, "comment": "Requests that were sent to the model's service together, at a lower price."},
    )

    id: Mapped[str] = mapped_column(primary_key=True, comment="Key.")
    service_id: Mapped[str | None] = mapped_column(
        unique=True, comment="The service's own id; NULL while no answer to the creation is known."
    )
    state: Mapped[str] = mapped_column(
        comment="creating (no answer known yet), processing, collected, held (planted orders moved a score),"
        " released (never created, cost nothing), or lost (its results are gone)."
    )
    days: Mapped[list[date]] = mapped_column(ARRAY(Date), comment="Account-local days on which its chats were closed.")
    requests: Mapped[int] = mapped_column(comment="Calls in it, canaries included.")
    model: Mapped[str] = mapped_column(comment="Model that is asked.")
    user_id: Mapped[str] = mapped_column(comment="Who asked for it.")
    terms_version: Mapped[int] = mapped_column(comment="Version of the configured terms its cost is counted by.")
    canary_shift: Mapped[float | None] = mapped_column(
        comment="The most that planted orders moved a score, in points; NULL where that is not known."
    )
    prepared_at: Mapped[datetime] = mapped_column(
        comment="When it was written down, before the service was asked for it."
    )
    submitted_at: Mapped[datetime | None] = mapped_column(comment="When it was known that the service has it.")
    ended_at: Mapped[datetime | None] = mapped_column(comment="When it was collected, held, released or lost.")


class AnalysisBatchItem(Base):
    """One request of an open batch."""

    __tablename__ = "analysis_batch_items"
    __table_args__ = (
        Index(None, "batch_id"),
        {
            "schema": OPS,
            "comment": "What the answers of open batches will be held against; gone when the batch is collected.",
        },
    )

    call_id: Mapped[str] = mapped_column(primary_key=True, comment="The call; also what the service calls the item.")
    batch_id: Mapped[str] = mapped_column(comment="Batch it is in.")
    sent: Mapped[JsonBinary] = mapped_column(
        comment="The messages as they were sent, without personal data, and the facts a score is held against."
    )


class AnalysisDay(Base):
    """One day of closing that was looked at."""

    __tablename__ = "analysis_days"
    __table_args__ = (
        {
            "schema": OPS,
            "comment": "Days of closing that were looked at: one is looked at again when a chat of it changes.",
        },
    )

    day: Mapped[date] = mapped_column(primary_key=True, comment="Account-local day on which chats were closed.")
    looked_at: Mapped[datetime] = mapped_column(
        comment="When all its chats that can be scored were last sent, waited for or judged already."
    )
