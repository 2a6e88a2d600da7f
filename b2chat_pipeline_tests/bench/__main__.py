"""`python -m b2chat_pipeline_tests.bench`: measures, prints a table, writes build/bench.json."""

from collections.abc import Callable, Mapping, Sequence

import click

from b2chat_pipeline_tests.bench.dlt_load import measure_dlt
from b2chat_pipeline_tests.bench.loads import measure_loads
from b2chat_pipeline_tests.bench.memory import measure_memory
from b2chat_pipeline_tests.bench.report import Measure, print_report, write_report

_MEASURES: Mapping[str, Callable[[int], list[Measure]]] = {
    "loads": measure_loads,
    "dlt": measure_dlt,
    "memory": lambda _: measure_memory(),
}


@click.command()
@click.option("--rounds", default=5, show_default=True, help="Rounds of each ratio; the median counts.")
@click.option("--only", multiple=True, type=click.Choice(list(_MEASURES)), help="Measure just this; may be repeated.")
def bench(rounds: int, only: Sequence[str]) -> None:
    """Measure how fast and how small the load is, as ratios within this run."""
    measures: list[Measure] = []
    for name in only or _MEASURES:
        click.echo(f"measuring {name} ...", err=True)
        measures += _MEASURES[name](rounds)
        write_report(measures)
    print_report(measures)


bench()
