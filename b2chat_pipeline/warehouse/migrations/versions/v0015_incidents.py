"""Trouble that people are told of, and the notices that wait for channels."""

import sqlalchemy as sa
from alembic import op

revision: str = "0015"
down_revision: str | None = "0014"

_INSTANT = sa.DateTime(timezone=True)
_NOW = sa.text("now()")


def upgrade() -> None:
    """Makes the tables."""
    _incidents()
    _outbox()


def _incidents() -> None:
    op.create_table(
        "incidents",
        sa.Column("id", sa.Text(), nullable=False, comment="Key; `incident` in the metadata of notifications."),
        sa.Column("cause", sa.Text(), nullable=False, comment="What tells causes apart, such as source."),
        sa.Column("title", sa.Text(), nullable=False, comment="What people read first."),
        sa.Column("since", _INSTANT, nullable=False, comment="When its first failure ended."),
        sa.Column(
            "times",
            sa.Integer(),
            server_default="1",
            nullable=False,
            comment="Failures so far; all but one were not told.",
        ),
        sa.Column("last_at", _INSTANT, nullable=False, comment="When its last failure ended."),
        sa.Column("told_at", _INSTANT, server_default=_NOW, nullable=False, comment="When people were told."),
        sa.Column("over_at", _INSTANT, nullable=True, comment="When it was seen to be over; NULL while it lasts."),
        sa.PrimaryKeyConstraint("id", name="incidents_pkey"),
        schema="ops",
        comment="Root causes of failures that people were told of; one that lasts is told once.",
    )
    op.create_index(
        "incidents_open_idx",
        "incidents",
        ["cause"],
        schema="ops",
        unique=True,
        postgresql_where=sa.text("over_at IS NULL"),
    )


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.Text(), nullable=False, comment="Key."),
        sa.Column("incident_id", sa.Text(), nullable=False, comment="What it tells of."),
        sa.Column("event", sa.Text(), nullable=False, comment="begun or over."),
        sa.Column(
            "channel",
            sa.Text(),
            nullable=False,
            comment="Kind of the channel, and a hash of its address, which is a secret.",
        ),
        sa.Column("title", sa.Text(), nullable=False, comment="Title; no personal data."),
        sa.Column("body", sa.Text(), nullable=False, comment="Text; no personal data."),
        sa.Column("type", sa.Text(), nullable=False, comment="info, success, warning or error."),
        sa.Column("created_at", _INSTANT, server_default=_NOW, nullable=False, comment="When it was put out."),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False, comment="How often it was sent."),
        sa.Column("next_at", _INSTANT, server_default=_NOW, nullable=False, comment="It is not sent before."),
        sa.Column("trouble", sa.Text(), nullable=True, comment="Why the channel did not take it the last time."),
        sa.Column("sent_at", _INSTANT, nullable=True, comment="When the channel took it."),
        sa.Column(
            "given_up_at",
            _INSTANT,
            nullable=True,
            comment="When it was given up: after a week, or its channel is not set any more.",
        ),
        sa.PrimaryKeyConstraint("id", name="outbox_pkey"),
        sa.UniqueConstraint("incident_id", "event", "channel", name="outbox_incident_id_event_channel_key"),
        schema="ops",
        comment="Notices for the channels of B2CHAT_NOTIFY_URLS, kept until they are taken.",
    )
    op.create_index(
        "outbox_waiting_idx",
        "outbox",
        ["channel"],
        schema="ops",
        postgresql_where=sa.text("sent_at IS NULL AND given_up_at IS NULL"),
    )
