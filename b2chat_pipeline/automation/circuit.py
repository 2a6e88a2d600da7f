"""Whether B2Chat may be asked now, as schedules put it. Not here: when a source is down (`policy/circuit.py`)."""

from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from b2chat_pipeline.resources import WarehouseResource

if TYPE_CHECKING:
    from b2chat_pipeline.policy.circuit import Outage


def outage_at(warehouse: WarehouseResource, side: str, *, now: datetime) -> "Outage | None":
    """The outage of one side of the API; None where it is up. Raises WarehouseUnavailableError."""
    from b2chat_pipeline.warehouse.circuit import outage_of

    with warehouse.connect("circuit") as connection:
        return outage_of(connection, side, now=now)


def waits(outage: "Outage | None", side: str, zone: ZoneInfo, *, now: datetime) -> str | None:
    """Why a side of the API is not asked for anything now; None where it may be."""
    if outage is None or now >= outage.next_probe:
        return None
    since, probe = (f"{moment.astimezone(zone):%Y-%m-%d %H:%M}" for moment in (outage.since, outage.next_probe))
    return f"B2Chat has not been readable for {side} since {since}; the next probe is due at {probe}."
