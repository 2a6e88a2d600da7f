"""What a built model shows of itself beside its rows: numbers, heat maps, its first rows.

Not here: what that is (each model's schema file says it, `shows.py`), and how any of it is drawn (`assets/`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, LiteralString

from psycopg import Connection, sql
from psycopg.rows import dict_row

from b2chat_pipeline.transform.models import Model, Shows
from b2chat_pipeline.transform.relations import Relation, explained, query
from b2chat_pipeline.transform.target import Days, Target

MOST_ROWS = 20
_OF_ALL = "select {numbers} from {relation}"
# An aggregate without GROUP BY tells one row also of no rows: a day without any has its zeros.
_OF_DAYS = """
    select calendar.day::date as day_shown, told.*
      from generate_series({first}::date, {last}::date, interval '1 day') as calendar (day)
     cross join lateral (select {numbers} from {relation} where {day_column} = calendar.day::date) as told
"""
_HEAT_MAPS = "select weekday, hour, {numbers} from {relation} group by weekday, hour"
_ROWS = "select {columns} from {relation} order by {order} limit {most}"

Numbers = Mapping[str, int | float]
# By weekday and hour; None is not known.
HeatMap = Mapping[tuple[int, int], float | None]


@dataclass(frozen=True)
class Shown:
    """What a model shows. A number that is not known is left out."""

    numbers: Numbers = field(default_factory=dict)
    numbers_of_day: Mapping[date, Numbers] = field(default_factory=dict)
    heat_maps: Mapping[str, HeatMap] = field(default_factory=dict)
    rows: Sequence[Mapping[str, object]] = ()


def look(connection: Connection, target: Target, model: Model, days: Days | None) -> Shown:
    """What a built model shows, of some days where it is built by day. The connection is in autocommit mode.

    Raises ModelError where the SQL of its schema file fails, and psycopg.OperationalError where the database goes away.
    """
    if model.shows is None:
        return Shown()
    with explained(connection, model.shows.place):
        return _Looking(connection, Relation(target.schema, model.name), model.shows).look(model.day_column, days)


class _Looking:
    """One model and what is to be shown of it."""

    def __init__(self, connection: Connection, relation: Relation, shows: Shows) -> None:
        self._connection = connection
        self._relation = relation
        self._shows = shows

    def look(self, day_column: str, days: Days | None) -> Shown:
        if day_column and days:
            return Shown(numbers_of_day=self._numbers_of_day(day_column, days))
        return Shown(numbers=self._numbers(), heat_maps=self._heat_maps(), rows=self._rows())

    def _numbers(self) -> Numbers:
        if not self._shows.numbers:
            return {}
        (row,) = self._told(_OF_ALL, numbers=_named(self._shows.numbers))
        return _known(row)

    def _numbers_of_day(self, day_column: str, days: Days) -> Mapping[date, Numbers]:
        if not self._shows.numbers:
            return {}
        rows = self._told(
            _OF_DAYS,
            numbers=_named(self._shows.numbers),
            day_column=sql.Identifier(day_column),
            first=sql.Literal(days.first),
            last=sql.Literal(days.last),
        )
        return {row.pop("day_shown"): _known(row) for row in rows}

    def _heat_maps(self) -> Mapping[str, HeatMap]:
        if not self._shows.heat_maps:
            return {}
        rows = self._told(_HEAT_MAPS, numbers=_named(self._shows.heat_maps))
        return {
            name: {(row["weekday"], row["hour"]): _number(row[name]) for row in rows} for name in self._shows.heat_maps
        }

    def _rows(self) -> Sequence[Mapping[str, object]]:
        if not self._shows.columns:
            return ()
        columns = sql.SQL(", ").join(map(sql.Identifier, self._shows.columns))
        return self._told(_ROWS, columns=columns, order=query(self._shows.order), most=sql.Literal(MOST_ROWS))

    def _told(self, text: LiteralString, **parts: sql.Composable) -> list[dict[str, Any]]:
        statement = sql.SQL(text).format(relation=self._relation.identifier, **parts)
        with self._connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statement).fetchall()


def _named(expressions: Mapping[str, str]) -> sql.Composed:
    named = (sql.SQL("{} as {}").format(query(text), sql.Identifier(name)) for name, text in expressions.items())
    return sql.SQL(", ").join(named)


def _known(row: Mapping[str, int | float | Decimal | None]) -> Numbers:
    numbers = {name: _number(value) for name, value in row.items()}
    return {name: number for name, number in numbers.items() if number is not None}


def _number(value: float | Decimal | None) -> int | float | None:
    """A number as Dagster takes it, which has no decimals of any length."""
    return float(value) if isinstance(value, Decimal) else value
