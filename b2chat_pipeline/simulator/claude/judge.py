"""The simulated judge: a few rules that look for words. It understands nothing, and is the same everywhere.

Belongs here: what follows from which words. Not here: the words (`words`), orders in the text (`transcript`).

A complaint lowers, thanks and a reported solution raise, a customer who is left without an answer lowers. Each level
rests on a sentence that is in the transcript, or is null. The levels are those of the rubric's anchors:

- `matter_settled`: 100 the customer's last words thank or report success; 75 the company's last word was that it is
  done; 50 the company answered; 25 it answered, but the customer had the last word; 0 it never answered.
- `questions_answered`: of the customer's first turn and those with a question, the share that an answer follows, in
  quarters.
- `next_step_clear`: 100 the company's last words say that something is done and when; 75 one of the two; 25 they put
  off; 0 they say nothing of it; null where they ask, or there are none.
- `satisfaction`: by the customer's last sentence with a feeling, 100 delight, 75 thanks, 25 a complaint, 0 anger; 50
  where that was the trouble they came with and they complained no more; 25 less where the customer's last words got no
  answer and are no thanks; null without a feeling.
- `ease`: 100 nothing was asked for twice; 75 there was a complaint after the first turn; 50 the customer asked again
  once, 25 twice, 0 more often; null with fewer than two messages of the customer's.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from b2chat_pipeline.simulator.claude import words
from b2chat_pipeline.simulator.claude.transcript import Line, Transcript

Record = dict[str, Any]
_LONGEST_QUOTE = 200
# In this order: who is angry and thanks is angry.
_FEELINGS = ((words.ANGER, 0), (words.COMPLAINT, 25), (words.DELIGHT, 100), (words.THANKS, 75))


@dataclass(frozen=True)
class Quote:
    """A sentence, and the number of the message that holds it."""

    message: int
    text: str

    def says(self, *patterns: re.Pattern[str]) -> bool:
        """Whether any of the patterns is in it."""
        return any(pattern.search(self.text) for pattern in patterns)


def judgement_of(transcript: Transcript) -> Record:
    """What the judge answers about a transcript."""
    chat = _Chat(transcript.lines)
    return {
        "criteria": {
            "matter_settled": _matter_settled(chat),
            "questions_answered": _questions_answered(chat),
            "next_step_clear": _next_step_clear(chat),
            "satisfaction": _satisfaction(chat),
            "ease": _ease(chat),
        },
        "sentiment": {"start": _mood(chat.turns[:1]), "end": _mood(chat.turns[-1:])},
        "language": _language(chat),
        "topics": _named(words.TOPICS, chat),
        "root_causes": _named(words.ROOT_CAUSES, chat),
        "recommendations": _recommendations(chat),
        "injection_suspected": transcript.gives_orders,
    }


@dataclass(frozen=True)
class _Turn:
    """What the customer wrote in a row, and what the company then answered itself (None: nothing)."""

    lines: tuple[Line, ...]
    answer: tuple[Line, ...]

    @property
    def quotes(self) -> list[Quote]:
        return _quotes(self.lines)


class _Chat:
    """A transcript as turns of the customer's, each with its answer."""

    def __init__(self, lines: Iterable[Line]) -> None:
        spoken = [line for line in lines if line.by_customer or not _is_automatic(line)]
        blocks = [(by_customer, tuple(block)) for by_customer, block in groupby(spoken, lambda it: it.by_customer)]
        self.turns = [
            _Turn(block, blocks[at + 1][1] if at + 1 < len(blocks) else ())
            for at, (by_customer, block) in enumerate(blocks)
            if by_customer
        ]
        self.customer = [quote for turn in self.turns for quote in turn.quotes]
        self.answers = [quote for turn in self.turns for quote in _quotes(turn.answer)]

    @property
    def is_answered(self) -> bool:
        return any(turn.answer for turn in self.turns)

    @property
    def is_left_alone(self) -> bool:
        """Whether the customer's last words, which are no thanks, got no answer."""
        return bool(self.turns) and not self.turns[-1].answer and not _is_glad(self.turns[-1])


def _matter_settled(chat: _Chat) -> Record:
    if not chat.is_answered:
        return _criterion(0, "Nobody answered the customer.", chat.customer[:1])
    if _is_glad(chat.turns[-1]):
        glad = [quote for quote in chat.turns[-1].quotes if _is_glad_word(quote)]
        return _criterion(100, "The customer's last words thank or report success.", glad[-1:])
    if chat.is_left_alone:
        return _criterion(25, "The company answered, but not the customer's last words.", chat.customer[-1:])
    if done := [quote for quote in _last_answer(chat) if quote.says(words.DONE)]:
        return _criterion(75, "The company's last word is that it is done.", done[-1:])
    return _criterion(
        50, "The company answered, and did not say that it is done.", (chat.answers or chat.customer)[-1:]
    )


def _questions_answered(chat: _Chat) -> Record:
    asked = [(turn, asking[0]) for at, turn in enumerate(chat.turns) if (asking := _questions(turn, is_first=at == 0))]
    if not asked:
        return _criterion(None, "The customer asked nothing.")
    left_open = [quote for turn, quote in asked if not turn.answer]
    answered = len(asked) - len(left_open)
    shown = left_open[:1] or [asked[-1][1]]
    return _criterion(
        round(4 * answered / len(asked)) * 25, f"{answered} of {len(asked)} questions got an answer.", shown
    )


def _next_step_clear(chat: _Chat) -> Record:
    last = _last_answer(chat)
    if not last or last[-1].says(words.QUESTION):
        return _criterion(None, "The chat breaks off before a next step.")
    done = [quote for quote in last if quote.says(words.DONE)]
    when = [quote for quote in last if quote.says(words.WHEN)]
    if done and when:
        return _criterion(100, "The company said what is done, and when.", [*done[-1:], *when[-1:]])
    if done or when:
        return _criterion(75, "The company said what is done, or when.", (done or when)[-1:])
    if vague := [quote for quote in last if quote.says(words.VAGUE)]:
        return _criterion(25, "The company put the customer off.", vague[-1:])
    return _criterion(0, "The company said nothing of a next step.", last[-1:])


def _satisfaction(chat: _Chat) -> Record:
    felt = [(quote, level) for quote in chat.customer if (level := _feeling(quote)) is not None]
    if not felt:
        return _criterion(None, "The customer shows no feeling.")
    quote, level = felt[-1]
    if level < 50 and len(chat.turns) > 1 and quote in chat.turns[0].quotes:
        level = 50
    if chat.is_left_alone:
        return _criterion(max(0, level - 25), "The customer's last feeling, and last words without an answer.", [quote])
    return _criterion(level, "The customer's last feeling.", [quote])


def _ease(chat: _Chat) -> Record:
    if sum(len(turn.lines) for turn in chat.turns) < 2 or not chat.customer:
        return _criterion(None, "The customer wrote too little.")
    if again := _asked_again(chat):
        return _criterion(max(0, 75 - 25 * len(again)), "The customer had to ask again.", again[-1:])
    later = [quote for turn in chat.turns[1:] for quote in turn.quotes]
    if hiccups := [quote for quote in later if quote.says(words.ANGER, words.COMPLAINT)]:
        return _criterion(75, "Something went wrong on the way.", hiccups[-1:])
    return _criterion(100, "Nothing had to be asked for twice.", chat.customer[-1:])


def _recommendations(chat: _Chat) -> list[Record]:
    found = []
    if chat.is_left_alone:
        found.append({"message": chat.turns[-1].lines[-1].n, "advice": "Answer the customer's last message."})
    if again := _asked_again(chat):
        found.append({"message": again[-1].message, "advice": "Say when to expect an answer before the customer asks."})
    return found


def _criterion(level: int | None, reason: str, evidence: Iterable[Quote] = ()) -> Record:
    """A criterion as the answer holds it; a level that nothing can be quoted for is no level."""
    quoted = [{"message": quote.message, "quote": quote.text[:_LONGEST_QUOTE]} for quote in evidence]
    return {"evidence": quoted, "reason": reason, "level": level if quoted else None}


def _quotes(lines: Iterable[Line]) -> list[Quote]:
    return [Quote(line.n, sentence) for line in lines for sentence in line.sentences]


def _last_answer(chat: _Chat) -> list[Quote]:
    answers = [turn.answer for turn in chat.turns if turn.answer]
    return _quotes(answers[-1]) if answers else []


def _questions(turn: _Turn, *, is_first: bool) -> list[Quote]:
    """What a turn asks. The first asks for something however it is put: that is why the customer writes."""
    return [quote for quote in turn.quotes if is_first or quote.says(words.QUESTION)]


def _asked_again(chat: _Chat) -> list[Quote]:
    said: set[str] = set()
    again = []
    for quote in chat.customer:
        repeated = quote.says(words.QUESTION) and quote.text in said
        if repeated or quote.says(words.CHASING):
            again.append(quote)
        said.add(quote.text)
    return again


def _is_automatic(line: Line) -> bool:
    return any(words.AUTOMATIC.search(sentence) for sentence in line.sentences)


def _is_glad_word(quote: Quote) -> bool:
    return quote.says(words.THANKS, words.DELIGHT, words.SETTLED) and not quote.says(words.NO_THANKS)


def _is_glad(turn: _Turn) -> bool:
    """Whether a turn thanks or reports success, and complains of nothing."""
    complains = any(quote.says(words.ANGER, words.COMPLAINT) for quote in turn.quotes)
    return any(map(_is_glad_word, turn.quotes)) and not complains


def _feeling(quote: Quote) -> int | None:
    if quote.says(words.NO_THANKS):
        return None
    return next((level for pattern, level in _FEELINGS if quote.says(pattern)), None)


def _mood(turns: list[_Turn]) -> str:
    quotes = [quote for turn in turns for quote in turn.quotes]
    feelings = [level for quote in quotes if (level := _feeling(quote)) is not None]
    if not feelings:
        return "neutral" if quotes else "unknown"
    return "positive" if feelings[-1] > 50 else "negative"


def _language(chat: _Chat) -> str:
    text = "\n".join(quote.text for quote in chat.customer)
    counts = {name: len(pattern.findall(text)) for name, pattern in words.LANGUAGES.items()}
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] else "unknown"


def _named(names: dict[str, re.Pattern[str]], chat: _Chat) -> list[str]:
    """The names whose words occur in the conversation, three at most."""
    said = [*chat.customer, *chat.answers]
    return [name for name, pattern in names.items() if any(quote.says(pattern) for quote in said)][:3]
