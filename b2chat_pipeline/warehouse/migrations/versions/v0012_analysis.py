"""Scoring of conversations: the ledger of its money, and the answers that became no score."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0012"
down_revision: str | None = "0011"

_INSTANT = sa.DateTime(timezone=True)
_MONEY = sa.Numeric(14, 8)


def upgrade() -> None:
    """Makes the tables, and says that scoring is configured too."""
    _calls()
    _outcomes()
    op.execute("comment on column ops.config_versions.kind is 'calendar, department, scoring or sla policy.'")


def _calls() -> None:
    op.create_table(
        "analysis_calls",
        sa.Column(
            "id",
            sa.Text(),
            nullable=False,
            comment="Key; also that of the row in effectiveness_analysis.",
        ),
        sa.Column("chat_id", sa.Text(), nullable=False, comment="Chat that is judged."),
        sa.Column(
            "score_key",
            postgresql.BYTEA(),
            nullable=False,
            comment="SHA-256 of chat, model, versions of prompt, rubric, schema and redaction, and transcript.",
        ),
        sa.Column(
            "attempt",
            sa.Integer(),
            nullable=False,
            comment="1, or 2 where an unusable answer is asked for again.",
        ),
        sa.Column("mode", sa.Text(), nullable=False, comment="How it was sent: direct."),
        sa.Column("user_id", sa.Text(), nullable=False, comment="Who asked for it."),
        sa.Column("model", sa.Text(), nullable=False, comment="Model that is asked."),
        sa.Column(
            "terms_version",
            sa.Integer(),
            nullable=False,
            comment="Version of the configured terms its cost is counted by.",
        ),
        sa.Column("day", sa.Date(), nullable=False, comment="Account-local day whose cap it counts against."),
        sa.Column(
            "state",
            sa.Text(),
            nullable=False,
            comment="reserved, settled (paid by usage), released (cost nothing), or lost (nobody knows what it cost).",
        ),
        sa.Column("reserved_usd", _MONEY, nullable=False, comment="The most it can cost."),
        sa.Column(
            "cost_usd",
            _MONEY,
            nullable=True,
            comment="What it cost; NULL while reserved, and where lost: then reserved_usd counts.",
        ),
        sa.Column("usage", postgresql.JSONB(), nullable=True, comment="Tokens as the service counted them."),
        sa.Column(
            "outcome",
            sa.Text(),
            nullable=True,
            comment="scored, or what analysis_outcomes tells more of.",
        ),
        sa.Column(
            "unanswered",
            sa.Integer(),
            nullable=True,
            comment="Attempts whose answer never came; may have been billed.",
        ),
        sa.Column("request_id", sa.Text(), nullable=True, comment="The service's own id of the request."),
        sa.Column("reserved_at", _INSTANT, nullable=False, comment="When the money was reserved, before sending."),
        sa.Column("ended_at", _INSTANT, nullable=True, comment="When it was settled, released or lost."),
        sa.PrimaryKeyConstraint("id", name="analysis_calls_pkey"),
        schema="ops",
        comment="The ledger of money: requests to the model's service, each reserved before it is sent.",
    )
    for column in ("day", "chat_id", "score_key"):
        op.create_index(f"analysis_calls_{column}_idx", "analysis_calls", [column], schema="ops")
    op.create_index(
        "analysis_calls_reserved_idx",
        "analysis_calls",
        ["mode"],
        schema="ops",
        postgresql_where=sa.text("state = 'reserved'"),
    )


def _outcomes() -> None:
    op.create_table(
        "analysis_outcomes",
        sa.Column("call_id", sa.Text(), nullable=False, comment="The request, with its usage and cost."),
        sa.Column("chat_id", sa.Text(), nullable=False, comment="Chat that was to be scored."),
        sa.Column(
            "outcome",
            sa.Text(),
            nullable=False,
            comment="undecided (no evidence), voided (an answer that is none), refused, truncated, held (a person must"
            " look), or failed (no answer).",
        ),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why, in words; no personal data."),
        sa.Column("response", postgresql.JSONB(), nullable=True, comment="The complete answer, where there was one."),
        sa.Column("created_at", _INSTANT, nullable=False, comment="When it came."),
        sa.PrimaryKeyConstraint("call_id", name="analysis_outcomes_pkey"),
        schema="ops",
        comment="Requests to the model's service that brought no score, and why.",
    )
    for column in ("chat_id", "outcome"):
        op.create_index(f"analysis_outcomes_{column}_idx", "analysis_outcomes", [column], schema="ops")
