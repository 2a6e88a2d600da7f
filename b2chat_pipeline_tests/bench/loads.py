"""The first load and the unchanged re-read of 200,000 messages in 10,000 chats, against a bare COPY of the same rows.

Not here: memory (`memory.py`), Dagster (`run_process.py`), dlt (`dlt_load.py`).
"""

from dataclasses import dataclass
from time import perf_counter

from b2chat_pipeline_tests.bench.account import BenchAccount, running_account
from b2chat_pipeline_tests.bench.databases import bare_copy, production_server, settle, table_rows
from b2chat_pipeline_tests.bench.report import Measure, median_of
from b2chat_pipeline_tests.loading_support import row_versions
from b2chat_pipeline_tests.postgres import PostgresServer

CHATS_PER_DAY, DAYS = 1_000, 10


@dataclass(frozen=True)
class _Round:
    """Seconds of each, and the rows of the five tables that the re-read wrote."""

    first: float
    again: float
    copy: float
    written: int


def measure_loads(rounds: int) -> list[Measure]:
    """Three measures: first load, unchanged re-read, rows that the re-read wrote."""
    with running_account(chats_per_day=CHATS_PER_DAY, days=DAYS) as account, production_server() as server:
        seen = [_round(account, server) for _ in range(rounds)]
    first, again, copy = ([getattr(it, name) for it in seen] for name in ("first", "again", "copy"))
    return [
        Measure(
            "first_load",
            "first load: COPY time / load time",
            0.45,
            "more",
            [it.copy / it.first for it in seen],
            f"{median_of('COPY', copy)}, {median_of('load', first)}",
        ),
        Measure(
            "unchanged_reread",
            "unchanged re-read: COPY time / re-read time",
            2.0,
            "more",
            [it.copy / it.again for it in seen],
            f"{median_of('COPY', copy)}, {median_of('re-read', again)}",
        ),
        Measure("reread_rows_written", "rows the re-read wrote", 0, "less", [it.written for it in seen]),
    ]


def _round(account: BenchAccount, server: PostgresServer) -> _Round:
    with server.database(migrated=True) as url:
        first = _timed_load(account, url)
        before = row_versions(url)
        again = _timed_load(account, url)
        written = _written(before, row_versions(url))
        rows = table_rows(url)
    with server.database(migrated=True) as url:
        return _Round(first, again, bare_copy(url, rows), written)


def _timed_load(account: BenchAccount, url: str) -> float:
    settle(url)
    started = perf_counter()
    account.load(url)
    return perf_counter() - started


def _written(before: dict[str, list[dict[str, object]]], after: dict[str, list[dict[str, object]]]) -> int:
    """How many rows are new or lie elsewhere."""
    versions = {table: {tuple(row.values()) for row in rows} for table, rows in before.items()}
    return sum(tuple(row.values()) not in versions[table] for table, rows in after.items() for row in rows)
