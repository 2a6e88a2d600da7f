"""What models show of themselves beside their rows: the project's own, and what a schema file may say."""

from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from b2chat_pipeline.transform.models import ModelError, ProjectError
from b2chat_pipeline.transform.project import models_folder, read_project
from b2chat_pipeline.transform.showing import MOST_ROWS, Shown, look
from b2chat_pipeline.transform.target import Days, Target
from b2chat_pipeline_tests.analyst_support import FIRST, LAST, Account
from b2chat_pipeline_tests.loading_support import rows
from b2chat_pipeline_tests.models_support import DAILY_SCHEMA, FILES, models, project_of

SHOWING = sorted(model.name for model in read_project(models_folder()).models.values() if model.shows)
# A day before the account's first chat.
BEFORE = FIRST - timedelta(days=1)


def shown_by(account: Account, name: str) -> Shown:
    """What a model of the account shows, of all days where it is built by day."""
    with account.connected() as connection:
        return look(connection, account.target, account.target.project.models[name], Days(BEFORE, LAST))


@pytest.mark.parametrize("name", SHOWING)
def test_every_model_shows_what_its_schema_file_names(name: str, account: Account) -> None:
    shows = account.target.project.models[name].shows
    shown = shown_by(account, name)
    told = {number for numbers in (shown.numbers, *shown.numbers_of_day.values()) for number in numbers}

    assert shows
    # Nobody has rated anything here, so nothing is known of ratings.
    assert told == {*shows.numbers} - {"mean_rating", "top_two_share"}
    assert {*shown.heat_maps} == {*shows.heat_maps}
    assert [tuple(row) for row in shown.rows] == [shows.columns] * len(shown.rows)
    assert bool(shown.rows) == bool(shows.columns)
    assert len(shown.rows) <= MOST_ROWS


def test_numbers_of_a_day_are_those_of_its_chats(account: Account) -> None:
    shown = shown_by(account, "chat_metrics").numbers_of_day
    with account.connected() as connection:
        chats: list[dict[str, Any]] = rows(connection, "select * from analytics.chat_metrics")

    assert sorted(shown) == [BEFORE + timedelta(days=number) for number in range((LAST - BEFORE).days + 1)]
    # Without chats there are none, and nothing can be said of shares.
    assert shown[BEFORE] == {"chats": 0, "inbound_chats": 0}
    for day in {chat["created_day"] for chat in chats}:
        of_day = [chat for chat in chats if chat["created_day"] == day]
        inbound = [chat for chat in of_day if chat["direction"] == "inbound"]
        judged = [chat["sla_first_response_met"] for chat in of_day if chat["sla_first_response_met"] is not None]
        waits = [chat["first_response_seconds"] for chat in inbound if chat["first_response_seconds"] is not None]
        assert shown[day]["chats"] == len(of_day)
        assert shown[day]["inbound_chats"] == len(inbound)
        assert shown[day]["closed_share"] == pytest.approx(sum(chat["is_closed"] for chat in of_day) / len(of_day))
        assert shown[day].get("median_response_seconds") == (pytest.approx(median(waits)) if waits else None)
        assert shown[day].get("first_response_met_share") == (
            pytest.approx(sum(judged) / len(judged)) if judged else None
        )


def test_the_heat_map_holds_every_inbound_chat_once(account: Account) -> None:
    maps = shown_by(account, "arrival_heat_map").heat_maps
    with account.connected() as connection:
        told = rows(
            connection,
            "select extract(isodow from created_at at time zone 'America/Bogota')::integer as weekday,"
            " extract(hour from created_at at time zone 'America/Bogota')::integer as hour, count(*) as chats"
            " from analytics.chat_metrics where direction = 'inbound' group by 1, 2",
        )

    counted = {cell: chats for cell, chats in maps["chats_all_months"].items() if chats}
    assert counted == {(it["weekday"], it["hour"]): it["chats"] for it in told}
    assert len(maps["response_newest_month"]) == 168


@pytest.mark.parametrize(
    ("show", "sentence"),
    [
        ("{numbers: {words: 5}}", "words must be a text"),
        ("{plots: {words: sum(words)}}", "plots is not known here: use numbers, heat_maps, rows"),
        ("{rows: {columns: [words]}}", "have no order: write the columns that say which come first"),
        ("{heat_maps: {words: sum(words)}}", "daily shows weekday, which is no column of it"),
        ("{rows: {columns: [letters], order: day}}", "daily shows letters, which is no column of it"),
        ("{rows: {columns: [words], order: day}}", "is built by day, so it shows numbers of each day"),
    ],
)
def test_what_cannot_be_shown_is_refused_with_its_line(tmp_path: Path, show: str, sentence: str) -> None:
    schema = DAILY_SCHEMA.replace("day: day}}", f"day: day, show: {show}}}}}")

    with pytest.raises(ProjectError, match=r"daily\.yml:\d+: ") as refused:
        project_of(tmp_path, FILES | {"models/daily.yml": schema})

    assert sentence in str(refused.value)


def test_a_number_that_cannot_be_worked_out_is_named_with_its_file(tmp_path: Path, database_url: str) -> None:
    schema = DAILY_SCHEMA.replace("day: day}}", "day: day, show: {numbers: {letters: sum(letters)}}}}")
    monday = date(2025, 3, 3)

    with models(tmp_path, database_url, FILES | {"models/daily.yml": schema}) as built:
        built.build(monday)
        with pytest.raises(ModelError, match=r'daily\.yml:4: .* column "letters" does not exist'):
            look(built.connection, Target(built.project, {}), built.project.models["daily"], Days(monday, monday))
