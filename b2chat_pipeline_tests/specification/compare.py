"""Holds the specification against the data dictionary's own document: `python -m …compare [PATH]`."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from b2chat_pipeline_tests.specification.document import read_document
from b2chat_pipeline_tests.specification.expected import Schema, load, schema_of

DOCUMENT = Path(__file__).parents[2].joinpath("..", "shared", "design", "data_dictionary.md").resolve()


def differences(markdown: str) -> list[str]:
    """What the document and the specification do not agree on, one line each."""
    document = _facts(read_document(markdown))
    specification = _facts(schema_of(load()["dictionary"]))
    return [
        f"{fact}: the document says {document.get(fact)!r}, the specification {specification.get(fact)!r}"
        for fact in sorted(document.keys() | specification.keys())
        if document.get(fact) != specification.get(fact)
    ]


def _facts(schema: Schema) -> dict[str, Any]:
    facts: dict[str, Any] = {f"enum {name}": values for name, values in schema.enums.items()}
    for name, table in schema.tables.items():
        for kind, value in asdict(table).items():
            if isinstance(value, dict):
                facts |= {f"{name}.{column} ({kind})": text for column, text in value.items()}
                facts[f"{name} (order of {kind})"] = list(value)
            else:
                facts[f"{name} ({kind})"] = value
    return facts


def main(arguments: list[str]) -> int:
    """The exit status: 1 where they differ. A missing document is said and is no failure."""
    path = Path(arguments[0]) if arguments else DOCUMENT
    if not path.exists():
        sys.stdout.write(f"{path.name} is not here: the specification was held against nothing.\n")
        return 0
    found = differences(path.read_text(encoding="utf-8"))
    sys.stdout.writelines(f"{line}\n" for line in found)
    sys.stdout.write(f"{len(found)} differences between {path.name} and the specification.\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
