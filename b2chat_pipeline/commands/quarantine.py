"""`b2chat quarantine`: what was put aside and why, one record in full, and trying again after a fix.

Not here: what a replay does (`ingest/quarantine.py`).
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from b2chat_pipeline.commands.databases import connected_warehouse
from b2chat_pipeline.settings import OperatorError, Storage, read_account
from b2chat_pipeline.warehouse.location import warehouse_place, warehouse_url

if TYPE_CHECKING:
    from psycopg import Connection

_HEADINGS = ("entity", "reason", "path", "records", "first seen", "last seen", "newest")


class NoSuchRecordError(OperatorError):
    """An id names no record in quarantine, or no open one."""


def list_open(environ: Mapping[str, str]) -> None:
    """Print how many records are open, by entity, reason and path."""
    from rich.console import Console
    from rich.table import Table

    from b2chat_pipeline.warehouse.quarantine import open_groups

    with _connected(environ) as (warehouse, connection):
        groups = open_groups(connection)
    if not groups:
        _say_none_is_open(warehouse)
        return
    table = Table(*_HEADINGS, title=f"Put aside in {warehouse_place(warehouse)}")
    for it in groups:
        seen = (f"{moment:%Y-%m-%d %H:%M}" for moment in (it.first_seen_at, it.last_seen_at))
        table.add_row(it.entity, it.reason, it.json_path, f"{it.records:,}", *seen, it.newest_id)
    # As wide as it needs to be where nobody watches: an id cut in two is of no use.
    console = Console()
    Console(width=None if console.is_terminal else 200, markup=False).print(table)


def show(environ: Mapping[str, str], record_id: str) -> None:
    """Print one record in full. Raises NoSuchRecordError."""
    from b2chat_pipeline.warehouse.quarantine import quarantined

    with _connected(environ) as (warehouse, connection):
        record = quarantined(connection, record_id)
    if record is None:
        raise NoSuchRecordError(
            f"{record_id!r} is no record in quarantine in {warehouse_place(warehouse)}: see `b2chat quarantine list`."
        )
    click.echo(f"{record.entity} of {record.endpoint}, read {record.read_at:%Y-%m-%d %H:%M:%S} UTC")
    click.echo(f"{record.json_path}: {record.reason}")
    if record.resolved_at is not None:
        click.echo(f"resolved {record.resolved_at:%Y-%m-%d %H:%M:%S} UTC: {record.resolution}")
    click.echo(_pretty(record.raw_record))


def replay(environ: Mapping[str, str], *, record_id: str | None, entity: str | None, user: str | None) -> bool:
    """Try open records again, print what became of them, and return whether all could be tried."""
    from b2chat_pipeline.ingest.quarantine import Workplace, replay_all
    from b2chat_pipeline.warehouse.accounts import ensure_users, hold_zone, user_id
    from b2chat_pipeline.warehouse.connection import connect
    from b2chat_pipeline.warehouse.quarantine import open_records
    from b2chat_pipeline.windows import AccountClock

    zone = read_account(environ).zone
    with _connected(environ) as (warehouse, books), connect(warehouse_url(warehouse), purpose="load") as loading:
        hold_zone(books, zone.key, now=_utc_now())
        ensure_users(books, (), now=_utc_now())
        records = open_records(books, record_id=record_id, entity=entity)
        if record_id is not None and not records:
            raise NoSuchRecordError(f"{record_id!r} is no open record in quarantine: see `b2chat quarantine list`.")
        if not records:
            _say_none_is_open(warehouse)
            return True
        place = Workplace(loading, books, AccountClock(zone), _utc_now, user_id(books, user))
        replayed = replay_all(records, place)
    for resolution in sorted(set(replayed.resolved.values())):
        click.echo(f"{list(replayed.resolved.values()).count(resolution):,} resolved: {resolution}.")
    if replayed.open:
        click.echo(f"{len(replayed.open):,} still {'does' if len(replayed.open) == 1 else 'do'} not fit.")
    for sentence in sorted(set(replayed.failed.values())):
        click.echo(f"{list(replayed.failed.values()).count(sentence):,} could not be tried: {sentence}")
    return not replayed.failed


@contextmanager
def _connected(environ: Mapping[str, str]) -> "Iterator[tuple[Storage, Connection]]":
    """Where the warehouse is, and a connection to it. Raises WarehouseUnavailableError, and
    WarehouseStoppedError where PostgreSQL goes away.
    """
    work, again = "the look into the quarantine", "run this again"
    with connected_warehouse(environ, purpose="quarantine", work=work, again=again) as connected:
        yield connected


def _say_none_is_open(warehouse: Storage) -> None:
    click.echo(f"The quarantine holds no open record in {warehouse_place(warehouse)}.")


def _pretty(raw_record: str) -> str:
    try:
        return json.dumps(json.loads(raw_record), indent=2, ensure_ascii=True)
    except (ValueError, RecursionError):
        return raw_record


def _utc_now() -> datetime:
    return datetime.now(UTC)
