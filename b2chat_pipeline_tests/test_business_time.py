"""Business seconds by SQL are those that the clock on the wall tells, also where clocks change."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import Connection

from b2chat_pipeline.operations.applying import Account, apply
from b2chat_pipeline.operations.configuration import parse
from b2chat_pipeline.operations.opening_hours import holidays_of, openings
from b2chat_pipeline.warehouse.accounts import SYSTEM_USER, ensure_users
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.windows import AccountClock
from b2chat_pipeline_tests.business_time import WallCalendar
from b2chat_pipeline_tests.postgres import PostgresServer

NEW_YORK = ZoneInfo("America/New_York")
SPRING, AUTUMN = date(2025, 3, 9), date(2025, 11, 2)
# Open around the clock on Sundays, so on both days that clocks change, and over the hour in question on Saturdays.
CONFIGURATION = b"""
calendars:
  default:
    - valid_from: 2025-01-01
      hours:
        monday: ["08:00-12:00", "13:00-18:00"]
        tuesday: ["08:00-12:00", "13:00-18:00"]
        friday: ["00:00-24:00"]
        sunday: ["00:00-24:00"]
      holidays: {country: US}
    - valid_from: 2025-03-18
      hours:
        tuesday: ["09:00-10:00"]
        sunday: ["01:15-02:45", "23:00-24:00"]
      closed: [2025-03-25]
  late:
    - valid_from: 2025-01-01
      hours: {sunday: ["01:30-02:30"]}
"""
# From the calendar on the wall of a post office, not from a library.
WEEKS = (
    {
        "valid_from": date(2025, 1, 1),
        "hours": {
            "monday": ["08:00-12:00", "13:00-18:00"],
            "tuesday": ["08:00-12:00", "13:00-18:00"],
            "friday": ["00:00-24:00"],
            "sunday": ["00:00-24:00"],
        },
    },
    {
        "valid_from": date(2025, 3, 18),
        "hours": {"tuesday": ["09:00-10:00"], "sunday": ["01:15-02:45", "23:00-24:00"]},
        "closed": [date(2025, 3, 25)],
    },
)
HOLIDAYS = frozenset({date(2025, 1, 1), date(2025, 1, 20), date(2025, 2, 17)})
WALL = WallCalendar(WEEKS, HOLIDAYS, NEW_YORK, date(2025, 1, 1), date(2025, 4, 10))


@pytest.fixture(scope="module")
def warehouse(postgres_server: PostgresServer) -> Iterator[Connection]:
    with postgres_server.database(migrated=True) as url, connect(url, purpose="test") as connection:
        now = datetime(2025, 1, 15, tzinfo=UTC)
        ensure_users(connection, (), now=now)
        apply(connection, parse(CONFIGURATION), Account(AccountClock(NEW_YORK), SYSTEM_USER, now))
        yield connection


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


def seconds(warehouse: Connection, start: object, end: object, calendar: str | None = "default") -> float | None:
    query = "select ops.business_seconds(%s, %s::timestamptz, %s::timestamptz)::double precision"
    row = warehouse.execute(query, (calendar, start, end)).fetchone()
    return row[0] if row else None


HAND_WORKED = [
    ("within one opening", "2025-01-06 08:10:00", "2025-01-06 08:10:30", 30),
    ("over the lunch break", "2025-01-06 11:59:00", "2025-01-06 13:01:00", 120),
    ("outside altogether", "2025-01-06 12:10:00", "2025-01-06 12:50:00", 0),
    ("the same instant", "2025-01-06 09:00:00", "2025-01-06 09:00:00", 0),
    ("over a night", "2025-01-06 17:59:50", "2025-01-07 08:00:10", 20),
    ("a week with a holiday on Monday", "2025-01-20 00:00:00", "2025-01-22 00:00:00", 9 * 3600),
    ("a Sunday of 23 hours", "2025-03-09 00:00:00", "2025-03-10 00:00:00", 23 * 3600),
    ("two hours on the wall that are one", "2025-03-09 01:30:00", "2025-03-09 03:30:00", 3600),
    ("from old hours into new ones", "2025-03-17 17:00:00", "2025-03-18 23:00:00", 2 * 3600),
    ("a day closed by name", "2025-03-25 00:00:00", "2025-03-26 00:00:00", 0),
]


@pytest.mark.parametrize(
    ("start", "end", "expected"), [case[1:] for case in HAND_WORKED], ids=[c[0] for c in HAND_WORKED]
)
def test_business_seconds_are_those_counted_by_hand(warehouse: Connection, start: str, end: str, expected: int) -> None:
    assert seconds(warehouse, local(start), local(end)) == expected


def test_an_hour_that_is_repeated_is_business_twice(warehouse: Connection) -> None:
    clock = AccountClock(NEW_YORK)
    window = clock.day_window(AUTUMN)

    assert (window.end - window.start) == timedelta(hours=25)
    # 01:15-02:45 and 23:00-24:00: the wall shows 01:15 to 02:00 twice.
    assert seconds(warehouse, window.start, window.end) == (45 + 45 + 45 + 60) * 60


def test_an_hour_that_is_skipped_is_no_business(warehouse: Connection) -> None:
    window = AccountClock(NEW_YORK).day_window(SPRING)

    assert seconds(warehouse, window.start, window.end, calendar="late") == 30 * 60


@pytest.mark.parametrize(
    ("start", "end", "calendar"),
    [
        (None, local("2025-01-06 09:00:00"), "default"),
        (local("2025-01-06 09:00:00"), None, "default"),
        (local("2025-01-06 09:00:00"), local("2025-01-06 10:00:00"), None),
        (local("2025-01-06 09:00:00"), local("2025-01-06 10:00:00"), "nobody's"),
        (local("2025-01-06 10:00:00"), local("2025-01-06 09:00:00"), "default"),
        (local("2024-12-31 10:00:00"), local("2025-01-06 09:00:00"), "default"),
        (local("2025-01-06 09:00:00"), local("2031-01-01 00:00:01"), "default"),
    ],
)
def test_what_is_not_known_is_null_and_not_zero(
    warehouse: Connection, start: object, end: object, calendar: str | None
) -> None:
    assert seconds(warehouse, start, end, calendar) is None


def test_hours_are_known_up_to_the_horizon(warehouse: Connection) -> None:
    assert seconds(warehouse, local("2030-12-31 00:00:00"), local("2031-01-01 00:00:00")) == 3600


INSTANTS = st.integers(0, 89 * 86_400).map(
    lambda second: datetime(2025, 1, 1, 6, tzinfo=UTC) + timedelta(seconds=second)
)


@settings(max_examples=60)
@given(start=INSTANTS, length=st.integers(0, 12 * 86_400))
def test_any_span_counts_as_the_clock_on_the_wall_tells(warehouse: Connection, start: datetime, length: int) -> None:
    end = start + timedelta(seconds=length)

    assert seconds(warehouse, start, end) == WALL.seconds(start, end)


@settings(max_examples=40)
@given(instant=INSTANTS)
def test_the_next_opening_is_the_one_on_the_wall(warehouse: Connection, instant: datetime) -> None:
    row = warehouse.execute("select ops.next_opening('default', %s)", (instant,)).fetchone()

    assert row == (WALL.next_opening(instant),)


def test_a_midnight_that_does_not_exist_opens_when_the_day_begins() -> None:
    havana = ZoneInfo("America/Havana")

    opened = list(openings(date(2025, 3, 9), ["00:00-02:00"], havana))

    assert [(it.start, it.end - it.start) for it in opened] == [
        (datetime(2025, 3, 9, 5, tzinfo=UTC), timedelta(hours=1)),
    ]


def test_hours_that_are_skipped_altogether_open_nothing() -> None:
    assert list(openings(SPRING, ["02:00-03:00"], NEW_YORK)) == []


def test_holidays_are_those_of_the_days_asked_for_both_ends_included() -> None:
    days = [date(2025, 1, day) for day in (1, 2, 3, 4)]
    content = {"closed": [day.isoformat() for day in days], "holidays": None}

    assert holidays_of(content, days[1], days[2]) == {days[1]: "closed", days[2]: "closed"}
