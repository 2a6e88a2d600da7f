"""Writes `docs/data_dictionary.md` from the models: `python -m b2chat_pipeline.warehouse.documentation > FILE`.

The sentences are the comments of the models, which the database holds too. Nothing is explained here.
"""

import sys
from collections.abc import Iterable, Iterator

from sqlalchemy import Column, ColumnDefault, ForeignKeyConstraint, Index, Table, UniqueConstraint
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ENUM
from sqlalchemy.schema import DefaultClause
from sqlalchemy.types import TypeEngine

from b2chat_pipeline.warehouse.schema import Base

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_HEAD = """# Data dictionary

Generated from the models in `b2chat_pipeline/warehouse/schema/`; do not edit. The same sentences are in the database as
comments. `public` holds what analysts and the application read, `ops` what the pipeline needs to do its work. All times
are `timestamptz`.
"""


def data_dictionary() -> str:
    """The whole document as Markdown."""
    tables = sorted(Base.metadata.tables.values(), key=_qualified_name)
    sections = [_HEAD, _contents(tables), *(_section(table) for table in tables), _enums(tables)]
    return "\n".join(sections)


def _qualified_name(table: Table) -> tuple[bool, str]:
    return (table.schema is not None, table.fullname)


def _contents(tables: list[Table]) -> str:
    links = (f"- [{table.fullname}](#{table.fullname.replace('.', '')}): {table.comment}" for table in tables)
    return "\n".join([*links, "- [Enumerations](#enumerations)", ""])


def _section(table: Table) -> str:
    rows = (_row(column) for column in table.columns)
    lines = [
        f"## {table.fullname}",
        "",
        table.comment or "",
        "",
        "| column | type | null | default | meaning |",
        "| --- | --- | --- | --- | --- |",
        *rows,
        "",
        *(f"- {fact}" for fact in _facts(table)),
        "",
    ]
    return "\n".join(lines)


def _row(column: Column[object]) -> str:
    null = "yes" if column.nullable else "no"
    return f"| `{column.name}` | {_type_name(column.type)} | {null} | {_default(column)} | {column.comment} |"


def _type_name(kind: TypeEngine[object]) -> str:
    name = kind.compile(dialect=_DIALECT).lower().replace("timestamp with time zone", "timestamptz")
    return f"[{name}](#enumerations)" if isinstance(kind, ENUM) else name


def _default(column: Column[object]) -> str:
    if isinstance(column.server_default, DefaultClause):
        return f"`{column.server_default.arg}`"
    return "made by the client" if isinstance(column.default, ColumnDefault) else ""


def _facts(table: Table) -> Iterator[str]:
    yield f"Primary key: {_names(table.primary_key.columns)}"
    for constraint in sorted(table.constraints, key=lambda each: str(each.name)):
        if isinstance(constraint, UniqueConstraint):
            yield f"Unique: {_names(constraint.columns)}"
        elif isinstance(constraint, ForeignKeyConstraint):
            rule = (constraint.ondelete or "no action").lower()
            yield f"Foreign key: {_names(constraint.columns)} → `{constraint.referred_table.name}`, on delete {rule}"
    for index in sorted(table.indexes, key=lambda each: str(each.name)):
        yield f"Index: {_index(index)}"
    if partitioning := table.dialect_options["postgresql"]["partition_by"]:
        yield f"Partitioned by {str(partitioning).lower()}"


def _index(index: Index) -> str:
    columns = ", ".join(f"`{getattr(each, 'name', None) or each}`" for each in index.expressions)
    method = index.dialect_options["postgresql"]["using"]
    where = index.dialect_options["postgresql"]["where"]
    text = f"{columns} ({method})" if method else columns
    return f"{text} where `{where}`" if where is not None else text


def _names(columns: Iterable[Column[object]]) -> str:
    return ", ".join(f"`{column.name}`" for column in columns)


def _enums(tables: list[Table]) -> str:
    kinds = (column.type for table in tables for column in table.columns if isinstance(column.type, ENUM))
    values = {str(kind.name): ", ".join(f"`{value}`" for value in kind.enums) for kind in kinds}
    return "\n".join(["## Enumerations", "", *(f"- {name}: {values[name]}" for name in sorted(values)), ""])


if __name__ == "__main__":
    sys.stdout.write(data_dictionary())
