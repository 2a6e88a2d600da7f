"""Scoring as assets: batches that were sent, and the scores that came of them, by the day on which chats were closed.

Here belongs the translation between Dagster and the library. Not here: scoring itself (`analysis/`), when it is due
(`automation/scoring.py`).
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg

from b2chat_pipeline.assets.columns import table_metadata
from b2chat_pipeline.assets.materializations import attach_metadata
from b2chat_pipeline.assets.shell import USER_TAG, failing_in_one_sentence
from b2chat_pipeline.assets.sides import OWNERS
from b2chat_pipeline.policy import operation
from b2chat_pipeline.resources import JudgeResource, WarehouseResource, utc_now
from b2chat_pipeline.settings import read_account, read_admin_emails
from b2chat_pipeline.windows import AccountClock

if TYPE_CHECKING:
    from psycopg import Connection

    from b2chat_pipeline.analysis.collecting import Collection
    from b2chat_pipeline.analysis.days import DaysSent, Standing, Wish

BATCHES, ANALYSIS = "effectiveness_batches", "effectiveness_analysis"
GROUP = "analysis"
DAYS_PER_RUN = 31
# Seconds that a run waits for another one that sends, or collects.
_PATIENCE = 1800.0

_BATCHES_DESCRIPTION = """Sends the conversations that were closed on a day to the model that scores them, in batches at
half the price. Their scores are `effectiveness_analysis`, minutes to hours later.

**Planned** by its schedule: the day before yesterday, and days of the last five weeks on which a closing, or a change
of a closed chat, has been newly seen. Scheduled work pays for a conversation once, ever.

**Metadata**: `chats` were closed, `eligible` of them can be scored, `sent` were sent now, and `not_eligible` says why
the others were not. `reserved_usd` is the most that the run can cost, `stopped` why it ended early: a cap of the day or
the month is nothing wrong, the rest goes another day.

**Grain** of a partition: one day of closing, in the account's time zone.

**Run again** whenever you like, backfills included: what is waited for or was judged is not paid again. By hand, a
score older than 30 days is made anew. Needs ANTHROPIC_API_KEY and the part `scoring` of the configuration."""

_ANALYSIS_DESCRIPTION = """Scores of conversations: how far the matter was settled, how content the customer was, how
fast the first answer came. `models` says whose scores they are; `simulated-judge` is a set of rules and no model.

**Planned** by its sensor, as soon as a batch has ended. A run collects every batch that has.

**Metadata**: of the day's closed `chats`, `scored` have a score and `waiting` are in a batch that has not ended. What
became no score is in `ops.analysis_outcomes`. `run_held` batches were held: orders planted in test conversations moved
the model, so their answers are no scores.

**Grain** of a partition: one day of closing, in the account's time zone.

**Run again** whenever you like: a result is written down once."""


def effectiveness_batches(days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """Conversations sent to be scored."""
    spec = dg.AssetSpec(
        BATCHES,
        # A chat is measured on the day it was created, which may be any.
        deps=[dg.AssetDep("chat_metrics", partition_mapping=dg.AllPartitionMapping())],
        description=_BATCHES_DESCRIPTION,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"python", "postgres", "anthropic"},
        metadata=table_metadata("ops.analysis_batches"),
    )

    @dg.multi_asset(
        name=BATCHES, specs=[spec], partitions_def=days, backfill_policy=dg.BackfillPolicy.multi_run(DAYS_PER_RUN)
    )
    def send_batches(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource, judge: JudgeResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        with failing_in_one_sentence(), _connected(warehouse) as connection:
            sent = _send(context, connection, judge)
        by_day = {day.isoformat(): _of_day(sent, day) for day in sent.found}
        attach_metadata(context, {BATCHES: {key: {**told, **_of_sending(sent)} for key, told in by_day.items()}})
        yield dg.MaterializeResult(asset_key=BATCHES)

    return send_batches


def effectiveness_analysis(days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """Scores that were collected."""
    spec = dg.AssetSpec(
        ANALYSIS,
        deps=[BATCHES],
        description=_ANALYSIS_DESCRIPTION,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"python", "postgres", "anthropic"},
        metadata=table_metadata("effectiveness_analysis"),
    )

    @dg.multi_asset(
        name=ANALYSIS, specs=[spec], partitions_def=days, backfill_policy=dg.BackfillPolicy.multi_run(DAYS_PER_RUN)
    )
    def collect_scores(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource, judge: JudgeResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        from b2chat_pipeline.analysis.days import standing

        with failing_in_one_sentence(), _connected(warehouse) as connection:
            collection = _collect(connection, judge)
            stands = standing(connection, _clock(), _days(context.partition_keys))
        told = {day.isoformat(): {**_of_standing(it), **_of_collecting(collection)} for day, it in stands.items()}
        attach_metadata(context, {ANALYSIS: told})
        yield dg.MaterializeResult(asset_key=ANALYSIS)

    return collect_scores


def model_check() -> dg.AssetChecksDefinition:
    """Whether the configured model will go on answering."""

    @dg.asset_check(
        name="model_lasts",
        asset=BATCHES,
        description="The service offers the configured model, and for 30 days at least.",
    )
    def model_lasts(warehouse: WarehouseResource, judge: JudgeResource) -> dg.AssetCheckResult:
        with failing_in_one_sentence(), _connected(warehouse) as connection:
            passed, told = _look_up(connection, judge)
        return dg.AssetCheckResult(passed=passed, severity=dg.AssetCheckSeverity.WARN, description=told)

    return model_lasts


@contextmanager
def _connected(warehouse: WarehouseResource) -> "Iterator[Connection]":
    from b2chat_pipeline.warehouse.accounts import require_zone

    with warehouse.connect("scoring") as connection:
        require_zone(connection, _clock().zone.key)
        yield connection


def _clock() -> AccountClock:
    return AccountClock(read_account(os.environ).zone)


def _days(keys: Sequence[str]) -> list[date]:
    return [date.fromisoformat(key) for key in keys]


def _send(context: dg.AssetExecutionContext, connection: "Connection", judge: JudgeResource) -> "DaysSent":
    from b2chat_pipeline.analysis.batch_service import BatchService
    from b2chat_pipeline.analysis.days import submit_days
    from b2chat_pipeline.analysis.ledger import CapReachedError, scoring_alone

    with BatchService(judge.place()) as service, scoring_alone(connection, utc_now(), patience=_PATIENCE):
        sent = submit_days(connection, service, _wish(context, connection), utc_now)
    stopped = sent.submission.stopped
    if stopped is not None and not isinstance(stopped, CapReachedError):
        raise stopped
    return sent


def _wish(context: dg.AssetExecutionContext, connection: "Connection") -> "Wish":
    from b2chat_pipeline.analysis.days import Wish
    from b2chat_pipeline.analysis.terms import read_terms
    from b2chat_pipeline.warehouse.accounts import ensure_users, stored_settings, user_id

    now, tags = utc_now(), context.run.tags
    ensure_users(connection, read_admin_emails(os.environ, stored_settings(connection)), now=now)
    return Wish(
        days=_days(context.partition_keys),
        terms=read_terms(connection, now),
        clock=_clock(),
        user_id=user_id(connection, tags.get(USER_TAG)),
        is_manual=operation(tags) == "manual",
    )


def _collect(connection: "Connection", judge: JudgeResource) -> "Collection":
    from b2chat_pipeline.analysis.batches import open_batches
    from b2chat_pipeline.analysis.collecting import Collection, collect

    if not open_batches(connection):
        return Collection()
    from b2chat_pipeline.analysis.batch_service import BatchService

    with BatchService(judge.place()) as service:
        return collect(connection, service, utc_now, patience=_PATIENCE)


def _look_up(connection: "Connection", judge: JudgeResource) -> tuple[bool, str]:
    """Whether the configured model lasts, and what is told of it."""
    from b2chat_pipeline.analysis.offer import REMEDY, look_up
    from b2chat_pipeline.analysis.service import CallFailedError, Service, ServiceStoppedError
    from b2chat_pipeline.analysis.terms import read_terms

    now = utc_now()
    model = read_terms(connection, now).judge.model
    try:
        with Service(judge.place()) as service:
            offer = look_up(service, model)
    except (CallFailedError, ServiceStoppedError) as error:
        return False, f"{model} could not be looked up: {error}"
    return offer.lasts(now), str(offer) if offer.lasts(now) else f"{offer} {REMEDY}"


def _of_day(sent: "DaysSent", day: date) -> dict[str, int | float | str]:
    found = sent.found[day]
    reasons = (f"{count} {reason}" for reason, count in sorted(found.reasons.items(), key=lambda each: -each[1]))
    return {
        "dagster/partition_row_count": sent.sent[day],
        "chats": found.chats,
        "eligible": len(found.candidates),
        "sent": sent.sent[day],
        "not_eligible": "; ".join(reasons) or "none",
    }


def _of_sending(sent: "DaysSent") -> Mapping[str, int | float | str]:
    """What stands at each day of the run."""
    submission = sent.submission
    return {
        "run_batches": len(submission.batches),
        "run_known": submission.known,
        "reserved_usd": float(submission.reserved),
        "stopped": str(submission.stopped or "no"),
    }


def _of_standing(day: "Standing") -> dict[str, int | float | str]:
    return {
        "dagster/partition_row_count": day.scored,
        "chats": day.chats,
        "scored": day.scored,
        "waiting": day.waiting,
        "models": day.models or "none",
    }


def _of_collecting(collection: "Collection") -> Mapping[str, int | float | str]:
    """What stands at each day of the run."""
    counts = (f"{count} {kind}" for kind, count in collection.outcomes.most_common() if kind != "canary")
    return {
        "run_batches": collection.batches,
        "run_waiting": collection.waiting,
        "run_held": collection.held,
        "run_outcomes": "; ".join(counts) or "none",
        "run_cost_usd": float(collection.cost),
    }
