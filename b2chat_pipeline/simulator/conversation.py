"""What is said in one chat, message by message.

Belongs here: texts, media and their pace. Not here: the chat's own clocks (`timeline`).
"""

from random import Random

from b2chat_pipeline.simulator.dialogue import ENGLISH, MEDIA, MEDIA_WEIGHTS, SPANISH, Language, Topic
from b2chat_pipeline.simulator.script import SIGNATURE_MARK, Message

_DAY = 86_400
_MEDIA_KINDS = tuple(MEDIA)


class Conversation:
    """Collects a chat's messages while its course is invented."""

    def __init__(self, rng: Random, *, language: Language, topic: Topic, planned: int) -> None:
        self.topic = topic
        self._language = language
        self._rng = rng
        self._planned = planned
        self._order = f"#{rng.randrange(10_000, 99_999)}"
        self._said: list[Message] = []
        self.last_at = 0

    @classmethod
    def begin(cls, rng: Random, *, messages: float) -> "Conversation":
        """A conversation of about so many messages (a mean), in either language."""
        language = SPANISH if rng.random() < 0.75 else ENGLISH
        planned = max(1, round(rng.gammavariate(6, messages / 6)))
        return cls(rng, language=language, topic=rng.choice(language.topics), planned=planned)

    def messages(self) -> tuple[Message, ...]:
        """Everything said, in order of time; what shares a second keeps the order it was said in."""
        return tuple(sorted(self._said, key=lambda message: message.at))

    def open_inbound(self, created: int) -> None:
        """What comes before the queue: perhaps an old broadcast, perhaps the bot, and the customer's opening."""
        rng = self._rng
        if rng.random() < 0.06:
            self._say(created - rng.randrange(3600, 45 * _DAY), rng.choice(self._language.broadcast), broadcasted=True)
        opening = rng.choice(self.topic.openings)
        if rng.random() < 0.35 and self._planned > 4:
            at = created - rng.randrange(60, 900)
            self._hear(at, opening)
            for question, reply in self._language.bot:
                self._say(at + 1, question)
                at = min(at + rng.randrange(5, 40), created - 1)
                self._hear(at, reply)
            return
        self._hear(created - min(int(rng.expovariate(1 / 60)) + 1, 1000), opening)

    def open_outbound(self, created: int) -> None:
        """The line an agent begins with."""
        self._say(created, self._rng.choice(self._language.agent_openings))

    def customer_answers(self, at: int) -> int:
        """The customer's first message in a chat an agent began; returns when."""
        self._hear(at, self._rng.choice(self.topic.openings))
        return at

    def greet(self, at: int) -> None:
        """The automatic greeting after the pick-up."""
        self._say(at, self._language.greeting)

    def answer(self, at: int) -> None:
        """The agent's first real answer."""
        self._say(at, self._rng.choice(self.topic.first_answers))

    def exchange(self, at: int) -> int:
        """Customer and agent in turns until the planned number is reached; returns when the last one was sent."""
        rng, turn = self._rng, 0
        while len(self._said) < self._planned:
            turns = self.topic.turns
            customer, agent = turns[turn] if turn < len(turns) else rng.choice(self._language.small_talk)
            turn += 1
            at = self._customer_turn(at + self._pause(), customer)
            if len(self._said) < self._planned and rng.random() < 0.93:
                at = self._agent_turn(at + self._pause(), agent)
        return self.last_at

    def come_back(self, at: int, *, answered: bool) -> None:
        """The customer writes again after the chat was closed."""
        customer, agent = self._rng.choice(self._language.small_talk)
        self._hear(at, customer)
        if answered:
            self._say(at + self._pause(), agent)

    def farewell(self, at: int) -> None:
        """The automatic last word after closing."""
        self._say(at, self._language.farewell)

    def ask_for_rating(self, at: int) -> None:
        """The survey's question."""
        self._say(at, self._language.survey)

    def rate(self, at: int, *, rating: int | None) -> None:
        """The customer's answer to the survey: a bare digit, or a way of saying no."""
        if rating is None:
            self._hear(at, self._rng.choice(self._language.declines))
            return
        self._hear(at, str(rating))
        self._say(at + 1, self._language.survey_thanks)

    def _pause(self) -> int:
        rng = self._rng
        if rng.random() < 0.02:
            return rng.randrange(3600, _DAY)
        return 4 + int(rng.expovariate(1 / 70))

    def _customer_turn(self, at: int, text: str) -> int:
        fate = self._rng.random()
        if fate < 0.09:
            self._attach(at, incoming=True)
            return at
        self._hear(at, text)
        if fate > 0.99:
            # A double tap: two messages that nothing tells apart.
            self._hear(at, text)
        return at

    def _agent_turn(self, at: int, text: str) -> int:
        fate = self._rng.random()
        if fate < 0.06:
            self._attach(at, incoming=False)
            return at
        self._say(at, text)
        if fate > 0.985:
            self._hear(at, self._language.small_talk[0][0])
        return at

    def _attach(self, at: int, *, incoming: bool) -> None:
        rng = self._rng
        kind = rng.choices(_MEDIA_KINDS, MEDIA_WEIGHTS)[0] if incoming else rng.choice(("FILE", "IMAGE"))
        extension, captions = MEDIA[kind]
        url = f"https://files.example.test/{rng.getrandbits(64):016x}.{extension}?signature={SIGNATURE_MARK}"
        self._add(Message(at, incoming, kind, url, caption=rng.choice(captions)))

    def _hear(self, at: int, text: str) -> None:
        self._add(Message(at, True, "TEXT", text.replace("{order}", self._order)))  # noqa: FBT003 - hot path

    def _say(self, at: int, text: str, *, broadcasted: bool = False) -> None:
        self._add(Message(at, False, "TEXT", text.replace("{order}", self._order), broadcasted))  # noqa: FBT003 - hot path

    def _add(self, message: Message) -> None:
        self._said.append(message)
        self.last_at = max(self.last_at, message.at)
