"""Dagster's own storage: PostgreSQL at the address the settings name, or the embedded server that `b2chat dev` runs.

Here belongs one class that `dagster.yaml` names. It exists for five reasons: plain `dg dev` without a database must
end in one sentence instead of a stack trace; a shell beside a running `b2chat dev` should find its server without any
variable; a bare `postgresql://` address must reach psycopg2 whichever SQLAlchemy is installed, because Dagster's
NOTIFY fails under psycopg 3; a year of hours is some sixty thousand events of each kind, which must not be stored
one by one; and a server that was restarted must not fail the first request of everybody who has kept a connection.
"""

import os
from collections.abc import Mapping, Sequence
from functools import cache
from time import monotonic
from typing import Any, Self

import dagster as dg
from dagster._core.storage.event_log import SqlEventLogStorageTable
from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage

from b2chat_pipeline.settings import SettingsError, read_storage
from b2chat_pipeline.warehouse.address import psycopg2_url
from b2chat_pipeline.warehouse.embedded import EmbeddedPostgres

DATABASE = "dagster"
# Milliseconds. Dagster's own default for its webserver is too short for the event log of a long backfill.
STATEMENT_TIMEOUT = 600_000
# A connection that nobody has used for so many seconds is tried before it is used again.
_IDLE = 1.0


@cache
def _have_idle_connections_tried() -> None:
    """For all pools of the process: webserver and daemon make pools of their own, without asking us."""
    from sqlalchemy import event, exc, pool

    @event.listens_for(pool.Pool, "checkin")
    def note_the_time(_connection: object, record: pool.ConnectionPoolEntry) -> None:
        record.info["used_at"] = monotonic()

    @event.listens_for(pool.Pool, "checkout")
    def give_up_all_where_one_is_dead(connection: Any, record: pool.ConnectionPoolEntry, _proxy: object) -> None:  # noqa: ANN401
        used_at = record.info.get("used_at")
        if used_at is None or monotonic() - used_at < _IDLE:
            return
        try:
            with connection.cursor() as cursor:
                cursor.execute("select 1")
            connection.rollback()
        except (connection.OperationalError, connection.InterfaceError):
            raise exc.InvalidatePoolError from None


class HourlyEventLog(PostgresEventLogStorage):
    """The event log, for runs over many hours.

    Dagster's own writes each planned hour in statements of its own, and compiles a statement as long as the batch for
    those that are materialized.
    """

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Store events of one run, at most one of an hour of an asset; the table of assets tells its last one."""
        if not all(_is_of_an_hour(event) for event in events):
            super().store_event_batch(events)
            return
        table = SqlEventLogStorageTable
        insert = table.insert().returning(table.c.id, table.c.asset_key, table.c.partition)
        rows = [self._event_to_row(event) for event in events]
        with self._connect() as connection:
            stored = connection.execute(insert, rows).all()
        # Nobody promises that rows come back in their order.
        id_of = {(asset, hour): key for key, asset, hour in stored}
        ids = [id_of[row["asset_key"], row["partition"]] for row in rows]
        last = {row["asset_key"]: (event, key) for row, event, key in zip(rows, events, ids, strict=True)}
        with self.index_transaction() as connection:
            self._store_asset_event_tags(connection, events, ids)
            for event, key in last.values():
                self._store_asset_event(connection, event, key)


def _is_of_an_hour(event: dg.EventLogEntry) -> bool:
    told = event.get_dagster_event()
    return told.is_asset_materialization_planned or told.is_step_materialization


class InstanceStorage(DagsterPostgresStorage):
    """PostgreSQL storage without configuration of its own: the address comes from the environment."""

    def __init__(self, postgres_url: str, **config: Any) -> None:  # noqa: ANN401 - Dagster's own signature
        super().__init__(postgres_url, **config)
        _have_idle_connections_tried()
        self._event_log_storage = HourlyEventLog(postgres_url)
        # Without a pool every event opens a new connection, and a run over many hours records thousands of events: 53
        # hours of seven assets took 16 s without and 6 s with one.
        for storage in (self.event_log_storage, self.run_storage, self.schedule_storage):
            storage.optimize_for_webserver(statement_timeout=STATEMENT_TIMEOUT, pool_recycle=600, max_overflow=20)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """No fields."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> Self:  # noqa: ANN401
        """The storage. Ends the process with one sentence where there is no database to use."""
        return cls(postgres_url=instance_url(os.environ), inst_data=inst_data, **config_value)


def instance_url(environ: Mapping[str, str]) -> str:
    """The address of Dagster's database, for psycopg2. Ends the process with one sentence where there is none."""
    try:
        storage = read_storage(environ)
    except SettingsError as error:
        raise SystemExit(str(error)) from None
    if storage.dagster_database_url is not None:
        return psycopg2_url(storage.dagster_database_url)
    embedded = EmbeddedPostgres(storage.data_dir)
    if not embedded.is_running():
        raise SystemExit(
            "DAGSTER_DATABASE_URL is not set and the embedded PostgreSQL is not running: start everything with"
            " `b2chat dev`, or set the variable in .env (see .env.example)."
        )
    return psycopg2_url(embedded.url(DATABASE))
