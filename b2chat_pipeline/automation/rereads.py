"""The schedule that has days read again, and its job. Not here: which days are due (`policy/`)."""

import os
from collections.abc import Sequence

import dagster as dg

from b2chat_pipeline.assets.rereads import DAYS_PER_RUN, plan_at
from b2chat_pipeline.automation.circuit import outage_at, waits
from b2chat_pipeline.partitions import range_tags
from b2chat_pipeline.policy import REREAD_TICK, consecutive
from b2chat_pipeline.resources import B2ChatResource, WarehouseResource
from b2chat_pipeline.settings import OperatorError, check_all

# Runs with this tag go one at a time, so that they leave room for the fresh hour (see dagster.yaml).
REREAD_TAG = "b2chat/reread"
# What the decision that asked for a run was.
_PLAN_TAG = "b2chat/reread_plan"
_NAME = "rereads"
# The side of the API that is read.
_SIDE = "chats"
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def reread_schedule(partitions: dg.DailyPartitionsDefinition) -> dg.ScheduleDefinition:
    """Requests the days that are due, every twenty minutes; on from the first start."""
    job = dg.define_asset_job(
        _NAME,
        selection=dg.AssetSelection.assets("chat_updates"),
        description="Reads days again whose chats may have changed.",
        tags={REREAD_TAG: "true"},
    )
    minutes = int(REREAD_TICK.total_seconds()) // 60

    @dg.schedule(
        name=_NAME,
        job=job,
        cron_schedule=f"*/{minutes} * * * *",
        execution_timezone=str(partitions.timezone),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Has the days read again whose chats may have changed; decides every {minutes} minutes.",
    )
    def days_that_are_due(
        context: dg.ScheduleEvaluationContext, warehouse: WarehouseResource, b2chat: B2ChatResource
    ) -> Sequence[dg.RunRequest] | dg.SkipReason:
        try:
            check_all(os.environ)
            if context.instance.get_runs_count(dg.RunsFilter(job_name=_NAME, statuses=UNFINISHED)):
                return dg.SkipReason("The re-reads asked for before are not finished.")
            zone, now = b2chat.account().zone, context.scheduled_execution_time
            outage = outage_at(warehouse, _SIDE, now=now)
            if (why := waits(outage, _SIDE, zone, now=now)) is not None:
                return dg.SkipReason(why)
            return _requests(context, warehouse, b2chat, probing=outage is not None)
        except OperatorError as error:
            return dg.SkipReason(str(error))

    return days_that_are_due


def _requests(
    context: dg.ScheduleEvaluationContext, warehouse: WarehouseResource, b2chat: B2ChatResource, *, probing: bool
) -> Sequence[dg.RunRequest] | dg.SkipReason:
    at = context.scheduled_execution_time
    plan = plan_at(warehouse, b2chat, at)
    if not plan.due:
        reasons = "; ".join(dict.fromkeys(plan.left_out.values()))
        waiting = f" {len(plan.left_out)} cannot be read yet: {reasons}." if plan.left_out else ""
        return dg.SkipReason(f"None of {len(plan.promised)} days whose chats may change is due.{waiting}")
    # One day alone tells whether the source is back.
    days = plan.due[:1] if probing else plan.due
    told = f"{len(plan.due)} of {len(plan.promised)} days whose chats may change; {len(plan.left_out)} are left out"
    return [
        dg.RunRequest(
            run_key=f"{first}..{last} @ {at.isoformat()}",
            tags={**range_tags(first.isoformat(), last.isoformat()), _PLAN_TAG: told},
        )
        for first, last in consecutive(days, most=DAYS_PER_RUN)
    ]
