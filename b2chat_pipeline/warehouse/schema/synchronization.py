"""What was read from B2Chat and how that went: sync logs, states, checkpoints and the raw answers."""

from datetime import datetime

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.schema import ForeignKey

from b2chat_pipeline.warehouse.identifiers import new_id
from b2chat_pipeline.warehouse.schema.base import NOW, ZERO, Base, JsonBinary, JsonText


class SyncLog(Base):
    """One entity of one sync."""

    __tablename__ = "sync_logs"
    __table_args__ = (
        Index(None, "user_id"),
        Index(None, "entity_type"),
        Index(None, "status"),
        {"comment": "Every sync, one row per entity."},
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id, comment="Key.")
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), comment="Who launched it; `system` for the scheduler.")
    entity_type: Mapped[str] = mapped_column(comment="chats, contacts, agents, departments or messages.")
    operation: Mapped[str] = mapped_column(comment="full, incremental (schedule and sensors) or manual.")
    record_count: Mapped[int] = mapped_column(comment="Records processed.")
    status: Mapped[str] = mapped_column(comment="in_progress, success, partial or error.")
    started_at: Mapped[datetime] = mapped_column(comment="When it began.")
    completed_at: Mapped[datetime | None] = mapped_column(comment="When it ended.")
    error_message: Mapped[str | None] = mapped_column(comment="Why it failed.")
    metadata_: Mapped[JsonBinary | None] = mapped_column("metadata", comment="Window, counts and the like.")


class SyncState(Base):
    """Where the synchronization of one entity stands."""

    __tablename__ = "sync_states"
    __table_args__ = ({"comment": "Where each entity stands, one row per entity."},)

    id: Mapped[str] = mapped_column(primary_key=True, comment="Key.")
    entity_type: Mapped[str] = mapped_column(unique=True, comment="chats, contacts, agents, departments or messages.")
    last_sync_timestamp: Mapped[datetime | None] = mapped_column(
        comment="Watermark: loaded up to here; never goes back."
    )
    last_synced_id: Mapped[str | None] = mapped_column(comment="Last key, for sources paged by cursor.")
    last_sync_offset: Mapped[int | None] = mapped_column(comment="Last offset, for sources paged by offset.")
    sync_status: Mapped[str] = mapped_column(comment="idle, running, error or paused.")
    total_records: Mapped[int] = mapped_column(server_default=ZERO, comment="Records in the last sync.")
    successful_records: Mapped[int] = mapped_column(server_default=ZERO, comment="Of these, loaded.")
    failed_records: Mapped[int] = mapped_column(server_default=ZERO, comment="Of these, not loaded.")
    sync_duration: Mapped[int | None] = mapped_column(comment="Duration of the last sync in milliseconds.")
    created_at: Mapped[datetime] = mapped_column(server_default=NOW, comment="When the row was made.")
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW, comment="When the row last changed.")


class SyncCheckpoint(Base):
    """How far a read has come."""

    __tablename__ = "sync_checkpoints"
    __table_args__ = (
        Index(None, "sync_id"),
        Index(None, "entity_type"),
        {"comment": "How far each read has come, so that an interrupted one can be continued."},
    )

    id: Mapped[str] = mapped_column(primary_key=True, comment="Key.")
    sync_id: Mapped[str] = mapped_column(comment="The sync it belongs to.")
    entity_type: Mapped[str] = mapped_column(comment="What is being read.")
    total_records: Mapped[int | None] = mapped_column(comment="Records to read, as far as known.")
    processed_records: Mapped[int] = mapped_column(server_default=ZERO, comment="Records read so far.")
    successful_records: Mapped[int] = mapped_column(server_default=ZERO, comment="Of these, good.")
    failed_records: Mapped[int] = mapped_column(server_default=ZERO, comment="Of these, failed.")
    failure_details: Mapped[JsonBinary | None] = mapped_column(comment="What failed, and why.")
    checkpoint: Mapped[str | None] = mapped_column(comment="Where to go on from.")
    status: Mapped[str] = mapped_column(comment="active, completed or failed.")
    created_at: Mapped[datetime] = mapped_column(server_default=NOW, comment="When the read began.")
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW, comment="When it last moved.")
    completed_at: Mapped[datetime | None] = mapped_column(comment="When it was complete.")


class ApiResponseLog(Base):
    """One raw answer of the API."""

    __tablename__ = "api_response_logs"
    __table_args__ = (
        Index(None, "sync_id"),
        Index(None, "endpoint"),
        Index(None, "created_at"),
        {
            "postgresql_partition_by": "RANGE (created_at)",
            "comment": "Raw answers of the API. Partitioned by week: large and short-lived, so old weeks are dropped.",
        },
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id, comment="Key, together with created_at.")
    sync_id: Mapped[str] = mapped_column(comment="The sync that asked.")
    endpoint: Mapped[str] = mapped_column(comment="Endpoint, such as /chats/export.")
    request_params: Mapped[JsonBinary] = mapped_column(comment="Query parameters.")
    raw_response: Mapped[JsonText] = mapped_column(
        comment="Body as received; json, for jsonb refuses some escapes. What is not JSON is kept as a string."
    )
    response_size: Mapped[int] = mapped_column(comment="Size of the body in bytes.")
    record_count: Mapped[int] = mapped_column(comment="Records in the body.")
    api_timestamp: Mapped[datetime] = mapped_column(comment="When the API was asked.")
    created_at: Mapped[datetime] = mapped_column(
        primary_key=True, server_default=NOW, comment="When the row was made; decides the partition."
    )
