"""What a project of SQL models consists of. Reading one is in `project.py`, building in `build.py`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from b2chat_pipeline.settings import OperatorError

Materialization = Literal["view", "table", "incremental"]
Severity = Literal["error", "warn"]


class ProjectError(OperatorError):
    """A file of the project is wrong; the sentence begins with the file and the line."""

    def __init__(self, place: "Place", sentence: str) -> None:
        super().__init__(f"{place}: {sentence}")


class ModelError(OperatorError):
    """A model or a test cannot be run as it is written, or not now."""


@dataclass(frozen=True)
class Place:
    """A line of a file of the project; the file is named from the project's folder on."""

    file: Path
    line: int = 1

    def __str__(self) -> str:
        return f"{self.file.as_posix()}:{self.line}"


@dataclass(frozen=True)
class Column:
    """One described column of a model. The type is PostgreSQL's own name of it; empty where the file tells none."""

    name: str
    description: str
    type: str


@dataclass(frozen=True)
class Index:
    """An index of a table, as dbt-postgres writes it."""

    columns: tuple[str, ...]
    unique: bool = False


@dataclass(frozen=True)
class Source:
    """A table that is not built here."""

    schema: str
    table: str


@dataclass(frozen=True)
class Cells:
    """Which chats stand behind a row of a model; `cells.py` says what the parts mean."""

    place: Place
    key: tuple[str, ...]
    day: str
    of: str
    where: str


@dataclass(frozen=True)
class Shows:
    """What is shown of a model once it is built; `shows.py` says what the parts mean."""

    place: Place
    numbers: Mapping[str, str]
    heat_maps: Mapping[str, str]
    columns: tuple[str, ...]
    order: str


@dataclass(frozen=True)
class DataTest:
    """A query for rows that should not exist. It is shown on `model`, the last that is built of the models it reads.

    `by_day` are the models whose rows are judged day by day, so that those of some days can be; what else it reads is
    read as a whole.
    """

    name: str
    model: str
    # What it calls `this`; empty where it is a file of its own.
    subject: str
    description: str
    severity: Severity
    # A template like that of a model.
    text: str
    place: Place
    reads: frozenset[str]
    by_day: frozenset[str]


@dataclass(frozen=True)
class Model:
    """One table or view."""

    name: str
    place: Place
    # The template, as written.
    text: str
    materialized: Materialization
    # The column that tells the day a row belongs to; empty where none does, and for tables, which are built as a whole.
    row_day: str
    indexes: tuple[Index, ...]
    description: str
    grain: str
    owner: str
    columns: tuple[Column, ...]
    refs: frozenset[str]
    sources: frozenset[tuple[str, str]]
    # None where no chats can be told.
    cells: Cells | None = None
    # None where nothing but rows and seconds is shown.
    shows: Shows | None = None

    @property
    def day_column(self) -> str:
        """The column by whose days the model is built; empty for others than incremental ones."""
        return self.row_day if self.materialized == "incremental" else ""

    @property
    def comment(self) -> str:
        """What PostgreSQL says of it."""
        return f"{self.description} Grain: {self.grain}."


@dataclass(frozen=True)
class Project:
    """A folder of models, each after those it reads."""

    models: Mapping[str, Model]
    sources: Mapping[tuple[str, str], Source]
    tests: Sequence[DataTest]
    # What `var` gives; None where each run has to say it.
    variables: Mapping[str, str | int | float | None] = field(default_factory=dict)

    @cached_property
    def _ancestors(self) -> Mapping[str, frozenset[str]]:
        ancestors: dict[str, frozenset[str]] = {}
        for model in self.models.values():
            ancestors[model.name] = model.refs.union(*(ancestors[ref] for ref in model.refs))
        return ancestors

    def ancestors(self, name: str) -> frozenset[str]:
        """All models that a model is built from, directly or not."""
        return self._ancestors[name]

    def tests_of(self, name: str) -> list[DataTest]:
        """The tests that can be run once a model is built."""
        return [test for test in self.tests if test.model == name]
