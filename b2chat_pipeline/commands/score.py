"""`b2chat score`: has the conversations that were closed in some days scored, and says what came of it.

Not here: the scoring (`analysis/`).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import click

from b2chat_pipeline.commands.databases import connected_warehouse
from b2chat_pipeline.commands.span import read_span
from b2chat_pipeline.settings import OperatorError, read_account, read_admin_emails, read_model_service
from b2chat_pipeline.windows import AccountClock, Window

if TYPE_CHECKING:
    from psycopg import Connection

    from b2chat_pipeline.analysis.direct import Order, Tally
    from b2chat_pipeline.analysis.eligibility import Eligibility

_WORK, _AGAIN = "the scoring", "run `b2chat score` again: what is scored stays, and is not paid again"
_MEANINGS = {
    "scored": "scored",
    "undecided": "undecided: the messages do not tell whether the matter was settled",
    "voided": "voided: the answer could not be used",
    "refused": "refused by the model",
    "truncated": "truncated: the answer was cut short",
    "held": "held: the answer contradicts a fact, a person must look",
    "failed": "failed: no answer came",
    "canary": "canaries: planted orders that show whether a batch can be trusted",
}


class CheckFailedError(OperatorError):
    """The service could not be asked."""


def score(environ: Mapping[str, str], *, start: str, end: str, user: str | None) -> bool:
    """Score the chats closed from `start` to before `end`; whether the service answered to the end.

    Raises SettingsError, TermsMissingError, ScoringBusyError, MetricsMissingError and ServiceSettingsError.
    """
    from b2chat_pipeline.analysis.direct import score as run
    from b2chat_pipeline.analysis.ledger import CapReachedError, scoring_alone
    from b2chat_pipeline.analysis.service import Service

    account, place = read_account(environ), read_model_service(environ)
    window = read_span(account, start, end)
    with (
        connected_warehouse(environ, purpose="scoring", work=_WORK, again=_AGAIN) as (_, connection),
        Service(place) as service,
        scoring_alone(connection, datetime.now(UTC)),
    ):
        found, order = _order(connection, environ, window, user)
        tally = run(connection, service, order, lambda: datetime.now(UTC))
    _print_eligibility(found)
    _print_tally(tally, order)
    if tally.stopped is not None:
        click.echo(f"Stopped: {tally.stopped}")
    return tally.stopped is None or isinstance(tally.stopped, CapReachedError)


def preview(environ: Mapping[str, str], *, start: str, end: str) -> None:
    """Say what scoring would send, and what it could cost at most; nothing leaves. Raises as `score`."""
    from b2chat_pipeline.analysis.preparing import Asking, prepare

    window = read_span(read_account(environ), start, end)
    with connected_warehouse(environ, purpose="scoring", work=_WORK, again="run it again") as (_, connection):
        found, order = _order(connection, environ, window, None)
        terms = order.terms.terms
        items = list(prepare(connection, order.candidates, Asking(terms.model, datetime.now(UTC), is_manual=True)))
    new = [item for item in items if item is not None]
    tokens = sum(item.prepared.input_tokens for item in new)
    most = sum((item.prepared.most(terms.price, item.attempt, in_batch=False) for item in new), Decimal())
    _print_eligibility(found)
    click.echo(f"Judged already or waiting in a batch, not paid again: {len(items) - len(new):,}.")
    click.echo(f"Would be sent to {terms.model}: {len(new):,} chats, at most {tokens:,} tokens and ${most:.2f}.")


def check(environ: Mapping[str, str]) -> bool:
    """Ask the service about its model, and have it count a request without judging it; whether all is well.

    Costs nothing. Raises as `score`, ServiceStoppedError and CheckFailedError.
    """
    from b2chat_pipeline.analysis.offer import REMEDY, look_up
    from b2chat_pipeline.analysis.requests import params
    from b2chat_pipeline.analysis.service import CallFailedError, Service
    from b2chat_pipeline.analysis.terms import read_terms
    from b2chat_pipeline.analysis.transcript import Line, Transcript

    now = datetime.now(UTC)
    place = read_model_service(environ)
    with connected_warehouse(environ, purpose="scoring", work="the check", again="run it again") as (_, connection):
        terms = read_terms(connection, now).terms
    greeting = Transcript([Line(1, "customer", "2025-01-01T00:00:00Z", "text", "Hola")])
    try:
        with Service(place) as service:
            offer = look_up(service, terms.model)
            tokens = service.input_tokens(params(terms.model, greeting, attempt=1))
    except CallFailedError as error:
        raise CheckFailedError(f"the check of the model's service failed: {error}; run it again later.") from None
    click.echo(str(offer))
    click.echo(f"The service takes our requests: {tokens:,} tokens without a conversation.")
    if not offer.lasts(now):
        click.echo(REMEDY)
    return offer.lasts(now)


def _order(
    connection: "Connection", environ: Mapping[str, str], window: Window, user: str | None
) -> "tuple[Eligibility, Order]":
    from b2chat_pipeline.analysis.direct import Order
    from b2chat_pipeline.analysis.eligibility import eligible
    from b2chat_pipeline.analysis.terms import read_terms
    from b2chat_pipeline.warehouse.accounts import ensure_users, require_zone, stored_settings, user_id

    zone, now = read_account(environ).zone, datetime.now(UTC)
    require_zone(connection, zone.key)
    ensure_users(connection, read_admin_emails(environ, stored_settings(connection)), now=now)
    found = eligible(connection, window, now)
    terms = read_terms(connection, now)
    owner = user_id(connection, user)
    return found, Order(found.candidates, terms, AccountClock(zone), owner, is_manual=True)


def _print_eligibility(found: "Eligibility") -> None:
    click.echo(f"Closed chats: {found.chats:,}, of these eligible: {len(found.candidates):,}.")
    for reason, count in sorted(found.reasons.items(), key=lambda each: -each[1]):
        click.echo(f"  {count:>9,}  {reason}")


def _print_tally(tally: "Tally", order: "Order") -> None:
    click.echo(f"Asked {order.terms.terms.model} {tally.calls:,} times for ${tally.cost:.4f}.")
    if tally.known:
        click.echo(f"Judged already or waiting in a batch, not paid again: {tally.known:,}.")
    for kind, count in tally.outcomes.most_common():
        click.echo(f"  {count:>9,}  {_MEANINGS[kind]}")
    left = len(order.candidates) - tally.known - len(tally.last)
    if left:
        click.echo(f"  {left:>9,}  not asked about")
