"""The marts hold what plain Python computes from the core tables, whichever way they are built."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from psycopg import Connection

from b2chat_pipeline.simulator import FLAT_WEEK, World
from b2chat_pipeline.transform.build import build as build_model
from b2chat_pipeline.transform.project import models_folder, read_project
from b2chat_pipeline.transform.run import ensure_schema, run
from b2chat_pipeline.transform.target import SCHEMA, Days, Target
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline_tests.loading_support import all_loaded, rows, running_pipeline
from b2chat_pipeline_tests.mart_reference import REFERENCES, read_account, table_rows
from b2chat_pipeline_tests.mart_reference.promises import CALM, sla_breaches_if_calm, sla_clocks_if_calm
from b2chat_pipeline_tests.mart_reference.scores import (
    SINCE_MEASURED,
    effectiveness_daily_since,
    scoring_candidates_since,
)
from b2chat_pipeline_tests.mart_support import (
    BOGOTA,
    FIRST,
    LAST,
    UNTIL_APRIL,
    VARIABLES,
    Warehouse,
    build,
    differences,
    keyed,
    loaded_warehouse,
)
from b2chat_pipeline_tests.postgres import PostgresServer

BY_HOUR = (
    *("hourly_volume", "daily_volume", "backlog_hourly", "backlog_daily", "arrival_heat_map"),
    "agent_concurrency_hourly",
)
# What a re-read of some chats may change.
CHANGES = """
    update chats
       set closed_at = greatest(created_at, picked_up_at, response_at) + interval '3 hours', status = 'closed',
           raw_status = 'COMPLETED_POLL', tags = '{Nuevo}', agent_id = (select min(id) from agents)
     where id in (select id from chats where not is_deleted order by md5(b2chat_id) limit 12)
    returning (created_at at time zone 'America/Bogota')::date as day
"""


@pytest.fixture(scope="module")
def warehouse(postgres_server: PostgresServer) -> Iterator[Warehouse]:
    with loaded_warehouse(postgres_server) as loaded:
        yield loaded


@pytest.mark.parametrize("mart", sorted(REFERENCES))
def test_a_mart_holds_what_plain_python_computes(mart: str, warehouse: Warehouse) -> None:
    with connect(warehouse.url, purpose="compare") as connection:
        found = table_rows(connection, f"select * from analytics.{mart}")  # noqa: S608

    assert found != []
    assert differences(keyed(found), keyed(REFERENCES[mart](warehouse.account))) == []


@contextmanager
def trial(warehouse: Warehouse) -> Iterator[tuple[Connection, Callable[..., None]]]:
    """A connection whose changes are forgotten, and what builds some models there, untested. Time stands still."""
    with connect(warehouse.url, purpose="compare") as connection, connection.transaction(force_rollback=True):
        target = Target(warehouse.project, VARIABLES)

        def build_again(*names: str, days: Days | None = None) -> None:
            for name, model in warehouse.project.models.items():
                if name in names:
                    build_model(connection, target, model, days)

        yield connection, build_again


@pytest.mark.parametrize("changing", [date(2025, 3, 9), date(2025, 11, 2)])
def test_days_of_23_and_25_hours_are_counted_whole(changing: date, database_url: str) -> None:
    zone = ZoneInfo("America/New_York")
    first, last = changing - timedelta(days=1), changing + timedelta(days=1)
    now = datetime(changing.year, changing.month, changing.day, 12, tzinfo=UTC) + timedelta(days=3)
    with running_pipeline(
        database_url, World(first_day=first, zone=zone, chats_per_day=40, weekly_shape=FLAT_WEEK), now=now
    ) as pipeline:
        assert all_loaded(pipeline.load_days(first, last))
    project = read_project(models_folder())
    with connect(database_url, purpose="compare") as connection:
        ensure_schema(connection, SCHEMA)
        wanted = {*BY_HOUR, *(name for mart in BY_HOUR for name in project.ancestors(mart))}
        for name, model in project.models.items():
            if name in wanted:
                build_model(connection, Target(project, {"time_zone": zone.key}), model, None)
        account = read_account(connection, zone)

        for mart in BY_HOUR:
            found = table_rows(connection, f"select * from analytics.{mart}")  # noqa: S608
            assert differences(keyed(found), keyed(REFERENCES[mart](account))) == []


def test_days_built_again_after_a_change_equal_a_build_of_everything(warehouse: Warehouse) -> None:
    by_day = [name for name, model in warehouse.project.models.items() if model.day_column]
    with trial(warehouse) as (connection, build_again):
        changed = table_rows(connection, CHANGES)
        for day in sorted({chat["day"] for chat in changed}):
            build_again(*by_day, days=Days(day, day))
        again = {name: table_rows(connection, f"select * from analytics.{name}") for name in by_day}  # noqa: S608
        build_again(*by_day)
        whole = {name: table_rows(connection, f"select * from analytics.{name}") for name in by_day}  # noqa: S608

    assert len(changed) == 12
    assert len(by_day) >= 14
    for name in by_day:
        assert sorted(map(repr, again[name])) == sorted(map(repr, whole[name])), name


@pytest.mark.any_postgres
def test_builds_side_by_side_let_nobody_see_less_than_whole_tables(warehouse: Warehouse) -> None:
    by_day = [name for name, model in warehouse.project.models.items() if model.day_column]
    spans = [Days(FIRST, FIRST + timedelta(days=5)), Days(FIRST + timedelta(days=3), LAST)]
    counts = " union all ".join(f"select count(*) from analytics.{name}" for name in by_day)  # noqa: S608

    def build_days(days: Days) -> list[str]:
        with connect(warehouse.url, purpose="build") as connection:
            outcomes = run(connection, Target(warehouse.project, VARIABLES), by_day, days)
            return [it.problem for it in outcomes if not it.stands]

    with (
        connect(warehouse.url, purpose="long query") as slow,
        connect(warehouse.url, purpose="many queries") as quick,
        ThreadPoolExecutor(2) as threads,
    ):
        slow.execute("begin isolation level repeatable read")
        before = table_rows(slow, counts)
        building = [threads.submit(build_days, days) for days in spans]
        seen = [table_rows(quick, counts)]
        while not all(future.done() for future in building):
            seen.append(table_rows(quick, counts))
        seen.append(table_rows(slow, counts))

    assert [future.result() for future in building] == [[], []]
    assert all(told == before for told in seen)


def test_a_day_whose_chats_are_all_gone_is_empty_in_every_mart_by_day(warehouse: Warehouse) -> None:
    by_day = [name for name, model in warehouse.project.models.items() if model.day_column]
    with trial(warehouse) as (connection, build_again):
        connection.execute(
            "update chats set is_deleted = true where (created_at at time zone 'America/Bogota')::date = %s", (FIRST,)
        )
        build_again(*by_day, days=Days(FIRST, FIRST))

        for name in by_day:
            assert table_rows(connection, f"select * from analytics.{name} where created_day = '{FIRST}'") == []  # noqa: S608
            assert table_rows(connection, f"select * from analytics.{name} limit 1") != []  # noqa: S608


def test_what_can_be_scored_follows_promises_and_chats_that_changed_after_they_were_measured(
    warehouse: Warehouse,
) -> None:
    with trial(warehouse) as (connection, build_again):
        connection.execute(SINCE_MEASURED.encode())
        build_again("effectiveness_daily")
        account = read_account(connection, BOGOTA)
        candidates = table_rows(connection, "select * from analytics.scoring_candidates")
        scores = table_rows(connection, "select * from analytics.effectiveness_daily")

    assert {row["target_seconds"] for row in candidates} == {None, 300.0, 400.0, 500.0, 600.0, 700.0, 800.0}
    assert differences(keyed(candidates), keyed(scoring_candidates_since(account))) == []
    assert differences(keyed(scores), keyed(effectiveness_daily_since(account))) == []


def test_what_scoring_cost_adds_up_to_the_ledger_to_the_last_digit(warehouse: Warehouse) -> None:
    calls = warehouse.account.calls
    with connect(warehouse.url, purpose="compare") as connection:
        spending = table_rows(connection, "select * from analytics.scoring_spending_daily")
        costs = table_rows(connection, "select * from analytics.scoring_cost_daily")
    closed = {chat.id for chat in warehouse.account.chats if chat.finished_at is not None}

    told = sum(row["paid_usd"] + row["open_usd"] for row in spending)
    assert told == sum(it["reserved_usd"] if it["cost_usd"] is None else it["cost_usd"] for it in calls)
    assert sum(row["open_usd"] for row in spending) == sum(
        it["reserved_usd"] for it in calls if it["state"] == "reserved"
    )
    # Without what was asked about canaries, and chats that are open, deleted or not there.
    assert sum(row["paid_usd"] + row["open_usd"] for row in costs) == sum(
        it["reserved_usd"] if it["cost_usd"] is None else it["cost_usd"] for it in calls if it["chat_id"] in closed
    )


def test_a_breach_in_business_time_is_dated_by_the_opening_in_which_the_target_was_used_up(
    warehouse: Warehouse,
) -> None:
    with trial(warehouse) as (connection, build_again):
        connection.execute(CALM.encode())
        build_again("chat_metrics", "sla_breaches")
        breaches = table_rows(connection, "select * from analytics.sla_breaches")
        clocks = table_rows(connection, "select * from analytics.sla_clocks")

    assert sum(breach["policy"] == "calm" for breach in breaches) > 20
    assert differences(keyed(breaches), keyed(sla_breaches_if_calm(warehouse.account))) == []
    assert differences(keyed(clocks), keyed(sla_clocks_if_calm(warehouse.account))) == []


def test_a_month_that_has_just_ended_is_the_last_one_of_the_cohorts(warehouse: Warehouse) -> None:
    with trial(warehouse) as (connection, build_again):
        connection.execute(UNTIL_APRIL)
        build_again("contact_cohorts")
        found = table_rows(connection, "select * from analytics.contact_cohorts")
        account = read_account(connection, BOGOTA)

    assert differences(keyed(found), keyed(REFERENCES["contact_cohorts"](account))) == []


@pytest.mark.parametrize("mart", ["backlog_daily", "backlog_hourly"])
def test_without_an_hour_that_was_read_there_is_no_backlog(mart: str, warehouse: Warehouse) -> None:
    with trial(warehouse) as (connection, build_again):
        connection.execute("delete from ops.window_reads")
        build_again(mart)

        assert rows(connection, f"select * from analytics.{mart}") == []  # noqa: S608


def test_marts_of_an_account_without_chats_are_empty(database_url: str) -> None:
    project = read_project(models_folder())
    with connect(database_url, purpose="compare") as connection:
        build(connection, project)

        told = {name: table_rows(connection, f"select * from analytics.{name}") for name in REFERENCES}  # noqa: S608
    assert {name: found for name, found in told.items() if found} == {}


def test_the_page_of_metrics_names_every_mart_and_how_it_is_built() -> None:
    folder = models_folder()
    project = read_project(folder)
    marts = {name: model for name, model in project.models.items() if "marts" in model.place.file.parts}
    page = (folder.parent / "docs" / "metrics.md").read_text()
    told: dict[str, str] = {}
    for line in page.partition("## Marts")[2].partition("###")[0].splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 5 and cells[1].startswith("`"):
            told |= dict.fromkeys(re.findall(r"`(\w+)`", cells[1]), cells[3])

    built = {"incremental": "by day", "table": "whole", "view": "view"}
    assert told.keys() == marts.keys()
    assert {name for name, how in told.items() if built[marts[name].materialized] not in how} == set()
