"""The pipeline's health as asset checks, on one page: an asset that nobody builds, with a check for each subject.

Here belongs what is asked of Dagster and of the warehouse for them. Not here: what counts as trouble
(`policy/health.py`), when it is looked at (`automation/health.py`). Dagster's own freshness knows no partitions, so a
hole in the hours would look fresh.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.assets.job.asset_job import JobScopedAssetGraph

from b2chat_pipeline.assets.gaps import given_up_hours
from b2chat_pipeline.assets.hours import hours_of_sides
from b2chat_pipeline.assets.shell import failing_in_one_sentence
from b2chat_pipeline.assets.sides import ENDPOINTS, OWNERS
from b2chat_pipeline.policy.health import (
    Judgement,
    judge_audit,
    judge_budget,
    judge_drift,
    judge_hours,
    judge_newest_hour,
    judge_partitions,
    judge_promise,
    judge_quarantine,
)
from b2chat_pipeline.resources import B2ChatResource, WarehouseResource, utc_now
from b2chat_pipeline.windows import AccountClock

if TYPE_CHECKING:
    from psycopg import Connection

HEALTH = "pipeline_health"
_LATELY = timedelta(days=1)
_DESCRIPTION = """Whether everything is well, as checks that are looked at every hour: start here.

A check that fails says in one sentence what is wrong and, behind `mend`, what to do. **Warnings** mend themselves, or
can wait; **errors** need somebody. `b2chat doctor` shows hours, requests and quarantine on a screen, beside the
machine, the daemon and the schedules."""
SUBJECTS: Mapping[str, str] = {
    "newest_hour_of_chats": "The newest hour of chats, with their messages, agents and departments, was just loaded.",
    "newest_hour_of_contacts": "The newest hour of contacts was just loaded.",
    "hours_of_chats": "No hour of chats failed, and none is missing.",
    "hours_of_contacts": "No hour of contacts failed, and none is missing.",
    "rereads_as_promised": "Each day whose chats may change was read again as soon as chat_updates promises.",
    "requests_left": "Requests are left of the day's ceiling, and B2Chat asked for no pause.",
    "no_record_put_aside": "No record waits in quarantine.",
    "contract_kept": "The last day brought no field, value or type that the contract does not know.",
    "raw_weeks_ahead": "Raw pages of the next week have their partition.",
    "syncs_audited": "Each sync of the last day has its row in audit_logs.",
}


def health_asset() -> dg.AssetSpec:
    """The asset that carries the checks."""
    return dg.AssetSpec(HEALTH, description=_DESCRIPTION, group_name="health", owners=OWNERS, kinds={"postgres"})


def health_checks(
    partitions: dg.HourlyPartitionsDefinition, *, clock: Callable[[], datetime] = utc_now
) -> dg.AssetChecksDefinition:
    """One step that looks at all subjects."""

    @dg.multi_asset_check(
        name="health_checks",
        specs=[dg.AssetCheckSpec(name, asset=HEALTH, description=told) for name, told in SUBJECTS.items()],
    )
    def look(
        context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource, b2chat: B2ChatResource
    ) -> Iterator[dg.AssetCheckResult]:
        with failing_in_one_sentence():
            judged = health(context.instance, _graph(context), partitions, warehouse, b2chat, now=clock())
        for name, judgement in judged.items():
            yield _result(name, judgement)

    return look


def _graph(context: dg.AssetCheckExecutionContext) -> AssetGraph:
    """All assets; the job's own graph holds only what is checked."""
    graph = context.job_def.asset_layer.asset_graph
    if not isinstance(graph, JobScopedAssetGraph):
        raise TypeError("these checks are a job's")
    return graph.source_asset_graph


def health(
    instance: dg.DagsterInstance,
    graph: AssetGraph,
    partitions: dg.HourlyPartitionsDefinition,
    warehouse: WarehouseResource,
    b2chat: B2ChatResource,
    *,
    now: datetime,
) -> dict[str, Judgement]:
    """What is found of each subject at a moment. Raises OperatorError where that cannot be known."""
    from b2chat_pipeline.warehouse.accounts import require_zone

    account = b2chat.account()
    hours = hours_of_sides(instance, graph, partitions, now=now)
    with warehouse.connect("health") as connection:
        require_zone(connection, account.zone.key)
        per_day = b2chat.requests_per_day(connection)
        given_up = given_up_hours(instance, connection, partitions, hours)
        return {
            **{
                f"hours_of_{side}": judge_hours(it, given_up=given_up[side], now=now, zone=account.zone)
                for side, it in hours.items()
            },
            **_of_warehouse(connection, AccountClock(account.zone), per_day=per_day, now=now),
        }


def _of_warehouse(
    connection: "Connection", clock: AccountClock, *, per_day: int, now: datetime
) -> dict[str, Judgement]:
    from b2chat_pipeline.ingest.rereads import staleness
    from b2chat_pipeline.warehouse import health as told
    from b2chat_pipeline.warehouse.budget import blocked_until
    from b2chat_pipeline.warehouse.staleness import requests_sent

    since = now - _LATELY
    stale = staleness(connection, clock, per_day=per_day, now=now)
    still_open, put_aside, received = told.quarantined(connection, since=since)
    ahead_until, strays = told.weeks_ahead(connection, now=now)
    syncs, without = told.audited_syncs(connection, since=since)
    sent = sum(requests_sent(connection, clock.day_of(now)).values())
    judged = {
        f"newest_hour_of_{side}": judge_newest_hour(told.loaded_until(connection, endpoint), now=now)
        for side, endpoint in ENDPOINTS.items()
    }
    last_reads = {day: it.last_read for day, it in stale.days.items()}
    return {
        **judged,
        "rereads_as_promised": judge_promise(last_reads, stale.plan.promised, now=now),
        "requests_left": judge_budget(sent, per_day, blocked_until=blocked_until(connection, now=now), zone=clock.zone),
        "no_record_put_aside": judge_quarantine(still_open, put_aside=put_aside, received=received),
        "contract_kept": judge_drift(told.new_departures(connection, since=since)),
        "raw_weeks_ahead": judge_partitions(ahead_until, strays=strays, now=now),
        "syncs_audited": judge_audit(syncs, without=without),
    }


def _result(name: str, judgement: Judgement) -> dg.AssetCheckResult:
    severity = dg.AssetCheckSeverity.ERROR if judgement.trouble == "bad" else dg.AssetCheckSeverity.WARN
    words = {name: text for name, text in (("mend", judgement.mend), ("all", judgement.listed)) if text}
    return dg.AssetCheckResult(
        check_name=name,
        asset_key=HEALTH,
        passed=judgement.trouble is None,
        severity=severity,
        description=f"{judgement.told}." if not judgement.mend else f"{judgement.told}: {judgement.mend}.",
        metadata={**judgement.figures, **words},
    )
