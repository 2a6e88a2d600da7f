"""A transcript as the judge reads it: who wrote which sentences, without orders to whoever judges.

Belongs here: the form of a transcript, and what counts as an order. Not here: what the sentences mean (`judge`).
"""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec


class _Told(msgspec.Struct):
    """A message as a request holds it."""

    n: int
    sender: str = msgspec.field(name="from")
    text: str | None


class _Request(msgspec.Struct):
    messages: list[_Told]


@dataclass(frozen=True, kw_only=True)
class Line:
    """A message: its sentences, each a part of its text. Media without a caption has none."""

    n: int
    by_customer: bool
    sentences: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """The messages in their order, and whether any of them held an order."""

    lines: tuple[Line, ...]
    gives_orders: bool


def read_transcript(text: str) -> Transcript | None:
    """The transcript that a request's text is; None where it is something else.

    What reads like an order to a judge is taken out before any rule sees it, so that it cannot move a level; a message
    that is nothing but an order is as if it had not been sent.
    """
    try:
        told = msgspec.json.decode(text, type=_Request).messages
    except msgspec.DecodeError:
        return None
    lines, gives_orders = [], False
    for it in told:
        kept, cut = _without_orders(it.text or "")
        gives_orders |= cut
        sentences = tuple(sentence for part in kept for sentence in _sentences(part))
        if sentences or not cut:
            lines.append(Line(n=it.n, by_customer=it.sender == "customer", sentences=sentences))
    return Transcript(lines=tuple(lines), gives_orders=gives_orders)


# Up to the end of the line: tags of a prompt's own markup (a redaction's tokens look otherwise), and other speakers.
_FAKED = (
    r"</?(?:messages?|system|assistant|instructions?|prompt|user)\b[^>\n]*>",
    r"\b(?:system|sistema|assistant)\s*:",
)
# Up to the end of the sentence.
_ORDERED = (
    r"\b(?:ignore|disregard|forget|override)\b.{0,40}\b(?:instructions?|rules?|rubric|prompt)\b",
    r"\b(?:ignor|olvid)[ae]\b.{0,40}\b(?:instrucci\w+|reglas|r[uú]brica)\b",
    r"\b(?:you are now|new instructions?|nuevas instrucciones)\b",
    r"\b(?:levels?|scores?|criteri\w+|nivel\w*|puntaj\w*|calificaci\w+)\b.{0,40}\b100\b",
    r"\b(?:give|award|assign|score|rate|answer|pon|da|dale|asigna|califica)\b.{0,30}\b100\b.{0,5}\b(?:every|all|for|on|en)",
)
_LEADING = r"(?:\b(?:please|por favor|all|every|the|tod[ao]s|l[ao]s)\b,?\s+){0,3}"
_ORDER = re.compile(rf"(?:{'|'.join(_FAKED)})[^\n]*|{_LEADING}(?:{'|'.join(_ORDERED)})[^.!?\n]*[.!?]*", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{24,}={0,2}")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|\n+")


def _without_orders(text: str) -> tuple[list[str], bool]:
    """What is left of a text beside its orders, plain or in base64, and whether there was any."""
    left, begin = [], 0
    for start, end in sorted(_orders(text)):
        left.append(text[begin:start])
        begin = max(begin, end)
    left.append(text[begin:])
    return left, begin > 0


def _orders(text: str) -> Iterator[tuple[int, int]]:
    yield from (found.span() for found in _ORDER.finditer(text))
    yield from (found.span() for found in _BASE64.finditer(text) if _ORDER.search(_decoded(found[0])))


def _decoded(encoded: str) -> str:
    plain = encoded.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4)).decode(errors="replace")
    except binascii.Error:
        return ""


def _sentences(text: str) -> Iterator[str]:
    """The sentences of a text as they are written, without the blanks around them."""
    yield from (sentence for part in _SENTENCE_END.split(text) if (sentence := part.strip()))
