"""What became of the builds of changed days, as Dagster's own runs tell, and which are to be asked for again.

A build is asked for after the change that it is for, so the newest one of a day alone says whether the day stands as
the tables are. Not here: which days changed (`warehouse/changes.py`), how long a failed one waits (`policy/`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from b2chat_pipeline.partitions import RANGE_END, RANGE_START, range_tags
from b2chat_pipeline.policy import build_again_at

# How many builds of some of its days in a row have failed, if this run does too.
ATTEMPT_TAG = "b2chat/build_attempt"
_FAILED = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
# Seconds, and for each day: Dagster cannot tell that a run's process was killed, so this is how long it looks alive.
_MAX_RUNTIME, _MAX_RUNTIME_OF_DAY = 900, 15
_A_MOMENT = timedelta(seconds=1)


@dataclass(frozen=True)
class Build:
    """A run over the days from `first` to `last`."""

    first: date
    last: date
    run_id: str
    asked_for: datetime
    attempt: int
    succeeded: bool
    # When its days are to be built again, since it failed or was interrupted; None where it did not.
    again_at: datetime | None

    @property
    def days(self) -> list[date]:
        """The days it is to build."""
        return [self.first + timedelta(days=number) for number in range((self.last - self.first).days + 1)]


@dataclass(frozen=True)
class Builds:
    """The newest build of each day."""

    newest: Mapping[date, Build]

    @property
    def since(self) -> datetime | None:
        """From when on builds have to be known at the next look; None where there are none at all."""
        every = {build.asked_for: build for build in self.newest.values()}
        unsettled = [asked_for for asked_for, build in every.items() if not build.succeeded]
        since = min(unsettled) if unsettled else max(every, default=None)
        # Dagster leaves out what was made at the very time asked for.
        return since and since - _A_MOMENT

    def due(self, now: datetime) -> list[date]:
        """The days whose newest build failed, and that have waited long enough."""
        return [day for day, build in self.newest.items() if build.again_at is not None and build.again_at <= now]

    def waiting(self) -> list[str]:
        """A sentence that says how it stands with the days whose newest build failed, where there are any."""
        failed = self._failed()
        if not failed:
            return []
        worst = max(failed.values(), key=lambda build: build.attempt)
        again = min(build.again_at for build in failed.values() if build.again_at is not None)
        sentence = (
            f"{len(failed)} days from {min(failed)} to {max(failed)} could not be built, the last time in attempt"
            f" {worst.attempt}: see run {worst.run_id}. They are asked for again from {again:%Y-%m-%d %H:%M:%S} UTC on."
        )
        return [sentence]

    def tags_of_next(self, first: date, last: date) -> dict[str, str]:
        """The tags of a run that builds some days."""
        attempts = [build.attempt for day, build in self._failed().items() if first <= day <= last]
        return {
            **range_tags(first.isoformat(), last.isoformat()),
            ATTEMPT_TAG: str(max(attempts, default=0) + 1),
            "dagster/max_runtime": str(_MAX_RUNTIME + _MAX_RUNTIME_OF_DAY * ((last - first).days + 1)),
        }

    def _failed(self) -> dict[date, Build]:
        return {day: build for day, build in self.newest.items() if build.again_at is not None}


def read_builds(instance: dg.DagsterInstance, job: str, *, since: datetime) -> Builds:
    """The builds of days by a job, as far as they were asked for at that time or later."""
    records = instance.get_run_records(dg.RunsFilter(job_name=job, created_after=since), ascending=True)
    builds = (_build(record) for record in records)
    return Builds({day: build for build in builds if build is not None for day in build.days})


def _build(record: dg.RunRecord) -> Build | None:
    """The build that a run is; None where it is only a part of one."""
    run = record.dagster_run
    is_part = bool(run.asset_selection) or (run.parent_run_id is not None and bool(run.step_keys_to_execute))
    if is_part or RANGE_START not in run.tags:
        return None
    attempt = int(run.tags.get(ATTEMPT_TAG, "1"))
    ended = datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp
    return Build(
        first=date.fromisoformat(run.tags[RANGE_START]),
        last=date.fromisoformat(run.tags[RANGE_END]),
        run_id=run.run_id,
        asked_for=record.create_timestamp,
        attempt=attempt,
        succeeded=run.status == dg.DagsterRunStatus.SUCCESS,
        again_at=build_again_at(ended, attempt=attempt) if run.status in _FAILED else None,
    )
