"""Puts the configured tree into `departments`: who is above whom, and where that places each.

A department that no chat named yet is made here under the key that a load will give it. Those that are not configured
are roots without anything below.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from psycopg import Connection

from b2chat_pipeline.ingest.people import department_code, department_id
from b2chat_pipeline.operations.configuration import Department, walk

_HOLD = "select pg_advisory_xact_lock(hashtextextended('b2chat departments', 0))"
_PLACE = """
    update departments set parent_id = %(parent)s, path = %(path)s, level = %(level)s, is_leaf = %(is_leaf)s
     where id = %(id)s and (parent_id, path, level, is_leaf)
                            is distinct from (%(parent)s, %(path)s, %(level)s, %(is_leaf)s)
"""
_PLACE_OTHERS = """
    update departments set parent_id = null, path = '/' || b2chat_code || '/', level = 0, is_leaf = true
     where name <> all(%s)
       and (parent_id, path, level, is_leaf) is distinct from (null, '/' || b2chat_code || '/', 0, true)
"""


def plant(connection: Connection, departments: Sequence[Department], *, now: datetime) -> None:
    """Give every department its place in the tree. The caller has opened the transaction."""
    # The codes of new departments depend on those that exist, as in a load.
    connection.execute(_HOLD)
    lines = list(walk(departments))
    _insert_missing(connection, [line[-1].name for line in lines], now=now)
    rows = connection.execute("select name, id, b2chat_code from departments").fetchall()
    ids, codes = ({row[0]: row[column] for row in rows} for column in (1, 2))
    for line in lines:
        place = {
            "id": ids[line[-1].name],
            "parent": ids[line[-2].name] if len(line) > 1 else None,
            "path": "".join(f"/{codes[each.name]}" for each in line) + "/",
            "level": len(line) - 1,
            "is_leaf": not line[-1].below,
        }
        connection.execute(_PLACE, place)
    connection.execute(_PLACE_OTHERS, ([line[-1].name for line in lines],))


def _insert_missing(connection: Connection, names: Iterable[str], *, now: datetime) -> None:
    codes: dict[str, str] = dict(connection.execute("select name, b2chat_code from departments").fetchall())
    for name in names:
        if name not in codes:
            codes[name] = department_code(name, set(codes.values()))
            connection.execute(
                "insert into departments (id, b2chat_code, name, created_at) values (%s, %s, %s, %s)",
                (department_id(name), codes[name], name, now),
            )
