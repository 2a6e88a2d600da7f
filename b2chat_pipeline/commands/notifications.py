"""`b2chat notifications`: what administrators were told, and marking it as read.

Not here: what is told (`policy/troubles.py`), where (`warehouse/incidents.py`, `operations/channels.py`).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from b2chat_pipeline.commands.databases import connected_warehouse
from b2chat_pipeline.settings import OperatorError, Storage, read_account
from b2chat_pipeline.warehouse.location import warehouse_place

if TYPE_CHECKING:
    from psycopg import Connection


class NoSuchNotificationError(OperatorError):
    """An id names no notification, or none of that user."""


def list_notifications(environ: Mapping[str, str], *, user: str | None, everything: bool) -> None:
    """Print the notifications that are unread, or all, the newest first; of one user, or of all."""
    from rich.console import Console
    from rich.markup import escape

    from b2chat_pipeline.warehouse.notifications import notifications

    zone = read_account(environ).zone
    with _connected(environ, user) as (warehouse, connection, user_id):
        told = notifications(connection, user_id, unread_only=not everything)
    if not told:
        kind = "" if everything else "unread "
        click.echo(f"No {kind}notification in {warehouse_place(warehouse)}.")
        return
    console = Console()
    console = Console(width=None if console.is_terminal else 120, highlight=False)
    for it in told:
        again = f", {it.suppressed} more times" if it.suppressed else ""
        at = f"{it.created_at.astimezone(zone):%Y-%m-%d %H:%M}"
        console.print(f"[bold]{escape(it.title)}[/] ({it.type}{again})  {at}  {it.key}")
        console.print(f"  {escape(it.message)}\n")
    click.echo("b2chat notifications read ID marks one as read, --all marks all.")


def read(environ: Mapping[str, str], key: str | None, *, user: str | None) -> None:
    """Mark one as read, or all (None). Raises NoSuchNotificationError."""
    from b2chat_pipeline.warehouse.notifications import mark_read

    with _connected(environ, user) as (warehouse, connection, user_id):
        rows = mark_read(connection, user_id, key)
    if key is not None and rows is None:
        raise NoSuchNotificationError(
            f"{key!r} is no notification in {warehouse_place(warehouse)}: see `b2chat notifications list --all`."
        )
    click.echo(f"{rows or 0} marked as read.")


@contextmanager
def _connected(environ: Mapping[str, str], user: str | None) -> "Iterator[tuple[Storage, Connection, str | None]]":
    """The warehouse, a connection to it, and the id of a user, where one is named. Raises OperatorError."""
    from b2chat_pipeline.warehouse.accounts import user_id

    work, again = "the look at notifications", "run this again"
    with connected_warehouse(environ, purpose="notifications", work=work, again=again) as (warehouse, connection):
        yield warehouse, connection, user_id(connection, user) if user else None
