"""Tells people what scoring cannot go on for: one row of `notifications` for each cause and day."""

from datetime import datetime

from psycopg import Connection
from psycopg.types.json import Jsonb

from b2chat_pipeline.analysis.ledger import CapReachedError
from b2chat_pipeline.warehouse.identifiers import new_id

_NOTIFY = """
    insert into notifications (id, user_id, title, message, type, metadata, created_at)
    select %(id)s, %(user_id)s, 'Scoring stopped at its cap', %(message)s, 'warning', %(about)s, %(now)s
     where not exists (select from notifications where user_id = %(user_id)s and metadata @> %(about)s)
"""


def notify_cap(connection: Connection, user_id: str, reached: CapReachedError, now: datetime) -> None:
    """Say once a day that a cap is reached."""
    about = Jsonb({"kind": "scoring cap", "cap": reached.cap, "day": reached.day.isoformat()})
    values = {"id": new_id(), "user_id": user_id, "message": str(reached), "about": about, "now": now}
    connection.execute(_NOTIFY, values)
