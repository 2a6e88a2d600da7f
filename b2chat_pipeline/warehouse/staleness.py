"""How old the stored state of the chats is, by the day they were created.

Not here: which days are read again (`policy.py`), or what a read is (`reads.py`).
"""

from datetime import date, datetime

from psycopg import Connection

from b2chat_pipeline.policy import CreationDay

_DAYS = """
    with reads as (
        select (hour_start at time zone %(zone)s)::date as day, min(read_at) as last_read
          from ops.window_reads where endpoint = %(endpoint)s and hour_start >= %(since)s group by 1
    ), held as (
        select (created_at at time zone %(zone)s)::date as day, count(*) as chats,
               bool_or(not is_deleted
                       and (status <> 'closed' or id in (select chat_id from ops.chat_absences))) as has_open,
               max(greatest(closed_at, last_modified_at)) filter (where not is_deleted) as last_change
          from chats where created_at >= %(since)s group by 1
    )
    select h.day, h.chats, h.has_open, h.last_change, r.last_read
      from held h left join reads r using (day) order by h.day
"""


def creation_days(connection: Connection, endpoint: str, *, zone: str, since: datetime) -> list[CreationDay]:
    """The account-local days since a day's start that hold chats, with what decides whether they are read again."""
    rows = connection.execute(_DAYS, {"endpoint": endpoint, "zone": zone, "since": since}).fetchall()
    return [CreationDay(*row) for row in rows]


def last_full_read(connection: Connection, entity: str) -> datetime | None:
    """When the newest complete read of all records of an entity began."""
    row = connection.execute(
        "select max(started_at) from sync_logs where entity_type = %s and operation = 'full' and status = 'success'",
        (entity,),
    ).fetchone()
    return row[0] if row else None


def rereads_spent(connection: Connection, day: date) -> int:
    """The requests that re-reads have used on an account-local day."""
    row = connection.execute("select reread from ops.request_budget where day = %s", (day,)).fetchone()
    return row[0] if row else 0
