"""The same first load by dlt (`merge`, its defaults), in a process of its own.

Not here: our own load (`loads.py`). dlt reads the pages one after the other, as we do, and keeps messages in a table
of their own; it makes none of the dictionary's indexes, and has no history, books or quarantine.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from b2chat_pipeline_tests.bench.account import BenchAccount, running_account
from b2chat_pipeline_tests.bench.databases import production_server, settle
from b2chat_pipeline_tests.bench.loads import CHATS_PER_DAY, DAYS
from b2chat_pipeline_tests.bench.report import Measure, median_of
from b2chat_pipeline_tests.postgres import PostgresServer


def measure_dlt(rounds: int) -> list[Measure]:
    """One measure: how many times as long dlt takes."""
    with running_account(chats_per_day=CHATS_PER_DAY, days=DAYS) as account, production_server() as server:
        seen = [_round(account, server) for _ in range(rounds)]
    ours, theirs = ([pair[place] for pair in seen] for place in (0, 1))
    made_of = f"{median_of('dlt', theirs)}, {median_of('ours', ours)}"
    return [Measure("dlt", "dlt's time / our time, first load", 2.5, "more", [it / us for us, it in seen], made_of)]


def _round(account: BenchAccount, server: PostgresServer) -> tuple[float, float]:
    with server.database(migrated=True) as url:
        settle(url)
        started = perf_counter()
        account.load(url)
        ours = perf_counter() - started
    with server.database(migrated=True) as url, TemporaryDirectory(prefix="b2chat-dlt-") as directory:
        settle(url)
        command = [sys.executable, "-m", "b2chat_pipeline_tests.bench.dlt_load", account.url, url, directory]
        quiet = {"RUNTIME__DLTHUB_TELEMETRY": "false", "DLT_DATA_DIR": directory}
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **quiet})
    return ours, float(told.stdout.splitlines()[-1])


def _load(account: BenchAccount, url: str, directory: str) -> float:
    """Seconds of one run, without the start of the process."""
    import dlt

    def chats() -> Iterator[list[dict[str, Any]]]:
        for body in account.pages():
            yield json.loads(body)["chats"]

    # dlt wants a host and a password; those of the query come first.
    address = url.replace("postgres@/", "postgres:unused@localhost/")
    started = perf_counter()
    pipeline = dlt.pipeline("bench", pipelines_dir=directory, destination=dlt.destinations.postgres(address))
    pipeline.run(dlt.resource(chats, name="chats", write_disposition="merge", primary_key="chat_id")())
    return perf_counter() - started


if __name__ == "__main__":
    seconds = _load(BenchAccount(sys.argv[1], DAYS), sys.argv[2], sys.argv[3])
    sys.stdout.write(f"{seconds:.3f}\n")
