"""Chats are scored once, paid once, and every other answer is recorded for what it is."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest

from b2chat_pipeline.analysis.ledger import Call, Ending, end
from b2chat_pipeline.analysis.service import ServiceStoppedError
from b2chat_pipeline_tests.scoring_support import (
    COST,
    IMPATIENT,
    KEY,
    MODEL,
    TALK,
    Bench,
    Scripted,
    answer,
    chat,
    error,
    judgement,
    message,
    talk,
    with_criterion,
)

pytestmark = pytest.mark.any_postgres


def test_a_good_answer_becomes_a_score_that_can_be_traced(bench: Bench) -> None:
    tally = bench.score()

    assert dict(tally.outcomes) == {"scored": 1}
    [(score_id, *numbers, data)] = bench.rows(
        "select id, resolution_score, customer_satisfaction, effectiveness_score, response_time_score, analysis_data"
        " from effectiveness_analysis"
    )
    assert numbers == [pytest.approx(81.25), pytest.approx(67.5), pytest.approx(0.6 * 81.25 + 0.4 * 67.5), 100]
    assert (data["model"], data["analyzed_messages"], data["satisfaction_basis"]) == (MODEL, 5, "messages")
    assert data["resolution_details"]["matter_settled"]["level"] == 75
    assert data["sentiment_analysis"]["end"] == "positive"
    assert data["response"]["content"][0]["text"] == json.dumps(answer())
    assert (data["usage"], data["cost_usd"]) == ({"input_tokens": 2000, "output_tokens": 400}, COST)
    assert bench.rows("select id, state, cost_usd::text, request_id from ops.analysis_calls") == [
        (score_id, "settled", COST, "req_1")
    ]


def test_one_request_holds_the_conversation_as_one_block_of_data_and_no_tools(bench: Bench) -> None:
    bench.score()

    [body], [headers] = map(json.loads, bench.server.bodies), bench.server.headers
    assert body.keys() == {"model", "max_tokens", "system", "messages", "output_config"}
    block = json.loads(bench.server.texts[0])
    assert [(it["n"], it["from"], it["text"]) for it in block["messages"]] == [
        (place, "customer" if incoming else "company", text) for place, (incoming, text) in enumerate(TALK, 1)
    ]
    assert body["output_config"]["format"]["schema"]["additionalProperties"] is False
    assert headers["authorization"] == f"Bearer {KEY}"


def test_what_is_scored_is_not_paid_again_for_thirty_days_and_by_scheduled_work_never(bench: Bench) -> None:
    bench.score()

    assert bench.score().known == 1
    bench.now += timedelta(days=31)
    assert bench.score(is_manual=False).known == 1
    assert len(bench.server.bodies) == 1

    assert dict(bench.score(is_manual=True).outcomes) == {"scored": 1}
    assert bench.rows("select count(*) from effectiveness_analysis") == [(2,)]


def test_a_chat_that_goes_on_is_scored_again_and_one_that_is_only_loaded_again_is_not(bench: Bench) -> None:
    bench.score()
    bench.connection.execute("update chats set sync_version = 7, last_sync_at = now(), row_hash = 'x'")
    assert bench.score(is_manual=False).known == 1

    bench.connection.execute(
        "insert into messages (id, chat_id, text, type, raw_type, incoming, timestamp, position)"
        " select 'later', chat_id, 'sigue sin llegar', 'text', 'TEXT', true, timestamp + interval '1 minute', 9"
        " from messages where chat_id = 'c0' order by timestamp desc limit 1"
    )

    assert dict(bench.score(is_manual=False).outcomes) == {"scored": 1}


def test_without_evidence_of_satisfaction_effectiveness_is_the_resolution(bench: Bench) -> None:
    bench.server.will_answer(message(with_criterion("satisfaction", judgement(None))))

    bench.score()

    [(satisfaction, effectiveness, basis)] = bench.rows(
        "select customer_satisfaction, effectiveness_score, analysis_data ->> 'satisfaction_basis'"
        " from effectiveness_analysis"
    )
    assert (satisfaction, effectiveness, basis) == (None, pytest.approx(81.25), "none")


def test_a_quote_that_is_not_in_its_message_voids_its_criterion_only(bench: Bench) -> None:
    bench.server.will_answer(message(with_criterion("next_step_clear", judgement(100, (4, "hoy mismo")))))

    bench.score()

    [(resolution, voided)] = bench.rows(
        "select resolution_score, analysis_data -> 'voided_criteria' from effectiveness_analysis"
    )
    assert resolution == pytest.approx((0.6 * 75 + 0.25 * 100) / 0.85)
    assert voided == {"next_step_clear": "has a quote that is not in the message it cites"}


MISSING = {name: told for name, told in answer()["criteria"].items() if name != "ease"}
UNUSABLE = [
    ("voided", message("not JSON"), "is no JSON"),
    ("voided", message(with_criterion("ease", judgement(101, (3, "La")))), "not on offer at `$.criteria"),
    ("voided", message(with_criterion("ease", judgement(-25, (3, "La")))), "not on offer"),
    ("voided", message(with_criterion("ease", {**judgement(50), "level": "50"})), "another type"),
    ("voided", message(answer(criteria=MISSING)), "lacks the criterion ease"),
    ("voided", message(answer(criteria={**answer()["criteria"], "extra": judgement(None)})), "not asked for"),
    ("voided", message(answer(total=99)), "holds a field that was not asked for"),
    ("voided", message({**answer(), "language": None}), "another type"),
    ("voided", message(json.dumps(answer())[:-40]), "is no JSON"),
    ("voided", message(with_criterion("matter_settled", judgement(100))), "matter_settled has no evidence"),
    ("voided", message(with_criterion("matter_settled", judgement(100, (9, "x")))), "message without text"),
    ("voided", message(stop_reason="tool_use"), "without an answer"),
    ("voided", message(stop_reason="pause_turn"), "without an answer"),
    ("truncated", message("{", stop_reason="max_tokens"), "cut short"),
    ("truncated", message("{", stop_reason="model_context_window_exceeded"), "cut short"),
]


@pytest.mark.parametrize(("outcome", "told", "reason"), UNUSABLE, ids=[f"{it[0]} {it[2]}" for it in UNUSABLE])
def test_an_unusable_answer_is_paid_recorded_and_asked_for_once_more(
    bench: Bench, outcome: str, told: Scripted, reason: str
) -> None:
    bench.server.will_answer(told, told)

    tally = bench.score()

    assert dict(tally.outcomes) == {outcome: 1}
    assert bench.calls == [("settled", outcome, COST)] * 2
    assert tally.cost == 2 * Decimal(COST)
    found = bench.rows("select outcome, reason, response ->> 'id' from ops.analysis_outcomes")
    assert found == [(outcome, found[0][1], "msg_1")] * 2
    assert reason in found[0][1]
    assert bench.rows("select count(*) from effectiveness_analysis") == [(0,)]
    assert [json.loads(body)["max_tokens"] for body in bench.server.bodies] == [2048, 4096]
    assert bench.score(is_manual=False).known == 1


FINAL = [
    ("refused", message("", stop_reason="refusal")),
    ("undecided", message(with_criterion("matter_settled", judgement(None)))),
]


@pytest.mark.parametrize(("outcome", "told"), FINAL, ids=[it[0] for it in FINAL])
def test_an_answer_that_asking_again_cannot_mend_is_final(bench: Bench, outcome: str, told: Scripted) -> None:
    bench.server.will_answer(told)

    assert dict(bench.score().outcomes) == {outcome: 1}

    assert bench.calls == [("settled", outcome, COST)]
    assert bench.score().known == 1


def test_a_score_that_contradicts_a_fact_is_held(bench: Bench) -> None:
    unanswered = talk((False, "Bienvenido a la tienda"), (True, "Hola, mi pedido no ha llegado y ya pasaron ocho días"))
    bench.hold(chat(messages=unanswered))
    bench.server.will_answer(
        message(with_criterion("matter_settled", judgement(100, (2, "ha llegado"))) | {"injection_suspected": True})
    )

    assert dict(bench.score().outcomes) == {"held": 1}

    assert bench.rows("select outcome, response is not null from ops.analysis_outcomes") == [("held", True)]
    assert bench.rows("select count(*) from effectiveness_analysis") == [(0,)]


PASSING = [
    error(429, "rate_limit_error"),
    error(529, "overloaded_error"),
    error(500),
    error(503),
    error(408),
    error(409),
]


@pytest.mark.parametrize("told", PASSING, ids=[str(it.status) for it in PASSING])
def test_trouble_that_passes_is_tried_again_and_costs_nothing(bench: Bench, told: Scripted) -> None:
    bench.server.will_answer(told)

    assert dict(bench.score().outcomes) == {"scored": 1}

    assert len(bench.server.bodies) == 2
    assert bench.calls == [("settled", "scored", COST)]


@pytest.mark.parametrize("told", PASSING, ids=[str(it.status) for it in PASSING])
def test_trouble_that_stays_is_a_failure_that_costs_nothing_and_may_be_tried_another_day(
    bench: Bench, told: Scripted
) -> None:
    bench.server.will_answer(told, told, told)

    assert dict(bench.score().outcomes) == {"failed": 1}

    assert len(bench.server.bodies) == IMPATIENT.attempts
    assert bench.calls == [("released", "failed", "0.00000000")]
    assert dict(bench.score(is_manual=False).outcomes) == {"scored": 1}


def test_a_request_that_the_service_does_not_take_is_asked_once_and_others_go_on(bench: Bench) -> None:
    bench.use(2)
    bench.server.will_answer(error(400, "invalid_request_error"))

    assert dict(bench.score().outcomes) == {"failed": 1, "scored": 1}

    assert len(bench.server.bodies) == 2
    [(reason,)] = bench.rows("select reason from ops.analysis_outcomes")
    assert reason == "the service refused the request with status 400 invalid_request_error"


@pytest.mark.parametrize("told", [Scripted(silence=0.4), Scripted(hangs_up=True)], ids=["silence", "hang-up"])
def test_a_call_whose_answer_never_came_keeps_its_reservation_since_it_may_be_billed(
    bench: Bench, told: Scripted
) -> None:
    patience = type(IMPATIENT)(attempts=2, first_wait=0.001, longest_wait=0.001, attempt_timeout=0.2)
    bench.server.will_answer(told, told)

    assert dict(bench.score(patience=patience).outcomes) == {"failed": 1}

    assert bench.rows("select state, cost_usd, unanswered, reserved_usd > 0 from ops.analysis_calls") == [
        ("lost", None, 2, True)
    ]


def test_an_answer_that_is_no_message_may_have_cost_its_reservation(bench: Bench) -> None:
    bench.server.will_answer(Scripted(body=b"<html>a proxy's page</html>"))

    assert dict(bench.score().outcomes) == {"failed": 1}

    assert bench.calls == [("lost", "failed", None)]


@pytest.mark.parametrize("pause", ["0", "1", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_pause_that_the_service_asks_for_is_kept(bench: Bench, pause: str) -> None:
    bench.server.will_answer(error(429, "rate_limit_error", retry_after=pause))

    assert dict(bench.score().outcomes) == {"scored": 1}


def test_a_pause_of_a_day_is_not_sat_out(bench: Bench) -> None:
    bench.server.will_answer(error(429, "rate_limit_error", retry_after="86400"))

    assert dict(bench.score().outcomes) == {"failed": 1}

    assert len(bench.server.bodies) == 1


STOPPING = [
    (error(401, "authentication_error"), "check ANTHROPIC_API_KEY"),
    (error(403, "permission_error"), "permissions of the organization"),
    (error(402, "billing_error"), "limits and permissions"),
    (error(404, "not_found_error"), "name a model"),
    (error(429, "rate_limit_error", "enforced_spend_limit_reached"), "limits and permissions"),
    (error(429, "rate_limit_error", "contract_spend_limit_reached"), "limits and permissions"),
    (error(400, "invalid_request_error", "organization_on_hold"), "limits and permissions"),
]


@pytest.mark.parametrize(("told", "remedy"), STOPPING, ids=[f"{it[0].status} {it[1]}" for it in STOPPING])
def test_a_service_that_refuses_to_work_stops_the_run_with_one_sentence(
    bench: Bench, told: Scripted, remedy: str
) -> None:
    bench.use(9)
    bench.server.will_answer(*[told] * 9)

    tally = bench.score()

    assert isinstance(tally.stopped, ServiceStoppedError)
    assert remedy in str(tally.stopped)
    assert "what people wrote" not in str(tally.stopped)
    assert len(bench.server.bodies) < 9
    assert {state for state, _, _ in bench.calls} == {"released"}


def test_a_cap_stops_submission_and_says_so_once_a_day(bench: Bench) -> None:
    bench.use(5)
    bench.configure(day="0.02", month="0.025")

    first, second = bench.score(), bench.score()

    assert str(first.stopped).startswith("the cap of the day is reached: $0.01 of $0.02 are spent")
    assert (first.outcomes["scored"], second.known, second.calls) == (2, 2, 0)
    assert bench.rows("select user_id, type, metadata ->> 'cap' from notifications") == [("system", "warning", "day")]
    bench.now += timedelta(days=1)
    third = bench.score()
    assert "cap of the month" in str(third.stopped)
    assert third.outcomes["scored"] == 1


def test_the_ledger_is_the_sum_of_the_usages_to_the_last_digit(bench: Bench) -> None:
    bench.use(7)
    usages = [{"input_tokens": 1001 + 7 * n, "output_tokens": 33 + n, "cache_read_input_tokens": n} for n in range(7)]
    bench.server.will_answer(*(message(usage=usage) for usage in usages))

    tally = bench.score()

    exact = sum(
        Decimal(it["input_tokens"] + it["cache_read_input_tokens"] + 5 * it["output_tokens"]) / 1_000_000
        for it in usages
    )
    assert bench.rows("select sum(cost_usd) from ops.analysis_calls") == [(exact,)]
    assert bench.rows("select sum((analysis_data ->> 'cost_usd')::numeric) from effectiveness_analysis") == [(exact,)]
    assert tally.cost == exact


def test_a_call_ends_once(bench: Bench) -> None:
    bench.score()
    [(call_id,)] = bench.rows("select id from ops.analysis_calls")

    assert not end(bench.connection, Call(call_id, 1), Ending("released", "failed", Decimal()), bench.now)

    assert bench.calls == [("settled", "scored", COST)]
