"""`python -m b2chat_pipeline_tests.bench.staleness`: how long a change takes to show, at full size: `make staleness`.

Forty days of an account are loaded for real, then some hours are lived through on the simulator's clock, which runs
while the pipeline works and jumps to what is due next. Not here: how that is done (`staleness_support.py`).
"""

import sys
from datetime import UTC, date, datetime, timedelta
from statistics import median
from zoneinfo import ZoneInfo

import click

from b2chat_pipeline.policy import request_share
from b2chat_pipeline.simulator import FLAT_WEEK, World
from b2chat_pipeline_tests.bench.databases import production_server
from b2chat_pipeline_tests.bench.report import Measure, print_report, write_report
from b2chat_pipeline_tests.staleness_support import Life, life

_FIRST_DAY, _DAYS = date(2025, 3, 3), 40
# A Friday at seven in the morning, after forty days.
_NOW = datetime(2025, 4, 11, 12, 0, tzinfo=UTC)
_PER_DAY = 10_000
_BOUND = 3.0


@click.command()
@click.option("--chats", default=1000, show_default=True, help="Chats a day.")
@click.option("--hours", default=24, show_default=True, help="Hours to live through.")
def measure(chats: int, hours: int) -> None:
    """Measure the largest lag between a change at the source and in the tables, and what re-reads cost."""
    world = World(first_day=_FIRST_DAY, zone=ZoneInfo("America/Bogota"), chats_per_day=chats, weekly_shape=FLAT_WEEK)
    with (
        production_server() as server,
        server.database(migrated=True) as url,
        life(url, world, now=_NOW, per_day=_PER_DAY) as pipeline,
    ):
        click.echo(f"{_DAYS} days x {chats} chats are loaded", err=True)
        for _ in range(hours):
            pipeline.live(pipeline.clock.now().replace(minute=0, second=0) + timedelta(hours=1))
            click.echo(f"{pipeline.clock.now():%H:%M} {_said(pipeline)}", err=True)
        measures = _measures(pipeline)
    write_report(measures)
    print_report(measures)
    sys.exit(not all(it.met for it in measures))


def _measures(pipeline: Life) -> list[Measure]:
    share = request_share("reread", _PER_DAY)
    spent = [day["reread"] for day in pipeline.spent().values()]
    late = [(age - promised) / timedelta(hours=1) for age, promised in pipeline.kept]
    lag = pipeline.longest_lag() / timedelta(hours=1)
    return [
        Measure("largest_lag_hours", "largest lag of a change, in hours", _BOUND, "less", [lag], _said(pipeline)),
        Measure("staleness_over_promise", "largest staleness less its promise, in hours", 0, "less", [max(late)]),
        Measure("reread_share", "re-reads' requests in a day / their share", 1, "less", [max(spent) / share]),
    ]


def _said(pipeline: Life) -> str:
    lags = [lag / timedelta(hours=1) for lag in pipeline.watch.lags]
    largest, middle = pipeline.longest_lag() / timedelta(hours=1), median(lags or [0.0])
    spent = {day.isoformat(): kinds for day, kinds in pipeline.spent().items()}
    return (
        f"{len(lags)} changes, largest lag {largest:.2f} h, median {middle:.2f} h;"
        f" {len(pipeline.kept)} days read again; requests {spent}"
    )


if __name__ == "__main__":
    measure()
