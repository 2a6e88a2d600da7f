"""The columns of the tables as Dagster shows them.

They come from the schema's models, by way of a file: importing SQLAlchemy costs every start of every process half a CPU
second, reading the file a millisecond. After a change of the schema: `python -m b2chat_pipeline.assets.columns`.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg

FILE = Path(__file__).with_name("columns.json")


# Tables of `ops` that are what an asset fills.
_OF_OPS = frozenset({"ops.analysis_batches"})


def table_metadata(table: str) -> dict[str, object]:
    """Metadata that names a table and describes its columns; without a schema, it is one of `public`."""
    columns = [
        dg.TableColumn(
            name=column["name"],
            type=column["type"],
            description=column["description"],
            constraints=dg.TableColumnConstraints(nullable=column["nullable"], unique=column["unique"]),
        )
        for column in _tables()[table]
    ]
    return {
        "dagster/table_name": table if "." in table else f"public.{table}",
        "dagster/column_schema": dg.TableSchema(columns=columns),
    }


def columns_of_models() -> str:
    """The text of the file: the columns of every table in the schema `public`, and of some others."""
    from sqlalchemy.dialects import postgresql

    from b2chat_pipeline.warehouse.schema import Base

    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    tables = {
        table.fullname: [
            {
                "name": column.name,
                "type": column.type.compile(dialect=dialect).lower(),
                "nullable": bool(column.nullable),
                "unique": bool(column.unique or column.primary_key),
                "description": column.comment,
            }
            for column in table.columns
        ]
        for table in Base.metadata.sorted_tables
        if table.schema is None or table.fullname in _OF_OPS
    }
    return json.dumps(tables, indent=1, sort_keys=True) + "\n"


@cache
def _tables() -> dict[str, list[dict[str, Any]]]:
    tables: dict[str, list[dict[str, Any]]] = json.loads(FILE.read_text())
    return tables


if __name__ == "__main__":
    FILE.write_text(columns_of_models())
