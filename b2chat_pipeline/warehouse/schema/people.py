"""Who takes part: users of the application, departments, agents and contacts."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from b2chat_pipeline.warehouse.schema.base import (
    EMPTY_ARRAY,
    FALSE,
    NOW,
    TRUE,
    ZERO,
    Base,
    JsonBinary,
    TextArray,
    user_role,
)


class User(Base):
    """A person who may use the application, or `system`."""

    __tablename__ = "users"
    __table_args__ = (
        {"comment": "People who use the application, and the user `system` that scheduled work belongs to."},
    )

    id: Mapped[str] = mapped_column(primary_key=True, comment="Key; for people, the one the identity provider gave.")
    email: Mapped[str] = mapped_column(unique=True, comment="E-mail address; no two users share one.")
    name: Mapped[str | None] = mapped_column(comment="Name to show.")
    role: Mapped[str] = mapped_column(user_role, comment="Manager reads, Admin may also change settings.")
    created_at: Mapped[datetime] = mapped_column(server_default=NOW, comment="When the row was made.")
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW, comment="When the row last changed.")


class Department(Base):
    """A department of the account, in a tree."""

    __tablename__ = "departments"
    __table_args__ = (
        Index(None, "parent_id"),
        Index(None, "path"),
        Index(None, "is_active", "is_leaf"),
        {"comment": "Departments of the account. The API only names them inside chats; the tree is configured."},
    )

    id: Mapped[str] = mapped_column(primary_key=True, comment="Key.")
    b2chat_code: Mapped[str] = mapped_column(
        unique=True, comment="Slug of the name; with 8 hex digits of its hash where empty or taken."
    )
    name: Mapped[str] = mapped_column(comment="Name, as B2Chat tells it.")
    parent_id: Mapped[str | None] = mapped_column(
        ForeignKey("departments.id"), comment="Department above; NULL at a root."
    )
    is_leaf: Mapped[bool] = mapped_column(server_default=FALSE, comment="No department lies below.")
    is_active: Mapped[bool] = mapped_column(server_default=TRUE, comment="In use.")
    path: Mapped[str | None] = mapped_column(comment="Place in the tree, such as /sales/enterprise/.")
    level: Mapped[int] = mapped_column(server_default=ZERO, comment="Depth in the tree; 0 at a root.")
    last_sync_at: Mapped[datetime | None] = mapped_column(comment="Last sync that changed the row.")
    created_at: Mapped[datetime] = mapped_column(server_default=NOW, comment="When the row was made.")
    last_seen_at: Mapped[datetime | None] = mapped_column(comment="Creation time of the newest chat that named it.")


class Agent(Base):
    """An agent who serves chats."""

    __tablename__ = "agents"
    __table_args__ = (
        Index(None, "department_id"),
        Index(None, "is_active"),
        Index(None, "is_deleted"),
        {"comment": "Agents who serve chats. The API only tells of them inside chats."},
    )

    id: Mapped[str] = mapped_column(primary_key=True, comment="Key.")
    b2chat_id: Mapped[str] = mapped_column(unique=True, comment="B2Chat's key: the user name, for it gives no other.")
    name: Mapped[str] = mapped_column(comment="Full name; empty where B2Chat gives none.")
    email: Mapped[str | None] = mapped_column(comment="E-mail address.")
    username: Mapped[str | None] = mapped_column(unique=True, comment="User name at B2Chat.")
    department_id: Mapped[str | None] = mapped_column(
        ForeignKey("departments.id"), comment="Department of the agent's newest chat that names one."
    )
    is_active: Mapped[bool] = mapped_column(server_default=TRUE, comment="May be given chats.")
    is_deleted: Mapped[bool] = mapped_column(server_default=FALSE, comment="Soft-deleted; history stays.")
    deleted_at: Mapped[datetime | None] = mapped_column(comment="When it was soft-deleted.")
    deletion_reason: Mapped[str | None] = mapped_column(comment="Why it was soft-deleted.")
    last_sync_at: Mapped[datetime | None] = mapped_column(comment="Last sync that changed the row.")
    created_at: Mapped[datetime] = mapped_column(server_default=NOW, comment="When the row was made.")
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW, comment="When the row last changed.")
    last_seen_at: Mapped[datetime | None] = mapped_column(
        comment="Creation time of the newest chat that told of the agent."
    )
    department_seen_at: Mapped[datetime | None] = mapped_column(
        comment="Creation time of the chat that decides department_id."
    )
    department_read_at: Mapped[datetime | None] = mapped_column(
        comment="Request time of the page that told department_id."
    )
    read_at: Mapped[datetime] = mapped_column(comment="Request time of the page whose values the row holds.")


class Contact(Base):
    """A customer."""

    __tablename__ = "contacts"
    __table_args__ = (
        Index(None, "email"),
        Index(None, "mobile"),
        Index(None, "phone_number"),
        Index(None, "is_deleted"),
        {"comment": "Customers: a stub where only a chat told of one, complete once the contacts export did."},
    )

    id: Mapped[str] = mapped_column(primary_key=True, comment="Key.")
    b2chat_id: Mapped[str] = mapped_column(unique=True, comment="B2Chat's key.")
    full_name: Mapped[str] = mapped_column(comment="Full name; empty where B2Chat gives none.")
    mobile: Mapped[str | None] = mapped_column(comment="Mobile number in E.164 where it parses, else as received.")
    phone_number: Mapped[str | None] = mapped_column(comment="Landline number.")
    email: Mapped[str | None] = mapped_column(comment="E-mail address.")
    identification: Mapped[str | None] = mapped_column(comment="National identity number, passport or the like.")
    address: Mapped[str | None] = mapped_column(comment="Street address.")
    city: Mapped[str | None] = mapped_column(comment="City.")
    country: Mapped[str | None] = mapped_column(comment="Country.")
    company: Mapped[str | None] = mapped_column(comment="Company.")
    custom_attributes: Mapped[JsonBinary | None] = mapped_column(comment="The account's own fields.")
    is_deleted: Mapped[bool] = mapped_column(server_default=FALSE, comment="Soft-deleted; history stays.")
    deleted_at: Mapped[datetime | None] = mapped_column(comment="When it was soft-deleted.")
    deletion_reason: Mapped[str | None] = mapped_column(comment="Why it was soft-deleted.")
    last_sync_at: Mapped[datetime | None] = mapped_column(comment="Last sync that changed the row.")
    created_at: Mapped[datetime] = mapped_column(server_default=NOW, comment="When the contact was made.")
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW, comment="When the contact last changed.")
    last_seen_at: Mapped[datetime | None] = mapped_column(comment="Creation time of the newest chat with the contact.")
    read_at: Mapped[datetime] = mapped_column(comment="Request time of the page whose values the row holds.")
    is_full: Mapped[bool] = mapped_column(
        server_default=FALSE, comment="Told by the contacts export; a stub from a chat never overwrites it."
    )
    row_hash: Mapped[bytes] = mapped_column(comment="Hash over the mapped columns; equal means nothing changed.")
    raw_mobile: Mapped[str | None] = mapped_column(comment="Mobile number as received.")
    tags: Mapped[JsonBinary | None] = mapped_column(comment="Tags as received.")
    merchant_id: Mapped[str | None] = mapped_column(comment="B2Chat's key of the account.")
    time_flags: Mapped[TextArray] = mapped_column(
        server_default=EMPTY_ARRAY, comment="Local times that were ambiguous or do not exist, as column:flag."
    )
