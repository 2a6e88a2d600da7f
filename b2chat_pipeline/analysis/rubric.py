"""By what the model judges, and in which form it has to answer.

Here belong the words of the rubric and the schema, with their versions. Not here: what is said around the rubric
(`prompts.py`), what an answer is worth (`answers.py`, `scores.py`). Versions are made of the texts
themselves, so that no change can go by without one.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

LEVELS = (0, 25, 50, 75, 100)
FEELINGS = ("positive", "neutral", "negative", "unknown")


@dataclass(frozen=True)
class Criterion:
    """One thing that is judged, with what each level from the lowest to the highest means."""

    name: str
    question: str
    anchors: tuple[str, str, str, str, str]
    no_evidence: str


CRITERIA = (
    Criterion(
        "matter_settled",
        "Was the matter that the customer wrote about settled?",
        (
            "nothing was done",
            "the company listened but did not help",
            "partly settled, or only promised",
            "settled as far as the messages tell, without a word of the customer about it",
            "settled, and the customer confirms it",
        ),
        "the messages do not tell what the matter is",
    ),
    Criterion(
        "questions_answered",
        "Were the customer's questions answered?",
        ("none", "few", "about half", "most", "all"),
        "the customer asked nothing",
    ),
    Criterion(
        "next_step_clear",
        "Does the customer know what happens next?",
        (
            "left without a word about it",
            "vague, such as 'we will see'",
            "what happens, but not when",
            "what happens and when; or nothing is left to do, but nobody says so",
            "what happens, when and who does it; or it is said that all is done",
        ),
        "the conversation breaks off before it matters",
    ),
    Criterion(
        "satisfaction",
        "How content is the customer at the end, by their own words?",
        ("anger or a complaint", "displeased", "neither content nor displeased", "polite thanks", "delighted"),
        "the customer shows no feeling at all",
    ),
    Criterion(
        "ease",
        "How little trouble did the customer have to take?",
        (
            "had to repeat the matter again and again",
            "repeated or chased more than once",
            "repeated or chased once",
            "a small hiccup",
            "none",
        ),
        "the customer wrote fewer than two messages",
    ),
)
NAMES = tuple(criterion.name for criterion in CRITERIA)


def _criterion_text(criterion: Criterion) -> str:
    levels = "\n".join(f"  {level}: {meaning}" for level, meaning in zip(LEVELS, criterion.anchors, strict=True))
    return f"{criterion.name}: {criterion.question}\n{levels}\n  null: {criterion.no_evidence}"


def _object(**properties: object) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
    }


def _list_of(items: object) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _or_null(schema: object) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


_TEXT, _NUMBER = {"type": "string"}, {"type": "integer"}
_FEELING = {"type": "string", "enum": list(FEELINGS)}
_JUDGEMENT = _object(
    evidence=_list_of(_object(message=_NUMBER, quote=_TEXT)),
    reason=_TEXT,
    level=_or_null({"type": "integer", "enum": list(LEVELS)}),
)

RUBRIC = "\n\n".join(_criterion_text(criterion) for criterion in CRITERIA)
SCHEMA = _object(
    criteria=_object(**dict.fromkeys(NAMES, _JUDGEMENT)),
    sentiment=_object(start=_FEELING, end=_FEELING),
    language=_TEXT,
    topics=_list_of(_TEXT),
    root_causes=_list_of(_TEXT),
    recommendations=_list_of(_object(message=_or_null(_NUMBER), advice=_TEXT)),
    injection_suspected={"type": "boolean"},
)


def version(number: int, text: str) -> str:
    """A number for people, and a hash that no change goes by."""
    return f"{number}.{hashlib.sha256(text.encode()).hexdigest()[:8]}"


RUBRIC_VERSION = version(1, RUBRIC)
SCHEMA_VERSION = version(1, json.dumps(SCHEMA))
