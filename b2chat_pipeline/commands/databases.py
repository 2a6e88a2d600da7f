"""Gets both databases ready: the embedded server where no other is named, the warehouse's tables, Dagster's database.

Here belongs what must be true before anything else can run. Not here: migrations themselves (`warehouse/database.py`).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from b2chat_pipeline.instance import DATABASE as DAGSTER_DATABASE
from b2chat_pipeline.settings import OperatorError, Storage, read_storage
from b2chat_pipeline.warehouse.embedded import EmbeddedPostgres
from b2chat_pipeline.warehouse.location import EMBEDDED_DATABASE, warehouse_place, warehouse_url

if TYPE_CHECKING:
    from psycopg import Connection


class DatabaseError(OperatorError):
    """A database cannot be used."""


@dataclass(frozen=True)
class Databases:
    """The addresses of both databases. They hold passwords: never print them."""

    warehouse: str
    dagster: str
    embedded: EmbeddedPostgres | None = None

    def check(self) -> None:
        """Raises DatabaseError where the embedded server has ended: nobody else would start it again."""
        if self.embedded is not None and self.embedded.has_ended():
            raise DatabaseError(
                "the embedded PostgreSQL ended by itself: look into postgres/server.log in B2CHAT_DATA_DIR, then start"
                " this again."
            )


@contextmanager
def open_databases(environ: Mapping[str, str]) -> Iterator[Databases]:
    """Both databases, created and migrated. The embedded server runs as long as somebody holds it."""
    storage = read_storage(environ)
    with _server(storage) as databases:
        _prepare(databases)
        yield databases


@contextmanager
def _server(storage: Storage) -> Iterator[Databases]:
    if storage.database_url and storage.dagster_database_url:
        yield Databases(storage.database_url, storage.dagster_database_url)
        return
    with EmbeddedPostgres(storage.data_dir) as embedded:
        yield Databases(
            storage.database_url or embedded.url(EMBEDDED_DATABASE),
            storage.dagster_database_url or embedded.url(DAGSTER_DATABASE),
            embedded,
        )


@contextmanager
def open_warehouse(environ: Mapping[str, str]) -> Iterator[Storage]:
    """The warehouse as it is, for commands that only make sense with one: nothing is made, nothing migrated.

    Raises DatabaseError where no embedded one was ever made.
    """
    storage = read_storage(environ)
    if storage.database_url is not None:
        yield storage
        return
    embedded = EmbeddedPostgres(storage.data_dir)
    if not embedded.has_data():
        raise DatabaseError(
            f"there is no warehouse in {storage.data_dir}: make one with `b2chat dev`, or name yours in"
            " B2CHAT_DATABASE_URL or B2CHAT_DATA_DIR."
        )
    with embedded:
        yield storage


@contextmanager
def connected_warehouse(
    environ: Mapping[str, str], *, purpose: str, work: str, again: str
) -> "Iterator[tuple[Storage, Connection]]":
    """The same with a connection, which pg_stat_activity names by its purpose.

    Raises DatabaseError, WarehouseUnavailableError, and WarehouseStoppedError where PostgreSQL goes away amid the
    `work`; its sentence says how to do that `again`.
    """
    from b2chat_pipeline.ingest.bookkeeping import Work, stopping
    from b2chat_pipeline.warehouse.connection import connect

    with (
        open_warehouse(environ) as storage,
        connect(warehouse_url(storage), purpose=purpose) as connection,
        stopping(Work(work, again=again), connection),
    ):
        yield storage, connection


def upgrade(environ: Mapping[str, str]) -> None:
    """Create and migrate both databases, and print at which revision the warehouse is, and where."""
    import click

    from b2chat_pipeline.warehouse.connection import REVISION

    with open_databases(environ):
        click.echo(f"The warehouse is at revision {REVISION}: {warehouse_place(read_storage(environ))}.")


def _prepare(databases: Databases) -> None:
    import psycopg
    from sqlalchemy.exc import DBAPIError

    from b2chat_pipeline.warehouse.access import ensure_access
    from b2chat_pipeline.warehouse.connection import connect
    from b2chat_pipeline.warehouse.database import ensure_database, ensure_weekly_partitions, migrate

    try:
        for url in (databases.warehouse, databases.dagster):
            ensure_database(url)
        migrate(databases.warehouse)
        with connect(databases.warehouse, purpose="partitions") as connection:
            ensure_weekly_partitions(connection, now=datetime.now(UTC))
            if databases.embedded is not None and databases.warehouse == databases.embedded.url(EMBEDDED_DATABASE):
                # Of any other server the roles belong to its administrator: `b2chat db access`.
                ensure_access(connection)
    except (psycopg.Error, DBAPIError, ValueError) as error:
        # The driver's text may repeat parts of the address, so only its kind is told.
        raise DatabaseError(
            f"the databases cannot be made ready ({type(error).__name__}): check B2CHAT_DATABASE_URL and"
            " DAGSTER_DATABASE_URL (postgresql://user:password@host:5432/database, special characters of the password"
            " percent-encoded, %40 for @), and that their user may create tables there."
        ) from None


def access(environ: Mapping[str, str]) -> None:
    """Make the roles of readers and grant them what they may read. Raises AccessError."""
    import click

    from b2chat_pipeline.warehouse.access import ANALYST, MANAGER, grant_access

    work, again = "the granting", "run `b2chat db access` again"
    with connected_warehouse(environ, purpose="access", work=work, again=again) as (_, connection):
        grant_access(connection)
    click.echo(f"{ANALYST} reads schema analytics; {MANAGER} reads the unmasked tables of schema public as well.")
