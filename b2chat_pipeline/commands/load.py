"""`b2chat load FROM TO`: loads a range of hours through Dagster, with a progress bar and a summary.

Where a daemon runs, the range becomes a backfill that the daemon works off under its limits; where none runs, the same
job runs in this process, a day's worth of hours at a time.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click
import dagster as dg

from b2chat_pipeline.assets.shell import USER_TAG
from b2chat_pipeline.commands.abandoned import end_abandoned_runs, process_lock
from b2chat_pipeline.commands.backfill import daemon_runs, run_backfill
from b2chat_pipeline.commands.databases import Databases, open_databases
from b2chat_pipeline.commands.dev import adopt
from b2chat_pipeline.commands.progress import Advance, progress_bar
from b2chat_pipeline.commands.project import dagster_environment
from b2chat_pipeline.commands.summary import print_summary
from b2chat_pipeline.definitions import build_definitions
from b2chat_pipeline.partitions import hours_between, offered_span, range_tags
from b2chat_pipeline.policy.loads import BY_DAEMON, HOURS_AT_ONCE, IN_ONE_PROCESS
from b2chat_pipeline.settings import OperatorError, check_all, read_account


class LoadStoppedError(OperatorError):
    """A load in this process was told to end, by Ctrl-C or SIGTERM, and can be gone on with."""

    # EX_TEMPFAIL of sysexits.h: nothing is wrong, and trying again helps.
    exit_status = 75


@dataclass(frozen=True)
class Request:
    """The hours to load, as partition keys in order, and who asks for them (an e-mail, or None)."""

    keys: Sequence[str]
    user: str | None

    @property
    def tags(self) -> dict[str, str]:
        """The tags of every run it leads to."""
        return {USER_TAG: self.user} if self.user else {}


def load(environ: Mapping[str, str], *, start: str, end: str, user: str | None) -> bool:
    """Load the hours from `start` to before `end` (account-local), and return whether all of them are loaded."""
    check_all(environ)
    request = Request(hours_between(read_account(environ), start, end), user)
    with open_databases(environ) as databases:
        adopt(dagster_environment(environ, dagster_url=databases.dagster, warehouse_url=databases.warehouse))
        return load_hours(request, databases)


def plan(environ: Mapping[str, str], *, start: str, end: str) -> None:
    """Print what loading the hours from `start` to before `end` would take. Raises OperatorError."""
    from b2chat_pipeline.operations.planning import load_plan
    from b2chat_pipeline.warehouse.connection import connect

    check_all(environ)
    account = read_account(environ)
    window = offered_span(account, start, end)
    with open_databases(environ) as databases:
        adopt(dagster_environment(environ, dagster_url=databases.dagster, warehouse_url=databases.warehouse))
        with dg.DagsterInstance.get() as instance:
            pace = BY_DAEMON if daemon_runs(instance) else IN_ONE_PROCESS
        with connect(databases.warehouse, purpose="plan") as connection:
            told = load_plan(connection, environ, window, pace=pace)
    click.echo(told.sentences(account.zone))


def load_hours(request: Request, databases: Databases) -> bool:
    """Load hours over databases that are ready, show the progress and a summary, and return whether all are loaded."""
    with dg.DagsterInstance.get() as instance:
        end_abandoned_runs(instance, databases.dagster)
        with progress_bar(len(request.keys), doing="Loading", unit="hours") as advance:
            if daemon_runs(instance):
                run_ids = run_backfill(instance, request.keys, request.tags, advance)
            else:
                with process_lock(databases.dagster) as tags:
                    run_ids = _run_here(instance, request.keys, {**request.tags, **tags}, advance)
        return print_summary(instance, run_ids, hours=len(request.keys), warehouse_url=databases.warehouse)


def _run_here(
    instance: dg.DagsterInstance, keys: Sequence[str], tags: Mapping[str, str], advance: Advance
) -> list[str]:
    """Run the job in this process, one run per chunk of hours."""
    job = build_definitions(os.environ).resolve_job_def("hourly_sync")
    run_ids: list[str] = []
    for first in range(0, len(keys), HOURS_AT_ONCE):
        chunk = keys[first : first + HOURS_AT_ONCE]
        try:
            run_ids.append(_run_chunk(instance, job, chunk, tags))
            advance(len(chunk))
        except KeyboardInterrupt:
            raise LoadStoppedError(
                "the load was stopped: the hours before were tried, and pages that came since are kept. Go on with"
                f" `b2chat load` from {chunk[0][:10]}T{chunk[0][11:16]}."
            ) from None
    return run_ids


def _run_chunk(
    instance: dg.DagsterInstance, job: dg.JobDefinition, keys: Sequence[str], tags: Mapping[str, str]
) -> str:
    """One run; its id. Raises KeyboardInterrupt."""
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    result = job.execute_in_process(
        instance=instance, tags={**range_tags(keys[0], keys[-1]), **tags}, run_config=quiet, raise_on_error=False
    )
    if _was_interrupted(result):
        raise KeyboardInterrupt
    return result.run_id


def _was_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    """Whether Ctrl-C, or SIGTERM, ended the run, be it outside of a step: Dagster makes a failure of it."""
    failures = result.filter_events(lambda event: event.event_type is dg.DagsterEventType.RUN_FAILURE)
    reasons = [event.job_failure_data.failure_reason for event in failures]
    return "UNEXPECTED_TERMINATION" in {reason.name for reason in reasons if reason}
