"""What is tried again, how long the waits are, and when patience ends."""

import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2chat_pipeline.b2chat.client import RequestClass, RetryPolicy
from b2chat_pipeline.b2chat.errors import (
    AuthenticationError,
    BudgetExhausted,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    PermanentError,
    RateLimitedError,
    RequestTimeout,
    TransientError,
)
from b2chat_pipeline.b2chat.retry_after import moment_to_retry
from b2chat_pipeline_tests.client_loopback import (
    CHATS,
    NOON,
    PAGE,
    TOKEN,
    Bench,
    Scripted,
    UnlimitedBudget,
    running_bench,
)


@pytest.fixture
def bench() -> Iterator[Bench]:
    with running_bench() as bench:
        yield bench


def told_to_wait(header: str, status: int = 429) -> Scripted:
    return Scripted(status=status, headers={"Retry-After": header})


@pytest.mark.parametrize(
    ("header", "waited"),
    [
        ("2", 2.0),
        ("0", 0.0),
        ("Wed, 05 Mar 2025 12:00:07 GMT", 7.0),
        ("Wednesday, 05-Mar-25 12:00:07 GMT", 7.0),
        ("Wed Mar  5 12:00:07 2025", 7.0),
        ("Wed, 05 Mar 2025 11:00:00 GMT", 0.0),
        ("300", 300.0),
    ],
)
def test_a_pause_the_source_asks_for_is_kept_to_the_second(bench: Bench, header: str, waited: float) -> None:
    bench.api.will_answer(told_to_wait(header))

    assert bench.get().attempts == 2
    assert bench.time.slept == [waited]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("header", ["soon", "-5", "1e3", "9" * 5000, ""])
def test_a_pause_that_cannot_be_read_leaves_our_own_back_off(bench: Bench, status: int, header: str) -> None:
    bench.api.will_answer(told_to_wait(header, status))

    bench.get()

    assert len(bench.time.slept) == 1
    assert 0 < bench.time.slept[0] < 1


NUMBERS = st.integers(min_value=-1, max_value=99_999)


@given(st.text() | st.builds("Wed, {} Mar {} {}:{}:{} GMT".format, *[NUMBERS] * 5))
def test_whatever_the_header_holds_the_moment_is_unknown_or_not_past(header: str) -> None:
    moment = moment_to_retry(header, now=NOON)

    assert moment is None or moment >= NOON


def test_a_moment_already_past_is_now() -> None:
    assert moment_to_retry("Wed, 05 Mar 2025 11:00:00 GMT", now=NOON) == NOON


def test_a_date_without_a_zone_is_utc_wherever_this_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as machine:
        machine.setenv("TZ", "America/Bogota")
        time.tzset()
        moment = moment_to_retry("Wed Mar  5 12:00:07 2025", now=NOON)
    time.tzset()

    assert moment == NOON + timedelta(seconds=7)


def test_429_without_a_pause_is_retried_after_our_own_back_off(bench: Bench) -> None:
    bench.api.will_answer(Scripted(status=429))

    bench.get()

    assert len(bench.time.slept) == 1
    assert 0 < bench.time.slept[0] < 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_pause_of_a_day_is_not_slept_but_told_to_every_process(bench: Bench, status: int) -> None:
    bench.api.will_answer(told_to_wait("86400", status))

    with pytest.raises(BudgetExhausted, match=r"asked to stay away until 2025-03-06 12:00:00 UTC") as caught:
        bench.get()

    tomorrow = NOON + timedelta(days=1)
    assert caught.value.until == tomorrow
    assert bench.budget.blocked == [tomorrow]
    assert bench.time.slept == []
    assert bench.api.count(CHATS) == 1


def test_a_long_pause_asked_for_by_the_token_endpoint_counts_too(bench: Bench) -> None:
    bench.api.will_answer(told_to_wait("3600"), endpoint=TOKEN)

    with pytest.raises(BudgetExhausted, match="POST /oauth/token"):
        bench.get()

    assert bench.budget.blocked == [NOON + timedelta(hours=1)]
    assert bench.api.count(CHATS) == 0


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520])
def test_a_passing_trouble_is_tried_again(bench: Bench, status: int) -> None:
    bench.api.will_answer(Scripted(status=status))

    answer = bench.get()

    assert answer.body == PAGE
    assert answer.attempts == 2


def test_a_trouble_that_stays_is_given_up_after_six_attempts_with_growing_jittered_waits(bench: Bench) -> None:
    bench.api.will_answer(*[Scripted(status=500)] * 10)

    with pytest.raises(TransientError, match=r"attempt 6\): the answer had status 500"):
        bench.get()

    assert bench.api.count(CHATS) == 6
    assert all(0 <= wait <= 2**number for number, wait in enumerate(bench.time.slept))
    assert all(one != other for one, other in pairwise(bench.time.slept))
    assert bench.budget.blocked == []


def test_no_wait_of_ours_passes_the_ceiling(bench: Bench) -> None:
    bench.policy = RetryPolicy(attempts=20, first_wait=64.0, longest_wait=0.5)
    bench.api.will_answer(*[Scripted(status=500)] * 20)

    with pytest.raises(TransientError):
        bench.get()

    assert len(bench.time.slept) == 19
    assert max(bench.time.slept) <= 0.5


def test_a_wait_that_would_pass_the_total_deadline_is_not_begun(bench: Bench) -> None:
    bench.policy = RetryPolicy(total_deadline=100.0)
    bench.api.will_answer(told_to_wait("200"))

    with pytest.raises(RateLimitedError) as caught:
        bench.get()

    assert caught.value.retry_at == NOON + timedelta(seconds=200)
    assert bench.time.slept == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequestError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (405, PermanentError),
        (422, InvalidRequestError),
        (301, PermanentError),
        (204, PermanentError),
    ],
)
def test_a_lasting_trouble_costs_one_request(bench: Bench, status: int, kind: type[PermanentError]) -> None:
    bench.api.will_answer(Scripted(status=status, body=b"", headers={"Location": "/elsewhere", "Retry-After": "1"}))

    with pytest.raises(kind, match=f"status {status}"):
        bench.get()

    assert bench.api.count(CHATS) == 1
    assert bench.time.slept == []


def test_a_redirect_is_not_followed(bench: Bench) -> None:
    bench.api.will_answer(Scripted(status=302, headers={"Location": f"{bench.api.url}/elsewhere"}))

    with pytest.raises(PermanentError, match=r"a redirect, which is not followed .* correct the API URL"):
        bench.get()

    assert bench.api.count("/elsewhere") == 0


def test_a_used_up_budget_sends_nothing(bench: Bench) -> None:
    class SpentBudget(UnlimitedBudget):
        def take(self, request_class: RequestClass) -> float:  # noqa: ARG002
            raise BudgetExhausted("today's requests are used up", until=NOON)

    bench.budget = SpentBudget()

    with pytest.raises(BudgetExhausted, match="today's requests are used up"):
        bench.get()

    assert bench.api.received == []
    assert bench.time.slept == []


@pytest.mark.parametrize("status", [408, 504])
def test_a_large_page_that_times_out_is_given_back_after_one_retry(bench: Bench, status: int) -> None:
    bench.api.will_answer(*[Scripted(status=status)] * 10)

    with pytest.raises(RequestTimeout):
        bench.get(limit=26)

    assert bench.api.count(CHATS) == 2


def test_a_small_page_that_times_out_gets_all_attempts(bench: Bench) -> None:
    bench.api.will_answer(*[Scripted(status=504)] * 10)

    with pytest.raises(RequestTimeout):
        bench.get(limit=25)

    assert bench.api.count(CHATS) == 6


def test_an_error_is_one_sentence_with_what_where_and_what_next(bench: Bench) -> None:
    bench.api.will_answer(Scripted(status=403))

    with pytest.raises(ForbiddenError) as caught:
        bench.get(offset=400)

    assert str(caught.value) == (
        "GET /chats/export (window 2025-03-03..2025-03-05, offset 400, limit 200, attempt 1): the answer had status"
        " 403; have B2Chat enable the export API for this account, then run again."
    )
    assert caught.value.endpoint == CHATS
    assert caught.value.window == "2025-03-03..2025-03-05"


def test_permanent_errors_share_one_type() -> None:
    assert issubclass(AuthenticationError, PermanentError)
    assert not issubclass(BudgetExhausted, PermanentError | TransientError)
