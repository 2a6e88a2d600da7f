"""Tables and views of the warehouse as PostgreSQL knows them: columns, comments, and what stands upon them.

Here belong statements about relations whatever they mean. Not here: models (`build.py`).
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import psycopg
from psycopg import Connection, sql

from b2chat_pipeline.transform.models import ModelError, Place
from b2chat_pipeline.warehouse.connection import named, remedy

Kind = Literal["table", "view"]

_KIND = "select case c.relkind when 'v' then 'view' else 'table' end from pg_class c where c.oid = to_regclass(%s)"
_MISSING = "select name from unnest(%s::text[]) name where to_regclass(format('%%I.%%I', %s::text, name)) is null"
_COLUMNS = """
    select attname, format_type(atttypid, atttypmod) from pg_attribute
     where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attnum
"""
_COMMENTS = """
    select coalesce(a.attname, ''), d.description
      from pg_description d
      left join pg_attribute a on a.attrelid = d.objoid and a.attnum = d.objsubid and d.objsubid > 0
     where d.objoid = to_regclass(%s) and d.classoid = 'pg_class'::regclass
"""
_SAME_VIEW = "select pg_get_viewdef('b2chat_wanted'::regclass) = pg_get_viewdef(to_regclass(%s)::oid)"
_INDEXES = """
    select array(select a.attname::text from unnest(i.indkey) with ordinality key (number, place)
                   join pg_attribute a on a.attrelid = i.indrelid and a.attnum = key.number order by place),
           i.indisunique
      from pg_index i where i.indrelid = to_regclass(%s)
"""


@dataclass(frozen=True)
class Relation:
    """A table or view by its name."""

    schema: str
    name: str

    @property
    def identifier(self) -> sql.Identifier:
        """As statements name it."""
        return sql.Identifier(self.schema, self.name)

    def __str__(self) -> str:
        return f'"{self.schema}"."{self.name}"'


@contextmanager
def explained(connection: Connection, place: Place) -> Iterator[None]:
    """Trouble with a file's statement as a sentence that names the file; a database that went away is no such trouble.

    Only of what is wrong in a statement's text (class 42) PostgreSQL's own words hold no value of a row.
    """
    try:
        yield
    except psycopg.Error as error:
        if connection.closed:
            raise
        wrong_text = (error.sqlstate or "").startswith("42")
        reason = f"{error.diag.message_primary}; correct the file" if wrong_text else remedy(error)
        raise ModelError(f"{place}: the statement failed with {named(error)}: {reason}.") from None


def query(text: str) -> sql.SQL:
    """A rendered template as part of a statement, as it is: it comes from a file of the project."""
    return sql.SQL(text)


def kind_of(connection: Connection, relation: Relation) -> Kind | None:
    """Whether it is a table or a view; None where it does not exist."""
    row = connection.execute(_KIND, (str(relation),)).fetchone()
    return row[0] if row else None


def missing_in(connection: Connection, schema: str, names: Collection[str]) -> list[str]:
    """Those of some names that no table or view of a schema has."""
    rows = connection.execute(_MISSING, (list(names), schema))
    return [row[0] for row in rows]


def columns_of(connection: Connection, relation: Relation) -> dict[str, str]:
    """Its columns in order, with PostgreSQL's own names of their types."""
    return {name: kind for name, kind in connection.execute(_COLUMNS, (str(relation),))}  # noqa: C416 - rows are tuples


def columns_told_by(connection: Connection, text: str) -> dict[str, str]:
    """The columns of a query in order, without any row of it being computed."""
    cursor = connection.execute(sql.SQL("select * from (\n{}\n) told limit 0").format(query(text)))
    result = cursor.pgresult
    names = [column.name for column in cursor.description or ()]
    types = [(result.ftype(place), result.fmod(place)) for place in range(len(names))] if result else []
    rows = connection.execute(
        "select format_type(kind, modifier)"
        " from unnest(%s::oid[], %s::int[]) with ordinality told (kind, modifier, place) order by place",
        ([kind for kind, _ in types], [modifier for _, modifier in types]),
    )
    return dict(zip(names, (row[0] for row in rows), strict=True))


def view_tells(connection: Connection, relation: Relation, text: str) -> bool:
    """Whether a view is already what a query would make of it."""
    with connection.transaction(force_rollback=True):
        connection.execute(sql.SQL("create temporary view b2chat_wanted as {}").format(query(text)))
        row = connection.execute(_SAME_VIEW, (str(relation),)).fetchone()
    return row is not None and bool(row[0])


def indexes_of(connection: Connection, relation: Relation) -> set[tuple[tuple[str, ...], bool]]:
    """The columns of each index of a table, and whether it is unique."""
    return {(tuple(columns), unique) for columns, unique in connection.execute(_INDEXES, (str(relation),))}


def comments_of(connection: Connection, relation: Relation) -> dict[str, str]:
    """The comments on a relation (key: an empty text) and its columns."""
    return {name: text for name, text in connection.execute(_COMMENTS, (str(relation),))}  # noqa: C416 - rows are tuples


def comment_on(connection: Connection, relation: Relation, kind: Kind, comments: Mapping[str, str]) -> None:
    """Give the relation (key: an empty text) and its columns these comments, those that differ."""
    present = comments_of(connection, relation)
    for name, comment in comments.items():
        if present.get(name) == comment:
            continue
        what = sql.SQL("column {}.{}").format(relation.identifier, sql.Identifier(name))
        if not name:
            what = sql.SQL("{} {}").format(sql.SQL(kind), relation.identifier)
        connection.execute(sql.SQL("comment on {} is {}").format(what, sql.Literal(comment)))
