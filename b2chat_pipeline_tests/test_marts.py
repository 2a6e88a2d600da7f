"""The marts hold what plain Python computes from the core tables."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from psycopg import Connection

from b2chat_pipeline.simulator import World
from b2chat_pipeline.transform.models import Project
from b2chat_pipeline.transform.project import models_folder, read_project
from b2chat_pipeline.transform.run import run
from b2chat_pipeline.transform.target import Days, Target
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline_tests.loading_support import all_loaded, rows, running_pipeline
from b2chat_pipeline_tests.mart_account import Account, read_account
from b2chat_pipeline_tests.mart_reference import REFERENCES
from b2chat_pipeline_tests.postgres import PostgresServer

BOGOTA = ZoneInfo("America/Bogota")
FIRST, LAST = date(2025, 3, 3), date(2025, 3, 12)
NOW = datetime(2025, 3, 12, 18, tzinfo=UTC)
# Few contacts, so that they come back.
WORLD = World(first_day=FIRST, zone=BOGOTA, chats_per_day=24, contacts=70)
VARIABLES = {"time_zone": "America/Bogota"}
# What the simulator does not invent: a tree of departments, business hours, soft deletion, superseded messages, clocks
# that cannot be right, an empty first half of the day.
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
    update chats set is_deleted = true where id in (select id from chats order by md5(id) limit 3);
    update chats set closed_at = created_at - interval '1 hour'
     where id in (select id from chats where status = 'closed' and not is_deleted order by md5(id) limit 2);
    update chats set response_at = created_at - interval '1 minute'
     where id in (select id from chats where response_at is not null and not is_deleted order by md5(id) desc limit 2);
    update messages set superseded_at = now() where id in (select id from messages order by md5(id) limit 12);
    update chats set tags = array['Envío', 'envío', 'Zorro', 'Envío'] where id in (select id from chats order by 1 limit 9);
    update chats set status = 'unknown', raw_status = 'NEW_WORD'
     where id in (select id from chats where raw_status = 'CLOSED' order by md5(id) limit 2);
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
    measured = name.endswith(("_seconds", "share", "rate", "_rating", "_low", "_high", "_proxy", "_sum", "lift"))
    return float(value) if value is not None and (measured or name.startswith("mean_")) else value


@pytest.mark.parametrize("mart", sorted(REFERENCES))
def test_a_mart_holds_what_plain_python_computes(mart: str, warehouse: Warehouse) -> None:
    with connect(warehouse.url, purpose="compare") as connection:
        found = rows(connection, f"select * from analytics.{mart}")  # noqa: S608

    assert found != []
    assert_equal_rows(found, REFERENCES[mart](warehouse.account))
