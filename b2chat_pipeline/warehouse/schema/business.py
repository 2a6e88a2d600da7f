"""Business time and promises: what `b2chat config apply` was given, and what SQL reads of it.

The functions over these tables, `ops.business_seconds` and `ops.next_opening`, are made by migration 0010.
"""

from datetime import date, datetime

from sqlalchemy.orm import Mapped, mapped_column

from b2chat_pipeline.warehouse.schema.base import NOW, Base, JsonBinary
from b2chat_pipeline.warehouse.schema.operations import OPS

_VALID_FROM = "First instant it holds for; NULL: since ever."
_VALID_TO = "First instant it holds for no more; NULL: no end."


class ConfigVersion(Base):
    """One version of one thing that is configured."""

    __tablename__ = "config_versions"
    __table_args__ = (
        {
            "schema": OPS,
            "comment": "Every version of what `b2chat config apply` was given; those with replaced_at count no more.",
        },
    )

    kind: Mapped[str] = mapped_column(primary_key=True, comment="calendar, department, scoring or sla policy.")
    name: Mapped[str] = mapped_column(primary_key=True, comment="Its name in the configuration.")
    version: Mapped[int] = mapped_column(primary_key=True, comment="Counts from 1 by kind and name.")
    content: Mapped[JsonBinary] = mapped_column(comment="What was configured, without its name.")
    valid_from: Mapped[datetime | None] = mapped_column(comment=_VALID_FROM)
    valid_to: Mapped[datetime | None] = mapped_column(comment=_VALID_TO)
    applied_at: Mapped[datetime] = mapped_column(server_default=NOW, comment="When it was applied.")
    replaced_at: Mapped[datetime | None] = mapped_column(
        comment="When another version took its whole place; NULL while it counts."
    )


class SlaPolicy(Base):
    """The target of one clock in one version of a policy."""

    __tablename__ = "sla_policies"
    __table_args__ = (
        {
            "schema": OPS,
            "comment": "Targets by clock. Of those that fit, priority goes before channel, and that before neither.",
        },
    )

    policy: Mapped[str] = mapped_column(primary_key=True, comment="Name of the policy.")
    version: Mapped[int] = mapped_column(primary_key=True, comment="Its version.")
    clock: Mapped[str] = mapped_column(primary_key=True, comment="pickup, first_response or resolution.")
    priority: Mapped[str | None] = mapped_column(comment="Only chats of this priority; NULL: of any.")
    channel: Mapped[str | None] = mapped_column(comment="Only chats of this channel; NULL: of any.")
    target_seconds: Mapped[int] = mapped_column(comment="The clock ends in time up to this.")
    in_business_hours: Mapped[bool] = mapped_column(comment="The target counts business seconds.")
    valid_from: Mapped[datetime | None] = mapped_column(comment=_VALID_FROM)
    valid_to: Mapped[datetime | None] = mapped_column(comment=_VALID_TO)


class Calendar(Base):
    """A business calendar."""

    __tablename__ = "calendars"
    __table_args__ = ({"schema": OPS, "comment": "Business calendars, and for which time their hours are worked out."},)

    calendar: Mapped[str] = mapped_column(primary_key=True, comment="Name; departments without one use `default`.")
    known_from: Mapped[datetime] = mapped_column(comment="Business time before this is not known.")
    known_until: Mapped[datetime] = mapped_column(
        comment="Business time from this on is not known; each `b2chat config apply` moves it."
    )


class BusinessHours(Base):
    """One opening of a calendar."""

    __tablename__ = "business_hours"
    __table_args__ = (
        {
            "schema": OPS,
            "comment": "Opening hours as instants, holidays left out: at most 25 hours each, none overlaps another.",
        },
    )

    calendar: Mapped[str] = mapped_column(primary_key=True, comment="The calendar.")
    opens_at: Mapped[datetime] = mapped_column(primary_key=True, comment="First instant of business.")
    closes_at: Mapped[datetime] = mapped_column(comment="First instant after it.")


class Holiday(Base):
    """A day without business."""

    __tablename__ = "holidays"
    __table_args__ = (
        {
            "schema": OPS,
            "comment": "Days on which a calendar has no business hours, worked out when the configuration was applied.",
        },
    )

    calendar: Mapped[str] = mapped_column(primary_key=True, comment="The calendar.")
    day: Mapped[date] = mapped_column(primary_key=True, comment="Account-local day without business.")
    name: Mapped[str] = mapped_column(comment="What is celebrated, or `closed`.")


class DepartmentCalendar(Base):
    """Which calendar a department keeps."""

    __tablename__ = "department_calendars"
    __table_args__ = (
        {"schema": OPS, "comment": "Which calendar a department keeps; those that are not here keep `default`."},
    )

    department: Mapped[str] = mapped_column(primary_key=True, comment="Name of the department.")
    version: Mapped[int] = mapped_column(primary_key=True, comment="Version of the department's configuration.")
    calendar: Mapped[str] = mapped_column(comment="Its calendar: its own or that of one above.")
    valid_from: Mapped[datetime | None] = mapped_column(comment=_VALID_FROM)
    valid_to: Mapped[datetime | None] = mapped_column(comment=_VALID_TO)
