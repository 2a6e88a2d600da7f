"""How old the stored state is: of the chats by the day they were created, and of all contacts.

Not here: which days are read again (`policy/`), what a read is (`reads.py`), the counting of requests (`budget.py`).
Days are asked for every twenty minutes, over half a year, so hardly any chat is looked at: the reads tell how many
chats a day has, a partial index whether one is not closed, and only where all are closed another one tells the latest
change.
"""

from datetime import date, datetime

from psycopg import Connection

from b2chat_pipeline.policy import CreationDay, FullReads

# `offset 0` keeps PostgreSQL from looking for the latest change of all chats first, which made this take seconds.
_DAYS = """
    with reads as (
        select (hour_start at time zone %(zone)s)::date as day, min(read_at) as last_read, sum(records)::int as chats
          from ops.window_reads where endpoint = %(endpoint)s and hour_start >= %(since)s group by 1
    ), days as materialized (
        select day, last_read, chats, day::timestamp at time zone %(zone)s as start,
               (day + 1)::timestamp at time zone %(zone)s as stop
          from reads
    ), absent as materialized (
        select distinct (c.created_at at time zone %(zone)s)::date as day
          from ops.chat_absences a join chats c on c.id = a.chat_id where not c.is_deleted
    ), told as (
        select d.*, d.day in (select day from absent)
               or exists (select from chats c where c.created_at >= d.start and c.created_at < d.stop
                                                and c.status <> 'closed' and not c.is_deleted) as has_open
          from days d
    )
    select t.day, t.chats, t.has_open, case when not t.has_open then
               (select max(last_modified_at)
                  from (select c.last_modified_at from chats c
                         where c.created_at >= t.start and c.created_at < t.stop offset 0) of_day)
           end, t.last_read, (t.last_read at time zone %(zone)s)::date
      from told t order by t.day
"""
# A read that the day's requests cut off leaves no error.
_FULL_READS = """
    with reads as (
        select started_at, status, error_message, max(started_at) filter (where status = 'success') over () as completed
          from sync_logs where entity_type = %s and operation = 'full'
    )
    select max(completed), count(*) filter (where failed), max(started_at) filter (where failed)
      from reads
     cross join lateral
           (select error_message is not null and started_at > coalesce(completed, '-infinity')) as told (failed)
"""


def creation_days(connection: Connection, endpoint: str, *, zone: str, since: datetime) -> list[CreationDay]:
    """The account-local days since a day's start that have been read, with what decides whether they are read again."""
    rows = connection.execute(_DAYS, {"endpoint": endpoint, "zone": zone, "since": since}).fetchall()
    return [CreationDay(*row) for row in rows]


def full_reads(connection: Connection, entity: str) -> FullReads:
    """How the reads of all records of an entity went, up to now."""
    row = connection.execute(_FULL_READS, (entity,)).fetchone()
    return FullReads(*row) if row else FullReads(None)


def requests_sent(connection: Connection, day: date) -> dict[str, int]:
    """The requests of an account-local day by kind of work."""
    row = connection.execute(
        "select hourly, reread, backfill from ops.request_budget where day = %s", (day,)
    ).fetchone()
    return dict(zip(("hourly", "reread", "backfill"), row or (0, 0, 0), strict=True))
