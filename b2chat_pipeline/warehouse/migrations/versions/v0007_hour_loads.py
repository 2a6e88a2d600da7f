"""Which reads each hour was loaded from."""

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"


def upgrade() -> None:
    """Makes the table."""
    op.create_table(
        "hour_loads",
        sa.Column("endpoint", sa.Text(), nullable=False, comment="Endpoint that was read."),
        sa.Column("hour_start", sa.DateTime(timezone=True), nullable=False, comment="Start of the hour."),
        sa.Column("sync_id", sa.Text(), nullable=False, comment="The read."),
        sa.Column(
            "read_at", sa.DateTime(timezone=True), nullable=False, comment="Request time of the first page of the hour."
        ),
        sa.PrimaryKeyConstraint("endpoint", "hour_start", "sync_id", name="hour_loads_pkey"),
        schema="ops",
        comment="Every read that the tables were loaded from, by hour: what a rebuild repeats.",
    )
