"""What a model's answer says, checked as strictly as nobody but us checks it.

The service binds an answer to the schema's shape, not to its truth: numbers may still be out of range, and quotes
invented. Not here: what the service does instead of answering (`service.py`), and what levels add up to (`scores.py`).
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from b2chat_pipeline.analysis.rubric import NAMES
from b2chat_pipeline.analysis.transcript import Transcript

Feeling = Literal["positive", "neutral", "negative", "unknown"]
Level = Literal[0, 25, 50, 75, 100]


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message that a level rests on, with a part of its text."""

    message: int
    quote: str


class Judgement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The level of one criterion; None where the messages do not tell."""

    evidence: list[Evidence]
    reason: str
    level: Level | None


class Sentiment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the customer felt at both ends."""

    start: Feeling
    end: Feeling


class Recommendation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Advice to the company's side, perhaps about one message."""

    message: int | None
    advice: str


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything a model says of one conversation."""

    criteria: dict[str, Judgement]
    sentiment: Sentiment
    language: str
    topics: list[str]
    root_causes: list[str]
    recommendations: list[Recommendation]
    injection_suspected: bool


class UnusableAnswerError(Exception):
    """An answer that is none. The text says what is wrong and where, and quotes nothing of it."""


@dataclass(frozen=True)
class CheckedAnswer:
    """An answer whose levels can be used: those whose evidence did not hold are gone, and named in `voided`."""

    answer: Answer
    levels: Mapping[str, int]
    voided: Mapping[str, str]


def check(text: str, transcript: Transcript) -> CheckedAnswer:
    """Decode an answer about a transcript. Raises UnusableAnswerError where its shape or a level is not as asked."""
    answer = _decode(text)
    levels: dict[str, int] = {}
    voided: dict[str, str] = {}
    for name, judgement in answer.criteria.items():
        if judgement.level is None:
            continue
        problem = _problem(judgement.evidence, transcript)
        if problem is None:
            levels[name] = judgement.level
        else:
            voided[name] = problem
    return CheckedAnswer(answer, levels, voided)


def _decode(text: str) -> Answer:
    try:
        answer = msgspec.json.decode(text, type=Answer)
    except msgspec.ValidationError as error:
        raise UnusableAnswerError(_without_values(str(error))) from None
    except msgspec.DecodeError:
        raise UnusableAnswerError("is no JSON") from None
    missing, surplus = set(NAMES) - answer.criteria.keys(), answer.criteria.keys() - set(NAMES)
    if missing:
        raise UnusableAnswerError(f"lacks the criterion {min(missing)}")
    if surplus:
        raise UnusableAnswerError("holds a criterion that was not asked for")
    return answer


def _without_values(sentence: str) -> str:
    """What msgspec says about a misfit, without the value it may repeat: only what kind of misfit, and where."""
    what, _, path = sentence.partition(" - at ")
    kind = next((kind for sign, kind in _MISFITS if sign in what), "holds a value of another type than asked for")
    return f"{kind} at {path}" if path else kind


_MISFITS = (
    ("missing required field", "lacks a field"),
    ("unknown field", "holds a field that was not asked for"),
    ("Invalid enum value", "holds a value that was not on offer"),
)


def _problem(evidence: Sequence[Evidence], transcript: Transcript) -> str | None:
    """Why a level's evidence does not hold; None where it does."""
    if not evidence:
        return "has no evidence"
    for each in evidence:
        said = transcript.text_of(each.message)
        if said is None:
            return "cites a message without text"
        quote = _plain(each.quote)
        if not quote or quote not in _plain(said):
            return "has a quote that is not in the message it cites"
    return None


def _plain(text: str) -> str:
    """A text with one blank wherever there is white space, accents composed: how a quote may differ from its source."""
    return " ".join(unicodedata.normalize("NFC", text).split())
