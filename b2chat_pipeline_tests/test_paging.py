"""Walking a list that moves while it is read: nothing that was there throughout is missed, and the walk ends."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2chat_pipeline.b2chat.contract import CHATS, CONTACTS
from b2chat_pipeline.b2chat.limits import SMALLEST_PAGE
from b2chat_pipeline.b2chat.paging import (
    WALKS,
    ContactClock,
    MissingRecordsError,
    Order,
    Position,
    Query,
    RepeatedPageError,
    Step,
    Tellings,
    Told,
    UnreadableKeysError,
    WalkError,
    advance,
    departures,
    require_all,
    shrink,
)
from b2chat_pipeline.policy import PAGE_SIZE
from b2chat_pipeline.windows import Window

START = datetime(2025, 3, 3, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WHOLE = Window(START - timedelta(days=365), START + timedelta(days=365))


def window(first: int, last: int) -> Window:
    """From the minute `first` to before the minute `last`."""
    return Window(START + first * MINUTE, START + last * MINUTE)


@dataclass
class MovingList:
    """What the API lists: minutes, which stand for keys and clocks both, oldest first. `moves` come between pages."""

    records: list[float]
    moves: Sequence[Callable[["MovingList"], None]] = ()
    cap: int = 10_000
    total: Callable[[int], int | None] = lambda count: count
    backwards: bool = False
    asked: int = 0
    offset: int = 0
    throughout: set[float] = field(init=False)

    def __post_init__(self) -> None:
        self.throughout = set(self.records)

    def page(self, offset: int, limit: int, order: Order) -> Told:
        if 0 < self.asked <= len(self.moves):
            self.moves[self.asked - 1](self)
        self.asked += 1
        listed = self.listed(descending=(order == "desc") != self.backwards)
        page = listed[offset : offset + min(limit, self.cap)]
        self.offset = offset
        return Told([str(it) for it in page], [self.instant(it) for it in page], self.total(len(listed)))

    def listed(self, *, descending: bool) -> list[float]:
        return sorted(self.records, reverse=descending)

    def instant(self, record: float) -> datetime:
        return START + record * MINUTE

    def insert(self, place: float) -> None:
        """Add a record at a place between 0 (oldest) and 1 (newest)."""
        at = min(int(place * len(self.records)), len(self.records))
        older = self.records[at - 1] if at else self.records[0] - 2 if self.records else 0
        newer = self.records[at] if at < len(self.records) else older + 2
        self.records.insert(at, (older + newer) / 2)

    def remove(self, place: float) -> None:
        if self.records:
            removed = self.records.pop(min(int(place * len(self.records)), len(self.records) - 1))
            self.throughout.discard(removed)


@dataclass
class ShuffledList(MovingList):
    """A list without a stable order: as many records as `alike` have the same clock and change places each time the
    list is asked for; all of them, whatever their clocks, where that is 0.
    """

    alike: int = 0
    random: Random = field(default_factory=Random)

    def listed(self, *, descending: bool) -> list[float]:
        return sorted(
            self.random.sample(self.records, len(self.records)),
            key=lambda it: it // self.alike if self.alike else 0,
            reverse=descending,
        )

    def instant(self, record: float) -> datetime:
        return super().instant(record // self.alike if self.alike else record)


def walk(
    source: MovingList, order: Order, within: Window = WHOLE, *, limit: int = 5, shrink_after: Sequence[int] = ()
) -> set[float]:
    """Walk to the end and return what was told; AssertionError where that takes too many pages."""
    query = Query(CHATS, date(2025, 3, 3), date(2025, 3, 4), order)
    position, told, step = Position(limit=limit), set[float](), Step.ON
    tellings = Tellings()
    bound = 10 * (len(source.records) + len(source.moves) + 10)
    while step is not Step.DONE:
        page = source.page(position.offset, position.limit, order)
        page = replace(page, repeats=tellings.repeats(position, page.keys, [0] * len(page.keys)))
        told |= {float(key) for key in page.keys if key}
        before = position
        position, step = advance(before, page, query=query, window=within)
        tellings.add(before.walk, before.offset, page.keys, [0] * len(page.keys))
        if step is Step.DONE:
            require_all(position, page, distinct=len(tellings))
        if source.asked in shrink_after:
            position = Position(**{name: getattr(position, name) for name in position.__struct_fields__} | {"limit": 3})
        assert source.asked < bound
    return told


def told_unless_refused(source: MovingList, order: Order, within: Window = WHOLE, *, limit: int) -> set[float] | None:
    try:
        return walk(source, order, within, limit=limit)
    except WalkError:
        return None


def wanted(source: MovingList, within: Window = WHOLE) -> set[float]:
    return {it for it in source.throughout if START + it * MINUTE in within}


def several(*moves: Callable[[MovingList], None]) -> Callable[[MovingList], None]:
    def apply(source: MovingList) -> None:
        for move in moves:
            move(source)

    return apply


PLACES = st.floats(0, 1, exclude_max=True)
INSERT = PLACES.map(lambda place: lambda source: source.insert(place))
REMOVE = PLACES.map(lambda place: lambda source: source.remove(place))
ARRIVE = st.just(lambda source: source.insert(1.0))
STAY = st.just(lambda _: None)
ORDERS: st.SearchStrategy[Order] = st.sampled_from(["asc", "desc"])
LISTS = st.integers(0, 60).map(lambda count: [float(it) for it in range(count)])
LIMITS = st.integers(4, 12)
WINDOWS = st.tuples(st.integers(-5, 65), st.integers(1, 30)).map(lambda it: window(it[0], it[0] + it[1]))


@given(LISTS, LIMITS, ORDERS, WINDOWS)
def test_a_list_that_holds_still_is_told_completely(
    records: list[float], limit: int, order: Order, within: Window
) -> None:
    source = MovingList(records)

    assert wanted(source, within) <= walk(source, order, within, limit=limit)


@given(LISTS, LIMITS, ORDERS, WINDOWS, st.lists(INSERT | REMOVE | ARRIVE | STAY, max_size=40))
def test_with_a_row_more_or_less_between_any_two_pages_nothing_is_missed(
    records: list[float], limit: int, order: Order, within: Window, moves: list[Callable[[MovingList], None]]
) -> None:
    source = MovingList(records, moves)

    told = walk(source, order, within, limit=limit)

    assert wanted(source, within) <= told


@given(
    LISTS,
    LIMITS,
    ORDERS,
    st.lists(st.integers(0, 8), min_size=2, max_size=2),
    st.lists(st.lists(INSERT | REMOVE, min_size=2, max_size=3), min_size=2, max_size=2),
)
def test_when_many_rows_come_and_go_at_once_the_walk_begins_again(
    records: list[float],
    limit: int,
    order: Order,
    quiet: list[int],
    bursts: list[list[Callable[[MovingList], None]]],
) -> None:
    stay: Callable[[MovingList], None] = several()
    moves = [move for pages, burst in zip(quiet, bursts, strict=True) for move in (*[stay] * pages, several(*burst))]
    source = MovingList(records, moves)

    # A page that slid by its own length looks like the one before it; 3 rows and pages of 5 cannot do that.
    told = walk(source, order, limit=max(limit, 5))

    assert wanted(source) <= told


@pytest.mark.parametrize(("order", "place"), [("asc", 0.0), ("desc", 0.999)])
def test_half_a_page_of_rows_taken_out_between_any_two_pages_hides_no_other(order: Order, place: float) -> None:
    take_out = several(*[lambda source: source.remove(place)] * 4)
    source = MovingList([float(it) for it in range(100)], [take_out] * 20)

    told = walk(source, order, limit=8)

    assert wanted(source) <= told


@given(LISTS, st.lists(st.integers(0, 3).map(lambda n: several(*[lambda s: s.insert(1.0)] * n)), max_size=30))
def test_new_chats_at_the_head_of_a_list_read_newest_first_cost_no_second_walk(
    records: list[float], moves: list[Callable[[MovingList], None]]
) -> None:
    source = MovingList(records, moves)

    told = walk(source, "desc", limit=10)

    assert wanted(source) <= told
    # Ten rows a page, of which one overlaps and three may have been told before.
    assert source.asked <= math.ceil(len(records) / 6) + 2


@given(LISTS, LIMITS, ORDERS, st.lists(st.integers(1, 10), max_size=3))
def test_pages_may_get_smaller_on_the_way(
    records: list[float], limit: int, order: Order, shrink_after: list[int]
) -> None:
    source = MovingList(records)

    assert wanted(source) <= walk(source, order, limit=limit, shrink_after=shrink_after)


@given(LISTS.filter(lambda it: len(it) > 1), LIMITS, ORDERS, st.sampled_from([None, 0, 1, 10**9]), st.integers(2, 12))
def test_a_total_that_lies_and_pages_smaller_than_asked_for_hide_nothing(
    records: list[float], limit: int, order: Order, total: int | None, cap: int
) -> None:
    source = MovingList(records, total=lambda _: total, cap=cap)

    assert wanted(source) <= walk(source, order, limit=limit)


@pytest.mark.parametrize("total", [None, 0])
def test_a_list_without_records_is_empty_where_its_total_claims_none(total: int | None) -> None:
    source = MovingList([], total=lambda _: total)

    assert walk(source, "asc") == set()
    assert source.asked == 1


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("told", [0, 1])
def test_a_list_that_withholds_the_records_it_claims_is_asked_again_and_then_refused(told: int, order: Order) -> None:
    source = MovingList([float(it) for it in range(told)], total=lambda _: 500)

    with pytest.raises(MissingRecordsError, match=r"at offset 0 holds (no|1) records? although its total is 500"):
        walk(source, order)

    assert source.asked == WALKS


def test_a_list_that_breaks_off_before_its_total_is_refused() -> None:
    source = MovingList([float(it) for it in range(40)], total=lambda _: 40)
    query = Query(CHATS, date(2025, 3, 3), date(2025, 3, 4), "asc")

    def walk_on() -> None:
        position = Position(limit=10)
        for _ in range(100):
            page = source.page(position.offset, position.limit, "asc")
            page = page if position.offset < 18 else Told([], [], 40)
            position, _ = advance(position, page, query=query, window=WHOLE)

    with pytest.raises(MissingRecordsError, match=r"at offset \d+ holds no records although its total is 40"):
        walk_on()


def test_a_list_that_was_empty_by_mistake_once_is_told_with_the_next_walk() -> None:
    source = MovingList([float(it) for it in range(12)])
    query = Query(CHATS, date(2025, 3, 3), date(2025, 3, 4), "asc")

    position, step = advance(Position(limit=5), Told([], [], 12), query=query, window=WHOLE)

    assert (step, position.offset) == (Step.AGAIN, 0)
    assert wanted(source) <= walk(source, "asc")


TOTALS: st.SearchStrategy[Callable[[int], int | None]] = st.sampled_from(
    [lambda count: count, lambda _: None, lambda _: 0, lambda _: 10**9]
)


SEVERAL = LISTS.filter(lambda it: len(it) > 1)
SEEDS = st.integers(0, 10**6)


@given(SEVERAL, LIMITS, ORDERS, WINDOWS, st.sampled_from([1, 2, 3, 7, 100]), TOTALS, SEEDS)
def test_a_list_whose_records_of_one_moment_change_places_is_told_completely_or_refused(
    records: list[float],
    limit: int,
    order: Order,
    within: Window,
    alike: int,
    total: Callable[[int], int | None],
    seed: int,
) -> None:
    source = ShuffledList(records, alike=alike, random=Random(seed), total=total)
    needed = {it for it in records if source.instant(it) in within}

    told = told_unless_refused(source, order, within, limit=limit)

    assert needed <= told if told is not None else len(records) > limit


@given(SEVERAL, LIMITS, ORDERS, TOTALS, SEEDS)
def test_a_list_without_any_order_is_told_completely_or_refused(
    records: list[float], limit: int, order: Order, total: Callable[[int], int | None], seed: int
) -> None:
    source = ShuffledList(records, random=Random(seed), total=total)

    told = told_unless_refused(source, order, limit=limit)

    assert wanted(source) <= told if told is not None else len(records) > limit


def test_records_with_the_same_clock_that_change_places_are_all_told_by_one_walk_or_another() -> None:
    sources = [ShuffledList([float(it) for it in range(60)], alike=3, random=Random(seed)) for seed in range(50)]

    told = [told_unless_refused(source, "asc", limit=10) for source in sources]

    assert all(it is None or it == wanted(sources[0]) for it in told)
    assert told.count(None) <= 5


def test_a_list_that_all_walks_together_did_not_tell_is_refused_with_how_many_are_missing() -> None:
    source = ShuffledList([float(it) for it in range(60)], random=Random(1))

    with pytest.raises(MissingRecordsError, match=r"^3 walks over the list, which .*, told \d+ of its 60 records$"):
        walk(source, "asc", limit=10)


@given(LISTS, LIMITS, ORDERS, WINDOWS)
def test_a_list_in_another_order_than_asked_for_is_read_to_its_end(
    records: list[float], limit: int, order: Order, within: Window
) -> None:
    source = MovingList(records, backwards=True)

    assert wanted(source, within) <= walk(source, order, within, limit=limit)


@pytest.mark.parametrize(("order", "first", "pages"), [("asc", 0, 2), ("desc", 85, 2), ("asc", 85, 12)])
def test_the_walk_stops_once_the_window_is_behind(order: Order, first: int, pages: int) -> None:
    source = MovingList([float(it) for it in range(100)])

    told = walk(source, order, window(first, first + 15), limit=10)

    assert wanted(source, window(first, first + 15)) <= told
    assert source.asked == pages


@pytest.mark.parametrize("count", [0, 1, 9])
def test_a_short_list_with_a_right_total_takes_one_page(count: int) -> None:
    source = MovingList([float(it) for it in range(count)])

    walk(source, "asc", limit=10)

    assert source.asked == 1


def test_the_same_page_for_ever_is_noticed_with_its_second_telling() -> None:
    told = Told(["a", "b", "c"], [START, START, START], 100)
    query = Query(CHATS, date(2025, 3, 3), date(2025, 3, 4), "asc")

    position, step = advance(Position(limit=3), told, query=query, window=WHOLE)

    assert step is Step.ON
    with pytest.raises(RepeatedPageError, match="offset 2"):
        advance(position, told, query=query, window=WHOLE)


def test_pages_without_a_readable_key_are_not_taken_for_the_same_page() -> None:
    told = Told([None, None, None], [None, None, None], 100)
    query = Query(CHATS, date(2025, 3, 3), date(2025, 3, 4), "asc")

    position, _ = advance(Position(limit=3), told, query=query, window=WHOLE)

    with pytest.raises(UnreadableKeysError, match="no record of the page at offset 2 has a key that can be read"):
        advance(position, told, query=query, window=WHOLE)


FIRST_PAGE = Position(limit=3)
SECOND_PAGE = Position(offset=2, limit=3, last_key="c", last_instant=START, total=9)
AFTER_SHORT = Position(offset=1, limit=3, last_key="b", was_short=True)


def minutes(*of: int) -> list[datetime | None]:
    return [START + it * MINUTE for it in of]


@pytest.mark.parametrize(
    ("position", "told", "found"),
    [
        (FIRST_PAGE, Told(["a", "b", "c"], minutes(0, 1, 2), 9), []),
        (FIRST_PAGE, Told([], [], 0), []),
        (FIRST_PAGE, Told(["a"], minutes(0), 1), []),
        (SECOND_PAGE, Told(["c", "d"], minutes(0, 3), 9), []),
        (FIRST_PAGE, Told(["a"], minutes(0), None, ""), [("page.total", "missing field")]),
        (FIRST_PAGE, Told(["a"], minutes(0), None, "null"), [("page.total", "other type")]),
        (FIRST_PAGE, Told(["a"], minutes(0), None, "str"), [("page.total", "other type")]),
        (FIRST_PAGE, Told(["a"], minutes(0), None, "int"), [("page.total", "wrong total")]),
        (FIRST_PAGE, Told(["a", "b"], minutes(0, 1), 1), [("page.total", "wrong total")]),
        (FIRST_PAGE, Told([], [], 500), [("page.total", "wrong total")]),
        (SECOND_PAGE, Told(["c"], minutes(0), 9), [("page.total", "wrong total")]),
        (SECOND_PAGE, Told(["c", "d"], minutes(0, 3), 8), [("page.total", "wrong total")]),
        (FIRST_PAGE, Told(["a", "b", "c"], minutes(1, 0, 2), 9), [("$.created_at", "other order")]),
        (SECOND_PAGE, Told(["c", "d"], minutes(-1, 3), 9), [("$.created_at", "other order")]),
        (SECOND_PAGE, Told(["d", "e"], minutes(3, 4), 9), [("page", "moved list")]),
        (AFTER_SHORT, Told(["b", "c"], minutes(0, 1), 9), [("page", "short page")]),
        (AFTER_SHORT, Told(["b"], minutes(0), 2), []),
    ],
)
def test_what_a_page_tells_against_what_is_known_of_lists_is_named(
    position: Position, told: Told, found: list[tuple[str, str]]
) -> None:
    query = Query(CHATS, date(2025, 3, 3), date(2025, 3, 4), "asc")

    assert [(it.path, it.kind) for it in departures(position, told, query=query)] == found


@pytest.mark.parametrize(("contacts_by", "found"), [("updated", []), ("created", ["wrong total"])])
def test_contacts_may_leave_the_days_of_their_last_update_while_these_are_read(
    contacts_by: ContactClock, found: list[str]
) -> None:
    query = Query(CONTACTS, date(2025, 3, 3), date(2025, 3, 4), "asc", contacts_by)

    assert [it.kind for it in departures(SECOND_PAGE, Told(["c", "d"], minutes(0, 3), 8), query=query)] == found


@given(LISTS, LIMITS, ORDERS, WINDOWS)
def test_a_list_that_holds_still_departs_in_nothing(
    records: list[float], limit: int, order: Order, within: Window
) -> None:
    source, position, step = MovingList(records), Position(limit=limit), Step.ON
    query = Query(CHATS, date(2025, 3, 3), date(2025, 3, 4), order)

    while step is not Step.DONE:
        page = source.page(position.offset, position.limit, order)
        assert departures(position, page, query=query) == []
        position, step = advance(position, page, query=query, window=within)


def test_records_whose_clock_cannot_be_read_do_not_stop_the_walk() -> None:
    told = Told(["a", "b", None], [START, None, None], 4)
    query = Query(CHATS, date(2025, 3, 3), date(2025, 3, 4), "asc")

    position, step = advance(Position(limit=3), told, query=query, window=window(0, 10))

    assert (step, position.last_instant, position.offset) == (Step.ON, START, 2)


def test_a_page_is_halved_down_to_the_smallest() -> None:
    position, limits = Position(offset=40), []
    while (smaller := shrink(position)) is not None:
        position = smaller
        limits.append(position.limit)

    assert limits == [PAGE_SIZE // 2, PAGE_SIZE // 4, SMALLEST_PAGE]
    assert position.offset == 40


def test_the_query_string_is_the_documented_one() -> None:
    days = (date(2025, 3, 3), date(2025, 3, 4))

    assert Query(CHATS, *days, "asc").params(offset=7, limit=200) == {
        "limit": 200,
        "offset": 7,
        "order_dir": "asc",
        "date_range_from": "2025-03-03",
        "date_range_to": "2025-03-04",
    }
    assert Query(CONTACTS, *days, "desc").params(offset=0, limit=25) == {
        "limit": 25,
        "offset": 0,
        "order_dir": "DESC",
        "updated_from": "2025-03-03",
        "updated_to": "2025-03-04",
        "skip_custom_attributes": "false",
        "skip_tags": "false",
    }
