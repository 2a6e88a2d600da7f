"""Builds of changed days that fail or are interrupted: nothing of what changed is forgotten, and nothing is built
without a pause.
"""

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from b2chat_pipeline.automation.builds import Builds, read_builds
from b2chat_pipeline.automation.models import CHANGED_DAYS
from b2chat_pipeline.definitions import build_definitions
from b2chat_pipeline.policy import build_again_at
from b2chat_pipeline.resources import WarehouseResource
from b2chat_pipeline_tests.dagster_support import account_environment, ranged
from b2chat_pipeline_tests.models_support import FILES, Models, models, schema_of

pytestmark = pytest.mark.any_postgres

MONDAY, TUESDAY, WEDNESDAY = date(2025, 3, 3), date(2025, 3, 4), date(2025, 3, 5)
TO_WEDNESDAY = [("2025-03-03", "2025-03-05")]
EVER = datetime.min.replace(tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ALL = {
    **FILES,
    "models/shown.sql": "select day, words from {{ ref('daily') }}",
    "models/shown.yml": schema_of("shown", "day", "words"),
}
FAILED, SUCCEEDED = dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_SUCCESS


@pytest.fixture
def words(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Models]:
    """A word on Monday, nothing built; the settings name the database."""
    for name, value in account_environment("http://127.0.0.1:1", database_url).items():
        monkeypatch.setenv(name, value)
    with models(tmp_path, database_url, ALL) as built:
        built.connection.execute("insert into words values ('2025-03-03', 'a')")
        yield built


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def ended_run(
    words: Models,
    instance: dg.DagsterInstance,
    days: Sequence[date],
    event: dg.DagsterEventType,
    *,
    at: datetime,
    assets: Sequence[str] = (),
) -> None:
    """A run over the days from the first to the last that ended then, of all models or some; it builds nothing."""
    run = instance.create_run_for_job(
        build_definitions(os.environ, models=words.project).resolve_job_def(CHANGED_DAYS),
        tags=ranged([day.isoformat() for day in days]),
        asset_selection=frozenset(map(dg.AssetKey, assets)) or None,
    )
    instance.report_dagster_event(dg.DagsterEvent(event.value, CHANGED_DAYS), run.run_id, timestamp=at.timestamp())


def look(
    words: Models, instance: dg.DagsterInstance, cursor: str | None = None
) -> tuple[list[tuple[str, str]], str, str | None]:
    """The first and the last day of each run that the sensor asks for, why it asks for none, and its new cursor."""
    repository = build_definitions(os.environ, models=words.project).get_repository_def()
    with dg.build_sensor_context(
        instance=instance,
        cursor=cursor,
        repository_def=repository,
        resources={"warehouse": WarehouseResource()},
    ) as context:
        told = repository.get_sensor_def(CHANGED_DAYS).evaluate_tick(context)
    days = [
        (it.tags["dagster/asset_partition_range_start"], it.tags["dagster/asset_partition_range_end"])
        for it in told.run_requests or []
    ]
    return days, told.skip_message or "", told.cursor


def builds_of(instance: dg.DagsterInstance) -> Builds:
    return read_builds(instance, CHANGED_DAYS, since=EVER)


def build(words: Models, instance: dg.DagsterInstance, first: date, last: date) -> bool:
    """Whether the run that is asked for next over some days succeeds."""
    job = build_definitions(os.environ, models=words.project).resolve_job_def(CHANGED_DAYS)
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    tags = builds_of(instance).tags_of_next(first, last)
    return job.execute_in_process(instance=instance, tags=tags, run_config=quiet, raise_on_error=False).success


def test_what_a_failed_check_left_out_is_built_once_the_cause_is_gone(
    words: Models, instance: dg.DagsterInstance
) -> None:
    words.connection.execute("insert into words select '2025-03-03', 'z' from generate_series(1, 9)")
    began = datetime.now(UTC)
    succeeded = [build(words, instance, MONDAY, TUESDAY)]
    after_one, later = builds_of(instance), datetime.now(UTC) + MINUTE
    succeeded.append(build(words, instance, MONDAY, TUESDAY))
    after_two = builds_of(instance)
    words.connection.execute("delete from words where word = 'z'")
    succeeded.append(build(words, instance, MONDAY, TUESDAY))

    assert succeeded == [False, False, True]
    assert (after_one.due(began + MINUTE), after_one.due(later)) == ([], [MONDAY, TUESDAY])
    assert (after_two.due(later), after_two.due(later + 2 * MINUTE)) == ([], [MONDAY, TUESDAY])
    assert words.rows("select * from analytics.shown") == [(MONDAY, 1)]
    assert builds_of(instance).due(later + timedelta(days=1)) == []


def test_the_pause_grows_with_each_failure_up_to_six_hours() -> None:
    at = datetime(2025, 3, 3, tzinfo=UTC)

    pauses = [build_again_at(at, attempt=attempt) - at for attempt in (1, 2, 3, 4, 9, 10, 10_000)]

    assert pauses == [MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE, 256 * MINUTE, 360 * MINUTE, 360 * MINUTE]


@pytest.mark.parametrize("ending", [FAILED, dg.DagsterEventType.RUN_CANCELED])
def test_the_days_of_a_run_that_ended_badly_are_asked_for_again_until_they_are_built(
    words: Models, instance: dg.DagsterInstance, ending: dg.DagsterEventType
) -> None:
    now = datetime.now(UTC)
    words.build()
    ended_run(words, instance, [MONDAY, WEDNESDAY], ending, at=now - 10 * MINUTE)
    first, _, cursor = look(words, instance)
    # No run was made of it.
    again, _, cursor = look(words, instance, cursor)
    ended_run(words, instance, [MONDAY, WEDNESDAY], SUCCEEDED, at=now)
    after, reason, cursor = look(words, instance, cursor)

    assert (first, again, after) == (TO_WEDNESDAY, TO_WEDNESDAY, [])
    assert reason == "No sync has changed a day since the last look."


def test_a_tick_says_what_could_not_be_built_and_when_it_is_asked_for_again(
    words: Models, instance: dg.DagsterInstance
) -> None:
    at = datetime.now(UTC).replace(microsecond=0)
    ended_run(words, instance, [MONDAY, WEDNESDAY], FAILED, at=at)

    days, reason, _ = look(words, instance)

    (run,) = instance.get_runs()
    assert days == []
    assert reason == (
        "No sync has changed a day since the last look. 3 days from 2025-03-03 to 2025-03-05 could not be built, the"
        f" last time in attempt 1: see run {run.run_id}. They are asked for again from"
        f" {at + MINUTE:%Y-%m-%d %H:%M:%S} UTC on."
    )


def test_the_newest_build_of_a_day_decides_and_one_of_some_models_does_not(
    words: Models, instance: dg.DagsterInstance
) -> None:
    now = datetime.now(UTC)
    ended_run(words, instance, [MONDAY, WEDNESDAY], FAILED, at=now)
    ended_run(words, instance, [TUESDAY, TUESDAY], SUCCEEDED, at=now)
    ended_run(words, instance, [WEDNESDAY, WEDNESDAY], SUCCEEDED, at=now, assets=["daily"])

    assert builds_of(instance).due(now + MINUTE) == [MONDAY, WEDNESDAY]
