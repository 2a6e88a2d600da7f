"""Builds one model: a view, a table, or some days of a table, each in one transaction.

Readers see the rows before or the rows after, never fewer. Rows are replaced by DELETE and INSERT: TRUNCATE and a swap
of names would wait for every running query, hold up those that come after, and show an empty table to whoever looks
with an older snapshot; and a view would go on reading the table that was swapped away. Not here: the order of models
(`run.py`), what stands upon a relation whose columns change (`relations.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from time import perf_counter

from psycopg import Connection, sql

from b2chat_pipeline.transform.models import Model, ModelError
from b2chat_pipeline.transform.relations import (
    Kind,
    Relation,
    columns_of,
    columns_told_by,
    comment_on,
    explained,
    kind_of,
    query,
)
from b2chat_pipeline.transform.target import Days, Target

_HOLD = "select pg_advisory_xact_lock(hashtextextended('b2chat model ' || %s, 0))"


@dataclass(frozen=True)
class Built:
    """What building a model brought. Rows by day only where days were built."""

    rows: int
    seconds: float
    rows_of_day: Mapping[date, int] = field(default_factory=dict)


def build(connection: Connection, target: Target, model: Model, days: Days | None) -> Built:
    """Build a model: the days of an incremental one, or all of it. The connection is in autocommit mode.

    Raises ModelError where its SQL fails, or does not keep what its schema file promises, and WarehouseStoppedError.
    """
    started = perf_counter()
    with explained(connection, model.place), connection.transaction():
        rows, rows_of_day = _Building(connection, target, model).build(days if model.day_column else None)
    return Built(rows, perf_counter() - started, rows_of_day)


class _Building:
    """One model in one transaction."""

    def __init__(self, connection: Connection, target: Target, model: Model) -> None:
        self._connection = connection
        self._target = target
        self._model = model
        self._relation = Relation(target.schema, model.name)

    def build(self, days: Days | None) -> tuple[int, Mapping[date, int]]:
        # Two builds of one model take turns; readers are not concerned.
        self._connection.execute(_HOLD, (str(self._relation),))
        text = self._target.sql_of(self._model, days)
        told = columns_told_by(self._connection, text)
        self._check_columns(told)
        present = kind_of(self._connection, self._relation)
        wanted: Kind = "view" if self._model.materialized == "view" else "table"
        if present is not None and (present != wanted or columns_of(self._connection, self._relation) != told):
            self._drop(present)
            present = None
        if wanted == "view":
            self._execute("create or replace view {relation} as {query}", text)
            result: tuple[int, Mapping[date, int]] = self._count(), {}
        else:
            if present is None:
                self._create(text)
            result = self._insert_days(text, told, days) if days else (self._insert_all(text, told), {})
        self._comment(wanted)
        return result

    def _execute(self, statement: str, text: str) -> int:
        composed = sql.SQL(statement).format(relation=self._relation.identifier, query=query(text))
        return self._connection.execute(composed).rowcount

    def _check_columns(self, told: Mapping[str, str]) -> None:
        """Raises ModelError where the schema file describes other columns than the query tells."""
        described = {column.name: column.type for column in self._model.columns}
        wrong = [f"{name} is not described" for name in told if name not in described]
        wrong += [f"{name} is described, but not told" for name in described if name not in told]
        typed = {name: kind for name, kind in described.items() if kind and name in told}
        wrong += [f"{name} is {told[name]}, not {kind}" for name, kind in typed.items() if told[name] != kind]
        if wrong:
            raise ModelError(f"model {self._model.name} differs from its schema file: {'; '.join(wrong)}.")

    def _drop(self, kind: Kind) -> None:
        self._connection.execute(sql.SQL("drop {} {} cascade").format(sql.SQL(kind), self._relation.identifier))

    def _create(self, text: str) -> None:
        """An empty table with its indexes."""
        self._execute("create table {relation} as {query} with no data", text)
        for index in self._model.indexes:
            self._connection.execute(
                sql.SQL("create {} index on {} ({})").format(
                    sql.SQL("unique" if index.unique else ""),
                    self._relation.identifier,
                    sql.SQL(", ").join(map(sql.Identifier, index.columns)),
                )
            )

    def _insert_all(self, text: str, told: Mapping[str, str]) -> int:
        self._connection.execute(sql.SQL("delete from {}").format(self._relation.identifier))
        inserted = sql.SQL("insert into {} ({}) {}").format(self._relation.identifier, _names(told), query(text))
        rows = self._connection.execute(inserted).rowcount
        # What reads this table next is planned by its new size.
        self._connection.execute(sql.SQL("analyze {}").format(self._relation.identifier))
        return rows

    def _insert_days(self, text: str, told: Mapping[str, str], days: Days) -> tuple[int, Mapping[date, int]]:
        """Replace the rows of some days, also by none. Raises ModelError where the query tells rows of other days."""
        names = {
            "relation": self._relation.identifier,
            "day": sql.Identifier(self._model.day_column),
            "columns": _names(told),
            "query": query(text),
        }
        bounds = (days.first, days.last)
        self._connection.execute(
            sql.SQL("delete from {relation} where {day} between %b and %b").format(**names), bounds
        )
        counted = self._connection.execute(
            sql.SQL(
                "with built as (insert into {relation} ({columns}) {query} returning {day})"
                " select {day}, count(*) from built group by {day}"
            ).format(**names)
        ).fetchall()
        rows_of_day: dict[date, int] = dict(counted)
        others = [day for day in rows_of_day if day is None or not days.first <= day <= days.last]
        if others:
            raise ModelError(
                f"model {self._model.name} tells rows of {len(others)} other days when asked for {days}: restrict it"
                " where is_incremental()."
            )
        return sum(rows_of_day.values()), rows_of_day

    def _count(self) -> int:
        row = self._connection.execute(sql.SQL("select count(*) from {}").format(self._relation.identifier)).fetchone()
        return row[0] if row else 0

    def _comment(self, kind: Kind) -> None:
        comments = {"": self._model.comment} | {column.name: column.description for column in self._model.columns}
        comment_on(self._connection, self._relation, kind, comments)


def _names(columns: Mapping[str, str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))
