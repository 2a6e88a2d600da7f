"""One changed day of the demo's account built by `b2chat build`, and by `dbt build` from the same files.

Both are processes started anew, build every model and run every test. dbt keeps what it has parsed.
"""

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from zoneinfo import ZoneInfo

from b2chat_pipeline.commands import demo
from b2chat_pipeline.simulator import World
from b2chat_pipeline_tests.bench.databases import production_server, settle
from b2chat_pipeline_tests.bench.report import Measure, median_of
from b2chat_pipeline_tests.dbt_support import build_with_dbt
from b2chat_pipeline_tests.loading_support import all_loaded, running_pipeline

# As many days as the demo loads.
_FIRST, _LAST = date(2025, 3, 5), date(2025, 3, 12)
_CHANGED = date(2025, 3, 10)
_NOW = datetime(2025, 3, 12, 18, tzinfo=UTC)


def measure_dbt_build(rounds: int) -> list[Measure]:
    """One measure: our wall time as a share of dbt's."""
    world = World(first_day=demo.FIRST_DAY, zone=ZoneInfo(demo.ZONE))
    with (
        production_server() as server,
        server.database(migrated=True) as url,
        TemporaryDirectory(prefix="b2chat-dbt-") as folder,
    ):
        with running_pipeline(url, world, now=_NOW) as pipeline:
            if not all_loaded(pipeline.load_account(_FIRST, _LAST)):
                raise RuntimeError("not all hours of the demo's days were loaded")
        _build(url)
        build_with_dbt(url, Path(folder), f"{{time_zone: {demo.ZONE}}}", ["--full-refresh"])
        # The first of each finds cold files.
        seen = [_round(url, Path(folder)) for _ in range(rounds + 1)][1:]
    ours, theirs = ([pair[place] for pair in seen] for place in (0, 1))
    made_of = f"{median_of('ours', ours)}, {median_of('dbt', theirs)}"
    ratios = [us / it for us, it in seen]
    return [Measure("dbt_build", "one changed day: our time / dbt's time", 1 / 3, "less", ratios, made_of)]


def _round(url: str, folder: Path) -> tuple[float, float]:
    settle(url)
    started = perf_counter()
    _build(url, _CHANGED.isoformat(), (_CHANGED + timedelta(days=1)).isoformat())
    ours = perf_counter() - started
    settle(url)
    started = perf_counter()
    build_with_dbt(url, folder, f"{{time_zone: {demo.ZONE}, from_day: '{_CHANGED}', to_day: '{_CHANGED}'}}")
    return ours, perf_counter() - started


def _build(url: str, *days: str) -> None:
    command = [sys.executable, "-m", "b2chat_pipeline.cli", "build", *days]
    settings = {
        "B2CHAT_DATABASE_URL": url,
        "B2CHAT_TIMEZONE": demo.ZONE,
        "B2CHAT_START_DATE": _FIRST.isoformat(),
    }
    subprocess.run(command, check=True, env={**os.environ, **settings}, stdout=subprocess.DEVNULL)
