"""How long Dagster's own history is kept: events of runs, results of checks, and what runs printed.

Runs are never deleted: with a run Dagster forgets that its partitions are materialized or have failed. Nor is the
newest event of each kind that an asset, or a partition of one, has: from these their colours are worked out. Not here:
ticks, which Dagster removes itself (`retention` in dagster.yaml).
"""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from psycopg import Connection, sql

from b2chat_pipeline.settings import OperatorError
from b2chat_pipeline.warehouse.address import psycopg_url
from b2chat_pipeline.warehouse.removal import remove

EVENTS_KEPT = timedelta(days=30)
OUTPUTS = "output of runs"
_OPEN_BACKFILLS = [BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING, BulkActionStatus.FAILING]
# A partition whose planned event is the newest has failed, or is being materialized, by what became of that run.
_EVENTS = sql.SQL("""
    t.timestamp < %(before)s and t.run_id <> all(%(unfinished)s)
    and (t.asset_key is null
         or t.dagster_event_type = any(%(kinds)s) and case
            when t.partition is null
            then exists (select from event_logs newer
                          where newer.asset_key = t.asset_key and newer.dagster_event_type = t.dagster_event_type
                            and newer.partition is null and newer.id > t.id offset 0)
            else exists (select from event_logs newer
                          where newer.asset_key = t.asset_key and newer.dagster_event_type = t.dagster_event_type
                            and newer.partition = t.partition and newer.id > t.id offset 0)
            end)
""")
_KINDS = ["ASSET_MATERIALIZATION", "ASSET_MATERIALIZATION_PLANNED", "ASSET_FAILED_TO_MATERIALIZE"]
_TAGS = sql.SQL("not exists (select from event_logs event where event.id = t.event_id offset 0)")
_CHECKS = sql.SQL("""
    t.create_timestamp < %(before)s and t.run_id <> all(%(unfinished)s)
    and exists (select from asset_check_executions newer
                 where newer.asset_key = t.asset_key and newer.check_name = t.check_name
                   and newer.partition is not distinct from t.partition
                   and newer.execution_status <> 'PLANNED' and newer.id > t.id offset 0)
""")


class EventRetentionError(OperatorError):
    """Dagster's history cannot be pruned."""


def retain_events(instance: dg.DagsterInstance, *, now: datetime, dry_run: bool = False) -> dict[str, int]:
    """Remove what is older than EVENTS_KEPT and that nothing is worked out from any more; how many rows of each table,
    and of how many runs the output.

    Runs that are not finished keep everything, and so does what happened since an open backfill began. A dry run
    removes nothing, and tells what would be. Raises EventRetentionError where Dagster's storage is no PostgreSQL.
    """
    from dagster_postgres import PostgresEventLogStorage

    storage = instance.event_log_storage
    if not isinstance(storage, PostgresEventLogStorage):
        raise EventRetentionError(
            "Dagster's history cannot be pruned, since its storage is no PostgreSQL: set DAGSTER_HOME to the project's"
            " folder, whose dagster.yaml names one."
        )
    unfinished = {run.run_id for run in instance.get_runs(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES))}
    open_since = [
        datetime.fromtimestamp(it.backfill_timestamp, UTC)
        for it in instance.get_backfills(filters=BulkActionsFilter(statuses=_OPEN_BACKFILLS))
    ]
    before = min([now - EVENTS_KEPT, *open_since])
    # Dagster's columns hold UTC without saying so.
    values = {"before": before.replace(tzinfo=None), "unfinished": list(unfinished), "kinds": _KINDS}
    options = "-c timezone=UTC"
    url = psycopg_url(storage.postgres_url)
    with Connection.connect(
        url, autocommit=True, application_name="b2chat event retention", options=options
    ) as connection:
        return {
            "event_logs": remove(connection, "event_logs", _EVENTS, values, dry_run=dry_run),
            "asset_event_tags": remove(connection, "asset_event_tags", _TAGS, {}, dry_run=dry_run),
            "asset_check_executions": remove(connection, "asset_check_executions", _CHECKS, values, dry_run=dry_run),
            OUTPUTS: _remove_outputs(instance, before=before, unfinished=unfinished, dry_run=dry_run),
        }


def _remove_outputs(
    instance: dg.DagsterInstance, *, before: datetime, unfinished: Collection[str], dry_run: bool
) -> int:
    """Remove what old runs of this machine printed; elsewhere that is up to where the output is kept."""
    manager = instance.compute_log_manager
    if not isinstance(manager, LocalComputeLogManager):
        return 0
    # The folder of a log without a name is that of all of them.
    base = Path(manager.get_captured_local_path(["any"], "out")).parent
    outputs = (it for it in base.glob("*/compute_logs") if it.parent.name not in unfinished)
    old = [it for it in outputs if it.stat().st_mtime < before.timestamp()]
    for folder in old if not dry_run else ():
        manager.delete_logs(prefix=[folder.parent.name, folder.name])
        if not any(folder.parent.iterdir()):
            folder.parent.rmdir()
    return len(old)
