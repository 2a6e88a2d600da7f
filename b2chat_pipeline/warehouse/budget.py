"""The request budget that all processes share: so many a second, so many a day, so many for each kind of work.

Here belongs the counting. Not here: how large each share is (`policy/`), or what a refusal means for a run.
Counted on an autocommit connection of its own, never inside a transaction that could roll a sent request back.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from psycopg import Connection, sql

# One row a day holds all counts, so a single UPDATE decides: two processes cannot both take the last request.
_OPEN_DAY = "insert into ops.request_budget (day) values (%(day)s) on conflict (day) do nothing"
_TAKE = sql.SQL(
    """
    update ops.request_budget
       set {counter} = {counter} + 1,
           next_at = greatest(next_at, clock_timestamp()) + %(pause)s
     where day = %(day)s
       and (%(per_day)s = 0 or hourly + reread + backfill < %(per_day)s)
       and (%(per_day)s = 0 or {counter} < %(share)s)
       and not exists (select from ops.request_budget b where b.blocked_until > %(now)s)
    returning extract(epoch from next_at - %(pause)s - clock_timestamp())::float8
    """
)
_BLOCKED = "select max(blocked_until) from ops.request_budget where blocked_until > %(now)s"
_BLOCK = """
    insert into ops.request_budget (day, blocked_until) values (%(day)s, %(until)s)
    on conflict (day) do update
       set blocked_until = greatest(ops.request_budget.blocked_until, excluded.blocked_until)
"""


@dataclass(frozen=True)
class Limits:
    """The account's ceilings. 0 switches one off."""

    per_second: float
    per_day: int


@dataclass(frozen=True)
class Grant:
    """A request that may be sent after `wait` seconds."""

    wait: float


@dataclass(frozen=True)
class Refusal:
    """A request that may not be sent; `blocked_until` where the source itself asked for the pause."""

    blocked_until: datetime | None


def take_request(
    connection: Connection, counter: str, *, day: date, now: datetime, limits: Limits, share: int
) -> Grant | Refusal:
    """Count one request of a class (its column: hourly, reread, backfill) on an account-local day, within its share."""
    pause = timedelta(seconds=1 / limits.per_second) if limits.per_second else timedelta()
    values = {"day": day, "now": now, "pause": pause, "per_day": limits.per_day, "share": share}
    connection.execute(_OPEN_DAY, values)
    taken = connection.execute(_TAKE.format(counter=sql.Identifier(counter)), values).fetchone()
    if taken is not None:
        return Grant(max(0.0, taken[0]))
    blocked = connection.execute(_BLOCKED, values).fetchone()
    return Refusal(blocked[0] if blocked else None)


def block_requests(connection: Connection, *, day: date, until: datetime) -> None:
    """Let no process send anything before `until`."""
    connection.execute(_BLOCK, {"day": day, "until": until})


def blocked_until(connection: Connection, *, now: datetime) -> datetime | None:
    """The end of the pause that the source has asked for; None where there is none."""
    row = connection.execute(_BLOCKED, {"now": now}).fetchone()
    return row[0] if row else None
