"""Dagster's instance as it is, for commands that only look at it, or tidy it: nothing is made where there is none."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dagster as dg

from b2chat_pipeline.commands.dev import adopt
from b2chat_pipeline.commands.project import dagster_environment
from b2chat_pipeline.instance import DATABASE
from b2chat_pipeline.settings import Storage
from b2chat_pipeline.warehouse.embedded import EmbeddedPostgres
from b2chat_pipeline.warehouse.location import warehouse_url


@contextmanager
def existing_instance(environ: Mapping[str, str], storage: Storage) -> Iterator[dg.DagsterInstance | None]:
    """The instance; None where its database does not answer, or has no tables.

    Dagster's own library would make tables, and try for half a minute to reach a database.
    """
    url = storage.dagster_database_url or EmbeddedPostgres(storage.data_dir).url(DATABASE)
    if not _has_tables(url):
        yield None
        return
    adopt(dagster_environment(environ, dagster_url=url, warehouse_url=warehouse_url(storage)))
    with dg.DagsterInstance.get() as instance:
        yield instance


def _has_tables(url: str) -> bool:
    import psycopg

    from b2chat_pipeline.warehouse.address import psycopg_url

    try:
        with psycopg.connect(psycopg_url(url), application_name="b2chat") as connection:
            row = connection.execute("select to_regclass('daemon_heartbeats') is not null").fetchone()
    except psycopg.OperationalError:
        return False
    return row is not None and bool(row[0])
