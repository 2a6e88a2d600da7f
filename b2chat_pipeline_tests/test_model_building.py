"""SQL models in a real database: what building them leaves, and what their readers see meanwhile."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from b2chat_pipeline_tests.models_support import FILES, Models, models, schema_of

MONDAY, TUESDAY, WEDNESDAY = date(2025, 3, 3), date(2025, 3, 4), date(2025, 3, 5)


@pytest.fixture
def words(tmp_path: Path, database_url: str) -> Iterator[Models]:
    """Two words on Monday, one on Tuesday, nothing built."""
    with models(tmp_path, database_url) as built:
        built.rows("insert into words values ('2025-03-03', 'a'), ('2025-03-03', 'b'), ('2025-03-04', 'c') returning 1")
        yield built


def test_a_model_is_built_whole_without_days(words: Models) -> None:
    (outcome,) = words.build()

    assert outcome.stands
    assert outcome.built is not None
    assert outcome.built.rows == 2
    assert words.rows("select * from analytics.daily order by day") == [(MONDAY, 2), (TUESDAY, 1)]


def test_only_the_days_asked_for_are_built(words: Models) -> None:
    (outcome,) = words.build(MONDAY)

    assert outcome.built is not None
    assert outcome.built.rows_of_day == {MONDAY: 1}
    assert words.rows("select * from analytics.daily") == [(MONDAY, 2)]


def test_a_day_that_became_empty_is_emptied(words: Models) -> None:
    words.build()
    words.connection.execute("delete from words where day = '2025-03-03'")

    words.build(MONDAY)

    assert words.rows("select * from analytics.daily") == [(TUESDAY, 1)]


def test_building_twice_changes_nothing(words: Models) -> None:
    words.build()
    before = words.rows("select * from analytics.daily order by 1")

    words.build(MONDAY, WEDNESDAY)
    words.build()

    assert words.rows("select * from analytics.daily order by 1") == before


def test_a_model_that_tells_other_days_than_asked_for_is_refused(tmp_path: Path, database_url: str) -> None:
    unrestricted = FILES["models/daily.sql"].replace("is_incremental()", "false")
    with models(tmp_path, database_url, {**FILES, "models/daily.sql": unrestricted}) as built:
        built.connection.execute("insert into words values ('2025-03-03', 'a'), ('2025-03-04', 'c')")
        built.build()

        (outcome,) = built.build(MONDAY)

        assert "tells rows of 1 other days when asked for 2025-03-03 .. 2025-03-03" in outcome.problem
        assert len(built.rows("select * from analytics.daily")) == 2


def test_a_described_column_that_the_query_lacks_is_named(tmp_path: Path, database_url: str) -> None:
    other = FILES["models/daily.sql"].replace("as words", "as number")
    with models(tmp_path, database_url, {**FILES, "models/daily.sql": other}) as built:
        (outcome,) = built.build()

    assert "number is not described; words is described, but not told." in outcome.problem


def test_tables_and_columns_carry_their_descriptions(words: Models) -> None:
    words.build()

    assert words.rows("select obj_description('analytics.daily'::regclass)") == [
        ("Words by day. Grain: a row per day.",)
    ]
    assert words.rows("select col_description('analytics.daily'::regclass, 2)") == [("How many.",)]


def test_what_stands_upon_a_failed_test_is_left_out(tmp_path: Path, database_url: str) -> None:
    twice = FILES["models/daily.sql"].replace("group by day", "group by day union all select '2025-03-03', 9")
    files = {
        **FILES,
        "models/daily.sql": twice,
        "models/top.sql": "select max(words) as words from {{ ref('daily') }}",
        "models/top.yml": schema_of("top", "words"),
    }
    with models(tmp_path, database_url, files) as built:
        built.connection.execute("insert into words values ('2025-03-03', 'a')")
        daily, top = built.build()

    assert {checked.test.name: checked.failing for checked in daily.checks} == {
        "unique_daily_day": 1,
        "not_null_daily_day": 0,
        "accepted_values_daily_words": 1,
    }
    assert top.problem == "left out, since it reads daily"
