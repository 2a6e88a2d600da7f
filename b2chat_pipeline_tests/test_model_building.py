"""SQL models in a real database: what building them leaves, and what their readers see meanwhile."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from uuid import uuid4

import pytest
from psycopg import Connection, OperationalError

from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline_tests.models_support import FILES, Models, models, project_of, schema_of

MONDAY, TUESDAY, WEDNESDAY = date(2025, 3, 3), date(2025, 3, 4), date(2025, 3, 5)
# Ends whoever builds after the rows were deleted and before the new ones are there.
KILLS_BUILDS = """
    create function public.kill() returns trigger language plpgsql as
    'begin perform pg_terminate_backend(pg_backend_pid()), pg_sleep(1); return null; end';
    create trigger killed before insert on analytics.daily execute function public.kill()
"""


@pytest.fixture
def words(tmp_path: Path, database_url: str) -> Iterator[Models]:
    """Two words on Monday, one on Tuesday, nothing built."""
    with models(tmp_path, database_url) as built:
        built.rows("insert into words values ('2025-03-03', 'a'), ('2025-03-03', 'b'), ('2025-03-04', 'c') returning 1")
        yield built


@pytest.fixture
def role(words: Models) -> Iterator[str]:
    """A role that may do nothing yet. Roles are the server's, so it is dropped."""
    name = f"analyst_{uuid4().hex[:8]}"
    words.connection.execute(f"create role {name}".encode())
    yield name
    words.connection.execute(f"drop owned by {name}; drop role {name}".encode())


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


FEW = "select * from {{ ref('shown') }} where words > 3"
JUDGED = {
    **FILES,
    "models/shown.sql": "select day, words from {{ ref('daily') }}",
    "models/shown.yml": schema_of("shown", "day", "words")
    .replace("a row per row", "a row per day, day: day")
    .replace("The words.}", "The words., data_tests: [{accepted_values: {arguments: {values: [1, 2, 3]}}}]}"),
    "tests/few_words_a_day.sql": "-- A day has few words.\n{{ config(meta={'by_day': true}) }}\n" + FEW,
    "tests/few_words_ever.sql": "-- No day has many words.\n" + FEW,
}


def test_only_the_days_that_are_built_are_judged_where_each_can_be_by_itself(tmp_path: Path, database_url: str) -> None:
    with models(tmp_path, database_url, JUDGED) as built:
        built.connection.execute("insert into words select '2025-03-03', 'a' from generate_series(1, 9)")
        built.connection.execute("insert into words values ('2025-03-04', 'a')")
        rows, failing = zip(*(judged(built, days) for days in ([], [TUESDAY], [MONDAY, TUESDAY])), strict=True)

    everywhere = {"accepted_values_shown_words": 1, "few_words_a_day": 1, "few_words_ever": 1}
    assert rows == (2, 1, 2)
    assert failing == (everywhere, {"few_words_ever": 1}, everywhere)


def judged(words: Models, days: list[date]) -> tuple[int, dict[str, int]]:
    """How many rows the view has, of some days or all, and how many break which of its tests."""
    words.build(only="daily")
    (view,) = words.build(*days, only="shown")
    assert view.built is not None
    return view.built.rows, {it.test.name: it.failing for it in view.checks if it.failing}


def with_files(words: Models, tmp_path: Path, files: dict[str, str]) -> Models:
    """The same database under a project whose files have changed."""
    return Models(project_of(tmp_path, {**FILES, **files}), words.connection)


MORE = {
    "models/daily.sql": FILES["models/daily.sql"].replace("count(*) as words", "count(*) as words, max(word) as last"),
    "models/daily.yml": FILES["models/daily.yml"].rstrip() + "\n          - {name: last, description: The last.}\n",
}
FEWER = {
    "models/daily.sql": FILES["models/daily.sql"].replace("count(*) as words", "count(*) as number"),
    "models/daily.yml": FILES["models/daily.yml"].replace("name: words", "name: number"),
}


def test_views_grants_and_comments_outlive_new_columns(words: Models, tmp_path: Path, role: str) -> None:
    words.build()
    for statement in (
        f"grant select on analytics.daily to {role}",
        "create view public.busy with (security_barrier) as select day from analytics.daily where words > 1",
        "comment on view public.busy is 'Busy days.'",
        "create view public.busiest as select max(day) as day from public.busy",
        f"grant select (day) on public.busiest to {role}",
    ):
        words.connection.execute(statement.encode())

    (outcome,) = with_files(words, tmp_path, MORE).build()

    assert outcome.stands, outcome.problem
    assert words.rows("select last from analytics.daily order by day") == [("b",), ("c",)]
    assert words.rows("select day from public.busiest") == [(MONDAY,)]
    assert words.rows(
        "select obj_description('busy'::regclass), reloptions::text from pg_class where relname = 'busy'"
    ) == [("Busy days.", "{security_barrier=true}")]
    assert words.rows(
        f"select has_table_privilege('{role}', 'analytics.daily', 'select'),"
        f" has_column_privilege('{role}', 'public.busiest', 'day', 'select')"
    ) == [(True, True)]


def test_new_columns_are_filled_for_all_days_also_where_one_is_asked_for(words: Models, tmp_path: Path) -> None:
    words.build()

    (outcome,) = with_files(words, tmp_path, MORE).build(MONDAY)

    assert outcome.built is not None
    assert outcome.built.rows_of_day == {MONDAY: 1, TUESDAY: 1}
    assert words.rows("select day, last from analytics.daily order by day") == [(MONDAY, "b"), (TUESDAY, "c")]


def test_a_view_may_change_the_order_of_its_columns(words: Models, tmp_path: Path) -> None:
    files = {"models/shown.yml": schema_of("shown", "day", "words")}
    with_files(words, tmp_path, {**files, "models/shown.sql": "select day, words from {{ ref('daily') }}"}).build()
    turned = {**files, "models/shown.sql": "select words, day from {{ ref('daily') }}"}

    outcomes = with_files(words, tmp_path, turned).build()

    assert all(outcome.stands for outcome in outcomes)
    assert words.rows("select * from analytics.shown order by 1") == [(1, TUESDAY), (2, MONDAY)]


def test_builds_of_different_days_do_not_wait_for_each_other(words: Models, database_url: str) -> None:
    words.build()
    words.connection.execute("set lock_timeout = '100ms'")
    with connect(database_url, purpose="other build") as other, other.transaction():
        Models(words.project, other).build(MONDAY)

        (same_day,) = words.build(MONDAY)
        (other_day,) = words.build(TUESDAY)

    assert "LockNotAvailable" in same_day.problem
    assert other_day.stands


def test_a_build_of_a_hundred_years_keeps_those_of_each_day_waiting(words: Models, database_url: str) -> None:
    words.build()
    words.connection.execute("set lock_timeout = '100ms'")
    with connect(database_url, purpose="other build") as other, other.transaction():
        (of_all,) = Models(words.project, other).build(MONDAY, MONDAY.replace(year=MONDAY.year + 100))

        (of_one,) = words.build(TUESDAY)

    assert of_all.stands
    assert "LockNotAvailable" in of_one.problem


def test_a_view_of_somebody_that_would_break_keeps_the_model_as_it_is(words: Models, tmp_path: Path) -> None:
    words.build()
    words.connection.execute("create view public.busy as select day from analytics.daily where words > 1")

    (outcome,) = with_files(words, tmp_path, FEWER).build()

    assert 'the view "public"."busy" does not fit the new columns' in outcome.problem
    assert words.rows("select day from public.busy") == [(MONDAY,)]


def test_a_view_that_is_a_model_follows_its_own_file(words: Models, tmp_path: Path) -> None:
    shown = {
        "models/shown.sql": "select words from {{ ref('daily') }}",
        "models/shown.yml": schema_of("shown", "words"),
    }
    with_files(words, tmp_path, shown).build()
    changed = {"models/shown.sql": "select number as words from {{ ref('daily') }}", **FEWER}

    outcomes = with_files(words, tmp_path, {**shown, **changed}).build()

    assert [outcome.problem for outcome in outcomes] == ["", ""]
    assert words.rows("select words from analytics.shown order by 1") == [(1,), (2,)]


def test_nobody_sees_less_than_a_whole_table_and_a_long_query_holds_up_nothing(
    words: Models, database_url: str
) -> None:
    words.build()
    before = [(MONDAY, 2), (TUESDAY, 1)]
    with connect(database_url, purpose="analyst") as analyst:
        analyst.execute("begin isolation level repeatable read")
        look = "select * from analytics.daily order by day"
        seen = [analyst.execute(look).fetchall()]
        words.connection.execute("insert into words values ('2025-03-05', 'd')")
        outcomes = [words.build(), words.build(MONDAY, WEDNESDAY)]
        seen.append(analyst.execute(look).fetchall())

    assert all(outcome.stands for built in outcomes for outcome in built)
    assert seen == [before, before]
    assert words.rows(look) == [*before, (WEDNESDAY, 1)]


def test_a_build_that_is_killed_leaves_the_rows_as_they_were_and_can_be_repeated(
    words: Models, database_url: str
) -> None:
    words.build()
    words.connection.execute("insert into words values ('2025-03-03', 'd')")
    words.connection.execute(KILLS_BUILDS)
    with connect(database_url, purpose="killed") as killed, pytest.raises(OperationalError):
        Models(words.project, killed).build(MONDAY)
    after = words.rows("select * from analytics.daily order by day")
    words.connection.execute("drop trigger killed on analytics.daily")
    words.build(MONDAY)

    assert after == [(MONDAY, 2), (TUESDAY, 1)]
    assert words.rows("select * from analytics.daily order by day") == [(MONDAY, 3), (TUESDAY, 1)]


def test_an_unchanged_view_is_left_alone_while_somebody_reads_it(tmp_path: Path, database_url: str) -> None:
    files = {**FILES, "models/shown.sql": "select words from {{ ref('daily') }}"}
    files["models/shown.yml"] = schema_of("shown", "words")
    with models(tmp_path, database_url, files) as built, connect(database_url, purpose="analyst") as analyst:
        built.build()
        with analyst.transaction():
            analyst.execute("select * from analytics.shown")
            built.connection.execute("set lock_timeout = '100ms'")
            outcomes = built.build()

    assert all(outcome.stands for outcome in outcomes)


def test_indexes_are_made_also_of_a_table_that_stands(words: Models, tmp_path: Path) -> None:
    words.build()
    files = {
        "models/daily.sql": FILES["models/daily.sql"].replace(
            "]}]", "]}, {'columns': ['words', 'day'], 'unique': true}]"
        )
    }

    for _ in range(2):
        with_files(words, tmp_path, files).build()

    assert words.rows("select indexdef from pg_indexes where tablename = 'daily' order by indexname") == [
        ("CREATE INDEX daily_day_idx ON analytics.daily USING btree (day)",),
        ("CREATE UNIQUE INDEX daily_words_day_idx ON analytics.daily USING btree (words, day)",),
    ]


def test_two_builds_of_one_model_take_turns(words: Models, database_url: str) -> None:
    def build_often(connection: Connection) -> bool:
        builds = [Models(words.project, connection).build(MONDAY) for _ in range(5)]
        return all(outcome.stands for built in builds for outcome in built)

    with connect(database_url, purpose="other build") as other, ThreadPoolExecutor(2) as threads:
        assert all(threads.map(build_often, (words.connection, other)))

    assert words.rows("select * from analytics.daily") == [(MONDAY, 2)]
