"""Where a build writes, and the SQL that a template becomes there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial

from b2chat_pipeline.transform.models import DataTest, Model, ModelError, Project
from b2chat_pipeline.transform.templates import render

SCHEMA = "analytics"
# Named, since PostgreSQL takes a query in FROM without a name from version 16 on only, and a test may give one or not.
_OF_DAYS = (
    "{name} as not materialized (select * from {relation} where {day} between '{first:%Y-%m-%d}' and '{last:%Y-%m-%d}')"
)
_JUDGED = "with {of_days} select * from (\n{judged}\n) judged"


@dataclass(frozen=True)
class Days:
    """Account-local days, the last one included."""

    first: date
    last: date

    def __str__(self) -> str:
        return f"{self.first.isoformat()} .. {self.last.isoformat()}"


@dataclass(frozen=True)
class Target:
    """A schema of the warehouse, and the values of the project's variables there."""

    project: Project
    variables: Mapping[str, str]
    schema: str = SCHEMA

    def relation(self, name: str) -> str:
        """A model's table or view, as SQL names it."""
        return f'"{self.schema}"."{name}"'

    def sql_of(self, model: Model, days: Days | None = None) -> str:
        """The query that tells a model's rows: those of some days, or all of them. Raises ModelError."""
        return self._render(model.text, this=model.name, days=days, ref=self.relation)

    def sql_over(self, model: Model, ref: Callable[[str], str]) -> str:
        """The query that tells all rows of a model where others are read as `ref` names them. Raises ModelError."""
        return self._render(model.text, this=model.name, days=None, ref=ref)

    def sql_of_test(self, test: DataTest, days: Days | None) -> str:
        """The query that tells the rows which break a test, judging those of some days or all. Raises ModelError."""
        of_days: dict[str, str] = {}

        def ref(name: str) -> str:
            day, relation = self.project.models[name].row_day, self.relation(name)
            if days is None or name not in test.by_day or not day:
                return relation
            narrowed = f'"{name} of the days"'
            of_days[narrowed] = _OF_DAYS.format(
                name=narrowed, relation=relation, day=day, first=days.first, last=days.last
            )
            return narrowed

        judged = self._render(test.text, this=test.subject, days=None, ref=ref)
        return _JUDGED.format(of_days=", ".join(of_days.values()), judged=judged) if of_days else judged

    def _render(self, text: str, *, this: str, days: Days | None, ref: Callable[[str], str]) -> str:
        told = {} if days is None else {"from_day": days.first.isoformat(), "to_day": days.last.isoformat()}
        names = {
            "config": _nothing,
            "ref": ref,
            "source": self._source,
            "var": partial(self._variable, told),
            "this": self.relation(this),
            "is_incremental": lambda: days is not None,
        }
        return render(text, names).strip().rstrip(";")

    def _source(self, name: str, table: str) -> str:
        source = self.project.sources[name, table]
        return f'"{source.schema}"."{source.table}"'

    def _variable(self, of_build: Mapping[str, str], name: str) -> str:
        value = {**self.project.variables, **self.variables, **of_build}[name]
        if value is None:
            raise ModelError(f"the variable {name} has no value: give it one in dbt_project.yml, or for this build.")
        return str(value)


def _nothing(**_options: object) -> str:
    return ""
