"""Fields that the API tells and the contract does not know: found at next to no cost while records are decoded.

Here belongs decoding with a watch on unknown fields, and the names under which departures from the contract are kept.
Not here: what fits (`decoding.py`), which values are known (`ingest/vocabulary.py`). Nothing here keeps a value that a
person wrote.
"""

import json
import re
from collections import Counter
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from b2chat_pipeline.b2chat.contract import (
    CHATS,
    Agent,
    Chat,
    Contact,
    ContactStub,
    Decoded,
    Endpoint,
    Message,
    Misfit,
    Named,
)
from b2chat_pipeline.b2chat.decoding import UNDECODABLE, decode_chat, decode_contact, is_plain

MASKED = "<masked>"
# After so many records with unknown fields only every twentieth record is looked at: the kinds are known by then.
_LOOKS = 20
_SAMPLE = 20
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
_VALUE = re.compile(r"[A-Z][A-Z0-9_]{0,39}")
_PLACE = re.compile(r"\[\d+\]")


class Departure(NamedTuple):
    """One kind of departure from the contract. `path` names fields only, `detail` holds no personal data."""

    endpoint: str
    path: str
    kind: str
    detail: str


class _StrictNamed(Named, frozen=True, gc=False, forbid_unknown_fields=True):
    pass


class _StrictAgent(Agent, frozen=True, gc=False, forbid_unknown_fields=True):
    pass


class _StrictStub(ContactStub, frozen=True, gc=False, forbid_unknown_fields=True):
    pass


class _StrictMessage(Message, frozen=True, gc=False, forbid_unknown_fields=True):
    pass


class _StrictChat(Chat, frozen=True, gc=False, forbid_unknown_fields=True):
    agent: _StrictAgent | None = None
    contact: _StrictStub | None = None
    department: str | _StrictNamed | None = None
    tags: list[str | _StrictNamed] | None = None  # type: ignore[assignment]
    messages: list[_StrictMessage] | None = None  # type: ignore[assignment]
    # Known to be told, and of no use to any table; its last part opens the account's chats to anybody.
    viewer_url: Any = None


class _StrictContact(Contact, frozen=True, gc=False, forbid_unknown_fields=True):
    # Known to be told, and of no use to any table.
    row_index: Any = None


_CHAT = msgspec.json.Decoder(_StrictChat)
_CONTACT = msgspec.json.Decoder(_StrictContact)


class DriftWatch:
    """Decodes the records of one endpoint, and counts by kind how they depart from the contract.

    Records are decoded as if no unknown field existed; only one that is refused that way is decoded again without
    that demand, and its fields are compared. Counts are lower bounds where the departure is a common one.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._odd = 0
        self._records = 0
        self.found = Counter[Departure]()

    def decoded(self, raw: bytes) -> Decoded:
        """What `decode_chat` or `decode_contact` makes of a record."""
        self._records += 1
        looks = self._odd < _LOOKS or self._records % _SAMPLE == 0
        if looks and is_plain(raw):
            try:
                return Decoded((_CHAT if self._endpoint == CHATS else _CONTACT).decode(raw))
            except UNDECODABLE:
                pass
        decoded = decode_chat(raw) if self._endpoint == CHATS else decode_contact(raw)
        if looks:
            self._compare(raw)
        self._note_misfits(decoded.misfits + decoded.ignored)
        return decoded

    def value(self, path: str, value: str, count: int) -> None:
        """Count a value that the vocabulary does not know; one that is no UPPER_SNAKE word is masked."""
        detail = value if _VALUE.fullmatch(value) else MASKED
        self.found[Departure(self._endpoint, path, "unknown value", detail)] += count

    def _compare(self, raw: bytes) -> None:
        try:
            record = json.loads(raw)
        except (ValueError, RecursionError):
            return  # it goes to quarantine with that reason
        unknown = _unknown_fields(record, _StrictChat if self._endpoint == CHATS else _StrictContact, "$")
        if unknown:
            self._odd += 1
        self.found.update(Departure(self._endpoint, path, "unknown field", "") for path in unknown)

    def _note_misfits(self, misfits: tuple[Misfit, ...]) -> None:
        for misfit in misfits:
            # Reasons of the decoder name types and fields, never values.
            kind = "missing field" if misfit.reason.startswith("Object missing") else "other type"
            if kind == "missing field" or misfit.reason.startswith("Expected"):
                path = _PLACE.sub("[]", misfit.path)
                self.found[Departure(self._endpoint, path, kind, misfit.reason)] += 1


_INSIDE: dict[str, type[Struct]] = {
    "agent": Agent,
    "contact": ContactStub,
    "department": Named,
    "tags": Named,
    "messages": Message,
}


def _unknown_fields(record: object, struct: type[Struct], path: str) -> set[str]:
    """Where a record has fields that a struct does not know; of a list, places count as one."""
    if isinstance(record, list):
        return set().union(*(_unknown_fields(item, struct, f"{path}[]") for item in record))
    if not isinstance(record, dict):
        return set()
    known = set(struct.__struct_fields__)
    unknown = {f"{path}.{name if _NAME.fullmatch(name) else MASKED}" for name in record.keys() - known}
    if struct is _StrictChat:
        for name, inner in _INSIDE.items():
            unknown |= _unknown_fields(record.get(name), inner, f"{path}.{name}")
    return unknown
