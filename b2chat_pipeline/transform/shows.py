"""How a model says what is shown of it once it is built: `show` below `meta` in its schema file.

    show:
      numbers: {chats: count(*), rated_share: avg((rating is not null)::integer)}
      heat_maps: {chats: sum(chats)}
      rows: {columns: [days, contacts], order: days}

`numbers` are aggregates over the rows of each day of a model that is built by day, else over all rows. `heat_maps` are
aggregates over the rows of each weekday (1 is Monday) and hour, which are columns of the model. `rows` are the first of
the model, for people to look at: neither names nor what customers wrote. Not here: looking at rows (`showing.py`).
"""

from collections.abc import Iterable, Iterator, Mapping

from b2chat_pipeline.transform.models import Model, ProjectError, Shows
from b2chat_pipeline.transform.schema_files import Entry

_OF_HEAT_MAP = ("weekday", "hour")


def read_shows(entry: Entry) -> Shows | None:
    """What a schema file says; None where it says nothing. Raises ProjectError."""
    told = entry.only("numbers", "heat_maps", "rows")
    if not list(told.items()):
        return None
    rows = told.entry("rows").only("columns", "order")
    columns = rows.list("columns")
    if columns and not rows.optional_text("order"):
        raise ProjectError(
            rows.place, "the rows that are shown have no order: write the columns that say which come first."
        )
    return Shows(
        place=told.place,
        numbers=_texts(told.entry("numbers")),
        heat_maps=_texts(told.entry("heat_maps")),
        columns=tuple(columns),
        order=rows.optional_text("order"),
    )


def check_shows(models: Iterable[Model]) -> None:
    """Raises ProjectError for the first model that shows what it does not have."""
    for model in models:
        for problem in _problems(model, model.shows) if model.shows else ():
            raise ProjectError(model.shows.place if model.shows else model.place, problem)


def _texts(entry: Entry) -> Mapping[str, str]:
    return {name: entry.text(name, what="show") for name, _ in entry.items()}


def _problems(model: Model, shows: Shows) -> Iterator[str]:
    columns = {column.name for column in model.columns}
    for name in (*shows.columns, *(_OF_HEAT_MAP if shows.heat_maps else ())):
        if name not in columns:
            yield f"{model.name} shows {name}, which is no column of it."
    if model.day_column and (shows.columns or shows.heat_maps):
        yield f"{model.name} is built by day, so it shows numbers of each day, but neither rows nor heat maps."
