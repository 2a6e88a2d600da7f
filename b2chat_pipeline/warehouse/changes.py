"""Which account-local days the syncs have changed, as the books tell it.

Not here: who acts on it. A day is the day a chat was created; what changes is counted by the ledger in the transaction
that changes it, and chats that were soft-deleted for their absence, of which no record came, are found by their flag.
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
    """The days whose chats or messages some syncs have changed, in order."""
    if not syncs:
        return []
    since = min(sync.started_at for sync in syncs)
    values = {"zone": zone, "syncs": [sync.id for sync in syncs], "since": since}
    return sorted(row[0] for row in connection.execute(_CHANGED, values))
