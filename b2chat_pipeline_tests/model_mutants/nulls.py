"""Columns that are never NULL, as tests of the models and constraints of the tables say: to count one counts rows."""

from collections.abc import Iterator

from psycopg import Connection

from b2chat_pipeline.transform.models import Model, Project

_OF_TABLES = """
    select attribute.attname, bool_and(attribute.attnotnull)
      from pg_attribute attribute
     where attribute.attrelid = any (%s::regclass[]) and attribute.attnum > 0 and not attribute.attisdropped
     group by attribute.attname
"""


def never_null(connection: Connection, project: Project, model: Model) -> set[str]:
    """By name, those of a model and of all that it is made of."""
    made_of = [project.models[name] for name in (model.name, *project.ancestors(model.name))]
    tables = {project.sources[source] for it in made_of for source in it.sources}
    of_tables = connection.execute(_OF_TABLES, ([f"{it.schema}.{it.table}" for it in tables],)).fetchall()
    return {name for name, is_told in of_tables if is_told}.union(*(_tested(project, it) for it in made_of))


def _tested(project: Project, model: Model) -> Iterator[str]:
    tests = {test.name for test in project.tests}
    return (column.name for column in model.columns if f"not_null_{model.name}_{column.name}" in tests)
