"""Brings the stored messages of known chats up to date with a newer telling of them.

Here belongs what a newer list means for the stored rows: what it adds, no longer holds, tells differently. Not here:
chats that are new, whose messages are simply copied.

Nothing is deleted. A stored message that a newer list lacks, although its time lies between that list's first and last
message, is marked as superseded, and revived when it is told again. At the ends of the list its absence tells nothing.
"""

from collections.abc import Mapping, Sequence

from b2chat_pipeline.ingest.batch import DayWrite, Telling, count_messages
from b2chat_pipeline.ingest.mapping import message_lines
from b2chat_pipeline.ingest.rows import MESSAGE_COLUMNS
from b2chat_pipeline.warehouse.write import insert_staged, stage_lines

_UNCHANGED = """
    select m.chat_id, count(*) from messages m join stage_messages s on s.id = m.id
     where m.superseded_at is null and (m.broadcasted, m.location) is not distinct from (s.broadcasted, s.location)
     group by m.chat_id
"""
_UPDATE = """
    with changed as (
        update messages m
           set broadcasted = s.broadcasted, location = s.location, superseded_at = null, last_sync_at = s.last_sync_at
          from stage_messages s
         where s.id = m.id
           and (m.superseded_at is not null
                or (m.broadcasted, m.location) is distinct from (s.broadcasted, s.location))
        returning m.chat_id
    )
    select chat_id, count(*) from changed group by chat_id
"""
_SUPERSEDE = """
    with told as (
        select s.chat_id, min(s.timestamp) as first, max(s.timestamp) as last, max(c.read_at) as read_at,
               max(s.last_sync_at) as synced_at
          from stage_messages s join chats c on c.id = s.chat_id group by s.chat_id
    )
    update messages m set superseded_at = t.read_at, last_sync_at = t.synced_at
      from told t
     where m.chat_id = t.chat_id and m.timestamp between t.first and t.last and m.superseded_at is null
       and not exists (select from stage_messages s where s.id = m.id)
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


def merge_messages(write: DayWrite, tellings: Mapping[str, Telling]) -> None:
    """Merge the messages of tellings, by the ids of their stored chats, each of which tells at least one message."""
    if not tellings:
        return
    lines: dict[str, str] = {}
    chats: dict[str, str] = {}
    for chat_id, telling in tellings.items():
        told = message_lines(telling.chat, chat_id, synced_at=write.synced_at)
        lines |= told
        chats |= dict.fromkeys(told, chat_id)
    stage_lines(write.connection, "messages", MESSAGE_COLUMNS, (lines[key] for key in sorted(lines)))
    for term, statement in (("unchanged", _UNCHANGED), ("updated", _UPDATE)):
        for chat_id, number in write.connection.execute(statement).fetchall():
            count_messages(write.tally, tellings[chat_id], term, number)
    for message_id in insert_staged(write.connection, "messages", MESSAGE_COLUMNS, "id"):
        count_messages(write.tally, tellings[chats[message_id]], "inserted", 1)
    write.connection.execute(_SUPERSEDE)


def recount_messages(write: DayWrite, chat_ids: Sequence[str]) -> None:
    """Bring what chats say about their messages up to date: how many are unread, and when the last one came."""
    write.connection.execute(_RECOUNT, (chat_ids,))
