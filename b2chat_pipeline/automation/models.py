"""When the SQL models are built: the days that loads have changed, at once; what crosses days, nightly.

Here belong the two jobs, the sensor and the schedule. Not here: which days changed (`warehouse/changes.py`), which have
to be built again because their build failed (`builds.py`).
"""

import json
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from b2chat_pipeline.assets.models import DAYS_PER_RUN
from b2chat_pipeline.automation.builds import Builds, read_builds
from b2chat_pipeline.automation.rereads import UNFINISHED
from b2chat_pipeline.automation.sensors import sensor
from b2chat_pipeline.policy import consecutive
from b2chat_pipeline.resources import WarehouseResource, utc_now
from b2chat_pipeline.settings import Account, OperatorError, read_account
from b2chat_pipeline.transform.models import Model, Project
from b2chat_pipeline.transform.target import SCHEMA

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

CHANGED_DAYS = "metrics_of_changed_days"
NIGHTLY = "metrics_nightly"
# Runs with this tag leave room for the loads (see dagster.yaml).
BUILD_TAG = "b2chat/build"
# Days so near each other are built in one run, with those between them: a run costs more than some days do.
NEAR = 3
# Seconds between two looks at the books: a changed day is built within a minute of its load's end.
LOOK_EVERY = 20
# A sync notes its end a moment before it commits it; so much later than another one that began to end before.
_LATE = timedelta(minutes=10)
_BEGINNING = datetime.min.replace(tzinfo=UTC)
# At night, and not at the minute of another schedule.
_CRON = "47 2 * * *"


def is_nightly(project: Project, model: Model) -> bool:
    """Whether a model crosses days: a table, or what reads one. All others follow the days that change."""
    read = (project.models[name] for name in (model.name, *project.ancestors(model.name)))
    return any(it.materialized == "table" for it in read)


@dataclass(frozen=True)
class _Cursor:
    """The syncs that have been looked at: all that ended before `since`, and of later ones the `seen`; and when the
    oldest build was asked for that may still have to be asked for again.
    """

    since: datetime = _BEGINNING
    seen: frozenset[str] = frozenset()
    builds_since: datetime = _BEGINNING

    @staticmethod
    def read(text: str | None) -> "_Cursor":
        if not text:
            return _Cursor()
        told = json.loads(text)
        return _Cursor(
            datetime.fromisoformat(told["since"]),
            frozenset(told["seen"]),
            datetime.fromisoformat(told.get("builds_since", _BEGINNING.isoformat())),
        )

    def text(self) -> str:
        times = {"since": self.since.isoformat(), "builds_since": self.builds_since.isoformat()}
        return json.dumps({**times, "seen": sorted(self.seen)})


def model_jobs(project: Project) -> list["UnresolvedAssetJobDefinition"]:
    """One job for the models that follow the days, one for those that cross them."""
    return [_job(project, nightly=False), _job(project, nightly=True)]


def _job(project: Project, *, nightly: bool) -> "UnresolvedAssetJobDefinition":
    names = [model.name for model in project.models.values() if is_nightly(project, model) == nightly]
    # The sensor asks again for days whose build failed.
    retries = {} if nightly else {"dagster/max_retries": "0"}
    return dg.define_asset_job(
        NIGHTLY if nightly else CHANGED_DAYS,
        selection=dg.AssetSelection.assets(*names),
        description="Builds the models that cross days." if nightly else "Builds the models of the days asked for.",
        tags={BUILD_TAG: "true", **retries},
    )


def changed_days_sensor(
    project: Project, jobs: Sequence["UnresolvedAssetJobDefinition"], *, clock: Callable[[], datetime] = utc_now
) -> dg.SensorDefinition:
    """Requests the days that syncs have changed, soon after each has ended; on from the first start."""

    @sensor(
        CHANGED_DAYS,
        jobs=jobs,
        every=LOOK_EVERY,
        description="Has the models built of the days that loads have changed, and all of a model that is new.",
    )
    def days_that_changed(
        context: dg.SensorEvaluationContext, warehouse: WarehouseResource
    ) -> dg.SensorResult | dg.SkipReason:
        now = clock()
        try:
            account = read_account(os.environ)
            cursor = _Cursor.read(context.cursor)
            look = _look(warehouse, cursor, account, list(project.models))
        except OperatorError as error:
            return dg.SkipReason(str(error))
        builds = read_builds(context.instance, CHANGED_DAYS, since=cursor.builds_since)
        again = [day for day in builds.due(now) if day >= account.first_day]
        requests = _of_days({*look.days, *again}, builds)
        if not requests and look.missing and _builds_are_done(context.instance):
            nightly = {name for name in look.missing if is_nightly(project, project.models[name])}
            requests = _of_new_models(look.missing, account, builds, nightly=nightly == look.missing, now=now)
        reason = None if requests else " ".join(["No sync has changed a day since the last look.", *builds.waiting()])
        cursor = replace(look.cursor, builds_since=builds.since or cursor.builds_since)
        return dg.SensorResult(run_requests=requests, skip_reason=reason, cursor=cursor.text())

    return days_that_changed


@dataclass(frozen=True)
class _Look:
    """What a look at the warehouse found: days changed by syncs that are new, models that were never built."""

    days: list[date]
    missing: frozenset[str]
    cursor: _Cursor


def _look(warehouse: WarehouseResource, cursor: _Cursor, account: Account, models: Collection[str]) -> _Look:
    from b2chat_pipeline.transform.relations import missing_in
    from b2chat_pipeline.warehouse.accounts import require_zone
    from b2chat_pipeline.warehouse.changes import changed_days, closed_syncs

    with warehouse.connect("changed days") as connection:
        require_zone(connection, account.zone.key)
        closed = closed_syncs(connection, since=cursor.since)
        new = [sync for sync in closed if sync.id not in cursor.seen]
        days = changed_days(connection, new, zone=account.zone.key)
        missing = frozenset(missing_in(connection, SCHEMA, models))
    if new:
        since = max(cursor.since, max(sync.completed_at for sync in closed) - _LATE)
        cursor = replace(cursor, since=since, seen=frozenset(it.id for it in closed if it.completed_at >= since))
    return _Look([day for day in days if day >= account.first_day], missing, cursor)


def _builds_are_done(instance: dg.DagsterInstance) -> bool:
    """Whether changed days have been built before, and none are being built now."""
    of_days = [
        instance.get_runs_count(dg.RunsFilter(job_name=CHANGED_DAYS, statuses=statuses))
        for statuses in ([dg.DagsterRunStatus.SUCCESS], UNFINISHED)
    ]
    return of_days[0] > 0 and of_days[1] == 0


def _of_days(days: Iterable[date], builds: Builds, *, key: str | None = None) -> list[dg.RunRequest]:
    """Runs over some days. The cursor knows what was asked for; a key keeps from asking again where it does not."""
    return [
        dg.RunRequest(
            run_key=key and f"{key}: {first}..{last}", job_name=CHANGED_DAYS, tags=builds.tags_of_next(first, last)
        )
        for first, last in consecutive(list(days), most=DAYS_PER_RUN, apart=NEAR)
    ]


def _of_new_models(
    missing: Collection[str], account: Account, builds: Builds, *, nightly: bool, now: datetime
) -> list[dg.RunRequest]:
    """Runs that build models for the first time: of days, for all days. The same models are asked for once."""
    key = f"new models {', '.join(sorted(missing))}"
    if nightly:
        return [dg.RunRequest(run_key=key, job_name=NIGHTLY)]
    today = now.astimezone(account.zone).date()
    days = [account.first_day + timedelta(days=number) for number in range((today - account.first_day).days + 1)]
    return _of_days(days, builds, key=key)


def nightly_schedule(project: Project, account: Account) -> dg.ScheduleDefinition:
    """Builds the models that cross days once a night; on from the first start."""
    nightly = {model.name for model in project.models.values() if is_nightly(project, model)}
    read = {name for model in nightly for name in project.ancestors(model)} - nightly

    @dg.schedule(
        name=NIGHTLY,
        job_name=NIGHTLY,
        cron_schedule=_CRON,
        execution_timezone=account.zone.key,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Builds the models that cross days, every night.",
    )
    def night(warehouse: WarehouseResource) -> dg.RunRequest | dg.SkipReason:
        from b2chat_pipeline.transform.relations import missing_in

        try:
            with warehouse.connect("night") as connection:
                missing = missing_in(connection, SCHEMA, read)
        except OperatorError:
            missing = []  # the run says what is wrong with the warehouse, where people see it
        if missing:
            return dg.SkipReason(f"Nothing to build from yet: no day has been built of {', '.join(sorted(missing))}.")
        return dg.RunRequest()

    return night
