"""What people judged of conversations, scores of prompts and models on trial, and which of them were promoted."""

from datetime import datetime

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from b2chat_pipeline.warehouse.schema.base import Base, JsonBinary
from b2chat_pipeline.warehouse.schema.operations import OPS


class AnalysisLabel(Base):
    """One person's judgement of one chat."""

    __tablename__ = "analysis_labels"
    __table_args__ = (
        {"schema": OPS, "comment": "What people judged of conversations, by the rubric that the model judges by."},
    )

    chat_id: Mapped[str] = mapped_column(primary_key=True, comment="Chat that was judged.")
    labeller: Mapped[str] = mapped_column(primary_key=True, comment="Code of who judged it; never a name.")
    rubric_version: Mapped[str] = mapped_column(primary_key=True, comment="Version of the rubric it was judged by.")
    labelled_at: Mapped[datetime] = mapped_column(comment="When it was judged.")
    language: Mapped[str | None] = mapped_column(comment="The customer's language, as the labeller says.")
    levels: Mapped[JsonBinary] = mapped_column(comment="Criterion: level, of those that the messages tell of.")
    resolution: Mapped[float | None] = mapped_column(
        comment="What the levels add up to, 0 to 100; NULL without matter_settled."
    )
    satisfaction: Mapped[float | None] = mapped_column(
        comment="What the levels add up to, 0 to 100; NULL without satisfaction."
    )
    effectiveness: Mapped[float | None] = mapped_column(
        comment="0.6 resolution + 0.4 satisfaction; NULL where either is."
    )
    user_id: Mapped[str] = mapped_column(comment="Who imported it.")
    imported_at: Mapped[datetime] = mapped_column(comment="When it was imported, or last changed by an import.")


class AnalysisTrial(Base):
    """One score by a judge that was not promoted."""

    __tablename__ = "analysis_trials"
    __table_args__ = (
        Index(None, "chat_id"),
        {
            "schema": OPS,
            "comment": "Scores of labelled chats by a prompt or model on trial; reported once that is promoted.",
        },
    )

    id: Mapped[str] = mapped_column(primary_key=True, comment="Key; also that of the call.")
    chat_id: Mapped[str] = mapped_column(comment="Chat that was scored.")
    user_id: Mapped[str] = mapped_column(comment="Who asked for it.")
    effectiveness_score: Mapped[float] = mapped_column(comment="As in effectiveness_analysis.")
    response_time_score: Mapped[float] = mapped_column(comment="As in effectiveness_analysis.")
    resolution_score: Mapped[float] = mapped_column(comment="As in effectiveness_analysis.")
    customer_satisfaction: Mapped[float | None] = mapped_column(comment="As in effectiveness_analysis.")
    analysis_data: Mapped[JsonBinary] = mapped_column(comment="As in effectiveness_analysis.")
    created_at: Mapped[datetime] = mapped_column(comment="When it was scored.")


class AnalysisPromotion(Base):
    """One decision by which model and prompt conversations are scored from then on."""

    __tablename__ = "analysis_promotions"
    __table_args__ = ({"schema": OPS, "comment": "By which model and prompt scores are made; the newest row holds."},)

    id: Mapped[str] = mapped_column(primary_key=True, comment="Key.")
    model: Mapped[str] = mapped_column(comment="Model that is asked from then on.")
    prompt_version: Mapped[str] = mapped_column(comment="Version of the prompt it is asked by.")
    evidence: Mapped[JsonBinary] = mapped_column(
        comment="What the decision rests on: the judge before, the labelled chats compared, and by how much they"
        " differ."
    )
    user_id: Mapped[str] = mapped_column(comment="Who decided.")
    promoted_at: Mapped[datetime] = mapped_column(comment="When.")
