"""Schema `ops`: what the pipeline needs to do its work and the data dictionary does not know."""

from datetime import date, datetime

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from b2chat_pipeline.warehouse.identifiers import new_id
from b2chat_pipeline.warehouse.schema.base import NOW, ONE, ZERO, Base, JsonText

OPS = "ops"


class RequestBudget(Base):
    """The requests of one day."""

    __tablename__ = "request_budget"
    __table_args__ = ({"schema": OPS, "comment": "Requests spent per day, by all processes together."},)

    day: Mapped[date] = mapped_column(primary_key=True, comment="Day the vendor counts by.")
    hourly: Mapped[int] = mapped_column(server_default=ZERO, comment="Requests for hourly loads.")
    reread: Mapped[int] = mapped_column(server_default=ZERO, comment="Requests for re-reads.")
    backfill: Mapped[int] = mapped_column(server_default=ZERO, comment="Requests for backfills.")
    next_at: Mapped[datetime] = mapped_column(server_default=NOW, comment="Earliest time of the next request.")
    blocked_until: Mapped[datetime | None] = mapped_column(comment="The API asked for silence until then.")


class WindowRead(Base):
    """The newest complete read of one hour."""

    __tablename__ = "window_reads"
    __table_args__ = (
        {"schema": OPS, "comment": "Which read covers an hour completely: what the hour is loaded from."},
    )

    endpoint: Mapped[str] = mapped_column(primary_key=True, comment="Endpoint that was read.")
    hour_start: Mapped[datetime] = mapped_column(primary_key=True, comment="Start of the hour.")
    sync_id: Mapped[str] = mapped_column(comment="The read.")
    read_at: Mapped[datetime] = mapped_column(comment="Request time of the first page of the hour.")
    applied_read_at: Mapped[datetime | None] = mapped_column(
        comment="read_at of the newest read applied to the tables."
    )
    records: Mapped[int] = mapped_column(comment="Records the read holds for the hour.")


class HourLoad(Base):
    """One read that an hour was loaded from."""

    __tablename__ = "hour_loads"
    __table_args__ = (
        {"schema": OPS, "comment": "Every read that the tables were loaded from, by hour: what a rebuild repeats."},
    )

    endpoint: Mapped[str] = mapped_column(primary_key=True, comment="Endpoint that was read.")
    hour_start: Mapped[datetime] = mapped_column(primary_key=True, comment="Start of the hour.")
    sync_id: Mapped[str] = mapped_column(primary_key=True, comment="The read.")
    read_at: Mapped[datetime] = mapped_column(comment="Request time of the first page of the hour.")


class ChatChange(Base):
    """One change of a chat."""

    __tablename__ = "chat_history"
    __table_args__ = ({"schema": OPS, "comment": "Changes of chats, each with the two read times that bound it."},)

    chat_id: Mapped[str] = mapped_column(primary_key=True, comment="The chat.")
    field: Mapped[str] = mapped_column(
        primary_key=True, comment="status (B2Chat's own word), agent, department (their keys) or deleted."
    )
    old: Mapped[str | None] = mapped_column(comment="Value before; NULL where it had none.")
    new: Mapped[str | None] = mapped_column(comment="Value since; NULL where it has none.")
    seen_before: Mapped[datetime] = mapped_column(
        comment="Request time of the last answer with the old value: it changed after this."
    )
    seen_at: Mapped[datetime] = mapped_column(
        primary_key=True, comment="Request time of the first answer with the new value: it had changed by then."
    )
    sync_id: Mapped[str] = mapped_column(comment="The read that told the new value.")


class ChatAbsence(Base):
    """One complete read that lacked a chat."""

    __tablename__ = "chat_absences"
    __table_args__ = (
        UniqueConstraint("chat_id", "sync_id"),
        {
            "schema": OPS,
            "comment": "Complete reads of its hour that lacked a chat since it was last told; after two it is"
            " soft-deleted.",
        },
    )

    chat_id: Mapped[str] = mapped_column(primary_key=True, comment="The chat.")
    sync_id: Mapped[str | None] = mapped_column(
        comment="The read that lacked it; NULL where it was loaded before the chat was known."
    )
    read_at: Mapped[datetime] = mapped_column(primary_key=True, comment="Request time of the first page of the hour.")
    told_at: Mapped[datetime] = mapped_column(comment="Request time of the last answer that told it.")


class MessageListTold(Base):
    """One list of a chat's messages."""

    __tablename__ = "message_lists"
    __table_args__ = (
        {
            "schema": OPS,
            "comment": "Lists of messages that decide about a stretch of their chat's time; only of chats whose newest"
            " answer does not tell all of it.",
        },
    )

    chat_id: Mapped[str] = mapped_column(primary_key=True, comment="The chat.")
    read_at: Mapped[datetime] = mapped_column(primary_key=True, comment="Request time of the last answer with it.")
    first_at: Mapped[datetime] = mapped_column(primary_key=True, comment="Time of the first message it tells.")
    last_at: Mapped[datetime] = mapped_column(comment="Time of the last message it tells.")


class LedgerEntry(Base):
    """What became of the records of one entity and hour."""

    __tablename__ = "ledger"
    __table_args__ = (
        Index(None, "entity", "hour_start"),
        {
            "schema": OPS,
            "comment": "What became of every record received: received is the sum of the other counts.",
        },
    )

    sync_id: Mapped[str] = mapped_column(primary_key=True, comment="The sync.")
    entity: Mapped[str] = mapped_column(primary_key=True, comment="Table the records are meant for.")
    hour_start: Mapped[datetime] = mapped_column(primary_key=True, comment="Start of the hour.")
    received: Mapped[int] = mapped_column(server_default=ZERO, comment="Counted in the stored pages.")
    inserted: Mapped[int] = mapped_column(server_default=ZERO, comment="New rows.")
    updated: Mapped[int] = mapped_column(server_default=ZERO, comment="Rows that changed.")
    unchanged: Mapped[int] = mapped_column(server_default=ZERO, comment="Rows that were equal already.")
    repeated: Mapped[int] = mapped_column(server_default=ZERO, comment="Told more than once in the read.")
    older: Mapped[int] = mapped_column(server_default=ZERO, comment="Read before what the tables hold.")
    quarantined: Mapped[int] = mapped_column(server_default=ZERO, comment="Put into quarantine.")
    outside: Mapped[int] = mapped_column(server_default=ZERO, comment="Outside the window that was asked for.")
    loaded_at: Mapped[datetime] = mapped_column(server_default=NOW, comment="When it was loaded.")


class QuarantinedRecord(Base):
    """One record that does not fit the tables."""

    __tablename__ = "quarantine"
    __table_args__ = (
        UniqueConstraint("entity", "record_hash", "reason"),
        {"schema": OPS, "comment": "Records that do not fit, kept until they are resolved."},
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id, comment="Key.")
    entity: Mapped[str] = mapped_column(comment="Table the record is meant for.")
    endpoint: Mapped[str] = mapped_column(comment="Endpoint it came from.")
    record_key: Mapped[str | None] = mapped_column(comment="B2Chat's key, where it can be read.")
    reason: Mapped[str] = mapped_column(comment="Why it does not fit.")
    json_path: Mapped[str | None] = mapped_column(comment="Where in the record.")
    raw_record: Mapped[JsonText] = mapped_column(comment="The record as received.")
    record_hash: Mapped[bytes] = mapped_column(comment="Hash of the record.")
    hour_start: Mapped[datetime | None] = mapped_column(comment="Hour it belongs to, where known.")
    sync_id: Mapped[str] = mapped_column(comment="Last sync that met it.")
    read_at: Mapped[datetime] = mapped_column(comment="Request time of its page.")
    first_seen_at: Mapped[datetime] = mapped_column(server_default=NOW, comment="When it was first met.")
    last_seen_at: Mapped[datetime] = mapped_column(server_default=NOW, comment="When it was last met.")
    occurrences: Mapped[int] = mapped_column(server_default=ONE, comment="How often it was met.")
    resolved_at: Mapped[datetime | None] = mapped_column(comment="When it was resolved; NULL while open.")
    resolution: Mapped[str | None] = mapped_column(comment="How it was resolved.")


class ContractDrift(Base):
    """One way in which the API departs from its contract."""

    __tablename__ = "contract_drift"
    __table_args__ = (
        UniqueConstraint("endpoint", "path", "kind", "detail"),
        {"schema": OPS, "comment": "Ways in which the API departed from what we know of it."},
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id, comment="Key.")
    endpoint: Mapped[str] = mapped_column(comment="Endpoint.")
    path: Mapped[str] = mapped_column(comment="Where in the answer.")
    kind: Mapped[str] = mapped_column(comment="Kind of departure.")
    detail: Mapped[str] = mapped_column(comment="What was seen; no personal data.")
    first_seen_at: Mapped[datetime] = mapped_column(server_default=NOW, comment="When it was first seen.")
    last_seen_at: Mapped[datetime] = mapped_column(server_default=NOW, comment="When it was last seen.")
    occurrences: Mapped[int] = mapped_column(server_default=ONE, comment="How often it was seen.")
    sync_id: Mapped[str] = mapped_column(comment="Last sync that saw it.")
