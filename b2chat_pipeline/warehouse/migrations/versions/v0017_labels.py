"""What people judged of conversations, scores on trial, and which model and prompt were promoted."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0017"
down_revision: str | None = "0016"

_INSTANT = sa.DateTime(timezone=True)
_AS_REPORTED = "As in effectiveness_analysis."


def upgrade() -> None:
    """Makes the tables."""
    _labels()
    _trials()
    _promotions()


def _labels() -> None:
    op.create_table(
        "analysis_labels",
        sa.Column("chat_id", sa.Text(), nullable=False, comment="Chat that was judged."),
        sa.Column("labeller", sa.Text(), nullable=False, comment="Code of who judged it; never a name."),
        sa.Column("rubric_version", sa.Text(), nullable=False, comment="Version of the rubric it was judged by."),
        sa.Column("labelled_at", _INSTANT, nullable=False, comment="When it was judged."),
        sa.Column("language", sa.Text(), nullable=True, comment="The customer's language, as the labeller says."),
        sa.Column(
            "levels",
            postgresql.JSONB(),
            nullable=False,
            comment="Criterion: level, of those that the messages tell of.",
        ),
        sa.Column(
            "resolution",
            sa.Double(),
            nullable=True,
            comment="What the levels add up to, 0 to 100; NULL without matter_settled.",
        ),
        sa.Column(
            "satisfaction",
            sa.Double(),
            nullable=True,
            comment="What the levels add up to, 0 to 100; NULL without satisfaction.",
        ),
        sa.Column(
            "effectiveness",
            sa.Double(),
            nullable=True,
            comment="0.6 resolution + 0.4 satisfaction; NULL where either is.",
        ),
        sa.Column("user_id", sa.Text(), nullable=False, comment="Who imported it."),
        sa.Column(
            "imported_at", _INSTANT, nullable=False, comment="When it was imported, or last changed by an import."
        ),
        sa.PrimaryKeyConstraint("chat_id", "labeller", "rubric_version", name="analysis_labels_pkey"),
        schema="ops",
        comment="What people judged of conversations, by the rubric that the model judges by.",
    )


def _trials() -> None:
    op.create_table(
        "analysis_trials",
        sa.Column("id", sa.Text(), nullable=False, comment="Key; also that of the call."),
        sa.Column("chat_id", sa.Text(), nullable=False, comment="Chat that was scored."),
        sa.Column("user_id", sa.Text(), nullable=False, comment="Who asked for it."),
        sa.Column("effectiveness_score", sa.Double(), nullable=False, comment=_AS_REPORTED),
        sa.Column("response_time_score", sa.Double(), nullable=False, comment=_AS_REPORTED),
        sa.Column("resolution_score", sa.Double(), nullable=False, comment=_AS_REPORTED),
        sa.Column("customer_satisfaction", sa.Double(), nullable=True, comment=_AS_REPORTED),
        sa.Column("analysis_data", postgresql.JSONB(), nullable=False, comment=_AS_REPORTED),
        sa.Column("created_at", _INSTANT, nullable=False, comment="When it was scored."),
        sa.PrimaryKeyConstraint("id", name="analysis_trials_pkey"),
        schema="ops",
        comment="Scores of labelled chats by a prompt or model on trial; reported once that is promoted.",
    )
    op.create_index("analysis_trials_chat_id_idx", "analysis_trials", ["chat_id"], schema="ops")


def _promotions() -> None:
    op.create_table(
        "analysis_promotions",
        sa.Column("id", sa.Text(), nullable=False, comment="Key."),
        sa.Column("model", sa.Text(), nullable=False, comment="Model that is asked from then on."),
        sa.Column("prompt_version", sa.Text(), nullable=False, comment="Version of the prompt it is asked by."),
        sa.Column(
            "evidence",
            postgresql.JSONB(),
            nullable=False,
            comment="What the decision rests on: the judge before, the labelled chats compared, and by how much they"
            " differ.",
        ),
        sa.Column("user_id", sa.Text(), nullable=False, comment="Who decided."),
        sa.Column("promoted_at", _INSTANT, nullable=False, comment="When."),
        sa.PrimaryKeyConstraint("id", name="analysis_promotions_pkey"),
        schema="ops",
        comment="By which model and prompt scores are made; the newest row holds.",
    )
