"""Where the warehouse is: at the address the settings name, or in the embedded server.

Not here: starting that server (`embedded.py`), the forms drivers want an address in (`address.py`).
"""

from b2chat_pipeline.settings import Storage
from b2chat_pipeline.warehouse.address import psycopg_url
from b2chat_pipeline.warehouse.embedded import EmbeddedPostgres

EMBEDDED_DATABASE = "b2chat"


def warehouse_place(storage: Storage) -> str:
    """Where the warehouse is, for people: neither user nor password. ValueError where its address is none."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    if storage.database_url is None:
        return f"the embedded PostgreSQL in {storage.data_dir}"
    try:
        address = conninfo_to_dict(psycopg_url(storage.database_url))
    except ProgrammingError:
        raise ValueError("The database URL cannot be read.") from None
    server = ":".join(str(address[part]) for part in ("host", "port") if address.get(part))
    return f"database {address.get('dbname')} at {server or 'the local server'}"


def warehouse_url(storage: Storage) -> str:
    """The address of the warehouse, whether or not its server runs."""
    return storage.database_url or EmbeddedPostgres(storage.data_dir).url(EMBEDDED_DATABASE)
