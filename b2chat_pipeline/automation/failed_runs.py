"""Dagster's runs that did not end well, or may have died, as the policy takes them.

Not here: what follows (`policy/troubles.py`).

What a run says of itself is kept only where it is a sentence of ours: the text of a library may quote a record.
"""

from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from b2chat_pipeline.assets.shell import ERROR_CODE
from b2chat_pipeline.assets.sides import ASSETS
from b2chat_pipeline.partitions import RANGE_END, RANGE_START
from b2chat_pipeline.policy.troubles import DIED, Failure

_FAILED = [dg.DagsterRunStatus.FAILURE]
_PARTITION = "dagster/partition"
# Dagster runs it again by itself, and that run tells.
_WILL_RETRY = "dagster/will_retry"
_NAMED_ASSETS = 3
_LOADS = frozenset({"hourly_sync", "rereads", "contacts_full_read"})
_LOADED = frozenset({*ASSETS, "chat_updates", "all_contacts"})


def failed_runs(instance: dg.DagsterInstance, *, since: datetime, told: Collection[str]) -> list[Failure]:
    """The runs that failed since then, but for some whose failure is told elsewhere."""
    records = instance.get_run_records(dg.RunsFilter(statuses=_FAILED, created_after=since))
    failed = [
        record
        for record in records
        if record.dagster_run.run_id not in told and record.dagster_run.tags.get(_WILL_RETRY) != "true"
    ]
    done = _Done(instance, failed)
    return [_failure(instance, record, over=done.since(record)) for record in failed]


def last_words(instance: dg.DagsterInstance) -> dict[str, datetime]:
    """The runs that do nothing but load, and that Dagster takes for running, by when each said something last."""
    said = {}
    for record in instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        run = record.dagster_run
        if not _loads(run):
            continue
        newest = instance.get_records_for_run(run.run_id, limit=1, ascending=False).records
        said[run.run_id] = max([record.create_timestamp, *(_time(it) for it in newest)])
    return said


def _loads(run: dg.DagsterRun) -> bool:
    """Whether a run does nothing but load: then it has a sync open nearly all the time."""
    chosen = {key.to_user_string() for key in run.asset_selection or ()}
    return chosen <= _LOADED if chosen else run.job_name in _LOADS


def _time(record: dg.EventLogRecord) -> datetime:
    return datetime.fromtimestamp(record.timestamp, UTC)


class _Done:
    """What runs of the jobs that failed have done, and when they ended."""

    def __init__(self, instance: dg.DagsterInstance, failed: Collection[dg.RunRecord]) -> None:
        self._records: list[dg.RunRecord] = []
        for job in {record.dagster_run.job_name for record in failed}:
            first = min(it.create_timestamp for it in failed if it.dagster_run.job_name == job)
            self._records += instance.get_run_records(
                dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.SUCCESS], created_after=first)
            )

    def since(self, failed: dg.RunRecord) -> bool:
        """Whether all that a run was to do was done by others that began after it: every day, where it has some."""
        others = [
            record.dagster_run
            for record in self._records
            if subject(record.dagster_run) == subject(failed.dagster_run)
            and record.create_timestamp > failed.create_timestamp
        ]
        missing = _days(failed.dagster_run)
        return bool(others) and missing <= {day for run in others for day in _days(run)}


def subject(run: dg.DagsterRun) -> str:
    """What a run was to do: the name of its job, or of the assets that somebody chose."""
    if not run.job_name.startswith("__"):
        return f"The job {run.job_name}"
    assets = sorted(key.to_user_string() for key in run.asset_selection or ())
    more = f" and {len(assets) - _NAMED_ASSETS} more" if len(assets) > _NAMED_ASSETS else ""
    return f"A run of {', '.join(assets[:_NAMED_ASSETS])}{more}"


def _days(run: dg.DagsterRun) -> set[date]:
    """The days that a run covers; none where it has no partitions. Keys of hours and of days begin with the day."""
    first = run.tags.get(RANGE_START) or run.tags.get(_PARTITION)
    last = run.tags.get(RANGE_END) or first
    if not first or not last:
        return set()
    begin, end = date.fromisoformat(first[:10]), date.fromisoformat(last[:10])
    return {begin + timedelta(days=number) for number in range((end - begin).days + 1)}


def _failure(instance: dg.DagsterInstance, record: dg.RunRecord, *, over: bool) -> Failure:
    run = record.dagster_run
    ended = datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp
    code, sentence = _told(instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE))
    return Failure(
        subject=subject(run),
        code=code or DIED,
        sentence=sentence or f"Run {run.run_id} ended without saying why: its process died, or was ended.",
        ended=ended,
        run_id=run.run_id,
        over=over,
    )


def _told(failures: Iterable[dg.EventLogEntry]) -> tuple[str | None, str | None]:
    """The code and the sentence of a run's first failed step; None where no step failed."""
    for entry in failures:
        event = entry.dagster_event
        if event is None:
            continue
        own = event.step_failure_data.user_failure_data
        if own is None or not own.description:
            return "RunFailed", f"Step {event.step_key} of run {entry.run_id} failed: read there why."
        code = own.metadata.get(ERROR_CODE)
        return (str(code.value) if code else "RunFailed"), own.description
    return None, None
