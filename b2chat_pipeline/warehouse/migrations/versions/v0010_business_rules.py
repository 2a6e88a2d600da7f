"""Business time and promises as data: what was configured in which versions, and what SQL reads of it."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0010"
down_revision: str | None = "0009"

_VALID_FROM = "First instant it holds for; NULL: since ever."
_VALID_TO = "First instant it holds for no more; NULL: no end."


def upgrade() -> None:
    """Makes the tables, the functions over them, and the policy that holds until another is configured."""
    _config_versions()
    _sla_policies()
    _calendars()
    _business_hours()
    _holidays()
    _department_calendars()
    op.execute(_BUSINESS_SECONDS)
    op.execute(_NEXT_OPENING)
    op.execute(_DEFAULT_POLICY)


def _validity() -> tuple[sa.Column[datetime], sa.Column[datetime]]:
    instant = sa.DateTime(timezone=True)
    return (
        sa.Column("valid_from", instant, nullable=True, comment=_VALID_FROM),
        sa.Column("valid_to", instant, nullable=True, comment=_VALID_TO),
    )


def _config_versions() -> None:
    op.create_table(
        "config_versions",
        sa.Column("kind", sa.Text(), nullable=False, comment="calendar, department or sla policy."),
        sa.Column("name", sa.Text(), nullable=False, comment="Its name in the configuration."),
        sa.Column("version", sa.Integer(), nullable=False, comment="Counts from 1 by kind and name."),
        sa.Column("content", postgresql.JSONB(), nullable=False, comment="What was configured, without its name."),
        *_validity(),
        sa.Column(
            "applied_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.now(),
            nullable=False,
            comment="When it was applied.",
        ),
        sa.Column(
            "replaced_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When another version took its whole place; NULL while it counts.",
        ),
        sa.PrimaryKeyConstraint("kind", "name", "version", name="config_versions_pkey"),
        schema="ops",
        comment="Every version of what `b2chat config apply` was given; those with replaced_at count no more.",
    )


def _sla_policies() -> None:
    op.create_table(
        "sla_policies",
        sa.Column("policy", sa.Text(), nullable=False, comment="Name of the policy."),
        sa.Column("version", sa.Integer(), nullable=False, comment="Its version."),
        sa.Column("clock", sa.Text(), nullable=False, comment="pickup, first_response or resolution."),
        sa.Column("priority", sa.Text(), nullable=True, comment="Only chats of this priority; NULL: of any."),
        sa.Column("channel", sa.Text(), nullable=True, comment="Only chats of this channel; NULL: of any."),
        sa.Column("target_seconds", sa.Integer(), nullable=False, comment="The clock ends in time up to this."),
        sa.Column("in_business_hours", sa.Boolean(), nullable=False, comment="The target counts business seconds."),
        *_validity(),
        sa.PrimaryKeyConstraint("policy", "version", "clock", name="sla_policies_pkey"),
        schema="ops",
        comment="Targets by clock. Of those that fit, priority goes before channel, and that before neither.",
    )


def _calendars() -> None:
    op.create_table(
        "calendars",
        sa.Column("calendar", sa.Text(), nullable=False, comment="Name; departments without one use `default`."),
        sa.Column(
            "known_from",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="Business time before this is not known.",
        ),
        sa.Column(
            "known_until",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="Business time from this on is not known; each `b2chat config apply` moves it.",
        ),
        sa.PrimaryKeyConstraint("calendar", name="calendars_pkey"),
        schema="ops",
        comment="Business calendars, and for which time their hours are worked out.",
    )


def _business_hours() -> None:
    op.create_table(
        "business_hours",
        sa.Column("calendar", sa.Text(), nullable=False, comment="The calendar."),
        sa.Column("opens_at", sa.DateTime(timezone=True), nullable=False, comment="First instant of business."),
        sa.Column("closes_at", sa.DateTime(timezone=True), nullable=False, comment="First instant after it."),
        sa.PrimaryKeyConstraint("calendar", "opens_at", name="business_hours_pkey"),
        schema="ops",
        comment="Opening hours as instants, holidays left out: at most 25 hours each, none overlaps another.",
    )


def _holidays() -> None:
    op.create_table(
        "holidays",
        sa.Column("calendar", sa.Text(), nullable=False, comment="The calendar."),
        sa.Column("day", sa.Date(), nullable=False, comment="Account-local day without business."),
        sa.Column("name", sa.Text(), nullable=False, comment="What is celebrated, or `closed`."),
        sa.PrimaryKeyConstraint("calendar", "day", name="holidays_pkey"),
        schema="ops",
        comment="Days on which a calendar has no business hours, worked out when the configuration was applied.",
    )


def _department_calendars() -> None:
    op.create_table(
        "department_calendars",
        sa.Column("department", sa.Text(), nullable=False, comment="Name of the department."),
        sa.Column("version", sa.Integer(), nullable=False, comment="Version of the department's configuration."),
        sa.Column("calendar", sa.Text(), nullable=False, comment="Its calendar: its own or that of one above."),
        *_validity(),
        sa.PrimaryKeyConstraint("department", "version", name="department_calendars_pkey"),
        schema="ops",
        comment="Which calendar a department keeps; those that are not here keep `default`.",
    )


# PL/pgSQL keeps the plan between calls, and is told to: a rebuild calls these for every clock of every chat, and to
# plan takes longer than to run. No opening lasts 25 hours or more: so the index finds the first that matters.
_BUSINESS_SECONDS = """
create function ops.business_seconds(of_calendar text, from_at timestamptz, to_at timestamptz) returns numeric
language plpgsql stable strict parallel safe set plan_cache_mode = force_generic_plan as $$
begin
    return (
        select coalesce((
            select extract(epoch from sum(least(h.closes_at, to_at) - greatest(h.opens_at, from_at)))
              from ops.business_hours h
             where h.calendar = of_calendar
               and h.opens_at > from_at - interval '25 hours' and h.opens_at < to_at and h.closes_at > from_at
        ), 0)
          from ops.calendars c
         where c.calendar = of_calendar and c.known_from <= from_at and from_at <= to_at and to_at <= c.known_until
    );
end
$$;
comment on function ops.business_seconds is
'Seconds of business between two instants; NULL where one or the calendar is not known, or they are out of order.';
"""

_NEXT_OPENING = """
create function ops.next_opening(of_calendar text, from_at timestamptz) returns timestamptz
language plpgsql stable strict parallel safe set plan_cache_mode = force_generic_plan as $$
begin
    return (
        select greatest(h.opens_at, from_at)
          from ops.calendars c join ops.business_hours h on h.calendar = c.calendar
         where c.calendar = of_calendar and c.known_from <= from_at
           and h.opens_at > from_at - interval '25 hours' and h.closes_at > from_at
         order by h.opens_at
         limit 1
    );
end
$$;
comment on function ops.next_opening is
'The instant itself in business hours, else when they begin next; NULL where the calendar does not know.';
"""

_DEFAULT_POLICY = """
insert into ops.config_versions (kind, name, version, content) values (
    'sla policy', 'default', 1,
    '{"targets": {"pickup": 120, "first_response": 300, "resolution": 7200}, "in_business_hours": false,
      "priority": null, "channel": null}'
);
insert into ops.sla_policies (policy, version, clock, target_seconds, in_business_hours) values
    ('default', 1, 'pickup', 120, false),
    ('default', 1, 'first_response', 300, false),
    ('default', 1, 'resolution', 7200, false);
"""
