"""A long list is loaded from its stored pages day by day, as it was read, and never held as a whole."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from b2chat_pipeline.b2chat.contract import CHATS
from b2chat_pipeline.ingest.days import DayTold, days_told
from b2chat_pipeline.ingest.reading import told_pages
from b2chat_pipeline.warehouse.reads import StoredPage
from b2chat_pipeline.windows import AccountClock
from b2chat_pipeline_tests.loading_support import hours_between

CLOCK = AccountClock(ZoneInfo("America/Bogota"))
NOW = datetime(2025, 3, 12, 18, tzinfo=UTC)
DAYS = [date(2025, 3, day) for day in (3, 4, 5, 6)]
HOURS = hours_between(CLOCK, DAYS[0], DAYS[-1], until=NOW)
# Chats by the day of March 2025 that they were created on; each page tells the last chat of the one before again.
IN_ORDER = [(3, 3, 4), (4, 4, 5), (5, 5, 6), (6, 6)]


def chats(days: Sequence[int], first: int) -> bytes:
    told = [
        {"chat_id": str(first + place), "created_at": f"2025-03-{day:02} 10:00:00"} for place, day in enumerate(days)
    ]
    return json.dumps({"chats": told, "total": 99}).encode()


def pages(lists: Sequence[tuple[Sequence[int], int]], asked_for: list[int]) -> Iterator[StoredPage]:
    """Stored pages from the days of their chats and the number of the first one; notes which are asked for."""
    for place, (days, first) in enumerate(lists):
        asked_for.append(place)
        yield StoredPage("read", NOW, chats(days, first), {"offset": first, "limit": len(days)}, f"page {place}")


def handed_on(lists: Sequence[tuple[Sequence[int], int]]) -> list[tuple[date, int, int]]:
    """The days in order, each with the number of its records and the pages that had been asked for by then."""
    asked_for: list[int] = []
    told: Iterator[DayTold] = days_told(told_pages(pages(lists, asked_for), CHATS, CLOCK), HOURS, CLOCK)
    return [(day.day, len(day.records), len(asked_for)) for day in told]


def test_each_day_is_handed_on_as_soon_as_a_later_one_is_told() -> None:
    lists = [(days, place * 2) for place, days in enumerate(IN_ORDER)]

    assert handed_on(lists) == [(DAYS[0], 2, 1), (DAYS[1], 3, 2), (DAYS[2], 3, 3), (DAYS[3], 3, 4)]


def test_a_list_that_moved_hands_on_nothing_more_before_its_end() -> None:
    # The third page does not begin with the last record of the second, so records may lie between them.
    lists = [(IN_ORDER[0], 0), (IN_ORDER[1], 2), (IN_ORDER[2], 5), (IN_ORDER[3], 7)]

    assert handed_on(lists) == [(DAYS[0], 2, 1), (DAYS[1], 3, 2), (DAYS[2], 3, 4), (DAYS[3], 3, 4)]


def test_a_list_that_was_walked_again_is_told_again_at_its_end() -> None:
    lists = [(days, place * 2) for place, days in enumerate([*IN_ORDER[:2]])]
    again = [(days, place * 2) for place, days in enumerate(IN_ORDER)]

    assert handed_on(lists + again) == [
        *((DAYS[0], 2, 1), (DAYS[1], 3, 2)),
        *((DAYS[0], 2, 6), (DAYS[1], 3, 6), (DAYS[2], 4, 6), (DAYS[3], 3, 6)),
    ]


def test_a_record_told_after_its_day_was_handed_on_tells_nothing_of_the_days_other_records() -> None:
    lists = [(IN_ORDER[0], 0), (IN_ORDER[1], 2), ((5, 3, 6), 4), (IN_ORDER[3], 6)]
    told = list(days_told(told_pages(pages(lists, []), CHATS, CLOCK), HOURS, CLOCK))

    assert [(day.day, len(day.records), day.complete) for day in told] == [
        *((DAYS[0], 2, True), (DAYS[1], 3, True), (DAYS[0], 1, False), (DAYS[2], 2, True), (DAYS[3], 3, True)),
    ]
    assert [len(day.hours) for day in told] == [24, 24, 1, 24, 24]


def test_a_day_of_a_list_that_was_walked_again_is_complete_also_where_a_record_of_it_came_late() -> None:
    lists = [(IN_ORDER[0], 0), ((4, 4, 5), 2), ((5, 3, 6), 4)]
    again = [(days, place * 2) for place, days in enumerate(IN_ORDER)]
    told = list(days_told(told_pages(pages(lists + again, []), CHATS, CLOCK), HOURS, CLOCK))

    assert [(day.day, day.complete) for day in told] == [(day, True) for day in [*DAYS[:2], *DAYS]]


def test_a_list_told_newest_first_is_handed_on_at_its_end() -> None:
    lists = [((6, 5, 5), 0), ((5, 4, 3), 2)]

    assert handed_on(lists) == [(DAYS[0], 1, 2), (DAYS[1], 1, 2), (DAYS[2], 3, 2), (DAYS[3], 1, 2)]
