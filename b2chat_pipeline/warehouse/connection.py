"""Connections to the warehouse, set up the same way everywhere, and what to do where PostgreSQL cannot go on.

Not here: addresses (`location.py`, `database.py`) and migrations (`database.py`).
"""

import psycopg
from psycopg import Connection, errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from b2chat_pipeline.settings import OperatorError
from b2chat_pipeline.warehouse.address import psycopg_url

# A lock that another load holds for longer than this is taken for stuck: the transaction is given up and repeated.
LOCK_TIMEOUT = "60s"
# Where names without a schema are looked for. A rebuild puts its own schema in its place (`side_schema.py`).
_SEARCH_PATH = "public,ops"
# The revision that this code reads and writes; the tests hold it against the newest migration.
REVISION = "0017"
# A connection whose other end is gone without a word is given up within a minute and a half, not after two hours.
# What the address says itself wins.
_KEEPALIVES = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 6}
# What mends trouble that no record is to blame for.
_REMEDIES: tuple[tuple[type[psycopg.Error], str], ...] = (
    (errors.DiskFull, "free space on PostgreSQL's disk"),
    (errors.QueryCanceled, "give the user that loads a longer statement_timeout"),
    (errors.LockNotAvailable, "end the session that holds the lock: pg_blocking_pids() names it"),
)


class WarehouseUnavailableError(OperatorError):
    """The warehouse cannot be used."""


class WarehouseStoppedError(WarehouseUnavailableError):
    """PostgreSQL went away, or could not go on, in the middle of the work."""


def named(error: psycopg.Error) -> str:
    """The kind of an error. Its own text is not repeated anywhere: it may quote a row."""
    return f"{type(error).__name__} ({error.sqlstate or 'no connection'})"


def remedy(error: psycopg.Error) -> str:
    """What an operator does about an error."""
    steps = (step for kind, step in _REMEDIES if isinstance(error, kind))
    return next(steps, "see the PostgreSQL log")


def connect(url: str, *, purpose: str) -> Connection:
    """An autocommit connection in UTC to a migrated warehouse. `purpose` names it in pg_stat_activity.

    Raises WarehouseUnavailableError where there is no server, or its schema is another than this code's.
    """
    try:
        connection: Connection = psycopg.connect(
            make_conninfo("", **_KEEPALIVES | conninfo_to_dict(psycopg_url(url))),
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
