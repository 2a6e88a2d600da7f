"""Builds one model: a view, a table, or some days of a table, each in one transaction.

Readers see the rows before or the rows after, never fewer. Rows are replaced by DELETE and INSERT: TRUNCATE and a swap
of names would wait for every running query, hold up those that come after, and show an empty table to whoever looks
with an older snapshot; and a view would go on reading the table that was swapped away. Not here: the order of models
(`run.py`), what stands upon a relation whose columns change (`dependents.py`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
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
    comments_of,
    explained,
    indexes_of,
    kind_of,
    query,
    view_tells,
)
from b2chat_pipeline.transform.target import Days, Target

# Seconds that a change of columns waits for those who are reading.
_PATIENCE = 60
# Builds of one model take turns; those of different days only with one that makes the relation itself, or that builds
# more days than these: each day held takes a place in the server's table of locks, which has some thousands for
# everybody. Readers are not concerned.
_MOST_DAYS_HELD = 1_000
_HOLD = "select pg_advisory_xact_lock(hashtextextended('b2chat model ' || %s, 0))"
_HOLD_DAYS = """
    select pg_advisory_xact_lock_shared(hashtextextended('b2chat model ' || %(name)s, 0)),
           (select count(pg_advisory_xact_lock(hashtextextended('b2chat day of ' || %(name)s || day::date, 0)))
              from generate_series(%(first)s::date, %(last)s::date, interval '1 day') day)
"""


@dataclass(frozen=True)
class Built:
    """What building a model brought. Where days were asked for, the rows are theirs, as far as rows have a day; by day
    they are told of a model that is built by day.
    """

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
        rows, rows_of_day = _Building(connection, target, model).build(days if model.row_day else None)
    return Built(rows, perf_counter() - started, rows_of_day)


class _Building:
    """One model in one transaction."""

    def __init__(self, connection: Connection, target: Target, model: Model) -> None:
        self._connection = connection
        self._target = target
        self._model = model
        self._relation = Relation(target.schema, model.name)
        self._kind: Kind = "view" if model.materialized == "view" else "table"
        self._comments = {"": model.comment} | {column.name: column.description for column in model.columns}

    def build(self, days: Days | None) -> tuple[int, Mapping[date, int]]:
        told = columns_told_by(self._connection, self._target.sql_of(self._model))
        self._check_columns(told)
        if self._kind == "view":
            self._make(told, None)
            return self._count(days), {}
        if days is None or not self._stands(told):
            days = self._make(told, days)
        else:
            self._hold(days)
            if not self._stands(told):
                raise ModelError(f"model {self._model.name} was changed by another build just now: build it again.")
        return self._insert(self._target.sql_of(self._model, days), told, days)

    def _hold(self, days: Days) -> None:
        """Wait for other builds of these days, and keep them waiting until the transaction ends."""
        if (days.last - days.first).days >= _MOST_DAYS_HELD:
            self._connection.execute(_HOLD, (str(self._relation),))
        else:
            self._connection.execute(_HOLD_DAYS, {"name": str(self._relation), "first": days.first, "last": days.last})

    def _stands(self, told: Mapping[str, str]) -> bool:
        """Whether the relation is there as the files say, so that only its rows are to be replaced."""
        indexes = {(index.columns, index.unique) for index in self._model.indexes}
        return (
            self._fits(told)
            and indexes <= indexes_of(self._connection, self._relation)
            and self._comments.items() <= comments_of(self._connection, self._relation).items()
        )

    def _fits(self, told: Mapping[str, str]) -> bool:
        """Whether the relation is of the kind wanted and has the columns told; of a view also in their order."""
        if kind_of(self._connection, self._relation) != self._kind:
            return False
        present = columns_of(self._connection, self._relation)
        return present == told and (self._kind == "table" or list(present) == list(told))

    def _make(self, told: Mapping[str, str], days: Days | None) -> Days | None:
        """Make the relation as the files say, alone with it; returns the days to build: all where its rows are lost."""
        self._connection.execute(_HOLD, (str(self._relation),))
        present = kind_of(self._connection, self._relation)
        fits = present is None or self._fits(told)
        with nullcontext() if fits or present is None else self._replaced(present):
            if self._kind == "view":
                self._make_view(self._target.sql_of(self._model))
            else:
                self._make_table(self._target.sql_of(self._model))
        comment_on(self._connection, self._relation, self._kind, self._comments)
        return days if fits else None

    @contextmanager
    def _replaced(self, present: Kind) -> Iterator[None]:
        """Within, nothing of that name is in the way; afterwards all that stood upon it does so again."""
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

    def _insert(self, text: str, told: Mapping[str, str], days: Days | None) -> tuple[int, Mapping[date, int]]:
        """Replace all rows, or those of some days, also by none; returns their number, and by day where there are days.

        Raises ModelError where the query tells rows of other days.
        """
        self._delete(days)
        statement = sql.SQL("insert into {} ({}) {}").format(self._relation.identifier, _names(told), query(text))
        if not self._model.day_column:
            rows = self._connection.execute(statement).rowcount
            self._analyze()
            return rows, {}
        counted = sql.SQL("with built as ({} returning {day}) select {day}, count(*) from built group by {day}")
        day = sql.Identifier(self._model.day_column)
        rows_of_day: dict[date, int] = dict(self._connection.execute(counted.format(statement, day=day)).fetchall())
        if days is None:
            self._analyze()
        else:
            self._check_days(rows_of_day, days)
        return sum(rows_of_day.values()), rows_of_day

    def _delete(self, days: Days | None) -> None:
        statement = sql.SQL("delete from {}").format(self._relation.identifier)
        self._connection.execute(*self._of_days(statement, days))

    def _analyze(self) -> None:
        """What reads a table next is planned by its new size."""
        self._connection.execute(sql.SQL("analyze {}").format(self._relation.identifier))

    def _check_days(self, found: Iterable[date | None], days: Days) -> None:
        others = [day for day in found if day is None or not days.first <= day <= days.last]
        if others:
            raise ModelError(
                f"model {self._model.name} tells rows of {len(others)} other days when asked for {days}: restrict it"
                " where is_incremental()."
            )

    def _count(self, days: Days | None) -> int:
        statement = sql.SQL("select count(*) from {}").format(self._relation.identifier)
        row = self._connection.execute(*self._of_days(statement, days)).fetchone()
        return row[0] if row else 0

    def _of_days(self, statement: sql.Composed, days: Days | None) -> tuple[sql.Composed, tuple[date, ...]]:
        """A statement over all rows of the model or those of some days, with its values."""
        if days is None:
            return statement, ()
        narrowed = sql.SQL("{} where {} between %b and %b").format(statement, sql.Identifier(self._model.row_day))
        return narrowed, (days.first, days.last)


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
