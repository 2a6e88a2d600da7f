"""The book of troubles that people were told of, and the notices about them, in one transaction each.

Here belong ops.incidents, the notifications of each administrator, and what is put out for channels. Not here: what
trouble is (`policy/troubles.py`), sending (`outbox.py` and `operations/channels.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from psycopg import Connection
from psycopg.types.json import Jsonb

from b2chat_pipeline.policy.troubles import Failure, Incident, Trouble
from b2chat_pipeline.warehouse.identifiers import derived_id, epoch_seconds, new_id
from b2chat_pipeline.warehouse.outbox import Notice, put_out

_OPEN = "select id, cause, since, times, last_at from ops.incidents where over_at is null order by since, cause"
_KNOWN = """
    select id, cause, since, times, last_at, over_at from ops.incidents
     where over_at is null or over_at >= %s order by since, cause
"""
# Of two processes that see the same trouble at once, one tells of it.
_BEGIN = """
    insert into ops.incidents (id, cause, title, since, times, last_at, told_at)
    values (%(id)s, %(cause)s, %(title)s, %(since)s, %(times)s, %(last)s, %(now)s)
    on conflict (cause) where over_at is null do nothing
"""
_NOTIFY = """
    insert into notifications (id, user_id, title, message, type, metadata, created_at)
    values (%(id)s, %(user_id)s, %(title)s, %(message)s, %(type)s, %(about)s, %(now)s)
"""
_GO_ON = "update ops.incidents set times = %(times)s, last_at = %(last)s where id = %(id)s and over_at is null"
_COUNT = "update notifications set metadata = metadata || %(about)s where metadata ->> 'incident' = %(id)s"
_CONSEQUENCES = """
    update notifications
       set metadata = metadata || jsonb_build_object(
               'consequences', coalesce(metadata -> 'consequences', '{}') || %(checks)s)
      from ops.incidents
     where cause = %(cause)s and over_at is null and metadata ->> 'incident' = incidents.id
       and (metadata -> 'consequences' @> %(checks)s) is not true
"""
_END = """
    update ops.incidents set over_at = %(now)s where id = %(id)s and over_at is null returning title, times
"""
_TELL_THE_END = """
    update notifications
       set type = %(type)s, is_read = false, message = %(told)s || ' ' || message, metadata = metadata || %(about)s
     where metadata ->> 'incident' = %(id)s
"""
_RECORD = """
    insert into error_logs (id, timestamp, level, message, error_code, request_id, correlation_id, source, created_at)
    values (%(id)s, %(ended)s, 'error', %(sentence)s, %(code)s, %(run_id)s, %(run_id)s, 'cron', %(now)s)
    on conflict (id) do nothing
"""


@dataclass(frozen=True)
class Audience:
    """Who is told: the users, the channels by their names, and the zone in which times are written."""

    user_ids: Sequence[str]
    channels: Sequence[str]
    zone: ZoneInfo

    def time(self, moment: datetime) -> str:
        """A moment as people read it."""
        return f"{moment.astimezone(self.zone):%Y-%m-%d %H:%M} {self.zone.key}"


def open_incidents(connection: Connection) -> list[Incident]:
    """What people were told of and is not over, the oldest first."""
    return [Incident(*row) for row in connection.execute(_OPEN)]


def known_incidents(connection: Connection, *, over_since: datetime) -> list[Incident]:
    """What is not over, and what was over since then, the oldest first."""
    return [Incident(*row) for row in connection.execute(_KNOWN, (over_since,))]


def begin(connection: Connection, trouble: Trouble, audience: Audience, *, now: datetime) -> None:
    """Tell of a trouble: one row for each user, one notice for each channel."""
    first, newest = trouble.failures[0], trouble.failures[-1]
    incident, title = new_id(), trouble.cause.title
    values = {
        "id": incident,
        "cause": trouble.cause.key,
        "title": title,
        "since": first.ended,
        "times": len(trouble.failures),
        "last": newest.ended,
        "now": now,
    }
    about = {
        "incident": incident,
        "cause": trouble.cause.key,
        "suppressed": len(trouble.failures) - 1,
        "run_id": newest.run_id,
        "sync_id": newest.sync_id,
        "subject": newest.subject,
        "last_at": newest.ended.isoformat(),
    }
    message = f"Since {audience.time(first.ended)}: {trouble.message}"
    with connection.transaction():
        if not connection.execute(_BEGIN, values).rowcount:
            return
        for user_id in audience.user_ids:
            connection.execute(
                _NOTIFY,
                {
                    "id": new_id(),
                    "user_id": user_id,
                    "title": title,
                    "message": message,
                    "type": trouble.cause.level,
                    "about": Jsonb(about),
                    "now": now,
                },
            )
        notice = Notice(incident, "begun", title, message, trouble.cause.level)
        put_out(connection, notice, audience.channels, now=now)


def go_on(connection: Connection, incident: Incident) -> None:
    """Count what else came of a cause that people were told of."""
    values = {"id": incident.id, "times": incident.times, "last": incident.last}
    about = {"suppressed": incident.times - 1, "last_at": incident.last.isoformat()}
    with connection.transaction():
        if connection.execute(_GO_ON, values).rowcount:
            connection.execute(_COUNT, {"id": incident.id, "about": Jsonb(about)})


def note_consequences(connection: Connection, cause: str, checks: Mapping[str, datetime]) -> None:
    """Note in what people were told of a cause that lasts which health checks fail because of it, and when they did."""
    looked = {check: moment.isoformat() for check, moment in checks.items()}
    connection.execute(_CONSEQUENCES, {"cause": cause, "checks": Jsonb(looked)})


def end(connection: Connection, incident: Incident, audience: Audience, *, lapsed: bool, now: datetime) -> None:
    """Tell that a trouble is over, in the rows that told of it; a lapsed one was only not tried again."""
    told = f"Over, seen {audience.time(now)}."
    if lapsed:
        told = f"Not watched any more since {audience.time(now)}: nobody has tried again. See `b2chat doctor`."
    level = "info" if lapsed else "success"
    about = Jsonb({"over_at": now.isoformat()})
    with connection.transaction():
        row = connection.execute(_END, {"id": incident.id, "now": now}).fetchone()
        if row is None:
            return
        connection.execute(_TELL_THE_END, {"id": incident.id, "type": level, "told": told, "about": about})
        title, times = row
        again = f" It came {times} times." if times > 1 else ""
        notice = Notice(incident.id, "over", f"{'Not watched' if lapsed else 'Over'}: {title}", told + again, level)
        put_out(connection, notice, audience.channels, now=now)


def record_failed_run(connection: Connection, failure: Failure, *, now: datetime) -> None:
    """One row of error_logs for a run that no sync tells of, however often it is seen."""
    row_id = derived_id(epoch_seconds(failure.ended), "failed run", failure.run_id)
    values = {"sentence": failure.sentence, "code": failure.code, "run_id": failure.run_id, "ended": failure.ended}
    connection.execute(_RECORD, {**values, "id": row_id, "now": now})
