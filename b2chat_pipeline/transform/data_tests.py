"""The tests that a schema file asks for by name, as templates that select the rows which break them.

Here belongs what each of the four means; the same as in dbt. Not here: running them (`checking.py`).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, get_args

from b2chat_pipeline.transform.calls import Call
from b2chat_pipeline.transform.models import DataTest, Place, ProjectError, Severity
from b2chat_pipeline.transform.schema_files import Entry

_NOT_NULL = "select * from {model} judged where {column} is null"
# Of some days, those keys are counted in all rows.
_UNIQUE = (
    "select {column} from {{{{ this }}}} whole where {column} in (select {column} from {model} judged)"
    " group by {column} having count(*) > 1"
)
_ACCEPTED_VALUES = "select * from {model} judged where {column} not in ({values})"
_RELATIONSHIPS = (
    "select * from {model} child where {column} is not null and not exists"
    " (select from {to} parent where parent.{field} = child.{column})"
)
_PARENT = re.compile(r"""(ref|source)\(\s*['"](\w+)['"](?:\s*,\s*['"](\w+)['"])?\s*\)""")
_KINDS = MappingProxyType(
    {
        "not_null": (_NOT_NULL, "{column} is told."),
        "unique": (_UNIQUE, "No two rows have the same {column}."),
        "accepted_values": (_ACCEPTED_VALUES, "{column} is one of {values}."),
        "relationships": (_RELATIONSHIPS, "{column} is a {field} of {to}."),
    }
)


def generic_tests(model: str, entry: Entry) -> Iterator[tuple[DataTest, Sequence[Call]]]:
    """The tests of a model's entry in a schema file, and what they call besides the model. Raises ProjectError."""
    for told in entry.list("data_tests"):
        yield _test(model, "", told, entry.place)
    for column in entry.entries("columns"):
        for told in column.list("data_tests"):
            yield _test(model, column.text("name", what="a column"), told, column.place)


def _test(model: str, column: str, told: object, place: Place) -> tuple[DataTest, Sequence[Call]]:
    kind, options = _kind(told, place)
    arguments = dict(options.entry("arguments").items())
    column = column or str(arguments.pop("column_name", ""))
    if kind not in _KINDS:
        raise ProjectError(place, f"there is no test {kind}: use {', '.join(_KINDS)}, or write one in tests/.")
    if not column:
        raise ProjectError(options.place, f"a test {kind} of a whole model needs column_name among its arguments.")
    template, description = _KINDS[kind]
    severity = options.entry("config").only("severity").optional_text("severity").lower() or "error"
    if severity not in get_args(Severity):
        raise ProjectError(options.place, f"severity must be one of {', '.join(get_args(Severity))}.")
    values = {"model": f"{{{{ ref('{model}') }}}}", "column": column, **_arguments(kind, arguments, options.place)}
    beside = [_parent(arguments["to"], options.place)] if "to" in values else []
    test = DataTest(
        name=options.optional_text("name") or _name(kind, model, column),
        model=model,
        subject=model,
        description=options.optional_text("description") or description.format(**values | arguments),
        severity=severity,  # type: ignore[arg-type]
        text=template.format(**values),
        place=options.place,
        reads=frozenset({model, *(call.arguments[0] for call in beside if call.name == "ref")}),
        by_day=frozenset({model}),
    )
    return test, beside


def _kind(told: object, place: Place) -> tuple[str, Entry]:
    """The kind of a test, and what stands below it: `not_null`, or `accepted_values: {arguments: …}`."""
    if isinstance(told, str):
        return told, Entry({}, place)
    if isinstance(told, Entry):
        ((kind, options),) = told.items() if len(list(told.items())) == 1 else (("", None),)
        if isinstance(options, Entry):
            return kind, options.only("name", "description", "arguments", "config")
    raise ProjectError(place, "a test is a name, or a name with a mapping below it.")


def _arguments(kind: str, arguments: Mapping[str, Any], place: Place) -> dict[str, str]:
    """What the test's template needs besides the column."""
    if kind == "accepted_values":
        values = arguments.get("values")
        if not isinstance(values, list) or not values or arguments.keys() != {"values"}:
            raise ProjectError(place, "accepted_values needs the list values among its arguments.")
        return {"values": ", ".join(_literal(value) for value in values)}
    if kind == "relationships":
        if arguments.keys() != {"to", "field"}:
            raise ProjectError(place, "relationships needs to, such as ref('chat_metrics'), and field.")
        return {"to": f"{{{{ {arguments['to']} }}}}", "field": str(arguments["field"])}
    if arguments:
        raise ProjectError(place, f"{kind} takes no arguments.")
    return {}


def _parent(told: object, place: Place) -> Call:
    """The call that names the table whose rows a relationship leads to."""
    found = _PARENT.fullmatch(str(told))
    if found is None:
        raise ProjectError(place, "to must be such as ref('chat_metrics'), or source('b2chat', 'agents').")
    name, *arguments = found.groups()
    return Call(name, tuple(it for it in arguments if it is not None), {}, place)


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"


def _name(kind: str, model: str, column: str) -> str:
    return re.sub(r"\W+", "_", f"{kind}_{model}_{column}").strip("_")
