"""What administrators find in `notifications`, and what they have read of it.

Not here: telling of incidents (`incidents.py`).
"""

from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection

from b2chat_pipeline.warehouse.outbox import Notice

# What no incident tells: its notices are put out with it.
_ALONE = """
    select id, title, message, type from notifications
     where created_at >= %s and (metadata ? 'incident') is not true
       and not exists (select from ops.outbox where incident_id = notifications.id)
     order by created_at, id
"""
# What several users were told of one thing is one notification, known by its incident.
_LIST = """
    select coalesce(metadata ->> 'incident', id) as key, max(title), max(message), max(type),
           coalesce(max((metadata ->> 'suppressed')::int), 0), max(created_at) as told_at
      from notifications
     where (%(user_id)s::text is null or user_id = %(user_id)s) and (not %(unread_only)s or not is_read)
     group by key
     order by told_at desc, key
"""
_READ = """
    with told as (
        select id, is_read from notifications
         where (%(user_id)s::text is null or user_id = %(user_id)s)
           and (%(key)s::text is null or coalesce(metadata ->> 'incident', id) = %(key)s)
    ), marked as (
        update notifications set is_read = true from told where notifications.id = told.id and not told.is_read
        returning 1
    )
    select (select count(*) from told), (select count(*) from marked)
"""


@dataclass(frozen=True)
class Notification:
    """What users were told of one thing; `suppressed` counts how often it came again."""

    key: str
    title: str
    message: str
    type: str
    suppressed: int
    created_at: datetime


def notifications(connection: Connection, user_id: str | None, *, unread_only: bool) -> list[Notification]:
    """What a user was told, or all users (None), the newest first."""
    values = {"user_id": user_id, "unread_only": unread_only}
    return [Notification(*row) for row in connection.execute(_LIST, values)]


def not_put_out(connection: Connection, *, since: datetime) -> list[Notice]:
    """What users were told since then that no incident tells, such as the cap of scoring, and no channel was told."""
    rows = connection.execute(_ALONE, (since,))
    return [Notice(key, "begun", title, message, kind) for key, title, message, kind in rows]


def mark_read(connection: Connection, user_id: str | None, key: str | None) -> int | None:
    """Mark one notification as read, or all (None), for a user or for all; how many rows changed, None where there are
    none at all.
    """
    row = connection.execute(_READ, {"user_id": user_id, "key": key}).fetchone()
    return row[1] if row and row[0] else None
