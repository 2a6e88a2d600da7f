"""The one write path: rows by COPY, straight into a table where they are new, else by way of a staging table.

Here belong the moves every load is made of. Not here: which rows are new or changed (`ingest/`). Staging tables are
made once per connection and emptied at each commit. Rows are written in the order of their keys, so that two loads that
touch the same rows lock them in the same order. Long lists of keys are passed in binary form (`%b`): a quarter of the
time.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import Connection, sql
from psycopg.types.json import Jsonb

# The text format of COPY: PostgreSQL's manual, COPY, "Text Format".
NULL = r"\N"
_SPECIAL = re.compile(r"[\\\t\n\r]").search
_IN_ARRAY = str.maketrans({"\\": r"\\", '"': r"\""})
# Bytes given to PostgreSQL at once. Each time lets another thread run, and waits until it may go on.
_AT_ONCE = 1 << 16
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def copy_rows(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[NamedTuple]) -> None:
    """Copy rows, whose fields are the columns, into a table, few in memory at a time."""
    copy_lines(connection, table, columns, (f"{copy_fields(row)}\n".encode() for row in rows))


def copy_lines(connection: Connection, table: str, columns: Sequence[str], lines: Iterable[bytes]) -> None:
    """Copy rows that are already lines of COPY's text format in UTF-8, one or several at a time; their texts by
    `copy_text`.
    """
    statement = sql.SQL("copy {} ({}) from stdin").format(sql.Identifier(table), _names(columns))
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for joined in _joined(lines):
            copy.write(joined)


def _joined(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The same lines, some at a time."""
    some: list[bytes] = []
    length = 0
    for line in lines:
        some.append(line)
        length += len(line)
        if length >= _AT_ONCE:
            yield b"".join(some)
            some, length = [], 0
    yield b"".join(some)


def copy_text(text: str) -> str:
    """A text as one field of a line of COPY."""
    return text.translate(_ESCAPES) if _SPECIAL(text) else text


def copy_fields(row: NamedTuple) -> str:
    """A row, or a part of one, as fields of a line of COPY.

    Several times as fast as adapting each value by psycopg: rows have few types.
    """
    return "\t".join([_FIELDS[type(value)](value) for value in row])


def _array(texts: list[str]) -> str:
    """An array of texts: PostgreSQL's manual, Arrays, "Array Input and Output Syntax"."""
    return copy_text("{" + ",".join(f'"{text.translate(_IN_ARRAY)}"' for text in texts) + "}")


# How the values of each type are written as a field of a line.
_FIELDS: Mapping[type, Callable[[Any], str]] = {
    type(None): lambda _: NULL,
    str: copy_text,
    bool: str,
    int: str,
    datetime: datetime.isoformat,
    bytes: lambda value: rf"\\x{value.hex()}",
    list: _array,
    Jsonb: lambda value: copy_text(json.dumps(value.obj)),
}


def stage_rows(connection: Connection, table: str, rows: Sequence[NamedTuple]) -> None:
    """Copy rows into the staging table of `table`. It is empty again after the transaction."""
    copy_rows(connection, _stage(connection, table, rows[0]._fields), rows[0]._fields, rows)


def stage_lines(connection: Connection, table: str, columns: Sequence[str], lines: Iterable[bytes]) -> None:
    """The same of rows that are lines already."""
    copy_lines(connection, _stage(connection, table, columns), columns, lines)


def _stage(connection: Connection, table: str, columns: Sequence[str]) -> str:
    """The name of the staging table of some columns of `table`, which is made where this connection has none yet."""
    name = f"stage_{table}"
    connection.execute(
        sql.SQL("create temp table if not exists {} on commit delete rows as select {} from {} with no data").format(
            sql.Identifier(name), _names(columns), sql.Identifier(table)
        )
    )
    return name


def insert_staged(connection: Connection, table: str, columns: Sequence[str], key: str) -> set[str]:
    """Insert the staged rows that are not stored yet, in the order of their keys, and return the keys inserted.

    A stored row is not even locked; one that another transaction inserts meanwhile is left to it.
    """
    statement = sql.SQL(
        "insert into {table} ({columns}) select {values} from {stage} s"
        " where not exists (select from {table} t where t.{key} = s.{key})"
        " order by s.{key} on conflict do nothing returning {key}"
    ).format(
        table=sql.Identifier(table),
        columns=_names(columns),
        values=sql.SQL(", ").join(_value(name) for name in columns),
        stage=sql.Identifier(f"stage_{table}"),
        key=sql.Identifier(key),
    )
    return {row[0] for row in connection.execute(statement)}


def _value(column: str) -> sql.Composable:
    # The dictionary's own default of these two, where the source does not tell them.
    if column in {"created_at", "updated_at"}:
        return sql.SQL("coalesce(s.{}, now())").format(sql.Identifier(column))
    return sql.Identifier("s", column)


def stored_ids(connection: Connection, table: str, key: str, keys: Collection[str]) -> dict[str, str]:
    """The ids of stored rows by their keys at the source."""
    statement = sql.SQL("select {key}, id from {table} where {key} = any(%b)").format(
        key=sql.Identifier(key), table=sql.Identifier(table)
    )
    return dict(connection.execute(statement, (list(keys),)).fetchall())


def lock_day(connection: Connection, endpoint: str, day: str) -> None:
    """Let one load at a time write an endpoint's account-local day; the lock ends with the transaction.

    In one schema: a rebuild writes tables of its own, so it and the loads do not wait for each other.
    """
    connection.execute(
        "select pg_advisory_xact_lock(hashtextextended(concat(current_schema(), %s::text), 0))",
        (f" b2chat load {endpoint} {day}",),
    )


def _names(columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))
