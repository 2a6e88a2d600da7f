"""`b2chat score`: has the conversations that were closed in some days scored, and says what came of it.

Not here: the scoring (`analysis/`).
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import click

from b2chat_pipeline.commands.databases import connected_warehouse
from b2chat_pipeline.commands.progress import progress_bar
from b2chat_pipeline.settings import OperatorError, read_account, read_admin_emails, read_model_service
from b2chat_pipeline.span import read_span
from b2chat_pipeline.windows import AccountClock

if TYPE_CHECKING:
    from psycopg import Connection

    from b2chat_pipeline.analysis.batch_service import BatchService
    from b2chat_pipeline.analysis.collecting import Collection
    from b2chat_pipeline.analysis.direct import Order, Tally
    from b2chat_pipeline.analysis.eligibility import Eligibility
    from b2chat_pipeline.analysis.prompts import Judge
    from b2chat_pipeline.analysis.submitting import Submission
    from b2chat_pipeline.analysis.terms import DatedTerms

_WORK, _AGAIN = "the scoring", "run `b2chat score` again: what is scored stays, and is not paid again"
# Seconds between two looks whether a batch has ended. Most take minutes, some an hour.
_LOOK_EVERY = 15.0
# Seconds that a look waits for another process that collects.
_PATIENCE = 600.0
_KNOWN = "Judged already or waiting in a batch, not paid again"
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


@dataclass(frozen=True)
class Days:
    """The chats closed from `start` to before `end`."""

    start: str
    end: str


@dataclass(frozen=True)
class Labelled:
    """The chats that people have judged; by another prompt or model than the active one, it is on trial."""

    prompt: str | None = None
    model: str | None = None


Which = Days | Labelled


def score(environ: Mapping[str, str], which: Which, *, user: str | None) -> bool:
    """Score some chats; whether the service answered to the end.

    Raises SettingsError, TermsMissingError, PromptError, ScoringBusyError, MetricsMissingError and
    ServiceSettingsError.
    """
    from b2chat_pipeline.analysis.direct import score as run
    from b2chat_pipeline.analysis.ledger import CapReachedError, scoring_alone
    from b2chat_pipeline.analysis.service import Service

    place = read_model_service(environ)
    with (
        connected_warehouse(environ, purpose="scoring", work=_WORK, again=_AGAIN) as (_, connection),
        Service(place) as service,
        scoring_alone(connection, datetime.now(UTC)),
    ):
        found, order = _order(connection, environ, which, user)
        tally = run(connection, service, order, lambda: datetime.now(UTC))
    _print_eligibility(found)
    _print_tally(tally, order)
    if tally.stopped is not None:
        click.echo(f"Stopped: {tally.stopped}")
    return tally.stopped is None or isinstance(tally.stopped, CapReachedError)


def score_in_batches(
    environ: Mapping[str, str], days: Days, *, user: str | None, look_every: float = _LOOK_EVERY
) -> bool:
    """Score some chats in batches, at half the price: send them, wait for every batch there is, and collect it;
    whether the service took all of them. Looks every so many seconds.

    Whenever it is interrupted, the batches go on, and it waits for them when it is run again. Raises as `score`,
    ServiceStoppedError and ResultsUnreadableError.
    """
    from b2chat_pipeline.analysis.batch_service import BatchService
    from b2chat_pipeline.analysis.ledger import CapReachedError, scoring_alone
    from b2chat_pipeline.analysis.submitting import submit

    place = read_model_service(environ)
    with (
        connected_warehouse(environ, purpose="scoring", work=_WORK, again=_AGAIN) as (_, connection),
        BatchService(place) as service,
    ):
        with scoring_alone(connection, datetime.now(UTC)):
            found, order = _order(connection, environ, days, user)
            submission = submit(connection, service, order, lambda: datetime.now(UTC))
        _print_eligibility(found)
        _print_submission(submission, order)
        collected = _collect_all(connection, service, look_every)
    _print_collection(collected)
    return submission.stopped is None or isinstance(submission.stopped, CapReachedError)


def _collect_all(connection: "Connection", service: "BatchService", look_every: float) -> "Collection":
    """Wait until no batch is left to be collected, whoever sent or collects it."""
    from b2chat_pipeline.analysis.batches import open_batches
    from b2chat_pipeline.analysis.collecting import Collection, collect

    every = Collection()
    left = len(open_batches(connection))
    with progress_bar(left, doing="Waiting for scores", unit="batches") as advance:
        while left:
            try:
                every.add(collect(connection, service, lambda: datetime.now(UTC), patience=_PATIENCE))
                now_left = len(open_batches(connection))
                advance(left - now_left)
                if left := now_left:
                    time.sleep(look_every)
            except KeyboardInterrupt:
                click.echo("The batches go on: run this again to wait for them, or leave them to the sensor `scores`.")
                raise
    return every


def preview(environ: Mapping[str, str], which: Which, *, in_batches: bool = False) -> None:
    """Say what scoring would send, and what it could cost at most; nothing leaves. Raises as `score`."""
    from b2chat_pipeline.analysis.preparing import Asking, prepare

    with connected_warehouse(environ, purpose="scoring", work=_WORK, again="run it again") as (_, connection):
        found, order = _order(connection, environ, which, None)
        price = order.terms.terms.price_of(order.judge.model)
        items = list(prepare(connection, order.candidates, Asking(order.judge, datetime.now(UTC), is_manual=True)))
    new = [item for item in items if item is not None]
    tokens = sum(item.prepared.input_tokens for item in new)
    most = sum((item.prepared.most(price, item.attempt, in_batch=in_batches) for item in new), Decimal())
    _print_eligibility(found)
    click.echo(f"{_KNOWN}: {len(items) - len(new):,}.")
    click.echo(f"Would be sent to {order.judge.model}: {len(new):,} chats, at most {tokens:,} tokens and ${most:.2f}.")
    if in_batches and new:
        click.echo("Beside them, each batch of a thousand at most holds a few canaries, which are paid too.")


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
        judge = read_terms(connection, now).judge
    greeting = Transcript([Line(1, "customer", "2025-01-01T00:00:00Z", "text", "Hola")])
    try:
        with Service(place) as service:
            offer = look_up(service, judge.model)
            tokens = service.input_tokens(params(judge, greeting, attempt=1))
    except CallFailedError as error:
        raise CheckFailedError(f"the check of the model's service failed: {error}; run it again later.") from None
    click.echo(str(offer))
    click.echo(f"The service takes our requests: {tokens:,} tokens without a conversation.")
    if not offer.lasts(now):
        click.echo(REMEDY)
    return offer.lasts(now)


def _order(
    connection: "Connection", environ: Mapping[str, str], which: Which, user: str | None
) -> "tuple[Eligibility, Order]":
    from b2chat_pipeline.analysis.direct import Order
    from b2chat_pipeline.analysis.eligibility import eligible, eligible_labelled
    from b2chat_pipeline.analysis.terms import read_terms
    from b2chat_pipeline.warehouse.accounts import ensure_users, require_zone, stored_settings, user_id

    account, now = read_account(environ), datetime.now(UTC)
    zone = account.zone
    require_zone(connection, zone.key)
    ensure_users(connection, read_admin_emails(environ, stored_settings(connection)), now=now)
    terms = read_terms(connection, now)
    on_trial = None
    if isinstance(which, Days):
        found = eligible(connection, read_span(account, which.start, which.end), now)
    else:
        found = eligible_labelled(connection, now)
        on_trial = _on_trial(which, terms)
    owner = user_id(connection, user)
    return found, Order(found.candidates, terms, AccountClock(zone), owner, is_manual=True, on_trial=on_trial)


def _on_trial(which: Labelled, terms: "DatedTerms") -> "Judge":
    """Who is to judge labelled chats: the active judge, but for what is named."""
    from b2chat_pipeline.analysis.prompts import Judge, prompt_of

    judge = Judge(which.model or terms.judge.model, prompt_of(which.prompt or terms.judge.prompt_version).version)
    terms.terms.price_of(judge.model)
    return judge


def _print_eligibility(found: "Eligibility") -> None:
    click.echo(f"Closed chats: {found.chats:,}, of these eligible: {len(found.candidates):,}.")
    for reason, count in sorted(found.reasons.items(), key=lambda each: -each[1]):
        click.echo(f"  {count:>9,}  {reason}")


def _print_submission(submission: "Submission", order: "Order") -> None:
    sent = f"{len(submission.sent):,} chats in {len(submission.batches):,} batches"
    click.echo(f"Sent to {order.judge.model}: {sent}, for at most ${submission.reserved:.2f}.")
    if submission.known:
        click.echo(f"{_KNOWN}: {submission.known:,}.")
    if submission.stopped is not None:
        click.echo(f"Stopped: {submission.stopped}")


def _print_collection(collected: "Collection") -> None:
    held = f", {collected.held:,} of them held" if collected.held else ""
    click.echo(f"Collected {collected.batches:,} batches{held}, for ${collected.cost:.4f}.")
    for kind, count in collected.outcomes.most_common():
        click.echo(f"  {count:>9,}  {_MEANINGS[kind]}")


def _print_tally(tally: "Tally", order: "Order") -> None:
    if order.is_trial:
        click.echo(f"On trial, not reported: {order.judge}.")
    click.echo(f"Asked {order.judge.model} {tally.calls:,} times for ${tally.cost:.4f}.")
    if tally.known:
        click.echo(f"{_KNOWN}: {tally.known:,}.")
    for kind, count in tally.outcomes.most_common():
        click.echo(f"  {count:>9,}  {_MEANINGS[kind]}")
    left = len(order.candidates) - tally.known - len(tally.last)
    if left:
        click.echo(f"  {left:>9,}  not asked about")
