"""Departments, agents and contacts as rows: who the chats refer to, and the contacts of their own endpoint.

Here belongs the column mapping of people. Not here: the chats themselves (`mapping.py`), and which of several tellings
of one person wins (`parents.py`, `contacts.py`).
"""

import re
import unicodedata
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b

from b2chat_pipeline.b2chat.contract import Contact, ContactStub
from b2chat_pipeline.ingest.rows import ContactRow
from b2chat_pipeline.ingest.values import check_indexed, check_key, check_nesting, content_hash, jsonb
from b2chat_pipeline.warehouse.identifiers import derived_id
from b2chat_pipeline.windows import AccountClock


def department_id(name: str) -> str:
    """The key of a department's row, where it is not stored yet. The trimmed name is its only identity."""
    return derived_id(0, "department", name)


def agent_id(username: str) -> str:
    """The key of an agent's row, where it is not stored yet."""
    return derived_id(0, "agent", username)


def contact_id(key: str) -> str:
    """The key of a contact's row, where it is not stored yet; contacts are numbered in the order they came."""
    return derived_id(int(key) if key.isdecimal() and len(key) <= 12 else 0, "contact", key)


def department_code(name: str, taken: set[str]) -> str:
    """A code for a new department: the slug of its name, with 8 hex digits of a hash where that is empty or taken."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60]
    if slug and slug not in taken:
        return slug
    return f"{slug or 'department'}-{blake2b(name.encode(), digest_size=4).hexdigest()}"


def stub_hash(stub: ContactStub) -> bytes:
    """A hash over what the short form tells."""
    return content_hash(
        *(stub.name, stub.mobile_number, stub.phone_number, stub.email, stub.identification),
        *(stub.custom_attributes, stub.tags),
    )


def full_hash(contact: Contact) -> bytes:
    """A hash over what the full form tells."""
    # Named one by one: a decoder may hand over more than the tables hold.
    return content_hash({name: getattr(contact, name) for name in Contact.__struct_fields__})


def check_contact(contact: Contact) -> None:
    """Raises UnstorableError where the key is none, a text too long for its index, or a value nested too deeply."""
    check_key(str(contact.contact_id), "$.contact_id")
    check_indexed(contact.email, "$.email")
    check_indexed(contact.mobile, "$.mobile")
    check_indexed(contact.landline, "$.landline")
    check_nesting(contact.custom_attributes, "$.custom_attributes")
    check_nesting(contact.tags, "$.tags")


def stub_row(stub: ContactStub, *, read_at: datetime, seen_at: datetime, synced_at: datetime) -> ContactRow:
    """The row of a contact known from a chat only."""
    key = str(stub.id)
    return ContactRow(
        id=contact_id(key),
        b2chat_id=key,
        full_name=stub.name or "",
        mobile=e164(stub.mobile_number, None),
        raw_mobile=stub.mobile_number or None,
        phone_number=stub.phone_number or None,
        email=stub.email or None,
        identification=stub.identification or None,
        address=None,
        city=None,
        country=None,
        company=None,
        merchant_id=None,
        custom_attributes=jsonb(stub.custom_attributes),
        tags=jsonb(stub.tags),
        is_full=False,
        time_flags=[],
        row_hash=stub_hash(stub),
        read_at=read_at,
        last_seen_at=seen_at,
        created_at=None,
        updated_at=None,
        last_sync_at=synced_at,
    )


def full_row(contact: Contact, clock: AccountClock, *, read_at: datetime, synced_at: datetime) -> ContactRow:
    """The row of a contact as its own endpoint tells it."""
    key = str(contact.contact_id)
    told = {"created_at": contact.created, "updated_at": contact.updated}
    readings = {column: clock.read(text) for column, text in told.items() if text}
    instants = {column: reading.instant for column, reading in readings.items()}
    return ContactRow(
        id=contact_id(key),
        b2chat_id=key,
        full_name=contact.fullname or "",
        mobile=e164(contact.mobile, contact.country),
        raw_mobile=contact.mobile or None,
        phone_number=contact.landline or None,
        email=contact.email or None,
        identification=contact.identification or None,
        address=contact.address or None,
        city=contact.city or None,
        country=contact.country or None,
        company=contact.company or None,
        merchant_id=None if contact.merchant_id is None else str(contact.merchant_id),
        custom_attributes=jsonb(contact.custom_attributes),
        tags=jsonb(contact.tags),
        is_full=True,
        time_flags=sorted(f"{column} {reading.flag}" for column, reading in readings.items() if reading.flag),
        row_hash=full_hash(contact),
        read_at=read_at,
        last_seen_at=None,
        created_at=instants.get("created_at"),
        updated_at=instants.get("updated_at"),
        last_sync_at=synced_at,
    )


# Parsing is slow, and a contact is told with each of its chats.
@lru_cache(maxsize=20_000)
def e164(text: str | None, country: str | None) -> str | None:
    """A mobile number as `+<country><number>` where it parses as one, else the text as told; None where none is told.

    The API writes the same number with and without the plus sign, so plain digits are tried as an international number.
    """
    import phonenumbers

    if not text:
        return None
    attempts: list[tuple[str, str | None]] = [(text, country or None)]
    if not text.lstrip().startswith("+"):
        attempts.append((f"+{text}", None))
    for number, region in attempts:
        try:
            parsed = phonenumbers.parse(number, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_possible_number_with_reason(parsed) == phonenumbers.ValidationResult.IS_POSSIBLE:
            return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return text
