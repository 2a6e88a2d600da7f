"""The schedule that has all contacts read, and its job. Not here: when that is due (`policy/`)."""

import os
from datetime import datetime, timedelta

import dagster as dg

from b2chat_pipeline.assets.all_contacts import reads_of_all_contacts
from b2chat_pipeline.automation.circuit import outage_at, waits
from b2chat_pipeline.automation.rereads import REREAD_TAG, UNFINISHED
from b2chat_pipeline.policy import FullReads, full_read_due_at
from b2chat_pipeline.resources import WarehouseResource
from b2chat_pipeline.settings import Account, OperatorError, check_all
from b2chat_pipeline.windows import AccountClock

_NAME = "contacts_full_read"
# Often enough for a read that was cut off to go on where it ended, and not at the minute of another schedule.
_CRON = "27 * * * *"


def contacts_schedule(account: Account) -> dg.ScheduleDefinition:
    """Requests all contacts when they never were read, or a month ago; on from the first start."""
    job = dg.define_asset_job(
        _NAME,
        selection=dg.AssetSelection.assets("all_contacts"),
        description="Reads every contact of the account.",
        tags={REREAD_TAG: "true"},
    )
    first_hour_ends = AccountClock(account.zone).day_window(account.first_day).start + timedelta(hours=1)

    @dg.schedule(
        name=_NAME,
        job=job,
        cron_schedule=_CRON,
        execution_timezone=account.zone.key,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Has all contacts read at first start, and monthly; decides every hour.",
    )
    def contacts_that_are_due(
        context: dg.ScheduleEvaluationContext, warehouse: WarehouseResource
    ) -> dg.RunRequest | dg.SkipReason:
        try:
            check_all(os.environ)
            if context.scheduled_execution_time < first_hour_ends:
                return dg.SkipReason("No hour is over yet: B2CHAT_START_DATE lies ahead.")
            if context.instance.get_runs_count(dg.RunsFilter(job_name=_NAME, statuses=UNFINISHED)):
                return dg.SkipReason("The read of all contacts asked for before is not finished.")
            reads = reads_of_all_contacts(warehouse)
            due = full_read_due_at(reads)
            if due is not None and context.scheduled_execution_time < due:
                return dg.SkipReason(_why_not(reads, due.astimezone(account.zone)))
            now = context.scheduled_execution_time
            why = waits(outage_at(warehouse, "contacts", now=now), "contacts", account.zone, now=now)
            if why is not None:
                return dg.SkipReason(why)
        except OperatorError as error:
            return dg.SkipReason(str(error))
        return dg.RunRequest(run_key=context.scheduled_execution_time.isoformat())

    return contacts_that_are_due


def _why_not(reads: FullReads, due: datetime) -> str:
    if not reads.failures:
        return "All contacts were read less than 30 days ago."
    failed = "1 read" if reads.failures == 1 else f"{reads.failures} reads"
    return (
        f"{failed} of all contacts failed since the last complete one; the next is not due before {due:%Y-%m-%d %H:%M}."
    )
