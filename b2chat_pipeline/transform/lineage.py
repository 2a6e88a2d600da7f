"""Which column of a model comes from which columns of what it reads.

Here belongs all that knows sqlglot, which takes seconds over all models: what it finds is kept in a file
(`assets/lineage.py`). Where a column cannot be followed, only the model's tables are known, and the lineage says so.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from b2chat_pipeline.transform.models import Model, Project
from b2chat_pipeline.transform.target import SCHEMA, Target

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.lineage import Node
    from sqlglot.schema import MappingSchema

_DIALECT = "postgres"
# Names of tables with the types of their columns, by schema.
Tables = Mapping[str, Mapping[str, Mapping[str, str]]]


@dataclass(frozen=True)
class Lineage:
    """The columns (`schema.table.column`) each column is made of, in order; and the columns that cannot be followed.

    A column that is made of none, such as a count of rows, has an empty list.
    """

    columns: Mapping[str, list[str]]
    unresolved: list[str]


def lineage_of_models(project: Project, tables: Tables) -> dict[str, Lineage]:
    """The lineage of every model; `tables` are those that are not built here."""
    from sqlglot.schema import MappingSchema

    # The values of variables name no column; any will do.
    target = Target(project, {name: "x" for name, value in project.variables.items() if value is None})
    built = {model.name: {it.name: it.type or "text" for it in model.columns} for model in project.models.values()}
    schema = MappingSchema({**tables, SCHEMA: built}, dialect=_DIALECT)
    return {model.name: _lineage(target, model, schema) for model in project.models.values()}


def _lineage(target: Target, model: Model, schema: "MappingSchema") -> Lineage:
    from sqlglot.errors import SqlglotError
    from sqlglot.lineage import lineage
    from sqlglot.optimizer.scope import build_scope

    names = [column.name for column in model.columns]
    try:
        query = _qualified(target.sql_of(model), schema)
        options = {"dialect": _DIALECT, "scope": build_scope(query), "trim_selects": False, "copy": False}
        roots: Mapping[str, Node] = lineage(None, query, schema, **options)
    except SqlglotError:
        return Lineage({}, names)
    followed = {name: root for name, root in roots.items() if all(map(_is_followed, root.walk()))}
    columns = {name: sorted(set(_origins(root.walk()))) for name, root in followed.items()}
    return Lineage(columns, [name for name in names if name not in columns])


def _qualified(text: str, schema: "MappingSchema") -> "exp.Expr":
    from sqlglot import exp, parse_one
    from sqlglot.optimizer.qualify import qualify

    query = parse_one(text, dialect=_DIALECT)
    for alias in query.find_all(exp.TableAlias):
        # The alias of a function names its column too: `from unnest(spans) as span`.
        if not alias.columns and _is_function(alias.parent):
            alias.set("columns", [exp.to_identifier(alias.name)])
    return qualify(query, dialect=_DIALECT, schema=schema, validate_qualify_columns=False, identify=False)


def _is_function(relation: Any) -> bool:  # noqa: ANN401 - sqlglot types its nodes loosely
    from sqlglot import exp

    return isinstance(relation, exp.Unnest) or isinstance(relation.this, exp.Func | exp.Unnest)


def _is_followed(node: "Node") -> bool:
    """Whether a node is a column of a table, is made of others, or of none.

    sqlglot puts a placeholder where a subquery reads a column of the query around it by way of a function.
    """
    from sqlglot import exp

    if node.downstream or _is_of_a_table(node):
        return True
    return not isinstance(node.expression, exp.Placeholder) and not node.expression.find(exp.Column)


def _is_of_a_table(node: "Node") -> bool:
    from sqlglot import exp

    return isinstance(node.expression, exp.Table) and not _is_function(node.expression)


def _origins(nodes: "Iterable[Node]") -> Iterator[str]:
    for node in filter(_is_of_a_table, nodes):
        yield f"{node.expression.text('db')}.{node.expression.name}.{node.name.rsplit('.', 1)[-1]}"
