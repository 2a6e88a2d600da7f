"""A range of hours handed to the real daemon as a backfill, against one process that loads the same hours.

Not here: what one run costs (`run_process.py`), or the load itself (`loads.py`). Everything runs as a user has it:
`b2chat dev`, then `b2chat load`, which waits for the backfill. The other side is one process without Dagster that reads
and loads the whole range at once. Both times include the start of the process that is waited for.
"""

import signal
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import psycopg

from b2chat_pipeline.assets.sides import ASSETS
from b2chat_pipeline.b2chat.contract import CHATS, CONTACTS
from b2chat_pipeline.commands.ports import free_port
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline_tests.bench.account import FIRST_DAY, BenchAccount, running_account
from b2chat_pipeline_tests.bench.databases import TABLES, production_server, settle
from b2chat_pipeline_tests.bench.report import Measure, median_of
from b2chat_pipeline_tests.command_support import home_in, wait_for_daemon, wait_for_line
from b2chat_pipeline_tests.dagster_support import account_environment

CHATS_PER_DAY = 200
# Not the contacts: beside the backfill the daemon reads all there are, as it does at its first start.
_TABLES = [table for table in TABLES if table != "contacts"]
# Seconds that a backfill may take before it counts as hanging.
_PATIENCE = 3600


def measure_backfill(*, days: int) -> list[Measure]:
    """One measure, of one round: it takes long. Raises RuntimeError where an hour is missing, or a row."""
    with running_account(chats_per_day=CHATS_PER_DAY, days=days) as account, production_server() as server:
        with server.database(migrated=True) as url:
            alone = _one_process(account, url)
            expected = _row_counts(url)
        with server.database(migrated=True) as url, server.database(migrated=False) as dagster_url:
            daemon = _through_daemon(account, url, dagster_url)
            _require_all(account, dagster_url)
            if _row_counts(url) != expected:
                raise RuntimeError(f"the backfill loaded {_row_counts(url)}, one process {expected}")
    return [
        Measure(
            f"backfill_of_{days}_days",
            f"backfill through the daemon / one process, {24 * days:,} hours",
            3.0,
            "less",
            [daemon / alone],
            f"{median_of('backfill', [daemon])}, {median_of('one process', [alone])}",
        )
    ]


def _one_process(account: BenchAccount, url: str) -> float:
    settle(url)
    command = [sys.executable, "-m", "b2chat_pipeline_tests.bench.backfill", account.url, url, str(account.days)]
    started = perf_counter()
    subprocess.run(command, check=True)
    return perf_counter() - started


def _through_daemon(account: BenchAccount, url: str, dagster_url: str) -> float:
    settings = account_environment(account.url, url) | {"DAGSTER_DATABASE_URL": dagster_url}
    end = account.last_day + timedelta(days=1)
    with (
        TemporaryDirectory(prefix="b2chat-bench-") as folder,
        home_in(Path(folder)) as home,
        home.running(["b2chat", "dev", "--port", str(free_port())], settings) as dev,
    ):
        wait_for_line(dev.stdout, "Dagster is at ")
        wait_for_daemon(dagster_url)
        settle(url)
        started = perf_counter()
        said = home.run(["b2chat", "load", FIRST_DAY.isoformat(), end.isoformat()], settings, seconds=_PATIENCE)
        took = perf_counter() - started
        dev.send_signal(signal.SIGTERM)
        dev.wait(60)
    if said.status:
        raise RuntimeError(f"`b2chat load` ended with {said.status}: {said.output[-2000:]}{said.errors[-2000:]}")
    return took


def _require_all(account: BenchAccount, dagster_url: str) -> None:
    """Every hour asked for is materialized, of every asset of both sides, with counts of its own."""
    keys = [f'["{asset}"]' for asset in ASSETS]
    end = (account.last_day + timedelta(days=1)).isoformat()
    with psycopg.connect(dagster_url) as connection:
        found = connection.execute(
            "select asset_key, count(distinct partition) from event_logs where partition < %s and dagster_event_type ="
            " 'ASSET_MATERIALIZATION' and event like '%%dagster/partition_row_count%%' and asset_key = any(%s)"
            " group by 1",
            [end, keys],
        ).fetchall()
    if dict(found) != dict.fromkeys(keys, 24 * account.days):
        raise RuntimeError(f"not every hour was materialized: {found}")


def _row_counts(url: str) -> Mapping[str, int]:
    with connect(url, purpose="bench") as connection:
        counts = (connection.execute(f"select count(*) from {table}".encode()).fetchone() for table in _TABLES)  # noqa: S608
        return {table: row[0] for table, row in zip(_TABLES, counts, strict=True) if row}


if __name__ == "__main__":
    for endpoint in (CHATS, CONTACTS):
        BenchAccount(sys.argv[1], int(sys.argv[3])).load(sys.argv[2], endpoint)
