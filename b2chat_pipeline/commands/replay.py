"""`b2chat replay FROM TO`: rebuilds the tables from stored pages beside the live ones, and prints how they differ.

Not here: the rebuilding (`ingest/replay.py`), what is compared (`warehouse/differences.py`).
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from b2chat_pipeline.commands.databases import open_warehouse
from b2chat_pipeline.commands.progress import progress_bar
from b2chat_pipeline.settings import Account, SettingsError, read_account
from b2chat_pipeline.span import read_span, require_whole_hours
from b2chat_pipeline.warehouse.location import warehouse_url
from b2chat_pipeline.windows import AccountClock, Window

if TYPE_CHECKING:
    from b2chat_pipeline.ingest.replay import WindowCompared

_HEADINGS = ("", "compared", "differ", "only in the tables", "only in the pages", "judged in part")
# Differences of a table that fit on one screen.
_SHOWN = 10


def replay(environ: Mapping[str, str], *, start: str, end: str) -> bool:
    """Rebuild and compare the hours from `start` to before `end` (account-local); whether nothing differs."""
    from b2chat_pipeline.ingest.bookkeeping import Work, stopping
    from b2chat_pipeline.ingest.replay import Place
    from b2chat_pipeline.ingest.replay import replay as rebuild
    from b2chat_pipeline.warehouse.accounts import require_zone
    from b2chat_pipeline.warehouse.connection import connect

    account = read_account(environ)
    window = read_span(account, start, end)
    require_whole_hours(window, account, start, end)
    _require_over(window, account, start, end)
    with ExitStack() as stack:
        url = warehouse_url(stack.enter_context(open_warehouse(environ)))
        live, side = (stack.enter_context(connect(url, purpose=purpose)) for purpose in ("compare", "replay"))
        with stopping(Work(f"the rebuild of {window}", again="run `b2chat replay` again"), live):
            require_zone(live, account.zone.key)
        bar = stack.enter_context(ExitStack())

        def begin(loads: int) -> Callable[[int], None]:
            # An hour was loaded once or more, on each side of the API.
            return bar.enter_context(progress_bar(loads, doing="Rebuilding", unit="loads of an hour"))

        replayed = rebuild(window, Place(live, side, AccountClock(account.zone), lambda: datetime.now(UTC)), begin)
        bar.close()
        _print(replayed)
    return replayed.equal


def _require_over(window: Window, account: Account, start: str, end: str) -> None:
    """Raises SettingsError where hours of the window are not over, so that nothing can have loaded them."""
    now = datetime.now(account.zone)
    if window.end > now:
        raise SettingsError(
            f"{start} .. {end} holds hours that are not over yet: end at {now:%Y-%m-%dT%H}:00 or before."
        )


def _print(replayed: "WindowCompared") -> None:
    from rich.console import Console
    from rich.table import Table

    from b2chat_pipeline.warehouse.side_schema import SIDE

    table = Table(title=f"{replayed.hours:,} hours rebuilt from {replayed.reads:,} reads")
    for place, heading in enumerate(_HEADINGS):
        table.add_column(heading, justify="right" if place else "left", no_wrap=not place)
    for it in replayed.tables:
        kinds = (it.count("differs"), it.count("only in the tables"), it.count("only in the pages"))
        table.add_row(it.table, *(f"{number:,}" for number in (it.rows, *kinds, it.partly)))
    Console().print(table)
    for it in replayed.tables:
        for difference in it.differences[:_SHOWN]:
            columns = f": {', '.join(difference.columns)}" if difference.columns else ""
            click.echo(f"{it.table} {difference.id} {difference.kind}{columns}")
        if len(it.differences) > _SHOWN:
            click.echo(f"{it.table}: … and {len(it.differences) - _SHOWN:,} more")
    found = sum(len(it.differences) for it in replayed.tables)
    if found:
        rows = "1 row differs" if found == 1 else f"{found:,} rows differ"
        click.echo(f"{rows}; {SIDE}.differences holds every one, beside the rebuilt tables.")
    else:
        click.echo(f"The tables say what the stored pages say. The rebuilt ones are in schema {SIDE}.")
