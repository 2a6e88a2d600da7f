"""The sensor that has the days built which loads have changed."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from psycopg import Connection

from b2chat_pipeline.automation.models import CHANGED_DAYS, is_nightly
from b2chat_pipeline.b2chat.contract import CHATS
from b2chat_pipeline.definitions import build_definitions
from b2chat_pipeline.resources import WarehouseResource
from b2chat_pipeline.simulator import World, mutated_records, vanished_record
from b2chat_pipeline.simulator.expectation import expected
from b2chat_pipeline.transform.build import build
from b2chat_pipeline.transform.models import Project
from b2chat_pipeline.transform.project import models_folder, read_project
from b2chat_pipeline.transform.run import ensure_schema
from b2chat_pipeline.transform.target import SCHEMA, Days, Target
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline_tests.dagster_support import account_environment
from b2chat_pipeline_tests.loading_support import Pipeline, all_loaded, hours_between, running_pipeline

MONDAY, TUESDAY, WEDNESDAY, SUNDAY = date(2025, 3, 3), date(2025, 3, 4), date(2025, 3, 5), date(2025, 3, 9)
NOW = datetime(2025, 3, 6, 18, tzinfo=UTC)
WORLD = World(first_day=MONDAY, zone=ZoneInfo("America/Bogota"), chats_per_day=12)


class Sensor:
    """The sensor of an account, with the cursor it left at its last look."""

    def __init__(self) -> None:
        self._repository = build_definitions(os.environ).get_repository_def()
        self._cursor: str | None = None

    def look(self) -> list[tuple[str, str]]:
        """The first and the last day of each run it asks for."""
        with (
            dg.DagsterInstance.ephemeral() as instance,
            dg.build_sensor_context(
                instance=instance,
                cursor=self._cursor,
                repository_def=self._repository,
                resources={"warehouse": WarehouseResource()},
            ) as context,
        ):
            told = self._repository.get_sensor_def(CHANGED_DAYS).evaluate_tick(context)
        self._cursor = told.cursor
        return [
            (it.tags["dagster/asset_partition_range_start"], it.tags["dagster/asset_partition_range_end"])
            for it in told.run_requests or []
        ]


@pytest.fixture
def pipeline(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    for name, value in account_environment("http://127.0.0.1:1", database_url).items():
        monkeypatch.setenv(name, value)
    with running_pipeline(database_url, WORLD, now=NOW) as running:
        yield running


def load(pipeline: Pipeline, first: date, last: date) -> None:
    """Read and load the chats of some days, an hour after the last time."""
    pipeline.simulator.clock.advance(timedelta(hours=1))
    hours = hours_between(pipeline.clock, first, last, until=pipeline.simulator.clock.now())
    assert all_loaded([pipeline.load(CHATS, hours)])


def test_the_days_of_a_load_are_asked_for_once(pipeline: Pipeline) -> None:
    sensor = Sensor()
    before = sensor.look()
    load(pipeline, MONDAY, TUESDAY)

    assert (before, sensor.look(), sensor.look()) == ([], [("2025-03-03", "2025-03-04")], [])


def test_days_near_each_other_are_one_run_and_far_ones_runs_apart(pipeline: Pipeline) -> None:
    pipeline.simulator.clock.advance(timedelta(days=5))
    load(pipeline, MONDAY, MONDAY)
    load(pipeline, WEDNESDAY, WEDNESDAY)
    load(pipeline, SUNDAY, SUNDAY)

    assert Sensor().look() == [("2025-03-03", "2025-03-05"), ("2025-03-09", "2025-03-09")]


def test_a_load_that_changes_nothing_asks_for_nothing(pipeline: Pipeline) -> None:
    pipeline.simulator.clock.advance(timedelta(days=90))  # by now, all chats are over
    sensor = Sensor()
    load(pipeline, MONDAY, TUESDAY)
    sensor.look()
    load(pipeline, MONDAY, TUESDAY)

    assert sensor.look() == []


def test_a_chat_soft_deleted_for_its_absence_changes_its_day(pipeline: Pipeline) -> None:
    pipeline.simulator.clock.advance(timedelta(days=90))
    sensor = Sensor()
    load(pipeline, MONDAY, TUESDAY)
    sensor.look()
    pipeline.simulator.faults.add(vanished_record(min(expected(WORLD, NOW, first=MONDAY, last=MONDAY).chats)))
    load(pipeline, MONDAY, TUESDAY)
    after_one = sensor.look()
    load(pipeline, MONDAY, TUESDAY)

    assert (after_one, sensor.look()) == ([], [("2025-03-03", "2025-03-03")])


@pytest.mark.any_postgres
def test_days_built_as_they_are_asked_for_equal_a_build_of_everything(pipeline: Pipeline) -> None:
    told = list(expected(WORLD, NOW, first=MONDAY, last=MONDAY).chats)
    gone, moved = told[0], told[1]
    later = {"created_at": f"{SUNDAY} 23:59:59", "opened_at": f"{SUNDAY} 23:59:59"}
    sensor, days_of_moved = Sensor(), []
    with built_by_days(pipeline) as models:
        for wait in (timedelta(), timedelta(days=1), timedelta(days=90)):
            pipeline.simulator.clock.advance(wait)
            load(pipeline, MONDAY, SUNDAY)
            models.build(sensor.look())
        pipeline.simulator.faults.add(vanished_record(gone))
        pipeline.simulator.faults.add(mutated_records(lambda it: it | later if it["chat_id"] == moved else it))
        for _ in range(2):
            load(pipeline, MONDAY, SUNDAY)
            asked_for = sensor.look()
            models.build(asked_for)
            days_of_moved.append(asked_for)
        pipeline.simulator.faults.clear()
        load(pipeline, MONDAY, SUNDAY)
        models.build(sensor.look())
        by_days = models.rows()
        models.build([])

        assert days_of_moved == [
            [("2025-03-03", "2025-03-03"), ("2025-03-09", "2025-03-09")],
            [("2025-03-03", "2025-03-03")],
        ]
        assert len(by_days) >= 14
        assert by_days == models.rows()


@dataclass(frozen=True)
class ByDays:
    """The models by day of an account, with what they are built from."""

    connection: Connection
    project: Project

    def build(self, asked_for: Sequence[tuple[str, str]]) -> None:
        """Build the days from the first to the last of each run asked for; all days where none is."""
        target = Target(self.project, {"time_zone": WORLD.zone.key})
        spans: list[Days | None] = [Days(*map(date.fromisoformat, span)) for span in asked_for]
        for model in self.project.models.values():
            if not is_nightly(self.project, model):
                for days in spans or [None]:
                    build(self.connection, target, model, days)

    def rows(self) -> dict[str, list[str]]:
        """The rows of each model that is built by day."""
        names = [name for name, model in self.project.models.items() if model.day_column]
        return {
            name: sorted(map(repr, self.connection.execute(f"select * from analytics.{name}".encode())))  # noqa: S608
            for name in names
        }


@contextmanager
def built_by_days(pipeline: Pipeline) -> Iterator[ByDays]:
    """The models over the account's tables, none of them built."""
    with connect(pipeline.url, purpose="build") as connection:
        ensure_schema(connection, SCHEMA)
        yield ByDays(connection, read_project(models_folder()))
