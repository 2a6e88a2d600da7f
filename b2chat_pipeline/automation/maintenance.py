"""The job that removes what is older than its retention, and its nightly schedule.

Not here: what is removed, and what stays however old it is (`warehouse/retention.py`, `warehouse/books_retention.py`,
`event_retention.py`).
"""

import os

import dagster as dg

from b2chat_pipeline.assets.shell import failing_in_one_sentence
from b2chat_pipeline.resources import WarehouseResource, utc_now
from b2chat_pipeline.settings import Account, read_raw_retention

RETENTION = "retention"
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


@dg.op
def remove_old_books(context: dg.OpExecutionContext, warehouse: WarehouseResource) -> None:
    """Removes syncs, checkpoints, errors, notifications and lines of the ledger that are old and needed no more."""
    from b2chat_pipeline.warehouse.books_retention import retain_books

    with failing_in_one_sentence(), warehouse.connect("retention") as connection:
        _tell(context, retain_books(connection, now=utc_now()))


@dg.op
def remove_old_events(context: dg.OpExecutionContext) -> None:
    """Removes events, results of checks and output of old runs; no run, and nothing that a partition's state is by."""
    from b2chat_pipeline.event_retention import retain_events

    with failing_in_one_sentence():
        _tell(context, retain_events(context.instance, now=utc_now()))


def _tell(context: dg.OpExecutionContext, removed: dict[str, int]) -> None:
    context.log.info("Removed: %s.", "; ".join(f"{name} {count:,}" for name, count in removed.items()))
    context.add_output_metadata(removed)


@dg.job(name=RETENTION, description="Removes what is older than its retention: raw pages, books, events of Dagster.")
def retention() -> None:
    """Three steps that do not wait for each other."""
    drop_old_pages()
    remove_old_books()
    remove_old_events()


def retention_schedule(account: Account) -> dg.ScheduleDefinition:
    """Runs the retention once a day; on from the first start."""
    return dg.ScheduleDefinition(
        name=RETENTION,
        job=retention,
        cron_schedule=_CRON,
        execution_timezone=account.zone.key,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Removes what is older than its retention, every night; docs/operations.md says what is kept.",
    )
