"""Indexes that tell of every creation day whether its chats may still change, without reading the chats."""

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"


def upgrade() -> None:
    """Makes the indexes; the one of the creation alone is a part of the first."""
    op.create_index("chats_created_at_last_modified_at_idx", "chats", ["created_at", "last_modified_at"])
    op.create_index(
        "chats_unclosed_created_at_idx", "chats", ["created_at"], postgresql_where=sa.text("status <> 'closed'")
    )
    op.drop_index("chats_created_at_idx", "chats")
