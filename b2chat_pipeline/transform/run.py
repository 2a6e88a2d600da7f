"""Builds models in their order, tests each, and leaves out what stands upon a failed one."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from psycopg import Connection, sql

from b2chat_pipeline.transform.build import Built, build
from b2chat_pipeline.transform.checking import Checked, check
from b2chat_pipeline.transform.models import Model, ModelError
from b2chat_pipeline.transform.target import Days, Target


@dataclass(frozen=True)
class ModelOutcome:
    """What became of one model: what was built and tested, or why not."""

    model: Model
    built: Built | None = None
    checks: Sequence[Checked] = ()
    problem: str = ""

    @property
    def stands(self) -> bool:
        """Whether others can be built upon it."""
        return self.built is not None and not self.problem and not any(it.blocks for it in self.checks)


def run(
    connection: Connection,
    target: Target,
    names: Collection[str],
    days: Days | None,
    on_done: Callable[[ModelOutcome], None] = lambda _: None,
) -> list[ModelOutcome]:
    """Build and test the models of those names; of incremental ones the days, or all where there are none.

    Trouble with a model is in its outcome, not raised; what is built from it is left out. Raises
    psycopg.OperationalError where the database goes away.
    """
    ensure_schema(connection, target.schema)
    outcomes: dict[str, ModelOutcome] = {}
    for name, model in target.project.models.items():
        if name not in names:
            continue
        fallen = sorted(ref for ref in model.refs if ref in outcomes and not outcomes[ref].stands)
        if fallen:
            outcomes[name] = ModelOutcome(model, problem=f"left out, since it reads {', '.join(fallen)}")
        else:
            outcomes[name] = build_and_check(connection, target, model, days)
        on_done(outcomes[name])
    return list(outcomes.values())


def build_and_check(connection: Connection, target: Target, model: Model, days: Days | None) -> ModelOutcome:
    """Build a model and run the tests shown on it; trouble is in the outcome."""
    built: Built | None = None
    checks: list[Checked] = []
    try:
        built = build(connection, target, model, days)
        checks.extend(check(connection, target, test, days) for test in target.project.tests_of(model.name))
    except ModelError as error:
        return ModelOutcome(model, built, checks, problem=str(error))
    return ModelOutcome(model, built, checks)


def ensure_schema(connection: Connection, schema: str) -> None:
    """Make the schema that is built into, where it is missing."""
    row = connection.execute("select to_regnamespace(%s)", (f'"{schema}"',)).fetchone()
    if row is None or row[0] is None:
        connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(schema)))
