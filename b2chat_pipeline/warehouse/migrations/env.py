"""How Alembic runs here: over a connection its caller opened, in its caller's transaction."""

from alembic import context
from sqlalchemy import Connection, text

from b2chat_pipeline.warehouse.schema import Base

_SCHEMAS = {None, "public", "ops"}


def run(connection: Connection) -> None:
    """Runs what was asked for. Partitions come and go with the calendar and are no business of migrations."""
    partitions = set(connection.scalars(text("select relname from pg_class where relispartition")))

    def is_ours(name: str | None, kind: str, _parents: object) -> bool:
        return name in _SCHEMAS if kind == "schema" else not (kind == "table" and name in partitions)

    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        version_table_schema="ops",
        include_schemas=True,
        include_name=is_ours,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run(context.config.attributes["connection"])
