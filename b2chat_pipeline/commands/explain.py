"""`b2chat explain MART KEY DAY`: prints the chats behind a row, and whether they make it.

Not here: finding them (`transform/explain.py`).
"""

import csv
from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

import click

from b2chat_pipeline.commands.databases import connected_warehouse
from b2chat_pipeline.settings import SettingsError, read_account
from b2chat_pipeline.span import read_day

if TYPE_CHECKING:
    from rich.table import Table

    from b2chat_pipeline.transform.explain import ChatBehind, Explanation

_CLOCKS = ("created_at", "opened_at", "picked_up_at", "response_at", "closed_at")


def explain(environ: Mapping[str, str], *, mart: str, key: str, day: str) -> bool:
    """Print what is behind a row of a mart; whether the chats make that row. Raises ModelError and SettingsError."""
    from rich.console import Console

    from b2chat_pipeline.transform.explain import explain as run
    from b2chat_pipeline.transform.project import models_folder, read_project
    from b2chat_pipeline.transform.target import Target
    from b2chat_pipeline.warehouse.accounts import require_zone

    account = read_account(environ)
    target = Target(read_project(models_folder()), {"time_zone": account.zone.key})
    asked, of_day = _key(key), read_day(account, day)
    work, again = "the explanation", "run this again"
    with connected_warehouse(environ, purpose="explain", work=work, again=again) as (_, connection):
        require_zone(connection, account.zone.key)
        explanation = run(connection, target, mart, asked, of_day)
    # As wide as it needs to be where nobody watches: an id cut in two is of no use.
    console = Console()
    console = Console(width=None if console.is_terminal else 250, markup=False)
    console.print(_row(explanation, account.zone))
    console.print(_chats(explanation, account.zone))
    _conclude(explanation)
    return not explanation.differing


def _key(text: str) -> dict[str, str | None]:
    """The columns of a key; one with a comma in its value is put between quotes. Raises SettingsError."""
    try:
        parts = [part.partition("=") for part in next(csv.reader([text], skipinitialspace=True, strict=True), [])]
    except csv.Error:
        # Quotes that do not close, or a line break outside of them.
        parts = []
    key = {name.strip(): value or None for name, _, value in parts}
    if not parts or not all(equals for _, equals, _ in parts) or len(key) < len(parts):
        raise SettingsError(
            f"{text!r} is no key: write COLUMN=VALUE,COLUMN=VALUE, each column once, and between quotes where a value"
            ' holds a comma: "COLUMN=A, B".'
        )
    return key


def _row(explanation: "Explanation", zone: tzinfo) -> "Table":
    from rich.table import Table

    table = Table("column", "in the mart", "from these chats", title=explanation.model.name)
    for name, value in explanation.row.items():
        anew = "" if explanation.recomputed is None else _shown(explanation.recomputed[name], zone)
        table.add_row(name, _shown(value, zone), anew)
    return table


def _chats(explanation: "Explanation", zone: tzinfo) -> "Table":
    from rich.table import Table

    table = Table(title=f"{len(explanation.chats):,} chats", show_lines=True)
    for heading in ("chat", "clocks", "status", "targets", "page"):
        # On a narrow terminal an id goes on in the next line: one cut short is of no use.
        table.add_column(heading, overflow="fold")
    for chat in explanation.chats:
        clocks = [f"{clock.removesuffix('_at')} {_shown(getattr(chat, clock), zone)}" for clock in _CLOCKS]
        status = [chat.raw_status or "", chat.direction, *chat.clock_anomalies]
        cells = (clocks, status, chat.policies, _page(chat))
        table.add_row(chat.b2chat_id, *("\n".join(cell) for cell in cells))
    return table


def _page(chat: "ChatBehind") -> list[str]:
    return ["not kept any more"] if chat.page_id is None else [chat.page_id, f"of sync {chat.sync_id}"]


def _conclude(explanation: "Explanation") -> None:
    told = sum(chat.has_messages for chat in explanation.chats)
    click.echo(f"Messages are told of {told:,} of these chats. Times are the account's.")
    if explanation.differing:
        click.echo(
            f"The chats do not make this row: {', '.join(explanation.differing)}. The tables have changed since it was"
            " built: run `b2chat build` for its days, and explain it again."
        )
    elif not explanation.chats:
        click.echo("No chat is behind this row.")
    else:
        click.echo("These chats make exactly this row.")


def _shown(value: object, zone: tzinfo) -> str:
    if value is None:
        return ""
    return f"{value.astimezone(zone):%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else str(value)
