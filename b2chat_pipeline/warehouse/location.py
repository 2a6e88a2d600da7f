"""Where the warehouse is: at the address the settings name, or in the embedded server.

Not here: starting that server (`embedded.py`), the forms drivers want an address in (`database.py`).
"""

from b2chat_pipeline.settings import Storage
from b2chat_pipeline.warehouse.embedded import EmbeddedPostgres

EMBEDDED_DATABASE = "b2chat"


def warehouse_url(storage: Storage) -> str:
    """The address of the warehouse, whether or not its server runs."""
    return storage.database_url or EmbeddedPostgres(storage.data_dir).url(EMBEDDED_DATABASE)
