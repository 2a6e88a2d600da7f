"""What would go with a relation that is dropped, and bringing it back: grants, and the views that stand upon it.

PostgreSQL binds a view to the table itself, not to its name, so a table whose columns change takes its views with it.
Those are read out first and made again afterwards, with their grants, comments, options and owners; whoever made them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from psycopg import Connection, errors, sql

from b2chat_pipeline.transform.models import ModelError
from b2chat_pipeline.transform.relations import Kind, Relation, columns_of, comment_on, comments_of, query

_VIEWS = """
    with recursive upon as (
        select to_regclass(%s)::oid as oid, 0 as depth
        union
        select r.ev_class, upon.depth + 1
          from upon join pg_depend d on d.refobjid = upon.oid and d.refclassid = 'pg_class'::regclass
          join pg_rewrite r on r.oid = d.objid and d.classid = 'pg_rewrite'::regclass and r.ev_class <> upon.oid
    )
    select n.nspname, c.relname, pg_get_viewdef(c.oid), coalesce(c.reloptions, '{}'), c.relowner::regrole::text
      from (select oid, max(depth) as depth from upon where depth > 0 group by oid) found
      join pg_class c on c.oid = found.oid join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'v' order by found.depth
"""
_GRANTS = """
    with held as (
        select c.relowner, null as attname, a.*
          from pg_class c, aclexplode(c.relacl) a where c.oid = to_regclass(%(name)s)
        union all
        select c.relowner, t.attname, a.*
          from pg_class c join pg_attribute t on t.attrelid = c.oid, aclexplode(t.attacl) a
         where c.oid = to_regclass(%(name)s) and not t.attisdropped
    )
    select privilege_type, case when grantee = 0 then 'public' else grantee::regrole::text end, attname, is_grantable
      from held where grantee <> relowner
"""


@dataclass(frozen=True)
class Grant:
    """One privilege of a role, quoted as in a statement; on one column, or on the whole relation."""

    privilege: str
    role: str
    column: str | None
    grantable: bool


@dataclass(frozen=True)
class View:
    """A view as it can be made again."""

    relation: Relation
    definition: str
    options: Sequence[str]
    owner: str
    grants: Sequence[Grant]
    comments: Mapping[str, str]


def views_upon(connection: Connection, relation: Relation) -> list[View]:
    """The views that stand upon a relation, directly or not, each after those it reads."""
    rows = connection.execute(_VIEWS, (str(relation),)).fetchall()
    return [_view(connection, Relation(schema, name), *rest) for schema, name, *rest in rows]


def _view(connection: Connection, relation: Relation, definition: str, options: Sequence[str], owner: str) -> View:
    grants, comments = grants_on(connection, relation), comments_of(connection, relation)
    return View(relation, definition.rstrip().rstrip(";"), options, owner, grants, comments)


def grants_on(connection: Connection, relation: Relation) -> list[Grant]:
    """What roles other than its owner may do with a relation."""
    return [Grant(*row) for row in connection.execute(_GRANTS, {"name": str(relation)})]


def grant(connection: Connection, relation: Relation, grants: Iterable[Grant]) -> None:
    """Give privileges again, but those on columns that are no more."""
    columns = columns_of(connection, relation)
    for it in grants:
        if it.column is not None and it.column not in columns:
            continue
        only = sql.SQL("({})").format(sql.Identifier(it.column)) if it.column is not None else sql.SQL("")
        option = sql.SQL("with grant option" if it.grantable else "")
        connection.execute(
            sql.SQL("grant {} {} on {} to {} {}").format(
                sql.SQL(it.privilege), only, relation.identifier, sql.SQL(it.role), option
            )
        )


def drop(connection: Connection, relation: Relation, kind: Kind, views: Sequence[View]) -> None:
    """Drop a relation and the views upon it. Raises ModelError where other things stand upon it as well."""
    for view in reversed(views):
        connection.execute(sql.SQL("drop view {}").format(view.relation.identifier))
    try:
        connection.execute(sql.SQL("drop {} {}").format(sql.SQL(kind), relation.identifier))
    except errors.DependentObjectsStillExist:
        raise ModelError(
            f"the columns of {relation} have changed, and more than views depends on it: drop that, build, and make it"
            " again."
        ) from None


def make_again(connection: Connection, views: Iterable[View], *, models: Collection[Relation]) -> None:
    """Make dropped views again. One that is a model and does not fit any more is left to its own file.

    Raises ModelError where somebody else's view does not fit any more.
    """
    for view in views:
        try:
            with connection.transaction():
                _make(connection, view)
        except (errors.UndefinedColumn, errors.UndefinedTable, errors.UndefinedFunction, errors.DatatypeMismatch):
            if view.relation not in models:
                raise ModelError(
                    f"the view {view.relation} does not fit the new columns of what it reads: change or drop it, then"
                    " build again."
                ) from None


def _make(connection: Connection, view: View) -> None:
    name = view.relation.identifier
    connection.execute(sql.SQL("create view {} as {}").format(name, query(view.definition)))
    if view.options:
        options = sql.SQL(", ").join(map(sql.SQL, view.options))
        connection.execute(sql.SQL("alter view {} set ({})").format(name, options))
    grant(connection, view.relation, view.grants)
    comment_on(connection, view.relation, "view", view.comments)
    connection.execute(sql.SQL("alter view {} owner to {}").format(name, sql.SQL(view.owner)))
