"""`b2chat labels`: a file for people to judge conversations in, and taking it back.

Not here: what may stand in it (`analysis/label_file.py`), what becomes of it (`analysis/labels.py`).
"""

import csv
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from b2chat_pipeline.commands.databases import connected_warehouse
from b2chat_pipeline.settings import OperatorError, read_account, read_admin_emails
from b2chat_pipeline.span import read_span
from b2chat_pipeline.windows import AccountClock

if TYPE_CHECKING:
    from b2chat_pipeline.analysis.labels import Imported

# Lines that are named; of more, the number is told.
_MOST_LINES = 10


class LabelsUnreadableError(OperatorError):
    """The file of labels cannot be read."""


def template(environ: Mapping[str, str], *, start: str, end: str) -> None:
    """Print a CSV with a line for each chat closed from `start` to before `end` that can be scored.

    Raises SettingsError and MetricsMissingError.
    """
    from b2chat_pipeline.analysis.eligibility import eligible
    from b2chat_pipeline.analysis.label_file import COLUMNS
    from b2chat_pipeline.analysis.rubric import RUBRIC_VERSION

    window = read_span(read_account(environ), start, end)
    again = "run it again"
    with connected_warehouse(environ, purpose="labels", work="the template", again=again) as (_, connection):
        chat_ids = [it.chat_id for it in eligible(connection, window, datetime.now(UTC)).candidates]
        found = dict(connection.execute("select id, b2chat_id from chats where id = any(%s)", (chat_ids,)).fetchall())
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([RUBRIC_VERSION, found[chat_id], *[""] * (len(COLUMNS) - 2)] for chat_id in chat_ids)


def import_file(environ: Mapping[str, str], file: Path, *, user: str | None) -> bool:
    """Import the labels of a CSV, all or none; whether all chats in it are loaded.

    Raises LabelsUnreadableError, LabelFileError and SettingsError.
    """
    from b2chat_pipeline.analysis.label_file import read_label_file
    from b2chat_pipeline.analysis.labels import import_labels
    from b2chat_pipeline.warehouse.accounts import ensure_users, require_zone, stored_settings, user_id

    zone, now = read_account(environ).zone, datetime.now(UTC)
    told = read_label_file(_content(file), AccountClock(zone), now)
    again = "run it again"
    with connected_warehouse(environ, purpose="labels", work="the import", again=again) as (_, connection):
        require_zone(connection, zone.key)
        ensure_users(connection, read_admin_emails(environ, stored_settings(connection)), now=now)
        imported = import_labels(connection, told.labels, user_id(connection, user), now)
    click.echo(f"Labels in the file: {len(told.labels):,}, by {len({it.labeller for it in told.labels}):,} people.")
    _print_imported(imported, told.not_filled_in)
    return not imported.unknown_lines


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise LabelsUnreadableError(f"the file of labels cannot be read ({error.strerror}): check its name.") from None


def _print_imported(imported: "Imported", not_filled_in: int) -> None:
    counts = {
        "new": imported.new,
        "changed": imported.changed,
        "known already, unchanged": imported.unchanged,
        "older than what the same person judged later, left out": imported.older,
        "of chats that are not loaded, left out": len(imported.unknown_lines),
        "lines without any level, left out": not_filled_in,
    }
    for meaning, count in counts.items():
        if count:
            click.echo(f"  {count:>9,}  {meaning}")
    if imported.unknown_lines:
        lines = ", ".join(map(str, imported.unknown_lines[:_MOST_LINES]))
        more = " and others" if len(imported.unknown_lines) > _MOST_LINES else ""
        click.echo(
            f"Not loaded are the chats of lines {lines}{more}: load the days they were created on, or check them."
        )
