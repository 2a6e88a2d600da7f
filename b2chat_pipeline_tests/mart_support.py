"""A loaded account with every oddity and every model built, and how rows of marts are compared.

Here belongs what the tests of the marts and their mutants share. Not here: what a mart should hold (`mart_reference/`).
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from psycopg import Connection

from b2chat_pipeline.simulator import World
from b2chat_pipeline.transform.models import Project
from b2chat_pipeline.transform.project import models_folder, read_project
from b2chat_pipeline.transform.run import run
from b2chat_pipeline.transform.target import Days, Target
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline_tests.loading_support import all_loaded, running_pipeline
from b2chat_pipeline_tests.mart_reference import Account, read_account
from b2chat_pipeline_tests.mart_reference.account import Row
from b2chat_pipeline_tests.mart_reference.edges import EDGES
from b2chat_pipeline_tests.postgres import PostgresServer

BOGOTA = ZoneInfo("America/Bogota")
FIRST, LAST = date(2025, 3, 3), date(2025, 3, 12)
NOW = datetime(2025, 3, 12, 18, tzinfo=UTC)
# Few contacts, so that they come back.
WORLD = World(first_day=FIRST, zone=BOGOTA, chats_per_day=24, contacts=70)
VARIABLES = {"time_zone": "America/Bogota"}
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

# What makes March the newest month that was loaded, and whole.
UNTIL_APRIL = """
    insert into ops.window_reads (endpoint, hour_start, sync_id, read_at, applied_read_at, records)
    select '/chats/export', '2025-04-01 04:00Z', sync_id, '2025-04-01 05:30Z', '2025-04-01 05:30Z', 0
      from ops.window_reads where applied_read_at is not null limit 1
"""
# Rows by all that is no fraction in them, which tells them apart.
Keyed = Mapping[tuple[str, ...], Row]


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


@contextmanager
def loaded_warehouse(server: PostgresServer) -> Iterator[Warehouse]:
    """The account in a database of its own."""
    project = read_project(models_folder())
    with server.database(migrated=True) as url:
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


def keyed(told: list[Row]) -> Keyed:
    """Rows by their keys, with instants in one zone, and each measured number a float, whole or not."""
    plain = [{name: _plain(name, value) for name, value in row.items()} for row in told]
    by_key = {
        tuple(f"{name}={row[name]}" for name in sorted(row) if not isinstance(row[name], float)): row for row in plain
    }
    assert len(by_key) == len(told)
    return by_key


def differences(found: Keyed, wanted: Keyed) -> list[str]:
    """What rows hold that they should not, and the other way round."""
    lacking = [f"lacks {key}" for key in wanted.keys() - found.keys()]
    beyond = [f"holds {key}" for key in found.keys() - wanted.keys()]
    return [*lacking, *beyond] or [
        f"{name} is {value}, not {wanted[key][name]}, in {key}"
        for key, row in found.items()
        for name, value in row.items()
        if isinstance(value, float) and not math.isclose(value, wanted[key][name], rel_tol=1e-9, abs_tol=1e-6)
    ]


def _plain(name: str, value: Any) -> Any:  # noqa: ANN401 - whatever a column holds
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, dict):
        return dict(sorted(value.items()))
    measured = name.endswith(
        ("_seconds", "share", "rate", "_rating", "_low", "_high", "_proxy", "_sum", "lift", "completeness")
    )
    return float(value) if value is not None and (measured or name.startswith("mean_")) else value
