"""Databases to measure on: fresh ones on an embedded server with the settings it always has; and the bare COPY.

Not here: the load.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from psycopg import Connection, sql

from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.warehouse.embedded import EmbeddedPostgres
from b2chat_pipeline_tests.postgres import PostgresServer

# Each after those it refers to.
TABLES = ("departments", "agents", "contacts", "chats", "messages")
_CHUNK = 1 << 20


@contextmanager
def production_server() -> Iterator[PostgresServer]:
    """The embedded server as `b2chat dev` starts it: it survives a power cut, unlike the tests' one."""
    with TemporaryDirectory(prefix="b2chat-bench-") as directory, EmbeddedPostgres(Path(directory)) as embedded:
        server = PostgresServer(embedded)
        server.ensure_template()
        yield server
        server.close()


def settle(url: str) -> None:
    """Write out what earlier work left dirty, so that it is not paid for by what is measured next."""
    with connect(url, purpose="bench") as connection:
        connection.execute("checkpoint")


def table_rows(url: str) -> dict[str, bytes]:
    """The rows of the five tables in the text form of COPY."""
    with connect(url, purpose="bench") as connection:
        return {table: _copied_out(connection, table) for table in TABLES}


def _copied_out(connection: Connection, table: str) -> bytes:
    statement = sql.SQL("copy (select * from {} order by id) to stdout").format(sql.Identifier(table))
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        return b"".join(bytes(chunk) for chunk in copy)


def bare_copy(url: str, rows: Mapping[str, bytes]) -> float:
    """Seconds that PostgreSQL takes for the rows alone, in one transaction, with all indexes and foreign keys."""
    settle(url)
    with connect(url, purpose="bench") as connection:
        started = perf_counter()
        with connection.transaction():
            for table in TABLES:
                statement = sql.SQL("copy {} from stdin").format(sql.Identifier(table))
                with connection.cursor() as cursor, cursor.copy(statement) as copy:
                    for first in range(0, len(rows[table]), _CHUNK):
                        copy.write(rows[table][first : first + _CHUNK])
        return perf_counter() - started
