"""The share of planted data that the redaction takes out, and of ordinary sentences that it leaves as they are."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from b2chat_pipeline.analysis.redaction import Person, Redactor
from b2chat_pipeline.analysis.transcript import Line, Transcript
from b2chat_pipeline_tests.personal_data.ordinary import ordinary
from b2chat_pipeline_tests.personal_data.variants import KINDS, Variant, plain, variants

_TOKEN = re.compile(r"<[A-Z]+_\d+>")
_WORD = re.compile(r"\w+")
# Groups of one or two digits are nobody's without their neighbours.
_SHORTEST = 3


@dataclass(frozen=True)
class Recall:
    """Of one kind: how often it was planted and missed by the way it was written, and sentences that still tell it."""

    kind: str
    planted: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    examples: list[tuple[Variant, str]] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Found of planted."""
        return 1 - self.missed.total() / self.planted.total()


def recall_of(kind: str, number: int, seed: int) -> Recall:
    """What is found of so many variants of one kind."""
    recall = Recall(kind)
    for variant in variants(kind, number, seed):
        recall.planted[variant.way] += 1
        left = redacted(variant.text, variant.names)
        if tells(left, variant):
            recall.missed[variant.way] += 1
            recall.examples.append((variant, left))
    return recall


def all_recalls(number: int, seed: int) -> Iterator[Recall]:
    """Of each kind of personal data."""
    return (recall_of(kind, number, seed) for kind in KINDS)


def changed_ordinary(number: int, seed: int) -> Iterator[tuple[str, str, str]]:
    """Ordinary sentences that are not left as they are: what each is about, and before and after."""
    for about, text in ordinary(number, seed):
        left = redacted(text)
        if left != text:
            yield about, text, left


def redacted(text: str, names: Iterable[str] = ()) -> str:
    """A message as it leaves, where these names are known."""
    line = Line(1, "customer", "2025-03-03T12:00:00Z", "text", text)
    people = [Person(names=[name]) for name in names]
    [left] = Redactor(people).redacted(Transcript([line])).lines
    assert left.text is not None
    return left.text


def tells(left: str, variant: Variant) -> bool:
    """Whether a secret, or any digit of one made of digits, is left. The sentences around have no digits."""
    rest = plain(_TOKEN.sub(" ", left))
    if variant.kind in {"phone", "card"}:
        return any(character.isdigit() for character in rest)
    words = set(_WORD.findall(rest))
    return any(
        plain(secret) in words if plain(secret).isalpha() else plain(secret) in rest
        for secret in variant.secrets
        if len(secret) >= _SHORTEST
    )
