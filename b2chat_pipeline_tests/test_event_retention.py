"""Pruning Dagster's history: what its pages and our sensors go by stays, however old it is."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster_graphql.schema import create_schema

from b2chat_pipeline.automation.builds import read_builds
from b2chat_pipeline.event_retention import EVENTS_KEPT, OUTPUTS, EventRetentionError, retain_events
from b2chat_pipeline_tests.dagster_support import instance_in_postgres, ranged

DAYS = dg.DailyPartitionsDefinition(start_date="2025-03-01", end_date="2025-03-11", timezone="America/Bogota")
KEYS = DAYS.get_partition_keys()
# The history of a test is made within a minute, and is a day past its retention then.
LATER = datetime.now(UTC) + EVENTS_KEPT + timedelta(days=1)
PAGES = """
    query($run: ID!) {
      runOrError(runId: $run) { __typename ... on Run {
        status startTime endTime tags { key }
        stats { __typename ... on RunStatsSnapshot { stepsFailed startTime endTime } ... on PythonError { message } }
        stepStats { stepKey status }
        eventConnection { events { __typename } hasMore }
        assetMaterializations { partition }
      } }
      assetOrError(assetKey: {path: ["day"]}) { __typename ... on Asset {
        assetMaterializations(limit: 50) { partition runId }
      } }
    }
"""


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run(), code_version="1")
def day(context: dg.AssetExecutionContext) -> None:
    print("day")  # noqa: T201 - becomes the run's output
    context.log.info("built")
    if "fails" in context.run.tags:
        raise dg.Failure("no", allow_retries=False)


@dg.asset(deps=[day], code_version="1")
def whole() -> None:
    pass


@dg.asset_check(asset=whole)
def is_whole() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
DEFS = dg.Definitions(
    assets=[day, whole],
    asset_checks=[is_whole],
    jobs=[dg.define_asset_job("days", [day]), dg.define_asset_job("wholes", [whole])],
    executor=dg.in_process_executor,
)


@pytest.fixture
def instance(empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """An instance on which days were built, built again and failed, and the whole was built three times."""
    with instance_in_postgres(empty_database_url, tmp_path, monkeypatch) as it:
        build(it, KEYS[:6])
        build(it, KEYS[2:8])
        build(it, KEYS[5:9], fails="")
        for _ in range(3):
            assert DEFS.resolve_job_def("wholes").execute_in_process(instance=it).success
        yield it


def build(instance: dg.DagsterInstance, keys: Sequence[str], **tags: str) -> str:
    job = DEFS.resolve_job_def("days")
    result = job.execute_in_process(
        instance=instance, tags={**ranged(keys), **tags}, raise_on_error=False, run_config=QUIET
    )
    assert result.success == (not tags)
    return result.run_id


def shown(instance: dg.DagsterInstance) -> object:
    """What Dagster works out of its history, with nothing remembered, and what our sensor reads."""
    with psycopg.connect(os.environ["DAGSTER_DATABASE_URL"]) as connection:
        connection.execute("update asset_keys set cached_status_data = null")
    latest = instance.get_latest_materialization_event(whole.key)
    check = instance.event_log_storage.get_asset_check_execution_history(is_whole.check_key, limit=1)[0]
    return (
        instance.get_status_by_partition(day.key, KEYS, DAYS),
        instance.get_materialized_partitions(day.key),
        instance.get_latest_storage_id_by_partition(day.key, dg.DagsterEventType.ASSET_MATERIALIZATION),
        instance.event_log_storage.get_latest_tags_by_partition(
            day.key, dg.DagsterEventType.ASSET_MATERIALIZATION, ["dagster/data_version"]
        ),
        latest and latest.run_id,
        (check.run_id, check.status),
        read_builds(instance, "days", since=datetime.min.replace(tzinfo=UTC)),
    )


def rows(table: str) -> int:
    with psycopg.connect(os.environ["DAGSTER_DATABASE_URL"]) as connection:
        ((count,),) = connection.execute(f"select count(*) from {table}".encode()).fetchall()  # noqa: S608
    return int(count)


def test_partitions_checks_and_builds_look_after_pruning_as_they_did_before(instance: dg.DagsterInstance) -> None:
    before, events = shown(instance), rows("event_logs")

    would = retain_events(instance, now=LATER, dry_run=True)
    untouched = rows("event_logs")
    done = retain_events(instance, now=LATER)

    status = {
        key: told and told.value for key, told in (instance.get_status_by_partition(day.key, KEYS, DAYS) or {}).items()
    }
    assert list(status.values()) == [*["MATERIALIZED"] * 5, *["FAILED"] * 4, None]
    assert shown(instance) == before
    assert untouched == events
    # Of each day the newest materialization (8) and the newest planned one (9), of the whole too (2).
    assert rows("event_logs") == 8 + 9 + 2
    assert (done["event_logs"], done["asset_check_executions"], done[OUTPUTS]) == (events - 19, 2, 6)
    assert {**would, "asset_event_tags": 0} == {**done, "asset_event_tags": 0}
    assert done["asset_event_tags"] > 0
    assert not any(retain_events(instance, now=LATER).values())


def test_what_is_younger_than_its_retention_stays(instance: dg.DagsterInstance) -> None:
    assert not any(retain_events(instance, now=LATER - timedelta(days=2)).values())


def test_a_pruned_run_can_be_shown_and_its_partitions_built_again(instance: dg.DagsterInstance) -> None:
    failed = instance.get_run_ids(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))[0]
    retain_events(instance, now=LATER)

    with WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as workspace:
        told = asyncio.run(
            create_schema().execute_async(
                PAGES, variable_values={"run": failed}, context_value=workspace.create_request_context()
            )
        )

    assert told.errors is None
    assert told.data["runOrError"]["status"] == "FAILURE"
    assert told.data["runOrError"]["endTime"]
    assert told.data["runOrError"]["stats"]["__typename"] == "RunStatsSnapshot"
    assert {it["partition"] for it in told.data["assetOrError"]["assetMaterializations"]} == set(KEYS[:8])
    build(instance, KEYS[5:9])
    status = instance.get_status_by_partition(day.key, KEYS[:9], DAYS) or {}
    assert {told and told.value for told in status.values()} == {"MATERIALIZED"}


def test_an_unfinished_run_keeps_all_of_its_events(instance: dg.DagsterInstance) -> None:
    run = instance.create_run_for_job(DEFS.resolve_job_def("days"))
    instance.report_engine_event("waits", run)

    before = instance.all_logs(run.run_id)

    retain_events(instance, now=LATER)

    assert before
    assert instance.all_logs(run.run_id) == before


def test_what_happened_since_an_open_backfill_began_stays(instance: dg.DagsterInstance) -> None:
    backfill = PartitionBackfill(
        *("open", BulkActionStatus.REQUESTED, False),
        tags={},
        backfill_timestamp=(datetime.now(UTC) - timedelta(days=1)).timestamp(),
        asset_selection=[day.key],
    )
    instance.add_backfill(backfill)

    assert not any(retain_events(instance, now=LATER).values())
    instance.update_backfill(backfill.with_status(BulkActionStatus.COMPLETED))  # type: ignore[no-untyped-call]
    assert retain_events(instance, now=LATER)["event_logs"] > 0


def test_an_instance_on_something_else_is_refused_with_one_sentence() -> None:
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(EventRetentionError, match="is no PostgreSQL"):
        retain_events(instance, now=LATER)


def test_dagster_itself_removes_ticks_of_every_outcome(instance: dg.DagsterInstance) -> None:
    kept = [
        days
        for kind in (InstigatorType.SCHEDULE, InstigatorType.SENSOR)
        for status, days in instance.get_tick_retention_settings(kind).items()
        if status.value in {"SUCCESS", "SKIPPED", "FAILURE"}
    ]

    assert len(kept) == 6
    assert all(0 < days <= 30 for days in kept)
