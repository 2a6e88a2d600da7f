"""One changed day of a year of chats: what is built by day, against all its days, and against the bare SQL.

`chat_metrics`, `message_turns` and every mart that is built by day, as a run builds them: each with its tests and what
its asset's page shows. The bare SQL is the same DELETE and INSERT of each, made before and sent by psycopg. Not here:
models that cross days, and what a process costs (`dbt_build.py`).
"""

from dataclasses import dataclass
from datetime import date
from time import perf_counter

from psycopg import Connection, sql

from b2chat_pipeline.transform.project import models_folder, read_project
from b2chat_pipeline.transform.relations import Relation, query
from b2chat_pipeline.transform.run import run
from b2chat_pipeline.transform.showing import look
from b2chat_pipeline.transform.target import Days, Target
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline_tests.bench.databases import production_server, settle
from b2chat_pipeline_tests.bench.invented_year import ZONE, make_chats, make_messages
from b2chat_pipeline_tests.bench.report import Measure, median_of

_CHANGED = Days(date(2025, 7, 2), date(2025, 7, 2))


def measure_models(rounds: int, *, chats_per_day: int) -> list[Measure]:
    """Two measures: the day beside the year, of which there is one round, and beside the bare SQL."""
    with production_server() as server, server.database(migrated=True) as url:
        make_chats(url, per_day=chats_per_day)
        make_messages(url)
        return measure_days(url, rounds)


def measure_days(url: str, rounds: int) -> list[Measure]:
    """The measures on a warehouse with an invented year."""
    target = Target(read_project(models_folder()), {"time_zone": ZONE.key})
    with connect(url, purpose="bench") as connection:
        building = _Building(connection, target, url)
        building.make()
        whole = building.timed(None)
        seen = [(building.timed_bare(), building.timed(_CHANGED)) for _ in range(rounds)]
    bare, ours = ([pair[place] for pair in seen] for place in (0, 1))
    day = median_of("day", ours)
    return [
        Measure(
            "changed_day",
            "all days / one changed day, of what is built by day",
            100,
            "more",
            [whole / it for it in ours],
            f"{median_of('all days', [whole])}, {day}",
        ),
        Measure(
            "changed_day_over_bare_sql",
            "one changed day / its bare SQL",
            2.0,
            "less",
            [it / base for base, it in seen],
            f"{median_of('bare SQL', bare)}, {day}",
        ),
    ]


@dataclass(frozen=True)
class _Building:
    """The models that are built by day, over one connection."""

    connection: Connection
    target: Target
    url: str

    def make(self) -> None:
        """Have all relations stand that are needed, with the rows of the day."""
        project, names = self.target.project, self._by_day()
        read = frozenset[str]().union(*(project.ancestors(name) for name in names))
        run(self.connection, self.target, read.union(names), _CHANGED)

    def timed(self, days: Days | None) -> float:
        """Seconds that our runner takes. Raises RuntimeError where a model does not stand."""
        names = self._by_day()
        settle(self.url)
        started = perf_counter()
        for outcome in run(self.connection, self.target, names, days):
            if not outcome.stands:
                raise RuntimeError(f"{outcome.model.name} does not stand: {outcome.problem or outcome.checks}")
            look(self.connection, self.target, outcome.model, days)
        return perf_counter() - started

    def timed_bare(self) -> float:
        """Seconds that PostgreSQL takes for the rows of the day."""
        statements = [
            (_deletion(Relation(self.target.schema, model.name), model.day_column), self._insertion(model.name))
            for model in self.target.project.models.values()
            if model.day_column
        ]
        settle(self.url)
        started = perf_counter()
        for delete, insert in statements:
            with self.connection.transaction():
                self.connection.execute(delete, (_CHANGED.first, _CHANGED.last))
                self.connection.execute(insert)
        return perf_counter() - started

    def _by_day(self) -> list[str]:
        return [model.name for model in self.target.project.models.values() if model.day_column]

    def _insertion(self, name: str) -> sql.Composed:
        text = self.target.sql_of(self.target.project.models[name], _CHANGED)
        return sql.SQL("insert into {} {}").format(Relation(self.target.schema, name).identifier, query(text))


def _deletion(relation: Relation, day: str) -> sql.Composed:
    return sql.SQL("delete from {} where {} between %s and %s").format(relation.identifier, sql.Identifier(day))
