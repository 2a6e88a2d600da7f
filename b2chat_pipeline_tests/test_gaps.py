"""The sensor that has hours loaded which are missing or failed, on a real instance with real runs."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import psycopg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

from b2chat_pipeline.assets.gaps import GAP_TAG
from b2chat_pipeline.assets.sides import ASSETS, SIDES
from b2chat_pipeline.automation.gaps import GAPS, gap_sensor
from b2chat_pipeline.definitions import build_definitions
from b2chat_pipeline.event_retention import retain_events
from b2chat_pipeline.partitions import RANGE_END, RANGE_START
from b2chat_pipeline.policy.circuit import SHORTEST_PAUSE
from b2chat_pipeline.resources import B2ChatResource, WarehouseResource
from b2chat_pipeline.simulator import Fault, World
from b2chat_pipeline.simulator.expectation import expected
from b2chat_pipeline_tests.dagster_support import Pipeline, instance_in_postgres, running_pipeline

pytestmark = pytest.mark.any_postgres

ZONE = ZoneInfo("America/Bogota")
HOUR = timedelta(hours=1)
# Dagster's own clock is the real one.
THIS_HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
FIRST_DAY = THIS_HOUR.astimezone(ZONE).date() - timedelta(days=10)
WORLD = World(first_day=FIRST_DAY, zone=ZONE, chats_per_day=12, messages_per_chat=1, contacts=10)
NOTHING = "No hour is missing and none has failed."


@pytest.fixture
def pipeline(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    with running_pipeline(database_url, monkeypatch, world=WORLD, now=THIS_HOUR) as running:
        monkeypatch.setenv("B2CHAT_START_DATE", FIRST_DAY.isoformat())
        yield running


def key(hours_ago: int) -> str:
    """The partition of the hour that began so many hours before this one."""
    return f"{(THIS_HOUR - hours_ago * HOUR).astimezone(ZONE):%Y-%m-%d-%H:00}"


def paint(pipeline: Pipeline, hours: Iterable[int], assets: Iterable[str] = ASSETS) -> None:
    """Have Dagster show hours as loaded, by how long ago they began."""
    keys = [key(number) for number in hours]
    for asset in assets:
        for it in keys:
            pipeline.instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=it))


def look(pipeline: Pipeline, *, at: datetime = THIS_HOUR + HOUR) -> list[dg.RunRequest] | str:
    """What the sensor asks for, or why it skips."""
    start = os.environ["B2CHAT_START_DATE"]
    sensor = gap_sensor(hours_since(start), clock=lambda: at)
    with dg.build_sensor_context(
        instance=pipeline.instance,
        repository_def=repository_since(start),
        resources={"warehouse": WarehouseResource(), "b2chat": B2ChatResource()},
    ) as context:
        told = sensor.evaluate_tick(context)
    return list(told.run_requests or []) or str(told.skip_message)


def hours_since(start: str) -> dg.HourlyPartitionsDefinition:
    """The account's hours up to this one, also where the next one has begun meanwhile."""
    end = f"{THIS_HOUR.astimezone(ZONE):%Y-%m-%d-%H:%M}"
    return dg.HourlyPartitionsDefinition(start_date=f"{start}-00:00", end_date=end, timezone=ZONE.key)


@cache
def repository_since(start: str) -> dg.RepositoryDefinition:
    return build_definitions({**os.environ, "B2CHAT_START_DATE": start}).get_repository_def()


def ranges(told: list[dg.RunRequest] | str) -> list[tuple[str, str, str]]:
    """Side, first and last hour of each run that is asked for."""
    assert isinstance(told, list), told
    return [(it.tags[GAP_TAG], it.tags[RANGE_START], it.tags[RANGE_END]) for it in told]


def carry_out(pipeline: Pipeline, requests: list[dg.RunRequest] | str) -> list[bool]:
    """Run what was asked for, and whether each run succeeded."""
    assert isinstance(requests, list), requests
    return [
        pipeline.run(
            [it.tags[RANGE_START], it.tags[RANGE_END]],
            assets=[asset.to_user_string() for asset in it.asset_selection or ()],
            tags={**it.tags, "dagster/sensor_name": GAPS},
        ).success
        for it in requests
    ]


def test_it_is_on_from_the_first_start_and_says_what_it_does_and_whose_it_is() -> None:
    sensor = build_definitions({}).get_repository_def().get_sensor_def(GAPS)

    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert "failed" in (sensor.description or "")
    assert sensor.owners == ["team:data-engineering"]


def test_the_history_of_a_new_account_is_left_to_a_person(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("B2CHAT_START_DATE", "2023-01-01")
    at_first = look(pipeline)
    paint(pipeline, [1])  # what the schedule loads first

    assert (at_first, look(pipeline)) == (NOTHING, NOTHING)


@pytest.fixture
def in_postgres(
    pipeline: Pipeline, empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pipeline]:
    """The same over an instance as the project's dagster.yaml has it, where a thousand hours take seconds."""
    with instance_in_postgres(empty_database_url, tmp_path, monkeypatch) as instance:
        yield replace(pipeline, instance=instance)


def test_it_asks_for_the_same_after_dagsters_history_was_pruned(in_postgres: Pipeline) -> None:
    pipeline = in_postgres
    paint(pipeline, [9, 10])
    pipeline.simulator.faults.add(Fault(kind="status", status=404, times=None))
    carry_out(pipeline, look(pipeline))
    at = datetime.now(UTC) + timedelta(days=40)
    before = look(pipeline, at=at)

    removed = retain_events(pipeline.instance, now=at)
    with psycopg.connect(os.environ["DAGSTER_DATABASE_URL"]) as connection:
        connection.execute("update asset_keys set cached_status_data = null")

    assert removed["event_logs"] > 0
    assert isinstance(before, list)
    assert {it.run_key and it.run_key[-9:] for it in before} == {"attempt 2"}
    assert look(pipeline, at=at) == before


def test_a_week_without_a_daemon_is_made_up_for_the_newest_hours_first(in_postgres: Pipeline) -> None:
    pipeline = in_postgres
    paint(pipeline, [169, 170])

    asked = look(pipeline)
    done = carry_out(pipeline, asked)

    assert ranges(asked) == [
        *(("chats", key(47), key(1)), ("contacts", key(47), key(1))),
        *(("chats", key(168), key(48)), ("contacts", key(168), key(48))),
    ]
    assert done == [True] * 4
    assert look(pipeline) == NOTHING
    account = expected(WORLD, THIS_HOUR, first=FIRST_DAY, last=THIS_HOUR.astimezone(ZONE).date()).chats.values()
    since = {it.b2chat_id for it in account if THIS_HOUR - 168 * HOUR <= it.created_at < THIS_HOUR}
    assert {it for (it,) in pipeline.query("select b2chat_id from chats")} == since
    assert {it for (it,) in pipeline.query("select distinct operation from sync_logs")} == {"incremental"}
    assert pipeline.query("select hourly, reread, backfill > 0 from ops.request_budget") == [(0, 0, True)]


def test_while_the_source_is_down_one_hour_is_asked_for_after_a_pause_and_then_the_others(pipeline: Pipeline) -> None:
    paint(pipeline, [1, 4])
    paint(pipeline, [2, 3], SIDES["contacts"])
    pipeline.simulator.faults.add(Fault(kind="status", status=404, times=None))
    pipeline.run([key(3), key(2)], assets=SIDES["chats"])

    down = look(pipeline, at=datetime.now(UTC))
    first = look(pipeline, at=datetime.now(UTC) + SHORTEST_PAUSE)
    failed = carry_out(pipeline, first)
    pipeline.simulator.faults.clear()
    second = look(pipeline, at=datetime.now(UTC) + SHORTEST_PAUSE)
    mended = carry_out(pipeline, second)
    others = look(pipeline, at=datetime.now(UTC))

    assert str(down).startswith("2 hours of chats wait for the source, which is down; the next probe is due at ")
    assert ranges(first) == ranges(second) == [("chats", key(2), key(2))]
    assert [it.run_key for told in (first, second) for it in told if isinstance(it, dg.RunRequest)] == [
        f"chats {key(2)}..{key(2)} attempt {number}" for number in (1, 2)
    ]
    assert (failed, mended) == ([False], [True])
    assert ranges(others) == [("chats", key(3), key(3))]
    assert carry_out(pipeline, others) == [True]
    assert look(pipeline) == NOTHING


def test_a_single_hour_that_failed_again_rests_as_several_do(pipeline: Pipeline) -> None:
    paint(pipeline, [1, 3])
    paint(pipeline, [2], SIDES["contacts"])
    pipeline.simulator.faults.add(Fault(kind="status", status=404, times=None))
    pipeline.run([key(2)], assets=SIDES["chats"])
    failed = carry_out(pipeline, look(pipeline, at=datetime.now(UTC) + SHORTEST_PAUSE))
    pipeline.simulator.faults.clear()
    pipeline.run([key(1)], assets=SIDES["chats"])

    assert failed == [False]
    assert look(pipeline, at=datetime.now(UTC)) == "1 hours of chats rest after a run in vain."


def test_one_asset_of_a_side_that_is_not_loaded_makes_its_hour_a_gap(pipeline: Pipeline) -> None:
    paint(pipeline, [3, 2, 1], set(ASSETS) - {"messages"})
    paint(pipeline, [3, 1], ["messages"])

    assert ranges(look(pipeline)) == [("chats", key(2), key(2))]


@pytest.mark.filterwarnings("ignore:Function `AssetSelection.sources`:DeprecationWarning")  # Dagster's own
def test_hours_that_an_unfinished_run_or_an_open_backfill_is_to_load_are_left_alone(pipeline: Pipeline) -> None:
    paint(pipeline, [9, 5, 1])
    definitions = build_definitions(os.environ)
    pipeline.instance.create_run_for_job(
        definitions.resolve_job_def("hourly_sync"), tags={RANGE_START: key(8), RANGE_END: key(6)}
    )
    pipeline.instance.add_backfill(
        PartitionBackfill.from_asset_partitions(
            backfill_id="open",
            asset_graph=definitions.get_repository_def().asset_graph,
            partition_names=[key(4), key(3)],
            asset_selection=[dg.AssetKey(asset) for asset in ASSETS],
            backfill_timestamp=THIS_HOUR.timestamp(),
            tags={},
            dynamic_partitions_store=pipeline.instance,
            all_partitions=False,
            title=None,
            description=None,
            run_config=None,
        )
    )
    while_open = look(pipeline)
    pipeline.instance.update_backfill(_backfill(pipeline)._replace(status=BulkActionStatus.COMPLETED_FAILED))

    assert ranges(while_open) == [("chats", key(2), key(2)), ("contacts", key(2), key(2))]
    assert ranges(look(pipeline)) == [("chats", key(4), key(2)), ("contacts", key(4), key(2))]


def _backfill(pipeline: Pipeline) -> PartitionBackfill:
    backfill = pipeline.instance.get_backfill("open")
    assert backfill is not None
    return backfill


def test_the_days_requests_limit_what_is_asked_for_and_what_they_cut_off_was_not_in_vain(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    # At the real time, which says to what day a run's requests count; the last hour may be the schedule's own yet.
    paint(pipeline, [1, 32])
    paint(pipeline, range(2, 32), SIDES["contacts"])
    # The share of history is one request: it is used up by the token.
    monkeypatch.setenv("B2CHAT_REQUESTS_PER_DAY", "2")
    asked = look(pipeline, at=datetime.now(UTC))
    done = carry_out(pipeline, asked)
    used_up = look(pipeline, at=datetime.now(UTC))
    monkeypatch.setenv("B2CHAT_REQUESTS_PER_DAY", "0")
    another_day = look(pipeline, at=datetime.now(UTC))

    assert (ranges(asked), done) == ([("chats", key(25), key(2))], [False])
    assert used_up == "30 hours of chats wait for requests of another day."
    assert ranges(another_day) == [("chats", key(31), key(2))]
    assert [it.run_key for it in another_day if isinstance(it, dg.RunRequest)] == [
        f"chats {key(31)}..{key(2)} attempt 2"
    ]


def test_what_a_person_has_to_put_right_is_said_and_what_nobody_foresaw_fails_the_tick(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint(pipeline, [3, 1])
    with psycopg.connect(pipeline.database_url) as connection:
        connection.execute("drop table ops.window_reads")
    with pytest.raises(psycopg.errors.UndefinedTable):
        look(pipeline)

    monkeypatch.delenv("B2CHAT_PASSWORD")
    assert str(look(pipeline)).startswith("B2CHAT_PASSWORD is not set: ")
