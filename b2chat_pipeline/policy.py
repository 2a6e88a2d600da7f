"""Decisions that need no database and no Dagster: pure functions over numbers, sets and times.

Here belongs what an operator may want to argue about. Not here: carrying a decision out.
"""

from collections.abc import Mapping
from typing import Literal

RequestClass = Literal["hourly", "reread", "backfill"]
Operation = Literal["incremental", "manual"]

# The largest part of the day's requests that each kind of work may use. The fresh hour may use whatever is left, and
# together the other two leave 5 % that only it can reach.
SHARES: Mapping[RequestClass, float] = {"hourly": 1.0, "reread": 0.35, "backfill": 0.60}

_SCHEDULED = ("dagster/schedule_name", "dagster/sensor_name", "dagster/from_automation_condition")


def request_share(request_class: RequestClass, per_day: int) -> int:
    """How many of the day's requests one kind of work may use."""
    return int(per_day * SHARES[request_class])


def request_class(run_tags: Mapping[str, str]) -> RequestClass:
    """What a load run's requests are counted as: the schedule's are hourly, all others fill in history."""
    return "hourly" if "dagster/schedule_name" in run_tags else "backfill"


def operation(run_tags: Mapping[str, str]) -> Operation:
    """How the data dictionary names a run: incremental where a schedule or sensor asked for it, else manual."""
    return "incremental" if any(tag in run_tags for tag in _SCHEDULED) else "manual"
