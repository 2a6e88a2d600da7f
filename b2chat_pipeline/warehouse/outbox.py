"""Notices that wait for their channels: put out with what they tell of, taken off when a channel has taken them.

Not here: what a channel is and sending to it (`operations/channels.py`).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection

from b2chat_pipeline.policy.troubles import WATCHED, send_again_at
from b2chat_pipeline.warehouse.identifiers import new_id

_PUT = """
    insert into ops.outbox (id, incident_id, event, channel, title, body, type, created_at, next_at)
    values (%(id)s, %(incident)s, %(event)s, %(channel)s, %(title)s, %(body)s, %(type)s, %(now)s, %(now)s)
    on conflict (incident_id, event, channel) do nothing
"""
# The oldest of a channel alone: it comes before the others, or not yet. Another process may be sending it.
_TAKE = """
    select id, incident_id, event, title, body, type, attempts from ops.outbox
     where id = (
           select id from ops.outbox
            where channel = %(channel)s and sent_at is null and given_up_at is null
            order by created_at, id limit 1)
       and next_at <= %(now)s
       for update skip locked
"""
_SENT = "update ops.outbox set sent_at = %(now)s, attempts = attempts + 1, trouble = null where id = %(id)s"
_FAILED = """
    update ops.outbox set attempts = attempts + 1, next_at = %(next_at)s, trouble = %(trouble)s where id = %(id)s
"""
_GIVE_UP = """
    update ops.outbox set given_up_at = %(now)s
     where sent_at is null and given_up_at is null and (created_at < %(too_old)s or channel <> all(%(channels)s))
"""
_WAITING = """
    select channel, count(*), min(next_at) filter (where attempts > 0), max(trouble) from ops.outbox
     where sent_at is null and given_up_at is null group by channel order by channel
"""


@dataclass(frozen=True)
class Notice:
    """What a channel is told of an incident: that it has begun, or that it is over."""

    incident: str
    event: str
    title: str
    body: str
    type: str


@dataclass(frozen=True)
class Waiting:
    """The notices that wait for a channel: how many; where it did not take one, when it is tried again, and why not."""

    channel: str
    notices: int
    next_at: datetime | None
    trouble: str | None


@dataclass(frozen=True)
class Taken:
    """A notice in hand, locked until its transaction ends."""

    id: str
    notice: Notice
    attempts: int


def put_out(connection: Connection, notice: Notice, channels: Sequence[str], *, now: datetime) -> None:
    """Have channels told of a notice, each once."""
    for channel in channels:
        values = {"id": new_id(), "channel": channel, "now": now, "incident": notice.incident, "event": notice.event}
        texts = {"title": notice.title, "body": notice.body, "type": notice.type}
        connection.execute(_PUT, {**values, **texts})


def take(connection: Connection, channel: str, *, now: datetime) -> Taken | None:
    """The next notice for a channel, if it is due and no other process has it in hand. Within a transaction."""
    row = connection.execute(_TAKE, {"channel": channel, "now": now}).fetchone()
    return Taken(row[0], Notice(*row[1:6]), row[6]) if row else None


def sent(connection: Connection, taken: Taken, *, now: datetime) -> None:
    """Note that a channel took a notice."""
    connection.execute(_SENT, {"id": taken.id, "now": now})


def not_sent(connection: Connection, taken: Taken, trouble: str, *, now: datetime) -> None:
    """Note that a channel did not take a notice, and when it is tried again."""
    next_at = send_again_at(now, attempts=taken.attempts + 1)
    connection.execute(_FAILED, {"id": taken.id, "next_at": next_at, "trouble": trouble})


def give_up(connection: Connection, channels: Collection[str], *, now: datetime) -> None:
    """Give up notices for channels other than these, and those that have waited for a week."""
    connection.execute(_GIVE_UP, {"channels": list(channels), "too_old": now - WATCHED, "now": now})


def waiting(connection: Connection) -> list[Waiting]:
    """What waits, by channel."""
    return [Waiting(*row) for row in connection.execute(_WAITING)]
