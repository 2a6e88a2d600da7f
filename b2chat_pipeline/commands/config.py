"""`b2chat config`: apply the file of business calendars, departments and targets, and show what holds.

Not here: what may stand in the file (`operations/configuration.py`), what becomes of it (`operations/applying.py`).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from b2chat_pipeline.commands.databases import connected_warehouse, open_databases
from b2chat_pipeline.settings import read_account, read_admin_emails, read_configuration_file

if TYPE_CHECKING:
    from b2chat_pipeline.operations.applying import Change

_HEADINGS = ("kind", "name", "version", "from", "to", "what")
_WORK, _AGAIN = "the configuration", "run this again"


def apply(environ: Mapping[str, str], *, restate: bool, user: str | None) -> None:
    """Apply the file, and print what changed. Raises ConfigurationError, and SettingsError where the zone is unset."""
    zone, now = read_account(environ).zone, datetime.now(UTC)
    with open_databases(environ) as databases:
        changes = apply_to(databases.warehouse, environ, restate=restate, user=user)
    for change in changes:
        begins = change.valid_from and change.valid_from.astimezone(zone)
        click.echo(f"{change.kind} {change.name}: {f'from {begins:%Y-%m-%d} on' if begins else 'for all time'}.")
    if not changes:
        click.echo("Nothing changed.")
    elif any(change.valid_from is None or change.valid_from <= now for change in changes):
        click.echo("Days that are measured already say so once they are built again: `b2chat build`.")


def apply_to(
    url: str, environ: Mapping[str, str], *, restate: bool = False, user: str | None = None
) -> "Sequence[Change]":
    """Apply the file to a warehouse that is ready; what changed. Raises as `apply`."""
    from b2chat_pipeline.ingest.bookkeeping import Work, stopping
    from b2chat_pipeline.operations.applying import Account
    from b2chat_pipeline.operations.applying import apply as run
    from b2chat_pipeline.operations.configuration import read_configuration
    from b2chat_pipeline.warehouse.accounts import ensure_users, hold_zone, stored_settings, user_id
    from b2chat_pipeline.warehouse.connection import connect
    from b2chat_pipeline.windows import AccountClock

    zone = read_account(environ).zone
    configuration = read_configuration(read_configuration_file(environ))
    now = datetime.now(UTC)
    with connect(url, purpose="configuration") as connection, stopping(Work(_WORK, again=_AGAIN), connection):
        hold_zone(connection, zone.key, now=now)
        ensure_users(connection, read_admin_emails(environ, stored_settings(connection)), now=now)
        account = Account(AccountClock(zone), user_id(connection, user), now)
        return run(connection, configuration, account, restate=restate)


def show(environ: Mapping[str, str]) -> None:
    """Print every version that counts. Raises DatabaseError where no warehouse was ever made."""
    from rich.console import Console
    from rich.table import Table

    zone = read_account(environ).zone
    table = Table(*_HEADINGS)
    with connected_warehouse(environ, purpose="configuration", work=_WORK, again=_AGAIN) as (_, connection):
        for kind, name, version, valid_from, valid_to, content in connection.execute(
            "select kind, name, version, valid_from, valid_to, content::text from ops.config_versions"
            " where replaced_at is null order by kind, name, version"
        ):
            bounds = (f"{moment.astimezone(zone):%Y-%m-%d}" if moment else "" for moment in (valid_from, valid_to))
            table.add_row(kind, name, str(version), *bounds, content)
    console = Console()
    Console(width=None if console.is_terminal else 200, markup=False).print(table)
