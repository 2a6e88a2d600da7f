"""Hours, days and the API's naive clocks in the account's zone."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2chat_pipeline.windows import AccountClock, ClockReading, Window

HOUR = timedelta(hours=1)
# North and south of the equator, changes at midnight, half-hour offsets, a half-hour change, no changes.
CHANGING = ("America/New_York", "Europe/Madrid", "America/Santiago", "America/Havana", "Australia/Sydney")
ZONES = (*CHANGING, "Asia/Kolkata", "America/Bogota", "Australia/Lord_Howe", "UTC")
DAYS = st.dates(date(2019, 1, 1), date(2031, 12, 31))
INSTANTS = st.integers(0, 13 * 365 * 86_400).map(lambda n: datetime(2019, 1, 1, tzinfo=UTC) + timedelta(seconds=n))
CLOCKS = st.sampled_from([AccountClock(ZoneInfo(name)) for name in ZONES])
NEW_YORK = AccountClock(ZoneInfo("America/New_York"))


def hours_of(window: Window) -> float:
    return (window.end - window.start) / HOUR


def written(instant: datetime, clock: AccountClock) -> str:
    return f"{instant.astimezone(clock.zone):%Y-%m-%d %H:%M:%S}"


@given(clock=CLOCKS.filter(lambda clock: clock.zone.key != "Australia/Lord_Howe"), day=DAYS)
def test_a_day_has_23_24_or_25_hours_and_begins_where_the_one_before_ends(clock: AccountClock, day: date) -> None:
    window = clock.day_window(day)

    assert hours_of(window) in {23, 24, 25}
    assert clock.day_window(day - timedelta(days=1)).end == window.start
    assert clock.days_of(window) == [day]


@pytest.mark.parametrize("zone", CHANGING)
def test_a_year_with_clock_changes_has_one_day_of_23_and_one_of_25_hours(zone: str) -> None:
    clock = AccountClock(ZoneInfo(zone))
    days = [date(2025, 1, 1) + timedelta(days=n) for n in range(365)]

    lengths = sorted(hours_of(clock.day_window(day)) for day in days)

    assert lengths[:2] == [23, 24]
    assert lengths[-2:] == [24, 25]


def test_where_clocks_change_by_half_an_hour_a_day_has_half_an_hour_more() -> None:
    clock = AccountClock(ZoneInfo("Australia/Lord_Howe"))

    assert hours_of(clock.day_window(date(2025, 4, 6))) == 24.5


@given(clock=CLOCKS, instant=INSTANTS)
def test_every_instant_lies_in_its_day(clock: AccountClock, instant: datetime) -> None:
    assert instant in clock.day_window(clock.day_of(instant))


@given(clock=CLOCKS, instant=INSTANTS)
def test_every_instant_lies_in_its_hour_which_is_one_of_its_day(clock: AccountClock, instant: datetime) -> None:
    hour, day = clock.hour_of(instant), clock.day_window(clock.day_of(instant))

    assert instant in hour
    assert hours_of(hour) == 1
    assert (hour.start - day.start) % HOUR == timedelta()


@given(clock=CLOCKS, instant=INSTANTS)
def test_reading_undoes_writing_except_for_the_second_occurrence_of_a_repeated_time(
    clock: AccountClock, instant: datetime
) -> None:
    reading = clock.read(written(instant, clock))

    if reading.flag is None:
        assert reading.instant == instant
    else:
        assert reading.flag == "ambiguous"
        assert reading.instant is not None
        assert instant - reading.instant in {timedelta(), HOUR, HOUR / 2}
        assert written(reading.instant, clock) == written(instant, clock)


@given(clock=CLOCKS, wall=INSTANTS)
def test_whatever_is_written_again_is_the_same_text_unless_that_time_does_not_exist(
    clock: AccountClock, wall: datetime
) -> None:
    text = f"{wall:%Y-%m-%d %H:%M:%S}"

    reading = clock.read(text)

    assert reading.instant is not None
    assert (written(reading.instant, clock) == text) == (reading.flag != "nonexistent")


def test_a_repeated_time_is_its_first_occurrence_and_flagged() -> None:
    assert NEW_YORK.read("2025-11-02 01:30:00") == ClockReading(datetime(2025, 11, 2, 5, 30, tzinfo=UTC), "ambiguous")
    assert NEW_YORK.read("2025-11-02 00:59:59").flag is None
    assert NEW_YORK.read("2025-11-02 02:00:00") == ClockReading(datetime(2025, 11, 2, 7, tzinfo=UTC))


def test_a_time_that_does_not_exist_is_shifted_forward_and_flagged() -> None:
    assert NEW_YORK.read("2025-03-09 02:30:00") == ClockReading(datetime(2025, 3, 9, 7, 30, tzinfo=UTC), "nonexistent")
    assert written(datetime(2025, 3, 9, 7, 30, tzinfo=UTC), NEW_YORK) == "2025-03-09 03:30:00"
    assert NEW_YORK.read("2025-03-09 01:59:59").flag is None
    assert NEW_YORK.read("2025-03-09 03:00:00") == ClockReading(datetime(2025, 3, 9, 7, tzinfo=UTC))


def test_a_day_whose_midnight_does_not_exist_begins_at_one_o_clock() -> None:
    clock = AccountClock(ZoneInfo("America/Santiago"))
    day = date(2025, 9, 7)

    window = clock.day_window(day)

    assert written(window.start, clock) == "2025-09-07 01:00:00"
    assert hours_of(window) == 23


def test_a_day_whose_midnight_is_repeated_begins_at_the_first() -> None:
    clock = AccountClock(ZoneInfo("America/Havana"))

    assert hours_of(clock.day_window(date(2025, 11, 2))) == 25
    assert clock.read("2025-11-02 00:30:00").flag == "ambiguous"


def test_half_hour_zones_have_whole_hours_of_their_own() -> None:
    clock = AccountClock(ZoneInfo("Asia/Kolkata"))

    assert clock.read("2025-06-01 00:00:00").instant == datetime(2025, 5, 31, 18, 30, tzinfo=UTC)
    assert clock.day_window(date(2025, 6, 1)).start == datetime(2025, 5, 31, 18, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        *("0000-00-00", "0000-00-00 00:00:00", "20250-03-03 10:00:00", "2025-02-30 10:00:00", "2025-03-03 24:00:00"),
        *("", "yesterday", "1741000000", "03/03/2025 10:00", "0001-01-01 00:00:00\x00", "9999-12-31 23:59:59"),
        *("0001-01-01 00:00:00", "2025-03-03 10:00+05"),
    ],
)
def test_what_is_no_time_is_unreadable_and_raises_nothing(text: str) -> None:
    clock = AccountClock(ZoneInfo("America/Bogota"))

    assert clock.read(text) == ClockReading(None, "unreadable")
    assert clock.stamp(text) is None


@given(st.text() | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[TX ][0-9:+.-]{8}", fullmatch=True))
def test_any_text_reads_as_an_instant_or_as_unreadable_and_a_stamp_says_the_same(text: str) -> None:
    reading, stamp = NEW_YORK.read(text), NEW_YORK.stamp(text)

    assert (reading.instant is None) == (reading.flag == "unreadable") == (stamp is None)
    assert stamp is None or stamp[0] == reading.instant.timestamp()  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["2025-03-03X10:00:00", "2025-03-03T10:00:00"])
def test_a_stamp_is_written_as_postgresql_reads_it_whatever_separator_was_told(text: str) -> None:
    assert NEW_YORK.stamp(text) == NEW_YORK.stamp("2025-03-03 10:00:00")


@pytest.mark.parametrize("text", ["0001100100000000001", "2025-03-03 10:00+05"])
def test_a_stamp_of_no_plain_form_says_what_the_reading_says(text: str) -> None:
    reading, stamp = NEW_YORK.read(text), NEW_YORK.stamp(text)

    assert reading.instant == (stamp and datetime.fromisoformat(stamp[1]))


def test_a_time_that_tells_its_own_offset_is_taken_at_its_word() -> None:
    assert NEW_YORK.read("2025-03-03T10:00:00+02:00") == ClockReading(datetime(2025, 3, 3, 8, tzinfo=UTC))


def test_a_window_is_half_open_and_must_not_be_empty() -> None:
    noon = datetime(2025, 3, 3, 12, tzinfo=UTC)
    window = Window(noon, noon + HOUR)

    assert noon in window
    assert noon + HOUR not in window
    with pytest.raises(ValueError, match="must end after it starts"):
        Window(noon, noon)


@pytest.mark.parametrize("zone", ["America/Bogota", "America/New_York"])
@pytest.mark.parametrize(
    "text",
    [
        *("2025-03-03 09:12:09", "2025-03-03 25:00:00", "2025-03-09 02:30:00", "2025-03-09 25:30:00", "0000-00-00"),
        *("0000-00-00 00:00:00", "2025-13-03 09:12:09", "2025-03-03T09:12:09Z", "20250-03-03 09:12:09", "", "soon"),
        *("9999-12-31 23:59:59", "0001-01-01 00:00:00", "2025-03-03 09:00+05", "2025-03-03X10:00:00"),
    ],
)
def test_a_clock_is_said_to_be_readable_exactly_where_it_can_be_stamped(zone: str, text: str) -> None:
    clock = AccountClock(ZoneInfo(zone))

    assert clock.reads(text) == (clock.stamp(text) is not None)
