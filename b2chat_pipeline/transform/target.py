"""Where a build writes, and the SQL that a template becomes there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import partial

from b2chat_pipeline.settings import OperatorError
from b2chat_pipeline.transform.models import Model, Project
from b2chat_pipeline.transform.templates import render

SCHEMA = "analytics"


class VariableError(OperatorError):
    """A variable has no value."""


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
    # What stands in place of a model's name where another relation is to be read.
    instead: Mapping[str, str] = field(default_factory=dict)

    def relation(self, name: str) -> str:
        """A model's table or view, as SQL names it."""
        return self.instead.get(name) or f'"{self.schema}"."{name}"'

    def sql_of(self, model: Model, days: Days | None = None) -> str:
        """The query that tells a model's rows: those of some days, or all of them. Raises VariableError."""
        return self._render(model.text, this=self.relation(model.name), days=days)

    def sql_of_test(self, text: str) -> str:
        """The query that tells the rows which break a test. Raises VariableError."""
        return self._render(text, this="", days=None)

    def _render(self, text: str, *, this: str, days: Days | None) -> str:
        told = {} if days is None else {"from_day": days.first.isoformat(), "to_day": days.last.isoformat()}
        names = {
            "config": _nothing,
            "ref": self.relation,
            "source": self._source,
            "var": partial(self._variable, told),
            "this": this,
            "is_incremental": lambda: days is not None,
        }
        return render(text, names).strip().rstrip(";")

    def _source(self, name: str, table: str) -> str:
        source = self.project.sources[name, table]
        return f'"{source.schema}"."{source.table}"'

    def _variable(self, of_build: Mapping[str, str], name: str) -> str:
        value = {**self.project.variables, **self.variables, **of_build}[name]
        if value is None:
            raise VariableError(f"the variable {name} has no value: give it one in dbt_project.yml, or for this build.")
        return str(value)


def _nothing(**_options: object) -> str:
    return ""
