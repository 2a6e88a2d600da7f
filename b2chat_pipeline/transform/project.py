"""Reads the folder of SQL models: its templates, its schema files, how they hang together.

Here belongs every rule that a file must keep, each broken one named with file and line. Not here: templates themselves
(`templates.py`), YAML itself (`schema_files.py`), PostgreSQL (`build.py`).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

from b2chat_pipeline.settings import SettingsError
from b2chat_pipeline.transform.calls import Call, calls_of
from b2chat_pipeline.transform.cells import check_cells, read_cells
from b2chat_pipeline.transform.data_tests import generic_tests
from b2chat_pipeline.transform.models import (
    Column,
    DataTest,
    Index,
    Materialization,
    Model,
    Place,
    Project,
    ProjectError,
    Source,
)
from b2chat_pipeline.transform.schema_files import Entry, read_yaml
from b2chat_pipeline.transform.shows import check_shows, read_shows

FOLDER = "dbt_like_sql"
_PROJECT_FILE = "dbt_project.yml"
_STRATEGY = "delete+insert"


def models_folder() -> Path:
    """The folder of the SQL models: here, above, or in the checkout the package runs from. Raises SettingsError."""
    here = Path.cwd()
    for parent in (here, *here.parents, Path(__file__).parents[2]):
        if (parent / FOLDER / _PROJECT_FILE).is_file():
            return parent / FOLDER
    raise SettingsError(f"there is no {FOLDER}/{_PROJECT_FILE} here or above: run this in the project's folder.")


def read_project(folder: Path) -> Project:
    """The project in a folder. Raises ProjectError for the first file that is wrong."""
    files = _Files(folder)
    variables = _variables(files)
    schemas = [files.yaml(file) for file in files.under("models", "*.yml")]
    sources = dict(_sources(schemas))
    described = _described(schemas)
    drafts = {draft.name: draft for draft in (_draft(files, file) for file in files.under("models", "*.sql"))}
    for draft in drafts.values():
        _check_calls(draft.calls, drafts, sources, variables)
    for name, entry in described.items():
        if name not in drafts:
            raise ProjectError(entry.place, f"there is no model {name}: write models/…/{name}.sql, or drop this entry.")
    models = {name: _model(drafts[name], described) for name in _order(drafts)}
    check_cells(models, variables)
    check_shows(models.values())
    tests: list[DataTest] = []
    generic = (found for name in models for found in generic_tests(name, described[name]))
    for test, calls in (*generic, *_singular(files)):
        _check_calls(calls, drafts, sources, variables)
        tests.append(test)
    return Project(models, sources, _placed(tests, models), variables)


@dataclass(frozen=True)
class _Files:
    """The files of the project, named in sentences from its folder on."""

    folder: Path

    def under(self, part: str, pattern: str) -> list[Path]:
        return sorted(path.relative_to(self.folder.parent) for path in (self.folder / part).rglob(pattern))

    def text(self, file: Path) -> str:
        return (self.folder.parent / file).read_text()

    def yaml(self, file: Path) -> Entry:
        return read_yaml(file, self.text(file))


@dataclass(frozen=True)
class _Draft:
    """A model's file before it is known what the schema files say of it."""

    name: str
    place: Place
    text: str
    calls: Sequence[Call]

    def refs(self) -> dict[str, Place]:
        return {call.arguments[0]: call.place for call in self.calls if call.name == "ref"}

    def sources(self) -> frozenset[tuple[str, str]]:
        return frozenset(call.arguments for call in self.calls if call.name == "source")


def _variables(files: _Files) -> Mapping[str, str | int | float | None]:
    file = Path(files.folder.name) / _PROJECT_FILE
    variables = files.yaml(file).entry("vars")
    for name, value in variables.items():
        if value is not None and not isinstance(value, str | int | float):
            raise ProjectError(variables.place, f"the variable {name} must be a text or a number.")
    return dict(variables.items())


def _sources(schemas: Iterable[Entry]) -> Iterator[tuple[tuple[str, str], Source]]:
    for schema in schemas:
        for source in schema.entries("sources"):
            name = source.text("name", what="a source")
            where = source.optional_text("schema") or name
            for table in source.entries("tables"):
                of_source = table.text("name", what=f"a table of source {name}")
                yield (name, of_source), Source(where, of_source)


def _described(schemas: Iterable[Entry]) -> dict[str, Entry]:
    described: dict[str, Entry] = {}
    for schema in schemas:
        for entry in schema.only("version", "sources", "models").entries("models"):
            name = entry.text("name", what="a model")
            if name in described:
                raise ProjectError(entry.place, f"model {name} is described at {described[name].place} already.")
            described[name] = entry
    return described


def _draft(files: _Files, file: Path) -> _Draft:
    text = files.text(file)
    return _Draft(file.stem, Place(file), text, calls_of(file, text))


def _check_calls(
    calls: Iterable[Call],
    models: Mapping[str, _Draft],
    sources: Mapping[tuple[str, str], Source],
    variables: Mapping[str, object],
) -> None:
    """Raises ProjectError where a call names what does not exist."""
    places: dict[str, tuple[Collection[Any], str]] = {
        "ref": (models, "models/"),
        "source": (sources, "models/sources.yml"),
        "var": (variables, _PROJECT_FILE),
    }
    for call in calls:
        told = ", ".join(map(repr, call.arguments))
        if call.name in {"ref", "var"} and (len(call.arguments) != 1 or call.options):
            raise ProjectError(call.place, f"{call.name}({told}) must have one name in it and nothing else.")
        key = call.arguments[0] if len(call.arguments) == 1 else call.arguments
        known, where = places.get(call.name, ([key], ""))
        if key not in known:
            raise ProjectError(call.place, f"{call.name}({told}) names nothing that is in {where}.")


def _order(drafts: Mapping[str, _Draft]) -> list[str]:
    """The models, each after those it reads. Raises ProjectError where they go round in a circle."""
    refs = {name: drafts[name].refs() for name in sorted(drafts)}
    try:
        return list(TopologicalSorter({name: sorted(of_model) for name, of_model in refs.items()}).static_order())
    except CycleError as error:
        circle = error.args[1]
        # Each of the circle is read by the next one.
        read, reader = next(iter(pairwise(circle)))
        raise ProjectError(refs[reader][read], f"models read each other in a circle: {' → '.join(circle)}.") from None


def _model(draft: _Draft, described: Mapping[str, Entry]) -> Model:
    if draft.name not in described:
        raise ProjectError(draft.place, f"model {draft.name} has no entry in a schema file: describe it there.")
    entry = described[draft.name].only("name", "description", "config", "columns", "data_tests")
    what = f"model {draft.name}"
    meta = entry.entry("config").only("meta").entry("meta").only("grain", "day", "owner", "explain", "show")
    config = _config(draft)
    return Model(
        name=draft.name,
        place=draft.place,
        text=draft.text,
        materialized=config.materialized,
        row_day=_row_day(config, meta),
        indexes=config.indexes,
        description=entry.text("description", what=what),
        grain=meta.text("grain", what=what).rstrip("."),
        owner=meta.optional_text("owner"),
        columns=tuple(_columns(entry, draft.name)),
        refs=frozenset(draft.refs()),
        sources=draft.sources(),
        cells=read_cells(meta.entry("explain")),
        shows=read_shows(meta.entry("show")),
    )


def _columns(entry: Entry, model: str) -> Iterator[Column]:
    seen: set[str] = set()
    for column in entry.entries("columns"):
        column.only("name", "description", "data_type", "data_tests")
        name = column.text("name", what=f"a column of {model}")
        if name in seen:
            raise ProjectError(column.place, f"column {name} of {model} is described twice.")
        seen.add(name)
        yield Column(name, column.text("description", what=f"column {name}"), column.optional_text("data_type"))


@dataclass(frozen=True)
class _Config:
    """What `config()` of a model says."""

    place: Place
    materialized: Materialization = "view"
    incremental_strategy: str = ""
    unique_key: str = ""
    indexes: tuple[Index, ...] = ()


def _config(draft: _Draft) -> _Config:
    calls = [call for call in draft.calls if call.name == "config"]
    if len(calls) > 1:
        raise ProjectError(calls[1].place, "config is called twice: put all into one call.")
    place, options = (calls[0].place, dict(calls[0].options)) if calls else (draft.place, {})
    indexes = tuple(_index(place, index) for index in options.pop("indexes", []))
    known = set(_Config.__dataclass_fields__) - {"place"}
    for name in options:
        if name not in known:
            raise ProjectError(place, f"config does not know {name}: use {', '.join(sorted(known))}.")
    config = _Config(place, indexes=indexes, **options)
    if config.materialized not in get_args(Materialization):
        raise ProjectError(place, f"materialized must be one of {', '.join(get_args(Materialization))}.")
    if config.materialized == "view" and config.indexes:
        raise ProjectError(place, "a view has no indexes.")
    return config


def _index(place: Place, told: Mapping[str, Any]) -> Index:
    if not told.get("columns") or not set(told) <= {"columns", "unique"}:
        raise ProjectError(place, "an index has columns, and may be unique: {'columns': ['chat_id'], 'unique': true}.")
    return Index(tuple(told["columns"]), unique=bool(told.get("unique", False)))


def _row_day(config: _Config, meta: Entry) -> str:
    if config.materialized == "table" and meta.optional_text("day"):
        raise ProjectError(
            meta.place, "a table has no day, since it is built as a whole: drop this, or build it by day."
        )
    if config.materialized != "incremental":
        return meta.optional_text("day")
    if config.incremental_strategy != _STRATEGY or not config.unique_key:
        raise ProjectError(
            config.place, f"an incremental model needs incremental_strategy='{_STRATEGY}', and its day as unique_key."
        )
    if meta.optional_text("day") != config.unique_key:
        raise ProjectError(meta.place, f"the day of the model must be its unique_key, {config.unique_key}.")
    return config.unique_key


def _singular(files: _Files) -> Iterator[tuple[DataTest, Sequence[Call]]]:
    """The tests that are files, and what they call."""
    for file in files.under("tests", "*.sql"):
        text = files.text(file)
        calls = calls_of(file, text)
        refs = frozenset(call.arguments[0] for call in calls if call.name == "ref" and call.arguments)
        if not refs:
            raise ProjectError(Place(file), "the test reads no model: use ref.")
        description = " ".join(line.removeprefix("--").strip() for line in _head(text))
        if not description:
            raise ProjectError(Place(file), "the test says not what it holds: begin it with a comment.")
        by_day = refs if _is_by_day(calls) else frozenset[str]()
        yield DataTest(file.stem, "", "", description, "error", text, Place(file), refs, by_day), calls


def _is_by_day(calls: Sequence[Call]) -> bool:
    """Whether a test says that it judges each day by itself. Raises ProjectError where it says anything else."""
    for call in calls:
        if call.name == "config":
            if call.options != {"meta": {"by_day": True}}:
                raise ProjectError(call.place, "config of a test takes meta={'by_day': true} and nothing else.")
            return True
    return False


def _head(text: str) -> Iterator[str]:
    """The comment that a file begins with."""
    for line in text.splitlines():
        if not line.startswith("--"):
            return
        yield line


def _placed(tests: Iterable[DataTest], models: Mapping[str, Model]) -> list[DataTest]:
    """Each test with the last that is built of the models it reads."""
    order = {name: number for number, name in enumerate(models)}
    placed: dict[str, DataTest] = {}
    for test in tests:
        if test.name in placed:
            raise ProjectError(test.place, f"there is a test {test.name} at {placed[test.name].place} already.")
        placed[test.name] = replace(test, model=max(test.reads, key=order.__getitem__))
    return list(placed.values())
