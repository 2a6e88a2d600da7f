"""`b2chat build [FROM TO]`: builds the SQL models, with a progress bar and a summary.

Not here: the building (`transform/`).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from b2chat_pipeline.commands.databases import connected_warehouse
from b2chat_pipeline.commands.progress import progress_bar
from b2chat_pipeline.settings import Account, read_account
from b2chat_pipeline.span import read_days

if TYPE_CHECKING:
    from b2chat_pipeline.transform.run import ModelOutcome
    from b2chat_pipeline.transform.target import Days


def build(environ: Mapping[str, str], *, start: str | None, end: str | None) -> bool:
    """Build all models, the incremental ones for the days from `start` to before `end`; whether all is well."""
    from b2chat_pipeline.transform.project import models_folder, read_project
    from b2chat_pipeline.transform.run import run
    from b2chat_pipeline.transform.target import Target
    from b2chat_pipeline.warehouse.accounts import require_zone

    account = read_account(environ)
    days = _days(account, start, end)
    target = Target(read_project(models_folder()), {"time_zone": account.zone.key})
    models = target.project.models
    work, again = "the build of the SQL models", "run `b2chat build` again"
    with connected_warehouse(environ, purpose="build", work=work, again=again) as (_, connection):
        require_zone(connection, account.zone.key)
        with progress_bar(len(models), doing="Building", unit="models") as advance:
            outcomes = run(connection, target, models, days, lambda _: advance(1))
    _print(outcomes, days)
    return all(outcome.stands for outcome in outcomes)


def _days(account: Account, start: str | None, end: str | None) -> "Days | None":
    from b2chat_pipeline.transform.target import Days

    if start is None or end is None:
        return None
    return Days(*read_days(account, start, end))


def _print(outcomes: "Sequence[ModelOutcome]", days: "Days | None") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{len(outcomes)} models, {days or 'all days'}")
    for place, heading in enumerate(("", "kind", "rows", "seconds", "tests", "failed")):
        table.add_column(heading, justify="right" if place > 1 else "left", no_wrap=not place)
    for it in outcomes:
        told = (f"{it.built.rows:,}", f"{it.built.seconds:.2f}") if it.built else ("", "")
        failed = sum(not checked.passed for checked in it.checks)
        table.add_row(it.model.name, it.model.materialized, *told, str(len(it.checks)), str(failed or ""))
    Console().print(table)
    for it in outcomes:
        if it.problem:
            click.echo(f"{it.model.name}: {it.problem}")
        for checked in it.checks:
            if not checked.passed:
                kind = "Failed" if checked.blocks else "Warning"
                click.echo(
                    f"{kind}: {checked.test.name}: rows that break it: {checked.failing:,} ({checked.test.place})."
                )
