"""Reads what a database holds from PostgreSQL's own catalogs, in the words of the specification."""

import re
from collections import defaultdict
from typing import LiteralString

import psycopg

from b2chat_pipeline_tests.specification.expected import Schema, Table

Row = tuple[str, ...]

# Partitions are left out: they come and go with the calendar.
_TABLES: LiteralString = """
    select c.oid::regclass::text, n.nspname || '.' || c.relname, coalesce(pg_get_partkeydef(c.oid), '')
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and not c.relispartition and n.nspname in ('public', 'ops')
"""
_COLUMNS: LiteralString = """
    select attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull::text,
           coalesce(pg_get_expr(adbin, adrelid), '')
    from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum
    where attnum > 0 and not attisdropped
    order by attrelid, attnum
"""
_INDEXES: LiteralString = """
    select i.indrelid::regclass::text,
           case when i.indisprimary then 'primary' when i.indisunique then 'unique' else 'plain' end,
           am.amname, coalesce(pg_get_expr(i.indpred, i.indrelid), ''),
           array_to_string(array(
               select pg_get_indexdef(i.indexrelid, k, true)
                      || case when i.indoption[k - 1] & 1 = 1 then ' desc' else '' end
               from generate_series(1, i.indnatts) k
           ), ', ')
    from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am am on am.oid = c.relam
    where i.indisvalid
"""
_FOREIGN_KEYS: LiteralString = """
    select conrelid::regclass::text,
           array_to_string(array(
               select attname from pg_attribute where attrelid = conrelid and attnum = any (conkey) order by attnum
           ), ', '),
           confrelid::regclass::text,
           case confdeltype when 'a' then 'no action' when 'c' then 'cascade' else 'other' end
    from pg_constraint where contype = 'f'
"""
_ENUMS: LiteralString = """
    select t.typname, e.enumlabel
    from pg_enum e join pg_type t on t.oid = e.enumtypid
    order by t.typname, e.enumsortorder
"""


def read_catalog(connection: psycopg.Connection[Row]) -> Schema:
    """The tables of `public` and `ops`, and all enums."""
    facts: dict[str, list[list[Row]]] = {}
    for number, query in enumerate((_COLUMNS, _INDEXES, _FOREIGN_KEYS)):
        for name, *rest in connection.execute(query):
            facts.setdefault(name, [[], [], []])[number].append(tuple(rest))
    tables = {
        qualified: _table(*facts[name], partitioned=partitioned or None)
        for name, qualified, partitioned in connection.execute(_TABLES)
    }
    enums = defaultdict(list)
    for name, label in connection.execute(_ENUMS):
        enums[name].append(label)
    return Schema(tables, dict(enums))


def _table(columns: list[Row], indexes: list[Row], foreign_keys: list[Row], *, partitioned: str | None) -> Table:
    described = [(kind, _index(method, predicate, keys)) for kind, method, predicate, keys in indexes]
    return Table(
        columns={name: _definition(*rest) for name, *rest in columns},
        primary_key=[column for kind, keys in described if kind == "primary" for column in keys.split(", ")],
        unique=sorted(keys for kind, keys in described if kind == "unique"),
        indexes=sorted(keys for kind, keys in described if kind == "plain"),
        foreign_keys={column: f"{target} on delete {rule}" for column, target, rule in foreign_keys},
        partitioned=partitioned,
    )


def _definition(kind: str, not_null: str, default: str) -> str:
    text = kind.replace("timestamp with time zone", "timestamptz") + (" not null" if not_null == "true" else "")
    plain_default = re.sub(r"^'(.*)'::[\w\[\]]+$", r"\1", default)
    return f"{text} default {plain_default}" if default else text


def _index(method: str, predicate: str, keys: str) -> str:
    text = keys.replace('"', "") + (f" using {method}" if method != "btree" else "")
    return f"{text} where {predicate}" if predicate else text
