"""Peak memory of a run that loads a week of 10,000 chats a day, in a process of its own.

Not here: speed.
"""

import resource
import subprocess
import sys

from b2chat_pipeline_tests.bench.account import BenchAccount, running_account
from b2chat_pipeline_tests.bench.databases import production_server
from b2chat_pipeline_tests.bench.report import Measure

CHATS_PER_DAY, DAYS = 10_000, 7
_MB_PER_KB = 1 / 1024


def measure_memory() -> list[Measure]:
    """One measure, of one round: it hardly varies, and takes long."""
    with (
        running_account(chats_per_day=CHATS_PER_DAY, days=DAYS) as account,
        production_server() as server,
        server.database(migrated=True) as url,
    ):
        command = [sys.executable, "-m", "b2chat_pipeline_tests.bench.memory", account.url, url]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [
        Measure("peak_memory_mb", f"peak RSS in MB, {DAYS} days x {CHATS_PER_DAY:,} chats", 400, "less", [float(told)])
    ]


if __name__ == "__main__":
    BenchAccount(sys.argv[1], DAYS).load(sys.argv[2])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MB_PER_KB  # Linux tells kilobytes
    sys.stdout.write(f"{peak:.0f}\n")
