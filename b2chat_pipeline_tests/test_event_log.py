"""Dagster's event log in PostgreSQL: a run over many hours is written in batches, and tells each hour all the same."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from b2chat_pipeline_tests.dagster_support import FIRST_DAY, PROJECT, hours_of, ranged

HOURS = dg.HourlyPartitionsDefinition(start_date=f"{FIRST_DAY}-00:00", timezone="America/Bogota")
KEYS = hours_of(FIRST_DAY)
ASSETS = ("chats", "messages")


@dg.multi_asset(
    specs=[dg.AssetSpec(asset) for asset in ASSETS],
    partitions_def=HOURS,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def side(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
    for asset in ASSETS:
        for place, key in enumerate(context.partition_keys):
            context.add_asset_metadata({"place": place}, asset, partition_key=key)
        yield dg.MaterializeResult(asset_key=asset)


@pytest.fixture
def instance(empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """An instance as the project's dagster.yaml has it."""
    shutil.copy(PROJECT / "dagster.yaml", tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_DATABASE_URL", empty_database_url)
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "1000")
    with dg.DagsterInstance.get() as instance:
        yield instance


def test_the_hours_of_a_run_are_stored_in_batches_and_each_keeps_its_own_counts(
    instance: dg.DagsterInstance, empty_database_url: str
) -> None:
    result = dg.materialize([side], instance=instance, tags=ranged(KEYS))

    assert result.success
    for asset in ASSETS:
        events = instance.fetch_materializations(dg.AssetKey(asset), limit=100, ascending=True).records
        told = [event.asset_materialization for event in events]
        assert [(it.partition, it.metadata["place"].value) for it in told if it] == [
            (key, place) for place, key in enumerate(KEYS)
        ]
        statuses = instance.get_status_by_partition(dg.AssetKey(asset), KEYS, HOURS)
        assert {status.value if status else None for status in (statuses or {}).values()} == {"MATERIALIZED"}
        latest = instance.get_latest_materialization_event(dg.AssetKey(asset))
        assert latest is not None
        assert latest.get_dagster_event().partition == KEYS[-1]
    # Rows that one statement has written share their transaction: one of all planned hours, one of each asset's.
    assert statements(empty_database_url, "ASSET_MATERIALIZATION_PLANNED") == (len(ASSETS) * len(KEYS), 1)
    assert statements(empty_database_url, "ASSET_MATERIALIZATION") == (len(ASSETS) * len(KEYS), len(ASSETS))


def statements(url: str, kind: str) -> tuple[int, int]:
    """How many events of a kind there are, and by how many transactions they were written."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "select count(*), count(distinct xmin::text) from event_logs where dagster_event_type = %s", [kind]
        ).fetchone()
    assert row is not None
    return row[0], row[1]
