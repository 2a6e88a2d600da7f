"""The SQL models as assets: one model is one asset, one test of a schema file one check of it.

Here belongs what Dagster shows of a model, and the way from a run to `transform/`. Not here: what a model tells (its
file in `dbt_like_sql/` does), when it is built (`automation/models.py`).
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from hashlib import blake2b
from typing import TYPE_CHECKING

import dagster as dg

from b2chat_pipeline.assets.lineage import LOADED, lineage_metadata
from b2chat_pipeline.assets.materializations import attach_metadata
from b2chat_pipeline.assets.pictures import heat_map
from b2chat_pipeline.assets.shell import failing_in_one_sentence
from b2chat_pipeline.assets.sides import OWNERS
from b2chat_pipeline.partitions import hours_so_far, range_of
from b2chat_pipeline.resources import WarehouseResource
from b2chat_pipeline.settings import read_account
from b2chat_pipeline.transform.models import DataTest, Model, Project
from b2chat_pipeline.transform.target import SCHEMA, Days, Target

if TYPE_CHECKING:
    from psycopg import Connection

    from b2chat_pipeline.transform.build import Built
    from b2chat_pipeline.transform.checking import Checked
    from b2chat_pipeline.transform.showing import Shown

GROUP = "metrics"
# A day is a fraction of a second's work, a run costs seconds.
DAYS_PER_RUN = 366
_RERUN = {
    True: "**Run again** whenever you like: any days, in any order; each day is replaced as a whole, also by nothing.",
    False: "**Run again** whenever you like: it is replaced as a whole, and readers never see less than that.",
}


def model_assets(project: Project, days: dg.DailyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Every model as an asset, with those of its tests that read nothing but it and what it is built from."""
    return [_asset(project, model, days) for model in project.models.values()]


def model_checks(project: Project) -> list[dg.AssetChecksDefinition]:
    """The tests that read models side by side: checks with a step of their own, after all of these."""
    return [_check(project, test) for test in project.tests if not _is_of_one_model(project, test)]


def _is_of_one_model(project: Project, test: DataTest) -> bool:
    return test.reads <= {test.model} | project.ancestors(test.model)


def _asset(project: Project, model: Model, days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    by_day = bool(model.day_column)
    tests = [test for test in project.tests_of(model.name) if _is_of_one_model(project, test)]

    @dg.multi_asset(
        name=model.name,
        specs=[_spec(project, model)],
        check_specs=[_check_spec(test) for test in tests],
        partitions_def=days if by_day else None,
        backfill_policy=dg.BackfillPolicy.multi_run(DAYS_PER_RUN) if by_day else None,
    )
    def build_model(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        from b2chat_pipeline.transform.build import build
        from b2chat_pipeline.transform.checking import check
        from b2chat_pipeline.transform.showing import look

        days = _days(context.partition_keys) if by_day else _days_of_run(context.run)
        with _target(warehouse, project) as (connection, target):
            built = build(connection, target, model, days)
            checks = [check(connection, target, test, days) for test in tests]
            shown = look(connection, target, model, days)
        if by_day:
            attach_metadata(context, {model.name: {key: _of_day(key, built, shown) for key in context.partition_keys}})
        yield dg.MaterializeResult(
            asset_key=model.name,
            metadata={**_metadata(model, built, days), **_shown(model, shown)},
            check_results=[_result(checked) for checked in checks],
        )

    return build_model


def _check(project: Project, test: DataTest) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        name=test.name,
        asset=test.model,
        additional_deps=sorted(test.reads - {test.model}),
        description=test.description,
        blocking=test.severity == "error",
    )
    def check_models(context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource) -> dg.AssetCheckResult:
        from b2chat_pipeline.transform.checking import check

        with _target(warehouse, project) as (connection, target):
            return _result(check(connection, target, test, _days_of_run(context.run)))

    return check_models


@contextmanager
def _target(warehouse: WarehouseResource, project: Project) -> "Iterator[tuple[Connection, Target]]":
    """What a build works with; trouble ends the step in one sentence."""
    from b2chat_pipeline.transform.run import ensure_schema
    from b2chat_pipeline.warehouse.accounts import require_zone

    with failing_in_one_sentence(), warehouse.connect("build") as connection:
        zone = read_account(os.environ).zone.key
        require_zone(connection, zone)
        ensure_schema(connection, SCHEMA)
        yield connection, Target(project, {"time_zone": zone})


def _days_of_run(run: dg.DagsterRun) -> Days | None:
    """The days that a run is about, also for what has no days of its own, as views; None where it names none."""
    keys = range_of(run.tags)
    return None if keys is None else _days(keys)


def _days(keys: Sequence[str]) -> Days:
    return Days(date.fromisoformat(min(keys)), date.fromisoformat(max(keys)))


def _spec(project: Project, model: Model) -> dg.AssetSpec:
    columns = [dg.TableColumn(it.name, it.type or "", it.description) for it in model.columns]
    return dg.AssetSpec(
        model.name,
        deps=list(_deps(project, model)),
        description=f"{model.description}\n\n**Grain**: {model.grain}.\n\n{_RERUN[bool(model.day_column)]}",
        group_name=GROUP,
        owners=[model.owner] if model.owner else OWNERS,
        kinds={"sql", "postgres", model.materialized},
        code_version=blake2b(model.text.encode(), digest_size=6).hexdigest(),
        metadata={
            "dagster/table_name": f"{SCHEMA}.{model.name}",
            "dagster/column_schema": dg.TableSchema(columns=columns),
            **lineage_metadata(model.name),
        },
    )


def _deps(project: Project, model: Model) -> Iterable[dg.AssetDep]:
    """The models and the loaded tables that a model reads."""
    for ref in sorted(model.refs):
        yield dg.AssetDep(ref)
    tables = {project.sources[source] for source in model.sources}
    for table in sorted(it.table for it in tables if it.schema == "public" and it.table in LOADED):
        yield dg.AssetDep(table, partition_mapping=hours_so_far() if model.day_column else None)


def _check_spec(test: DataTest) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        test.name, asset=test.model, description=test.description, blocking=test.severity == "error"
    )


def _result(checked: "Checked") -> dg.AssetCheckResult:
    severity = dg.AssetCheckSeverity.ERROR if checked.test.severity == "error" else dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(
        check_name=checked.test.name,
        asset_key=checked.test.model,
        passed=checked.passed,
        severity=severity,
        metadata={"failing_rows": checked.failing},
    )


def _of_day(key: str, built: "Built", shown: "Shown") -> dict[str, int | float | str]:
    day = date.fromisoformat(key)
    return {"dagster/partition_row_count": built.rows_of_day.get(day, 0), **shown.numbers_of_day.get(day, {})}


def _metadata(model: Model, built: "Built", days: Days | None) -> dict[str, int | float]:
    seconds = {"run_seconds": round(built.seconds, 3)}
    if model.day_column:
        return seconds
    # To count all rows of a view takes as long as to read all days.
    return {"rows_of_days" if days and model.row_day else "dagster/row_count": built.rows, **seconds}


def _shown(model: Model, shown: "Shown") -> dict[str, int | float | dg.MarkdownMetadataValue | dg.TableMetadataValue]:
    """What a model shows that is not told of single days."""
    pictures = {name: dg.MetadataValue.md(heat_map(values)) for name, values in shown.heat_maps.items()}
    table = {"first_rows": _table(model, shown.rows)} if shown.rows else {}
    return {**shown.numbers, **pictures, **table}


def _table(model: Model, rows: Sequence[Mapping[str, object]]) -> dg.TableMetadataValue:
    types = {column.name: column.type for column in model.columns}
    columns = [dg.TableColumn(name, types[name]) for name in rows[0]]
    records = [dg.TableRecord({name: _plain(value) for name, value in row.items()}) for row in rows]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))


def _plain(value: object) -> str | int | float | bool | None:
    """A value as Dagster's tables take it: what they have no type for, as PostgreSQL writes it."""
    return value if isinstance(value, str | int | float | bool | None) else str(value)
