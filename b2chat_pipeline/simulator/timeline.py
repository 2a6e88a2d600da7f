"""The course of one chat: who does what when, from the first message to the last survey answer.

Belongs here: the order and the timing of events. Not here: how many chats there are (`world`), what of them is
visible (`state`).
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import msgspec

from b2chat_pipeline.simulator import people
from b2chat_pipeline.simulator.conversation import Conversation
from b2chat_pipeline.simulator.script import Agent, ChatScript, Contact, Phase

_HOUR = 3600
_DAY = 86_400
_OFFICE_OPENS, _OFFICE_CLOSES = 8, 18


@dataclass(frozen=True, kw_only=True)
class Cast:
    """Who can take part in a chat, and where."""

    zone: ZoneInfo
    agents: tuple[Agent, ...]
    contact: Contact


def write_chat(
    rng: Random, *, created: int, cast: Cast, agent_started_share: float, messages_per_chat: float
) -> ChatScript:
    """Invent a chat created at the epoch second `created`. The generator decides everything else."""
    agent_started = rng.random() < agent_started_share
    provider = rng.choices(people.PROVIDERS, people.PROVIDER_WEIGHTS)[0]
    if agent_started and not provider.startswith("WHATSAPP"):
        provider = "WHATSAPPB2CHAT"
    talk = Conversation.begin(rng, messages=messages_per_chat)
    course = _Course(rng, cast, talk, created, provider)
    phases = course.agent_started() if agent_started else course.inbound()
    return ChatScript(
        chat_id=str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        alias=people.alias_of(provider, rng),
        provider=provider,
        contact=None if provider == "LIVECHAT" and rng.random() < 0.05 else cast.contact,
        department=_department(rng, talk.topic.department),
        agent_started=agent_started,
        is_agent_available=_in_office(created, cast.zone) or rng.random() < 0.2,
        tags_as_objects=rng.random() < 0.3,
        created_at=created,
        phases=phases,
        messages=talk.messages(),
    )


def _department(rng: Random, usual: str) -> str | None:
    if rng.random() < 0.45:
        return None
    return usual if rng.random() < 0.85 else rng.choices(people.DEPARTMENTS, people.DEPARTMENT_WEIGHTS)[0]


def _local(instant: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(instant, zone)


def _in_office(instant: int, zone: ZoneInfo) -> bool:
    local = _local(instant, zone)
    return local.weekday() < 6 and _OFFICE_OPENS <= local.hour < _OFFICE_CLOSES


def _next_office_time(instant: int, zone: ZoneInfo, rng: Random) -> int:
    """The instant itself in office hours, else some time in the first half hour of the next office day."""
    if _in_office(instant, zone):
        return instant
    local = _local(instant, zone)
    day = local.date() + timedelta(days=local.hour >= _OFFICE_OPENS)
    day += timedelta(days=day.weekday() == 6)
    opening = datetime(day.year, day.month, day.day, _OFFICE_OPENS, tzinfo=zone)
    return int(opening.timestamp()) + rng.randrange(1800)


class _Course:
    """The events of one chat in the order they happen, as phases; what is said goes to the conversation."""

    def __init__(self, rng: Random, cast: Cast, talk: Conversation, created: int, provider: str) -> None:
        self._rng = rng
        self._cast = cast
        self._talk = talk
        self._created = created
        self._provider = provider
        self._phases: list[Phase] = []

    def inbound(self) -> tuple[Phase, ...]:
        """A chat the customer begins: bot, queue, pick-up, automatic greeting, answers, closing, survey."""
        rng, talk = self._rng, self._talk
        talk.open_inbound(self._created)
        self._enter_queue()
        if self._phases[-1].status == "BOT_CHATTING":
            return tuple(self._phases)
        waiting_since = self._phases[-1].at
        picked = _next_office_time(waiting_since + 2 + int(rng.lognormvariate(4, 1.3)), self._cast.zone, rng)
        self._then(picked, status="PICKED_UP", picked_up_at=picked, agent=rng.choice(self._cast.agents))
        if rng.random() < 0.6:
            talk.greet(picked + rng.randrange(1, 6))
        if rng.random() < 0.88:
            self._answer(picked + 6 + int(rng.lognormvariate(4.5, 1.1)))
        self._end()
        return tuple(self._phases)

    def agent_started(self) -> tuple[Phase, ...]:
        """A chat an agent begins: picked up at once, and often never answered by the customer."""
        rng, created = self._rng, self._created
        agent = rng.choice(self._cast.agents)
        picked = created if rng.random() < 0.9 else created + rng.randrange(1, 300)
        self._phases.append(Phase(created, "PICKED_UP", agent, opened_at=created, picked_up_at=created))
        self._phases[0] = msgspec.structs.replace(self._phases[0], picked_up_at=picked if picked == created else None)
        if picked > created:
            self._then(picked, picked_up_at=picked)
        self._talk.open_outbound(created)
        if rng.random() < 0.35:
            customer = self._talk.customer_answers(picked + 60 + int(rng.expovariate(1 / (6 * _HOUR))))
            self._answer(_next_office_time(customer + 20 + int(rng.expovariate(1 / 900)), self._cast.zone, rng))
        self._end()
        return tuple(self._phases)

    def _then(self, at: int, **changes: object) -> None:
        """Add a phase: the one before with some changes."""
        self._phases.append(msgspec.structs.replace(self._phases[-1], at=at, **changes))

    def _enter_queue(self) -> None:
        rng, created = self._rng, self._created
        if rng.random() >= 0.03:
            self._phases.append(Phase(created, "OPENED", opened_at=created))
            return
        self._phases.append(Phase(created, "BOT_CHATTING"))
        if rng.random() < 0.6:
            self._then(created + rng.randrange(30, 600), status="OPENED", opened_at=created)

    def _answer(self, at: int) -> None:
        rng, talk = self._rng, self._talk
        picked = self._phases[-1].picked_up_at
        # Seen in real accounts: an answer stamped a moment before the pick-up.
        responded = picked - 2 if picked is not None and picked > self._created + 2 and rng.random() < 0.003 else at
        self._then(at, status="RESPONDED_BY_AGENT", responded_at=responded)
        talk.answer(at)
        last = talk.exchange(at)
        if rng.random() < 0.05 and last > at:
            self._then(rng.randrange(at + 1, last + 1), agent=rng.choice(self._cast.agents))

    def _end(self) -> None:
        """Close the chat (or leave it open), perhaps reopen it once, perhaps with a survey."""
        rng = self._rng
        if rng.random() < 0.04:
            return
        quiet = max(self._phases[-1].at, self._talk.last_at) + rng.randrange(60, 1800)
        lifetime = self._lifetime()
        closed = _next_office_time(max(quiet, self._created + lifetime), self._cast.zone, rng)
        tags = (self._talk.topic.tag,) if rng.random() < 0.2 else ()
        self._close(closed, tags=(*tags, "Prioritario") if tags and rng.random() < 0.2 else tags)
        if rng.random() < 0.03:
            self._reopen(closed + rng.randrange(2 * _HOUR, 3 * _DAY))
        if tags == () and rng.random() < 0.02:
            self._then(self._phases[-1].at + rng.randrange(_HOUR, 4 * _DAY), tags=("Revisado",))

    def _lifetime(self) -> int:
        """Seconds from creation to closing: minutes for some, days for most, weeks for the rest."""
        rng = self._rng
        shortest, longest = rng.choices(
            ((300, 6 * _HOUR), (6 * _HOUR, _DAY), (_DAY, 7 * _DAY), (7 * _DAY, 14 * _DAY), (14 * _DAY, 40 * _DAY)),
            (9, 8, 46, 20, 17),
        )[0]
        return rng.randrange(shortest, longest)

    def _close(self, at: int, *, tags: tuple[str, ...]) -> None:
        rng, talk = self._rng, self._talk
        if self._provider == "LIVECHAT" and rng.random() < 0.4:
            self._then(at, status=rng.choice(("CLOSED_BY_CONTACT", "LEFT_BY_CONTACT")), closed_at=at, tags=tags)
            return
        if self._phases[-1].responded_at is None or rng.random() > 0.12:
            self._then(at, status="CLOSED", closed_at=at, tags=tags)
            if rng.random() < 0.22:
                talk.farewell(at + rng.randrange(1, 3))
            return
        self._then(at, status="COMPLETING_POLL", closed_at=at, tags=tags)
        talk.ask_for_rating(at + 1)
        fate = rng.random()
        if fate < 0.2:
            return
        answered = at + 20 + int(rng.expovariate(1 / 600))
        completed = fate < 0.65
        if completed or rng.random() < 0.6:
            talk.rate(answered, rating=rng.choices((1, 2, 3, 4, 5), (6, 4, 10, 25, 55))[0] if completed else None)
        self._then(answered, status="COMPLETED_POLL" if completed else "ABANDONED_POLL")

    def _reopen(self, at: int) -> None:
        rng = self._rng
        at = max(at, self._talk.last_at + 60, self._phases[-1].at + 60)
        tags = self._phases[-1].tags
        responded = self._phases[-1].responded_at
        self._then(at, status="RESPONDED_BY_AGENT" if responded else "PICKED_UP", closed_at=None)
        self._talk.come_back(at, answered=responded is not None)
        self._then(self._talk.last_at + rng.randrange(600, _DAY), status="CLOSED", tags=tags)
        self._phases[-1] = msgspec.structs.replace(self._phases[-1], closed_at=self._phases[-1].at)
