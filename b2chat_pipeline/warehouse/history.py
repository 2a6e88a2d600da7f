"""What is remembered of chats beyond their rows: each change with its bounds, and the reads that lacked a chat.

Here belong `ops.chat_history`, `ops.chat_absences`, and the soft deletion that follows from them. Not here: what is
told of a chat (`ingest/`). A chat without absences was told by the newest read that its hour was loaded from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection

from b2chat_pipeline.windows import Window

# So many complete reads must lack a chat: one alone may have been taken while the list moved.
READS_TO_DELETE = 2
ABSENT = "absent upstream"

_CHANGES = """
    insert into chat_history (chat_id, field, old, new, seen_before, seen_at, sync_id)
    select c.id, v.field, v.old, v.new, b.told_at, s.read_at, %s
      from stage_chats s join chats c on c.id = s.id
      join unnest(%s::text[], %s::timestamptz[]) b (chat_id, told_at) on b.chat_id = c.id
      cross join lateral (values ('status', c.raw_status, s.raw_status), ('agent', c.agent_id, s.agent_id),
                                 ('department', c.department_id, s.department_id)) v (field, old, new)
     where v.old is distinct from v.new
    on conflict do nothing
"""
# An hour's read tells nothing of a chat that a newer answer has told.
_MISS = """
    insert into chat_absences (chat_id, sync_id, read_at, told_at)
    select c.id, %(sync_id)s, h.read_at, coalesce(a.told_at, greatest(c.read_at, h.applied))
      from unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[], %(read_at)s::timestamptz[],
                  %(applied)s::timestamptz[]) h (first, beyond, read_at, applied)
      join chats c on c.created_at >= h.first and c.created_at < h.beyond and c.b2chat_id <> all(%(told)b)
      left join lateral (select max(told_at) as told_at from chat_absences where chat_id = c.id) a on true
     where h.read_at > coalesce(a.told_at, greatest(c.read_at, h.applied))
    on conflict do nothing
    returning chat_id
"""
# A chat inserted from an old page, although a newer read of its hour has been loaded: that one lacked it. Its name is
# known only where no newer one is stored.
_MISS_LATE = """
    insert into chat_absences (chat_id, sync_id, read_at, told_at)
    select c.id, case when r.read_at = r.applied_read_at then r.sync_id end, r.applied_read_at, c.read_at
      from chats c join window_reads r on r.endpoint = %s and r.hour_start = any(%s)
           and c.created_at >= r.hour_start and c.created_at < r.hour_start + interval '1 hour'
     where c.b2chat_id = any(%s) and r.applied_read_at > c.read_at
    on conflict do nothing
"""
_TELL = """
    with told as (select * from unnest(%s::text[], %s::timestamptz[]) t (chat_id, told_at)),
    kept as (
        update chat_absences a set told_at = greatest(a.told_at, t.told_at)
          from told t where a.chat_id = t.chat_id and a.read_at > t.told_at
    )
    delete from chat_absences a using told t where a.chat_id = t.chat_id and a.read_at <= t.told_at
    returning a.chat_id, a.read_at
"""
_DELETE = """
    with absent as (
        select chat_id, array_agg(read_at order by read_at) as reads, max(told_at) as told_at
          from chat_absences where chat_id = any(%(chats)s) group by chat_id having count(*) >= %(enough)s
    ), deleted as (
        update chats c
           set is_deleted = true, deleted_at = a.reads[%(enough)s], deletion_reason = %(reason)s,
               last_sync_at = %(now)s, sync_version = c.sync_version + 1
          from absent a where c.id = a.chat_id and not c.is_deleted
        returning c.id, a.told_at, a.reads[1] as missed_at
    )
    insert into chat_history (chat_id, field, old, new, seen_before, seen_at, sync_id)
    select id, 'deleted', 'false', 'true', told_at, missed_at, %(sync_id)s from deleted
    on conflict do nothing
"""
_REVIVE = """
    with back as (
        select * from unnest(%(chats)s::text[], %(missed_at)s::timestamptz[], %(told_at)s::timestamptz[])
                      b (chat_id, missed_at, told_at)
    ), revived as (
        update chats c set is_deleted = false, deleted_at = null, deletion_reason = null
          from back b
         where c.id = b.chat_id and c.is_deleted and c.deletion_reason = %(reason)s
           and (select count(*) from chat_absences a where a.chat_id = c.id and a.read_at > b.told_at) < %(enough)s
        returning c.id, b.missed_at, b.told_at
    )
    insert into chat_history (chat_id, field, old, new, seen_before, seen_at, sync_id)
    select id, 'deleted', 'true', 'false', missed_at, told_at, %(sync_id)s from revived
    on conflict do nothing
"""


@dataclass(frozen=True)
class Absence:
    """A chat that complete reads lacked since it was last told: when that was, and when they were taken."""

    told_at: datetime
    reads: Sequence[datetime]

    def deletes(self, *, told_at: datetime) -> bool:
        """Whether enough reads lack a chat that an answer told at `told_at`."""
        return sum(read_at > told_at for read_at in self.reads) >= READS_TO_DELETE


@dataclass(frozen=True)
class HourMissed:
    """An hour as a complete read told it, and when the newest read was taken that it had been loaded from before."""

    window: Window
    read_at: datetime
    applied: datetime | None


def chat_absences(connection: Connection, chat_ids: Sequence[str]) -> dict[str, Absence]:
    """The absences of those chats, by id, that have any."""
    rows = connection.execute(
        "select chat_id, max(told_at), array_agg(read_at) from chat_absences where chat_id = any(%b) group by 1",
        (list(chat_ids),),
    )
    return {row[0]: Absence(*row[1:]) for row in rows}


def record_changes(connection: Connection, told_at: Mapping[str, datetime], *, sync_id: str) -> None:
    """Remember how staged chats differ from their rows; `told_at` is when each was last told as its row says."""
    connection.execute(_CHANGES, (sync_id, list(told_at), list(told_at.values())))


def miss_chats(connection: Connection, hours: Sequence[HourMissed], told: Sequence[str], *, sync_id: str) -> list[str]:
    """Note the stored chats of some hours that a complete read of them lacks; returns their ids."""
    values = {
        "sync_id": sync_id,
        "starts": [hour.window.start for hour in hours],
        "ends": [hour.window.end for hour in hours],
        "read_at": [hour.read_at for hour in hours],
        "applied": [hour.applied for hour in hours],
        "told": list(told),
    }
    return [row[0] for row in connection.execute(_MISS, values)]


def miss_late_chats(connection: Connection, endpoint: str, hours: Sequence[datetime], keys: Sequence[str]) -> None:
    """Note, for chats just inserted by their keys at the source, a newer read of their hour that had lacked them."""
    connection.execute(_MISS_LATE, (endpoint, list(hours), list(keys)))


def delete_missed(connection: Connection, chat_ids: Sequence[str], *, sync_id: str, now: datetime) -> None:
    """Soft-delete those of some chats that enough reads lack."""
    values = {"chats": list(chat_ids), "enough": READS_TO_DELETE, "reason": ABSENT, "now": now, "sync_id": sync_id}
    connection.execute(_DELETE, values)


def tell_absent(connection: Connection, told_at: Mapping[str, datetime], *, sync_id: str) -> None:
    """Forget the absences of chats that newer answers tell, and revive those that had been soft-deleted for them."""
    missed_at: dict[str, datetime] = {}
    for chat_id, read_at in connection.execute(_TELL, (list(told_at), list(told_at.values()))).fetchall():
        missed_at[chat_id] = max(read_at, missed_at.get(chat_id, read_at))
    values = {
        "chats": list(missed_at),
        "missed_at": list(missed_at.values()),
        "told_at": [told_at[chat_id] for chat_id in missed_at],
        "enough": READS_TO_DELETE,
        "reason": ABSENT,
        "sync_id": sync_id,
    }
    connection.execute(_REVIVE, values)
