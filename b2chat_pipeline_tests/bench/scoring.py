"""Peak memory of a process that sends a thousand conversations in batches, and collects their scores.

Not here: speed, which is the service's.
"""

import resource
import subprocess
import sys

from b2chat_pipeline_tests.batch_support import Batches, BatchWork
from b2chat_pipeline_tests.bench.databases import production_server
from b2chat_pipeline_tests.bench.report import Measure
from b2chat_pipeline_tests.scoring_support import TALK, chat, running_bench, talk

CHATS, MESSAGES = 1000, 40
_MB_PER_KB = 1 / 1024


def measure_scoring() -> list[Measure]:
    """One measure, of one round: it hardly varies."""
    more = [(number % 2 == 1, f"{number}: {TALK[number % len(TALK)][1]}") for number in range(len(TALK), MESSAGES)]
    with production_server() as server, server.database(migrated=True) as url, running_bench(url) as bench:
        bench.hold(*(chat(f"c{number}", messages=talk(*TALK, *more)) for number in range(CHATS)))
        bench.configure(day="100", month="1000")
        batches = Batches(bench.server.url, lambda: bench.now, have_ended=True)
        bench.server.otherwise = batches.answer
        command = [sys.executable, "-m", "b2chat_pipeline_tests.bench.scoring", url, bench.server.url]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        [(scored,)] = bench.rows("select count(distinct chat_id) from effectiveness_analysis")
    if scored != CHATS:
        raise AssertionError(f"{scored} of {CHATS} conversations are scored")
    seen = f"{MESSAGES} messages each, {len(batches.created)} batches"
    return [
        Measure("scoring_memory_mb", f"peak RSS in MB, {CHATS:,} chats in batches", 400, "less", [float(told)], seen)
    ]


if __name__ == "__main__":
    for collects in (False, True):
        BatchWork(sys.argv[1], sys.argv[2], collects=collects).do()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MB_PER_KB  # Linux tells kilobytes
    sys.stdout.write(f"{peak:.0f}\n")
