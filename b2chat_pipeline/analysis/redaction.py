"""Takes personal data out of texts before they leave: stable tokens such as <PHONE_1> stand in its place.

The same value has the same token within one conversation; which value that is, nobody keeps. What a text only resembles
is taken out too: too little left is a weaker score, too much left is somebody's number in foreign hands.
Not here: what else of a message is sent (`transcript.py`).
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec

from b2chat_pipeline.analysis.transcript import Transcript

# Goes into the key of a score: whoever changes what is taken out raises it.
REDACTION_VERSION = "2"

_BREAK = r"[ \t]*\n[ \t]*"
_AT = r"(?:\s*(?:@|\((?:at|arroba)\)|\[(?:at|arroba)\])\s*|\s+arroba\s+)"
# Ends of addresses that are taken for such where there are spaces around the dot, as at the end of a sentence.
_ENDING = r"(?:com|co|net|org|edu|gov|info|biz|app|io|mx|cl|pe|ar|ec|ve|br|es|us|eu|uk|fr|de|example|test)"
_DOT = rf"(?:\.|{_BREAK}\.|\.{_BREAK}|\s+punto\s+|\s+dot\s+|\s*\.\s*(?={_ENDING}\b))"
# What can begin at one place only and is never given back (`++`) costs one look at each character, however long a text.
_LOCAL = r"(?<![\w.+%'\-])[\w.+%'\-]++"
_LABEL = r"[\w\-]++"
# An address may be broken over lines: then the word before the break belongs to it, or seems to.
_EMAIL = re.compile(
    rf"(?:{_LOCAL}{_BREAK})?{_LOCAL}{_AT}{_LABEL}(?:{_BREAK}{_LABEL})?(?:{_DOT}{_LABEL})+"
    # Without a space the word may be part of another: then the end must be known.
    rf"|(?<![\w.+\-])[\w.+\-]{{1,64}}arroba{_LABEL}(?>{_DOT}{_LABEL}){{0,5}}{_DOT}{_ENDING}\b"
)
_LINK = re.compile(
    r"\b(?:https?|ftp)://\S+"
    r"|\bwww\.\S+"
    r"|(?<![\w\-])[\w\-]++(?:\.[\w\-]++){1,9}+/\S*"
    r"|(?<![\w\-])[\w\-]++(?:\.[\w\-]++){0,8}\.(?:com|net|org|info|biz|app|edu|gov)(?:\.[a-z]{2})?\b"
)
# Digits with what people put between them. Seven are a phone number without its area.
_DIGITS = re.compile(r"(?:\+[ \t]?)?\(?\d(?:[\s().\-/·\u2013]{0,3}\d){6,}")
# Words and currencies that a number may follow, not the letters of a document.
_WORDS = (
    r"(?:a|al|con|cop|clp|de|del|el|en|es|eur|for|hay|is|la|las|los|lo|me|mi|mxn|my|n|no|nro|o|of|pen|por|que|se|si|son|su"
    r"|the|to|tu|un|una|usd|y|ya)\s"
)
_DOCUMENTS = (
    # Documents with letters in them: tax and population numbers, passports, identity cards.
    re.compile(r"\b[a-z]{4}\d{6}[hm][a-z]{5}[a-z0-9]\d\b"),
    re.compile(r"\b[a-z&]{3,4}[\-\s]?\d{6}[\-\s]?[a-z0-9]{3}\b"),
    re.compile(rf"\b(?!{_WORDS})[a-z]{{1,3}}[\-\s]?\d{{6,9}}[a-z]?\b"),
    re.compile(r"\b\d{1,3}(?:[.\s]?\d{3}){2}[\s\-]?[\dk]\b"),
    re.compile(r"\b\d{7,8}[\s\-]?[a-z]\b"),
)
# A number that somebody calls a document, however short it is.
_CALLED_DOCUMENT = re.compile(
    r"\b(?:c\.?\s?c\b|c\.\s?e\b|ce\b|t\.\s?i\b|ti:|d\.?\s?n\.?\s?i\b|n\.?\s?i\.?\s?t\b|cedula\b|rut\b|cpf\b|curp\b|rfc\b"
    r"|nie\b|ine\b|ssn\b|passport\b|pasaporte\b|doc\b|documento\b|identificacion\b|id\b)"
    r"[\s:#.\-°]{0,3}"
    r"(?:(?:numero|number|no|nro|n|el|es|e|is|de (?:identidad|ciudadania|extranjeria))\b[\s:#.\-°]{0,3}){0,3}"
    r"(?P<number>[a-z]{0,3}[\s\-]?\d(?:[\s.,\-]{0,2}[\da-z]\b|[\s.,\-]{0,2}\d){3,})"
)
# Digits that are nobody's: amounts with their currency, days of these years and times of day.
_HARMLESS = re.compile(
    r"(?:[$€£]|\b(?:cop|usd|mxn|clp|pen|eur)\b)\s?\d{1,3}(?:[.,]\d{3})+(?:[.,]\d{1,2})?\b(?![.,\-/]?\d)"
    r"|(?<![\w.,\-/])\d{1,3}(?:[.,]\d{3})+(?:[.,]\d{1,2})?\s(?:pesos|soles|euros|dolares|cop|usd|mxn|clp|pen|eur)\b"
    r"|(?<![\w.\-/])[0-3]?\d\.(?:0?\d|1[0-2])\.20\d{2}\b(?![.\-/]?\d)"
    r"|(?<![\w.\-/])20\d{2}-(?:0\d|1[0-2])-[0-3]\d(?:[t\s]\d{2}:\d{2})?\b(?![.\-/]?\d)"
    r"|(?<![\w.\-/])[0-3]?\d([/\-])(?:0?\d|1[0-2])\1(?:20)?\d{2}\b(?:\s\d{1,2}:\d{2})?(?![.\-/]?\d)"
)
_DIGIT_RUN = re.compile(r"\d")
_CARD_DIGITS = range(13, 20)
_PHONE_DIGITS = range(7, 16)
# Parts of names that are words of the language rather than somebody's.
_PARTICLES = frozenset({"de", "del", "la", "las", "los", "el", "y", "da", "do", "dos", "van", "von", "the", "and"})
_SHORTEST_NAME, _SHORTEST_VALUE = 3, 5
# So many more may follow a part of a name without a space between.
_MOST_PARTS = 5


@dataclass(frozen=True)
class Person:
    """What we know of somebody a conversation may name: texts that must not leave."""

    names: Sequence[str] = ()
    # Numbers and addresses, each as it is stored.
    values: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class _Span:
    start: int
    end: int
    kind: str
    # What makes two places the same value.
    value: str


class Redactor:
    """Takes out of texts what personal data looks like, and what is known of some people."""

    def __init__(self, people: Iterable[Person]) -> None:
        people = list(people)
        self._names = _names_pattern(name for person in people for name in person.names)
        self._values = [
            (kind, pattern)
            for kind, pattern in ((kind, _value_pattern(value)) for person in people for kind, value in person.values)
            if pattern is not None
        ]

    def redacted(self, transcript: Transcript) -> Transcript:
        """The same conversation with tokens for personal data."""
        tokens = _Tokens()
        lines = (msgspec.structs.replace(it, text=self._text(it.text, tokens)) for it in transcript.lines)
        return Transcript(list(lines))

    def _text(self, text: str | None, tokens: "_Tokens") -> str | None:
        if text is None:
            return None
        folded = _Folded.of(text)
        out, end = [], 0
        for span in _merged(self._spans(folded.text)):
            start, stop = folded.original(span.start, span.end)
            out += [text[end:start], tokens.token(span)]
            end = stop
        return "".join([*out, text[end:]])

    def _spans(self, text: str) -> Iterator[_Span]:
        yield from _found(_LINK, "LINK", text)
        yield from _found(_EMAIL, "EMAIL", text)
        for kind, pattern in self._values:
            yield from _found(pattern, kind, text)
        yield from _numbers(text)
        if self._names is not None:
            yield from _found(self._names, "NAME", text)


class _Tokens:
    """The tokens of one conversation, in order of appearance. Forgotten with it."""

    def __init__(self) -> None:
        self._tokens: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}

    def token(self, span: _Span) -> str:
        key = (span.kind, span.value)
        if key not in self._tokens:
            self._counts[span.kind] = self._counts.get(span.kind, 0) + 1
            self._tokens[key] = f"<{span.kind}_{self._counts[span.kind]}>"
        return self._tokens[key]


@dataclass(frozen=True)
class _Folded:
    """A text in small letters without accents and invisible characters, and where each character came from."""

    text: str
    places: Sequence[int]
    length: int

    @classmethod
    def of(cls, text: str) -> "_Folded":
        folded: list[str] = []
        places: list[int] = []
        for place, character in enumerate(text):
            for plain in fold(character):
                folded.append(plain)
                places.append(place)
        return cls("".join(folded), places, len(text))

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The part of the text as written that a part of the folded one stands for, marks that follow it included."""
        stop = self.places[end] if end < len(self.places) else self.length
        return self.places[start], stop


def fold(text: str) -> str:
    """A text in small letters, without accents and invisible characters, digits of all scripts as ours."""
    return "".join(map(_plain, unicodedata.normalize("NFKD", text))).casefold()


def _plain(character: str) -> str:
    if character.isascii():
        return character
    if unicodedata.combining(character) or unicodedata.category(character) == "Cf":
        return ""
    if character.isspace():
        return " "
    digit = unicodedata.digit(character, None)
    return character if digit is None else str(digit)


def is_card_number(digits: str) -> bool:
    """Whether digits are as many as a card has and pass the check of Luhn (ISO/IEC 7812-1)."""
    if len(digits) not in _CARD_DIGITS:
        return False
    doubled = [sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2]]
    return (sum(doubled) + sum(map(int, digits[-1::-2]))) % 10 == 0


def _found(pattern: re.Pattern[str], kind: str, text: str) -> Iterator[_Span]:
    for match in pattern.finditer(text):
        yield _Span(match.start(), match.end(), kind, "".join(match[0].split()))


def _numbers(text: str) -> Iterator[_Span]:
    """Cards, phone numbers and documents, by their digits."""
    searched = _HARMLESS.sub(lambda match: _DIGIT_RUN.sub("_", match[0]), text)
    for match in _DIGITS.finditer(searched):
        digits = _digits_of(match[0])
        yield _Span(match.start(), match.end(), _kind_of(match[0], digits), digits)
    for match in _CALLED_DOCUMENT.finditer(searched):
        yield _Span(match.start("number"), match.end("number"), "DOCUMENT", _compact(match["number"]))
    for pattern in _DOCUMENTS:
        for match in pattern.finditer(searched):
            yield _Span(match.start(), match.end(), "DOCUMENT", _compact(match[0]))


def _kind_of(written: str, digits: str) -> str:
    if is_card_number(digits):
        return "CARD"
    if len(digits) not in _PHONE_DIGITS:
        return "NUMBER"
    return "PHONE" if written.lstrip().startswith(("+", "(")) or len(digits) > 8 else "NUMBER"


def _digits_of(text: str) -> str:
    return "".join(_DIGIT_RUN.findall(text))


def _compact(text: str) -> str:
    return "".join(character for character in text if character.isalnum())


def _merged(spans: Iterable[_Span]) -> list[_Span]:
    """Spans in order of place; those that overlap are one, of the kind that was recognized first."""
    ranked = sorted(enumerate(spans), key=lambda each: (each[1].start, each[0]))
    merged: list[tuple[int, _Span]] = []
    for rank, span in ranked:
        if merged and span.start < merged[-1][1].end:
            before_rank, before = merged[-1]
            first = span if rank < before_rank else before
            whole = replace(first, start=before.start, end=max(before.end, span.end))
            merged[-1] = (min(rank, before_rank), whole)
        else:
            merged.append((rank, span))
    return [span for _, span in merged]


def _names_pattern(names: Iterable[str]) -> re.Pattern[str] | None:
    """Finds whole names, and each part of one that is long enough to be somebody's."""
    whole: set[str] = set()
    known: set[str] = set()
    short: set[str] = set()
    for name in names:
        parts = [part for part in re.split(r"\W+", fold(name)) if part]
        if len(parts) > 1:
            whole.add(r"\W{0,3}".join(map(re.escape, parts)))
        short |= {re.escape(part) for part in parts if len(part) < _SHORTEST_NAME}
        known |= {re.escape(part) for part in parts if len(part) >= _SHORTEST_NAME and part not in _PARTICLES}
    if not known:
        return None
    # Whole names first: one is one token, not one for each of its parts. Parts may be written without a space between.
    one = "|".join(_longest_first(known))
    more = "|".join(_longest_first(known | short | _PARTICLES))
    names = "|".join([*_longest_first(whole), rf"(?:{one})(?:['\u2019]?(?:{more})){{0,{_MOST_PARTS}}}+"])
    return re.compile(rf"(?<!\w)(?:{names})(?!\w)")


def _longest_first(texts: Iterable[str]) -> list[str]:
    return sorted(texts, key=lambda text: (-len(text), text))


def _value_pattern(value: str) -> re.Pattern[str] | None:
    """Finds a known value, however it is spaced; None where it is too short to be anybody's."""
    plain = [character for character in fold(value) if character.isalnum()]
    if len(plain) < _SHORTEST_VALUE:
        return None
    return re.compile(r"(?<!\w)" + r"\W{0,4}".join(map(re.escape, plain)) + r"(?!\w)")
