"""The job that keeps raw pages for as long as is set, and its daily schedule.

Not here: what is dropped (`warehouse/retention.py`).
"""

import os

import dagster as dg

from b2chat_pipeline.assets.shell import failing_in_one_sentence
from b2chat_pipeline.resources import WarehouseResource, utc_now
from b2chat_pipeline.settings import Account, read_raw_retention

# At night, and not at the minute of the hourly load.
_CRON = "37 3 * * *"


@dg.op
def drop_old_pages(context: dg.OpExecutionContext, warehouse: WarehouseResource) -> None:
    """Drops the weeks of raw pages that are older than B2CHAT_RAW_RETENTION_DAYS, and makes partitions ahead."""
    from b2chat_pipeline.warehouse.accounts import stored_settings
    from b2chat_pipeline.warehouse.retention import retain_raw_pages

    with failing_in_one_sentence(), warehouse.connect("retention") as connection:
        keep = read_raw_retention(os.environ, stored_settings(connection))
        done = retain_raw_pages(connection, keep=keep, now=utc_now())
    context.add_output_metadata(
        {
            "dropped": ", ".join(done.dropped),
            "in_use": ", ".join(done.busy),
            "made_ahead": ", ".join(done.ahead),
            "weeks_kept": done.kept,
            "hour_loads_dropped": done.hour_loads,
            "rows_outside_any_week": done.default_rows,
        }
    )


@dg.job(name="raw_retention", description="Keeps raw pages for B2CHAT_RAW_RETENTION_DAYS, by whole weeks.")
def raw_retention() -> None:
    """One step."""
    drop_old_pages()


def retention_schedule(account: Account) -> dg.ScheduleDefinition:
    """Runs the retention once a day; on from the first start."""
    return dg.ScheduleDefinition(
        name="raw_retention",
        job=raw_retention,
        cron_schedule=_CRON,
        execution_timezone=account.zone.key,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Drops raw pages that are older than B2CHAT_RAW_RETENTION_DAYS, every night.",
    )
