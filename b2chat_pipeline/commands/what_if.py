"""`b2chat what-if CLOCK SECONDS FROM TO`: prints the attainment with another target beside the reported one.

Not here: the counting (`transform/what_if.py`).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from b2chat_pipeline.commands.databases import connected_warehouse
from b2chat_pipeline.settings import read_account
from b2chat_pipeline.span import read_days

if TYPE_CHECKING:
    from b2chat_pipeline.transform.what_if import Attainment


def what_if(environ: Mapping[str, str], *, clock: str, seconds: int, start: str, end: str) -> None:
    """Print both attainments of the chats created from `start` to before `end`. Raises ModelError and SettingsError."""
    from rich.console import Console
    from rich.table import Table

    from b2chat_pipeline.transform.target import Days
    from b2chat_pipeline.transform.what_if import what_if as run

    days = Days(*read_days(read_account(environ), start, end))
    work, again = "the count", "run this again"
    with connected_warehouse(environ, purpose="what-if", work=work, again=again) as (_, connection):
        reported, supposed = run(connection, clock, seconds, days)
    table = Table(title=f"{clock}, chats created {days}")
    for place, heading in enumerate(("target", "met", "missed", "still open", "not judged", "attainment")):
        table.add_column(heading, justify="right" if place else "left", no_wrap=True)
    table.add_row("as reported", *_shown(reported))
    table.add_row(f"{seconds:,} seconds", *_shown(supposed))
    Console().print(table)
    if not reported.chats:
        click.echo(
            f"No chat that is built of these days is under a policy for {clock}: where the days were never built,"
            f" `b2chat build {start} {end}` does it."
        )
    click.echo("Time is counted as each chat's policy counts it. Nothing was changed.")


def _shown(attainment: "Attainment") -> list[str]:
    counts = (attainment.met, attainment.breached, attainment.running, attainment.not_judged)
    share = "" if attainment.share is None else f"{attainment.share:.1%}"
    return [*(f"{count:,}" for count in counts), share]
