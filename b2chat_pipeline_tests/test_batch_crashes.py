"""Scoring in batches that dies at any moment: afterwards each chat is paid and scored once, and the ledger is exact.

Most deaths happen in this process: what is said to PostgreSQL next is refused, and the connection is gone. A few are
kills, which show that the two are the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from b2chat_pipeline.analysis.adopting import GRACE
from b2chat_pipeline.analysis.batch_service import BatchService
from b2chat_pipeline.analysis.collecting import collect
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline_tests.batch_support import (
    BATCH_COST,
    CANARIES,
    PATH,
    BatchBench,
    BatchWork,
    fair,
    is_canary,
    service_at,
    submit_week,
    succeeded,
)
from b2chat_pipeline_tests.crash_support import Moment, counted, kill, wait_until_forgotten
from b2chat_pipeline_tests.scoring_support import Bench

pytestmark = pytest.mark.any_postgres

CHATS = 2
# The last chat's first answer is no JSON: its second attempt goes into another batch.
ANSWERS = CHATS + 1


class _Died(BaseException):
    """The process is no more."""


@contextmanager
def dying(connection: psycopg.Connection, moment: int) -> Iterator[None]:
    """End the connection for good at its nth BEGIN or COMMIT: what is said between changes nothing."""
    plain = psycopg.Connection.wait
    passed = 0

    def wait(self: psycopg.Connection[Any], generator: Any, *args: Any, **named: Any) -> Any:  # noqa: ANN401
        nonlocal passed
        if self is connection and generator.__name__ in {"_enter_gen", "_exit_gen"}:
            passed += 1
            if passed == moment:
                generator.close()
                self.pgconn.finish()
                raise _Died
        return plain(self, generator, *args, **named)

    psycopg.Connection.wait = wait  # type: ignore[assignment,method-assign]
    try:
        yield
    finally:
        psycopg.Connection.wait = plain  # type: ignore[method-assign]


@pytest.fixture
def service(shared_bench: Bench) -> Iterator[BatchService]:
    with service_at(shared_bench.server.url) as service:
        yield service


def start_over(bench: Bench, service: BatchService) -> BatchBench:
    """Two chats, the first answer to one of which cannot be used."""
    bench.reset()
    bench.use(CHATS)
    bb = BatchBench.of(bench, service)
    answers = iter([succeeded("not JSON")])
    bb.batches.judge = lambda said: fair(said) if is_canary(said) else next(answers, succeeded())
    return bb


def die(bb: BatchBench, *, collects: bool, moment: int) -> bool:
    """Send, or collect, up to a moment; whether it came to that."""
    with connect(bb.bench.url, purpose="scoring") as connection, dying(connection, moment):
        try:
            if collects:
                collect(connection, bb.service, lambda: bb.bench.now)
            else:
                submit_week(connection, bb.service, bb.bench.now)
        except _Died:
            wait_until_forgotten(bb.bench.url)
            return True
    return False


def finish(bb: BatchBench) -> None:
    """What the schedule and the sensor do in the next days, until nothing is left to do."""
    bb.batches.have_ended = True
    is_idle = False
    while not is_idle:
        bb.bench.now += GRACE
        collected = bb.collect().batches
        is_idle = not bb.submit().sent and not collected


def assert_paid_and_scored_once(bb: BatchBench, moment: object) -> None:
    rows = bb.bench.rows
    assert rows("select count(*), count(distinct chat_id) from effectiveness_analysis") == [(CHATS, CHATS)], moment
    assert rows("select count(*) from ops.analysis_calls where state in ('reserved', 'lost')") == [(0,)], moment
    # Every item that the service worked on is settled once, by its usage.
    answered = sum(map(len, bb.batches.created.values()))
    assert rows("select count(*), sum(cost_usd) from ops.analysis_calls where state = 'settled'") == [
        (answered, answered * Decimal(BATCH_COST))
    ], moment
    assert answered == ANSWERS + len(bb.batches.created) * CANARIES, moment
    assert len(bb.batches.created) == bb.bench.server.paths.count(PATH) == 2, moment


@pytest.mark.parametrize("collects", [False, True], ids=["sending", "collecting"])
def test_whenever_a_batch_is_left_by_its_process_the_next_ones_pay_and_score_each_chat_once(
    bench: Bench, service: BatchService, *, collects: bool
) -> None:
    moment = 0
    is_dead = True
    while is_dead:
        moment += 1
        bb = start_over(bench, service)
        if collects:
            bb.submit()
            bb.batches.have_ended = True
        is_dead = die(bb, collects=collects, moment=moment)

        finish(bb)

        assert_paid_and_scored_once(bb, moment)
    assert moment > (10 if collects else 2)


def test_a_kill_between_the_request_and_its_answer_is_no_different(bench: Bench, service: BatchService) -> None:
    bb = start_over(bench, service)
    work = BatchWork(bench.url, bench.server.url, collects=False)
    commits = [it for it in counted(work) if it.commits]
    # The first commits the books of the batch, then the service is asked, then the row is updated.
    for moment in (Moment("scoring", commits[0].number, after=True), Moment("scoring", commits[0].number + 1)):
        bb = start_over(bench, service)
        kill(work, moment)

        finish(bb)

        assert_paid_and_scored_once(bb, moment)
