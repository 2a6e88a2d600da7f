"""Which output schemas the service refuses.

Belongs here: the limits of structured outputs, so that a request that passes here passes there. Not here: whether an
answer fits its schema, which nobody promises.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from b2chat_pipeline.simulator.claude.wire import Refused

_UNSUPPORTED = {
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "maxItems", "uniqueItems", "minProperties", "maxProperties"),
}


def check_output_config(config: object) -> None:
    """Refused if the output format is none, or its schema holds what structured outputs cannot promise."""
    if config is None:
        return
    if not isinstance(config, Mapping):
        raise Refused(400, "output_config: Input should be an object")
    form = config.get("format")
    if form is None:
        return
    if not isinstance(form, Mapping) or form.get("type") != "json_schema" or not isinstance(form.get("schema"), dict):
        raise Refused(400, "output_config.format: Input should be {'type': 'json_schema', 'schema': ...}")
    for problem in _problems(form["schema"]):
        raise Refused(400, f"output_config.format.schema: {problem}")


def _problems(schema: object) -> Iterator[str]:
    if isinstance(schema, list):
        for part in schema:
            yield from _problems(part)
    if not isinstance(schema, Mapping):
        return
    yield from _problems_here(schema)
    for name, part in schema.items():
        if name in {"properties", "$defs"} and isinstance(part, Mapping):
            # The names in it are the caller's own, not keywords.
            yield from _problems(list(part.values()))
        elif name not in {"enum", "const", "default"}:
            yield from _problems(part)


def _problems_here(schema: Mapping[str, Any]) -> Iterator[str]:
    kind = schema.get("type")
    if unsupported := sorted(_UNSUPPORTED & schema.keys()):
        yield f"For '{kind}' type, properties {', '.join(unsupported)} are not supported"
    if schema.get("minItems", 0) not in {0, 1}:
        yield "For 'array' type, 'minItems' values other than 0 or 1 are not supported"
    if kind == "object" and schema.get("additionalProperties") is not False:
        yield "For 'object' type, 'additionalProperties' must be explicitly set to false"
