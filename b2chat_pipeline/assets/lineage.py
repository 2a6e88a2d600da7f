"""Where the columns of the SQL models come from, as Dagster shows it.

It is read from the models by way of a file, as the columns of the tables are: following them takes seconds, and each
run is a new process. After a change of the models: `python -m b2chat_pipeline.assets.lineage`.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg

from b2chat_pipeline.transform.models import Project
from b2chat_pipeline.transform.target import SCHEMA

FILE = Path(__file__).with_name("lineage.json")
# The loaded tables that are assets under their own name.
LOADED = ("departments", "agents", "contacts", "chats", "messages")


def lineage_metadata(model: str) -> dict[str, object]:
    """Metadata that says which columns a model's columns are made of, and which cannot be followed."""
    told = _lineage().get(model)
    if told is None:
        return {}
    columns = {name: list(map(_column, filter(_is_shown, origins))) for name, origins in told["columns"].items()}
    metadata: dict[str, object] = {
        "dagster/column_lineage": dg.TableColumnLineage({name: deps for name, deps in columns.items() if deps})
    }
    if told["unresolved"]:
        metadata["columns_known_by_table_only"] = ", ".join(told["unresolved"])
    return metadata


def lineage_of_project(project: Project) -> str:
    """The text of the file: the lineage of every model."""
    from dataclasses import asdict

    from b2chat_pipeline.transform.lineage import lineage_of_models
    from b2chat_pipeline.warehouse.schema import Base

    tables: dict[str, dict[str, dict[str, str]]] = {}
    for table in Base.metadata.sorted_tables:
        tables.setdefault(table.schema or "public", {})[table.name] = dict.fromkeys(table.columns.keys(), "text")
    told = {name: asdict(lineage) for name, lineage in lineage_of_models(project, tables).items()}
    return json.dumps(told, indent=1, sort_keys=True) + "\n"


def _is_shown(origin: str) -> bool:
    """Whether a column belongs to an asset."""
    schema, table, _ = origin.split(".")
    return schema == SCHEMA or (schema == "public" and table in LOADED)


def _column(origin: str) -> dg.TableColumnDep:
    _, table, column = origin.split(".")
    return dg.TableColumnDep(asset_key=dg.AssetKey(table), column_name=column)


@cache
def _lineage() -> dict[str, Any]:
    told: dict[str, Any] = json.loads(FILE.read_text())
    return told


if __name__ == "__main__":
    from b2chat_pipeline.transform.project import models_folder, read_project

    FILE.write_text(lineage_of_project(read_project(models_folder())))
