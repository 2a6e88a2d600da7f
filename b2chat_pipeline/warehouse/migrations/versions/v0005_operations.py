"""What the pipeline needs to do its work, and the schema `analytics`."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import BYTEA, JSON

revision: str = "0005"
down_revision: str | None = "0004"


def upgrade() -> None:
    """Makes the tables."""
    _request_budget()
    _window_reads()
    _ledger()
    _quarantine()
    _contract_drift()
    op.execute("create schema analytics")
    op.execute("comment on schema analytics is 'What analysts read: views and tables built from public.'")
    op.execute("comment on schema ops is 'What the pipeline needs to do its work.'")


def _request_budget() -> None:
    op.create_table(
        "request_budget",
        sa.Column("day", sa.Date(), nullable=False, comment="Day the vendor counts by."),
        sa.Column(
            "hourly", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="Requests for hourly loads."
        ),
        sa.Column(
            "reread", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="Requests for re-reads."
        ),
        sa.Column(
            "backfill", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="Requests for backfills."
        ),
        sa.Column(
            "next_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Earliest time of the next request.",
        ),
        sa.Column(
            "blocked_until", sa.DateTime(timezone=True), nullable=True, comment="The API asked for silence until then."
        ),
        sa.PrimaryKeyConstraint("day", name="request_budget_pkey"),
        schema="ops",
        comment="Requests spent per day, by all processes together.",
    )


def _window_reads() -> None:
    op.create_table(
        "window_reads",
        sa.Column("endpoint", sa.Text(), nullable=False, comment="Endpoint that was read."),
        sa.Column("hour_start", sa.DateTime(timezone=True), nullable=False, comment="Start of the hour."),
        sa.Column("sync_id", sa.Text(), nullable=False, comment="The read."),
        sa.Column(
            "read_at", sa.DateTime(timezone=True), nullable=False, comment="Request time of the first page of the hour."
        ),
        sa.Column(
            "applied_read_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="read_at of the newest read applied to the tables.",
        ),
        sa.Column("records", sa.Integer(), nullable=False, comment="Records the read holds for the hour."),
        sa.PrimaryKeyConstraint("endpoint", "hour_start", name="window_reads_pkey"),
        schema="ops",
        comment="Which read covers an hour completely: what the hour is loaded from.",
    )


def _ledger() -> None:
    op.create_table(
        "ledger",
        sa.Column("sync_id", sa.Text(), nullable=False, comment="The sync."),
        sa.Column("entity", sa.Text(), nullable=False, comment="Table the records are meant for."),
        sa.Column("hour_start", sa.DateTime(timezone=True), nullable=False, comment="Start of the hour."),
        sa.Column(
            "received",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Counted in the stored pages.",
        ),
        sa.Column("inserted", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="New rows."),
        sa.Column("updated", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="Rows that changed."),
        sa.Column(
            "unchanged",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Rows that were equal already.",
        ),
        sa.Column(
            "repeated",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Told more than once in the read.",
        ),
        sa.Column(
            "older",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Read before what the tables hold.",
        ),
        sa.Column(
            "quarantined", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="Put into quarantine."
        ),
        sa.Column(
            "outside",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Outside the window that was asked for.",
        ),
        sa.Column(
            "loaded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was loaded.",
        ),
        sa.PrimaryKeyConstraint("sync_id", "entity", "hour_start", name="ledger_pkey"),
        schema="ops",
        comment="What became of every record received: received is the sum of the other counts.",
    )
    op.create_index("ledger_entity_hour_start_idx", "ledger", ["entity", "hour_start"], schema="ops")


def _quarantine() -> None:
    op.create_table(
        "quarantine",
        sa.Column("id", sa.Text(), nullable=False, comment="Key."),
        sa.Column("entity", sa.Text(), nullable=False, comment="Table the record is meant for."),
        sa.Column("endpoint", sa.Text(), nullable=False, comment="Endpoint it came from."),
        sa.Column("record_key", sa.Text(), nullable=True, comment="B2Chat's key, where it can be read."),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why it does not fit."),
        sa.Column("json_path", sa.Text(), nullable=True, comment="Where in the record."),
        sa.Column("raw_record", JSON(), nullable=False, comment="The record as received."),
        sa.Column("record_hash", BYTEA(), nullable=False, comment="Hash of the record."),
        sa.Column("hour_start", sa.DateTime(timezone=True), nullable=True, comment="Hour it belongs to, where known."),
        sa.Column("sync_id", sa.Text(), nullable=False, comment="Last sync that met it."),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False, comment="Request time of its page."),
        sa.Column(
            "first_seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was first met.",
        ),
        sa.Column(
            "last_seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was last met.",
        ),
        sa.Column(
            "occurrences", sa.Integer(), server_default=sa.text("1"), nullable=False, comment="How often it was met."
        ),
        sa.Column(
            "resolved_at", sa.DateTime(timezone=True), nullable=True, comment="When it was resolved; NULL while open."
        ),
        sa.Column("resolution", sa.Text(), nullable=True, comment="How it was resolved."),
        sa.PrimaryKeyConstraint("id", name="quarantine_pkey"),
        sa.UniqueConstraint("entity", "record_hash", "reason", name="quarantine_entity_record_hash_reason_key"),
        schema="ops",
        comment="Records that do not fit, kept until they are resolved.",
    )


def _contract_drift() -> None:
    op.create_table(
        "contract_drift",
        sa.Column("id", sa.Text(), nullable=False, comment="Key."),
        sa.Column("endpoint", sa.Text(), nullable=False, comment="Endpoint."),
        sa.Column("path", sa.Text(), nullable=False, comment="Where in the answer."),
        sa.Column("kind", sa.Text(), nullable=False, comment="Kind of departure."),
        sa.Column("detail", sa.Text(), nullable=False, comment="What was seen; no personal data."),
        sa.Column(
            "first_seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was first seen.",
        ),
        sa.Column(
            "last_seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was last seen.",
        ),
        sa.Column(
            "occurrences", sa.Integer(), server_default=sa.text("1"), nullable=False, comment="How often it was seen."
        ),
        sa.Column("sync_id", sa.Text(), nullable=False, comment="Last sync that saw it."),
        sa.PrimaryKeyConstraint("id", name="contract_drift_pkey"),
        sa.UniqueConstraint("endpoint", "path", "kind", "detail", name="contract_drift_endpoint_path_kind_detail_key"),
        schema="ops",
        comment="Ways in which the API departed from what we know of it.",
    )
