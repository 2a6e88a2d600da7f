"""`b2chat build`: the SQL models of the folder it is started in."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from b2chat_pipeline.commands.build import build
from b2chat_pipeline.settings import SettingsError
from b2chat_pipeline_tests.dagster_support import account_environment
from b2chat_pipeline_tests.models_support import Models, models


@pytest.fixture
def words(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Models]:
    """A project folder to start the command in, and words of two days."""
    for name, value in account_environment("http://127.0.0.1:1", database_url).items():
        monkeypatch.setenv(name, value)
    with models(tmp_path, database_url) as built:
        (tmp_path / "sql").rename(tmp_path / "dbt_like_sql")
        monkeypatch.chdir(tmp_path)
        built.connection.execute("insert into words values ('2025-03-03', 'a'), ('2025-03-04', 'b')")
        yield built


def test_all_days_are_built_and_told(words: Models, capsys: pytest.CaptureFixture[str]) -> None:
    done = build(os.environ, start=None, end=None)

    told = capsys.readouterr()
    assert done
    assert "1 models, all days" in told.out
    assert "1/1 models" in told.err
    assert words.rows("select count(*) from analytics.daily") == [(2,)]


def test_only_the_days_before_the_end_are_built(words: Models, capsys: pytest.CaptureFixture[str]) -> None:
    done = build(os.environ, start="2025-03-03", end="2025-03-04")

    assert done
    assert "1 models, 2025-03-03 .. 2025-03-03" in capsys.readouterr().out
    assert words.rows("select day::text from analytics.daily") == [("2025-03-03",)]


def test_rows_that_break_a_test_are_told_with_the_place_of_the_test(
    words: Models, capsys: pytest.CaptureFixture[str]
) -> None:
    words.connection.execute("insert into words values (null, 'c')")

    done = build(os.environ, start=None, end=None)

    assert not done
    assert (
        "Failed: not_null_daily_day: rows that break it: 1 (dbt_like_sql/models/daily.yml:6)."
        in capsys.readouterr().out
    )


def test_a_span_that_holds_no_day_is_refused(words: Models) -> None:
    with pytest.raises(SettingsError, match="holds no hour"):
        build(os.environ, start="2025-03-04", end="2025-03-03")

    assert words.rows("select to_regclass('analytics.daily')") == [(None,)]
