"""When an agent's department was told: the time of his name stood for both, and an older department could stay."""

import sqlalchemy as sa
from alembic import op

revision: str = "0013"
down_revision: str | None = "0012"


def upgrade() -> None:
    """Adds the column; where a department is stored, the row's time stands for it, as it has until now."""
    op.add_column(
        "agents",
        sa.Column(
            "department_read_at",
            sa.DateTime(timezone=True),
            comment="Request time of the page that told department_id.",
        ),
    )
    op.execute("update agents set department_read_at = read_at where department_seen_at is not null")
