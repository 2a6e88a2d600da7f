"""The functions of business time, for readers of the views that call them, who may not read the tables below."""

from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"


def upgrade() -> None:
    """Lets them read with their owner's rights, looking up nothing where a caller could put something else."""
    for statement in _STATEMENTS:
        op.execute(statement)


_STATEMENTS = (
    "alter function ops.business_seconds security definer set search_path = pg_catalog, pg_temp",
    "alter function ops.next_opening security definer set search_path = pg_catalog, pg_temp",
    "revoke execute on function ops.business_seconds, ops.next_opening from public",
)
