"""The schedule that loads the hour that just ended, and its job."""

import os
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from b2chat_pipeline.assets.sides import SIDES
from b2chat_pipeline.automation.circuit import outage_at, waits
from b2chat_pipeline.resources import WarehouseResource
from b2chat_pipeline.settings import OperatorError, SettingsError, check_all

# Late enough for the source to have written the hour's last chats.
MINUTE = 7


def hourly_schedule(partitions: dg.HourlyPartitionsDefinition) -> dg.ScheduleDefinition:
    """Requests the hour that just ended, every hour; on from the first start."""
    job = dg.define_asset_job(
        "hourly_sync",
        selection=dg.AssetSelection.groups("ingest"),
        description="Loads chats with everything inside them, and contacts, for the hours asked for.",
    )

    @dg.schedule(
        name="hourly_sync",
        job=job,
        cron_schedule=f"{MINUTE} * * * *",
        execution_timezone=str(partitions.timezone),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Loads the hour that just ended, at {MINUTE} minutes past.",
    )
    def hour_that_ended(
        context: dg.ScheduleEvaluationContext, warehouse: WarehouseResource
    ) -> dg.RunRequest | dg.SkipReason:
        try:
            check_all(os.environ)
        except SettingsError as error:
            # Nothing can be loaded until somebody acts, and this is where they look.
            return dg.SkipReason(str(error))
        # In UTC: where clocks change, an hour earlier on the wall is not an hour earlier.
        hour = context.scheduled_execution_time.astimezone(UTC) - timedelta(hours=1)
        if hour < partitions.start:
            return dg.SkipReason("No hour is over yet: B2CHAT_START_DATE lies ahead.")
        key = partitions.get_partition_key_for_timestamp(hour.timestamp())
        waiting = _sides_that_wait(warehouse, partitions, now=context.scheduled_execution_time)
        if len(waiting) == len(SIDES):
            return dg.SkipReason(" ".join(waiting.values()))
        # The sensor `gaps` asks for what waits.
        assets = [dg.AssetKey(asset) for side, its in SIDES.items() if side not in waiting for asset in its]
        return dg.RunRequest(run_key=key, partition_key=key, asset_selection=assets if waiting else None)

    return hour_that_ended


def _sides_that_wait(
    warehouse: WarehouseResource, partitions: dg.HourlyPartitionsDefinition, *, now: datetime
) -> dict[str, str]:
    """The sides of the API that are down and not due for a probe, each with why nothing is asked for."""
    zone = ZoneInfo(str(partitions.timezone))
    try:
        outages = {side: outage_at(warehouse, side, now=now) for side in SIDES}
    except OperatorError:
        return {}  # the run says what is wrong with the warehouse, where people see it
    told = {side: waits(outage, side, zone, now=now) for side, outage in outages.items()}
    return {side: why for side, why in told.items() if why is not None}
