"""One account-local day of chats, decoded: what is told of each chat, by whom it is referred to, and what does not fit.

Here belongs turning raw records into a batch that is ready to be written, and counting them. Not here: the database.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from psycopg import Connection

from b2chat_pipeline.b2chat.contract import CHATS, Agent, Chat, ContactStub
from b2chat_pipeline.b2chat.decoding import told_inside
from b2chat_pipeline.b2chat.drift import DriftWatch
from b2chat_pipeline.ingest.mapping import MappedChat, map_chat
from b2chat_pipeline.ingest.received import Received, Tally, rejected
from b2chat_pipeline.ingest.vocabulary import is_known
from b2chat_pipeline.warehouse.ledger import Counts, Rejected
from b2chat_pipeline.windows import AccountClock


@dataclass(frozen=True, slots=True)
class Telling:
    """What one read tells of a chat."""

    chat: MappedChat
    read_at: datetime
    hour: datetime


class _Recency(NamedTuple):
    """Which of several tellings of a person is the newest: the one read last, then the one of the newest chat."""

    read_at: datetime
    created_at: datetime


class _Placing(NamedTuple):
    """Which of several tellings of an agent's department is the newest: that of the newest chat, then the last read."""

    created_at: datetime
    read_at: datetime


@dataclass(slots=True)
class Mentioned:
    """The hour a batch's reference to somebody is counted in, and the creation of the newest chat that holds one."""

    hour: datetime
    seen_at: datetime


@dataclass(slots=True)
class AgentTold(Mentioned):
    """What a batch tells of an agent: the newest words on it, and the newest chat that puts it into a department."""

    agent: Agent
    told_by: _Recency
    department: str | None = None
    placed_by: _Placing | None = None


@dataclass(slots=True)
class ContactTold(Mentioned):
    """What a batch tells of a contact: its newest short form, and when it was last seen in a chat."""

    stub: ContactStub
    told_by: _Recency


@dataclass
class ChatBatch:
    """A day of chats, each once, with everybody they refer to, each once."""

    chats: dict[str, Telling] = field(default_factory=dict)
    departments: dict[str, Mentioned] = field(default_factory=dict)
    agents: dict[str, AgentTold] = field(default_factory=dict)
    contacts: dict[str, ContactTold] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    watch: DriftWatch = field(default_factory=lambda: DriftWatch(CHATS))
    # How often each value of an open vocabulary was told, by its path.
    values: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    tally: Tally = field(default_factory=lambda: defaultdict(Counts))


@dataclass
class DayWrite:
    """One attempt to write a batch: what it has counted and inserted so far. Another attempt begins anew."""

    connection: Connection
    batch: ChatBatch
    synced_at: datetime
    tally: Tally = field(init=False)
    inserted: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    # The entities that have rows in their staging tables.
    staged: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.tally = deepcopy(self.batch.tally)


def chat_batch(records: Iterable[Received], clock: AccountClock) -> ChatBatch:
    """Decode and map a day's records. A chat told twice counts once, as the newest read tells it."""
    batch = ChatBatch()
    for received in records:
        telling = _telling(received, clock, batch)
        if telling is None:
            continue
        known = batch.chats.get(telling.chat.key)
        if known is None:
            batch.chats[telling.chat.key] = telling
            continue
        older, newer = sorted((known, telling), key=lambda told: told.read_at)
        batch.chats[telling.chat.key] = newer
        _count(batch.tally, older, "repeated")
        _count_people(batch.tally, older)
    for telling in batch.chats.values():
        _note_people(batch, telling)
    for (path, value), number in batch.values.items():
        if value and not is_known(path, value):
            batch.watch.value(path, value, number)
    return batch


def count_messages(tally: Mapping[tuple[str, datetime], Counts], telling: Telling, term: str, number: int) -> None:
    """Add a number of a chat's messages to one term of its hour."""
    counts = tally["messages", telling.hour]
    setattr(counts, term, getattr(counts, term) + number)


def count_chat(tally: Mapping[tuple[str, datetime], Counts], telling: Telling, term: str) -> None:
    """Add a chat to one term of its hour."""
    counts = tally["chats", telling.hour]
    setattr(counts, term, getattr(counts, term) + 1)


def _count(tally: Tally, telling: Telling, term: str) -> None:
    count_chat(tally, telling, term)
    count_messages(tally, telling, term, len(telling.chat.told))


def _count_people(tally: Tally, telling: Telling) -> None:
    """Count whom a repeated telling refers to: all of them are told again by the one that stays."""
    chat = telling.chat
    named = {
        "departments": chat.department,
        "agents": chat.agent and chat.agent.username,
        "contacts": chat.contact,
    }
    for entity, told in named.items():
        if told:
            tally[entity, telling.hour].received += 1
            tally[entity, telling.hour].repeated += 1


def _telling(received: Received, clock: AccountClock, batch: ChatBatch) -> Telling | None:
    """The chat of a raw record, or None where it does not fit; counts it and puts aside what does not fit."""
    decoded = batch.watch.decoded(received.raw)
    misfits, mapped = list(decoded.misfits), None
    if isinstance(decoded.record, Chat):
        _note_values(decoded.record, batch.values)
        mapped, unstorable = map_chat(decoded.record, received.raw, clock)
        # A chat that is put aside whole takes its parts along.
        misfits = unstorable if mapped is None else misfits + unstorable
    batch.rejected.extend(rejected(misfit, received, CHATS) for misfit in misfits)
    if mapped is None:
        _count_quarantined(batch.tally, received.hour, {"chats": 1} | told_inside(received.raw))
        return None
    batch.tally["chats", received.hour].received += 1
    batch.tally["messages", received.hour].received += len(mapped.told)
    _count_quarantined(batch.tally, received.hour, Counter(misfit.entity for misfit in misfits))
    return Telling(mapped, received.read_at, received.hour)


def _count_quarantined(tally: Tally, hour: datetime, numbers: Mapping[str, int]) -> None:
    for entity, number in numbers.items():
        tally[entity, hour].received += number
        tally[entity, hour].quarantined += number


def _note_values(chat: Chat, values: Counter[tuple[str, str | None]]) -> None:
    values["$.status", chat.status] += 1
    values["$.provider", chat.provider] += 1
    for kind in {message.type for message in chat.messages or ()}:
        values["$.messages[].type", kind] += 1


def _note_people(batch: ChatBatch, telling: Telling) -> None:
    chat = telling.chat
    if chat.department:
        _note_department(batch, chat.department, telling)
    if chat.agent and chat.agent.username:
        _note_agent(batch, chat.agent, chat.agent.username, telling)
    if chat.contact:
        _note_contact(batch, chat.contact, telling)


def _mention(batch: ChatBatch, entity: str, telling: Telling, *, first: bool) -> None:
    """Count a reference; of several to the same one, all but the first repeat it."""
    counts = batch.tally[entity, telling.hour]
    counts.received += 1
    if not first:
        counts.repeated += 1


def _note_department(batch: ChatBatch, name: str, telling: Telling) -> None:
    created_at = telling.chat.created_at
    known = batch.departments.get(name)
    _mention(batch, "departments", telling, first=known is None)
    if known is None:
        batch.departments[name] = Mentioned(telling.hour, created_at)
    else:
        known.seen_at = max(known.seen_at, created_at)


def _note_agent(batch: ChatBatch, agent: Agent, username: str, telling: Telling) -> None:
    created_at, department = telling.chat.created_at, telling.chat.department
    recency = _Recency(telling.read_at, created_at)
    known = batch.agents.get(username)
    _mention(batch, "agents", telling, first=known is None)
    if known is None:
        known = batch.agents[username] = AgentTold(telling.hour, created_at, agent, recency)
    elif recency > known.told_by:
        known.agent, known.told_by = agent, recency
    known.seen_at = max(known.seen_at, created_at)
    placing = _Placing(created_at, telling.read_at)
    if department and (known.placed_by is None or placing >= known.placed_by):
        known.department, known.placed_by = department, placing


def _note_contact(batch: ChatBatch, stub: ContactStub, telling: Telling) -> None:
    created_at = telling.chat.created_at
    recency = _Recency(telling.read_at, created_at)
    known = batch.contacts.get(str(stub.id))
    _mention(batch, "contacts", telling, first=known is None)
    if known is None:
        batch.contacts[str(stub.id)] = ContactTold(telling.hour, created_at, stub, recency)
        return
    if recency > known.told_by:
        known.stub, known.told_by = stub, recency
    known.seen_at = max(known.seen_at, created_at)
