"""What stands behind one row of a model: the chats, where each is stored, and the row as these chats alone make it.

The row is worked out anew by the models' own SQL, from the core tables on, restricted to these chats: a difference
means that chats are missing from the list, or that the tables have changed since the model was built. Not here: which
chats those are (each model's schema file says it, `cells.py`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from psycopg import Connection, errors, sql
from psycopg.rows import class_row, dict_row

from b2chat_pipeline.transform.cells import DAY, NAMED, compared
from b2chat_pipeline.transform.models import Cells, Model, ModelError
from b2chat_pipeline.transform.relations import Relation, columns_of, query
from b2chat_pipeline.transform.target import Target

# All that is told of chats passes through this model.
_FOUNDATION = "counted_chats"
_ROW = "select * from {relation} told where {condition}"
_SELECTED = "select distinct chat_id from {relation} told where {condition}"
_ANEW = "with {tables}\n{row}"
_RESTRICTED = "select * from (\n{query}\n) every_chat where chat_id = any(%(chats)s)"
_CHATS = """
    select chat.chat_id, chat.b2chat_id, chat.created_at, chat.opened_at, chat.picked_up_at, chat.response_at,
           chat.closed_at, chat.raw_status, chat.direction, chat.has_messages, chat.clock_anomalies,
           array_remove(array[
               'pickup: ' || chat.sla_pickup_policy || ' ' || chat.sla_pickup_version,
               'first response: ' || chat.sla_first_response_policy || ' ' || chat.sla_first_response_version,
               'resolution: ' || chat.sla_resolution_policy || ' ' || chat.sla_resolution_version
           ], null) as policies,
           stored.read_at, page.id as page_id, page.sync_id
      from {metrics} as chat
      join public.chats as stored on stored.id = chat.chat_id
      left join lateral (
        select log.id, log.sync_id
          from public.api_response_logs as log
         where log.endpoint = '/chats/export'
           and log.api_timestamp = stored.read_at
           -- Which weekly partitions to look into.
           and log.created_at >= stored.read_at and log.created_at < stored.read_at + interval '1 day'
           and strpos(log.raw_response::text, chat.b2chat_id) > 0
         order by log.id
         limit 1
      ) as page on true
     where chat.chat_id = any(%s)
     order by chat.created_at, chat.chat_id
"""


@dataclass(frozen=True)
class ChatBehind:
    """One chat: its clocks, the targets it was judged by with their version, and the page it was last told in."""

    chat_id: str
    b2chat_id: str
    created_at: datetime
    opened_at: datetime | None
    picked_up_at: datetime | None
    response_at: datetime | None
    closed_at: datetime | None
    raw_status: str | None
    direction: str
    has_messages: bool
    clock_anomalies: Sequence[str]
    policies: Sequence[str]
    # When the page was asked for.
    read_at: datetime
    # The row of api_response_logs and its sync; None where the page is not kept any more.
    page_id: str | None
    sync_id: str | None


@dataclass(frozen=True)
class Explanation:
    """A row of a model, the chats behind it, and the same row made of them alone; None where they make none."""

    model: Model
    row: Mapping[str, object]
    chats: Sequence[ChatBehind]
    recomputed: Mapping[str, object] | None

    @property
    def differing(self) -> list[str]:
        """The columns in which the row is not what the chats make of it."""
        if self.recomputed is None and self.chats:
            return list(self.row)
        if self.recomputed is None:
            # An hour in which nobody wrote may be a row, but one without a figure.
            key = self.model.cells.key if self.model.cells else ()
            return [name for name, value in self.row.items() if name not in key and _is_figure(value)]
        return [name for name, value in self.row.items() if not _same(value, self.recomputed[name])]


def explain(connection: Connection, target: Target, name: str, key: Mapping[str, str | None], day: date) -> Explanation:
    """What stands behind the row of a model with this key and day. The connection is in autocommit mode.

    Raises ModelError where the model tells no chats, the key is not its key, or there is no such row.
    """
    model = target.project.models.get(name)
    if model is None or model.cells is None:
        told = ", ".join(sorted(it.name for it in target.project.models.values() if it.cells))
        what = "there is no such model" if model is None else "its schema file does not say which chats make a row"
        raise ModelError(f"{name} cannot be explained, since {what}: take one of {told}.")
    if key.keys() != set(model.cells.key):
        raise ModelError(
            f"{_given(key)} is no key of {name}: write {_given(dict.fromkeys(model.cells.key, '…'))}"
            " (nothing after = where the column is NULL)."
        )
    with connection.transaction():
        # One snapshot and one now() for the row and for what is worked out anew.
        connection.execute("set transaction isolation level repeatable read, read only")
        return _Cell(connection, target, model, model.cells, key, day).explanation()


def _given(key: Mapping[str, str | None]) -> str:
    return ",".join(f"{name}={value or ''}" for name, value in key.items())


class _Cell:
    """One row of a model in one transaction."""

    def __init__(
        self,
        connection: Connection,
        target: Target,
        model: Model,
        cells: Cells,
        key: Mapping[str, str | None],
        day: date,
    ) -> None:
        self._connection = connection
        self._target = target
        self._model = model
        self._cells = cells
        self._key = key
        self._day = day
        self._values = {**target.variables, **key, DAY: day}
        self._types = columns_of(connection, Relation(target.schema, model.name))

    def explanation(self) -> Explanation:
        if not self._types:
            raise ModelError(f"{self._model.name} is not built yet: run `b2chat build` first.")
        # `day` and `where` name relations without their schema, and a key its times as the account does.
        settings = (f'"{self._target.schema}", public, ops', self._target.variables["time_zone"])
        self._connection.execute(
            "select set_config('search_path', %s, true), set_config('timezone', %s, true)", settings
        )
        row = self._row(_ROW.format(relation=self._target.relation(self._model.name), condition=self._condition()))
        if row is None:
            raise ModelError(
                f"{self._model.name} has no row with {_given(self._key)} on {self._day}: look it up in the model first."
            )
        chats = self._chats()
        return Explanation(self._model, row, self._behind(chats), self._recomputed(chats))

    def _condition(self) -> str:
        """What holds of the row and of no other."""
        told = [f"{self._named(self._cells.day)} = {self._value(DAY)}"]
        told += [f'"{column}" is not distinct from {self._value(column)}' for column in self._cells.key]
        return " and ".join(told)

    def _chats(self) -> list[str]:
        of = self._target.project.models[self._cells.of]
        conditions = [
            f'"{column}" is not distinct from {self._value(DAY if column == self._cells.day else column)}'
            for column in compared(self._cells, of)
        ]
        if self._cells.where:
            conditions.append(f"({self._named(self._cells.where)})")
        told = _SELECTED.format(relation=self._target.relation(of.name), condition=" and ".join(conditions))
        return [row[0] for row in self._connection.execute(query(told), self._values)]

    def _behind(self, chats: Sequence[str]) -> list[ChatBehind]:
        metrics = sql.Identifier(self._target.schema, "chat_metrics")
        with self._connection.cursor(row_factory=class_row(ChatBehind)) as cursor:
            return cursor.execute(sql.SQL(_CHATS).format(metrics=metrics), (chats,)).fetchall()

    def _recomputed(self, chats: Sequence[str]) -> Mapping[str, object] | None:
        """The row by the SQL of the model and of those it is built from, over some chats only."""
        project, name = self._target.project, self._model.name
        anew = [it for it in project.models if it == name or it in project.ancestors(name)]
        anew = [it for it in anew if it == _FOUNDATION or _FOUNDATION in project.ancestors(it)]

        def ref(read: str) -> str:
            return f'"anew {read}"' if read in anew else self._target.relation(read)

        told = {it: self._target.sql_over(project.models[it], ref).replace("%", "%%") for it in anew}
        told[_FOUNDATION] = _RESTRICTED.format(query=told[_FOUNDATION])
        tables = ",\n".join(f"{ref(it)} as (\n{text}\n)" for it, text in told.items())
        row = _ROW.format(relation=ref(name), condition=self._condition())
        return self._row(_ANEW.format(tables=tables, row=row), chats)

    def _row(self, text: str, chats: Sequence[str] = ()) -> Mapping[str, object] | None:
        """The only row of a query, if it has one."""
        try:
            with self._connection.cursor(row_factory=dict_row) as cursor:
                rows = cursor.execute(query(text), {**self._values, "chats": list(chats)}).fetchmany(2)
        except errors.DataError:
            raise ModelError(
                f"{_given(self._key)} is no key of {self._model.name}: a value is of another type than its column."
            ) from None
        if len(rows) > 1:
            raise ModelError(f"{self._cells.place}: the key of explain does not tell all rows of a day apart.")
        return rows[0] if rows else None

    def _named(self, text: str) -> str:
        """SQL of a schema file with values for its names."""
        return NAMED.sub(lambda found: self._value(found[1]), text.replace("%", "%%"))

    def _value(self, name: str) -> str:
        kind = "date" if name == DAY else self._types[name] if name in self._cells.key else "text"
        return f"cast(%({name})s as {kind})"


def _is_figure(value: object) -> bool:
    """A number that is not 0; neither a day nor a yes."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool) and value != 0


def _same(one: object, other: object) -> bool:
    """Equal; of fractions, up to the order in which they were added."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return one == other
