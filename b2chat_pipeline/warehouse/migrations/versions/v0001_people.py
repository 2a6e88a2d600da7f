"""Users, departments, agents, contacts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import BYTEA, ENUM, JSONB

revision: str = "0001"
down_revision: str | None = None

USER_ROLE = ENUM("Manager", "Admin", name="user_role")


def upgrade() -> None:
    """Makes the tables."""
    _users()
    _departments()
    _agents()
    _contacts()


def _users() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Text(), nullable=False, comment="Key; for people, the one the identity provider gave."),
        sa.Column("email", sa.Text(), nullable=False, comment="E-mail address; no two users share one."),
        sa.Column("name", sa.Text(), nullable=True, comment="Name to show."),
        sa.Column("role", USER_ROLE, nullable=False, comment="Manager reads, Admin may also change settings."),
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
        sa.PrimaryKeyConstraint("id", name="users_pkey"),
        sa.UniqueConstraint("email", name="users_email_key"),
        comment="People who use the application, and the user `system` that scheduled work belongs to.",
    )


def _departments() -> None:
    op.create_table(
        "departments",
        sa.Column("id", sa.Text(), nullable=False, comment="Key."),
        sa.Column(
            "b2chat_code",
            sa.Text(),
            nullable=False,
            comment="Slug of the name; with 8 hex digits of its hash where empty or taken.",
        ),
        sa.Column("name", sa.Text(), nullable=False, comment="Name, as B2Chat tells it."),
        sa.Column("parent_id", sa.Text(), nullable=True, comment="Department above; NULL at a root."),
        sa.Column(
            "is_leaf",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="No department lies below.",
        ),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False, comment="In use."),
        sa.Column("path", sa.Text(), nullable=True, comment="Place in the tree, such as /sales/enterprise/."),
        sa.Column(
            "level",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Depth in the tree; 0 at a root.",
        ),
        sa.Column("last_sync_at", sa.DateTime(timezone=True), nullable=True, comment="Last sync that changed the row."),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the row was made.",
        ),
        sa.Column(
            "last_seen_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Creation time of the newest chat that named it.",
        ),
        sa.ForeignKeyConstraint(["parent_id"], ["departments.id"], name="departments_parent_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="departments_pkey"),
        sa.UniqueConstraint("b2chat_code", name="departments_b2chat_code_key"),
        comment="Departments of the account. The API only names them inside chats; the tree is configured.",
    )
    op.create_index("departments_is_active_is_leaf_idx", "departments", ["is_active", "is_leaf"])
    op.create_index("departments_parent_id_idx", "departments", ["parent_id"])
    op.create_index("departments_path_idx", "departments", ["path"])


def _agents() -> None:
    op.create_table(
        "agents",
        sa.Column("id", sa.Text(), nullable=False, comment="Key."),
        sa.Column(
            "b2chat_id", sa.Text(), nullable=False, comment="B2Chat's key: the user name, for it gives no other."
        ),
        sa.Column("name", sa.Text(), nullable=False, comment="Full name; empty where B2Chat gives none."),
        sa.Column("email", sa.Text(), nullable=True, comment="E-mail address."),
        sa.Column("username", sa.Text(), nullable=True, comment="User name at B2Chat."),
        sa.Column(
            "department_id", sa.Text(), nullable=True, comment="Department of the agent's newest chat that names one."
        ),
        sa.Column(
            "is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False, comment="May be given chats."
        ),
        sa.Column(
            "is_deleted",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="Soft-deleted; history stays.",
        ),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True, comment="When it was soft-deleted."),
        sa.Column("deletion_reason", sa.Text(), nullable=True, comment="Why it was soft-deleted."),
        sa.Column("last_sync_at", sa.DateTime(timezone=True), nullable=True, comment="Last sync that changed the row."),
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
        sa.Column(
            "last_seen_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Creation time of the newest chat that told of the agent.",
        ),
        sa.Column(
            "department_seen_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Creation time of the chat that decides department_id.",
        ),
        sa.Column(
            "read_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="Request time of the page whose values the row holds.",
        ),
        sa.ForeignKeyConstraint(["department_id"], ["departments.id"], name="agents_department_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="agents_pkey"),
        sa.UniqueConstraint("b2chat_id", name="agents_b2chat_id_key"),
        sa.UniqueConstraint("username", name="agents_username_key"),
        comment="Agents who serve chats. The API only tells of them inside chats.",
    )
    op.create_index("agents_department_id_idx", "agents", ["department_id"])
    op.create_index("agents_is_active_idx", "agents", ["is_active"])
    op.create_index("agents_is_deleted_idx", "agents", ["is_deleted"])


def _contacts() -> None:
    op.create_table(
        "contacts",
        sa.Column("id", sa.Text(), nullable=False, comment="Key."),
        sa.Column("b2chat_id", sa.Text(), nullable=False, comment="B2Chat's key."),
        sa.Column("full_name", sa.Text(), nullable=False, comment="Full name; empty where B2Chat gives none."),
        sa.Column(
            "mobile", sa.Text(), nullable=True, comment="Mobile number in E.164 where it parses, else as received."
        ),
        sa.Column("phone_number", sa.Text(), nullable=True, comment="Landline number."),
        sa.Column("email", sa.Text(), nullable=True, comment="E-mail address."),
        sa.Column(
            "identification", sa.Text(), nullable=True, comment="National identity number, passport or the like."
        ),
        sa.Column("address", sa.Text(), nullable=True, comment="Street address."),
        sa.Column("city", sa.Text(), nullable=True, comment="City."),
        sa.Column("country", sa.Text(), nullable=True, comment="Country."),
        sa.Column("company", sa.Text(), nullable=True, comment="Company."),
        sa.Column("custom_attributes", JSONB(), nullable=True, comment="The account's own fields."),
        sa.Column(
            "is_deleted",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="Soft-deleted; history stays.",
        ),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True, comment="When it was soft-deleted."),
        sa.Column("deletion_reason", sa.Text(), nullable=True, comment="Why it was soft-deleted."),
        sa.Column("last_sync_at", sa.DateTime(timezone=True), nullable=True, comment="Last sync that changed the row."),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the contact was made.",
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the contact last changed.",
        ),
        sa.Column(
            "last_seen_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Creation time of the newest chat with the contact.",
        ),
        sa.Column(
            "read_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="Request time of the page whose values the row holds.",
        ),
        sa.Column(
            "is_full",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="Told by the contacts export; a stub from a chat never overwrites it.",
        ),
        sa.Column(
            "row_hash", BYTEA(), nullable=False, comment="Hash over the mapped columns; equal means nothing changed."
        ),
        sa.Column("raw_mobile", sa.Text(), nullable=True, comment="Mobile number as received."),
        sa.Column("tags", JSONB(), nullable=True, comment="Tags as received."),
        sa.Column("merchant_id", sa.Text(), nullable=True, comment="B2Chat's key of the account."),
        sa.Column(
            "time_flags",
            sa.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="Local times that were ambiguous or do not exist, as column:flag.",
        ),
        sa.PrimaryKeyConstraint("id", name="contacts_pkey"),
        sa.UniqueConstraint("b2chat_id", name="contacts_b2chat_id_key"),
        comment="Customers: a stub where only a chat told of one, complete once the contacts export did.",
    )
    op.create_index("contacts_email_idx", "contacts", ["email"])
    op.create_index("contacts_is_deleted_idx", "contacts", ["is_deleted"])
    op.create_index("contacts_mobile_idx", "contacts", ["mobile"])
    op.create_index("contacts_phone_number_idx", "contacts", ["phone_number"])
