"""What the books tell about the source of a side: whether its circuit is open.

Not here: what opens it, and when it is tried again (`policy/circuit.py`).
"""

from datetime import datetime, timedelta

from psycopg import Connection

from b2chat_pipeline.policy.circuit import Outage, SyncEnd, outage

# A longer outage looks as if it had begun so long ago.
_LATELY = timedelta(days=7)
# Syncs that asked the source for records. `id` is that of the sync's main entity.
_ENDS = """
    select l.completed_at, l.status,
           (select e.error_code from error_logs e where e.request_id = l.id order by e.timestamp limit 1)
      from sync_logs l
     where l.entity_type = %s and l.id = l.metadata ->> 'sync_id' and l.completed_at >= %s
       and l.metadata ->> 'from' is not null and coalesce(l.metadata ->> 'read', 'true') = 'true'
     order by l.completed_at desc
"""


def outage_of(connection: Connection, entity: str, *, now: datetime) -> Outage | None:
    """The outage of a side (by its main entity: chats, contacts); None where its circuit is closed."""
    with connection.cursor() as cursor:
        ends = cursor.stream(_ENDS, (entity, now - _LATELY))
        return outage(SyncEnd(*row) for row in ends)
