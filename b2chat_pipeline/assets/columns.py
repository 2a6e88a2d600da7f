"""The columns of a table as Dagster shows them, taken from the schema's models so that they cannot differ."""

import dagster as dg

from b2chat_pipeline.warehouse.schema import Base


def table_metadata(table: str) -> dict[str, object]:
    """Metadata that names a table and describes its columns."""
    columns = [
        dg.TableColumn(
            name=column.name,
            type=str(column.type).lower(),
            description=column.comment,
            constraints=dg.TableColumnConstraints(
                nullable=bool(column.nullable), unique=bool(column.unique or column.primary_key)
            ),
        )
        for column in Base.metadata.tables[table].columns
    ]
    return {
        "dagster/table_name": f"public.{table}",
        "dagster/column_schema": dg.TableSchema(columns=columns),
    }
