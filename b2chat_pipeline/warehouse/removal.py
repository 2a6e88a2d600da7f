"""Removes rows of a large table piece by piece, so that nobody waits for long and no transaction grows large.

Not here: which rows (`books_retention.py`, and `event_retention.py` for Dagster's own database).
"""

from collections.abc import Mapping

from psycopg import Connection, sql

# Pages of 8 kB that one statement looks at: some thousand rows.
_PAGES = 1_000


def remove(
    connection: Connection, table: str, condition: sql.SQL, values: Mapping[str, object], *, dry_run: bool = False
) -> int:
    """Delete the rows of a table (its name may have a schema) for which a condition on `t` holds; how many they are.

    The connection is in autocommit mode. Each statement looks at a stretch of the file: an index is not needed, and
    rows that come or move meanwhile are left for the next time. A dry run only counts.
    """
    start = sql.SQL("select count(*) from {} t") if dry_run else sql.SQL("delete from {} t")
    within = sql.SQL(" where t.ctid >= %(first)s::tid and t.ctid < %(beyond)s::tid and ({})")
    statement = start.format(sql.Identifier(*table.split("."))) + within.format(condition)
    found = 0
    for first in range(0, _size_in_pages(connection, table), _PAGES):
        stretch = {"first": f"({first},0)", "beyond": f"({first + _PAGES},0)"}
        cursor = connection.execute(statement, {**values, **stretch})
        found += cursor.fetchall()[0][0] if dry_run else cursor.rowcount
    return found


def _size_in_pages(connection: Connection, table: str) -> int:
    query = "select (pg_relation_size(%s::regclass) / current_setting('block_size')::int)::int"
    row = connection.execute(query, (table,)).fetchone()
    return row[0] if row else 0
