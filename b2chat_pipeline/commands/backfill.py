"""Hands partitions to a running daemon as a backfill, and waits for those of a load.

Neither schedules nor sensors nor Python code can ask for a backfill through a public function; GraphQL can, and
`dagster-graphql` is the public way to it that needs no webserver.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import dagster as dg

from b2chat_pipeline.assets.sides import ASSETS
from b2chat_pipeline.commands.progress import Advance
from b2chat_pipeline.commands.project import project_folder
from b2chat_pipeline.partitions import range_of
from b2chat_pipeline.settings import OperatorError

# Seconds. A daemon says every 30 that it lives; Dagster itself takes its silence for death after half an hour only.
SILENCE = 90.0
_LAUNCH = """
mutation {
  launchPartitionBackfill(backfillParams: PARAMS) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
    ... on UnauthorizedError { message }
  }
}
"""


class BackfillError(OperatorError):
    """The daemon was not given the backfill, or did not finish it."""


def daemon_runs(instance: dg.DagsterInstance) -> bool:
    """Whether a daemon has lately said that it works off backfills."""
    heartbeat = instance.get_daemon_heartbeats().get("BACKFILL")
    return heartbeat is not None and time.time() - heartbeat.timestamp < SILENCE


def run_backfill(
    instance: dg.DagsterInstance, keys: Sequence[str], tags: Mapping[str, str], advance: Advance
) -> list[str]:
    """Launch a backfill of the hours, wait until they are worked off, and return the ids of its runs.

    Raises BackfillError, also where Ctrl-C ends the waiting.
    """
    backfill_id = launch_backfill(ASSETS, keys, tags, title=f"b2chat load {keys[0]} .. {keys[-1]}")
    try:
        return _wait_for(instance, backfill_id, keys, advance)
    except KeyboardInterrupt:
        raise BackfillError(
            f"the command was stopped, and the daemon goes on with backfill {backfill_id}: watch it, or cancel it,"
            " in the UI."
        ) from None


def _wait_for(instance: dg.DagsterInstance, backfill_id: str, keys: Sequence[str], advance: Advance) -> list[str]:
    """Wait until a backfill is worked off; the ids of its runs. Raises BackfillError."""
    done: dict[str, int] = {}
    while True:
        ended = _has_ended(instance, backfill_id)
        runs = instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill_id}))
        for run in runs:
            if run.is_finished and run.run_id not in done:
                done[run.run_id] = _hours(run, keys)
                advance(done[run.run_id])
        # The daemon sees up to half a minute later than we that nothing is left to do.
        loaded = all(run.is_success for run in runs) and sum(done.values()) == len(keys)
        if loaded or (ended and all(run.is_finished for run in runs)):
            return [run.run_id for run in runs]
        if not daemon_runs(instance):
            raise BackfillError(f"the daemon stopped during backfill {backfill_id}: `b2chat dev` goes on with it.")
        time.sleep(1)


def launch_backfill(assets: Sequence[str], keys: Sequence[str], tags: Mapping[str, str], *, title: str) -> str:
    """Hand partitions of some assets to the daemon; the backfill's id. Raises BackfillError."""
    params = {
        "assetSelection": [{"path": [asset]} for asset in assets],
        "partitionNames": list(keys),
        "tags": [{"key": key, "value": value} for key, value in tags.items()],
        "title": title,
    }
    with tempfile.TemporaryDirectory() as folder:
        query, answer = Path(folder) / "query.graphql", Path(folder) / "answer.json"
        # In the document, since variables go on the command line, which is too short for a year of hours.
        query.write_text(_LAUNCH.replace("PARAMS", _literal(params)))
        command = [str(Path(sys.executable).parent / "dagster-graphql"), "-w", str(project_folder() / "workspace.yaml")]
        command += ["--file", str(query), "--output", str(answer)]
        subprocess.run(command, check=False, capture_output=True)  # noqa: S603 - the command is ours
        told = json.loads(answer.read_text()) if answer.exists() else {}
    launched = (told.get("data") or {}).get("launchPartitionBackfill") or {}
    if "backfillId" not in launched:
        reason = launched.get("message") or launched.get("__typename") or "no answer"
        raise BackfillError(f"the daemon was not given the backfill ({reason}): look at the logs of `b2chat dev`.")
    return str(launched["backfillId"])


def _has_ended(instance: dg.DagsterInstance, backfill_id: str) -> bool:
    backfill = instance.get_backfill(backfill_id)
    return backfill is None or backfill.status.name not in {"REQUESTED", "CANCELING", "FAILING"}


def _hours(run: dg.DagsterRun, keys: Sequence[str]) -> int:
    start, end = range_of(run.tags) or (None, None)
    return keys.index(end) - keys.index(start) + 1 if start in keys and end in keys else 0


def _literal(value: object) -> str:
    """A value in GraphQL's own notation: JSON, but for the bare names of fields."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_literal(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return json.dumps(value)
