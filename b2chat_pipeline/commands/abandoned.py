"""Dagster runs that a killed `b2chat load` leaves behind: they would look alive, and take up the slots of others.

A run in the process of the command has no worker that Dagster could ask for. So the command holds a lock in Dagster's
database while it lives, its runs are tagged with the lock's name, and the next command or `b2chat dev` ends the runs
whose lock nobody holds. Not here: the books of a dead sync, which the next sync closes (`warehouse/books.py`).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import psycopg

from b2chat_pipeline.warehouse.address import psycopg_url
from b2chat_pipeline.warehouse.identifiers import new_id

# Names the process that a run is in.
PROCESS_TAG = "b2chat/process"
_UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@contextmanager
def process_lock(dagster_url: str) -> Iterator[dict[str, str]]:
    """The tags of runs in this process; until the block ends, however it ends, they count as alive."""
    process = new_id()
    with _connected(dagster_url) as connection:
        _take(connection, process)
        # Nor could the daemon run it again: it does not know the run's code.
        yield {PROCESS_TAG: process, "dagster/max_retries": "0"}


def end_abandoned_runs(instance: dg.DagsterInstance, dagster_url: str) -> list[str]:
    """Report runs as failed whose process is gone; their ids."""
    runs = instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED))
    ours = [run for run in runs if PROCESS_TAG in run.tags]
    if not ours:
        return []
    with _connected(dagster_url) as connection:
        ended = [run for run in ours if _take(connection, run.tags[PROCESS_TAG])]
        for run in ended:
            instance.report_run_failed(run, "The process of this run died: load its hours again.")
    return [run.run_id for run in ended]


def _connected(dagster_url: str) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(psycopg_url(dagster_url), autocommit=True, application_name="b2chat runs")


def _take(connection: "psycopg.Connection[tuple[object, ...]]", process: str) -> bool:
    """Whether this connection now has the lock of a process; it goes with the connection."""
    query = "select pg_try_advisory_lock(hashtextextended(%s, 0))"
    row = connection.execute(query, (f"b2chat process {process}",)).fetchone()
    return row is not None and bool(row[0])
