"""What the API's answers may look like: typed records for chats, messages, agents and both forms of a contact.

Here belongs decoding one stored page into records, and saying exactly what does not fit and where. Not here: what a
record means in the warehouse (`ingest/`), HTTP (`client.py`), paging. A field that may be absent has a default; a field
whose absence makes a record unusable has none. Unknown fields are ignored here and stay in the stored page.
"""

import json
import math
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from msgspec import Struct

Endpoint = Literal["/chats/export", "/contacts/export"]
CHATS: Endpoint = "/chats/export"
CONTACTS: Endpoint = "/contacts/export"
# The key of the record list in an answer of each endpoint.
_LIST_KEYS = {CHATS: "chats", CONTACTS: "contacts"}

# More than any list holds, and no more than an integer column takes: a larger total is no count.
LARGEST_TOTAL = 2**31 - 1

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class NotAPageError(ValueError):
    """A body that holds no list of records: an error object, HTML, or another shape."""


class Named(Struct, frozen=True, gc=False):
    """A tag (of a contact, or of a chat in its object form) or a department in its object form."""

    name: str


class Agent(Struct, frozen=True, gc=False):
    """The agent of a chat. There is no number: the username is the key."""

    username: str | None = None
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


class Chat(Struct, frozen=True):
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


class Contact(Struct, frozen=True):
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
    """A record, or one message of a chat, that cannot be loaded: why, where, and the record as it came."""

    entity: str
    key: str | None
    reason: str
    path: str
    raw: bytes


@dataclass(frozen=True)
class Decoded:
    """What became of one raw record: the typed record where it fits, and what had to be put aside."""

    record: Chat | Contact | None
    misfits: tuple[Misfit, ...] = ()


class _ChatPage(Struct):
    chats: list[msgspec.Raw]
    total: Any = msgspec.UNSET


class _ContactPage(Struct):
    contacts: list[msgspec.Raw]
    total: Any = msgspec.UNSET


class _ChatHead(Struct):
    chat_id: Any = None
    created_at: Any = None


class _ContactHead(Struct):
    contact_id: Any = None
    updated: Any = None


_CHAT_HEAD = msgspec.json.Decoder(_ChatHead)
_CONTACT_HEAD = msgspec.json.Decoder(_ContactHead)
_CHAT_PAGE = msgspec.json.Decoder(_ChatPage)
_CONTACT_PAGE = msgspec.json.Decoder(_ContactPage)
_CHAT = msgspec.json.Decoder(Chat)
_CONTACT = msgspec.json.Decoder(Contact)
# What msgspec raises for bytes that are no JSON, for text that is no UTF-8, and for nesting without end.
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_JSON_TYPES: dict[type, str] = {
    type(msgspec.UNSET): "",
    type(None): "null",
    bool: "bool",
    int: "int",
    float: "float",
    str: "str",
    list: "array",
}
_UNREADABLE = "no JSON that can be read"
_UNSTORABLE_KEY = "the key holds characters no text column takes"


def decode_page(body: bytes, endpoint: Endpoint) -> Page:
    """The records of a page, undecoded. Raises NotAPageError where the body holds no list of them."""
    try:
        if endpoint == CHATS:
            chats = _CHAT_PAGE.decode(body)
            return _page([bytes(raw) for raw in chats.chats], chats.total)
        contacts = _CONTACT_PAGE.decode(body)
        return _page([bytes(raw) for raw in contacts.contacts], contacts.total)
    except _UNDECODABLE:
        return _decode_odd_page(body, endpoint)


def _decode_odd_page(body: bytes, endpoint: Endpoint) -> Page:
    """A page that msgspec refuses: the standard parser takes lone surrogates, and bytes that are no UTF-8."""
    key = _LIST_KEYS[endpoint]
    try:
        answer = json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise NotAPageError("the body is not JSON") from None
    if not isinstance(answer, dict) or not isinstance(answer.get(key), list):
        raise NotAPageError(f"the body holds no list named {key!r}")
    return _page([json.dumps(record).encode() for record in answer[key]], answer.get("total", msgspec.UNSET))


def _page(records: list[bytes], total: object) -> Page:
    return Page(records, _count(total), _JSON_TYPES.get(type(total), "object"))


def decode_head(raw: bytes, endpoint: Endpoint) -> tuple[str | None, str | None]:
    """The key of a raw record, and the clock its list is ordered by; None where one cannot be read."""
    try:
        if endpoint == CHATS:
            chat = _CHAT_HEAD.decode(raw)
            return _text(chat.chat_id), _text(chat.created_at)
        contact = _CONTACT_HEAD.decode(raw)
        return _text(contact.contact_id), _text(contact.updated)
    except _UNDECODABLE:
        return None, None


def _text(value: object) -> str | None:
    return str(value) if isinstance(value, str | int) else None


def _count(total: object) -> int | None:
    return total if isinstance(total, int) and not isinstance(total, bool) and 0 <= total <= LARGEST_TOTAL else None


def decode_chat(raw: bytes) -> Decoded:
    """A chat with its messages; messages that do not fit are put aside one by one, so the rest of the chat loads."""
    if is_plain(raw):
        try:
            return Decoded(_CHAT.decode(raw))
        except _UNDECODABLE:
            pass
    return _decode_odd_chat(raw)


def decode_contact(raw: bytes) -> Decoded:
    """A contact in its full form."""
    if is_plain(raw):
        try:
            return Decoded(_CONTACT.decode(raw))
        except _UNDECODABLE:
            pass
    return _decode_odd_contact(raw)


def _decode_odd_contact(raw: bytes) -> Decoded:
    try:
        loose = _loose(raw)
    except (ValueError, RecursionError):
        return Decoded(None, (Misfit("contacts", None, _UNREADABLE, "$", raw),))
    key = _key(loose, "contact_id")
    if _unstorable(key):
        return Decoded(None, (Misfit("contacts", None, _UNSTORABLE_KEY, "$.contact_id", raw),))
    try:
        return Decoded(msgspec.convert(_storable(loose), Contact))
    except msgspec.ValidationError as error:
        return Decoded(None, (_misfit("contacts", key, error, raw),))


def _decode_odd_chat(raw: bytes) -> Decoded:
    try:
        loose = _loose(raw)
    except (ValueError, RecursionError):
        return Decoded(None, (Misfit("chats", None, _UNREADABLE, "$", raw),))
    key = _key(loose, "chat_id")
    if _unstorable(key):
        return Decoded(None, (Misfit("chats", None, _UNSTORABLE_KEY, "$.chat_id", raw),))
    misfits: list[Misfit] = []
    if isinstance(loose, dict) and isinstance(loose.get("messages"), list):
        loose = {**loose, "messages": _fitting_messages(loose["messages"], key, misfits)}
    try:
        return Decoded(msgspec.convert(_storable(loose), Chat), tuple(misfits))
    except msgspec.ValidationError as error:
        return Decoded(None, (_misfit("chats", key, error, raw),))


def _fitting_messages(messages: list[object], key: str | None, misfits: list[Misfit]) -> list[object]:
    """The messages that fit; the others are added to `misfits` with their place in the list."""
    fitting: list[object] = []
    for place, message in enumerate(messages):
        try:
            msgspec.convert(_storable(message), Message)
            fitting.append(message)
        except msgspec.ValidationError as error:
            raw = json.dumps(message).encode()
            misfits.append(_misfit("messages", key, error, raw, root=f"$.messages[{place}]"))
    return fitting


def _misfit(entity: str, key: str | None, error: msgspec.ValidationError, raw: bytes, *, root: str = "$") -> Misfit:
    reason, _, path = str(error).partition(" - at `")
    return Misfit(entity, key, reason, root + path.rstrip("`").removeprefix("$"), raw)


def _loose(raw: bytes) -> object:
    """The record by the standard parser. Raises ValueError, or RecursionError where it is nested without end."""
    text = raw.decode("utf-8", "replace")
    loose: object = json.loads(text, parse_float=_finite, parse_constant=_no_constant)
    return loose


def _finite(text: str) -> float | str:
    """A number of an untyped field; one beyond any float stays text, for no jsonb column takes infinity."""
    number = float(text)
    return number if math.isfinite(number) else text


def messages_told(raw: bytes) -> int:
    """How many messages a raw chat holds, whether they fit or not."""
    try:
        loose = _loose(raw)
    except (ValueError, RecursionError):
        return 0
    messages = loose.get("messages") if isinstance(loose, dict) else None
    return len(messages) if isinstance(messages, list) else 0


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _key(loose: object, name: str) -> str | None:
    return _text(loose.get(name)) if isinstance(loose, dict) else None


def is_plain(raw: bytes) -> bool:
    """Whether no text of a record can be one that PostgreSQL does not take."""
    return b"\\u" not in raw or not _has_unstorable_text(raw)


def _has_unstorable_text(raw: bytes) -> bool:
    """Whether the JSON spells a NUL or a surrogate (perhaps a harmless pair: an escaped emoji)."""
    return b"\\u0000" in raw or b"\\ud" in raw.lower()


def _unstorable(text: str | None) -> bool:
    return text is not None and ("\x00" in text or any("\ud800" <= character <= "\udfff" for character in text))


def _storable(value: object) -> object:
    """The same value with every NUL and lone surrogate, which PostgreSQL's text does not take, replaced by U+FFFD."""
    if isinstance(value, str):
        return value.replace("\x00", REPLACEMENT).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    return value
