"""Batches of scoring: what was sent together, what is waited for, and which days were looked at."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0014"
down_revision: str | None = "0013"

_COMMENTS = {
    "analysis_calls.chat_id": "Chat that is judged; canary: and a name where it is none of the account.",
    "analysis_calls.mode": "How it was sent: direct or batch.",
    "analysis_outcomes.chat_id": "Chat that was to be scored; canary: and a name where it is none.",
    "analysis_outcomes.outcome": "undecided (no evidence), voided (an answer that is none), refused, truncated, held"
    " (a person must look), failed (no answer), or canary (planted orders, whose score says only whether a batch can be"
    " trusted).",
}
_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Makes the tables, and has a call name its batch."""
    _batches()
    _items()
    _days()
    op.add_column(
        "analysis_calls",
        sa.Column("batch_id", sa.Text(), nullable=True, comment="Batch it was sent in; NULL where it was sent alone."),
        schema="ops",
    )
    op.create_index("analysis_calls_batch_id_idx", "analysis_calls", ["batch_id"], schema="ops")
    for column, comment in _COMMENTS.items():
        op.execute(f"comment on column ops.{column} is '{comment}'")


def _batches() -> None:
    op.create_table(
        "analysis_batches",
        sa.Column("id", sa.Text(), nullable=False, comment="Key."),
        sa.Column(
            "service_id",
            sa.Text(),
            nullable=True,
            comment="The service's own id; NULL while no answer to the creation is known.",
        ),
        sa.Column(
            "state",
            sa.Text(),
            nullable=False,
            comment="creating (no answer known yet), processing, collected, held (planted orders moved a score),"
            " released (never created, cost nothing), or lost (its results are gone).",
        ),
        sa.Column(
            "days",
            postgresql.ARRAY(sa.Date()),
            nullable=False,
            comment="Account-local days on which its chats were closed.",
        ),
        sa.Column("requests", sa.Integer(), nullable=False, comment="Calls in it, canaries included."),
        sa.Column("model", sa.Text(), nullable=False, comment="Model that is asked."),
        sa.Column("user_id", sa.Text(), nullable=False, comment="Who asked for it."),
        sa.Column(
            "terms_version",
            sa.Integer(),
            nullable=False,
            comment="Version of the configured terms its cost is counted by.",
        ),
        sa.Column(
            "canary_shift",
            sa.Double(),
            nullable=True,
            comment="The most that planted orders moved a score, in points; NULL where that is not known.",
        ),
        sa.Column(
            "prepared_at",
            _INSTANT,
            nullable=False,
            comment="When it was written down, before the service was asked for it.",
        ),
        sa.Column("submitted_at", _INSTANT, nullable=True, comment="When it was known that the service has it."),
        sa.Column("ended_at", _INSTANT, nullable=True, comment="When it was collected, held, released or lost."),
        sa.PrimaryKeyConstraint("id", name="analysis_batches_pkey"),
        sa.UniqueConstraint("service_id", name="analysis_batches_service_id_key"),
        schema="ops",
        comment="Requests that were sent to the model's service together, at a lower price.",
    )
    op.create_index(
        "analysis_batches_open_idx",
        "analysis_batches",
        ["state"],
        schema="ops",
        postgresql_where=sa.text("ended_at is null"),
    )


def _items() -> None:
    op.create_table(
        "analysis_batch_items",
        sa.Column("call_id", sa.Text(), nullable=False, comment="The call; also what the service calls the item."),
        sa.Column("batch_id", sa.Text(), nullable=False, comment="Batch it is in."),
        sa.Column(
            "sent",
            postgresql.JSONB(),
            nullable=False,
            comment="The messages as they were sent, without personal data, and the facts a score is held against.",
        ),
        sa.PrimaryKeyConstraint("call_id", name="analysis_batch_items_pkey"),
        schema="ops",
        comment="What the answers of open batches will be held against; gone when the batch is collected.",
    )
    op.create_index("analysis_batch_items_batch_id_idx", "analysis_batch_items", ["batch_id"], schema="ops")


def _days() -> None:
    op.create_table(
        "analysis_days",
        sa.Column("day", sa.Date(), nullable=False, comment="Account-local day on which chats were closed."),
        sa.Column(
            "looked_at",
            _INSTANT,
            nullable=False,
            comment="When all its chats that can be scored were last sent, waited for or judged already.",
        ),
        sa.PrimaryKeyConstraint("day", name="analysis_days_pkey"),
        schema="ops",
        comment="Days of closing that were looked at: one is looked at again when a chat of it changes.",
    )
