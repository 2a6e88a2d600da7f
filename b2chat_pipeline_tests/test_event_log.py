"""Dagster's event log in PostgreSQL: a run over many hours is written in batches, and tells each hour all the same."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from dagster._core.asset_graph_view.asset_graph_view import AssetGraphView
from dagster._core.execution.asset_backfill import _get_next_latest_storage_id

from b2chat_pipeline.assets.materializations import attach_metadata, credit
from b2chat_pipeline.commands.project import dagster_environment
from b2chat_pipeline_tests.dagster_support import FIRST_DAY, hours_of, instance_in_postgres, ranged

HOURS = dg.HourlyPartitionsDefinition(start_date=f"{FIRST_DAY}-00:00", timezone="America/Bogota")
KEYS = hours_of(FIRST_DAY)
GOOD, BAD = KEYS[:-1], KEYS[-1]
ASSETS = ("chats", "messages")


@dg.multi_asset(
    specs=[dg.AssetSpec(asset) for asset in ASSETS],
    partitions_def=HOURS,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def side(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
    places = {key: {"place": place} for place, key in enumerate(context.partition_keys)}
    attach_metadata(context, dict.fromkeys(ASSETS, places))
    for asset in ASSETS:
        yield dg.MaterializeResult(asset_key=asset)


@dg.multi_asset(
    specs=[dg.AssetSpec(asset) for asset in ASSETS],
    partitions_def=HOURS,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def failing_side(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
    for asset in ASSETS:
        credit(context, asset, {key: {"place": place} for place, key in enumerate(GOOD)})
    yield from ()
    raise dg.Failure("the last hour is not loaded", allow_retries=False)


@pytest.fixture
def instance(empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """An instance as the project's dagster.yaml has it."""
    with instance_in_postgres(empty_database_url, tmp_path, monkeypatch) as instance:
        yield instance


def test_the_hours_of_a_run_are_stored_in_batches_and_each_keeps_its_own_counts(
    instance: dg.DagsterInstance, empty_database_url: str
) -> None:
    result = dg.materialize([side], instance=instance, tags=ranged(KEYS))

    assert result.success
    for asset in ASSETS:
        assert places_of(instance, asset) == list(enumerate(KEYS))
        statuses = instance.get_status_by_partition(dg.AssetKey(asset), KEYS, HOURS)
        assert {status.value if status else None for status in (statuses or {}).values()} == {"MATERIALIZED"}
        latest = instance.get_latest_materialization_event(dg.AssetKey(asset))
        assert latest is not None
        assert latest.get_dagster_event().partition == KEYS[-1]
    # Rows that one statement has written share their transaction: one of all planned hours, one of each asset's.
    assert statements(empty_database_url, "ASSET_MATERIALIZATION_PLANNED") == (len(ASSETS) * len(KEYS), 1)
    assert statements(empty_database_url, "ASSET_MATERIALIZATION") == (len(ASSETS) * len(KEYS), len(ASSETS))


def test_hours_that_are_done_are_credited_in_batches_although_their_step_fails(
    instance: dg.DagsterInstance, empty_database_url: str
) -> None:
    result = dg.materialize([failing_side], instance=instance, tags=ranged(KEYS), raise_on_error=False)

    assert not result.success
    for asset in ASSETS:
        assert places_of(instance, asset) == list(enumerate(GOOD))
        statuses = instance.get_status_by_partition(dg.AssetKey(asset), KEYS, HOURS) or {}
        assert [key for key, status in statuses.items() if status and status.value == "FAILED"] == [BAD]
    assert statements(empty_database_url, "ASSET_MATERIALIZATION") == (len(ASSETS) * len(GOOD), len(ASSETS))


def test_a_backfill_does_not_miss_a_batch_that_other_events_have_overtaken(
    instance: dg.DagsterInstance, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = dagster_environment({}, dagster_url=empty_database_url, warehouse_url="")
    monkeypatch.setenv("ASSET_BACKFILL_CURSOR_OFFSET", environment["ASSET_BACKFILL_CURSOR_OFFSET"])
    with psycopg.connect(empty_database_url) as batch:
        begun = batch.execute("select nextval('event_logs_id_seq')").fetchone()
    instance.report_runless_asset_event(dg.AssetMaterialization("chats", partition=KEYS[0]))

    view = AssetGraphView.for_test(dg.Definitions(assets=[side]), instance)
    looks_next_from = _get_next_latest_storage_id(view.get_inner_queryer_for_back_compat())

    assert begun is not None
    assert looks_next_from < begun[0]


def places_of(instance: dg.DagsterInstance, asset: str) -> list[tuple[object, str | None]]:
    """The hours of an asset in the order in which they were told, each with the place it was given."""
    events = instance.fetch_materializations(dg.AssetKey(asset), limit=100, ascending=True).records
    told = (event.asset_materialization for event in events)
    return [(it.metadata["place"].value, it.partition) for it in told if it]


def statements(url: str, kind: str) -> tuple[int, int]:
    """How many events of a kind there are, and by how many transactions they were written."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "select count(*), count(distinct xmin::text) from event_logs where dagster_event_type = %s", [kind]
        ).fetchone()
    assert row is not None
    return row[0], row[1]


def test_connections_that_the_server_has_cut_meanwhile_fail_nothing(
    instance: dg.DagsterInstance, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looks() -> tuple[object, ...]:
        return instance.get_runs(), instance.all_instigator_state(), list(instance.all_asset_keys())

    monkeypatch.setattr("b2chat_pipeline.instance._IDLE", 0)
    before = looks()
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        others = "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = current_database()"
        ended = connection.execute(f"{others} and pid <> pg_backend_pid()").fetchall()

    assert len(ended) >= len(before)
    assert looks() == before
