"""Which lists of messages decide about which stretch of a chat's time; absences count by the time of the read."""

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"


def upgrade() -> None:
    """Makes the table, and the new keys."""
    _message_lists()
    _absences_by_read()


def _absences_by_read() -> None:
    op.drop_constraint("chat_absences_pkey", "chat_absences", schema="ops")
    op.create_primary_key("chat_absences_pkey", "chat_absences", ["chat_id", "read_at"], schema="ops")
    op.alter_column(
        "chat_absences",
        "sync_id",
        nullable=True,
        comment="The read that lacked it; NULL where it was loaded before the chat was known.",
        schema="ops",
    )
    op.create_unique_constraint(
        "chat_absences_chat_id_sync_id_key", "chat_absences", ["chat_id", "sync_id"], schema="ops"
    )


def _message_lists() -> None:
    op.create_table(
        "message_lists",
        sa.Column("chat_id", sa.Text(), nullable=False, comment="The chat."),
        sa.Column(
            "read_at", sa.DateTime(timezone=True), nullable=False, comment="Request time of the last answer with it."
        ),
        sa.Column(
            "first_at", sa.DateTime(timezone=True), nullable=False, comment="Time of the first message it tells."
        ),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False, comment="Time of the last message it tells."),
        sa.PrimaryKeyConstraint("chat_id", "read_at", "first_at", name="message_lists_pkey"),
        schema="ops",
        comment="Lists of messages that decide about a stretch of their chat's time; only of chats whose newest answer"
        " does not tell all of it.",
    )
