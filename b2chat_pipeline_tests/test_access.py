"""What analysts and managers may read, and what they may not."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString
from uuid import uuid4

import pytest
from psycopg import Connection, errors, sql

from b2chat_pipeline.commands.databases import open_databases
from b2chat_pipeline.warehouse.access import ANALYST, MANAGER, AccessError, ensure_access, ensure_roles, grant_access
from b2chat_pipeline_tests.analyst_support import Account
from b2chat_pipeline_tests.loading_support import rows

# Every column of every table and view outside PostgreSQL's own schemas.
COLUMNS = """
    select n.nspname as schema, c.relname as relation, a.attname as column
      from pg_attribute a
      join pg_class c on c.oid = a.attrelid
      join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'v', 'm') and a.attnum > 0 and not a.attisdropped
       and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_t'
     order by 1, 2, a.attnum
"""
# What a person wrote, or is called, or can be reached by.
PERSONAL = """
    select distinct told.value
      from (
        select unnest(array[full_name, mobile, phone_number, email, identification, address, raw_mobile]) as value
          from contacts
         union all
        select told #>> '{}'
          from contacts
         cross join lateral jsonb_path_query(
            jsonb_build_array(custom_attributes, tags), 'strict $.** ? (@.type() == "string")'
         ) told
         union all
        select unnest(array[email, username, b2chat_id]) from agents
         union all
        select unnest(array[text, caption, image_url, file_url]) from messages
      ) told
     -- Shorter ones, such as the answer to a survey or a single word, stand in other columns by chance.
     where length(told.value) >= 8
"""


@contextmanager
def as_role(account: Account, role: str) -> Iterator[Connection]:
    """A connection with no more rights than a role has."""
    with account.connected() as connection:
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
        yield connection


def columns(account: Account) -> list[tuple[str, str, str]]:
    with account.connected() as connection:
        return [(str(it["schema"]), str(it["relation"]), str(it["column"])) for it in rows(connection, COLUMNS)]


def may_read(connection: Connection, *names: str) -> bool:
    """Whether a column, or a whole relation, can be selected."""
    schema, relation, *column = names
    what = sql.Identifier(*column) if column else sql.SQL("count(*)")
    try:
        connection.execute(sql.SQL("select {} from {} limit 1").format(what, sql.Identifier(schema, relation)))
    except errors.InsufficientPrivilege:
        return False
    return True


@pytest.fixture
def dagster_tables(account: Account) -> Iterator[None]:
    """Tables of the same owner in a schema that the pipeline knows nothing of."""
    with account.connected() as connection:
        connection.execute("create schema dagster")
        connection.execute("create table dagster.event_logs (id bigint, event text)")
        connection.execute("create view dagster.newest as select * from dagster.event_logs")
        yield
        connection.execute("drop schema dagster cascade")


@pytest.mark.usefixtures("dagster_tables")
def test_an_analyst_reads_the_schema_analytics_and_nothing_else(account: Account) -> None:
    told = columns(account)
    assert {schema for schema, _, _ in told} == {"analytics", "public", "ops", "dagster"}

    with as_role(account, ANALYST) as connection:
        wrong = [it for it in told if may_read(connection, *it) != (it[0] == "analytics")]

    assert wrong == []


@pytest.mark.usefixtures("dagster_tables")
def test_a_manager_reads_the_tables_of_public_as_well(account: Account) -> None:
    told = columns(account)

    with as_role(account, MANAGER) as connection:
        wrong = [it for it in told if may_read(connection, *it) != (it[0] in {"analytics", "public"})]

    assert wrong == []


@pytest.mark.parametrize("role", [ANALYST, MANAGER])
def test_every_row_of_schema_analytics_can_be_read(account: Account, role: str) -> None:
    relations = sorted({(schema, relation) for schema, relation, _ in columns(account) if schema == "analytics"})

    with as_role(account, role) as connection:
        counted = {
            name: rows(connection, f"select count(told) as n from analytics.{name} told")  # noqa: S608
            for _, name in relations
        }

    assert set(account.target.project.models) <= set(counted)
    # Views judge running clocks in business time by a function that reads what analysts may not.
    assert counted["sla_at_risk"] != [{"n": 0}]


def test_no_relation_that_analysts_read_holds_personal_data(account: Account) -> None:
    with account.connected() as connection:
        personal = [str(it["value"]) for it in rows(connection, PERSONAL)]
        shown = {
            name: "\n".join(
                str(it["told"])
                for it in rows(connection, f"select told::text from analytics.{name} told")  # noqa: S608
            )
            for schema, name, _ in columns(account)
            if schema == "analytics"
        }

    assert len(personal) > 100
    assert [(name, value) for name, text in shown.items() for value in personal if value in text] == []


def test_what_somebody_writes_as_the_reason_of_a_deletion_is_masked(account: Account) -> None:
    with account.connected() as connection:
        connection.execute("update chats set deletion_reason = 'Ana Ruiz asked' where id = (select min(id) from chats)")
        try:
            found = rows(connection, "select * from analytics.masked_chats told where told::text ~ 'Ana Ruiz asked'")
        finally:
            connection.execute("update chats set deletion_reason = null")

    assert found == []


def test_masked_views_hold_every_row_of_their_tables(account: Account) -> None:
    with account.connected() as connection:
        for table in ("departments", "agents", "contacts", "chats", "messages"):
            whole = rows(connection, f"select count(*) as n from {table}")  # noqa: S608
            masked = rows(connection, f"select count(*) as n from analytics.masked_{table}")  # noqa: S608
            assert whole == masked != [{"n": 0}]


def test_readers_change_nothing(account: Account) -> None:
    statements: tuple[LiteralString, ...] = (
        "delete from analytics.chat_metrics",
        "update analytics.masked_agents set name = ''",
        "create table analytics.mine (id int)",
        "create view public.mine as select 1",
        "truncate analytics.sla_daily",
    )
    for role in (ANALYST, MANAGER):
        with as_role(account, role) as connection:
            for statement in statements:
                with pytest.raises(errors.InsufficientPrivilege):
                    connection.execute(statement)


def test_what_is_made_later_can_be_read_by_those_who_may(account: Account) -> None:
    with account.connected() as connection:
        connection.execute("create table analytics.later as select 1 as id")
        connection.execute("create table public.later as select 1 as id")
        connection.execute("create table ops.later as select 1 as id")
    try:
        readable = {}
        for role in (ANALYST, MANAGER):
            with as_role(account, role) as connection:
                readable[role] = {it for it in ("analytics", "public", "ops") if may_read(connection, it, "later")}
    finally:
        with account.connected() as connection:
            connection.execute("drop table analytics.later, public.later, ops.later")

    assert readable == {ANALYST: {"analytics"}, MANAGER: {"analytics", "public"}}


def test_nothing_is_granted_to_everybody(account: Account) -> None:
    with account.connected() as connection:
        granted = rows(
            connection,
            """
            select n.nspname, c.relname
              from pg_class c
              join pg_namespace n on n.oid = c.relnamespace
             cross join lateral aclexplode(c.relacl) granted
             where granted.grantee = 0 and n.nspname in ('public', 'ops', 'analytics')
             union all
            select n.nspname, p.proname
              from pg_proc p
              join pg_namespace n on n.oid = p.pronamespace
             where has_function_privilege('public', p.oid, 'execute') and n.nspname in ('public', 'ops', 'analytics')
            """,
        )

    assert granted == []


def test_granting_again_changes_nothing(account: Account) -> None:
    with account.connected() as connection:
        before = rows(connection, "select relname, relacl::text from pg_class order by oid")
        grant_access(connection)
        ensure_access(connection)
        after = rows(connection, "select relname, relacl::text from pg_class order by oid")

    assert after == before


def test_access_is_granted_where_it_was_not_yet(database_url: str, account: Account) -> None:
    elsewhere = Account(database_url, account.target)
    with elsewhere.connected() as connection:
        ensure_access(connection)

    with as_role(elsewhere, MANAGER) as connection:
        assert may_read(connection, "public", "chats")
        assert not may_read(connection, "ops", "ledger")


@pytest.mark.any_postgres
def test_the_embedded_database_has_the_roles_from_the_start(server_directory: Path, account: Account) -> None:
    with open_databases({"B2CHAT_DATA_DIR": str(server_directory)}) as databases:
        embedded = Account(databases.warehouse, account.target)
        with as_role(embedded, MANAGER) as connection:
            assert may_read(connection, "public", "chats")
        with as_role(embedded, ANALYST) as connection:
            assert not may_read(connection, "public", "chats")


def test_who_may_not_make_roles_is_told_what_the_administrator_has_to_run(account: Account) -> None:
    plain, wanted = (f"test_{uuid4().hex[:8]}" for _ in range(2))
    with account.connected() as connection:
        connection.execute(sql.SQL("create role {} nologin").format(sql.Identifier(plain)))
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(plain)))
        with pytest.raises(AccessError, match=f'create role "{wanted}" nologin;'):
            ensure_roles(connection, [ANALYST, wanted])
        connection.execute("reset role")
        connection.execute(sql.SQL("drop role {}").format(sql.Identifier(plain)))


def test_who_does_not_own_the_tables_is_told_who_has_to_grant(account: Account) -> None:
    plain = f"test_{uuid4().hex[:8]}"
    with account.connected() as connection:
        connection.execute(sql.SQL("create role {} nologin").format(sql.Identifier(plain)))
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(plain)))
        with pytest.raises(AccessError, match="does not own"):
            grant_access(connection)
        connection.execute("reset role")
        connection.execute(sql.SQL("drop role {}").format(sql.Identifier(plain)))
