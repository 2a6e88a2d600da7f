"""What a chat means in the warehouse: a typed record becomes rows, or is put aside with a reason.

Here belongs the column mapping of chats and their messages, and nothing that needs a database. Not here: decoding
(`b2chat/decoding.py`), contacts (`people.py`), deciding whether a row is new or changed (`chats.py`). Absent and empty
text both mean "not told" and become NULL.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from operator import itemgetter
from typing import NamedTuple

import msgspec

from b2chat_pipeline.b2chat.contract import Agent, Chat, ContactStub, Message, Misfit, Named
from b2chat_pipeline.ingest.clocks import ChatClocks, duration, read_clocks, read_created_at, response_clock
from b2chat_pipeline.ingest.rows import ChatPlaced, ChatTold
from b2chat_pipeline.ingest.values import (
    LONGEST_INDEXED_TEXT,
    UnstorableError,
    check_indexed,
    check_key,
    check_nesting,
    content_hash,
    lines_hash,
)
from b2chat_pipeline.ingest.vocabulary import chat_provider, chat_status, message_type
from b2chat_pipeline.warehouse.identifiers import derived_id, derived_ids, epoch_seconds
from b2chat_pipeline.warehouse.write import NULL, copy_fields, copy_text
from b2chat_pipeline.windows import AccountClock, Stamp

_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True)
class MappedChat:
    """A chat that fits: what is needed to compare it with the stored row, and to write it if it differs."""

    record: Chat
    clock: AccountClock
    created_at: datetime
    department: str | None
    agent: Agent | None
    contact: ContactStub | None
    # The messages whose clocks can be read, and their places in the list they were told in.
    told: Sequence[Message]
    places: Sequence[int]
    row_hash: bytes
    messages_hash: bytes | None

    @cached_property
    def clocks(self) -> ChatClocks:
        """Its clocks. Most chats are told unchanged, and need none but the first."""
        return read_clocks(self.record, self.clock)

    @cached_property
    def stamps(self) -> list[Stamp]:
        """The instants of its messages; needed as seldom."""
        return [stamp for record in self.told if (stamp := self.clock.stamp(record.created_at)) is not None]

    @property
    def unread(self) -> int:
        """Customer messages after the last outgoing one."""
        told = zip(self.stamps, self.places, self.told, strict=True)
        latest_first = sorted([(stamp[0], place, record.incoming) for stamp, place, record in told], reverse=True)
        outgoing = (count for count, (_, _, incoming) in enumerate(latest_first) if not incoming)
        return next(outgoing, len(latest_first))

    @property
    def latest(self) -> datetime:
        """The latest clock known of it, its own or a message's."""
        own = self.clocks.latest
        if not self.stamps:
            return own
        epoch, *_ = max(self.stamps, key=itemgetter(0))
        return max(own, datetime.fromtimestamp(epoch, UTC))

    @cached_property
    def new_fields(self) -> str:
        """What it tells of its row, where it is not stored yet."""
        return copy_fields(chat_told(self, self.new_id))

    @cached_property
    def new_lines(self) -> bytes:
        """The lines of its messages where it is not stored yet. In UTF-8: one emoji makes a text four times as long."""
        return "".join(message_lines(self, self.new_id).values()).encode()

    def make_ready(self) -> None:
        """Work out what a new row takes: the slow part of writing one, which can be done ahead, without a database."""
        _ = self.new_fields, self.new_lines
        for name in ("clocks", "stamps"):
            self.__dict__.pop(name, None)

    def forget(self) -> None:
        """Let go of what was worked out: it takes as much memory as its messages."""
        for name in ("clocks", "stamps", "new_id", "new_fields", "new_lines"):
            self.__dict__.pop(name, None)

    @property
    def key(self) -> str:
        """The chat's id at the source."""
        return self.record.chat_id

    @cached_property
    def new_id(self) -> str:
        """The key of its row, where it is not stored yet."""
        return derived_id(epoch_seconds(self.created_at), "chat", self.key)


@dataclass(frozen=True, slots=True)
class Parents:
    """The stored keys of what chats refer to, by their keys at the source."""

    departments: dict[str, str]
    agents: dict[str, str]
    contacts: dict[str, str]


def map_chat(record: Chat, raw: bytes, clock: AccountClock) -> tuple[MappedChat | None, list[Misfit]]:
    """The chat as it will be stored, and what had to be put aside: the whole chat, its people, messages."""
    misfits: list[Misfit] = []
    try:
        check_key(record.chat_id, "$.chat_id")
        check_indexed(record.alias, "$.alias")
        _check_untyped(record)
        tags = tag_names(record)
        created_at = read_created_at(record, clock)
    except UnstorableError as error:
        key = record.chat_id[:LONGEST_INDEXED_TEXT]
        return None, [Misfit("chats", key, error.reason, error.path, raw)]
    agent = _usable_agent(record, misfits)
    contact = _usable_contact(record, misfits)
    told, places = _readable_messages(record, clock, misfits)
    department = _usable_department(record, misfits)
    mapped = MappedChat(
        record=record,
        clock=clock,
        created_at=created_at,
        department=department,
        agent=agent,
        contact=contact,
        told=told,
        places=places,
        row_hash=content_hash(
            *(record.alias, record.provider, record.status, record.is_agent_available, record.duration, tags),
            *(department, agent and agent.username, contact and str(contact.id), record.created_at, record.opened_at),
            *(record.picked_up_at, response_clock(record), record.closed_at),
        ),
        messages_hash=_messages_hash(told),
    )
    return mapped, misfits


def chat_told(mapped: MappedChat, row_id: str) -> ChatTold:
    """What a chat tells of its row."""
    record, clocks = mapped.record, mapped.clocks
    return ChatTold(
        id=row_id,
        b2chat_id=mapped.key,
        provider=chat_provider(record.provider),
        raw_provider=record.provider,
        status=chat_status(record.status),
        raw_status=record.status,
        is_agent_available=record.is_agent_available,
        alias=record.alias or None,
        tags=tag_names(record),
        unread_count=mapped.unread,
        created_at=clocks.created_at,
        opened_at=clocks.opened_at,
        picked_up_at=clocks.picked_up_at,
        response_at=clocks.response_at,
        closed_at=clocks.closed_at,
        duration=duration(clocks),
        raw_duration=record.duration,
        time_flags=clocks.flags,
        last_modified_at=mapped.latest,
        row_hash=mapped.row_hash,
        messages_hash=mapped.messages_hash,
        messages_told=bool(mapped.told),
    )


def chat_line(mapped: MappedChat, told: str, parents: Parents, *, read_at: datetime, synced_at: datetime) -> bytes:
    """The row of a chat as a line of COPY: the fields it `told`, and the keys of its parents."""
    placed = ChatPlaced(
        agent_id=parents.agents[mapped.agent.username] if mapped.agent and mapped.agent.username else None,
        contact_id=parents.contacts[str(mapped.contact.id)] if mapped.contact else None,
        department_id=parents.departments[mapped.department] if mapped.department else None,
        read_at=read_at,
        last_sync_at=synced_at,
    )
    return f"{told}\t{copy_fields(placed)}\n".encode()


def message_lines(mapped: MappedChat, row_id: str) -> dict[str, str]:
    """The rows of a chat's messages, for the chat stored under `row_id`: by their ids, as lines of COPY.

    They end before `last_sync_at`, which `synced` adds: they may be made before the transaction begins.

    The API gives messages no id, so their keys are made of all that tells two of them apart: chat, time (by the
    instant: a local time that does not exist is shifted onto one that does), direction, type, body, caption, and which
    of several alike it is.
    """
    make_key = derived_ids("message", mapped.key)
    lines: dict[str, str] = {}
    alike: dict[str, int] = {}
    for position, record, (epoch, timestamp, flag) in zip(mapped.places, mapped.told, mapped.stamps, strict=True):
        sort = _sort(record.type, record.incoming, record.broadcasted)
        second, told, caption = max(0, int(epoch)), record.body or "", record.caption or ""
        content = f"{sort.identity}{told if sort.is_text else _lasting_body(told)}\x1f{caption}\x1f"
        key = make_key(second, f"{content}1")
        if key in lines:
            alike[key] = alike.get(key, 1) + 1
            key = make_key(second, f"{content}{alike[key]}")
        body = copy_text(told) if told else NULL
        # In the order of MESSAGE_COLUMNS.
        lines[key] = (
            f"{key}\t{row_id}\t{body if sort.is_text else NULL}\t{sort.fields}\t{body if sort.is_image else NULL}"
            f"\t{body if sort.is_file else NULL}\t{copy_text(caption) if caption else NULL}"
            f"\t{NULL if record.location is None else _location(record.location)}\t{position}\t{timestamp}"
            f"\t{flag or NULL}\n"
        )
    return lines


def synced(lines: bytes, at: datetime) -> bytes:
    """Lines of messages with `last_sync_at`, their last column. In the text format a line feed only ends lines."""
    return lines.replace(b"\n", f"\t{at.isoformat()}\n".encode())


class _Sort(NamedTuple):
    """What messages of one type and direction have in common."""

    is_text: bool
    is_image: bool
    is_file: bool
    # How what tells them apart begins, and the columns from `type` to `broadcasted`.
    identity: str
    fields: str


@lru_cache(maxsize=1024)
def _sort(raw_type: str, incoming: bool, broadcasted: bool | None) -> _Sort:  # noqa: FBT001
    kind, side = message_type(raw_type), "in" if incoming else "out"
    fields = (kind, copy_text(raw_type), str(incoming), NULL if broadcasted is None else str(broadcasted))
    return _Sort(kind == "text", kind == "image", kind == "file", f"{side}\x1f{raw_type}\x1f", "\t".join(fields))


def _lasting_body(address: str) -> str:
    """An address without its query string, which may be a signature that changes with each answer."""
    return address.partition("?")[0]


def _location(told: object) -> str:
    return copy_text(msgspec.json.encode(told).decode())


def department_name(department: str | Named | None) -> str | None:
    """The department's trimmed name, its only identity; None where none is told."""
    name = department.name if isinstance(department, Named) else department
    return (name or "").strip() or None


def tag_names(record: Chat) -> list[str]:
    """The chat's tags by name, each once, in the order told. Raises UnstorableError where one is too long."""
    names = [tag.name if isinstance(tag, Named) else tag for tag in record.tags or ()]
    for name in names:
        check_indexed(name, "$.tags")
    return list(dict.fromkeys(names))


def _check_untyped(record: Chat) -> None:
    """Raises UnstorableError where a value of any form is nested too deeply."""
    if record.contact is not None:
        check_nesting(record.contact.custom_attributes, "$.contact.custom_attributes")
        check_nesting(record.contact.tags, "$.contact.tags")
    for message in record.messages or ():
        if message.location is not None:
            check_nesting(message.location, "$.messages[].location")


def _usable_agent(record: Chat, misfits: list[Misfit]) -> Agent | None:
    agent = record.agent
    # An object without any value is how the API may tell that a chat has no agent.
    if agent is None or (agent.username, agent.name, agent.email) == (None, None, None):
        return None
    try:
        check_key(agent.username or "", "$.agent.username")
    except UnstorableError as error:
        misfits.append(Misfit("agents", record.chat_id, error.reason, error.path, msgspec.json.encode(agent)))
        return None
    return agent


def _usable_contact(record: Chat, misfits: list[Misfit]) -> ContactStub | None:
    contact = record.contact
    if contact is None:
        return None
    try:
        check_key(str(contact.id), "$.contact.id")
        check_indexed(contact.email, "$.contact.email")
        check_indexed(contact.mobile_number, "$.contact.mobile_number")
        check_indexed(contact.phone_number, "$.contact.phone_number")
    except UnstorableError as error:
        misfits.append(Misfit("contacts", record.chat_id, error.reason, error.path, msgspec.json.encode(contact)))
        return None
    return contact


def _usable_department(record: Chat, misfits: list[Misfit]) -> str | None:
    name = department_name(record.department)
    if name is None:
        return None
    try:
        check_key(name, "$.department")
    except UnstorableError as error:
        raw = msgspec.json.encode(record.department)
        misfits.append(Misfit("departments", record.chat_id, error.reason, error.path, raw))
        return None
    return name


def _readable_messages(
    record: Chat, clock: AccountClock, misfits: list[Misfit]
) -> tuple[Sequence[Message], Sequence[int]]:
    """The messages whose clocks can be read, and their places in the list; the others are put aside."""
    messages = record.messages or []
    if clock.reads_all([message.created_at for message in messages]):
        return messages, range(len(messages))
    places = [place for place, message in enumerate(messages) if clock.reads(message.created_at)]
    for place in sorted(set(range(len(messages))) - set(places)):
        path, raw = f"$.messages[{place}].created_at", msgspec.json.encode(messages[place])
        misfits.append(Misfit("messages", record.chat_id, "no time that can be read", path, raw))
    return [messages[place] for place in places], places


def _messages_hash(told: Sequence[Message]) -> bytes | None:
    """A hash over the set of messages, in whatever order they are told; None where none are told."""
    if not told:
        return None
    plain = [it if it.type == "TEXT" and it.body and it.caption != "" else _lasting(it) for it in told]
    return lines_hash(_ENCODER.encode_lines(plain))


def _lasting(record: Message) -> Message:
    """The message without what may change while it stays the same: signatures, and which word says "nothing"."""
    body = record.body or ""
    if message_type(record.type) != "text":
        body = _lasting_body(body)
    return msgspec.structs.replace(record, body=body or None, caption=record.caption or None)
