"""When conversations are sent to be scored, and when their scores are collected.

Not here: which days are due (`analysis/days.py`), what happens to them (`assets/scoring.py`).
"""

import os
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from b2chat_pipeline.assets.scoring import ANALYSIS, BATCHES, DAYS_PER_RUN
from b2chat_pipeline.automation.rereads import UNFINISHED
from b2chat_pipeline.automation.sensors import sensor
from b2chat_pipeline.partitions import range_tags
from b2chat_pipeline.policy import consecutive
from b2chat_pipeline.resources import JudgeResource, WarehouseResource, utc_now
from b2chat_pipeline.settings import Account, ModelService, OperatorError, check_all, read_account
from b2chat_pipeline.windows import AccountClock

if TYPE_CHECKING:
    from b2chat_pipeline.analysis.batches import Batch

SCORING, COLLECTING = "scoring", "scores"
# Runs with this tag go one at a time: only one of them can send (see dagster.yaml).
SCORING_TAG = "b2chat/scoring"
# After the metrics of the night, and not at the minute of another schedule.
_CRON = "23 5 * * *"
# Seconds between two looks at the batches that are waited for.
LOOK_EVERY = 60
# Seconds: the daemon gives a look a minute, and the next one is not far.
_LONGEST_LOOK = 15.0
# After a run that failed, scores are collected again no sooner.
PAUSE = timedelta(minutes=15)


def scoring_schedule(account: Account) -> dg.ScheduleDefinition:
    """Has the conversations of due days sent, every morning; on from the first start."""
    job = dg.define_asset_job(
        SCORING,
        selection=dg.AssetSelection.assets(BATCHES),
        description="Sends the conversations closed on the days asked for to be scored.",
        tags={SCORING_TAG: "true"},
    )

    @dg.schedule(
        name=SCORING,
        job=job,
        cron_schedule=_CRON,
        execution_timezone=account.zone.key,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Has conversations scored: of the day before yesterday, and of days with newly seen closings.",
    )
    def days_to_score(
        context: dg.ScheduleEvaluationContext, warehouse: WarehouseResource, judge: JudgeResource
    ) -> Sequence[dg.RunRequest] | dg.SkipReason:
        try:
            check_all(os.environ)
            judge.place()
            if context.instance.get_runs_count(dg.RunsFilter(job_name=SCORING, statuses=UNFINISHED)):
                return dg.SkipReason("The scoring asked for before is not finished.")
            days = _due(warehouse, context.scheduled_execution_time)
        except OperatorError as error:
            return dg.SkipReason(str(error))
        at = context.scheduled_execution_time.isoformat()
        return _requests(days, SCORING, at) or dg.SkipReason("No day has conversations that were newly closed.")

    return days_to_score


def collecting_sensor(*, clock: Callable[[], datetime] = utc_now) -> dg.SensorDefinition:
    """Has the scores collected of batches that have ended; on from the first start."""
    job = dg.define_asset_job(
        COLLECTING,
        selection=dg.AssetSelection.assets(ANALYSIS),
        description="Collects the scores of batches that have ended.",
        tags={"dagster/max_retries": "0"},
    )

    @sensor(
        COLLECTING,
        job=job,
        every=LOOK_EVERY,
        description="Has scores collected as soon as a batch of conversations has ended.",
    )
    def batches_that_ended(
        context: dg.SensorEvaluationContext, warehouse: WarehouseResource, judge: JudgeResource
    ) -> Sequence[dg.RunRequest] | dg.SkipReason:
        now = clock()
        try:
            first_day, place = read_account(os.environ).first_day, judge.place()
            if (why_not := _rests(context.instance, now)) is not None:
                return dg.SkipReason(why_not)
            ended, waiting = _ended(warehouse, place, now)
        except OperatorError as error:
            return dg.SkipReason(str(error))
        found = {day for batch in ended for day in batch.days if day >= first_day}
        return _requests(found, COLLECTING, now.isoformat()) or dg.SkipReason(
            f"{waiting} batches have not ended." if waiting else "No batch is waited for."
        )

    return batches_that_ended


def _due(warehouse: WarehouseResource, now: datetime) -> list[date]:
    """The days to look at. Raises OperatorError where that cannot be known, or nothing is agreed about scoring."""
    from b2chat_pipeline.analysis.days import due_days
    from b2chat_pipeline.analysis.terms import read_terms
    from b2chat_pipeline.warehouse.accounts import require_zone

    account = read_account(os.environ)
    with warehouse.connect("schedule") as connection:
        require_zone(connection, account.zone.key)
        read_terms(connection, now)
        return [day for day in due_days(connection, AccountClock(account.zone), now) if day >= account.first_day]


def _requests(days: "Sequence[date] | set[date]", job: str, at: str) -> list[dg.RunRequest]:
    return [
        dg.RunRequest(
            run_key=f"{first}..{last} @ {at}", job_name=job, tags=range_tags(first.isoformat(), last.isoformat())
        )
        for first, last in consecutive(list(days), most=DAYS_PER_RUN)
    ]


def _rests(instance: dg.DagsterInstance, now: datetime) -> str | None:
    """Why nothing is collected now, by the runs before; None where nothing speaks against it."""
    if instance.get_runs_count(dg.RunsFilter(job_name=COLLECTING, statuses=UNFINISHED)):
        return "The run that collects scores is not finished."
    last = instance.get_run_records(dg.RunsFilter(job_name=COLLECTING), limit=1)
    if not last or last[0].dagster_run.is_success:
        return None
    ended = datetime.fromtimestamp(last[0].end_time or last[0].update_timestamp.timestamp(), UTC)
    if now < ended + PAUSE:
        return f"Scores could not be collected: see run {last[0].dagster_run.run_id}; they are again after a pause."
    return None


def _ended(warehouse: WarehouseResource, place: ModelService, now: datetime) -> "tuple[list[Batch], int]":
    """The batches to collect, and how many others are waited for. Raises OperatorError."""
    from b2chat_pipeline.analysis.batches import open_batches

    with warehouse.connect("batches") as connection:
        if not open_batches(connection):
            return [], 0
        # Only now, since it brings the service's SDK.
        from b2chat_pipeline.analysis.batch_service import BatchService
        from b2chat_pipeline.analysis.collecting import ended_batches
        from b2chat_pipeline.analysis.service import Patience

        with BatchService(place, patience=Patience(attempts=1, attempt_timeout=_LONGEST_LOOK)) as service:
            return ended_batches(connection, service, now)
