"""What the API's answers may look like: typed records for chats, messages, agents and both forms of a contact.

Here belong the records and what may become of one. Not here: decoding (`decoding.py`), what a record means in the
warehouse (`ingest/`), HTTP (`client.py`), paging. A field that may be absent has a default; a field whose absence makes
a record, or a part of one, unusable has none. Unknown fields are ignored here and stay in the stored page.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from msgspec import Struct

Endpoint = Literal["/chats/export", "/contacts/export"]
CHATS: Endpoint = "/chats/export"
CONTACTS: Endpoint = "/contacts/export"
# What each endpoint tells of; the first is what the records of its lists are.
ENTITIES: Mapping[Endpoint, tuple[str, ...]] = {
    CHATS: ("chats", "messages", "agents", "departments", "contacts"),
    CONTACTS: ("contacts",),
}
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class NotAPageError(ValueError):
    """A body that holds no list of records: an error object, HTML, or another shape."""


class Named(Struct, frozen=True, gc=False):
    """A tag (of a contact, or of a chat in its object form) or a department in its object form."""

    name: str


class Agent(Struct, frozen=True, gc=False):
    """The agent of a chat. There is no number: the username is the key, null where the chat has no agent."""

    username: str | None
    name: str | None = None
    email: str | None = None


class ContactStub(Struct, frozen=True, gc=False):
    """The short form of a contact, embedded in its chats."""

    id: int | str
    name: str | None = None
    mobile_number: str | None = None
    phone_number: str | None = None
    email: str | None = None
    identification: str | None = None
    custom_attributes: Any = None
    tags: Any = None


class Message(Struct, frozen=True, gc=False):
    """One message. There is no id, no author, no delivery state."""

    created_at: str
    incoming: bool
    type: str
    body: str | None = None
    broadcasted: bool | None = None
    caption: str | None = None
    location: Any = None


class Chat(Struct, frozen=True, gc=False):
    """One chat with everything that is told inside it. Clocks are naive, in the account's zone."""

    chat_id: str
    created_at: str
    alias: str | None = None
    provider: str | None = None
    status: str | None = None
    agent: Agent | None = None
    contact: ContactStub | None = None
    department: str | Named | None = None
    is_agent_available: bool | None = None
    opened_at: str | None = None
    picked_up_at: str | None = None
    responded_at: str | None = None
    response_at: str | None = None
    closed_at: str | None = None
    duration: str | None = None
    tags: list[str | Named] | None = None
    messages: list[Message] | None = None


class Contact(Struct, frozen=True, gc=False):
    """The full form of a contact, from /contacts/export. Clocks are naive, in the account's zone."""

    contact_id: int | str
    updated: str | None = None
    created: str | None = None
    fullname: str | None = None
    mobile: str | None = None
    landline: str | None = None
    email: str | None = None
    identification: str | None = None
    address: str | None = None
    city: str | None = None
    country: str | None = None
    company: str | None = None
    merchant_id: int | str | None = None
    custom_attributes: Any = None
    tags: Any = None


@dataclass(frozen=True)
class Page:
    """One page as told: its records undecoded, and the number of matches it claims (None where that is no count).

    `total_type` is the JSON type of that claim, empty where there is none.
    """

    records: list[bytes]
    total: int | None
    total_type: str = "int"


@dataclass(frozen=True)
class Misfit:
    """A record, or a part of a chat, that cannot be loaded: why, where, and the record or the part as it came."""

    entity: str
    # The record's own; of a part, the chat's.
    key: str | None
    reason: str
    path: str
    raw: bytes


@dataclass(frozen=True)
class Decoded:
    """What became of one raw record: the typed record where it fits, what had to be put aside, what was passed over."""

    record: Chat | Contact | None
    misfits: tuple[Misfit, ...] = ()
    # Tags that are none, and objects that name nobody: no table loses a row by them.
    ignored: tuple[Misfit, ...] = ()
