"""What changed in chats and when, and which complete reads lacked a chat."""

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"


def upgrade() -> None:
    """Makes the tables."""
    _chat_history()
    _chat_absences()


def _chat_history() -> None:
    op.create_table(
        "chat_history",
        sa.Column("chat_id", sa.Text(), nullable=False, comment="The chat."),
        sa.Column(
            "field",
            sa.Text(),
            nullable=False,
            comment="status (B2Chat's own word), agent, department (their keys) or deleted.",
        ),
        sa.Column("old", sa.Text(), nullable=True, comment="Value before; NULL where it had none."),
        sa.Column("new", sa.Text(), nullable=True, comment="Value since; NULL where it has none."),
        sa.Column(
            "seen_before",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="Request time of the last answer with the old value: it changed after this.",
        ),
        sa.Column(
            "seen_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="Request time of the first answer with the new value: it had changed by then.",
        ),
        sa.Column("sync_id", sa.Text(), nullable=False, comment="The read that told the new value."),
        sa.PrimaryKeyConstraint("chat_id", "field", "seen_at", name="chat_history_pkey"),
        schema="ops",
        comment="Changes of chats, each with the two read times that bound it.",
    )


def _chat_absences() -> None:
    op.create_table(
        "chat_absences",
        sa.Column("chat_id", sa.Text(), nullable=False, comment="The chat."),
        sa.Column("sync_id", sa.Text(), nullable=False, comment="The read that lacked it."),
        sa.Column(
            "read_at", sa.DateTime(timezone=True), nullable=False, comment="Request time of the first page of the hour."
        ),
        sa.Column(
            "told_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="Request time of the last answer that told it.",
        ),
        sa.PrimaryKeyConstraint("chat_id", "sync_id", name="chat_absences_pkey"),
        schema="ops",
        comment="Complete reads of its hour that lacked a chat since it was last told; after two it is soft-deleted.",
    )
