"""The YAML files of the project, as mappings that know their line.

Not here: what the entries mean (`project.py`).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from b2chat_pipeline.transform.models import Place, ProjectError

# The one written in C reads the project's files ten times as fast.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Entry:
    """A mapping of a YAML file."""

    def __init__(self, values: dict[str, Any], place: Place) -> None:
        self._values = values
        self.place = place

    def only(self, *names: str) -> "Entry":
        """The same entry. Raises ProjectError where it has other keys than these."""
        for name in self._values:
            if name not in names:
                raise ProjectError(self.place, f"{name} is not known here: use {', '.join(names)}.")
        return self

    def text(self, name: str, *, what: str) -> str:
        """A text that must be there; `what` says of what, for the sentence."""
        text = self.optional_text(name)
        if not text:
            raise ProjectError(self.place, f"{what} has no {name}: write one.")
        return text

    def optional_text(self, name: str) -> str:
        """A text, its lines joined; empty where there is none."""
        value = self._values.get(name, "")
        if not isinstance(value, str):
            raise ProjectError(self.place, f"{name} must be a text.")
        return " ".join(value.split())

    def value(self, name: str) -> Any:  # noqa: ANN401 - whatever YAML holds
        """A value as YAML reads it; None where there is none."""
        return self._values.get(name)

    def items(self) -> Iterable[tuple[str, Any]]:
        """All keys with their values."""
        return self._values.items()

    def entry(self, name: str) -> "Entry":
        """A mapping below this one; empty where there is none."""
        value = self._values.get(name)
        if value is None:
            return Entry({}, self.place)
        if not isinstance(value, Entry):
            raise ProjectError(self.place, f"{name} must be a mapping.")
        return value

    def entries(self, name: str) -> "Sequence[Entry]":
        """A list of mappings below this one; empty where there is none."""
        values = self.list(name)
        if not all(isinstance(value, Entry) for value in values):
            raise ProjectError(self.place, f"{name} must be a list of mappings.")
        return values

    def list(self, name: str) -> "Sequence[Any]":
        """A list below this one; empty where there is none."""
        values = self._values.get(name) or []
        if not isinstance(values, list):
            raise ProjectError(self.place, f"{name} must be a list.")
        return values


def read_yaml(file: Path, text: str) -> Entry:
    """The mapping that a YAML file holds; `file` is its name in sentences. Raises ProjectError."""

    class Loader(_Base):  # type: ignore[misc]
        """Turns each mapping into an entry of this file."""

    def entry(loader: Any, node: yaml.MappingNode) -> Entry:  # noqa: ANN401 - of either implementation
        return Entry(loader.construct_mapping(node, deep=True), Place(file, node.start_mark.line + 1))

    Loader.add_constructor("tag:yaml.org,2002:map", entry)
    try:
        told = yaml.load(text, Loader)  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ProjectError(Place(file, line), f"this is no YAML: {error.problem}.") from None
    if told is None:
        return Entry({}, Place(file))
    if not isinstance(told, Entry):
        raise ProjectError(Place(file), "the file must hold a mapping.")
    return told
