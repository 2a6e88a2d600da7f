"""Connections to the warehouse, set up the same way everywhere.

Not here: addresses (`location.py`, `database.py`) and migrations (`database.py`).
"""

import psycopg
from psycopg import Connection

from b2chat_pipeline.settings import OperatorError

# A lock that another load holds for longer than this is taken for stuck: the transaction is given up and repeated.
LOCK_TIMEOUT = "60s"
# Where names without a schema are looked for. A rebuild puts its own schema in its place (`side_schema.py`).
_SEARCH_PATH = "public,ops"
# The revision that this code reads and writes; the tests hold it against the newest migration.
REVISION = "0008"


class WarehouseUnavailableError(OperatorError):
    """The warehouse cannot be used."""


def connect(url: str, *, purpose: str) -> Connection:
    """An autocommit connection in UTC to a migrated warehouse. `purpose` names it in pg_stat_activity.

    Raises WarehouseUnavailableError where there is no server, or its schema is another than this code's.
    """
    try:
        connection: Connection = psycopg.connect(
            f"postgresql://{url.split('://', 1)[1]}",
            autocommit=True,
            application_name=f"b2chat {purpose}",
            options=f"-c timezone=UTC -c lock_timeout={LOCK_TIMEOUT} -c search_path={_SEARCH_PATH}",
        )
    except (psycopg.OperationalError, psycopg.ProgrammingError):
        # The driver's own text may repeat parts of the address.
        raise WarehouseUnavailableError(
            "the warehouse does not answer: start it with `b2chat dev`, or correct B2CHAT_DATABASE_URL."
        ) from None
    try:
        _require_revision(connection)
    except WarehouseUnavailableError:
        connection.close()
        raise
    return connection


def _require_revision(connection: Connection) -> None:
    try:
        row = connection.execute("select version_num from ops.alembic_version").fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        row = None
    if row is None:
        raise WarehouseUnavailableError("the warehouse has no tables yet: run `b2chat db upgrade`.")
    if row[0] != REVISION:
        raise WarehouseUnavailableError(
            f"the warehouse is at schema revision {row[0]}, this code needs {REVISION}: run `b2chat db upgrade` with"
            " the newest code."
        )
