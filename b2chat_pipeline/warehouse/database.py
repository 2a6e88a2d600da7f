"""The database as a whole: its creation, its migrations, its weekly partitions.

What the tables mean is in `schema/`; rows are read and written elsewhere.
"""

from datetime import UTC, datetime, timedelta

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from b2chat_pipeline.warehouse.address import psycopg_url, sqlalchemy_url

_MIGRATION_LOCK = 0x62326368_01
_PARTITION_LOCK = 0x62326368_02
_WEEK = timedelta(weeks=1)


def ensure_database(url: str) -> None:
    """Creates the database that the URL names, if it is missing; asks the server's database `postgres` for that."""
    name = conninfo_to_dict(psycopg_url(url)).get("dbname")
    if name is None:
        raise ValueError("The database URL names no database: end it in /NAME.")
    with psycopg.connect(psycopg_url(url), dbname="postgres", autocommit=True) as connection:
        if connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
            return
        try:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(str(name))))
        except (errors.DuplicateDatabase, errors.UniqueViolation):
            return  # another process was faster


def migrate(url: str) -> None:
    """Brings the schema to the newest revision, all or nothing; a second process that does the same waits."""
    engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        connection.execute(text("create schema if not exists ops"))
        command.upgrade(alembic_config(connection), "head")


def alembic_config(connection: Connection) -> Config:
    """The configuration of Alembic over an open connection; whoever opened it commits."""
    config = Config()
    config.set_main_option("script_location", "b2chat_pipeline.warehouse:migrations")
    config.attributes["connection"] = connection
    return config


def schema_revision(connection: Connection) -> str | None:
    """The revision the database is at; None before the first migration."""
    return MigrationContext.configure(connection, opts={"version_table_schema": "ops"}).get_current_revision()


def ensure_weekly_partitions(
    connection: psycopg.Connection[tuple[object, ...]], *, now: datetime, weeks_ahead: int = 4
) -> list[str]:
    """Makes the weekly partitions of `api_response_logs` from the week of `now` on; returns the names of the new ones.

    Weeks begin on Monday 00:00 UTC. Rows that fell into the default partition move into theirs.
    """
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    monday = today - timedelta(days=today.weekday())
    starts = [monday + _WEEK * ahead for ahead in range(weeks_ahead + 1)]
    if not _missing(connection, starts):
        return []
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", [_PARTITION_LOCK])
        missing = _missing(connection, starts)
        for start in missing:
            _add_partition(connection, start)
    return [_partition_name(start) for start in missing]


def _missing(connection: psycopg.Connection[tuple[object, ...]], starts: list[datetime]) -> list[datetime]:
    rows = connection.execute(
        "select inhrelid::regclass::text from pg_inherits where inhparent = 'public.api_response_logs'::regclass"
    )
    present = {str(name).removeprefix("public.") for (name,) in rows}
    return [start for start in starts if _partition_name(start) not in present]


def _partition_name(start: datetime) -> str:
    year, week, _ = start.isocalendar()
    return f"api_response_logs_{year}w{week:02d}"


def _add_partition(connection: psycopg.Connection[tuple[object, ...]], start: datetime) -> None:
    """Attached as a finished table: that waits for no reader of the parent, and its rows may come from the default."""
    names = {
        "partition": sql.Identifier("public", _partition_name(start)),
        "parent": sql.Identifier("public", "api_response_logs"),
        "default": sql.Identifier("public", "api_response_logs_default"),
        "start": sql.Literal(start.isoformat()),
        "end": sql.Literal((start + _WEEK).isoformat()),
    }
    for statement in (
        "lock table {default} in access exclusive mode",  # else a row could still fall into it after the move
        "create table {partition} (like {parent} including all)",
        """
        with moved as (delete from {default} where created_at >= {start} and created_at < {end} returning *)
        insert into {partition} select moved.* from moved
        """,
        "alter table {parent} attach partition {partition} for values from ({start}) to ({end})",
    ):
        connection.execute(sql.SQL(statement).format(**names))
