"""`b2chat db retain`: removes what is older than its retention, or says what would be removed.

Not here: what is removed (`warehouse/retention.py`, `warehouse/books_retention.py`, `event_retention.py`).
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import click

from b2chat_pipeline.commands.databases import connected_warehouse
from b2chat_pipeline.commands.existing import existing_instance
from b2chat_pipeline.settings import Storage, read_raw_retention
from b2chat_pipeline.warehouse.location import warehouse_place


def retain(environ: Mapping[str, str], *, dry_run: bool) -> None:
    """Remove old raw pages, books, and events of Dagster, and print what was done; a dry run removes nothing.

    Raises WarehouseStoppedError where PostgreSQL goes away.
    """
    from b2chat_pipeline.warehouse.accounts import stored_settings
    from b2chat_pipeline.warehouse.books_retention import retain_books
    from b2chat_pipeline.warehouse.retention import retain_raw_pages

    now = datetime.now(UTC)
    work, again = "the retention", "run `b2chat db retain` again"
    with connected_warehouse(environ, purpose="retention", work=work, again=again) as (storage, connection):
        keep = read_raw_retention(environ, stored_settings(connection))
        pages = retain_raw_pages(connection, keep=keep, now=now, dry_run=dry_run)
        books = retain_books(connection, now=now, dry_run=dry_run)
        events = _retain_events(environ, storage, now=now, dry_run=dry_run)
    click.echo(f"{'Would be removed from' if dry_run else 'Removed from'} {warehouse_place(storage)}:")
    click.echo(f"  raw pages: {', '.join(pages.dropped) or 'nothing'} ({pages.kept} weeks kept)")
    if pages.busy:
        click.echo(f"  in use, so kept for now: {', '.join(pages.busy)}")
    if pages.default_rows:
        click.echo(f"  rows outside any week: {pages.default_rows:,}")
    _print({"ops.hour_loads": pages.hour_loads, **books})
    if events is None:
        click.echo("Dagster's database does not answer, or has no tables: nothing of it.")
        return
    click.echo("From Dagster's database:")
    _print(events)


def _retain_events(
    environ: Mapping[str, str], storage: Storage, *, now: datetime, dry_run: bool
) -> dict[str, int] | None:
    """None where there is nothing to look into."""
    from b2chat_pipeline.event_retention import retain_events

    with existing_instance(environ, storage) as instance:
        return None if instance is None else retain_events(instance, now=now, dry_run=dry_run)


def _print(removed: Mapping[str, int]) -> None:
    for name, count in removed.items():
        click.echo(f"  {name}: {count:,}")
