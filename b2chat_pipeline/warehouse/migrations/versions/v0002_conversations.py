"""Chats and messages."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import BYTEA, ENUM, JSONB

revision: str = "0002"
down_revision: str | None = "0001"

CHAT_PROVIDER = ENUM(
    "whatsapp", "facebook", "telegram", "livechat", "b2cbotapi", "instagram", "other", name="chat_provider"
)
CHAT_STATUS = ENUM("open", "closed", "pending", "unknown", name="chat_status")
CHAT_PRIORITY = ENUM("urgent", "high", "normal", "low", name="chat_priority")
MESSAGE_TYPE = ENUM("text", "image", "file", name="message_type")


def upgrade() -> None:
    """Makes the tables."""
    _chats()
    _messages()


def _chats() -> None:
    op.create_table(
        "chats",
        sa.Column("id", sa.Text(), nullable=False, comment="Key."),
        sa.Column("b2chat_id", sa.Text(), nullable=False, comment="B2Chat's key."),
        sa.Column("agent_id", sa.Text(), nullable=True, comment="Agent; NULL while unassigned."),
        sa.Column("contact_id", sa.Text(), nullable=True, comment="Customer."),
        sa.Column("department_id", sa.Text(), nullable=True, comment="Department."),
        sa.Column("provider", CHAT_PROVIDER, nullable=False, comment="Channel; raw_provider has B2Chat's finer word."),
        sa.Column("status", CHAT_STATUS, nullable=False, comment="Status; raw_status has B2Chat's finer word."),
        sa.Column(
            "is_agent_available", sa.Boolean(), nullable=True, comment="An agent was available when the chat began."
        ),
        sa.Column("alias", sa.Text(), nullable=True, comment="Alias of the account's line, such as a brand."),
        sa.Column("tags", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False, comment="Tags."),
        sa.Column(
            "priority",
            CHAT_PRIORITY,
            server_default=sa.text("'normal'"),
            nullable=False,
            comment="Priority; the API gives none.",
        ),
        sa.Column("topic", sa.Text(), nullable=True, comment="Subject; the API gives none."),
        sa.Column(
            "unread_count",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Customer messages after the last outgoing one; 0 also where messages are not told.",
        ),
        sa.Column("resolution_note", sa.Text(), nullable=True, comment="Note on the resolution; the API gives none."),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="When the chat began at B2Chat."),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True, comment="When it entered the queue."),
        sa.Column("picked_up_at", sa.DateTime(timezone=True), nullable=True, comment="When an agent took it."),
        sa.Column(
            "response_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="The agent's first real answer; greetings do not count.",
        ),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True, comment="When it was closed."),
        sa.Column("duration", sa.Integer(), nullable=True, comment="Seconds from created_at to closed_at."),
        sa.Column(
            "is_deleted",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="Soft-deleted; history stays.",
        ),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True, comment="When it was soft-deleted."),
        sa.Column("deletion_reason", sa.Text(), nullable=True, comment="Why it was soft-deleted."),
        sa.Column(
            "last_modified_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Latest clock known of the chat and its messages.",
        ),
        sa.Column("last_sync_at", sa.DateTime(timezone=True), nullable=True, comment="Last sync that changed the row."),
        sa.Column(
            "sync_version",
            sa.Integer(),
            server_default=sa.text("1"),
            nullable=False,
            comment="Goes up whenever a re-read changed the chat.",
        ),
        sa.Column("raw_status", sa.Text(), nullable=True, comment="Status as received."),
        sa.Column("raw_provider", sa.Text(), nullable=True, comment="Channel as received."),
        sa.Column("raw_duration", sa.Text(), nullable=True, comment="Duration as received, DD:HH:MM:SS."),
        sa.Column(
            "row_hash", BYTEA(), nullable=False, comment="Hash over the mapped columns; equal means nothing changed."
        ),
        sa.Column("messages_hash", BYTEA(), nullable=True, comment="The same over the set of messages."),
        sa.Column(
            "messages_told",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="A page listed messages; if false, their absence tells nothing.",
        ),
        sa.Column(
            "read_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="Request time of the page whose values the row holds.",
        ),
        sa.Column(
            "time_flags",
            sa.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="Local times that were ambiguous or do not exist, as column:flag.",
        ),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name="chats_agent_id_fkey"),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name="chats_contact_id_fkey"),
        sa.ForeignKeyConstraint(["department_id"], ["departments.id"], name="chats_department_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="chats_pkey"),
        sa.UniqueConstraint("b2chat_id", name="chats_b2chat_id_key"),
        comment="Conversations, with their clocks, status and channel.",
    )
    op.create_index("chats_agent_id_created_at_idx", "chats", ["agent_id", "created_at"])
    op.create_index("chats_agent_id_status_created_at_idx", "chats", ["agent_id", "status", "created_at"])
    op.create_index("chats_alias_idx", "chats", ["alias"])
    op.create_index("chats_contact_id_created_at_idx", "chats", ["contact_id", "created_at"])
    op.create_index("chats_created_at_idx", "chats", ["created_at"])
    op.create_index("chats_department_id_created_at_idx", "chats", ["department_id", "created_at"])
    op.create_index("chats_is_deleted_idx", "chats", ["is_deleted"])
    op.create_index("chats_last_modified_at_idx", "chats", ["last_modified_at"])
    op.create_index("chats_priority_idx", "chats", ["priority"])
    op.create_index("chats_provider_created_at_idx", "chats", ["provider", "created_at"])
    op.create_index("chats_status_priority_last_modified_at_idx", "chats", ["status", "priority", "last_modified_at"])
    op.create_index("chats_tags_idx", "chats", ["tags"], postgresql_using="gin")
    op.create_index("chats_topic_idx", "chats", ["topic"])
    op.create_index("chats_unread_count_idx", "chats", ["unread_count"])


def _messages() -> None:
    op.create_table(
        "messages",
        sa.Column(
            "id",
            sa.Text(),
            nullable=False,
            comment="Key, derived from chat, time, direction, type, content and occurrence.",
        ),
        sa.Column("chat_id", sa.Text(), nullable=False, comment="Chat; its messages are deleted with it."),
        sa.Column("b2chat_message_id", sa.Text(), nullable=True, comment="B2Chat's key; the API gives none."),
        sa.Column(
            "text", sa.Text(), nullable=True, comment="Text; U+FFFD stands for characters PostgreSQL cannot hold."
        ),
        sa.Column("type", MESSAGE_TYPE, nullable=False, comment="Kind; raw_type has B2Chat's finer word."),
        sa.Column(
            "incoming", sa.Boolean(), nullable=False, comment="True from the customer, false from the agent or a bot."
        ),
        sa.Column("image_url", sa.Text(), nullable=True, comment="Address of the image."),
        sa.Column("file_url", sa.Text(), nullable=True, comment="Address of the file."),
        sa.Column("caption", sa.Text(), nullable=True, comment="Caption of an image or a file."),
        sa.Column("local_image_path", sa.Text(), nullable=True, comment="Where a copy of the image is kept."),
        sa.Column("local_file_path", sa.Text(), nullable=True, comment="Where a copy of the file is kept."),
        sa.Column(
            "media_backed_up",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="A copy of the media is kept.",
        ),
        sa.Column("media_size", sa.Integer(), nullable=True, comment="Size of the media in bytes."),
        sa.Column("media_mime_type", sa.Text(), nullable=True, comment="MIME type of the media."),
        sa.Column("timestamp", sa.DateTime(timezone=True), nullable=False, comment="When the message was sent."),
        sa.Column("last_sync_at", sa.DateTime(timezone=True), nullable=True, comment="Last sync that changed the row."),
        sa.Column("raw_type", sa.Text(), nullable=False, comment="Kind as received."),
        sa.Column("broadcasted", sa.Boolean(), nullable=True, comment="Sent as part of a broadcast."),
        sa.Column("location", JSONB(), nullable=True, comment="Location as received."),
        sa.Column(
            "position",
            sa.Integer(),
            nullable=False,
            comment="Place in the list it was first told in; orders the messages of one second.",
        ),
        sa.Column(
            "superseded_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Request time of the newer answer that lacks the message; cleared when it comes back.",
        ),
        sa.Column(
            "time_flag", sa.Text(), nullable=True, comment="Set where the local time was ambiguous or does not exist."
        ),
        sa.ForeignKeyConstraint(["chat_id"], ["chats.id"], name="messages_chat_id_fkey", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="messages_pkey"),
        sa.UniqueConstraint("b2chat_message_id", name="messages_b2chat_message_id_key"),
        comment="Messages of chats. Metrics and transcripts use the rows without superseded_at.",
    )
    op.create_index("messages_chat_id_incoming_idx", "messages", ["chat_id", "incoming"])
    op.create_index("messages_chat_id_timestamp_idx", "messages", ["chat_id", "timestamp"])
    op.create_index("messages_chat_id_type_idx", "messages", ["chat_id", "type"])
    op.create_index("messages_media_backed_up_idx", "messages", ["media_backed_up"])
    op.create_index("messages_type_idx", "messages", ["type"])
