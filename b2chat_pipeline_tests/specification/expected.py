"""Reads the specification and applies the departures to the dictionary's facts."""

from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

SPECIFICATION = Path(__file__).with_name("data_dictionary.yaml")


@dataclass
class Table:
    """A table in words: `columns` as name → definition, indexes as `column [desc], … [using kind]`."""

    columns: dict[str, str]
    primary_key: list[str]
    unique: list[str] = field(default_factory=list)
    indexes: list[str] = field(default_factory=list)
    foreign_keys: dict[str, str] = field(default_factory=dict)
    partitioned: str | None = None


@dataclass
class Schema:
    """Tables by qualified name, and enums."""

    tables: dict[str, Table]
    enums: dict[str, list[str]]


def load() -> dict[str, Any]:
    """The specification as written."""
    content: dict[str, Any] = yaml.safe_load(SPECIFICATION.read_text(encoding="utf-8"))
    return content


def schema_of(part: dict[str, Any]) -> Schema:
    """A part of the specification as a schema."""
    tables = {name: Table(**facts) for name, facts in part["tables"].items()}
    return Schema({name: _sorted(table) for name, table in tables.items()}, part.get("enums", {}))


def expected_schema() -> Schema:
    """What a migrated database must hold."""
    specification = load()
    schema = schema_of(deepcopy(specification["dictionary"]))
    departures = specification["departures"]
    schema.tables = {f"public.{name}": table for name, table in schema.tables.items()}
    for name, values in departures["enum_values"].items():
        schema.enums[name] += values
    for name, changes in departures["tables"].items():
        _apply(schema.tables[f"public.{name}"], changes)
    for table in schema.tables.values():
        table.columns = {name: text.removesuffix(" default cuid()") for name, text in table.columns.items()}
    operations = schema_of({"tables": departures["ops"]}).tables
    schema.tables |= {f"ops.{name}": table for name, table in operations.items()}
    return schema


def _apply(table: Table, changes: dict[str, Any]) -> None:
    table.columns |= changes.get("columns", {})
    table.indexes = [changes.get("changed_indexes", {}).get(index, index) for index in table.indexes]
    table.indexes = sorted([*table.indexes, *changes.get("indexes", [])])
    table.primary_key = changes.get("primary_key", table.primary_key)
    table.partitioned = changes.get("partitioned")


def _sorted(table: Table) -> Table:
    table.unique.sort()
    table.indexes.sort()
    return table
