"""Runs the project's definitions on a real Dagster instance, against a simulator and a real database."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import psycopg
import pytest

import b2chat_pipeline
from b2chat_pipeline.assets.sides import ASSETS
from b2chat_pipeline.definitions import build_definitions
from b2chat_pipeline.partitions import hourly_partitions
from b2chat_pipeline.settings import read_account
from b2chat_pipeline.simulator import Clock, Simulator, World

PROJECT = Path(b2chat_pipeline.__file__).parents[1]
ADMIN = "admin@example.test"
FIRST_DAY = date(2025, 3, 3)
BUSY_WORLD = World(first_day=FIRST_DAY, zone=ZoneInfo("America/Bogota"), chats_per_day=60)
# Thursday, 13:00 in Bogotá: three days are over.
NOW = datetime(2025, 3, 6, 18, 0, tzinfo=UTC)


def account_environment(api_url: str, database_url: str) -> dict[str, str]:
    """All settings of an account on a simulator, with the warehouse in a test's database."""
    return {
        "B2CHAT_API_URL": api_url,
        "B2CHAT_USERNAME": "demo",
        "B2CHAT_PASSWORD": "demo",
        "B2CHAT_TIMEZONE": "America/Bogota",
        "B2CHAT_START_DATE": FIRST_DAY.isoformat(),
        "B2CHAT_REQUESTS_PER_SECOND": "0",
        "B2CHAT_REQUESTS_PER_DAY": "0",
        "B2CHAT_ADMIN_EMAILS": ADMIN,
        "B2CHAT_DATABASE_URL": database_url,
    }


def ranged(keys: Sequence[str]) -> dict[str, str]:
    """Tags that make one run cover the partitions from the first key to the last."""
    return {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]}


def hours_of(day: date) -> list[str]:
    """The partition keys of a day without a clock change."""
    return [f"{day.isoformat()}-{hour:02}:00" for hour in range(24)]


@dataclass(frozen=True)
class Pipeline:
    """The project on a Dagster instance, a simulator and a database; its settings are in this process's environment."""

    instance: dg.DagsterInstance
    simulator: Simulator
    database_url: str

    def run(
        self, keys: Sequence[str], *, assets: Sequence[str] = ASSETS, tags: Mapping[str, str] | None = None
    ) -> dg.ExecuteInProcessResult:
        """One run of the job over the hours from the first key to the last."""
        job = build_definitions(os.environ).resolve_job_def("hourly_sync")
        return job.execute_in_process(
            instance=self.instance,
            tags={**ranged(keys), **(tags or {})},
            asset_selection=[dg.AssetKey(asset) for asset in assets],
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
        )

    def status(self, asset: str, keys: Sequence[str]) -> dict[str, str]:
        """How Dagster shows each hour of an asset: MATERIALIZED, FAILED, IN_PROGRESS, or MISSING."""
        partitions = hourly_partitions(read_account(os.environ))
        told = self.instance.get_status_by_partition(dg.AssetKey(asset), list(keys), partitions) or {}
        return {key: told_status.value if (told_status := told.get(key)) else "MISSING" for key in keys}

    def metadata(self, asset: str) -> dict[str, dict[str, object]]:
        """The metadata of an asset's newest materialization, by hour."""
        events = self.instance.fetch_materializations(dg.AssetKey(asset), limit=10_000, ascending=True).records
        found = (event.asset_materialization for event in events)
        return {
            it.partition: {name: value.value for name, value in it.metadata.items()}
            for it in found
            if it is not None and it.partition is not None
        }

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(statement.encode()).fetchall()


@contextmanager
def running_pipeline(
    database_url: str, monkeypatch: pytest.MonkeyPatch, *, world: World = BUSY_WORLD, now: datetime = NOW
) -> Iterator[Pipeline]:
    """The pipeline over a fresh instance and a simulator whose clock stands still."""
    with Simulator(world, clock=Clock(now)) as simulator, dg.DagsterInstance.ephemeral() as instance:
        for name, value in account_environment(simulator.url, database_url).items():
            monkeypatch.setenv(name, value)
        yield Pipeline(instance, simulator, database_url)


@contextmanager
def instance_in_postgres(
    url: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *, more: str = ""
) -> Iterator[dg.DagsterInstance]:
    """An instance as the project's dagster.yaml has it, and more; its database at an address, files in a folder."""
    (folder / "dagster.yaml").write_text((PROJECT / "dagster.yaml").read_text() + more)
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    monkeypatch.setenv("DAGSTER_DATABASE_URL", url)
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "1000")
    with dg.DagsterInstance.get() as instance:
        yield instance


def failure_sentences(result: dg.ExecuteInProcessResult) -> list[str]:
    """The description of each step failure of a run."""
    failures = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    return [failure.user_failure_data.description or "" for failure in failures if failure.user_failure_data]
