"""`python -m b2chat_pipeline_tests.bench`: measures, prints a table, writes build/bench.json."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import click

from b2chat_pipeline_tests.bench.backfill import measure_backfill
from b2chat_pipeline_tests.bench.dashboard import measure_dashboard
from b2chat_pipeline_tests.bench.dbt_build import measure_dbt_build
from b2chat_pipeline_tests.bench.dlt_load import measure_dlt
from b2chat_pipeline_tests.bench.loads import measure_loads
from b2chat_pipeline_tests.bench.memory import measure_memory
from b2chat_pipeline_tests.bench.models import measure_models
from b2chat_pipeline_tests.bench.planning import measure_plan
from b2chat_pipeline_tests.bench.report import Measure, print_report, write_report
from b2chat_pipeline_tests.bench.run_process import measure_run_process
from b2chat_pipeline_tests.bench.scoring import measure_scoring


@dataclass(frozen=True)
class _Scale:
    """How often, and over how much."""

    rounds: int
    # Of the accounts that are made by SQL.
    chats_per_day: int


_MEASURES: Mapping[str, Callable[[_Scale], list[Measure]]] = {
    "loads": lambda scale: measure_loads(scale.rounds),
    "dlt": lambda scale: measure_dlt(scale.rounds),
    "memory": lambda _: measure_memory(),
    "run": lambda scale: measure_run_process(scale.rounds),
    "models": lambda scale: measure_models(scale.rounds, chats_per_day=scale.chats_per_day),
    "dashboard": lambda scale: measure_dashboard(scale.rounds, chats_per_day=scale.chats_per_day),
    "scoring": lambda _: measure_scoring(),
    "dbt": lambda scale: measure_dbt_build(scale.rounds),
}
# Minutes of one round; only where they are named.
_LONG: Mapping[str, Callable[[_Scale], list[Measure]]] = {
    "month": lambda _: measure_backfill(days=31),
    "plan": lambda _: measure_plan(days=31),
    "year": lambda _: measure_backfill(days=365),
}


@click.command()
@click.option("--rounds", default=5, show_default=True, help="Rounds of each ratio; the median counts.")
@click.option(
    "--only", multiple=True, type=click.Choice([*_MEASURES, *_LONG]), help="Measure just this; may be repeated."
)
@click.option(
    "--chats-per-day",
    default=1000,
    show_default=True,
    help="Of `models` and `dashboard`; targets are for 1,000.",
)
def bench(rounds: int, only: Sequence[str], chats_per_day: int) -> None:
    """Measure how fast and how small the load and the models are, most as ratios within this run."""
    scale = _Scale(rounds, chats_per_day)
    measures: list[Measure] = []
    for name in only or _MEASURES:
        click.echo(f"measuring {name} ...", err=True)
        measures += {**_MEASURES, **_LONG}[name](scale)
        write_report(measures)
    print_report(measures)


bench()
