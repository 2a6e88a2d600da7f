"""SQL models as Dagster sees them: assets, checks, partitions, and what a run of them shows."""

import os
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from b2chat_pipeline.automation.models import CHANGED_DAYS, NIGHTLY
from b2chat_pipeline.definitions import build_definitions
from b2chat_pipeline.resources import WarehouseResource
from b2chat_pipeline_tests.dagster_support import account_environment, failure_sentences, ranged
from b2chat_pipeline_tests.models_support import DAILY_SCHEMA, FILES, Models, models, schema_of

MONDAY, TUESDAY, WEDNESDAY = date(2025, 3, 3), date(2025, 3, 4), date(2025, 3, 5)
ALL = {
    **FILES,
    "models/shown.sql": "select day, words from {{ ref('daily') }}",
    "models/shown.yml": schema_of("shown", "day", "words").replace("a row per row", "a row per day, day: day"),
    "models/top.sql": "{{ config(materialized='table') }}\nselect max(words) as words from {{ ref('shown') }}",
    "models/top.yml": schema_of("top", "words"),
    "tests/words_add_up.sql": "-- The most words of a day are one day's words.\n"
    "select words from {{ ref('top') }} where words is not null except select words from {{ ref('daily') }}",
}
# The same day by day, and a table of its hours that people look at.
SHOWING = {
    **FILES,
    "models/daily.yml": DAILY_SCHEMA.replace(
        "day: day}}", "day: day, show: {numbers: {words: 'coalesce(sum(words), 0)', mean: avg(words)}}}}"
    ),
    "models/hours.sql": "{{ config(materialized='table') }}\n"
    "select day, 1 as weekday, 9 as hour, words from {{ ref('daily') }}",
    "models/hours.yml": schema_of("hours", "day", "weekday", "hour", "words").replace(
        "a row per row}",
        "a row per row, show: {numbers: {days: count(*), gone: max(words) filter (where false)},"
        " heat_maps: {words: sum(words)}, rows: {columns: [day, words], order: day desc}}}",
    ),
}


@pytest.fixture
def words(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Models]:
    """Two words on Monday, one on Wednesday, nothing built; the settings name the database."""
    yield from words_in(tmp_path, database_url, monkeypatch, ALL)


@pytest.fixture
def showing(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Models]:
    """The same words, in models that show more than their rows."""
    yield from words_in(tmp_path, database_url, monkeypatch, SHOWING)


def words_in(folder: Path, url: str, monkeypatch: pytest.MonkeyPatch, files: dict[str, str]) -> Iterator[Models]:
    for name, value in account_environment("http://127.0.0.1:1", url).items():
        monkeypatch.setenv(name, value)
    with models(folder, url, files) as built:
        built.connection.execute(
            "insert into words values ('2025-03-03', 'a'), ('2025-03-03', 'b'), ('2025-03-05', 'c')"
        )
        yield built


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def run_job(words: Models, instance: dg.DagsterInstance, name: str, *days: date) -> dg.ExecuteInProcessResult:
    """One run of a job, over the days from the first to the last where there are any."""
    job = build_definitions(os.environ, models=words.project).resolve_job_def(name)
    tags = ranged([day.isoformat() for day in days]) if days else {}
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    return job.execute_in_process(instance=instance, tags=tags, run_config=quiet, raise_on_error=False)


def test_a_run_over_days_credits_each_of_them_with_its_rows(words: Models, instance: dg.DagsterInstance) -> None:
    result = run_job(words, instance, CHANGED_DAYS, MONDAY, WEDNESDAY)

    told = instance.fetch_materializations(dg.AssetKey("daily"), limit=10).records
    events = [record.asset_materialization for record in told if record.asset_materialization]
    assert result.success
    assert {it.partition: it.metadata["dagster/partition_row_count"].value for it in events} == {
        "2025-03-03": 1,
        "2025-03-04": 0,
        "2025-03-05": 1,
    }
    assert words.rows("select * from analytics.daily order by 1") == [(MONDAY, 2), (WEDNESDAY, 1)]


def test_days_show_the_numbers_that_dagster_plots(showing: Models, instance: dg.DagsterInstance) -> None:
    run_job(showing, instance, CHANGED_DAYS, MONDAY, WEDNESDAY)

    told = instance.fetch_materializations(dg.AssetKey("daily"), limit=10).records
    events = [record.asset_materialization for record in told if record.asset_materialization]
    shown = {
        it.partition: {name: it.metadata[name].value for name in ("words", "mean") if name in it.metadata}
        for it in events
    }
    # Of a day without rows there is no mean.
    assert shown == {
        "2025-03-03": {"words": 2, "mean": 2},
        "2025-03-04": {"words": 0},
        "2025-03-05": {"words": 1, "mean": 1},
    }


def test_a_table_shows_numbers_pictures_and_its_first_rows(showing: Models, instance: dg.DagsterInstance) -> None:
    run_job(showing, instance, CHANGED_DAYS, MONDAY, WEDNESDAY)
    run_job(showing, instance, NIGHTLY)

    shown = _told_of("hours", instance)
    picture, table = shown["words"], shown["first_rows"]
    assert (shown["days"].value, shown["dagster/row_count"].value, "gone" in shown) == (2, 2, False)
    assert isinstance(picture, dg.MarkdownMetadataValue)
    assert picture.value.startswith("![")
    assert picture.value.endswith("Darkest: 3. Grey: not known.")
    assert isinstance(table, dg.TableMetadataValue)
    assert [it.data for it in table.records] == [{"day": "2025-03-05", "words": 1}, {"day": "2025-03-03", "words": 2}]


def test_views_follow_the_days_and_tables_the_nights(words: Models, instance: dg.DagsterInstance) -> None:
    days = run_job(words, instance, CHANGED_DAYS, MONDAY)
    night = run_job(words, instance, NIGHTLY)

    built = [{key.to_user_string() for key in _materialized(result)} for result in (days, night)]
    assert built == [{"daily", "shown"}, {"top"}]
    assert _told_of("shown", instance)["rows_of_days"].value == 1
    assert words.rows("select * from analytics.top") == [(2,)]


def _told_of(model: str, instance: dg.DagsterInstance) -> Mapping[str, dg.MetadataValue[Any]]:
    event = instance.get_latest_materialization_event(dg.AssetKey(model))
    assert event is not None
    assert event.asset_materialization is not None
    return event.asset_materialization.metadata


def _materialized(result: dg.ExecuteInProcessResult) -> set[dg.AssetKey]:
    return {event.asset_key for event in result.get_asset_materialization_events() if event.asset_key}


def test_a_failed_check_is_visible_and_stops_what_depends_on_it(words: Models, instance: dg.DagsterInstance) -> None:
    words.connection.execute("insert into words select '2025-03-03', 'z' from generate_series(1, 9)")

    result = run_job(words, instance, CHANGED_DAYS, MONDAY, WEDNESDAY)

    assert not result.success
    assert {it.check_name: it.passed for it in result.get_asset_check_evaluations()} == {
        "unique_daily_day": True,
        "not_null_daily_day": True,
        "accepted_values_daily_words": False,
    }
    assert _materialized(result) == {dg.AssetKey("daily")}
    assert words.rows("select to_regclass('analytics.shown')") == [(None,)]


def test_a_statement_that_fails_names_its_file(words: Models, instance: dg.DagsterInstance) -> None:
    words.connection.execute("alter table words rename column word to said")
    words.connection.execute("alter table words rename column day to date")

    result = run_job(words, instance, CHANGED_DAYS, MONDAY)

    (sentence,) = failure_sentences(result)
    assert sentence == (
        'sql/models/daily.sql:1: the statement failed with UndefinedColumn (42703): column "day" does not exist; '
        "correct the file."
    )


def test_models_that_cross_days_are_built_for_the_first_time_once_the_days_are(
    words: Models, instance: dg.DagsterInstance
) -> None:
    before = asked_for(words, instance)
    run_job(words, instance, CHANGED_DAYS, MONDAY)
    between = asked_for(words, instance)
    run_job(words, instance, NIGHTLY)

    assert (before, between, asked_for(words, instance)) == ([], [(NIGHTLY, "new models top")], [])


def test_a_night_before_any_day_was_built_asks_for_nothing(words: Models, instance: dg.DagsterInstance) -> None:
    def night() -> dg.RunRequest | str:
        repository = build_definitions(os.environ, models=words.project).get_repository_def()
        resources = {"warehouse": WarehouseResource()}
        with dg.build_schedule_context(instance, repository_def=repository, resources=resources) as context:
            told = repository.get_schedule_def(NIGHTLY).evaluate_tick(context)
        return told.run_requests[0] if told.run_requests else str(told.skip_message)

    before = night()
    run_job(words, instance, CHANGED_DAYS, MONDAY)

    assert before == "Nothing to build from yet: no day has been built of daily, shown."
    assert isinstance(night(), dg.RunRequest)


def test_a_new_model_is_built_for_all_days(words: Models, instance: dg.DagsterInstance) -> None:
    run_job(words, instance, CHANGED_DAYS, MONDAY)
    words.connection.execute("drop table analytics.daily cascade")

    ((job, key),) = asked_for(words, instance)[:1]

    assert (job, key) == (CHANGED_DAYS, "new models daily, shown, top: 2025-03-03..2026-03-03")


def asked_for(words: Models, instance: dg.DagsterInstance) -> list[tuple[str | None, str | None]]:
    """The job and the key of each run that the sensor asks for."""
    repository = build_definitions(os.environ, models=words.project).get_repository_def()
    resources = {"warehouse": WarehouseResource()}
    with dg.build_sensor_context(instance=instance, repository_def=repository, resources=resources) as context:
        told = repository.get_sensor_def(CHANGED_DAYS).evaluate_tick(context)
    return [(it.job_name, it.run_key) for it in told.run_requests or []]
