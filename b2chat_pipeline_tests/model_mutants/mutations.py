"""Mutants of a model's query: the same query with one thing changed in one place.

Here belongs all that knows sqlglot. Not here: whether anybody notices a mutant (`proofs.py`).
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from itertools import chain, pairwise

import sqlglot  # noqa: TID253 - nobody waits for this module
from sqlglot import exp  # noqa: TID253

from b2chat_pipeline.transform.models import Model
from b2chat_pipeline.transform.target import Days, Target

# Stands in the query of a model by day for the days to build; `of_days` puts these in.
_DAYS = Days(date(1970, 1, 1), date(1970, 1, 2))
_CHOSEN_DAYS = re.compile(r"[\w.]+ BETWEEN CAST\('1970-01-01' AS DATE\) AND CAST\('1970-01-02' AS DATE\)")
_LINE = re.compile(r"/\*@(\d+)\*/")
_DIALECT = "postgres"
# The types of the columns that a query tells.
Types = Callable[[str], Sequence[int]]
# What is changed, in which words, and what takes its place there.
_Change = tuple[exp.Expr, str, exp.Expr]

_BOUNDARIES: Mapping[type[exp.Expr], type[exp.Expr]] = {
    exp.LT: exp.LTE,
    exp.LTE: exp.LT,
    exp.GT: exp.GTE,
    exp.GTE: exp.GT,
}
_EXTREMES: Mapping[type[exp.Expr], type[exp.Expr]] = {
    exp.Min: exp.Max,
    exp.Max: exp.Min,
    exp.Least: exp.Greatest,
    exp.Greatest: exp.Least,
}


@dataclass(frozen=True)
class Mutant:
    """A query that is wrong in one place of a model's file."""

    model: str
    line: int
    change: str
    sql: str

    @property
    def key(self) -> str:
        """What tells it apart."""
        return f"{self.model}:{self.line}: {self.change}"


def of_days(sql: str, days: Days | None) -> str:
    """The query of a mutant or an unchanged model by day, for some days; without any, as a whole build asks it."""
    if days is None:
        return _CHOSEN_DAYS.sub("TRUE", sql)
    for placeholder, day in ((_DAYS.first, days.first), (_DAYS.last, days.last)):
        sql = sql.replace(f"'{placeholder.isoformat()}'", f"'{day.isoformat()}'")
    return sql


def unchanged(target: Target, model: Model) -> str:
    """The query as mutants are made of it."""
    return _parsed(target, model).sql(_DIALECT, comments=False)


def mutants(target: Target, model: Model, types: Types, never_null: Collection[str]) -> Iterator[Mutant]:
    """All mutants of a model; to count the columns that are never NULL is to count rows."""
    tree = _parsed(target, model)
    lines = _lines(_rendered(target, model))
    of_columns = _swapped_columns(tree, types)
    told = {_text(tree)}
    for node in list(tree.walk()):
        for place, change, other in [*_changes(node), *_counting(node, never_null), *of_columns.get(id(node), [])]:
            sql = _with(tree, node, other)
            if sql not in told:
                told.add(sql)
                yield Mutant(model.name, lines[_line(place) - 1], change, sql)


def _rendered(target: Target, model: Model) -> str:
    text, marked = model.text, []
    inside = 0
    for number, line in enumerate(text.split("\n"), start=1):
        inside += len(re.findall(r"\{[{%]", line)) - len(re.findall(r"[}%]\}", line))
        marked.append(line if inside else f"{line} /*@{number}*/")
    days = _DAYS if model.day_column else None
    return target.sql_of(replace(model, text="\n".join(marked)), days)


def _parsed(target: Target, model: Model) -> exp.Expr:
    return sqlglot.parse_one(_rendered(target, model), dialect=_DIALECT)


def _lines(sql: str) -> list[int]:
    """Of each line of a rendered query the line of the file."""
    lines, number = [], 1
    for line in sql.split("\n"):
        if found := _LINE.search(line):
            number = int(found[1])
        lines.append(number)
    return lines


def _line(place: exp.Expr) -> int:
    """The line where it begins, or where what it is part of does."""
    found = [it.meta["line"] for it in place.walk() if "line" in it.meta]
    return min(found) if found else _line(place.parent) if place.parent else 1


def _with(tree: exp.Expr, node: exp.Expr, other: exp.Expr) -> str:
    if node is tree:
        return other.sql(_DIALECT, comments=False)
    node.replace(other)
    sql = tree.sql(_DIALECT, comments=False)
    other.replace(node)
    return sql


def _changes(node: exp.Expr) -> Iterator[_Change]:
    for change in (
        *(_boundary, _extreme, _number, _interval, _dropped, _dropped_clause, _order),
        *(_join, _duplicates, _operands, _values),
    ):
        yield from change(node)


def _told(node: exp.Expr, other: exp.Expr) -> _Change:
    return node, f"{_text(node)} -> {_text(other)}", other


def _text(node: exp.Expr) -> str:
    return node.sql(_DIALECT, comments=False)


def _boundary(node: exp.Expr) -> Iterator[_Change]:
    if other := _BOUNDARIES.get(type(node)):
        yield _told(node, other(this=node.this.copy(), expression=node.expression.copy()))


def _extreme(node: exp.Expr) -> Iterator[_Change]:
    if other := _EXTREMES.get(type(node)):
        yield _told(node, other(**{name: _copied(value) for name, value in node.args.items()}))


def _copied(value: object) -> object:
    if isinstance(value, list):
        return [_copied(it) for it in value]
    return value.copy() if isinstance(value, exp.Expr) else value


def _number(node: exp.Expr) -> Iterator[_Change]:
    """One more, one less: of a fraction, in its last digit."""
    if (
        isinstance(node, exp.Literal)
        and not node.is_string
        and node.parent
        and not isinstance(node.parent, exp.Interval)
    ):
        number = Decimal(node.this).normalize()
        unit = Decimal(1).scaleb(min(0, int(number.as_tuple().exponent)))
        for value in (Decimal(node.this) + unit, Decimal(node.this) - unit):
            if value >= 0:
                yield node.parent, f"{node.this} -> {value} in {_text(node.parent)}", exp.Literal.number(str(value))


def _interval(node: exp.Expr) -> Iterator[_Change]:
    """One unit more, one less."""
    if isinstance(node, exp.Interval) and isinstance(node.this, exp.Literal):
        for other in (int(node.this.this) + 1, int(node.this.this) - 1):
            changed = node.copy()
            changed.set("this", exp.Literal.string(str(other)))
            yield _told(node, changed)


def _counting(node: exp.Expr, never_null: Collection[str]) -> Iterator[_Change]:
    """Rows for values, values for rows, values for distinct ones."""
    if not isinstance(node, exp.Count):
        return
    if not isinstance(node.this, exp.Star):
        yield _told(node, exp.Count(this=exp.Star()))
        if not isinstance(node.this, exp.Distinct):
            yield _told(node, exp.Count(this=exp.Distinct(expressions=[node.this.copy()])))
    elif column := _countable(node, never_null):
        yield _told(node, exp.Count(this=column.copy()))


def _countable(node: exp.Count, never_null: Collection[str]) -> exp.Expr | None:
    """A column that the same list tells something of; where there is none, the last one grouped by."""
    select = node.parent_select
    if not isinstance(select, exp.Select):
        return None
    group = select.args.get("group")
    keys = group.expressions if group else []
    told = (column for it in select.expressions for column in it.find_all(exp.Column))
    last = (it for it in reversed(keys) if isinstance(it, exp.Column))
    candidates = chain((it for it in told if it not in keys), last)
    # What rows are chosen by says nothing new of them.
    chosen_by = node.parent.expression.find_all(exp.Column) if isinstance(node.parent, exp.Filter) else ()
    senseless = {*never_null, *(it.name for it in chosen_by), *_told_by_choice(select)}
    return next((it for it in candidates if it.name not in senseless and not it.is_star), None)


def _told_by_choice(select: exp.Select) -> Iterator[str]:
    """The columns that are not NULL in the rows that a query chooses."""
    clause = select.args.get("where")
    if clause is None:
        return
    for condition in clause.this.flatten() if isinstance(clause.this, exp.And) else (clause.this,):
        if isinstance(condition, exp.Is) and condition.args.get("negate"):
            yield condition.this.name
        elif isinstance(condition, exp.EQ | exp.LT | exp.LTE | exp.GT | exp.GTE):
            yield from (it.name for it in condition.find_all(exp.Column))


def _dropped(node: exp.Expr) -> Iterator[_Change]:
    """One side of a condition."""
    if isinstance(node, exp.And | exp.Or):
        for gone, left in ((node.expression, node.this), (node.this, node.expression)):
            if not isinstance(gone, type(node) | exp.Boolean):
                yield gone, f"without {_text(gone)}", left.copy()


def _dropped_clause(node: exp.Expr) -> Iterator[_Change]:
    """A whole filter."""
    if isinstance(node, exp.Filter):
        yield node.expression, f"without {_text(node.expression)} in {_text(node)}", node.this.copy()
    if isinstance(node, exp.Select):
        for name in ("where", "having", "limit"):
            if (clause := node.args.get(name)) is not None:
                changed = node.copy()
                changed.set(name, None)
                yield clause, f"without {_text(clause)}", changed
    if isinstance(node, exp.Distinct) and isinstance(node.parent, exp.Count):
        yield _told(node, node.expressions[0].copy())
    if isinstance(node, exp.Select) and node.args.get("distinct"):
        changed = node.copy()
        changed.set("distinct", None)
        yield node, f"without distinct in {_text(node)}", changed


def _order(node: exp.Expr) -> Iterator[_Change]:
    if isinstance(node, exp.Ordered):
        changed = node.copy()
        changed.set("desc", not node.args.get("desc"))
        changed.set("nulls_first", bool(changed.args["desc"]))
        yield _told(node, changed)


def _join(node: exp.Expr) -> Iterator[_Change]:
    """A left join for an inner one, and the other way round."""
    if isinstance(node, exp.Join) and node.args.get("on") is not None:
        changed = node.copy()
        changed.set("side", None if node.side else "LEFT")
        changed.set("kind", None)
        words = ("left", "inner") if node.side else ("inner", "left")
        yield node, f"{words[0]} -> {words[1]} join of {node.alias_or_name}", changed


def _duplicates(node: exp.Expr) -> Iterator[_Change]:
    if isinstance(node, exp.Union):
        changed = node.copy()
        is_distinct = bool(node.args.get("distinct"))
        changed.set("distinct", not is_distinct)
        yield node, "union -> union all" if is_distinct else "union all -> union", changed


def _operands(node: exp.Expr) -> Iterator[_Change]:
    if isinstance(node, exp.Sub | exp.Div) and node.this != node.expression:
        changed = node.copy()
        changed.set("this", _bracketed(node.expression))
        changed.set("expression", _bracketed(node.this))
        yield _told(node, changed)
    if isinstance(node, exp.Coalesce) and len(node.expressions) == 1:
        yield _told(node, exp.Coalesce(this=node.expressions[0].copy(), expressions=[node.this.copy()]))
    if isinstance(node, exp.Anonymous) and len(node.expressions) > 1:
        call = node.copy()
        *first, one, other = call.expressions
        call.set("expressions", [*first, other, one])
        yield _told(node, call)


def _bracketed(node: exp.Expr) -> exp.Expr:
    return exp.Paren(this=node.copy()) if isinstance(node, exp.Binary) else node.copy()


def _values(node: exp.Expr) -> Iterator[_Change]:
    """What two neighbouring rows say in one column, exchanged."""
    if not isinstance(node, exp.Values):
        return
    for row, (one, other) in enumerate(pairwise(node.expressions)):
        for column, (first, second) in enumerate(zip(one.expressions, other.expressions, strict=True)):
            if column and first != second:
                changed = node.copy()
                changed.expressions[row].expressions[column].replace(second.copy())
                changed.expressions[row + 1].expressions[column].replace(first.copy())
                yield first, f"{_text(first)} <-> {_text(second)}", changed


def _swapped_columns(tree: exp.Expr, types: Types) -> dict[int, list[_Change]]:
    """Of each list of columns the changes that exchange one with the next of its type."""
    changes: dict[int, list[_Change]] = {}
    of_tree = tree.args.get("with_")
    parts = {cte.alias: cte.this for cte in of_tree.expressions} if of_tree else {}
    for name, query in (*parts.items(), (None, tree)):
        codes = types(f"{_text(of_tree)} select * from {name}" if of_tree and name else _text(tree))  # noqa: S608
        for select in _arms(query):
            if len(select.expressions) == len(codes) and not any(it.is_star for it in select.expressions):
                changes[id(select)] = list(_exchanges(select, codes))
    return changes


def _arms(query: exp.Expr) -> Iterator[exp.Select]:
    if isinstance(query, exp.Select):
        yield query
    elif isinstance(query, exp.Union):
        yield from _arms(query.this)
        yield from _arms(query.expression)


def _exchanges(select: exp.Select, codes: Sequence[int]) -> Iterator[_Change]:
    columns = select.expressions
    for place, one in enumerate(columns):
        following = (it for it in range(place + 1, len(columns)) if codes[it] == codes[place])
        nearest = next(following, None)
        if nearest is None or one.unalias() == columns[nearest].unalias():
            continue
        changed, other = select.copy(), columns[nearest]
        changed.expressions[place].replace(exp.alias_(other.unalias().copy(), one.alias_or_name, quoted=True))
        changed.expressions[nearest].replace(exp.alias_(one.unalias().copy(), other.alias_or_name, quoted=True))
        yield one, f"{_text(one)} <-> {_text(other)}", changed
