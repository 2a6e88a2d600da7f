"""One request budget for all processes: so many a second, so many a day, a share for each kind of work."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from time import monotonic
from zoneinfo import ZoneInfo

import pytest

from b2chat_pipeline.b2chat.errors import BudgetExhausted
from b2chat_pipeline.ingest.budget import SharedBudget
from b2chat_pipeline.policy import SHARES, RequestClass
from b2chat_pipeline.warehouse.budget import Grant, Limits, Refusal, take_request
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.windows import AccountClock

CLOCK = AccountClock(ZoneInfo("America/Bogota"))
# 22:00 in Bogotá: another day in UTC already.
NOW = datetime(2025, 3, 4, 3, tzinfo=UTC)
MIDNIGHT = datetime(2025, 3, 4, 5, tzinfo=UTC)


def requests_of(url: str, count: int, limits: Limits) -> list[Grant | Refusal]:
    """What a process that asks for many requests at once is answered."""
    with connect(url, purpose="budget") as connection:
        return [
            take_request(connection, "hourly", day=date(2025, 3, 3), now=NOW, limits=limits, share=limits.per_day)
            for _ in range(count)
        ]


def side_by_side(url: str, processes: int, count: int, limits: Limits) -> list[Grant | Refusal]:
    with ThreadPoolExecutor(processes) as pool:
        answers = [pool.submit(requests_of, url, count, limits) for _ in range(processes)]
        return [answer for asked in answers for answer in asked.result()]


@contextmanager
def budget(url: str, *, per_day: int = 0, now: Callable[[], datetime] = lambda: NOW) -> Iterator[SharedBudget]:
    with connect(url, purpose="budget") as connection:
        yield SharedBudget(connection, Limits(0, per_day), CLOCK, now=now)


def granted(shared: SharedBudget, request_class: RequestClass) -> int:
    """How many requests of a class are granted before the first refusal."""
    for count in range(1000):
        try:
            shared.take(request_class)
        except BudgetExhausted:
            return count
    raise AssertionError("the budget has no end")


def test_processes_together_keep_the_spacing_of_requests(database_url: str) -> None:
    began = monotonic()

    answers = side_by_side(database_url, 3, 10, Limits(per_second=0.1, per_day=0))

    elapsed = monotonic() - began
    waits = sorted(answer.wait for answer in answers if isinstance(answer, Grant))
    assert len(waits) == 30
    # Ten seconds lie between any two, as seen from the moment each was granted.
    assert all(later - earlier > 10 - elapsed for earlier, later in pairwise(waits))
    assert waits[0] == 0
    assert waits[-1] <= 290


def test_processes_together_never_exceed_the_days_limit(database_url: str) -> None:
    answers = side_by_side(database_url, 4, 20, Limits(per_second=0, per_day=50))

    assert sum(isinstance(answer, Grant) for answer in answers) == 50
    assert {answer.blocked_until for answer in answers if isinstance(answer, Refusal)} == {None}


def test_a_limit_of_zero_is_none(database_url: str) -> None:
    answers = requests_of(database_url, 100, Limits(per_second=0, per_day=0))

    assert answers == [Grant(0.0)] * 100


def test_each_kind_of_work_has_its_share_and_the_fresh_hour_what_is_left(database_url: str) -> None:
    with budget(database_url, per_day=100) as shared:
        counts = {request_class: granted(shared, request_class) for request_class in ("backfill", "reread", "hourly")}

    assert counts == {"backfill": 60, "reread": 35, "hourly": 5}
    assert SHARES["backfill"] + SHARES["reread"] < 1


def test_without_other_work_the_fresh_hour_may_use_the_whole_day(database_url: str) -> None:
    with budget(database_url, per_day=100) as shared:
        assert (granted(shared, "hourly"), granted(shared, "backfill")) == (100, 0)


def test_a_used_up_share_is_one_sentence_and_lasts_until_the_accounts_midnight(database_url: str) -> None:
    with budget(database_url, per_day=10) as shared:
        granted(shared, "backfill")
        with pytest.raises(BudgetExhausted, match=r"today's share of requests for backfill work \(6\)") as caught:
            shared.take("backfill")

    assert caught.value.until == MIDNIGHT
    with budget(database_url, per_day=10, now=lambda: MIDNIGHT) as shared:
        assert granted(shared, "backfill") == 6


def test_a_pause_that_the_source_asked_for_holds_for_every_process_and_over_midnight(database_url: str) -> None:
    until = MIDNIGHT + timedelta(hours=1)
    with budget(database_url) as one, budget(database_url) as other:
        one.block_until(until)
        one.block_until(until - timedelta(minutes=30))
        with pytest.raises(BudgetExhausted, match="a pause that is not over") as caught:
            other.take("hourly")

    assert caught.value.until == until
    for moment, allowed in ((MIDNIGHT, False), (until - timedelta(seconds=1), False), (until, True)):
        with budget(database_url, now=lambda moment=moment: moment) as shared:  # type: ignore[misc]
            if allowed:
                assert shared.take("hourly") >= 0
            else:
                with pytest.raises(BudgetExhausted):
                    shared.take("hourly")


def test_a_refused_request_is_not_counted(database_url: str) -> None:
    with budget(database_url, per_day=10) as shared:
        granted(shared, "reread")
        granted(shared, "reread")
    with connect(database_url, purpose="compare") as connection:
        counts = connection.execute("select day, hourly, reread, backfill from ops.request_budget").fetchall()

    assert counts == [(date(2025, 3, 3), 0, 3, 0)]
