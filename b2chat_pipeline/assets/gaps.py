"""The hours that are missing or failed, and what is known of them, put before the policy.

Here belongs what is asked of Dagster and of the books for that. Not here: the decision (`policy/gaps.py`), and asking
for hours (`automation/gaps.py`).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from b2chat_pipeline.assets.sides import ENDPOINTS
from b2chat_pipeline.partitions import RANGE_END, RANGE_START, windows_of
from b2chat_pipeline.policy import history_left, request_share
from b2chat_pipeline.policy.gaps import GapPlan, SideHours, Sweep, Tried, plan_gaps, requests_per_day
from b2chat_pipeline.resources import B2ChatResource, WarehouseResource
from b2chat_pipeline.windows import AccountClock, hour_starts

if TYPE_CHECKING:
    from psycopg import Connection

# Names the side whose hours a run was asked for by the sweeper; such runs go one at a time (see dagster.yaml).
GAP_TAG = "b2chat/gap"
# So far back is looked for how many records a day holds.
_A_MONTH = timedelta(days=31)


def plan_gaps_at(
    instance: dg.DagsterInstance,
    warehouse: WarehouseResource,
    b2chat: B2ChatResource,
    partitions: dg.HourlyPartitionsDefinition,
    sides: Mapping[str, SideHours],
    *,
    now: datetime,
) -> GapPlan:
    """The gaps to ask for at a moment. Raises OperatorError where that cannot be known."""
    from b2chat_pipeline.warehouse.accounts import require_zone

    gaps = {side: hours.gaps() for side, hours in sides.items()}
    if not any(gaps.values()):
        return GapPlan([], {})
    clock = AccountClock(b2chat.account().zone)
    with warehouse.connect("gaps") as connection:
        require_zone(connection, clock.zone.key)
        per_day = b2chat.requests_per_day(connection)
        left = _requests_left(connection, clock, per_day=per_day, now=now)
        runs = {side: _Runs(instance, partitions, side, since=hours[0]) for side, hours in gaps.items() if hours}
        sweeps = [_sweep(connection, runs[side], gaps[side], per_day=per_day, now=now) for side in runs]
    return plan_gaps(sweeps, now=now, left=left)


def given_up_hours(
    instance: dg.DagsterInstance,
    connection: "Connection",
    partitions: dg.HourlyPartitionsDefinition,
    sides: Mapping[str, SideHours],
) -> dict[str, list[datetime]]:
    """The hours of each side that the sweeper asks for no more, in order."""
    given_up: dict[str, list[datetime]] = {side: [] for side in sides}
    for side, hours in sides.items():
        if gaps := hours.gaps():
            runs = _Runs(instance, partitions, side, since=gaps[0])
            tried = runs.tried(connection)
            given_up[side] = [hour for hour in gaps if hour in tried and tried[hour].given_up]
    return given_up


def _sweep(connection: "Connection", runs: "_Runs", gaps: Sequence[datetime], *, per_day: int, now: datetime) -> Sweep:
    """What is known of one side that has gaps."""
    from b2chat_pipeline.warehouse.circuit import outage_of
    from b2chat_pipeline.warehouse.sweeping import records_per_day

    cost = requests_per_day(records_per_day(connection, ENDPOINTS[runs.side], since=now - _A_MONTH))
    return Sweep(
        runs.side,
        gaps,
        tried=runs.tried(connection),
        running=runs.unfinished,
        outage=outage_of(connection, runs.side, now=now),
        # A day that needs more than a whole share is begun all the same: what is loaded of it stays.
        requests_per_day=min(cost, request_share("backfill", per_day)) if per_day else cost,
    )


def _requests_left(connection: "Connection", clock: AccountClock, *, per_day: int, now: datetime) -> int | None:
    """How many requests may still be sent today for history; None where there is no limit."""
    from b2chat_pipeline.warehouse.budget import blocked_until
    from b2chat_pipeline.warehouse.staleness import requests_sent

    if blocked_until(connection, now=now) is not None:
        return 0
    if not per_day:
        return None
    return history_left(requests_sent(connection, clock.day_of(now)), per_day)


class _Runs:
    """The runs that the sweeper has asked for about one side since some hour."""

    def __init__(
        self, instance: dg.DagsterInstance, partitions: dg.HourlyPartitionsDefinition, side: str, *, since: datetime
    ) -> None:
        self.side = side
        self._partitions = partitions
        records = instance.get_run_records(dg.RunsFilter(tags={GAP_TAG: side}, created_after=since))
        self.unfinished = sum(not record.dagster_run.is_finished for record in records)
        self._finished = [record for record in records if record.dagster_run.is_finished]

    def tried(self, connection: "Connection") -> dict[datetime, Tried]:
        """How often each hour was asked for. A run that was only cut off did not fail, as the books tell."""
        from b2chat_pipeline.warehouse.sweeping import runs_cut_off

        ended_badly = [it.dagster_run.run_id for it in self._finished if not it.dagster_run.is_success]
        cut_off = runs_cut_off(connection, ended_badly)
        asked: dict[datetime, list[tuple[bool, datetime]]] = defaultdict(list)
        for record in self._finished:
            run = record.dagster_run
            in_vain = not run.is_success and run.run_id not in cut_off
            ended = datetime.fromtimestamp(record.end_time or record.update_timestamp.timestamp(), UTC)
            for hour in self._hours(run):
                asked[hour].append((in_vain, ended))
        return {
            hour: Tried(len(runs), sum(in_vain for in_vain, _ in runs), max(ended for _, ended in runs))
            for hour, runs in asked.items()
        }

    def _hours(self, run: dg.DagsterRun) -> Iterator[datetime]:
        first, last = run.tags[RANGE_START], run.tags[RANGE_END]
        windows = windows_of(self._partitions, {first, last})
        yield from hour_starts(windows[first].start, windows[last].end)
