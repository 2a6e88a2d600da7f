"""Builds one model: a view, a table, or some days of a table, each in one transaction.

Readers see the rows before or the rows after, never fewer. Rows are replaced by DELETE and INSERT: TRUNCATE and a swap
of names would wait for every running query, hold up those that come after, and show an empty table to whoever looks
with an older snapshot; and a view would go on reading the table that was swapped away. Not here: the order of models
(`run.py`), what stands upon a relation whose columns change (`dependents.py`).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from time import perf_counter

import tenacity
from psycopg import Connection, errors, sql

from b2chat_pipeline.transform.dependents import drop, grant, grants_on, make_again, views_upon
from b2chat_pipeline.transform.models import Model, ModelError
from b2chat_pipeline.transform.relations import (
    Kind,
    Relation,
    columns_of,
    columns_told_by,
    comment_on,
    explained,
    indexes_of,
    kind_of,
    query,
    view_tells,
)
from b2chat_pipeline.transform.target import Days, Target

# Seconds that a change of columns waits for those who are reading.
_PATIENCE = 60
_HOLD = "select pg_advisory_xact_lock(hashtextextended('b2chat model ' || %s, 0))"


@dataclass(frozen=True)
class Built:
    """What building a model brought. Rows by day only where days were built."""

    rows: int
    seconds: float
    rows_of_day: Mapping[date, int] = field(default_factory=dict)


def build(connection: Connection, target: Target, model: Model, days: Days | None) -> Built:
    """Build a model: the days of an incremental one, or all of it. The connection is in autocommit mode.

    Raises ModelError where its SQL fails, or does not keep what its schema file promises, and
    psycopg.OperationalError where the database goes away.
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
        kind: Kind = "view" if self._model.materialized == "view" else "table"
        with self._in_place(kind, told):
            if kind == "view":
                self._make_view(text)
            else:
                self._make_table(text)
        self._comment(kind)
        if kind == "view":
            return self._count(), {}
        return self._insert_days(text, told, days) if days else (self._insert_all(text, told), {})

    @contextmanager
    def _in_place(self, kind: Kind, told: Mapping[str, str]) -> Iterator[None]:
        """Within, nothing of that name is in the way; what stood upon it and who might read it is the same again."""
        present = kind_of(self._connection, self._relation)
        if present is None or (present == kind and columns_of(self._connection, self._relation) == told):
            yield
            return
        views = views_upon(self._connection, self._relation)
        grants = grants_on(self._connection, self._relation)
        _patiently(self._connection, lambda: drop(self._connection, self._relation, present, views))
        yield
        grant(self._connection, self._relation, grants)
        models = {Relation(self._target.schema, name) for name in self._target.project.models}
        make_again(self._connection, views, models=models)

    def _make_view(self, text: str) -> None:
        """Make the view, or another one of it, for which its readers have to be waited for."""
        if not view_tells(self._connection, self._relation, text):
            statement = sql.SQL("create or replace view {} as {}").format(self._relation.identifier, query(text))
            _patiently(self._connection, lambda: self._connection.execute(statement))

    def _make_table(self, text: str) -> None:
        """Make the table without rows, and its indexes, as far as they are missing."""
        if kind_of(self._connection, self._relation) is None:
            statement = sql.SQL("create table {} as {} with no data")
            self._connection.execute(statement.format(self._relation.identifier, query(text)))
        present = indexes_of(self._connection, self._relation)
        for index in self._model.indexes:
            if (index.columns, index.unique) not in present:
                unique = sql.SQL("unique" if index.unique else "")
                columns = sql.SQL(", ").join(map(sql.Identifier, index.columns))
                statement = sql.SQL("create {} index on {} ({})")
                self._connection.execute(statement.format(unique, self._relation.identifier, columns))

    def _check_columns(self, told: Mapping[str, str]) -> None:
        """Raises ModelError where the schema file describes other columns than the query tells."""
        described = {column.name: column.type for column in self._model.columns}
        wrong = [f"{name} is not described" for name in told if name not in described]
        wrong += [f"{name} is described, but not told" for name in described if name not in told]
        typed = {name: kind for name, kind in described.items() if kind and name in told}
        wrong += [f"{name} is {told[name]}, not {kind}" for name, kind in typed.items() if told[name] != kind]
        if wrong:
            raise ModelError(f"model {self._model.name} differs from its schema file: {'; '.join(wrong)}.")

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


def _patiently(connection: Connection, change: Callable[[], object]) -> None:
    """Make a change that nobody may read meanwhile: whoever wants to read waits behind it, so it asks again and again
    for a moment instead of waiting for one long query with all others behind.
    """
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(errors.LockNotAvailable),
        stop=tenacity.stop_after_delay(_PATIENCE),
        wait=tenacity.wait_fixed(1),
        reraise=True,
    )
    for attempt in retrying:
        with attempt, connection.transaction():
            connection.execute("set local lock_timeout = '1s'")
            change()


def _names(columns: Mapping[str, str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))
