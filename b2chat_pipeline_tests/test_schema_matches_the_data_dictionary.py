"""A migrated database holds what the specification says, and nothing beside it."""

import psycopg
import pytest

from b2chat_pipeline_tests.catalog import read_catalog
from b2chat_pipeline_tests.specification.expected import Schema, expected_schema

EXPECTED = expected_schema()


@pytest.fixture
def found(database_url: str) -> Schema:
    with psycopg.connect(database_url) as connection:
        return read_catalog(connection)


def test_no_table_is_missing_and_none_is_undeclared(found: Schema) -> None:
    assert sorted(found.tables) == sorted([*EXPECTED.tables, "ops.alembic_version"])


def test_the_dictionary_has_sixteen_tables() -> None:
    assert len([name for name in EXPECTED.tables if name.startswith("public.")]) == 16


@pytest.mark.parametrize("name", sorted(EXPECTED.tables))
def test_a_table_is_as_specified(found: Schema, name: str) -> None:
    assert found.tables[name] == EXPECTED.tables[name]


def test_the_enums_have_the_specified_values_in_their_order(found: Schema) -> None:
    assert found.enums == EXPECTED.enums


def test_raw_answers_have_a_default_partition(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        partitions = connection.execute(
            "select relname, pg_get_expr(relpartbound, oid) from pg_class where relispartition and relkind = 'r'"
        ).fetchall()

    assert partitions == [("api_response_logs_default", "DEFAULT")]


def test_deleting_a_chat_deletes_its_messages(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "insert into chats (id, b2chat_id, provider, status, created_at, row_hash, read_at) "
            "values ('c', '1', 'other', 'open', now(), '', now())"
        )
        connection.execute(
            "insert into messages (id, chat_id, type, incoming, timestamp, raw_type, position) "
            "values ('m', 'c', 'text', true, now(), 'TEXT', 0)"
        )
        connection.execute("delete from chats")

        assert connection.execute("select count(*) from messages").fetchone() == (0,)


def test_every_table_and_column_is_commented(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        bare = connection.execute(
            """
            select c.oid::regclass::text, a.attname
            from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum >= 0 and not a.attisdropped
            where c.relkind in ('r', 'p') and not c.relispartition and c.relname <> 'alembic_version'
              and c.relnamespace::regnamespace::text in ('public', 'ops')
              and (col_description(c.oid, a.attnum) is null or obj_description(c.oid, 'pg_class') is null)
            """
        ).fetchall()

    assert bare == []


def test_the_schema_for_analysts_is_there_and_empty(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        objects = connection.execute(
            "select count(c.oid) from pg_namespace n left join pg_class c on c.relnamespace = n.oid "
            "where n.nspname = 'analytics' group by n.oid"
        ).fetchall()

    assert objects == [(0,)]
