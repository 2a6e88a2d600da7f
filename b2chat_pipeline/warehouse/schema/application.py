"""What the application around the data keeps: settings, notifications, exports, analyses, error and audit logs."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from b2chat_pipeline.warehouse.identifiers import new_id
from b2chat_pipeline.warehouse.schema.base import FALSE, NOW, TRUE, Base, JsonBinary


class SystemSetting(Base):
    """One setting."""

    __tablename__ = "system_settings"
    __table_args__ = (
        Index(None, "category"),
        Index(None, "user_id"),
        {"comment": "Settings of the system and preferences of users."},
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id, comment="Key.")
    key: Mapped[str] = mapped_column(unique=True, comment="Name of the setting.")
    value: Mapped[str] = mapped_column(comment="Its value, as text.")
    category: Mapped[str] = mapped_column(comment="b2chat, claude, app, user or notification.")
    description: Mapped[str | None] = mapped_column(comment="What it is for.")
    is_system_setting: Mapped[bool] = mapped_column(
        server_default=FALSE, comment="Holds for the system, not for one user."
    )
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"), comment="Whose it is; NULL for the system.")
    created_at: Mapped[datetime] = mapped_column(server_default=NOW, comment="When the row was made.")
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW, comment="When the row last changed.")


class Notification(Base):
    """One notice to a user."""

    __tablename__ = "notifications"
    __table_args__ = (
        Index(None, "user_id"),
        Index(None, "is_read"),
        {"comment": "Notices to users; failures tell of one root cause once."},
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id, comment="Key.")
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), comment="Whom it is for.")
    title: Mapped[str] = mapped_column(comment="Title.")
    message: Mapped[str] = mapped_column(comment="Body.")
    type: Mapped[str] = mapped_column(comment="info, success, warning or error.")
    is_read: Mapped[bool] = mapped_column(server_default=FALSE, comment="Has been read.")
    metadata_: Mapped[JsonBinary | None] = mapped_column("metadata", comment="What it is about.")
    created_at: Mapped[datetime] = mapped_column(server_default=NOW, comment="When the row was made.")


class ExportLog(Base):
    """One export of data."""

    __tablename__ = "export_logs"
    __table_args__ = (
        Index(None, "user_id"),
        Index(None, "status"),
        {"comment": "Exports of data and the files they made."},
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id, comment="Key.")
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), comment="Who asked for it.")
    export_type: Mapped[str] = mapped_column(comment="agents, contacts, chats, custom_report or pdf.")
    file_name: Mapped[str] = mapped_column(comment="Name of the file.")
    file_url: Mapped[str | None] = mapped_column(comment="Where the file can be fetched.")
    record_count: Mapped[int] = mapped_column(comment="Records exported.")
    status: Mapped[str] = mapped_column(comment="pending, processing, completed, failed or expired.")
    created_at: Mapped[datetime] = mapped_column(server_default=NOW, comment="When it was asked for.")
    completed_at: Mapped[datetime | None] = mapped_column(comment="When it was complete.")
    expires_at: Mapped[datetime | None] = mapped_column(comment="When the link ends.")


class EffectivenessAnalysis(Base):
    """One scoring of one chat."""

    __tablename__ = "effectiveness_analysis"
    __table_args__ = (
        Index(None, "chat_id"),
        Index(None, "user_id"),
        Index(None, "effectiveness_score"),
        {"comment": "Scores of conversations by a language model; a chat may have several."},
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id, comment="Key.")
    chat_id: Mapped[str] = mapped_column(ForeignKey("chats.id"), comment="Chat that was scored.")
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), comment="Who asked for it.")
    effectiveness_score: Mapped[float] = mapped_column(comment="0 to 100: 0.6 resolution + 0.4 satisfaction.")
    response_time_score: Mapped[float] = mapped_column(comment="0 to 100: speed of the answers.")
    resolution_score: Mapped[float] = mapped_column(comment="0 to 100: was the matter settled.")
    customer_satisfaction: Mapped[float | None] = mapped_column(comment="0 to 100: the customer's sentiment.")
    analysis_data: Mapped[JsonBinary] = mapped_column(comment="The model's whole answer.")
    created_at: Mapped[datetime] = mapped_column(server_default=NOW, comment="When it was scored.")


class ErrorLog(Base):
    """One error."""

    __tablename__ = "error_logs"
    __table_args__ = (
        Index("error_logs_timestamp_idx", text("timestamp DESC")),
        Index(None, "level"),
        Index(None, "user_id"),
        Index(None, "request_id"),
        Index(None, "correlation_id"),
        Index(None, "source"),
        {"comment": "Errors, one row per root cause."},
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id, comment="Key.")
    timestamp: Mapped[datetime] = mapped_column(server_default=NOW, comment="When it happened.")
    level: Mapped[str] = mapped_column(comment="warn, error, fatal or critical.")
    message: Mapped[str] = mapped_column(comment="What happened; no personal data.")
    error_code: Mapped[str | None] = mapped_column(comment="Our name for the kind of error.")
    stack_trace: Mapped[str | None] = mapped_column(comment="Where in the code.")
    user_id: Mapped[str | None] = mapped_column(comment="Whose action it was; not a foreign key.")
    request_id: Mapped[str | None] = mapped_column(comment="The request it belongs to.")
    correlation_id: Mapped[str | None] = mapped_column(comment="What ties it to other rows, such as a run.")
    source: Mapped[str] = mapped_column(comment="api, sync, cron, auth, analysis or export.")
    metadata_: Mapped[JsonBinary | None] = mapped_column("metadata", comment="Further facts.")
    created_at: Mapped[datetime] = mapped_column(server_default=NOW, comment="When the row was made.")


class AuditLog(Base):
    """One event worth an audit."""

    __tablename__ = "audit_logs"
    __table_args__ = (
        Index("audit_logs_timestamp_idx", text("timestamp DESC")),
        Index(None, "user_id"),
        Index(None, "event_type"),
        Index(None, "severity"),
        Index(None, "request_id"),
        Index(None, "correlation_id"),
        Index("audit_logs_created_at_idx", text("created_at DESC")),
        {"comment": "Who did what. Rows are never changed."},
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id, comment="Key.")
    timestamp: Mapped[datetime] = mapped_column(server_default=NOW, comment="When it happened.")
    user_id: Mapped[str | None] = mapped_column(comment="Who did it; not a foreign key.")
    user_email: Mapped[str | None] = mapped_column(comment="E-mail address of the user at that time.")
    session_id: Mapped[str | None] = mapped_column(comment="Session.")
    ip_address: Mapped[str | None] = mapped_column(comment="Address the request came from.")
    user_agent: Mapped[str | None] = mapped_column(comment="Program the request came from.")
    event_type: Mapped[str] = mapped_column(comment="Kind of event, such as sync.start or settings.update.")
    severity: Mapped[str] = mapped_column(comment="low, medium, high or critical.")
    resource: Mapped[str | None] = mapped_column(comment="What it concerned, such as chat:123.")
    action: Mapped[str | None] = mapped_column(comment="create, read, update, delete or export.")
    details: Mapped[JsonBinary | None] = mapped_column(comment="Facts of this kind of event.")
    metadata_: Mapped[JsonBinary | None] = mapped_column("metadata", comment="Further facts.")
    success: Mapped[bool] = mapped_column(server_default=TRUE, comment="It worked.")
    error_message: Mapped[str | None] = mapped_column(comment="Why it did not.")
    request_id: Mapped[str | None] = mapped_column(comment="The request it belongs to.")
    correlation_id: Mapped[str | None] = mapped_column(comment="What ties it to other rows, such as a run.")
    created_at: Mapped[datetime] = mapped_column(server_default=NOW, comment="When the row was made.")
