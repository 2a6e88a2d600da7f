"""Trouble that people are told of, and the notices that wait for channels outside.

What administrators read inside is `notifications` (`application.py`).
"""

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from b2chat_pipeline.warehouse.schema.base import NOW, ONE, ZERO, Base
from b2chat_pipeline.warehouse.schema.operations import OPS


class IncidentTold(Base):
    """One root cause, from its first failure to its end."""

    __tablename__ = "incidents"
    __table_args__ = (
        Index("incidents_open_idx", "cause", unique=True, postgresql_where=text("over_at IS NULL")),
        {"schema": OPS, "comment": "Root causes of failures that people were told of; one that lasts is told once."},
    )

    id: Mapped[str] = mapped_column(primary_key=True, comment="Key; `incident` in the metadata of notifications.")
    cause: Mapped[str] = mapped_column(comment="What tells causes apart, such as source.")
    title: Mapped[str] = mapped_column(comment="What people read first.")
    since: Mapped[datetime] = mapped_column(comment="When its first failure ended.")
    times: Mapped[int] = mapped_column(server_default=ONE, comment="Failures so far; all but one were not told.")
    last_at: Mapped[datetime] = mapped_column(comment="When its last failure ended.")
    told_at: Mapped[datetime] = mapped_column(server_default=NOW, comment="When people were told.")
    over_at: Mapped[datetime | None] = mapped_column(comment="When it was seen to be over; NULL while it lasts.")


class OutboxNotice(Base):
    """One notice for one channel."""

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("incident_id", "event", "channel"),
        Index("outbox_waiting_idx", "channel", postgresql_where=text("sent_at IS NULL AND given_up_at IS NULL")),
        {"schema": OPS, "comment": "Notices for the channels of B2CHAT_NOTIFY_URLS, kept until they are taken."},
    )

    id: Mapped[str] = mapped_column(primary_key=True, comment="Key.")
    incident_id: Mapped[str] = mapped_column(comment="What it tells of.")
    event: Mapped[str] = mapped_column(comment="begun or over.")
    channel: Mapped[str] = mapped_column(comment="Kind of the channel, and a hash of its address, which is a secret.")
    title: Mapped[str] = mapped_column(comment="Title; no personal data.")
    body: Mapped[str] = mapped_column(comment="Text; no personal data.")
    type: Mapped[str] = mapped_column(comment="info, success, warning or error.")
    created_at: Mapped[datetime] = mapped_column(server_default=NOW, comment="When it was put out.")
    attempts: Mapped[int] = mapped_column(server_default=ZERO, comment="How often it was sent.")
    next_at: Mapped[datetime] = mapped_column(server_default=NOW, comment="It is not sent before.")
    trouble: Mapped[str | None] = mapped_column(comment="Why the channel did not take it the last time.")
    sent_at: Mapped[datetime | None] = mapped_column(comment="When the channel took it.")
    given_up_at: Mapped[datetime | None] = mapped_column(
        comment="When it was given up: after a week, or its channel is not set any more."
    )
