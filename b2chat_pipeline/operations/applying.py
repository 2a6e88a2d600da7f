"""Puts a configuration into the warehouse: what changed becomes a new version, and SQL's tables are worked out anew.

Once there are chats, a change holds from the account's next day on, so that whatever is rebuilt finds what held when a
chat was created, and all chats of a day find the same. Not here: what may be configured (`configuration.py`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

import msgspec
from psycopg import Connection
from psycopg.types.json import Jsonb

from b2chat_pipeline.operations.configuration import (
    DEFAULT,
    Configuration,
    Department,
    Policy,
    WeeklyHours,
    walk,
)
from b2chat_pipeline.operations.department_tree import plant
from b2chat_pipeline.operations.opening_hours import holidays_of, openings, spans_on
from b2chat_pipeline.operations.timelines import Content, Period, consecutive, since
from b2chat_pipeline.warehouse.identifiers import new_id
from b2chat_pipeline.windows import AccountClock

Kind = Literal["calendar", "department", "scoring", "sla policy"]
# How many years ahead hours are worked out: holidays are decided about that far.
YEARS_AHEAD = 5


@dataclass(frozen=True)
class Change:
    """One thing that was configured anew, and from when on it holds; None: since ever."""

    kind: Kind
    name: str
    valid_from: datetime | None


@dataclass(frozen=True)
class Account:
    """Whose configuration it is, and who applies it when."""

    clock: AccountClock
    user_id: str
    now: datetime


def apply(
    connection: Connection, configuration: Configuration, account: Account, *, restate: bool = False
) -> list[Change]:
    """Make a configuration the one that holds, in one transaction; returns what changed.

    `restate` lets it hold for the past too, as far as it says.
    """
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(hashtextextended('b2chat configuration', 0))")
        applying = _Applying(connection, account, restate=restate)
        applying.everything(configuration)
        if applying.changes:
            _audit(connection, account, applying.changes, restate=restate)
    return applying.changes


class _Applying:
    """One configuration on its way into the tables."""

    def __init__(self, connection: Connection, account: Account, *, restate: bool) -> None:
        self._connection = connection
        self._account = account
        self.changes: list[Change] = []
        tomorrow = account.clock.day_of(account.now) + timedelta(days=1)
        nothing_yet = restate or not self._is_any("select exists (select from chats)")
        self._next_day = None if nothing_yet else account.clock.day_window(tomorrow).start
        # Before the first calendar nothing was measured by one.
        first = not self._is_any("select exists (select from ops.config_versions where kind = 'calendar')")
        self._calendars_since = None if first else self._next_day

    def everything(self, configuration: Configuration) -> None:
        if configuration.calendars is not None:
            told = {name: consecutive(list(self._weeks(weeks))) for name, weeks in configuration.calendars.items()}
            self._compare("calendar", told, self._calendars_since)
        if configuration.departments is not None:
            self._compare("department", dict(_departments(configuration.departments)), self._calendars_since)
            plant(self._connection, configuration.departments, now=self._account.now)
        if configuration.sla is not None:
            self._compare("sla policy", dict(self._policies(configuration.sla)), self._next_day)
        if configuration.scoring is not None:
            # Nothing of the past is scored anew by other terms: they hold at once.
            terms = consecutive([(None, msgspec.to_builtins(configuration.scoring))])
            first = not self._is_any("select exists (select from ops.config_versions where kind = 'scoring')")
            self._compare("scoring", {"scoring": terms}, None if first else self._account.now)
        self._work_out_hours()
        self._work_out_rules()

    def _is_any(self, query: str) -> bool:
        row = self._connection.execute(query.encode()).fetchone()
        return row is not None and bool(row[0])

    def _midnight(self, day: date) -> datetime:
        return self._account.clock.day_window(day).start

    def _weeks(self, weeks: Iterable[WeeklyHours]) -> Iterator[tuple[datetime, Content]]:
        for week in weeks:
            content = msgspec.to_builtins(week)
            del content["valid_from"]
            yield self._midnight(week.valid_from), content

    def _policies(self, policies: Sequence[Policy]) -> Iterator[tuple[str, list[Period]]]:
        for name in dict.fromkeys(policy.policy for policy in policies):
            starts: list[tuple[datetime | None, Content]] = []
            for policy in (each for each in policies if each.policy == name):
                content = msgspec.to_builtins(policy)
                del content["valid_from"], content["policy"]
                starts.append((self._midnight(policy.valid_from) if policy.valid_from else None, content))
            yield name, consecutive(starts)

    def _compare(self, kind: Kind, told: Mapping[str, list[Period]], instant: datetime | None) -> None:
        """Write new versions of all that differs from an instant on; what is not told any more ends then."""
        stored = self._stored(kind)
        for name in sorted(told.keys() | stored.keys()):
            wanted, present = since(told.get(name, []), instant), since(stored.get(name, []), instant)
            if wanted != present:
                self._replace(kind, name, wanted, instant)
                self.changes.append(Change(kind, name, wanted[0].valid_from if wanted else instant))

    def _stored(self, kind: Kind) -> dict[str, list[Period]]:
        stored: dict[str, list[Period]] = {}
        for name, *period in self._connection.execute(
            "select name, valid_from, valid_to, content from ops.config_versions"
            " where kind = %s and replaced_at is null order by name, version",
            (kind,),
        ):
            stored.setdefault(name, []).append(Period(*period))
        return stored

    def _replace(self, kind: Kind, name: str, periods: Iterable[Period], instant: datetime | None) -> None:
        key = {"kind": kind, "name": name, "instant": instant, "now": self._account.now}
        self._connection.execute(
            "update ops.config_versions set replaced_at = %(now)s where kind = %(kind)s and name = %(name)s"
            " and replaced_at is null and (%(instant)s::timestamptz is null or valid_from >= %(instant)s)",
            key,
        )
        self._connection.execute(
            "update ops.config_versions set valid_to = %(instant)s where kind = %(kind)s and name = %(name)s"
            " and replaced_at is null and (valid_to is null or valid_to > %(instant)s)",
            key,
        )
        for period in periods:
            self._connection.execute(
                "insert into ops.config_versions (kind, name, version, content, valid_from, valid_to, applied_at)"
                " select %(kind)s, %(name)s, coalesce(max(version), 0) + 1, %(content)s, %(valid_from)s, %(valid_to)s,"
                " %(now)s from ops.config_versions where kind = %(kind)s and name = %(name)s",
                {
                    **key,
                    "content": Jsonb(period.content),
                    "valid_from": period.valid_from,
                    "valid_to": period.valid_to,
                },
            )

    def _work_out_hours(self) -> None:
        """Opening hours and holidays: from the day on that a change holds, and some years ahead, even of no change."""
        today = self._account.clock.day_of(self._account.now)
        horizon = date(today.year + YEARS_AHEAD + 1, 1, 1)
        for calendar, periods in self._stored("calendar").items():
            self._forget_hours(calendar)
            for period in since(periods, self._calendars_since):
                self._fill(calendar, period, until=horizon)
            ends = periods[-1].valid_to or self._midnight(horizon)
            self._connection.execute(
                "insert into ops.calendars (calendar, known_from, known_until) values (%s, %s, %s)"
                " on conflict (calendar) do update"
                " set known_from = excluded.known_from, known_until = excluded.known_until",
                (calendar, periods[0].valid_from, ends),
            )
        # The functions over the hours are planned once and for all, so their size had better be known.
        self._connection.execute("analyze ops.business_hours")

    def _forget_hours(self, calendar: str) -> None:
        instant = self._calendars_since
        self._connection.execute(
            "delete from ops.business_hours where calendar = %(calendar)s"
            " and (%(instant)s::timestamptz is null or opens_at >= %(instant)s)",
            {"calendar": calendar, "instant": instant},
        )
        self._connection.execute(
            "delete from ops.holidays where calendar = %(calendar)s and (%(day)s::date is null or day >= %(day)s)",
            {"calendar": calendar, "day": instant and self._account.clock.day_of(instant)},
        )

    def _fill(self, calendar: str, period: Period, *, until: date) -> None:
        clock = self._account.clock
        if period.valid_from is None:
            raise ValueError("the hours of a calendar begin some day")
        first = clock.day_of(period.valid_from)
        last = min(until, clock.day_of(period.valid_to) if period.valid_to else until) - timedelta(days=1)
        closed = holidays_of(period.content, first, last)
        with self._connection.cursor().copy("copy ops.holidays (calendar, day, name) from stdin") as copy:
            for day, name in closed.items():
                copy.write_row((calendar, day, name))
        with self._connection.cursor().copy(
            "copy ops.business_hours (calendar, opens_at, closes_at) from stdin"
        ) as copy:
            for number in range((last - first).days + 1):
                day = first + timedelta(days=number)
                if day not in closed:
                    for opening in openings(day, spans_on(period.content, day), clock.zone):
                        copy.write_row((calendar, opening.start, opening.end))

    def _work_out_rules(self) -> None:
        self._connection.execute("delete from ops.sla_policies")
        self._connection.execute(_SLA_POLICIES)
        self._connection.execute("delete from ops.department_calendars")
        self._connection.execute(_DEPARTMENT_CALENDARS)


_SLA_POLICIES = """
    insert into ops.sla_policies (policy, version, clock, priority, channel, target_seconds, in_business_hours,
                                  valid_from, valid_to)
    select name, version, target.key, content ->> 'priority', content ->> 'channel', target.value::integer,
           (content ->> 'in_business_hours')::boolean, valid_from, valid_to
      from ops.config_versions cross join jsonb_each_text(content -> 'targets') as target
     where kind = 'sla policy' and replaced_at is null
"""
_DEPARTMENT_CALENDARS = """
    insert into ops.department_calendars (department, version, calendar, valid_from, valid_to)
    select name, version, content ->> 'calendar', valid_from, valid_to
      from ops.config_versions
     where kind = 'department' and replaced_at is null
"""


def _departments(departments: Sequence[Department]) -> Iterator[tuple[str, list[Period]]]:
    for line in walk(departments):
        nearest = next((each.calendar for each in reversed(line) if each.calendar), DEFAULT)
        above = line[-2].name if len(line) > 1 else None
        content: dict[str, Any] = {"calendar": nearest, "above": above}
        yield line[-1].name, consecutive([(None, content)])


def _audit(connection: Connection, account: Account, changes: Iterable[Change], *, restate: bool) -> None:
    told = [
        {"kind": it.kind, "name": it.name, "valid_from": it.valid_from and it.valid_from.isoformat()} for it in changes
    ]
    connection.execute(
        "insert into audit_logs (id, timestamp, created_at, user_id, user_email, event_type, severity, resource,"
        " action, details) select %s, %s, %s, id, email, 'settings.update', 'medium', 'configuration', 'update', %s"
        " from users where id = %s",
        (new_id(), account.now, account.now, Jsonb({"changes": told, "restate": restate}), account.user_id),
    )
