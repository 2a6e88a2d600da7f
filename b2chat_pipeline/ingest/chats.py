"""Writes one account-local day of chats with their messages and everybody they refer to, in one transaction.

Here belongs what is new, what has changed, what is left alone. Not here: the people (`parents.py`), the mapping
(`mapping.py`), the messages of chats that are known already (`messages.py`), chats that are no longer told
(`absences.py`).

Newer means read later. A page read before the one an hour was last loaded from inserts what is missing and changes
nothing. A chat whose hashes are equal is skipped.
"""

from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from psycopg import Connection

from b2chat_pipeline.b2chat.contract import CHATS
from b2chat_pipeline.ingest.absences import miss_absent, tell_chats
from b2chat_pipeline.ingest.ahead import ahead
from b2chat_pipeline.ingest.batch import ChatBatch, DayWrite, Telling, count_chat, count_messages
from b2chat_pipeline.ingest.days import DayRead
from b2chat_pipeline.ingest.lists import ListTold
from b2chat_pipeline.ingest.mapping import Parents, chat_line, chat_told, synced
from b2chat_pipeline.ingest.messages import merge_messages, recount_messages
from b2chat_pipeline.ingest.parents import insert_parents, update_parents
from b2chat_pipeline.ingest.people import e164
from b2chat_pipeline.ingest.rows import CHAT_COLUMNS, MESSAGE_COLUMNS
from b2chat_pipeline.warehouse.history import Absence, chat_absences, record_changes
from b2chat_pipeline.warehouse.message_lists import MessageList, message_lists, replace_lists, stored_stretches
from b2chat_pipeline.warehouse.reads import applied_reads
from b2chat_pipeline.warehouse.write import copy_fields, copy_lines, stage_lines

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

# The chat itself has been told by a newer answer, but none of those told any messages.
_TELL_LATE = "update chats set messages_hash = %s, messages_told = true, last_sync_at = %s where id = %s"


# New chats written at once, with all their messages: few enough for the rows of as many more to be in memory.
_AT_ONCE = 500
# New chats of a day whose rows are made while another day is written; a chat's take some 5 kB.
_AHEAD = 1_000


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
    # Of the few chats whose newest answer does not tell all of their messages.
    lists: dict[str, list[MessageList]]

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

    def older(self, telling: Telling) -> bool:
        """Whether the stored chat was told by a newer answer."""
        return telling.read_at < self.told_at(telling)

    def tells_messages(self, telling: Telling) -> bool:
        """Whether its list of messages differs from the newest one."""
        return telling.chat.messages_hash not in (None, self.stored[telling.chat.key].messages_hash)

    def _revived(self, telling: Telling, stored: _Stored) -> bool:
        absence = self.absences.get(stored.id)
        return absence is None or not absence.deletes(told_at=telling.read_at)


def write_chats(connection: Connection, batch: ChatBatch, day: DayRead, *, synced_at: datetime) -> DayWrite:
    """Write a day's batch within the caller's transaction, and return what became of each record."""
    write = DayWrite(connection, batch, synced_at)
    parents = insert_parents(write)
    known = _known(connection, batch, day)
    new, changed, older = [], [], []
    for key in sorted(batch.chats):
        telling = batch.chats[key]
        if key not in known.stored:
            new.append(telling)
        elif known.same(telling):
            _count(write, telling, "unchanged")
        elif known.older(telling):
            older.append(telling)
        else:
            changed.append(telling)
    _keep_lists(write, known)
    _insert(write, new, parents)
    _update(write, changed, known, parents, sync_id=day.sync_id)
    _merge(write, changed, older, known)
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
    ids = [chat.id for chat in stored.values()]
    return _Known(stored, applied, chat_absences(connection, ids), message_lists(connection, ids))


def _count(write: DayWrite, telling: Telling, term: str) -> None:
    count_chat(write.tally, telling, term)
    count_messages(write.tally, telling, term, len(telling.chat.told))


def _insert(write: DayWrite, tellings: Sequence[Telling], parents: Parents) -> None:
    """Copy chats that are new with their messages, some at a time; the lines of the next ones are made meanwhile."""
    for chats, messages in ahead(_new_lines(write, tellings, parents), depth=1):
        copy_lines(write.connection, "chats", CHAT_COLUMNS, [chats])
        copy_lines(write.connection, "messages", MESSAGE_COLUMNS, [messages])
    for telling in tellings:
        _count(write, telling, "inserted")


def _line(write: DayWrite, telling: Telling, told: str, parents: Parents) -> bytes:
    return chat_line(telling.chat, told, parents, read_at=telling.read_at, synced_at=write.synced_at)


def _new_lines(
    write: DayWrite, tellings: Sequence[Telling], parents: Parents
) -> Generator[tuple[bytes, bytes], None, None]:
    """The lines of some new chats at a time, and those of their messages."""
    for first in range(0, len(tellings), _AT_ONCE):
        some = tellings[first : first + _AT_ONCE]
        _make_ready(some)
        chats = b"".join([_line(write, telling, telling.chat.new_fields, parents) for telling in some])
        messages = synced(b"".join([telling.chat.new_lines for telling in some]), write.synced_at)
        for telling in some:
            telling.chat.forget()
        yield chats, messages


def make_ready_ahead(batch: ChatBatch, fresh: Collection[datetime]) -> None:
    """Work out what the rows of some hours take, which are most likely new: while another day is written.

    Of the first chats of a large day; the others are made ready while these are written.
    """
    tellings = (batch.chats[key] for key in sorted(batch.chats))
    _make_ready(islice((telling for telling in tellings if telling.hour in fresh), _AHEAD))
    for contact in batch.contacts.values():
        if contact.hour in fresh:
            e164(contact.stub.mobile_number, None)


def _make_ready(tellings: Iterable[Telling]) -> None:
    for telling in tellings:
        telling.chat.make_ready()


def _update(write: DayWrite, tellings: Sequence[Telling], known: _Known, parents: Parents, *, sync_id: str) -> None:
    if not tellings:
        return
    ids = [known.stored[telling.chat.key].id for telling in tellings]
    lines = (
        _line(write, telling, copy_fields(chat_told(telling.chat, chat_id)), parents)
        for telling, chat_id in zip(tellings, ids, strict=True)
    )
    stage_lines(write.connection, "chats", CHAT_COLUMNS, lines)
    told_at = {chat_id: known.told_at(telling) for telling, chat_id in zip(tellings, ids, strict=True)}
    record_changes(write.connection, told_at, sync_id=sync_id)
    write.connection.execute(_UPDATE_CHATS)
    for telling in tellings:
        count_chat(write.tally, telling, "updated")
        if not known.tells_messages(telling):
            count_messages(write.tally, telling, "unchanged", len(telling.chat.told))


def _merge(write: DayWrite, changed: Sequence[Telling], older: Sequence[Telling], known: _Known) -> None:
    """Merge the messages of known chats. An older list may still be the newest for some stretch of time."""
    if not changed and not older:
        return
    for telling in older:
        count_chat(write.tally, telling, "older")
        if not known.tells_messages(telling):
            count_messages(write.tally, telling, "older", len(telling.chat.told))
    tellings = {known.stored[it.chat.key].id: it for it in (*changed, *older) if known.tells_messages(it)}
    late = {known.stored[telling.chat.key].id for telling in older} & tellings.keys()
    lists = _lists(write.connection, tellings, known)
    replace_lists(write.connection, _remembered(lists, late, known))
    merge_messages(write, lists)
    for chat_id in sorted(late):
        if lists[chat_id].is_newest:
            write.connection.execute(_TELL_LATE, (lists[chat_id].telling.chat.messages_hash, write.synced_at, chat_id))
    recount_messages(write, [*(known.stored[telling.chat.key].id for telling in changed), *sorted(late)])


def _lists(connection: Connection, tellings: Mapping[str, Telling], known: _Known) -> dict[str, ListTold]:
    """The lists of some tellings beside those loaded before, by the ids of their chats."""
    stretches = stored_stretches(connection, [chat_id for chat_id in tellings if chat_id not in known.lists])
    before = {
        chat_id: [MessageList(known.told_at(tellings[chat_id]), *stretch)] for chat_id, stretch in stretches.items()
    }
    return {
        chat_id: ListTold(telling, known.lists.get(chat_id) or before.get(chat_id, []))
        for chat_id, telling in tellings.items()
    }


def _remembered(lists: Mapping[str, ListTold], late: Collection[str], known: _Known) -> dict[str, list[MessageList]]:
    """What is to be remembered, by the ids of their chats, where that changes."""
    remembered: dict[str, list[MessageList]] = {}
    for chat_id, told in lists.items():
        tells_all = chat_id not in late and told.decisive == [told.itself]
        if tells_all and chat_id in known.lists:
            remembered[chat_id] = []
        elif not tells_all and set(told.decisive) != set(told.before):
            remembered[chat_id] = told.decisive
    return remembered


def _keep_lists(write: DayWrite, known: _Known) -> None:
    """Note where the newest answer is not the one that told the newest list: no messages told is no news of them."""
    silent: dict[str, Telling] = {}
    confirmed: dict[str, list[MessageList]] = {}
    for key, stored in known.stored.items():
        telling, lists = write.batch.chats[key], known.lists.get(stored.id)
        if telling.chat.messages_hash is None:
            if stored.messages_hash is not None and lists is None and not known.older(telling):
                silent[stored.id] = telling
        elif lists and telling.chat.messages_hash == stored.messages_hash:
            newest = max(lists, key=lambda it: it.read_at)
            if telling.read_at > newest.read_at:
                confirmed[stored.id] = [replace(newest, read_at=telling.read_at), *(it for it in lists if it != newest)]
    if silent:
        confirmed |= {chat_id: list(told.before) for chat_id, told in _lists(write.connection, silent, known).items()}
    replace_lists(write.connection, confirmed)
    known.lists.update(confirmed)
