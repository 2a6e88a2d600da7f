"""Connections to the warehouse, set up the same way everywhere.

Not here: addresses and migrations (`database.py`).
"""

from psycopg import Connection
from psycopg import connect as open_connection

from b2chat_pipeline.warehouse.database import psycopg_url

# A lock that another load holds for longer than this is taken for stuck: the transaction is given up and repeated.
LOCK_TIMEOUT = "60s"


def connect(url: str, *, purpose: str) -> Connection:
    """An autocommit connection in UTC. `purpose` names it in pg_stat_activity. Raises psycopg.OperationalError."""
    connection: Connection = open_connection(
        psycopg_url(url),
        autocommit=True,
        application_name=f"b2chat {purpose}",
        options=f"-c timezone=UTC -c lock_timeout={LOCK_TIMEOUT}",
    )
    return connection
