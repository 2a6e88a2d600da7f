"""Scoring that is killed at any moment: afterwards each chat is scored once, and the ledger knows every call."""

from decimal import Decimal

import pytest

from b2chat_pipeline_tests.crash_support import counted, kill, moments
from b2chat_pipeline_tests.scoring_support import COST, Bench, ScoringWork, message

pytestmark = pytest.mark.any_postgres


def test_whenever_scoring_is_killed_the_next_one_scores_each_chat_once_and_pays_no_settled_call_again(
    bench: Bench,
) -> None:
    work = ScoringWork(bench.url, bench.server.url)
    bench.server.will_answer(message("not JSON"))
    exchanges = [it for it in counted(work) if it.begins or it.commits]

    for moment in moments(exchanges):
        bench.reset()
        bench.server.will_answer(message("not JSON"))
        kill(work, moment)
        settled = bench.rows("select count(*) from ops.analysis_calls where state = 'settled'")[0][0]
        sent = len(bench.server.bodies)

        bench.score(is_manual=False)

        assert bench.rows("select count(*) from effectiveness_analysis") == [(1,)], moment
        states = [state for state, _, _ in bench.calls]
        assert states.count("lost") <= 1, moment
        assert "reserved" not in states, moment
        # What was paid and is not settled is the one call that was in flight.
        assert sent - settled <= 1, moment
        assert len(bench.server.bodies) - states.count("settled") <= states.count("lost"), moment
        paid = bench.rows("select sum(cost_usd) from ops.analysis_calls")[0][0]
        assert paid == states.count("settled") * Decimal(COST), moment
