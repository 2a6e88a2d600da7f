"""Reads the data dictionary's own Markdown into the form of the specification."""

import re
from collections.abc import Iterator
from types import MappingProxyType

from b2chat_pipeline_tests.specification.expected import Schema, Table

_TYPES = MappingProxyType(
    {
        "String": "text",
        "String[]": "text[]",
        "DateTime": "timestamptz",
        "Json": "jsonb",
        "Int": "integer",
        "Float": "double precision",
        "Boolean": "boolean",
    }
)
_SECTION = re.compile(r"^### (\w+)$(.*?)(?=^---$|\Z)", re.MULTILINE | re.DOTALL)
_TABLE_NAME = re.compile(r"\*\*Table Name:\*\* `(\w+)`")
_COLUMN = re.compile(r"^\| `(\w+)` \| ([^|]+) \| (Yes|No) \| ([^|]+) \| (.*) \|$", re.MULTILINE)
_INDEXES = re.compile(r"\*\*Indexes:\*\*\n(.*?)\n\n", re.DOTALL)
_INDEX = re.compile(r"\(([^)]+)\)|`([^`]+)`")
_FOREIGN_KEY = re.compile(r"Foreign key to (parent department|[A-Z]\w+)")
_CASCADE = re.compile(r"Belongs to: (\w+) \(cascade delete\)")
_ENUM_VALUES = re.compile(r"^- `(\w+)`", re.MULTILINE)


def read_document(markdown: str) -> Schema:
    """The tables and enums of the document."""
    sections = _SECTION.findall(markdown)
    names = {entity: found[1] for entity, text in sections if (found := _TABLE_NAME.search(text))}
    tables = {names[entity]: _table(entity, text, names) for entity, text in sections if entity in names}
    enums = {_snake(name): _ENUM_VALUES.findall(text) for name, text in sections if "\n**Values:**" in text}
    return Schema(tables, enums)


def _table(entity: str, text: str, names: dict[str, str]) -> Table:
    columns = _COLUMN.findall(text)
    cascading = _CASCADE.findall(text)
    foreign_keys = {}
    for name, _, _, _, description in columns:
        if found := _FOREIGN_KEY.match(description):
            target = entity if found[1] == "parent department" else found[1]
            foreign_keys[name] = f"{names[target]} on delete {'cascade' if target in cascading else 'no action'}"
    indexes = list(_indexes(text))
    return Table(
        columns={name: _definition(*rest) for name, *rest, _ in columns},
        primary_key=[column for kind, column in indexes if kind == "Primary key"],
        unique=sorted(column for kind, column in indexes if kind == "Unique"),
        indexes=sorted(column for kind, column in indexes if kind == "Index"),
        foreign_keys=foreign_keys,
    )


def _definition(kind: str, nullable: str, default: str) -> str:
    text = _TYPES.get(kind, _snake(kind)) + (" not null" if nullable == "No" else "")
    return text if default == "-" else f"{text} default {default.replace('[]', '{}')}"


def _indexes(text: str) -> Iterator[tuple[str, str]]:
    found = _INDEXES.search(text)
    for line in found[1].splitlines() if found else []:
        label = line.strip("- ").split(":")[0]
        kind = label if label in {"Primary key", "Unique"} else "Index"
        for group, single in _INDEX.findall(line):
            yield kind, (group or single).replace("`", "").lower()


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
