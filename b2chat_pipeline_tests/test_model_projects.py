"""What a folder of SQL models must keep to: each broken rule is named with file and line when the folder is read."""

import re
from pathlib import Path

import pytest

from b2chat_pipeline.transform.calls import FILE, Call, calls_of, calls_of_project
from b2chat_pipeline.transform.models import Place, ProjectError
from b2chat_pipeline.transform.project import models_folder, read_project
from b2chat_pipeline_tests.models_support import FILES, project_of, schema_of

NO_SCHEMA = {"models/top.sql": "select 1 as one"}
TOP = {"models/top.yml": schema_of("top", "one"), "models/top.sql": "select 1 as one"}


def refused(folder: Path, files: dict[str, str]) -> str:
    """The sentence that a project with these files is refused with."""
    with pytest.raises(ProjectError) as told:
        project_of(folder, {**FILES, **files})
    return str(told.value)


def test_models_come_after_those_they_read(tmp_path: Path) -> None:
    files = {
        "models/a.sql": "select * from {{ ref('b') }}",
        "models/b.sql": "select * from {{ ref('daily') }}",
        "models/ab.yml": schema_of("a", "day") + schema_of("b", "day").replace("models:", "").lstrip("\n"),
    }
    project = project_of(tmp_path, {**FILES, **files})

    assert list(project.models) == ["daily", "b", "a"]
    assert project.ancestors("a") == {"daily", "b"}


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (
            {**TOP, "models/top.sql": "select 1 as one\n  from {{ ref('nowhere') }}"},
            "sql/models/top.sql:2: ref('nowhere') names nothing that is in models/.",
        ),
        (
            {**TOP, "models/top.sql": "select 1 as one\n\n  from {{ source('b2chat', 'nothing') }}"},
            "sql/models/top.sql:3: source('b2chat', 'nothing') names nothing that is in models/sources.yml.",
        ),
        (
            {**TOP, "models/top.sql": "select {{ var('unheard') }} as one"},
            "sql/models/top.sql:1: var('unheard') names nothing that is in dbt_project.yml.",
        ),
        (
            {**TOP, "models/top.sql": "select\n {{ run_query('select 1') }} as one"},
            "sql/models/top.sql:2: run_query is not known here: use config, is_incremental, ref, source, this, var",
        ),
        (
            {**TOP, "models/top.sql": "select 1 as one\n{% if %}"},
            "sql/models/top.sql:2: the template cannot be read: Expected an expression",
        ),
        (
            {**TOP, "models/top.sql": "{% set it = 'daily' %}\nselect 1 as one from {{ ref(it) }}"},
            "sql/models/top.sql:2: ref takes constants only",
        ),
        (NO_SCHEMA, "sql/models/top.sql:1: model top has no entry in a schema file: describe it there."),
        (
            {**NO_SCHEMA, "models/top.yml": "\nmodels:\n\n  - name: top\n    config: {meta: {grain: a row}}"},
            "sql/models/top.yml:3: model top has no description: write one.",
        ),
        (
            {**NO_SCHEMA, "models/top.yml": "models:\n  - name: top\n    description: Top."},
            "sql/models/top.yml:2: model top has no grain: write one.",
        ),
        (
            {**TOP, "models/top.yml": schema_of("top", "one").replace("description: The one.", "data_type: text")},
            "sql/models/top.yml:6: column one has no description: write one.",
        ),
        (
            {"models/top.yml": schema_of("top", "one")},
            "sql/models/top.yml:2: there is no model top: write models/…/top.sql, or drop this entry.",
        ),
        (
            {**TOP, "models/again.yml": schema_of("top", "one")},
            "sql/models/top.yml:2: model top is described at sql/models/again.yml:2 already.",
        ),
        (
            {**TOP, "models/top.yml": schema_of("top", "one").replace("The one.}", "The one., data_tests: [never]}")},
            "sql/models/top.yml:6: there is no test never: use not_null, unique, accepted_values, relationships",
        ),
        (
            {**TOP, "models/top.sql": "{{ config(materialized='incremental') }}\nselect 1 as one"},
            "sql/models/top.sql:1: an incremental model needs incremental_strategy='delete+insert'",
        ),
        (
            {**TOP, "models/top.sql": "\n{{ config(post_hook='vacuum') }}\nselect 1 as one"},
            "sql/models/top.sql:1: config does not know post_hook",
        ),
        (
            {"tests/nothing.sql": "-- Nothing.\nselect 1"},
            "sql/tests/nothing.sql:1: the test reads no model: use ref.",
        ),
        (
            {"tests/odd.sql": "-- Odd.\n{{ config(severity='warn') }}\nselect * from {{ ref('daily') }}"},
            "sql/tests/odd.sql:2: config of a test takes meta={'by_day': true} and nothing else.",
        ),
        (
            {
                "models/top.sql": "{{ config(materialized='table') }}\nselect 1 as one",
                "models/top.yml": schema_of("top", "one").replace("a row per row", "a row per row, day: one"),
            },
            "sql/models/top.yml:4: a table has no day, since it is built as a whole: drop this, or build it by day.",
        ),
        (
            {"tests/silent.sql": "select * from {{ ref('daily') }}"},
            "sql/tests/silent.sql:1: the test says not what it holds: begin it with a comment.",
        ),
        ({"models/top.yml": "models:\n  - name: [top"}, "sql/models/top.yml:3: this is no YAML"),
    ],
)
def test_a_broken_rule_is_named_with_file_and_line(tmp_path: Path, files: dict[str, str], sentence: str) -> None:
    assert sentence in refused(tmp_path, files)


def test_a_circle_of_models_is_named_with_one_of_its_places(tmp_path: Path) -> None:
    files = {
        "models/a.sql": "select 1 as one\n  from {{ ref('b') }}",
        "models/b.sql": "select 1 as one from {{ ref('a') }}",
        "models/ab.yml": schema_of("a", "one") + schema_of("b", "one").replace("models:", "").lstrip("\n"),
    }
    sentence = refused(tmp_path, files)

    assert re.match(r"sql/models/(a.sql:2|b.sql:1): models read each other in a circle: ", sentence)


def test_the_file_of_calls_is_what_the_templates_say() -> None:
    told = calls_of_project(read_project(models_folder()))

    assert FILE.read_text() == told, "run `python -m b2chat_pipeline.transform.calls`"


def test_the_calls_of_a_text_that_was_changed_are_those_of_the_new_one() -> None:
    file = Path("models/daily.sql")
    text = next(model.text for model in read_project(models_folder()).models.values() if len(model.refs) == 1)

    (added,) = [
        call for call in calls_of(file, f"{text}\n{{{{ ref('another') }}}}") if call not in calls_of(file, text)
    ]

    assert added == Call("ref", ("another",), {}, Place(file, text.count("\n") + 2))
