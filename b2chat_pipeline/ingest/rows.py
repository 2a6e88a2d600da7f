"""The rows of the five tables, as tuples whose field names are the columns they are copied into.

Here belongs the shape of a row only. Not here: how a record becomes one (`mapping.py`), or how it is written.
All instants are UTC.
"""

from datetime import datetime
from typing import Any, NamedTuple


class DepartmentRow(NamedTuple):
    """A row of `departments`."""

    id: str
    b2chat_code: str
    name: str
    is_leaf: bool
    last_seen_at: datetime
    last_sync_at: datetime


class AgentRow(NamedTuple):
    """A row of `agents`."""

    id: str
    b2chat_id: str
    username: str
    name: str
    email: str | None
    department_id: str | None
    department_seen_at: datetime | None
    department_read_at: datetime | None
    last_seen_at: datetime
    read_at: datetime
    last_sync_at: datetime


class ContactRow(NamedTuple):
    """A row of `contacts`. `created_at` and `updated_at` of None take the table's default."""

    id: str
    b2chat_id: str
    full_name: str
    mobile: str | None
    raw_mobile: str | None
    phone_number: str | None
    email: str | None
    identification: str | None
    address: str | None
    city: str | None
    country: str | None
    company: str | None
    merchant_id: str | None
    custom_attributes: Any
    tags: Any
    is_full: bool
    time_flags: list[str]
    row_hash: bytes
    read_at: datetime
    last_seen_at: datetime | None
    created_at: datetime | None
    updated_at: datetime | None
    last_sync_at: datetime


class ChatTold(NamedTuple):
    """Of a row of `chats`, what the chat itself tells."""

    id: str
    b2chat_id: str
    provider: str
    raw_provider: str | None
    status: str
    raw_status: str | None
    is_agent_available: bool | None
    alias: str | None
    tags: list[str]
    unread_count: int
    created_at: datetime
    opened_at: datetime | None
    picked_up_at: datetime | None
    response_at: datetime | None
    closed_at: datetime | None
    duration: int | None
    raw_duration: str | None
    time_flags: list[str]
    last_modified_at: datetime | None
    row_hash: bytes
    messages_hash: bytes | None
    messages_told: bool


class ChatPlaced(NamedTuple):
    """The rest of it: whom it refers to, by their stored keys, and when it was read and written."""

    agent_id: str | None
    contact_id: str | None
    department_id: str | None
    read_at: datetime
    last_sync_at: datetime


CHAT_COLUMNS = (*ChatTold._fields, *ChatPlaced._fields)
# Of `messages`, whose rows are made as lines of COPY at once.
MESSAGE_COLUMNS = (
    *("id", "chat_id", "text", "type", "raw_type", "incoming", "broadcasted", "image_url", "file_url", "caption"),
    *("location", "position", "timestamp", "time_flag", "last_sync_at"),
)
