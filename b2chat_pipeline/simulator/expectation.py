"""What a right loader must hold once it has read all that the API shows at an instant, in the dictionary's terms.

Belongs here: the dictionary's columns, derived from the world by the design's rules, independently of the pipeline.
Not here: anything imported from the pipeline, and anything a loader decides for itself (ids, sync times).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import takewhile

from b2chat_pipeline.simulator.script import Agent, ChatScript, Contact, Message, Phase
from b2chat_pipeline.simulator.state import epoch
from b2chat_pipeline.simulator.world import World, visible_indexes

_STATUSES = {
    "BOT_CHATTING": "pending",
    "OPENED": "pending",
    "PICKED_UP": "open",
    "RESPONDED_BY_AGENT": "open",
    "CLOSED": "closed",
    "COMPLETING_POLL": "closed",
    "COMPLETED_POLL": "closed",
    "ABANDONED_POLL": "closed",
    "CLOSED_BY_CONTACT": "closed",
    "LEFT_BY_CONTACT": "closed",
}
_PROVIDERS = {"whatsapp", "facebook", "telegram", "livechat", "b2cbotapi", "instagram"}


@dataclass(frozen=True, kw_only=True)
class ExpectedChat:
    """A row of `chats`. Times are UTC, `duration` is seconds; agent, contact, department are given by natural keys."""

    b2chat_id: str
    provider: str
    status: str
    alias: str
    tags: tuple[str, ...]
    unread_count: int
    created_at: datetime
    opened_at: datetime | None
    picked_up_at: datetime | None
    response_at: datetime | None
    closed_at: datetime | None
    duration: int | None
    agent: str | None
    contact: str | None
    department: str | None
    is_agent_available: bool
    last_modified_at: datetime


@dataclass(frozen=True, kw_only=True)
class ExpectedMessage:
    """A row of `messages`. URLs are without their query string, whose signature differs from answer to answer."""

    timestamp: datetime
    incoming: bool
    type: str
    text: str | None
    image_url: str | None
    file_url: str | None
    caption: str | None


@dataclass(frozen=True, kw_only=True)
class ExpectedContact:
    """A row of `contacts` after its full form was read; None where the API tells nothing or an empty string."""

    b2chat_id: str
    full_name: str
    mobile: str | None
    phone_number: str | None
    email: str | None
    identification: str | None
    address: str | None
    city: str | None
    country: str | None
    company: str | None
    custom_attributes: tuple[tuple[str, str | None], ...]
    tags: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ExpectedAgent:
    """A row of `agents`; `department` is that of the agent's newest chat that names one."""

    username: str
    name: str
    email: str
    department: str | None


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """Everything by natural key. `messages` has an entry for each chat, by time, empty where they are not told."""

    chats: dict[str, ExpectedChat]
    messages: dict[str, list[ExpectedMessage]]
    contacts: dict[str, ExpectedContact]
    agents: dict[str, ExpectedAgent]
    departments: frozenset[str]


def expected(world: World, now: datetime, *, first: date | None = None, last: date | None = None) -> Expectation:
    """What must be held at `now` (aware): chats created on the account-local days `first` to `last`, all contacts."""
    instant = epoch(now)
    scripts = list(_scripts(world, instant, first, last))
    return Expectation(
        chats={script.chat_id: _chat(world, script, instant) for script in scripts},
        messages={script.chat_id: [_message(world, it) for it in _told(script, instant)] for script in scripts},
        contacts={str(it.contact_id): _contact(it, instant) for it in world.known_contacts(instant)},
        agents=_agents(scripts, instant),
        departments=frozenset(script.department.strip() for script in scripts if script.department),
    )


def _scripts(world: World, now: int, first: date | None, last: date | None) -> Iterator[ChatScript]:
    """Chats created by `now`, oldest first."""
    today = world.local(now).date()
    begin, end = max(world.first_day, first or world.first_day), min(today, last or today)
    for ordinal in range(begin.toordinal(), end.toordinal() + 1):
        day = date.fromordinal(ordinal)
        yield from (world.chat(day, index) for index in visible_indexes(world, day, now))


def _chat(world: World, script: ChatScript, now: int) -> ExpectedChat:
    phase = script.phase(now)
    told = _told(script, now)
    created, closed = _utc(world, script.created_at), _maybe_utc(world, phase.closed_at)
    family = script.provider.lower()
    return ExpectedChat(
        b2chat_id=script.chat_id,
        provider="whatsapp" if family.startswith("whatsapp") else family if family in _PROVIDERS else "other",
        status=_STATUSES.get(phase.status, "unknown"),
        alias=script.alias,
        tags=phase.tags,
        unread_count=_unread(told),
        created_at=created,
        opened_at=_maybe_utc(world, phase.opened_at),
        picked_up_at=_maybe_utc(world, phase.picked_up_at),
        response_at=_maybe_utc(world, phase.responded_at),
        closed_at=closed,
        duration=_seconds(created, closed),
        agent=phase.agent.username if phase.agent else None,
        contact=str(script.contact.contact_id) if script.contact else None,
        department=script.department.strip() if script.department else None,
        is_agent_available=script.is_agent_available,
        last_modified_at=_last_modified(world, script, phase, told),
    )


def _seconds(created: datetime, closed: datetime | None) -> int | None:
    """From creation to closing; None while open, and where a repeated hour makes it look negative."""
    return None if closed is None or closed < created else int((closed - created).total_seconds())


def _told(script: ChatScript, now: int) -> list[Message]:
    """The messages the API tells: of chats an agent started, none."""
    return [] if script.agent_started else [it for it in script.messages if it.at <= now]


def _unread(told: list[Message]) -> int:
    """Customer messages after the last outgoing one; within a second, the order in which they are told decides."""
    return sum(1 for _ in takewhile(lambda message: message.incoming, reversed(told)))


def _last_modified(world: World, script: ChatScript, phase: Phase, told: list[Message]) -> datetime:
    own = (script.created_at, phase.opened_at, phase.picked_up_at, phase.responded_at, phase.closed_at)
    return max(_utc(world, it) for it in (*own, *(message.at for message in told)) if it is not None)


def _message(world: World, message: Message) -> ExpectedMessage:
    kind = {"TEXT": "text", "IMAGE": "image", "STICKER": "image"}.get(message.type, "file")
    url = message.body.partition("?")[0]
    return ExpectedMessage(
        timestamp=_utc(world, message.at),
        incoming=message.incoming,
        type=kind,
        text=message.body if kind == "text" else None,
        image_url=url if kind == "image" else None,
        file_url=url if kind == "file" else None,
        caption=message.caption,
    )


def _contact(contact: Contact, now: int) -> ExpectedContact:
    known = contact.version(now)
    return ExpectedContact(
        b2chat_id=str(contact.contact_id),
        full_name=known.fullname,
        mobile=f"+{known.mobile.removeprefix('+')}" if known.mobile else None,
        phone_number=known.landline or None,
        email=known.email or None,
        identification=known.identification or None,
        address=known.address or None,
        city=known.city or None,
        country=known.country or None,
        company=known.company or None,
        custom_attributes=tuple(known.custom_attributes),
        tags=tuple(name for name, _ in known.tags),
    )


def _agents(scripts: list[ChatScript], now: int) -> dict[str, ExpectedAgent]:
    """Everybody shown in a chat; later chats overwrite the department of earlier ones, unless they name none."""
    shown: dict[str, tuple[Agent, str | None]] = {}
    for script in scripts:
        if agent := script.phase(now).agent:
            _, known = shown.get(agent.username, (agent, None))
            shown[agent.username] = (agent, script.department.strip() if script.department else known)
    return {
        username: ExpectedAgent(
            username=username,
            name=agent.name,
            email=agent.email,
            department=department,
        )
        for username, (agent, department) in shown.items()
    }


def _utc(world: World, instant: int) -> datetime:
    """The instant as it can be read back from a naive local time: in a repeated hour, always its first occurrence."""
    return world.local(instant).replace(tzinfo=world.zone, fold=0).astimezone(UTC)


def _maybe_utc(world: World, instant: int | None) -> datetime | None:
    return None if instant is None else _utc(world, instant)
