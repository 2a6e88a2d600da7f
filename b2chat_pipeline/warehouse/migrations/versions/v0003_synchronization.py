"""Sync logs, states, checkpoints, raw answers."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON, JSONB

revision: str = "0003"
down_revision: str | None = "0002"


def upgrade() -> None:
    """Makes the tables."""
    _sync_logs()
    _sync_states()
    _sync_checkpoints()
    _api_response_logs()


def _sync_logs() -> None:
    op.create_table(
        "sync_logs",
        sa.Column("id", sa.Text(), nullable=False, comment="Key."),
        sa.Column("user_id", sa.Text(), nullable=False, comment="Who launched it; `system` for the scheduler."),
        sa.Column(
            "entity_type", sa.Text(), nullable=False, comment="chats, contacts, agents, departments or messages."
        ),
        sa.Column(
            "operation", sa.Text(), nullable=False, comment="full, incremental (schedule and sensors) or manual."
        ),
        sa.Column("record_count", sa.Integer(), nullable=False, comment="Records processed."),
        sa.Column("status", sa.Text(), nullable=False, comment="in_progress, success, partial or error."),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False, comment="When it began."),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True, comment="When it ended."),
        sa.Column("error_message", sa.Text(), nullable=True, comment="Why it failed."),
        sa.Column("metadata", JSONB(), nullable=True, comment="Window, counts and the like."),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="sync_logs_user_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="sync_logs_pkey"),
        comment="Every sync, one row per entity.",
    )
    op.create_index("sync_logs_entity_type_idx", "sync_logs", ["entity_type"])
    op.create_index("sync_logs_status_idx", "sync_logs", ["status"])
    op.create_index("sync_logs_user_id_idx", "sync_logs", ["user_id"])


def _sync_states() -> None:
    op.create_table(
        "sync_states",
        sa.Column("id", sa.Text(), nullable=False, comment="Key."),
        sa.Column(
            "entity_type", sa.Text(), nullable=False, comment="chats, contacts, agents, departments or messages."
        ),
        sa.Column(
            "last_sync_timestamp",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Watermark: loaded up to here; never goes back.",
        ),
        sa.Column("last_synced_id", sa.Text(), nullable=True, comment="Last key, for sources paged by cursor."),
        sa.Column("last_sync_offset", sa.Integer(), nullable=True, comment="Last offset, for sources paged by offset."),
        sa.Column("sync_status", sa.Text(), nullable=False, comment="idle, running, error or paused."),
        sa.Column(
            "total_records",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Records in the last sync.",
        ),
        sa.Column(
            "successful_records", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="Of these, loaded."
        ),
        sa.Column(
            "failed_records", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="Of these, not loaded."
        ),
        sa.Column("sync_duration", sa.Integer(), nullable=True, comment="Duration of the last sync in milliseconds."),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the row was made.",
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the row last changed.",
        ),
        sa.PrimaryKeyConstraint("id", name="sync_states_pkey"),
        sa.UniqueConstraint("entity_type", name="sync_states_entity_type_key"),
        comment="Where each entity stands, one row per entity.",
    )


def _sync_checkpoints() -> None:
    op.create_table(
        "sync_checkpoints",
        sa.Column("id", sa.Text(), nullable=False, comment="Key."),
        sa.Column("sync_id", sa.Text(), nullable=False, comment="The sync it belongs to."),
        sa.Column("entity_type", sa.Text(), nullable=False, comment="What is being read."),
        sa.Column("total_records", sa.Integer(), nullable=True, comment="Records to read, as far as known."),
        sa.Column(
            "processed_records",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Records read so far.",
        ),
        sa.Column(
            "successful_records", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="Of these, good."
        ),
        sa.Column(
            "failed_records", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="Of these, failed."
        ),
        sa.Column("failure_details", JSONB(), nullable=True, comment="What failed, and why."),
        sa.Column("checkpoint", sa.Text(), nullable=True, comment="Where to go on from."),
        sa.Column("status", sa.Text(), nullable=False, comment="active, completed or failed."),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the read began.",
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it last moved.",
        ),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True, comment="When it was complete."),
        sa.PrimaryKeyConstraint("id", name="sync_checkpoints_pkey"),
        comment="How far each read has come, so that an interrupted one can be continued.",
    )
    op.create_index("sync_checkpoints_entity_type_idx", "sync_checkpoints", ["entity_type"])
    op.create_index("sync_checkpoints_sync_id_idx", "sync_checkpoints", ["sync_id"])


def _api_response_logs() -> None:
    op.create_table(
        "api_response_logs",
        sa.Column("id", sa.Text(), nullable=False, comment="Key, together with created_at."),
        sa.Column("sync_id", sa.Text(), nullable=False, comment="The sync that asked."),
        sa.Column("endpoint", sa.Text(), nullable=False, comment="Endpoint, such as /chats/export."),
        sa.Column("request_params", JSONB(), nullable=False, comment="Query parameters."),
        sa.Column(
            "raw_response",
            JSON(),
            nullable=False,
            comment="Body as received; json, for jsonb refuses some escapes. What is not JSON is kept as a string.",
        ),
        sa.Column("response_size", sa.Integer(), nullable=False, comment="Size of the body in bytes."),
        sa.Column("record_count", sa.Integer(), nullable=False, comment="Records in the body."),
        sa.Column("api_timestamp", sa.DateTime(timezone=True), nullable=False, comment="When the API was asked."),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the row was made; decides the partition.",
        ),
        sa.PrimaryKeyConstraint("id", "created_at", name="api_response_logs_pkey"),
        comment="Raw answers of the API. Partitioned by week: large and short-lived, so old weeks are dropped.",
        postgresql_partition_by="RANGE (created_at)",
    )
    op.create_index("api_response_logs_created_at_idx", "api_response_logs", ["created_at"])
    op.create_index("api_response_logs_endpoint_idx", "api_response_logs", ["endpoint"])
    op.create_index("api_response_logs_sync_id_idx", "api_response_logs", ["sync_id"])
    op.execute("create table api_response_logs_default partition of api_response_logs default")
