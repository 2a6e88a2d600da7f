"""What the templates of models and tests call.

It is read from the templates by way of a file, since each run is a new process: jinja2 alone takes a tenth of a second
to import. The file is keyed by the texts themselves, so one that was changed is not in it and is parsed. After a change
of the models: `python -m b2chat_pipeline.transform.calls`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from b2chat_pipeline.transform.models import Place, Project
from b2chat_pipeline.transform.templates import calls_in

FILE = Path(__file__).with_name("calls.json")


@dataclass(frozen=True)
class Call:
    """One call in a template."""

    name: str
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]
    place: Place


def calls_of(file: Path, text: str) -> list[Call]:
    """The calls of a template, in no special order. Raises ProjectError."""
    known = _known().get(_key(text))
    told = calls_in(file, text) if known is None else known
    return [Call(name, tuple(arguments), options, Place(file, line)) for name, arguments, options, line in told]


def calls_of_project(project: Project) -> str:
    """The text of the file: the calls of every template that is a file."""
    texts = [(model.place.file, model.text) for model in project.models.values()]
    texts += [(test.place.file, test.text) for test in project.tests if not test.subject]
    known = {_key(text): calls_in(file, text) for file, text in texts}
    lines = (f"{json.dumps(key)}: {json.dumps(known[key])}" for key in sorted(known))
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _key(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()


@cache
def _known() -> dict[str, list[Any]]:
    told: dict[str, list[Any]] = json.loads(FILE.read_text())
    return told


if __name__ == "__main__":
    from b2chat_pipeline.transform.project import models_folder, read_project

    FILE.write_text(calls_of_project(read_project(models_folder())))
