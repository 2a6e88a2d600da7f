"""The schedule that loads the hour that just ended, and its job."""

import os
from datetime import UTC, timedelta

import dagster as dg

from b2chat_pipeline.settings import SettingsError, check_all

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
    def hour_that_ended(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
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
        return dg.RunRequest(run_key=key, partition_key=key)

    return hour_that_ended
