"""How a model says which chats stand behind one of its rows: `explain` below `meta` in its schema file.

    explain: {key: [agent_id, metric], day: created_day, from: chat_metrics, where: direction = 'inbound'}

`key` names the columns that tell the rows of one day apart; `day` is a row's day, a column or what SQL makes of some.
The chats are those of the rows of `from` whose columns equal the key and the day, and that `where` holds for. `:name`
stands in `day` and `where` for a column of the key, `:day`, or a variable of the project; what `where` names is not
compared otherwise. Not here: looking at rows (`explain.py`).
"""

import re
from collections.abc import Collection, Iterator, Mapping

from b2chat_pipeline.transform.models import Cells, Column, Model, ProjectError
from b2chat_pipeline.transform.schema_files import Entry

CHAT = "chat_id"
DAY = "day"
# A name after one colon: two are a cast.
NAMED = re.compile(r"(?<!:):([a-z_]\w*)")


def read_cells(entry: Entry) -> Cells | None:
    """What a schema file says; None where it says nothing. Raises ProjectError."""
    told = entry.only("key", "day", "from", "where")
    if not list(told.items()):
        return None
    key = told.list("key")
    if not all(isinstance(column, str) for column in key):
        raise ProjectError(told.place, "the key of explain must be a list of columns.")
    return Cells(
        place=told.place,
        key=tuple(key),
        day=told.text("day", what="explain"),
        of=told.text("from", what="explain"),
        where=told.optional_text("where"),
    )


def check_cells(models: Mapping[str, Model], variables: Collection[str]) -> None:
    """Raises ProjectError for the first model whose explanation names what does not exist."""
    for model in models.values():
        for problem in _problems(model, models, variables):
            raise ProjectError(model.cells.place if model.cells else model.place, problem)


def compared(cells: Cells, of: Model) -> Iterator[str]:
    """The columns of the key, and the day, that rows of `from` have to equal."""
    named = set(NAMED.findall(cells.where))
    present = _names(of.columns)
    for column in cells.key:
        if column in present and column not in named:
            yield column
    if DAY not in named:
        yield cells.day


def _problems(model: Model, models: Mapping[str, Model], variables: Collection[str]) -> Iterator[str]:
    if model.cells is None:
        return
    cells = model.cells
    of = models.get(cells.of)
    if of is None or CHAT not in _names(of.columns):
        yield f"explain of {model.name} is from {cells.of}, which is no model with a column {CHAT}."
        return
    for column in cells.key:
        if column not in _names(model.columns):
            yield f"explain of {model.name} has {column} in its key, which is no column of it."
    for name in NAMED.findall(f"{cells.day} {cells.where}"):
        if name not in {*cells.key, DAY, *variables}:
            yield f"explain of {model.name} names :{name}, which is no column of its key, no variable, and not :{DAY}."
    if DAY not in NAMED.findall(cells.where) and cells.day not in _names(of.columns):
        yield f"explain of {model.name} compares its day with nothing: write :{DAY} in where."


def _names(columns: Collection[Column]) -> set[str]:
    return {column.name for column in columns}
