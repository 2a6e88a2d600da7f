"""Writes one account-local day of chats with their messages and everybody they refer to, in one transaction.

Here belongs what is new, what has changed, what is left alone. Not here: the people (`parents.py`), the mapping
(`mapping.py`), the messages of chats that are known already (`messages.py`), chats that are no longer told
(`absences.py`).

Newer means read later. A page read before the one an hour was last loaded from inserts what is missing and changes
nothing. A chat whose hashes are equal is skipped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection

from b2chat_pipeline.b2chat.contract import CHATS
from b2chat_pipeline.ingest.absences import miss_absent, tell_chats
from b2chat_pipeline.ingest.batch import ChatBatch, DayWrite, Telling, count_chat, count_messages
from b2chat_pipeline.ingest.days import DayRead
from b2chat_pipeline.ingest.mapping import Parents, chat_row, message_lines
from b2chat_pipeline.ingest.messages import merge_messages, recount_messages
from b2chat_pipeline.ingest.parents import insert_parents, update_parents
from b2chat_pipeline.ingest.rows import MESSAGE_COLUMNS, ChatRow
from b2chat_pipeline.warehouse.history import Absence, chat_absences, record_changes
from b2chat_pipeline.warehouse.reads import applied_reads
from b2chat_pipeline.warehouse.write import copy_lines, copy_rows, stage_rows

_UPDATE_CHATS = """
    with news as (
        select c.id as stored_id, s.*
          from chats c join stage_chats s on s.id = c.id
         order by c.b2chat_id for no key update of c
    )
    update chats c
       set agent_id = n.agent_id, contact_id = n.contact_id, department_id = n.department_id,
           provider = n.provider, raw_provider = n.raw_provider, status = n.status, raw_status = n.raw_status,
           is_agent_available = n.is_agent_available, alias = n.alias, tags = n.tags,
           created_at = n.created_at, opened_at = n.opened_at, picked_up_at = n.picked_up_at,
           response_at = n.response_at, closed_at = n.closed_at, duration = n.duration,
           raw_duration = n.raw_duration, time_flags = n.time_flags, row_hash = n.row_hash,
           messages_hash = coalesce(n.messages_hash, c.messages_hash),
           messages_told = n.messages_told or c.messages_told, last_modified_at = n.last_modified_at,
           read_at = n.read_at, last_sync_at = n.last_sync_at, sync_version = c.sync_version + 1
      from news n where c.id = n.stored_id
"""


@dataclass(frozen=True)
class _Stored:
    """What decides whether a stored chat is written again."""

    id: str
    row_hash: bytes
    messages_hash: bytes | None
    read_at: datetime
    # Soft-deleted because the source no longer told it.
    absent: bool


@dataclass(frozen=True)
class _Known:
    """The stored chats of a batch, and what the reads before this one told of them."""

    stored: Mapping[str, _Stored]
    applied: Mapping[datetime, datetime]
    absences: Mapping[str, Absence]

    def told_at(self, telling: Telling) -> datetime:
        """When the newest answer was read that told the chat as it is stored."""
        chat = self.stored[telling.chat.key]
        absence = self.absences.get(chat.id)
        # The newest read of the hour did not tell a chat that is absent.
        last = absence.told_at if absence else self.applied.get(telling.hour, chat.read_at)
        return max(chat.read_at, last)

    def same(self, telling: Telling) -> bool:
        """Whether nothing differs. No messages told is no news of messages."""
        chat, stored = telling.chat, self.stored[telling.chat.key]
        if stored.absent and self._revived(telling, stored):
            return False
        return chat.row_hash == stored.row_hash and chat.messages_hash in (None, stored.messages_hash)

    def _revived(self, telling: Telling, stored: _Stored) -> bool:
        absence = self.absences.get(stored.id)
        return absence is None or not absence.deletes(told_at=telling.read_at)


def write_chats(connection: Connection, batch: ChatBatch, day: DayRead, *, synced_at: datetime) -> DayWrite:
    """Write a day's batch within the caller's transaction, and return what became of each record."""
    write = DayWrite(connection, batch, synced_at)
    parents = insert_parents(write)
    known = _known(connection, batch, day)
    new, changed = [], []
    for key in sorted(batch.chats):
        telling = batch.chats[key]
        if key not in known.stored:
            new.append(telling)
        elif known.same(telling):
            _count(write, telling, "unchanged")
        elif telling.read_at < known.told_at(telling):
            _count(write, telling, "older")
        else:
            changed.append(telling)
    _insert(write, new, parents)
    _update(write, changed, known, parents, sync_id=day.sync_id)
    tell_chats(write, day, {key: chat.id for key, chat in known.stored.items()}, known.absences)
    miss_absent(write, day, known.applied, inserted=new)
    update_parents(write)
    return write


def _known(connection: Connection, batch: ChatBatch, day: DayRead) -> _Known:
    rows = connection.execute(
        "select b2chat_id, id, row_hash, messages_hash, read_at, coalesce(deletion_reason = 'absent upstream', false)"
        " from chats where b2chat_id = any(%b)",
        (list(batch.chats),),
    )
    stored = {row[0]: _Stored(*row[1:]) for row in rows}
    applied = applied_reads(connection, CHATS, [hour.start for hour in day.hours])
    return _Known(stored, applied, chat_absences(connection, [chat.id for chat in stored.values()]))


def _count(write: DayWrite, telling: Telling, term: str) -> None:
    count_chat(write.tally, telling, term)
    count_messages(write.tally, telling, term, len(telling.chat.told))


def _insert(write: DayWrite, tellings: Sequence[Telling], parents: Parents) -> None:
    if not tellings:
        return
    chats = (
        chat_row(telling.chat, telling.chat.new_id, parents, read_at=telling.read_at, synced_at=write.synced_at)
        for telling in tellings
    )
    copy_rows(write.connection, "chats", ChatRow._fields, chats)
    told = (message_lines(telling.chat, telling.chat.new_id, synced_at=write.synced_at) for telling in tellings)
    copy_lines(write.connection, "messages", MESSAGE_COLUMNS, ("".join(lines.values()) for lines in told))
    for telling in tellings:
        _count(write, telling, "inserted")


def _update(write: DayWrite, tellings: Sequence[Telling], known: _Known, parents: Parents, *, sync_id: str) -> None:
    if not tellings:
        return
    ids = [known.stored[telling.chat.key].id for telling in tellings]
    rows = [
        chat_row(telling.chat, chat_id, parents, read_at=telling.read_at, synced_at=write.synced_at)
        for telling, chat_id in zip(tellings, ids, strict=True)
    ]
    stage_rows(write.connection, "chats", rows)
    told_at = {chat_id: known.told_at(telling) for telling, chat_id in zip(tellings, ids, strict=True)}
    record_changes(write.connection, told_at, sync_id=sync_id)
    write.connection.execute(_UPDATE_CHATS)
    news: dict[str, Telling] = {}
    for telling in tellings:
        stored = known.stored[telling.chat.key]
        count_chat(write.tally, telling, "updated")
        if telling.chat.messages_hash in (None, stored.messages_hash):
            count_messages(write.tally, telling, "unchanged", len(telling.chat.told))
        else:
            news[stored.id] = telling
    merge_messages(write, news)
    recount_messages(write, ids)
