"""`b2chat prompt`: which prompts and models there are, how far they agree with people, and promoting one.

Not here: the rule (`analysis/comparing.py`), what a promotion does (`analysis/promotion.py`).
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import click

from b2chat_pipeline.commands.databases import connected_warehouse
from b2chat_pipeline.settings import read_account, read_admin_emails

_HEADINGS = ("prompt", "model", "active", "labelled chats scored", "weighted kappa", "mean absolute error")
_WORK, _AGAIN = "the promotion", "run this again"


def list_prompts(environ: Mapping[str, str]) -> None:
    """Print every prompt, and every judge of labelled chats. Raises TermsMissingError and LabelModelsMissingError."""
    from rich.console import Console
    from rich.table import Table

    from b2chat_pipeline.analysis.promotion import standings
    from b2chat_pipeline.analysis.prompts import prompts
    from b2chat_pipeline.analysis.terms import read_terms

    with connected_warehouse(environ, purpose="prompts", work=_WORK, again=_AGAIN) as (_, connection):
        terms, found = read_terms(connection, datetime.now(UTC)), standings(connection)
    told = {it.judge: it for it in found}
    unseen = [version for version in prompts() if version not in {it.prompt_version for it in (*told, terms.judge)}]
    table = Table(*_HEADINGS)
    for judge in sorted({*told, terms.judge}, key=lambda it: (it.prompt_version, it.model)):
        it = told.get(judge)
        figures = ("0", "", "") if it is None else (f"{it.chats:,}", _figure(it.kappa, 2), _figure(it.error, 1))
        table.add_row(judge.prompt_version, judge.model, "yes" if judge == terms.judge else "", *figures)
    for version in unseen:
        table.add_row(version, "", "", "0", "", "")
    console = Console()
    Console(width=None if console.is_terminal else 200, markup=False).print(table)


def promote(environ: Mapping[str, str], name: str, *, model: str | None, user: str | None) -> None:
    """Make a prompt, with a model or the active one, judge from now on.

    Raises NotPromotedError, PromptError, TermsMissingError, LabelModelsMissingError and ScoringBusyError.
    """
    from b2chat_pipeline.analysis.ledger import scoring_alone
    from b2chat_pipeline.analysis.promotion import promote as run
    from b2chat_pipeline.analysis.prompts import Judge, prompt_of
    from b2chat_pipeline.analysis.terms import read_terms
    from b2chat_pipeline.warehouse.accounts import ensure_users, stored_settings, user_id

    read_account(environ)
    now = datetime.now(UTC)
    with (
        connected_warehouse(environ, purpose="prompts", work=_WORK, again=_AGAIN) as (_, connection),
        scoring_alone(connection, now),
    ):
        ensure_users(connection, read_admin_emails(environ, stored_settings(connection)), now=now)
        terms = read_terms(connection, now)
        judge = Judge(model or terms.judge.model, prompt_of(name).version)
        found = run(connection, judge, terms, user_id(connection, user), now)
    click.echo(f"{judge} judges from now on, in the place of {terms.judge}.")
    click.echo(
        f"On {found.chats:,} labelled chats its weighted kappa is lower by {found.kappa_loss:.2f} at most, and its mean"
        f" absolute error higher by {found.error_growth:.1f} points at most."
    )


def _figure(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
