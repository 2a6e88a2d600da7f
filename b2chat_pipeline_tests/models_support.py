"""Small projects of SQL models in a folder of a test, and what building them leaves in a database."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from textwrap import dedent
from typing import Any

from psycopg import Connection

from b2chat_pipeline.transform.models import Project
from b2chat_pipeline.transform.project import read_project
from b2chat_pipeline.transform.run import ModelOutcome, run
from b2chat_pipeline.transform.target import Days, Target
from b2chat_pipeline.warehouse.connection import connect

# A table that a test fills itself: a day and a word.
WORDS = "create table public.words (day date, word text)"
SOURCES = """
    sources:
      - name: b2chat
        schema: public
        tables:
          - name: words
"""
DAILY = """
    {{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='day',
              indexes=[{'columns': ['day']}]) }}
    select day, count(*) as words from {{ source('b2chat', 'words') }}
    {% if is_incremental() %}
     where day between '{{ var("from_day") }}'::date and '{{ var("to_day") }}'::date
    {% endif %}
     group by day
"""
DAILY_SCHEMA = """
    models:
      - name: daily
        description: Words by day.
        config: {meta: {grain: a row per day, day: day}}
        columns:
          - {name: day, description: The day., data_type: date, data_tests: [unique, not_null]}
          - name: words
            description: How many.
            data_type: bigint
            data_tests: [{accepted_values: {arguments: {values: [1, 2, 3]}}}]
"""
# One model by day; tests add to it.
FILES = {
    "dbt_project.yml": "vars: {time_zone: null, from_day: null, to_day: null}",
    "models/sources.yml": SOURCES,
    "models/daily.sql": DAILY,
    "models/daily.yml": DAILY_SCHEMA,
}


def schema_of(name: str, *columns: str, materialized: str = "") -> str:
    """The schema file of a model without tests."""
    described = "".join(f"\n          - {{name: {column}, description: The {column}.}}" for column in columns)
    return f"""
    models:
      - name: {name}
        description: All about {name}{materialized}.
        config: {{meta: {{grain: a row per row}}}}
        columns: {described}
    """


def project_of(folder: Path, files: Mapping[str, str]) -> Project:
    """The project that some files make, by their names in its folder."""
    for name, text in files.items():
        file = folder / "sql" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text).strip() + "\n")
    return read_project(folder / "sql")


@dataclass(frozen=True)
class Models:
    """A project and the database it is built in."""

    project: Project
    connection: Connection

    def build(self, first: date | None = None, last: date | None = None, *, only: str = "") -> list[ModelOutcome]:
        """Build all models or one: all days, one, or those from the first to the last."""
        days = Days(first, last or first) if first else None
        names = [only] if only else list(self.project.models)
        return run(self.connection, Target(self.project, {"time_zone": "America/Bogota"}), names, days)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        return self.connection.execute(query.encode()).fetchall()


@contextmanager
def models(folder: Path, url: str, files: Mapping[str, str] = FILES) -> Iterator[Models]:
    """A project over a database with an empty table of words."""
    with connect(url, purpose="test") as connection:
        connection.execute(WORDS)
        yield Models(project_of(folder, files), connection)
