"""The templates of models and tests: what they call, and the SQL they become.

Here belongs all that knows jinja2. The calls are read from the parsed template, so that what is wrong can be named with
its line before anything runs; they have to be written with constants for that. Not here: that most of them are known
without being read (`calls.py`).
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from b2chat_pipeline.transform.models import Place, ProjectError

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

# What dbt offers that we offer too; nothing else may be named.
CALLS = ("config", "ref", "source", "var", "is_incremental")
_NAMES = {*CALLS, "this"}


# The name of what is called, its arguments, its options, and the line.
Told = tuple[str, list[Any], dict[str, Any], int]


def calls_in(file: Path, text: str) -> list[Told]:
    """The calls of a template, in no special order. Raises ProjectError."""
    from jinja2 import TemplateSyntaxError, nodes

    try:
        tree = _environment().parse(text)
    except TemplateSyntaxError as error:
        raise ProjectError(Place(file, error.lineno), f"the template cannot be read: {error.message}") from None
    found = list(tree.find_all((nodes.Name, nodes.Call)))
    names = [node for node in found if isinstance(node, nodes.Name)]
    known = _NAMES.union(name.name for name in names if name.ctx == "store")
    for name in names:
        if name.name not in known:
            raise ProjectError(
                Place(file, name.lineno),
                f"{name.name} is not known here: use {', '.join(sorted(_NAMES))}, or a name set in this file.",
            )
    calls = (node for node in found if isinstance(node, nodes.Call))
    return [_told(file, node) for node in calls if isinstance(node.node, nodes.Name) and node.node.name in CALLS]


def _told(file: Path, node: Any) -> Told:  # noqa: ANN401 - jinja2 types its nodes loosely
    from jinja2 import nodes

    try:
        arguments = [argument.as_const() for argument in node.args]
        options = {option.key: option.value.as_const() for option in node.kwargs}
    except nodes.Impossible:
        raise ProjectError(
            Place(file, node.lineno),
            f"{node.node.name} takes constants only: what a file reads must be known before it runs.",
        ) from None
    return node.node.name, arguments, options, node.lineno


def render(text: str, names: Mapping[str, object]) -> str:
    """The SQL of a template; `names` gives each name that the template may use."""
    return _template(text).render(names)


@cache
def _template(text: str) -> "Template":
    return _environment().from_string(text)


@cache
def _environment() -> "SandboxedEnvironment":
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    return SandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
