"""The definitions as a whole: they always load, quickly and silently, and change only on purpose."""

import json
import subprocess
import sys
from pathlib import Path
from statistics import median

import dagster as dg
import psycopg
import pytest
from syrupy.assertion import SnapshotAssertion

from b2chat_pipeline.assets.health import HEALTH
from b2chat_pipeline.assets.models import GROUP
from b2chat_pipeline.assets.sides import ASSETS
from b2chat_pipeline.definitions import build_definitions
from b2chat_pipeline_tests.dagster_support import account_environment

GOOD = account_environment("http://127.0.0.1:1", "postgresql://u@127.0.0.1:1/d")
# What an import of the definitions may cost every run, in processor seconds beyond Dagster's own import. Fifty SQL
# models are most of it: 0.45 of 0.6, a fourth for reading them, the rest is what Dagster makes of them.
START_UP_BUDGET = 1.0

_HOURLY = "**Grain** of a partition: one hour, in the account's time zone."
GRAINS = {
    "chat_updates": "**Grain** of a partition: one day, in the account's time zone.",
    "all_contacts": "**Grain**: no partitions, the whole account.",
    **dict.fromkeys(
        ("effectiveness_batches", "effectiveness_analysis"),
        "**Grain** of a partition: one day of closing, in the account's time zone.",
    ),
}

_LOAD = """
import socket, sys, json

def refuse(*_arguments, **_options):
    raise AssertionError("the definitions opened a socket")

socket.socket.connect = socket.socket.connect_ex = socket.create_connection = socket.getaddrinfo = refuse
from b2chat_pipeline.definitions import defs
loaded = defs()
loaded.get_repository_def().load_all_definitions()
print(json.dumps({spec.key.to_user_string(): spec.description for spec in loaded.resolve_all_asset_specs()}))
"""
_IMPORTED = """
import sys
from b2chat_pipeline.definitions import defs
defs().get_repository_def().load_all_definitions()
print(*sorted({"jinja2", "sqlglot", "psycopg", "httpx"} & sys.modules.keys()))
"""
_COST = """
import time
import dagster
started = time.process_time()
from b2chat_pipeline.definitions import defs
defs().get_repository_def().load_all_definitions()
print(time.process_time() - started)
"""


def in_a_fresh_process(script: str, environ: dict[str, str], *, folder: Path, options: tuple[str, ...] = ()) -> str:
    """What a script prints in a process with exactly this environment."""
    command = [sys.executable, *options, "-c", script]
    told = subprocess.run(command, env=environ, cwd=folder, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    return told.stdout


def test_they_load_without_any_setting_and_without_a_socket(tmp_path: Path) -> None:
    descriptions = json.loads(in_a_fresh_process(_LOAD, {}, folder=tmp_path))

    assert {*ASSETS, "chat_updates", "all_contacts"} <= descriptions.keys()
    for description in descriptions.values():
        assert description.startswith("**Not ready.** B2CHAT_TIMEZONE is not set: ")
        assert "no run will start" in description


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("B2CHAT_TIMEZONE", "Mars/Base", "B2CHAT_TIMEZONE is 'Mars/Base', which is no time zone"),
        ("B2CHAT_START_DATE", "the day before", "B2CHAT_START_DATE is 'the day before', which is no day"),
    ],
)
def test_they_load_with_wrong_settings_and_say_so(tmp_path: Path, name: str, value: str, sentence: str) -> None:
    descriptions = json.loads(in_a_fresh_process(_LOAD, {**GOOD, name: value}, folder=tmp_path))

    assert descriptions
    for description in descriptions.values():
        assert description.startswith(f"**Not ready.** {sentence}")


def test_they_load_without_a_warning(tmp_path: Path) -> None:
    in_a_fresh_process(_LOAD, GOOD, folder=tmp_path, options=("-W", "error"))


def test_they_cost_less_than_a_processor_second_over_dagster(tmp_path: Path) -> None:
    costs = [float(in_a_fresh_process(_COST, GOOD, folder=tmp_path)) for _ in range(5)]

    assert median(costs) < START_UP_BUDGET, costs


def test_they_load_without_reading_templates_that_did_not_change(tmp_path: Path) -> None:
    assert in_a_fresh_process(_IMPORTED, GOOD, folder=tmp_path).split() == []


def specs(*, models: bool) -> list[dg.AssetSpec]:
    """Every SQL model, or every other asset that somebody builds, as declared, in order of its key."""
    every = sorted(build_definitions(GOOD).resolve_all_asset_specs(), key=lambda spec: spec.key)
    built = [spec for spec in every if spec.key != dg.AssetKey(HEALTH)]
    return [spec for spec in built if (spec.group_name == GROUP) == models]


def test_names_partitions_and_schedules_change_only_on_purpose(snapshot: SnapshotAssertion) -> None:
    repository = build_definitions(GOOD).get_repository_def()
    steps = [it for it in build_definitions(GOOD).assets or () if isinstance(it, dg.AssetsDefinition)]
    sides = [it for it in steps if GROUP not in it.group_names_by_key.values()]

    assert {spec.key.to_user_string(): _asset(spec) for spec in specs(models=False)} == snapshot(name="assets")
    assert {spec.key.to_user_string(): sorted(spec.kinds) for spec in specs(models=True)} == snapshot(name="models")
    assert {side.op.name: _side(side) for side in sides} == snapshot(name="steps")
    assert {job.name: _job(job) for job in repository.get_all_jobs()} == snapshot(name="jobs")
    assert {it.name: _schedule(it) for it in repository.schedule_defs} == snapshot(name="schedules")
    assert {it.name: _sensor(it) for it in repository.sensor_defs} == snapshot(name="sensors")
    assert sorted(repository.get_top_level_resources()) == snapshot(name="resources")


def _asset(spec: dg.AssetSpec) -> dict[str, object]:
    return {
        "group": spec.group_name,
        "kinds": sorted(spec.kinds),
        "owners": list(spec.owners),
        "deps": sorted(dep.asset_key.to_user_string() for dep in spec.deps),
        "partitions": repr(spec.partitions_def),
        "table": spec.metadata["dagster/table_name"],
    }


def _side(side: dg.AssetsDefinition) -> dict[str, object]:
    return {
        "assets": sorted(key.to_user_string() for key in side.keys),
        "partitions": repr(side.partitions_def),
        "backfill policy": repr(side.backfill_policy),
        "pool": side.op.pool,
        "any subset": side.can_subset,
    }


def _job(job: dg.JobDefinition) -> dict[str, object]:
    return {
        "steps": sorted(node.name for node in job.nodes),
        "partitions": repr(job.partitions_def),
        "executor": job.executor_def.name,
    }


def _schedule(schedule: dg.ScheduleDefinition) -> dict[str, object]:
    return {
        "cron": schedule.cron_schedule,
        "zone": schedule.execution_timezone,
        "status": schedule.default_status.value,
        "job": schedule.job_name,
    }


def _sensor(sensor: dg.SensorDefinition) -> dict[str, object]:
    return {
        "seconds": sensor.minimum_interval_seconds,
        "status": sensor.default_status.value,
        "jobs": sorted(target.job_name for target in sensor.targets),
    }


def test_every_description_says_grain_and_how_to_run_again() -> None:
    for spec in (*specs(models=False), *specs(models=True)):
        description = spec.description or ""
        grain = "**Grain**: " if spec.group_name == GROUP else _HOURLY
        assert GRAINS.get(spec.key.to_user_string(), grain) in description
        assert "**Run again** whenever you like" in description
        assert "Not ready" not in description


def test_the_column_schema_is_that_of_the_migrated_table(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        for spec in specs(models=False):
            schema, _, table = str(spec.metadata["dagster/table_name"]).partition(".")
            shown = {it.name: it.constraints.nullable for it in spec.metadata["dagster/column_schema"].columns}
            assert shown == _columns(connection, schema, table)


def _columns(connection: psycopg.Connection[tuple[object, ...]], schema: str, table: str) -> dict[str, bool]:
    rows = connection.execute(
        "select column_name, is_nullable = 'YES' from information_schema.columns"
        " where table_schema = %s and table_name = %s",
        (schema, table),
    ).fetchall()
    return {str(name): bool(nullable) for name, nullable in rows}


def test_the_file_of_columns_is_what_the_models_say() -> None:
    from b2chat_pipeline.assets.columns import FILE, columns_of_models

    assert FILE.read_text() == columns_of_models(), "run `python -m b2chat_pipeline.assets.columns`"
