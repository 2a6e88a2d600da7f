"""Settings, notifications, exports, analyses, error and audit logs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision: str = "0004"
down_revision: str | None = "0003"


def upgrade() -> None:
    """Makes the tables."""
    _system_settings()
    _notifications()
    _export_logs()
    _effectiveness_analysis()
    _error_logs()
    _audit_logs()


def _system_settings() -> None:
    op.create_table(
        "system_settings",
        sa.Column("id", sa.Text(), nullable=False, comment="Key."),
        sa.Column("key", sa.Text(), nullable=False, comment="Name of the setting."),
        sa.Column("value", sa.Text(), nullable=False, comment="Its value, as text."),
        sa.Column("category", sa.Text(), nullable=False, comment="b2chat, claude, app, user or notification."),
        sa.Column("description", sa.Text(), nullable=True, comment="What it is for."),
        sa.Column(
            "is_system_setting",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="Holds for the system, not for one user.",
        ),
        sa.Column("user_id", sa.Text(), nullable=True, comment="Whose it is; NULL for the system."),
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
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="system_settings_user_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="system_settings_pkey"),
        sa.UniqueConstraint("key", name="system_settings_key_key"),
        comment="Settings of the system and preferences of users.",
    )
    op.create_index("system_settings_category_idx", "system_settings", ["category"])
    op.create_index("system_settings_user_id_idx", "system_settings", ["user_id"])


def _notifications() -> None:
    op.create_table(
        "notifications",
        sa.Column("id", sa.Text(), nullable=False, comment="Key."),
        sa.Column("user_id", sa.Text(), nullable=False, comment="Whom it is for."),
        sa.Column("title", sa.Text(), nullable=False, comment="Title."),
        sa.Column("message", sa.Text(), nullable=False, comment="Body."),
        sa.Column("type", sa.Text(), nullable=False, comment="info, success, warning or error."),
        sa.Column("is_read", sa.Boolean(), server_default=sa.text("false"), nullable=False, comment="Has been read."),
        sa.Column("metadata", JSONB(), nullable=True, comment="What it is about."),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the row was made.",
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="notifications_user_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="notifications_pkey"),
        comment="Notices to users; failures tell of one root cause once.",
    )
    op.create_index("notifications_is_read_idx", "notifications", ["is_read"])
    op.create_index("notifications_user_id_idx", "notifications", ["user_id"])


def _export_logs() -> None:
    op.create_table(
        "export_logs",
        sa.Column("id", sa.Text(), nullable=False, comment="Key."),
        sa.Column("user_id", sa.Text(), nullable=False, comment="Who asked for it."),
        sa.Column("export_type", sa.Text(), nullable=False, comment="agents, contacts, chats, custom_report or pdf."),
        sa.Column("file_name", sa.Text(), nullable=False, comment="Name of the file."),
        sa.Column("file_url", sa.Text(), nullable=True, comment="Where the file can be fetched."),
        sa.Column("record_count", sa.Integer(), nullable=False, comment="Records exported."),
        sa.Column("status", sa.Text(), nullable=False, comment="pending, processing, completed, failed or expired."),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was asked for.",
        ),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True, comment="When it was complete."),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True, comment="When the link ends."),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="export_logs_user_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="export_logs_pkey"),
        comment="Exports of data and the files they made.",
    )
    op.create_index("export_logs_status_idx", "export_logs", ["status"])
    op.create_index("export_logs_user_id_idx", "export_logs", ["user_id"])


def _effectiveness_analysis() -> None:
    op.create_table(
        "effectiveness_analysis",
        sa.Column("id", sa.Text(), nullable=False, comment="Key."),
        sa.Column("chat_id", sa.Text(), nullable=False, comment="Chat that was scored."),
        sa.Column("user_id", sa.Text(), nullable=False, comment="Who asked for it."),
        sa.Column(
            "effectiveness_score", sa.Double(), nullable=False, comment="0 to 100: 0.6 resolution + 0.4 satisfaction."
        ),
        sa.Column("response_time_score", sa.Double(), nullable=False, comment="0 to 100: speed of the answers."),
        sa.Column("resolution_score", sa.Double(), nullable=False, comment="0 to 100: was the matter settled."),
        sa.Column("customer_satisfaction", sa.Double(), nullable=True, comment="0 to 100: the customer's sentiment."),
        sa.Column("analysis_data", JSONB(), nullable=False, comment="The model's whole answer."),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was scored.",
        ),
        sa.ForeignKeyConstraint(["chat_id"], ["chats.id"], name="effectiveness_analysis_chat_id_fkey"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="effectiveness_analysis_user_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="effectiveness_analysis_pkey"),
        comment="Scores of conversations by a language model; a chat may have several.",
    )
    op.create_index("effectiveness_analysis_chat_id_idx", "effectiveness_analysis", ["chat_id"])
    op.create_index("effectiveness_analysis_effectiveness_score_idx", "effectiveness_analysis", ["effectiveness_score"])
    op.create_index("effectiveness_analysis_user_id_idx", "effectiveness_analysis", ["user_id"])


def _error_logs() -> None:
    op.create_table(
        "error_logs",
        sa.Column("id", sa.Text(), nullable=False, comment="Key."),
        sa.Column(
            "timestamp",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it happened.",
        ),
        sa.Column("level", sa.Text(), nullable=False, comment="warn, error, fatal or critical."),
        sa.Column("message", sa.Text(), nullable=False, comment="What happened; no personal data."),
        sa.Column("error_code", sa.Text(), nullable=True, comment="Our name for the kind of error."),
        sa.Column("stack_trace", sa.Text(), nullable=True, comment="Where in the code."),
        sa.Column("user_id", sa.Text(), nullable=True, comment="Whose action it was; not a foreign key."),
        sa.Column("request_id", sa.Text(), nullable=True, comment="The request it belongs to."),
        sa.Column("correlation_id", sa.Text(), nullable=True, comment="What ties it to other rows, such as a run."),
        sa.Column("source", sa.Text(), nullable=False, comment="api, sync, cron, auth, analysis or export."),
        sa.Column("metadata", JSONB(), nullable=True, comment="Further facts."),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the row was made.",
        ),
        sa.PrimaryKeyConstraint("id", name="error_logs_pkey"),
        comment="Errors, one row per root cause.",
    )
    op.create_index("error_logs_correlation_id_idx", "error_logs", ["correlation_id"])
    op.create_index("error_logs_level_idx", "error_logs", ["level"])
    op.create_index("error_logs_request_id_idx", "error_logs", ["request_id"])
    op.create_index("error_logs_source_idx", "error_logs", ["source"])
    op.create_index("error_logs_timestamp_idx", "error_logs", [sa.text("timestamp DESC")])
    op.create_index("error_logs_user_id_idx", "error_logs", ["user_id"])


def _audit_logs() -> None:
    op.create_table(
        "audit_logs",
        sa.Column("id", sa.Text(), nullable=False, comment="Key."),
        sa.Column(
            "timestamp",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it happened.",
        ),
        sa.Column("user_id", sa.Text(), nullable=True, comment="Who did it; not a foreign key."),
        sa.Column("user_email", sa.Text(), nullable=True, comment="E-mail address of the user at that time."),
        sa.Column("session_id", sa.Text(), nullable=True, comment="Session."),
        sa.Column("ip_address", sa.Text(), nullable=True, comment="Address the request came from."),
        sa.Column("user_agent", sa.Text(), nullable=True, comment="Program the request came from."),
        sa.Column(
            "event_type", sa.Text(), nullable=False, comment="Kind of event, such as sync.start or settings.update."
        ),
        sa.Column("severity", sa.Text(), nullable=False, comment="low, medium, high or critical."),
        sa.Column("resource", sa.Text(), nullable=True, comment="What it concerned, such as chat:123."),
        sa.Column("action", sa.Text(), nullable=True, comment="create, read, update, delete or export."),
        sa.Column("details", JSONB(), nullable=True, comment="Facts of this kind of event."),
        sa.Column("metadata", JSONB(), nullable=True, comment="Further facts."),
        sa.Column("success", sa.Boolean(), server_default=sa.text("true"), nullable=False, comment="It worked."),
        sa.Column("error_message", sa.Text(), nullable=True, comment="Why it did not."),
        sa.Column("request_id", sa.Text(), nullable=True, comment="The request it belongs to."),
        sa.Column("correlation_id", sa.Text(), nullable=True, comment="What ties it to other rows, such as a run."),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the row was made.",
        ),
        sa.PrimaryKeyConstraint("id", name="audit_logs_pkey"),
        comment="Who did what. Rows are never changed.",
    )
    op.create_index("audit_logs_correlation_id_idx", "audit_logs", ["correlation_id"])
    op.create_index("audit_logs_created_at_idx", "audit_logs", [sa.text("created_at DESC")])
    op.create_index("audit_logs_event_type_idx", "audit_logs", ["event_type"])
    op.create_index("audit_logs_request_id_idx", "audit_logs", ["request_id"])
    op.create_index("audit_logs_severity_idx", "audit_logs", ["severity"])
    op.create_index("audit_logs_timestamp_idx", "audit_logs", [sa.text("timestamp DESC")])
    op.create_index("audit_logs_user_id_idx", "audit_logs", ["user_id"])
