"""dbt finds the same rows in the same files."""

from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from psycopg import Connection, sql

from b2chat_pipeline.simulator import World
from b2chat_pipeline.transform.models import Project
from b2chat_pipeline.transform.project import models_folder, read_project
from b2chat_pipeline.transform.run import run
from b2chat_pipeline.transform.target import SCHEMA, Target
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline_tests.dbt_support import build_with_dbt
from b2chat_pipeline_tests.loading_support import all_loaded, running_pipeline

FIRST, LAST = date(2025, 3, 3), date(2025, 3, 6)
NOW = datetime(2025, 3, 7, 18, tzinfo=UTC)
WORLD = World(first_day=FIRST, zone=ZoneInfo("America/Bogota"), chats_per_day=20)
BESIDE = "analytics_dbt"
_COLUMNS = """
    select attname, format_type(atttypid, null) from pg_attribute
     where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attname
"""


@pytest.mark.any_postgres
def test_dbt_builds_the_same_rows_from_the_same_files(database_url: str, tmp_path: Path) -> None:
    project = read_project(models_folder())
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        assert all_loaded(pipeline.load_account(FIRST, LAST))
    with connect(database_url, purpose="build") as connection:
        outcomes = run(connection, Target(project, {"time_zone": "America/Bogota"}), project.models, None)
        # Without dbt, which `make test` installs, this fails: that it agrees is a promise.
        build_with_dbt(database_url, tmp_path, "{time_zone: America/Bogota}", ["--full-refresh", "--no-partial-parse"])

        assert not [outcome.problem for outcome in outcomes if not outcome.stands]
        assert {name: differing_rows(connection, name) for name in comparable(project)} == dict.fromkeys(
            comparable(project), 0
        )


def comparable(project: Project) -> list[str]:
    """All models but those that tell of the moment they are looked at."""
    live = {model.name for model in project.models.values() if "as_of" in {column.name for column in model.columns}}
    return [name for name in project.models if name not in live and not project.ancestors(name) & live]


def differing_rows(connection: Connection, name: str) -> int:
    """How many rows are in one of the two relations only. Sums of fractions depend on the order of their terms."""
    columns = connection.execute(_COLUMNS, (f'"{SCHEMA}"."{name}"',)).fetchall()
    assert columns == connection.execute(_COLUMNS, (f'"{BESIDE}"."{name}"',)).fetchall(), name
    compared = sql.SQL(", ").join(
        sql.SQL("round({}::numeric, 6)" if kind == "double precision" else "{}::text").format(sql.Identifier(column))
        for column, kind in columns
    )
    ours, theirs = (
        sql.SQL("select {} from {}").format(compared, sql.Identifier(schema, name)) for schema in (SCHEMA, BESIDE)
    )
    counted = sql.SQL("select count(*) from (({0} except all {1}) union all ({1} except all {0})) differing")
    row = connection.execute(counted.format(ours, theirs)).fetchone()
    return row[0] if row else -1
