"""Scoring in batches: each chat is paid and scored once, whatever becomes of a batch, its items, or an answer."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

from b2chat_pipeline.analysis.adopting import GRACE
from b2chat_pipeline.analysis.batch_service import lines_of
from b2chat_pipeline.analysis.collecting import ResultsUnreadableError
from b2chat_pipeline.analysis.ledger import CapReachedError
from b2chat_pipeline.analysis.preparing import MOST_FAILURES
from b2chat_pipeline.analysis.service import ServiceStoppedError
from b2chat_pipeline.analysis.submitting import BatchFailedError
from b2chat_pipeline_tests.batch_support import (
    BATCH_COST,
    CANARIES,
    PATH,
    BatchBench,
    Result,
    errored,
    fair,
    is_canary,
    is_planted,
    of_canary,
    service_at,
    succeeded,
)
from b2chat_pipeline_tests.scoring_support import Bench, Scripted, error, judgement, message, with_criterion

pytestmark = pytest.mark.any_postgres

SETTLED = ("settled", "scored", BATCH_COST)


@pytest.fixture
def bb(bench: Bench) -> Iterator[BatchBench]:
    with service_at(bench.server.url) as service:
        yield BatchBench.of(bench, service)


def only_chats(result: Callable[[], Result]) -> Callable[[str], Result]:
    """A judge whose answers about chats are some result, and whose canaries are well."""
    return lambda conversation: fair(conversation) if is_canary(conversation) else result()


def test_chats_are_sent_together_reserved_before_and_scored_at_half_the_price_when_the_batch_has_ended(
    bb: BatchBench,
) -> None:
    bb.bench.use(3)

    submission = bb.submit()
    sent = json.loads(bb.bench.server.bodies[-1])["requests"]
    calls = bb.bench.rows("select id, state, mode, batch_id from ops.analysis_calls")
    reserved = bb.bench.rows("select sum(reserved_usd) from ops.analysis_calls")
    waiting = bb.collect()
    bb.batches.have_ended = True
    collected = bb.collect()

    assert sorted(submission.sent) == ["c0", "c1", "c2"]
    assert {(it["custom_id"], "reserved", "batch", submission.batches[0]) for it in sent} == set(calls)
    assert reserved == [(submission.reserved,)]
    assert (waiting.batches, waiting.waiting) == (0, 1)
    assert dict(collected.outcomes) == {"scored": 3, "canary": CANARIES}
    assert bb.calls == [SETTLED] * 3
    assert collected.cost == (3 + CANARIES) * Decimal(BATCH_COST)
    assert bb.bench.rows("select sum(cost_usd) from ops.analysis_calls") == [(collected.cost,)]
    assert bb.bench.rows(
        "select count(distinct chat_id), min(effectiveness_score), min(analysis_data ->> 'mode'),"
        " min(analysis_data ->> 'cost_usd') from effectiveness_analysis"
    ) == [(3, pytest.approx(75.75), "batch", BATCH_COST)]
    assert bb.bench.rows("select state, canary_shift, days::text from ops.analysis_batches") == [
        ("collected", 0.0, "{2025-03-03}")
    ]
    assert bb.bench.rows("select count(*) from ops.analysis_batch_items") == [(0,)]


def test_what_waits_in_a_batch_or_was_scored_by_one_is_sent_by_nobody_else(bb: BatchBench) -> None:
    bb.submit()
    again, alone = bb.submit(), bb.bench.score()
    bb.batches.have_ended = True
    bb.collect()
    later = bb.submit()

    assert [(it.known, it.batches) for it in (again, later)] == [(1, []), (1, [])]
    assert (alone.known, alone.calls) == (1, 0)
    assert bb.collect().batches == 0
    assert len(bb.batches.created) == 1


def test_an_answer_is_held_against_what_was_sent_though_the_chat_went_on(bb: BatchBench) -> None:
    bb.submit()
    bb.bench.connection.execute("update messages set superseded_at = timestamp where chat_id = 'c0'")
    bb.batches.have_ended = True
    try:
        assert bb.collect().outcomes["scored"] == 1
    finally:
        bb.bench.connection.execute("update messages set superseded_at = null")


def test_a_batch_whose_creation_was_never_answered_is_found_by_its_items_and_not_asked_for_again(
    bb: BatchBench,
) -> None:
    bb.batches.answers_to_lose = 1
    lost = bb.submit()
    before_it_ends = bb.submit()
    bb.bench.now += 2 * GRACE
    still = bb.submit()
    # As large, of the same time, and somebody else's.
    bb.bench.now -= 2 * GRACE
    bb.batches.add({f"theirs{number}": "x" for number in range(CANARIES + 1)})
    bb.batches.add({"theirs": "x"})
    bb.bench.now += 2 * GRACE
    bb.batches.have_ended = True

    collected = bb.collect()

    assert isinstance(lost.stopped, BatchFailedError)
    assert "no answer came" in str(lost.stopped)
    assert lost.sent == ["c0"]
    assert [it.known for it in (before_it_ends, still)] == [1, 1]
    assert bb.bench.server.paths.count(PATH) == 1
    assert collected.outcomes["scored"] == 1
    assert bb.calls == [SETTLED]
    assert bb.bench.rows("select service_id, state from ops.analysis_batches") == [("msgbatch_1", "collected")]


def test_a_batch_that_was_never_created_is_released_when_nothing_can_come_of_it_any_more(bb: BatchBench) -> None:
    bb.bench.server.will_answer(Scripted(body=b'{"data": [], "has_more": false}'), Scripted(hangs_up=True))
    bb.bench.server.script.popleft()
    bb.submit()
    bb.bench.now += GRACE - timedelta(seconds=1)
    early = bb.submit()
    bb.bench.now += timedelta(seconds=1)
    again = bb.submit()

    assert (early.known, early.sent, again.sent) == (1, [], ["c0"])
    assert bb.states == ["released", "processing"]
    assert bb.calls == [("released", None, "0.00000000"), ("reserved", None, None)]


def test_another_batch_of_ours_that_has_not_ended_is_not_taken_for_one_that_was_never_created(bb: BatchBench) -> None:
    bb.bench.use(2)
    bb.bench.connection.execute("update chats set is_deleted = true where id = 'c1'")
    bb.submit()
    bb.bench.connection.execute("update chats set is_deleted = id <> 'c1'")
    bb.bench.server.will_answer(error(500))
    bb.submit()
    bb.bench.now += GRACE

    bb.collect()

    assert bb.states == ["processing", "released"]


def test_a_creation_that_certainly_failed_is_tried_again_and_one_that_may_not_have_is_not(bb: BatchBench) -> None:
    bb.bench.server.will_answer(error(529, "overloaded_error"), error(429, "rate_limit_error"))
    first = bb.submit()
    bb.bench.use(2)
    bb.bench.server.will_answer(error(500))
    second = bb.submit()

    assert (first.stopped, len(bb.batches.created)) == (None, 1)
    assert isinstance(second.stopped, BatchFailedError)
    assert "status 500" in str(second.stopped)
    assert "what people wrote" not in str(second.stopped)
    assert bb.states == ["processing", "creating"]


REFUSED = [
    (error(401, "authentication_error"), ServiceStoppedError, "check ANTHROPIC_API_KEY"),
    (error(429, "rate_limit_error", "enforced_spend_limit_reached"), ServiceStoppedError, "limits and permissions"),
    (error(413, "request_too_large"), BatchFailedError, "status 413 request_too_large"),
]


@pytest.mark.parametrize(("told", "kind", "sentence"), REFUSED, ids=["key", "spend limit", "too large"])
def test_a_batch_that_the_service_refuses_costs_nothing_and_says_nothing_about_its_chats(
    bb: BatchBench, told: Scripted, kind: type[Exception], sentence: str
) -> None:
    for _ in range(MOST_FAILURES):
        bb.bench.server.will_answer(told)
        submission = bb.submit()

        assert isinstance(submission.stopped, kind)
        assert sentence in str(submission.stopped)
        assert submission.sent == []

    assert bb.calls == [("released", None, "0.00000000")] * MOST_FAILURES
    assert bb.bench.rows("select count(*) from ops.analysis_outcomes") == [(0,)]
    assert bb.submit().sent == ["c0"]


PASSING = [{"type": "expired"}, {"type": "canceled"}, errored("api_error"), errored("overloaded_error")]


@pytest.mark.parametrize("result", PASSING, ids=["expired", "canceled", "error", "overload"])
def test_an_item_that_came_to_nothing_is_sent_again_alone_three_times_at_most(bb: BatchBench, result: Result) -> None:
    bb.bench.use(2)
    bb.batches.have_ended = True
    turns = iter([succeeded()] + [result] * MOST_FAILURES)
    bb.batches.judge = only_chats(lambda: next(turns))
    sent = []
    for _ in range(MOST_FAILURES + 1):
        sent.append(len(bb.submit().sent))
        bb.collect()

    assert sent == [2, 1, 1, 0]
    assert sorted(bb.calls) == [("released", "failed", "0.00000000")] * MOST_FAILURES + [SETTLED]
    assert bb.submit(is_manual=True).sent != []


def test_an_item_that_the_service_will_never_take_is_not_sent_again(bb: BatchBench) -> None:
    bb.batches.have_ended = True
    bb.batches.judge = only_chats(lambda: errored("invalid_request_error"))
    bb.submit()
    bb.collect()

    assert bb.submit().sent == []
    assert bb.calls == [("settled", "failed", "0.00000000")]
    [(reason,)] = bb.bench.rows("select reason from ops.analysis_outcomes where chat_id = 'c0'")
    assert reason == "the batch's item errored invalid_request_error"


UNUSABLE = [
    ("voided", succeeded("not JSON"), 2),
    ("voided", succeeded(with_criterion("ease", judgement(101, (3, "La")))), 2),
    ("voided", succeeded(with_criterion("matter_settled", judgement(100, (4, "hoy mismo")))), 2),
    ("truncated", succeeded("{", stop_reason="max_tokens"), 2),
    ("refused", succeeded("", stop_reason="refusal"), 1),
    ("undecided", succeeded(with_criterion("matter_settled", judgement(None))), 1),
]


@pytest.mark.parametrize(
    ("outcome", "result", "times"), UNUSABLE, ids=[f"{it[0]} {n}" for n, it in enumerate(UNUSABLE)]
)
def test_an_unusable_answer_is_paid_recorded_and_asked_for_once_more_where_that_can_help(
    bb: BatchBench, outcome: str, result: Result, times: int
) -> None:
    bb.batches.have_ended = True
    bb.batches.judge = only_chats(lambda: result)
    for _ in range(3):
        bb.submit()
        bb.collect()

    assert bb.calls == [("settled", outcome, BATCH_COST)] * times
    assert bb.bench.rows("select count(*) from effectiveness_analysis") == [(0,)]
    responses = bb.bench.rows("select response ->> 'id' from ops.analysis_outcomes where chat_id = 'c0'")
    assert responses == [("msg_1",)] * times


def test_an_answer_that_is_no_message_may_have_cost_its_reservation(bb: BatchBench) -> None:
    bb.batches.have_ended = True
    bb.batches.judge = only_chats(lambda: {"type": "succeeded", "message": {"content": 7}})
    bb.submit()

    assert bb.collect().outcomes["failed"] == 1

    assert bb.calls == [("lost", "failed", None)]


def test_a_cap_sends_what_fits_says_so_once_and_the_rest_goes_another_day(bb: BatchBench) -> None:
    bb.bench.use(5)
    most = bb.submit().reserved
    bb.bench.connection.execute("truncate ops.analysis_calls, ops.analysis_batches, ops.analysis_batch_items")
    # One of five chats does not fit.
    bb.bench.configure(day=str(most - Decimal("0.001")), month="1")

    first, second = bb.submit(), bb.submit()
    bb.bench.now += timedelta(days=1)
    third = bb.submit()

    assert (len(first.sent), len(second.sent), len(third.sent)) == (4, 0, 1)
    assert isinstance(first.stopped, CapReachedError)
    assert str(first.stopped).startswith("the cap of the day is reached")
    assert isinstance(second.stopped, CapReachedError)
    assert third.stopped is None
    assert bb.bench.rows("select metadata ->> 'cap' from notifications") == [("day",)]


@pytest.mark.parametrize(("moved", "state", "kind"), [(0, "collected", "scored"), (25, "held", "held")])
def test_a_batch_whose_canaries_obey_an_order_is_held(bb: BatchBench, moved: int, state: str, kind: str) -> None:
    bb.bench.use(2)
    bb.batches.have_ended = True
    bb.batches.judge = lambda said: of_canary(moved if is_planted(said) else 0) if is_canary(said) else succeeded()
    bb.submit()

    assert bb.collect().outcomes[kind] == 2  # type: ignore[index]

    assert bb.bench.rows("select state, canary_shift from ops.analysis_batches") == [(state, float(moved))]
    assert bb.calls == [("settled", kind, BATCH_COST)] * 2
    assert bb.bench.rows("select count(*) from effectiveness_analysis") == [(2 if kind == "scored" else 0,)]
    held = bb.bench.rows("select reason, response is not null from ops.analysis_outcomes where outcome = 'held'")
    reason = "orders planted in the canaries of its batch moved their score by 25.0 points"
    assert held == ([] if kind == "scored" else [(reason, True)] * 2)
    assert bb.submit().sent == []


def test_a_batch_is_held_too_where_its_canaries_say_nothing(bb: BatchBench) -> None:
    bb.batches.have_ended = True
    bb.batches.judge = lambda said: {"type": "expired"} if is_canary(said) else succeeded()
    bb.submit()

    assert bb.collect().held == 1

    assert bb.bench.rows("select state, canary_shift from ops.analysis_batches") == [("held", None)]


def test_results_that_are_gone_may_have_been_billed_and_the_chats_are_sent_again(bb: BatchBench) -> None:
    bb.submit()
    bb.batches.have_ended = bb.batches.results_are_gone = True
    bb.collect()

    assert bb.states == ["lost"]
    assert bb.calls == [("lost", "failed", None)]
    assert bb.submit().sent == ["c0"]


def test_a_batch_that_the_service_does_not_know_is_waited_for_a_day(bb: BatchBench) -> None:
    bb.submit()
    bb.batches.created.clear()

    waiting = bb.collect().waiting
    bb.bench.now += timedelta(days=1, seconds=1)
    bb.collect()

    assert (waiting, bb.states) == (1, ["lost"])


def test_results_that_break_off_are_read_again_and_what_was_written_down_is_not_paid_twice(bb: BatchBench) -> None:
    bb.bench.use(4)
    bb.batches.have_ended = True
    bb.submit()
    bb.batches.part = 0.6
    with pytest.raises(ResultsUnreadableError, match="broke off"):
        bb.collect()
    bb.batches.part = 1.0

    bb.collect()

    assert bb.calls == [SETTLED] * 4
    assert bb.bench.rows("select count(*), count(distinct chat_id) from effectiveness_analysis") == [(4, 4)]


def test_a_request_of_a_batch_is_that_of_a_single_call(bb: BatchBench) -> None:
    bb.submit()
    together = json.loads(bb.bench.server.bodies[-1])["requests"][-1]["params"]
    bb.bench.reset()
    bb.bench.server.will_answer(message())
    bb.bench.score()

    assert json.loads(bb.bench.server.bodies[-1]) == together


@pytest.mark.parametrize("size", range(1, 9))
def test_results_are_read_line_by_line_wherever_the_stream_is_cut(size: int) -> None:
    # Of one to four bytes; the last two end lines elsewhere.
    told = [{"custom_id": "á€😀 \u2028\x85"}, {"custom_id": "ñandú"}, {"custom_id": "the last one"}]
    body = b"\n".join(json.dumps(it, ensure_ascii=False).encode() for it in told)

    for stream in (body, body + b"\n", body.replace(b"\n", b"\n\n") + b" \n"):
        pieces = (stream[place : place + size] for place in range(0, len(stream), size))
        assert [json.loads(line) for line in lines_of(pieces)] == told
