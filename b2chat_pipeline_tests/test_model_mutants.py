"""The search for mistakes that nobody would notice: it finds those that were planted, and no others."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import Connection

from b2chat_pipeline.transform.models import Model, Project
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline_tests.model_mutants.judging import WrongAsItIsError, judge
from b2chat_pipeline_tests.model_mutants.proofs import Proofs
from b2chat_pipeline_tests.models_support import WORDS, project_of

COUNTS = """
    {{ config(materialized='view') }}
    -- Long words.
    select count(*) as words
      from {{ source('b2chat', 'words') }}
     where length(word) > 3
"""
SCHEMA = """
    models:
      - name: counts
        description: How many long words there are.
        config: {meta: {grain: one row}}
        columns: [{name: words, description: How many.}]
"""
SOURCES = """
    sources: [{name: b2chat, schema: public, tables: [{name: words}]}]
"""


class Counted:
    """Knows how many words are long, of a few."""

    def __init__(self, connection: Connection, wanted: int) -> None:
        self._connection = connection
        self._wanted = wanted

    def knows(self, model: Model) -> bool:
        return model.name == "counts"

    def refutes(self, model: Model, sql: str) -> bool:
        assert model.name == "counts"
        with self._connection.transaction(force_rollback=True):
            return self._connection.execute(sql.encode()).fetchone() != (self._wanted,)


@pytest.fixture
def words(database_url: str) -> Iterator[Connection]:
    with connect(database_url, purpose="test") as connection:
        connection.execute(WORDS)
        connection.execute("insert into words (word) values ('two'), ('three'), ('fourteen')")
        yield connection


@pytest.fixture
def project(tmp_path: Path) -> Project:
    files = {
        "dbt_project.yml": "vars: {time_zone: null, from_day: null, to_day: null}",
        "models/sources.yml": SOURCES,
        "models/counts.sql": COUNTS,
        "models/counts.yml": SCHEMA,
    }
    return project_of(tmp_path, files)


def test_mutants_that_nobody_notices_are_told_with_their_line(words: Connection, project: Project) -> None:
    proofs = Proofs(words, [Counted(words, 2)], project)

    judged = judge(proofs, project.models["counts"])

    # With words of three, five and eight letters, four is as good a limit as three.
    assert [(it.line, it.change) for it in judged.survivors] == [(5, "3 -> 4 in LENGTH(word) > 3")]
    assert judged.killed == 3


def test_a_model_that_is_wrong_already_is_not_judged(words: Connection, project: Project) -> None:
    proofs = Proofs(words, [Counted(words, 1)], project)

    with pytest.raises(WrongAsItIsError, match="counts is not what is computed of it"):
        judge(proofs, project.models["counts"])
