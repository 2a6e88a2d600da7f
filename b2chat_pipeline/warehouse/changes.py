"""Which account-local days the syncs have changed, as the books tell it.

Not here: who acts on it. A day is the day a chat was created; what changes is counted by the ledger in the transaction
that changes it, and chats that were soft-deleted for their absence, of which no record came, are found by their flag.
A chat that is told with another time of creation is counted on its new day only: the rows that were built from it tell
which day it left.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime

from psycopg import Connection

_CLOSED = """
    select id, started_at, completed_at from sync_logs
     where entity_type = 'chats' and status <> 'in_progress' and completed_at >= %s
"""
_CHANGED = """
    select (hour_start at time zone %(zone)s)::date from ops.ledger
     where sync_id = any(%(syncs)s) and entity in ('chats', 'messages') and inserted + updated > 0
    union
    select (created_at at time zone %(zone)s)::date from chats where is_deleted and last_sync_at >= %(since)s
"""
_BUILT = "analytics.chat_metrics"
_LEFT = """
    select distinct built.created_day
      from unnest(%(days)s::date[]) day
      join chats c on c.created_at >= day::timestamp at time zone %(zone)s
           and c.created_at < (day + 1)::timestamp at time zone %(zone)s
      join analytics.chat_metrics built on built.chat_id = c.id and built.created_day <> day
"""


@dataclass(frozen=True)
class ClosedSync:
    """A sync of chats that is over, however it ended."""

    id: str
    started_at: datetime
    completed_at: datetime


def closed_syncs(connection: Connection, *, since: datetime) -> list[ClosedSync]:
    """The syncs of chats that ended since then."""
    return [ClosedSync(*row) for row in connection.execute(_CLOSED, (since,))]


def changed_days(connection: Connection, syncs: Collection[ClosedSync], *, zone: str) -> list[date]:
    """The days whose chats or messages some syncs have changed, and those that chats of them were built on before; in
    order.
    """
    if not syncs:
        return []
    since = min(sync.started_at for sync in syncs)
    values = {"zone": zone, "syncs": [sync.id for sync in syncs], "since": since}
    days = {row[0] for row in connection.execute(_CHANGED, values)}
    return sorted(days | _left(connection, days, zone=zone))


def _left(connection: Connection, days: Collection[date], *, zone: str) -> set[date]:
    """Other days that chats of some days were built on."""
    if not _is_built(connection):
        return set()
    return {row[0] for row in connection.execute(_LEFT, {"days": list(days), "zone": zone})}


def _is_built(connection: Connection) -> bool:
    row = connection.execute("select to_regclass(%s) is not null", (_BUILT,)).fetchone()
    return row is not None and bool(row[0])
