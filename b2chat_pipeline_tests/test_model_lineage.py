"""Which column of a model comes from which, and what is said where that cannot be known."""

import json
from pathlib import Path

import pytest

from b2chat_pipeline.assets.lineage import FILE, lineage_of_project
from b2chat_pipeline.transform.lineage import Lineage, lineage_of_models
from b2chat_pipeline.transform.project import models_folder, read_project
from b2chat_pipeline_tests.models_support import FILES, project_of, schema_of

TABLES = {"public": {"words": {"day": "date", "word": "text", "spans": "tstzmultirange"}}}


def lineage(folder: Path, query: str, *columns: str) -> Lineage:
    """The lineage of a model beside `daily`."""
    files = {**FILES, "models/it.sql": query, "models/it.yml": schema_of("it", *columns)}
    return lineage_of_models(project_of(folder, files), TABLES)["it"]


@pytest.mark.parametrize(
    ("query", "origins"),
    [
        ("select day as it from {{ ref('daily') }}", ["analytics.daily.day"]),
        ("select word || day as it from {{ source('b2chat', 'words') }}", ["public.words.day", "public.words.word"]),
        ("select count(*) as it from {{ ref('daily') }}", []),
        (
            "with a as (select max(words) as top from {{ ref('daily') }})"  # noqa: ISC004
            " select a.top as it from a cross join {{ source('b2chat', 'words') }} w",
            ["analytics.daily.words"],
        ),
        (
            "select day as it from {{ ref('daily') }} union all select day from {{ source('b2chat', 'words') }}",
            ["analytics.daily.day", "public.words.day"],
        ),
        (
            "select upper(span) as it from {{ source('b2chat', 'words') }} w, lateral unnest(w.spans) as span",
            ["public.words.spans"],
        ),
        ("select hour as it from generate_series(1, 2) as hour", []),
    ],
    ids=[
        "a column",
        "two columns",
        "no column",
        "through a subquery",
        "of a union",
        "of a function's alias",
        "of a function of nothing",
    ],
)
def test_a_column_is_followed_to_where_it_comes_from(tmp_path: Path, query: str, origins: list[str]) -> None:
    assert lineage(tmp_path, query, "it") == Lineage({"it": origins}, [])


def test_a_column_that_cannot_be_followed_is_named(tmp_path: Path) -> None:
    query = "select w.day, (select max(s) from unnest(w.spans) as s) as it from {{ source('b2chat', 'words') }} w"

    assert lineage(tmp_path, query, "day", "it") == Lineage({"day": ["public.words.day"]}, ["it"])


def test_of_a_query_that_cannot_be_followed_only_the_tables_are_known(tmp_path: Path) -> None:
    told = lineage(tmp_path, "select told.* from {{ ref('daily') }} as d, json_to_record(d.x) as told(it int)", "it")

    assert told == Lineage({}, ["it"])


def test_the_file_of_lineage_is_what_the_models_say() -> None:
    told = lineage_of_project(read_project(models_folder()))

    assert FILE.read_text() == told, "run `python -m b2chat_pipeline.assets.lineage`"


# Some columns of five models, as a person follows them.
EXPECTED = {
    "counted_chats": {
        "chat_id": ["public.chats.id"],
        "created_day": ["public.chats.created_at"],
        "is_closed": ["public.chats.closed_at", "public.chats.status"],
    },
    "message_turns": {
        "messages": [],
        "created_day": ["analytics.counted_chats.created_day"],
        "started_at": ["public.messages.timestamp"],
        "window_closes_at": ["analytics.counted_chats.provider", "public.messages.timestamp"],
    },
    "daily_volume": {
        "day": ["analytics.hourly_volume.hour_start"],
        "closed": ["analytics.hourly_volume.closed"],
    },
    "contact_chains": {
        "chats": [],
        "contact_id": ["analytics.chat_metrics.contact_id"],
        "last_chat_at": ["analytics.chat_metrics.created_at"],
    },
    "sla_daily": {
        "chats": [],
        "met": ["analytics.sla_clocks.is_met"],
        "running": ["analytics.sla_clocks.is_closed", "analytics.sla_clocks.is_met", "analytics.sla_clocks.started_at"],
    },
}


@pytest.mark.parametrize("model", EXPECTED)
def test_the_columns_of_a_model_come_from_where_its_author_took_them(model: str) -> None:
    told = json.loads(FILE.read_text())[model]["columns"]

    assert {name: told[name] for name in EXPECTED[model]} == EXPECTED[model]
