"""What became of one request: a score, or why there is none. Pure.

Here belongs what the service's answer means. Not here: what the model's text says (`answers.py`), writing it down
(`outcomes.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from b2chat_pipeline.analysis.answers import CheckedAnswer, UnusableAnswerError, check
from b2chat_pipeline.analysis.requests import Prepared
from b2chat_pipeline.analysis.scores import DECISIVE, Scores, contradiction, scores
from b2chat_pipeline.analysis.terms import Usage
from b2chat_pipeline.analysis.transcript import Transcript

Kind = Literal["scored", "undecided", "voided", "refused", "truncated", "held", "failed", "canary"]
# What another attempt may mend, and is therefore asked for once more.
WORTH_ANOTHER: frozenset[Kind] = frozenset({"voided", "truncated"})
MOST_ATTEMPTS = 2
_CUT = frozenset({"max_tokens", "model_context_window_exceeded"})


class UnreadableReplyError(Exception):
    """The service answered with something that is no message: nobody knows what it cost."""


class _Content(msgspec.Struct, frozen=True):
    type: str
    text: str = ""


class _Message(msgspec.Struct, frozen=True):
    content: Sequence[_Content]
    usage: Usage
    stop_reason: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What an answer is worth; `scored` and `checked` are there where it can be told."""

    kind: Kind
    reason: str = ""
    scored: Scores | None = None
    checked: CheckedAnswer | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Message:
    """A message of the service as received, with its usage."""

    raw: Mapping[str, Any] = field(repr=False)
    usage: Usage
    raw_usage: Mapping[str, Any]
    text: str = field(repr=False)
    stop_reason: str | None


def read_message(body: bytes) -> Message:
    """The message that the service answered with. Raises UnreadableReplyError."""
    try:
        raw = msgspec.json.decode(body)
        message = msgspec.convert(raw, type=_Message)
    except (msgspec.ValidationError, msgspec.DecodeError):
        raise UnreadableReplyError("the service's answer is no message") from None
    text = "".join(each.text for each in message.content if each.type == "text")
    return Message(raw, message.usage, raw["usage"], text, message.stop_reason)


def checked_text(message: Message, transcript: Transcript) -> CheckedAnswer | Verdict:
    """What a message says of a transcript; a verdict where it says nothing that can be used."""
    if message.stop_reason == "refusal":
        return Verdict("refused", "the model refused to judge")
    if message.stop_reason in _CUT:
        return Verdict("truncated", f"the answer was cut short ({message.stop_reason})")
    if message.stop_reason not in {"end_turn", "stop_sequence"}:
        return Verdict("voided", "the model stopped without an answer")
    try:
        return check(message.text, transcript)
    except UnusableAnswerError as error:
        return Verdict("voided", f"the answer {error}")


def judge(message: Message, prepared: Prepared) -> Verdict:
    """What a message about a chat is worth."""
    checked = checked_text(message, prepared.transcript)
    if isinstance(checked, Verdict):
        return checked
    scored = scores(checked.levels, prepared.candidate.clock)
    if scored is None:
        return _undecided(checked)
    contradicted = contradiction(scored, answered_turns=prepared.candidate.answered_turns)
    if contradicted is not None:
        return Verdict("held", contradicted, scored, checked)
    return Verdict("scored", scored=scored, checked=checked)


def _undecided(checked: CheckedAnswer) -> Verdict:
    if DECISIVE in checked.voided:
        return Verdict("voided", f"the criterion {DECISIVE} {checked.voided[DECISIVE]}", checked=checked)
    return Verdict("undecided", f"the messages hold no evidence for {DECISIVE}", checked=checked)
