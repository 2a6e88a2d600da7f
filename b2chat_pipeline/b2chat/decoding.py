"""Turns stored pages into typed records, and says exactly what does not fit and where.

Here belongs all reading of the API's JSON, odd as it may be. Not here: the records themselves (`contract.py`), whether
a body is an answer at all (`body.py`), unknown fields (`drift.py`).

A record that fits costs one call of the decoder. Only one that is refused is read again by the standard parser and
looked at part by part: a message, the agent, the contact or the department that does not fit is put aside alone, and
the rest of the chat loads. Characters that PostgreSQL's text does not take (NUL, lone surrogates) become U+FFFD.
"""

import json
import math
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from b2chat_pipeline.b2chat.contract import (
    CHATS,
    CONTACTS,
    REPLACEMENT,
    Agent,
    Chat,
    Contact,
    ContactStub,
    Decoded,
    Endpoint,
    Message,
    Misfit,
    Named,
    NotAPageError,
    Page,
)

# The key of the record list in an answer of each endpoint.
_LIST_KEYS = {CHATS: "chats", CONTACTS: "contacts"}

# More than any list holds, and no more than an integer column takes: a larger total is no count.
LARGEST_TOTAL = 2**31 - 1
# Python writes no integer with more digits than 4,300 as text, and converts none from it.
_LONGEST_INTEGER = 4000


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


class _ContactCreation(Struct):
    created: Any = None


_CHAT_HEAD = msgspec.json.Decoder(_ChatHead)
_CONTACT_HEAD = msgspec.json.Decoder(_ContactHead)
_CONTACT_CREATION = msgspec.json.Decoder(_ContactCreation)
_CHAT_PAGE = msgspec.json.Decoder(_ChatPage)
_CONTACT_PAGE = msgspec.json.Decoder(_ContactPage)
_CHAT = msgspec.json.Decoder(Chat)
_CONTACT = msgspec.json.Decoder(Contact)
# What msgspec raises for bytes that are no JSON, for text that is no UTF-8, and for nesting without end.
UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
# What the standard parser and our own walks over its values raise.
_UNREADABLE = (ValueError, RecursionError)
_JSON_TYPES: dict[type, str] = {
    type(msgspec.UNSET): "",
    type(None): "null",
    bool: "bool",
    int: "int",
    float: "float",
    str: "str",
    list: "array",
}
_NO_JSON = "no JSON that can be read"
_UNSTORABLE_KEY = "the key holds characters no text column takes"

# Who is told of inside a chat, by field: the entity, its type, and the fields that tell anything.
_PEOPLE: dict[str, tuple[str, Any, tuple[str, ...]]] = {
    "agent": ("agents", Agent | None, Agent.__struct_fields__),
    "contact": ("contacts", ContactStub | None, ContactStub.__struct_fields__),
    "department": ("departments", str | Named | None, Named.__struct_fields__),
}


def decode_page(body: bytes, endpoint: Endpoint) -> Page:
    """The records of a page, undecoded. Raises NotAPageError where the body holds no list of them."""
    try:
        if endpoint == CHATS:
            chats = _CHAT_PAGE.decode(body)
            return _page([bytes(raw) for raw in chats.chats], chats.total)
        contacts = _CONTACT_PAGE.decode(body)
        return _page([bytes(raw) for raw in contacts.contacts], contacts.total)
    except UNDECODABLE:
        return _decode_odd_page(body, endpoint)


def _decode_odd_page(body: bytes, endpoint: Endpoint) -> Page:
    """A page that msgspec refuses: the standard parser takes lone surrogates, and bytes that are no UTF-8."""
    key = _LIST_KEYS[endpoint]
    try:
        answer = loosely(body)
        records = answer.get(key) if isinstance(answer, dict) else None
        told = [json.dumps(record).encode() for record in records] if isinstance(records, list) else None
    except _UNREADABLE:
        raise NotAPageError("the body is not JSON") from None
    if told is None:
        raise NotAPageError(f"the body holds no list named {key!r}")
    return _page(told, answer.get("total", msgspec.UNSET))


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
    except UNDECODABLE:
        return _odd_head(raw, *(("chat_id", "created_at") if endpoint == CHATS else ("contact_id", "updated")))


def decode_created(raw: bytes) -> str | None:
    """When a raw contact was created; None where that cannot be read."""
    try:
        return _text(_CONTACT_CREATION.decode(raw).created)
    except UNDECODABLE:
        return None


def _odd_head(raw: bytes, key: str, clock: str) -> tuple[str | None, str | None]:
    try:
        loose = _loose(raw)
    except _UNREADABLE:
        return None, None
    told = _field(loose, key)
    # A lone surrogate cannot be written into a checkpoint; what stands for it still tells two keys apart.
    return told and told.encode("utf-8", "backslashreplace").decode(), _field(loose, clock)


def _text(value: object) -> str | None:
    return str(value) if isinstance(value, str | int) else None


def _count(total: object) -> int | None:
    return total if isinstance(total, int) and not isinstance(total, bool) and 0 <= total <= LARGEST_TOTAL else None


def decode_chat(raw: bytes) -> Decoded:
    """A chat with its messages and people; those that do not fit are put aside one by one, so the rest loads."""
    if is_plain(raw):
        try:
            return Decoded(_CHAT.decode(raw))
        except UNDECODABLE:
            pass
    return _decode_odd_chat(raw)


def decode_contact(raw: bytes) -> Decoded:
    """A contact in its full form."""
    if is_plain(raw):
        try:
            return Decoded(_CONTACT.decode(raw))
        except UNDECODABLE:
            pass
    return _decode_odd_contact(raw)


def _decode_odd_contact(raw: bytes) -> Decoded:
    try:
        loose = _loose(raw)
        key = _field(loose, "contact_id")
        if _unstorable(key):
            return Decoded(None, (Misfit("contacts", None, _UNSTORABLE_KEY, "$.contact_id", raw),))
        return Decoded(msgspec.convert(_storable(loose), Contact))
    except msgspec.ValidationError as error:
        return Decoded(None, (_misfit("contacts", key, error, raw),))
    except _UNREADABLE:
        return Decoded(None, (Misfit("contacts", None, _NO_JSON, "$", raw),))


def _decode_odd_chat(raw: bytes) -> Decoded:
    try:
        loose = _loose(raw)
        key = _field(loose, "chat_id")
        if _unstorable(key):
            return Decoded(None, (Misfit("chats", None, _UNSTORABLE_KEY, "$.chat_id", raw),))
        parts = _Parts(key)
        fitting = parts.fitting(loose) if isinstance(loose, dict) else loose
        return Decoded(msgspec.convert(_storable(fitting), Chat), tuple(parts.misfits), tuple(parts.ignored))
    except msgspec.ValidationError as error:
        return Decoded(None, (_misfit("chats", key, error, raw),))
    except _UNREADABLE:
        return Decoded(None, (Misfit("chats", None, _NO_JSON, "$", raw),))


class _Parts:
    """What inside a chat does not fit: put aside, or passed over where it tells nothing that has a row."""

    def __init__(self, key: str | None) -> None:
        self._key = key
        self.misfits: list[Misfit] = []
        self.ignored: list[Misfit] = []

    def fitting(self, chat: dict[str, Any]) -> dict[str, Any]:
        """The chat without what does not fit."""
        fitting = dict(chat)
        for name, (entity, kind, _) in _PEOPLE.items():
            misfit = self._misfit(entity, chat.get(name), kind, f"$.{name}")
            if misfit is not None:
                # An object that names nobody is a way to say null.
                (self.misfits if _tells_of(chat, name) else self.ignored).append(misfit)
                fitting[name] = None
        if isinstance(chat.get("tags"), list):
            fitting["tags"] = list(self._all_fitting("chats", chat["tags"], str | Named, "$.tags", self.ignored))
        messages = chat.get("messages")
        if isinstance(messages, list):
            fitting["messages"] = list(self._all_fitting("messages", messages, Message, "$.messages", self.misfits))
        elif (misfit := self._misfit("messages", messages, list[Any] | None, "$.messages")) is not None:
            self.misfits.append(misfit)
            fitting["messages"] = None
        return fitting

    def _all_fitting(
        self, entity: str, parts: list[Any], kind: object, path: str, misfits: list[Misfit]
    ) -> Iterable[Any]:
        for place, part in enumerate(parts):
            misfit = self._misfit(entity, part, kind, f"{path}[{place}]")
            if misfit is None:
                yield part
            else:
                misfits.append(misfit)

    def _misfit(self, entity: str, part: object, kind: object, path: str) -> Misfit | None:
        try:
            msgspec.convert(_storable(part), kind)
        except msgspec.ValidationError as error:
            return _misfit(entity, self._key, error, json.dumps(part).encode(), root=path)
        return None


def told_inside(raw: bytes) -> dict[str, int]:
    """How many messages and people a raw chat holds, by entity, whether they fit or not."""
    try:
        chat = _loose(raw)
    except _UNREADABLE:
        return {}
    if not isinstance(chat, dict):
        return {}
    messages = chat.get("messages")
    told = {entity: int(_tells_of(chat, name)) for name, (entity, _, _) in _PEOPLE.items()}
    return told | {"messages": len(messages) if isinstance(messages, list) else int(messages is not None)}


def _tells_of(chat: dict[str, Any], name: str) -> bool:
    """Whether a chat tells of somebody at all: neither null, nor blank, nor an object without any value."""
    value = chat.get(name)
    if name == "department" and isinstance(value, dict):
        value = value.get("name")
    if isinstance(value, dict):
        _, _, fields = _PEOPLE[name]
        return any(value.get(field) is not None for field in fields)
    return bool(value.strip()) if isinstance(value, str) else value is not None


def _misfit(entity: str, key: str | None, error: msgspec.ValidationError, raw: bytes, *, root: str = "$") -> Misfit:
    reason, _, path = str(error).partition(" - at `")
    return Misfit(entity, key, reason, root + path.rstrip("`").removeprefix("$"), raw)


def loosely(body: bytes) -> Any:  # noqa: ANN401 - JSON as it came
    """A body by the standard parser, which takes more: any text, and Python's constants. What is odd about it is some
    record's own matter. Raises ValueError, or RecursionError where it is nested without end.
    """
    return json.loads(body.decode("utf-8", "replace"), strict=False, parse_int=_integer, parse_float=_finite)


def _loose(raw: bytes) -> Any:  # noqa: ANN401 - JSON as it came
    """A record by the standard parser. Raises ValueError, or RecursionError where it is nested without end."""
    text = raw.decode("utf-8", "replace")
    return json.loads(text, strict=False, parse_float=_finite, parse_constant=_no_constant)


def _integer(text: str) -> int | str:
    """An integer; one that Python does not convert stays text."""
    return int(text) if len(text) <= _LONGEST_INTEGER else text


def _finite(text: str) -> float | str:
    """A number of an untyped field; one beyond any float stays text, for no jsonb column takes infinity."""
    number = float(text)
    return number if math.isfinite(number) else text


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _field(loose: object, name: str) -> str | None:
    return _text(loose.get(name)) if isinstance(loose, dict) else None


def is_plain(raw: bytes) -> bool:
    """Whether no text of a record can be one that PostgreSQL does not take."""
    # One byte is found many times as fast as two.
    return b"\\" not in raw or b"\\u" not in raw or not _has_unstorable_text(raw)


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
