"""`python -m b2chat_pipeline_tests.bench`: measures, prints a table, writes build/bench.json."""

from collections.abc import Callable, Mapping, Sequence

import click

from b2chat_pipeline_tests.bench.backfill import measure_backfill
from b2chat_pipeline_tests.bench.dlt_load import measure_dlt
from b2chat_pipeline_tests.bench.loads import measure_loads
from b2chat_pipeline_tests.bench.memory import measure_memory
from b2chat_pipeline_tests.bench.report import Measure, print_report, write_report
from b2chat_pipeline_tests.bench.run_process import measure_run_process

_MEASURES: Mapping[str, Callable[[int], list[Measure]]] = {
    "loads": measure_loads,
    "dlt": measure_dlt,
    "memory": lambda _: measure_memory(),
    "run": measure_run_process,
}
# Minutes of one round; only where they are named.
_LONG: Mapping[str, Callable[[int], list[Measure]]] = {
    "month": lambda _: measure_backfill(days=31),
    "year": lambda _: measure_backfill(days=365),
}


@click.command()
@click.option("--rounds", default=5, show_default=True, help="Rounds of each ratio; the median counts.")
@click.option(
    "--only", multiple=True, type=click.Choice([*_MEASURES, *_LONG]), help="Measure just this; may be repeated."
)
def bench(rounds: int, only: Sequence[str]) -> None:
    """Measure how fast and how small the load is, as ratios within this run."""
    measures: list[Measure] = []
    for name in only or _MEASURES:
        click.echo(f"measuring {name} ...", err=True)
        measures += {**_MEASURES, **_LONG}[name](rounds)
        write_report(measures)
    print_report(measures)


bench()
