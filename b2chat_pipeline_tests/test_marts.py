"""The marts hold what plain Python computes from the core tables, whichever way they are built."""

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from psycopg import Connection

from b2chat_pipeline.simulator import FLAT_WEEK, World
from b2chat_pipeline.transform.build import build as build_model
from b2chat_pipeline.transform.models import Project
from b2chat_pipeline.transform.project import models_folder, read_project
from b2chat_pipeline.transform.run import ensure_schema, run
from b2chat_pipeline.transform.target import SCHEMA, Days, Target
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline_tests.loading_support import all_loaded, running_pipeline
from b2chat_pipeline_tests.mart_reference import REFERENCES, Account, read_account, table_rows
from b2chat_pipeline_tests.mart_reference.edges import EDGES
from b2chat_pipeline_tests.postgres import PostgresServer

BOGOTA = ZoneInfo("America/Bogota")
FIRST, LAST = date(2025, 3, 3), date(2025, 3, 12)
NOW = datetime(2025, 3, 12, 18, tzinfo=UTC)
# Few contacts, so that they come back.
WORLD = World(first_day=FIRST, zone=BOGOTA, chats_per_day=24, contacts=70)
VARIABLES = {"time_zone": "America/Bogota"}
BY_HOUR = (
    *("hourly_volume", "daily_volume", "backlog_hourly", "backlog_daily", "arrival_heat_map"),
    "agent_concurrency_hourly",
)
# What the simulator does not invent: a tree of departments, business hours, soft deletion, superseded messages, clocks
# that cannot be right, tags told twice, a status nobody knows, changes between two reads.
ODDITIES = """
    update departments set path = '/' || b2chat_code || '/';
    update departments child set parent_id = top.id, path = top.path || child.b2chat_code || '/', level = 1
      from departments top where top.b2chat_code = 'ventas' and child.b2chat_code in ('garantias', 'customer-care');
    update departments child set parent_id = top.id, path = top.path || child.b2chat_code || '/', level = 2
      from departments top where top.b2chat_code = 'garantias' and child.b2chat_code like 'facturacion%';
    insert into ops.calendars values ('default', '2025-01-01', '2026-01-01');
    insert into ops.business_hours
    select 'default', day + interval '13 hours', day + interval '23 hours'
      from generate_series(timestamptz '2025-01-01 00:00Z', '2025-12-31 00:00Z', interval '1 day') day
     where extract(isodow from day at time zone 'UTC') < 6;
    insert into ops.calendars values ('another', '2024-01-01', '2026-01-01');
    insert into ops.business_hours values ('another', '2025-03-03 01:00Z', '2025-03-04 01:00Z');
    update chats set is_deleted = true where id in (select id from chats order by md5(id) limit 3);
    update chats set closed_at = created_at - interval '1 hour'
     where id in (select id from chats where status = 'closed' and not is_deleted order by md5(id) limit 2);
    update chats set response_at = created_at - interval '1 minute'
     where id in (select id from chats where response_at is not null and not is_deleted order by md5(id) desc limit 2);
    update messages set superseded_at = now() where id in (select id from messages order by md5(id) limit 12);
    update chats set tags = array['Envío', 'envío', 'Zorro', 'Envío']
     where id in (select id from chats order by 1 limit 9);
    update chats set status = 'unknown', raw_status = 'NEW_WORD'
     where id in (select id from chats where raw_status = 'CLOSED' order by md5(id) limit 2);
    insert into ops.chat_history (chat_id, field, old, new, seen_before, seen_at, sync_id)
    select chat.id, change.field, change.old, change.new, chat.read_at, chat.read_at + change.after, 'a read'
      from (
        select id, read_at, row_number() over (order by md5(id)) as number
          from chats where messages_told and not is_deleted limit 6
           ) chat
     cross join (
        values ('status', 'CLOSED', 'PICKED_UP', interval '1 hour'), ('agent', 'one', 'another', '1 hour'),
               ('department', null, 'one', '1 hour'), ('status', 'CLOSED', 'ABANDONED_POLL', '3 hours'),
               ('agent', 'another', null, '2 hours'), ('department', 'one', 'another', '2 hours')
           ) change (field, old, new, after)
     where (change.field <> 'agent' or chat.number < 5) and (change.field <> 'department' or chat.number > 3);
"""

# What a re-read of some chats may change.
CHANGES = """
    update chats
       set closed_at = greatest(created_at, picked_up_at, response_at) + interval '3 hours', status = 'closed',
           raw_status = 'COMPLETED_POLL', tags = '{Nuevo}', agent_id = (select min(id) from agents)
     where id in (select id from chats where not is_deleted order by md5(b2chat_id) limit 12)
    returning (created_at at time zone 'America/Bogota')::date as day
"""


@dataclass(frozen=True)
class Warehouse:
    """A loaded account with every model built."""

    url: str
    project: Project
    account: Account


def build(connection: Connection, project: Project, days: Days | None = None) -> None:
    """Build all models; nothing may fail, no test of a model either."""
    outcomes = run(connection, Target(project, VARIABLES), list(project.models), days)
    assert [(it.model.name, it.problem) for it in outcomes if not it.stands] == []


@pytest.fixture(scope="module")
def warehouse(postgres_server: PostgresServer) -> Iterator[Warehouse]:
    project = read_project(models_folder())
    with postgres_server.database(migrated=True) as url:
        with running_pipeline(url, WORLD, now=NOW) as pipeline:
            for wait in (timedelta(0), timedelta(days=2), timedelta(days=12)):
                pipeline.simulator.clock.advance(wait)
                assert all_loaded(pipeline.load_account(FIRST, LAST))
        with connect(url, purpose="compare") as connection:
            connection.execute(ODDITIES)
            connection.execute(EDGES)
            # The zone of a session must not matter.
            connection.execute("set timezone to 'Asia/Tokyo'")
            build(connection, project)
            account = read_account(connection, BOGOTA)
        yield Warehouse(url, project, account)


def keyed(told: list[dict[str, Any]]) -> dict[tuple[str, ...], dict[str, Any]]:
    """Rows by all that is no fraction in them, which must tell them apart."""
    by_key = {
        tuple(f"{name}={row[name]}" for name in sorted(row) if not isinstance(row[name], float)): row for row in told
    }
    assert len(by_key) == len(told)
    return by_key


def assert_equal_rows(found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    held, expected = keyed(plain(found)), keyed(plain(wanted))
    assert held.keys() == expected.keys()
    for key, row in held.items():
        for name, value in row.items():
            if isinstance(value, float):
                assert math.isclose(value, expected[key][name], rel_tol=1e-9, abs_tol=1e-6), (key, name)


def plain(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same rows with instants in one zone, and each measured number a float, whole or not."""
    return [{name: _plain(name, value) for name, value in row.items()} for row in told]


def _plain(name: str, value: Any) -> Any:  # noqa: ANN401 - whatever a column holds
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    measured = name.endswith(
        ("_seconds", "share", "rate", "_rating", "_low", "_high", "_proxy", "_sum", "lift", "completeness")
    )
    return float(value) if value is not None and (measured or name.startswith("mean_")) else value


@pytest.mark.parametrize("mart", sorted(REFERENCES))
def test_a_mart_holds_what_plain_python_computes(mart: str, warehouse: Warehouse) -> None:
    with connect(warehouse.url, purpose="compare") as connection:
        found = table_rows(connection, f"select * from analytics.{mart}")  # noqa: S608

    assert found != []
    assert_equal_rows(found, REFERENCES[mart](warehouse.account))


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
            assert_equal_rows(table_rows(connection, f"select * from analytics.{mart}"), REFERENCES[mart](account))  # noqa: S608


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


def test_a_breach_in_business_time_is_dated_by_the_opening_in_which_the_target_was_used_up(
    warehouse: Warehouse,
) -> None:
    with trial(warehouse) as (connection, build_again):
        connection.execute(
            "insert into ops.sla_policies (policy, version, clock, channel, target_seconds, in_business_hours)"
            " values ('calm', 3, 'resolution', 'whatsapp', 90000, true)"
        )
        build_again("chat_metrics", "sla_breaches")
        breaches = table_rows(connection, "select * from analytics.sla_breaches where policy = 'calm'")

    chats = {chat.id: chat for chat in warehouse.account.chats}
    assert len(breaches) > 20
    for breach in breaches:
        chat, at = chats[breach["chat_id"]], breach["breached_at"]
        assert chat.openings is not None
        assert breach["policy_version"] == 3
        assert chat.openings.seconds(chat.created_at, at) == 90_000
        assert chat.openings.seconds(chat.created_at, at - timedelta(seconds=1)) == 89_999


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
