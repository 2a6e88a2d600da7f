"""Writes one account-local day of contacts, as their own endpoint tells them, in one transaction.

Here belongs decoding, counting and writing full contacts. Not here: the short forms inside chats (`parents.py`). The
full form always replaces a short one; between two full forms the one read later wins.
"""

from collections import defaultdict
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime

from psycopg import Connection

from b2chat_pipeline.b2chat.contract import CONTACTS, Contact, Misfit
from b2chat_pipeline.b2chat.drift import DriftWatch
from b2chat_pipeline.ingest.people import check_contact, full_hash, full_row
from b2chat_pipeline.ingest.received import Received, Tally, rejected
from b2chat_pipeline.ingest.rows import ContactRow
from b2chat_pipeline.ingest.values import LONGEST_INDEXED_TEXT, UnstorableError
from b2chat_pipeline.warehouse.ledger import Counts, Rejected
from b2chat_pipeline.warehouse.reads import applied_reads
from b2chat_pipeline.warehouse.write import insert_staged, stage_rows
from b2chat_pipeline.windows import AccountClock

_UPDATE = """
    with news as (
        select c.id as stored_id, s.*
          from contacts c join stage_contacts s on s.b2chat_id = c.b2chat_id
         where (not c.is_full or s.read_at >= c.read_at) and (not c.is_full or s.row_hash <> c.row_hash)
         order by c.b2chat_id for no key update of c
    )
    update contacts c
       set full_name = n.full_name, mobile = n.mobile, raw_mobile = n.raw_mobile, phone_number = n.phone_number,
           email = n.email, identification = n.identification, address = n.address, city = n.city,
           country = n.country, company = n.company, merchant_id = n.merchant_id,
           custom_attributes = n.custom_attributes, tags = n.tags, is_full = true, time_flags = n.time_flags,
           row_hash = n.row_hash, read_at = n.read_at, last_sync_at = n.last_sync_at,
           created_at = coalesce(n.created_at, c.created_at), updated_at = coalesce(n.updated_at, c.updated_at)
      from news n where c.id = n.stored_id
    returning c.b2chat_id
"""


@dataclass(frozen=True, slots=True)
class ContactTelling:
    """What one read tells of a contact."""

    contact: Contact
    read_at: datetime
    hour: datetime


@dataclass
class ContactBatch:
    """A day of contacts, each once."""

    contacts: dict[str, ContactTelling] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    watch: DriftWatch = field(default_factory=lambda: DriftWatch(CONTACTS))
    tally: Tally = field(default_factory=lambda: defaultdict(Counts))


def contact_batch(records: Iterable[Received]) -> ContactBatch:
    """Decode a day's records. A contact told twice counts once, as the newest read tells it."""
    batch = ContactBatch()
    for received in records:
        counts = batch.tally["contacts", received.hour]
        counts.received += 1
        decoded = batch.watch.decoded(received.raw)
        misfits = list(decoded.misfits)
        if isinstance(decoded.record, Contact):
            misfits += _unstorable(decoded.record, received.raw)
        if misfits or not isinstance(decoded.record, Contact):
            counts.quarantined += 1
            batch.rejected += [rejected(misfit, received, CONTACTS) for misfit in misfits]
            continue
        telling = ContactTelling(decoded.record, received.read_at, received.hour)
        key = str(decoded.record.contact_id)
        known = batch.contacts.get(key)
        if known is not None:
            older, telling = sorted((known, telling), key=lambda told: told.read_at)
            batch.tally["contacts", older.hour].repeated += 1
        batch.contacts[key] = telling
    return batch


def write_contacts(connection: Connection, batch: ContactBatch, clock: AccountClock, *, synced_at: datetime) -> Tally:
    """Write a batch within the caller's transaction, and return what became of each record."""
    tally = deepcopy(batch.tally)
    news = _news(connection, batch, tally)
    if not news:
        return tally
    rows = [
        full_row(telling.contact, clock, read_at=telling.read_at, synced_at=synced_at)
        for _, telling in sorted(news.items())
    ]
    stage_rows(connection, "contacts", rows)
    # In this order: a chat's load may insert the same contact as a stub meanwhile, which is then seen and filled up.
    inserted = insert_staged(connection, "contacts", ContactRow._fields, "b2chat_id")
    updated = {row[0] for row in connection.execute(_UPDATE)}
    for key, telling in news.items():
        counts = tally["contacts", telling.hour]
        counts.inserted += key in inserted
        counts.updated += key in updated
        # Another load was faster with the same contact, and what it brought is as new.
        counts.older += key not in inserted and key not in updated
    return tally


def _news(connection: Connection, batch: ContactBatch, tally: Tally) -> dict[str, ContactTelling]:
    """The tellings that are new or differ from what is stored; the others are counted here."""
    rows = connection.execute(
        "select b2chat_id, is_full, row_hash, read_at from contacts where b2chat_id = any(%b)", (list(batch.contacts),)
    )
    stored = {row[0]: row[1:] for row in rows}
    applied = applied_reads(connection, CONTACTS, sorted({telling.hour for telling in batch.contacts.values()}))
    news = {}
    for key, telling in batch.contacts.items():
        is_full, row_hash, read_at = stored.get(key, (False, None, None))
        if not is_full:
            news[key] = telling
        elif row_hash == full_hash(telling.contact):
            tally["contacts", telling.hour].unchanged += 1
        elif telling.read_at < max(read_at, applied.get(telling.hour, read_at)):
            tally["contacts", telling.hour].older += 1
        else:
            news[key] = telling
    return news


def _unstorable(contact: Contact, raw: bytes) -> list[Misfit]:
    try:
        check_contact(contact)
    except UnstorableError as error:
        return [Misfit("contacts", str(contact.contact_id)[:LONGEST_INDEXED_TEXT], error.reason, error.path, raw)]
    return []
