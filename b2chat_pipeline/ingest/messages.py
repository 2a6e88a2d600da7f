"""Brings the stored messages of known chats up to date with another telling of them.

Here belongs what a list means for the stored rows: what it adds, no longer holds, tells differently. Not here: chats
that are new, whose messages are simply copied; which of several lists decides (`lists.py`).

Nothing is deleted. A stored message that a newer list lacks, although its time lies between that list's first and last
message, is marked as superseded, and revived when it is told again. At the ends of the list its absence tells nothing.
What an older list adds is inserted: as superseded, where a newer one reaches over its time.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from b2chat_pipeline.ingest.batch import DayWrite, count_messages
from b2chat_pipeline.ingest.lists import ListTold
from b2chat_pipeline.ingest.mapping import message_lines, synced
from b2chat_pipeline.ingest.rows import MESSAGE_COLUMNS
from b2chat_pipeline.warehouse.write import insert_staged, stage_lines

_UNCHANGED = """
    select m.chat_id, count(*) from messages m join stage_messages s on s.id = m.id
     where m.superseded_at is null and (m.broadcasted, m.location) is not distinct from (s.broadcasted, s.location)
       and s.id <> all(%(overruled)s)
     group by m.chat_id
"""
_UPDATE = """
    with changed as (
        update messages m
           set broadcasted = s.broadcasted, location = s.location, superseded_at = null, last_sync_at = s.last_sync_at
          from stage_messages s
         where s.id = m.id and s.id <> all(%(overruled)s)
           and (m.superseded_at is not null
                or (m.broadcasted, m.location) is distinct from (s.broadcasted, s.location))
        returning m.chat_id
    )
    select chat_id, count(*) from changed group by chat_id
"""
_OLDER = """
    select m.chat_id, count(*) from messages m where m.id = any(%(overruled)s) group by m.chat_id
"""
_INSERTED_OVERRULED = """
    update messages m set superseded_at = o.read_at
      from unnest(%s::text[], %s::timestamptz[]) o (id, read_at) where m.id = o.id
"""
_SUPERSEDE = """
    update messages m set superseded_at = t.read_at, last_sync_at = %(now)s
      from unnest(%(chats)s::text[], %(read_at)s::timestamptz[], %(first)s::timestamptz[], %(last)s::timestamptz[])
           t (chat_id, read_at, first, last)
     where m.chat_id = t.chat_id and m.timestamp between t.first and t.last and m.superseded_at is null
       and not exists (select from stage_messages s where s.id = m.id)
       and not exists (select from message_lists l
                        where l.chat_id = t.chat_id and l.read_at > t.read_at
                          and m.timestamp between l.first_at and l.last_at)
"""
# Judged over all stored messages, since a list may leave some out at its ends.
_RECOUNT = """
    with ranked as (
        select chat_id, timestamp, incoming,
               row_number() over (partition by chat_id order by timestamp desc, position desc) as place
          from messages where chat_id = any(%s) and superseded_at is null
    ), told as (
        select chat_id, max(timestamp) as latest,
               coalesce(min(place) filter (where not incoming) - 1, count(*)) as unread
          from ranked group by chat_id
    )
    update chats c set unread_count = t.unread, last_modified_at = greatest(c.last_modified_at, t.latest)
      from told t
     where c.id = t.chat_id
       and (c.unread_count, c.last_modified_at) is distinct from (t.unread, greatest(c.last_modified_at, t.latest))
"""


def merge_messages(write: DayWrite, lists: Mapping[str, ListTold]) -> None:
    """Merge lists of messages that differ from the newest ones stored, by the ids of their chats."""
    if not lists:
        return
    lines: dict[str, str] = {}
    chats: dict[str, str] = {}
    overruled: dict[str, datetime] = {}
    for chat_id, told in lists.items():
        its_lines = message_lines(told.telling.chat, chat_id)
        lines |= its_lines
        chats |= dict.fromkeys(its_lines, chat_id)
        if older := told.overruled():
            keys = list(its_lines)
            overruled |= {keys[place]: read_at for place, read_at in older.items()}
    sorted_lines = (synced(lines[key].encode(), write.synced_at) for key in sorted(lines))
    stage_lines(write.connection, "messages", MESSAGE_COLUMNS, sorted_lines)
    for term, statement in (("unchanged", _UNCHANGED), ("updated", _UPDATE), ("older", _OLDER)):
        for chat_id, number in write.connection.execute(statement, {"overruled": list(overruled)}).fetchall():
            count_messages(write.tally, lists[chat_id].telling, term, number)
    inserted = insert_staged(write.connection, "messages", MESSAGE_COLUMNS, "id")
    for message_id in inserted:
        count_messages(write.tally, lists[chats[message_id]].telling, "inserted", 1)
    late = [message_id for message_id in overruled if message_id in inserted]
    if late:
        write.connection.execute(_INSERTED_OVERRULED, (late, [overruled[message_id] for message_id in late]))
    _supersede(write, lists)


def _supersede(write: DayWrite, lists: Mapping[str, ListTold]) -> None:
    """Mark what the lists lack of the stretches that they decide about."""
    deciding = {chat_id: told.itself for chat_id, told in lists.items() if told.itself in told.decisive}
    values = {
        "chats": list(deciding),
        "read_at": [it.read_at for it in deciding.values()],
        "first": [it.first_at for it in deciding.values()],
        "last": [it.last_at for it in deciding.values()],
        "now": write.synced_at,
    }
    write.connection.execute(_SUPERSEDE, values)


def recount_messages(write: DayWrite, chat_ids: Sequence[str]) -> None:
    """Bring what chats say about their messages up to date: how many are unread, and when the last one came."""
    write.connection.execute(_RECOUNT, (chat_ids,))
