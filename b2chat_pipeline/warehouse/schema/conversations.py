"""Chats and their messages."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from b2chat_pipeline.warehouse.schema.base import (
    EMPTY_ARRAY,
    FALSE,
    ONE,
    ZERO,
    Base,
    JsonBinary,
    TextArray,
    chat_priority,
    chat_provider,
    chat_status,
    message_type,
)


class Chat(Base):
    """One conversation."""

    __tablename__ = "chats"
    __table_args__ = (
        Index(None, "agent_id", "created_at"),
        Index(None, "contact_id", "created_at"),
        Index(None, "department_id", "created_at"),
        Index(None, "provider", "created_at"),
        Index(None, "status", "priority", "last_modified_at"),
        Index(None, "agent_id", "status", "created_at"),
        Index(None, "is_deleted"),
        Index(None, "last_modified_at"),
        Index(None, "alias"),
        # A b-tree serves no @>, and an array of some sixty tags is too long for one of its entries.
        Index(None, "tags", postgresql_using="gin"),
        Index(None, "priority"),
        Index(None, "topic"),
        Index(None, "unread_count"),
        # What a day's chats were last seen to do, without reading them: asked for every twenty minutes.
        Index(None, "created_at", "last_modified_at"),
        Index("chats_unclosed_created_at_idx", "created_at", postgresql_where=text("status <> 'closed'")),
        {"comment": "Conversations, with their clocks, status and channel."},
    )

    id: Mapped[str] = mapped_column(primary_key=True, comment="Key.")
    b2chat_id: Mapped[str] = mapped_column(unique=True, comment="B2Chat's key.")
    agent_id: Mapped[str | None] = mapped_column(ForeignKey("agents.id"), comment="Agent; NULL while unassigned.")
    contact_id: Mapped[str | None] = mapped_column(ForeignKey("contacts.id"), comment="Customer.")
    department_id: Mapped[str | None] = mapped_column(ForeignKey("departments.id"), comment="Department.")
    provider: Mapped[str] = mapped_column(chat_provider, comment="Channel; raw_provider has B2Chat's finer word.")
    status: Mapped[str] = mapped_column(chat_status, comment="Status; raw_status has B2Chat's finer word.")
    is_agent_available: Mapped[bool | None] = mapped_column(comment="An agent was available when the chat began.")
    alias: Mapped[str | None] = mapped_column(comment="Alias of the account's line, such as a brand.")
    tags: Mapped[TextArray] = mapped_column(server_default=EMPTY_ARRAY, comment="Tags.")
    priority: Mapped[str] = mapped_column(
        chat_priority, server_default=text("'normal'"), comment="Priority; the API gives none."
    )
    topic: Mapped[str | None] = mapped_column(comment="Subject; the API gives none.")
    unread_count: Mapped[int] = mapped_column(
        server_default=ZERO,
        comment="Customer messages after the last outgoing one; 0 also where messages are not told.",
    )
    resolution_note: Mapped[str | None] = mapped_column(comment="Note on the resolution; the API gives none.")
    created_at: Mapped[datetime] = mapped_column(comment="When the chat began at B2Chat.")
    opened_at: Mapped[datetime | None] = mapped_column(comment="When it entered the queue.")
    picked_up_at: Mapped[datetime | None] = mapped_column(comment="When an agent took it.")
    response_at: Mapped[datetime | None] = mapped_column(
        comment="The agent's first real answer; greetings do not count."
    )
    closed_at: Mapped[datetime | None] = mapped_column(comment="When it was closed.")
    duration: Mapped[int | None] = mapped_column(comment="Seconds from created_at to closed_at.")
    is_deleted: Mapped[bool] = mapped_column(server_default=FALSE, comment="Soft-deleted; history stays.")
    deleted_at: Mapped[datetime | None] = mapped_column(comment="When it was soft-deleted.")
    deletion_reason: Mapped[str | None] = mapped_column(comment="Why it was soft-deleted.")
    last_modified_at: Mapped[datetime | None] = mapped_column(
        comment="Latest clock known of the chat and its messages."
    )
    last_sync_at: Mapped[datetime | None] = mapped_column(comment="Last sync that changed the row.")
    sync_version: Mapped[int] = mapped_column(
        server_default=ONE, comment="Goes up whenever a re-read changed the chat."
    )
    raw_status: Mapped[str | None] = mapped_column(comment="Status as received.")
    raw_provider: Mapped[str | None] = mapped_column(comment="Channel as received.")
    raw_duration: Mapped[str | None] = mapped_column(comment="Duration as received, DD:HH:MM:SS.")
    row_hash: Mapped[bytes] = mapped_column(comment="Hash over the mapped columns; equal means nothing changed.")
    messages_hash: Mapped[bytes | None] = mapped_column(comment="The same over the set of messages.")
    messages_told: Mapped[bool] = mapped_column(
        server_default=FALSE, comment="A page listed messages; if false, their absence tells nothing."
    )
    read_at: Mapped[datetime] = mapped_column(comment="Request time of the page whose values the row holds.")
    time_flags: Mapped[TextArray] = mapped_column(
        server_default=EMPTY_ARRAY, comment="Local times that were ambiguous or do not exist, as column:flag."
    )


class Message(Base):
    """One message of a chat."""

    __tablename__ = "messages"
    __table_args__ = (
        Index(None, "chat_id", "timestamp"),
        Index(None, "chat_id", "type"),
        Index(None, "chat_id", "incoming"),
        Index(None, "type"),
        Index(None, "media_backed_up"),
        {"comment": "Messages of chats. Metrics and transcripts use the rows without superseded_at."},
    )

    id: Mapped[str] = mapped_column(
        primary_key=True, comment="Key, derived from chat, time, direction, type, content and occurrence."
    )
    chat_id: Mapped[str] = mapped_column(
        ForeignKey("chats.id", ondelete="CASCADE"), comment="Chat; its messages are deleted with it."
    )
    b2chat_message_id: Mapped[str | None] = mapped_column(unique=True, comment="B2Chat's key; the API gives none.")
    text: Mapped[str | None] = mapped_column(comment="Text; U+FFFD stands for characters PostgreSQL cannot hold.")
    type: Mapped[str] = mapped_column(message_type, comment="Kind; raw_type has B2Chat's finer word.")
    incoming: Mapped[bool] = mapped_column(comment="True from the customer, false from the agent or a bot.")
    image_url: Mapped[str | None] = mapped_column(comment="Address of the image.")
    file_url: Mapped[str | None] = mapped_column(comment="Address of the file.")
    caption: Mapped[str | None] = mapped_column(comment="Caption of an image or a file.")
    local_image_path: Mapped[str | None] = mapped_column(comment="Where a copy of the image is kept.")
    local_file_path: Mapped[str | None] = mapped_column(comment="Where a copy of the file is kept.")
    media_backed_up: Mapped[bool] = mapped_column(server_default=FALSE, comment="A copy of the media is kept.")
    media_size: Mapped[int | None] = mapped_column(comment="Size of the media in bytes.")
    media_mime_type: Mapped[str | None] = mapped_column(comment="MIME type of the media.")
    timestamp: Mapped[datetime] = mapped_column(comment="When the message was sent.")
    last_sync_at: Mapped[datetime | None] = mapped_column(comment="Last sync that changed the row.")
    raw_type: Mapped[str] = mapped_column(comment="Kind as received.")
    broadcasted: Mapped[bool | None] = mapped_column(comment="Sent as part of a broadcast.")
    location: Mapped[JsonBinary | None] = mapped_column(comment="Location as received.")
    position: Mapped[int] = mapped_column(
        comment="Place in the list it was first told in; orders the messages of one second."
    )
    superseded_at: Mapped[datetime | None] = mapped_column(
        comment="Request time of the newer answer that lacks the message; cleared when it comes back."
    )
    time_flag: Mapped[str | None] = mapped_column(comment="Set where the local time was ambiguous or does not exist.")
