"""By which version of the prompt each call was asked: what scoring cost is told by it."""

import sqlalchemy as sa
from alembic import op

revision: str = "0016"
down_revision: str | None = "0015"

_MEANING = "Version of the prompt it is asked by; NULL: of before it was noted, and brought no score."


def upgrade() -> None:
    """Adds the column; of calls that brought a score, the score tells it."""
    op.add_column(
        "analysis_calls", sa.Column("prompt_version", sa.Text(), nullable=True, comment=_MEANING), schema="ops"
    )
    op.execute(
        "update ops.analysis_calls as call set prompt_version = scoring.analysis_data ->> 'prompt_version'"
        " from effectiveness_analysis as scoring where scoring.id = call.id"
    )
