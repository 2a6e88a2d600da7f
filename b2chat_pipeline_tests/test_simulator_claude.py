"""The simulator answers the Anthropic SDK as Claude's API does: judgements, tokens, models, and errors on demand."""

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from b2chat_pipeline.simulator import Fault, FaultKind, mutated_records
from b2chat_pipeline_tests.claude_support import (
    CRITERIA,
    HELPED,
    JUDGE,
    claude,
    client_of,
    judged,
    request_about,
    text_of,
)

if TYPE_CHECKING:
    from anthropic import Anthropic

MESSAGES = "/v1/messages"


def schema(**level: object) -> dict[str, object]:
    properties = {"level": {"type": "integer", **level}, "minimum": {"type": "integer"}}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def with_schema(it: dict[str, object]) -> dict[str, object]:
    return {"output_config": {"format": {"type": "json_schema", "schema": it}}}


def test_a_conversation_is_judged() -> None:
    with claude() as (_, client):
        message = judged(client)

    judgement = json.loads(text_of(message))
    assert list(judgement["criteria"]) == CRITERIA
    assert (message.model, message.role, message.stop_reason) == (JUDGE, "assistant", "end_turn")
    assert message.usage.service_tier == "standard"


def test_the_same_request_gets_the_same_judgement_in_another_message() -> None:
    with claude() as (_, client):
        first, second = judged(client), judged(client)

    assert text_of(first) == text_of(second)
    assert first.usage == second.usage
    assert first.id != second.id


def test_tokens_are_counted_beforehand_as_they_are_billed() -> None:
    asked = request_about(HELPED)
    counted = {name: it for name, it in asked.items() if name != "max_tokens"}
    with claude() as (_, client):
        message, tokens = judged(client), client.messages.count_tokens(**counted)

    assert tokens.input_tokens == message.usage.input_tokens > 100
    assert message.usage.output_tokens == -(-len(text_of(message).encode()) // 4)


def test_what_holds_no_transcript_gets_a_sentence() -> None:
    with claude() as (_, client):
        answer = client.messages.create(model=JUDGE, max_tokens=100, messages=[{"role": "user", "content": "ping"}])

    assert "a set of rules" in text_of(answer)


def test_the_one_model_is_listed_and_described() -> None:
    with claude() as (_, client):
        listed, model = list(client.models.list()), client.models.retrieve(JUDGE)

    assert listed == [model]
    assert (model.lifecycle, model.retires_at, model.max_input_tokens, model.max_tokens) == (
        *("active", None, 200_000),
        64_000,
    )
    assert model.capabilities is not None
    assert model.capabilities.batch.supported
    assert model.capabilities.structured_outputs.supported
    assert not model.capabilities.thinking.supported


def test_a_model_can_be_retired() -> None:
    with claude() as (simulator, client):
        path = f"/v1/models/{JUDGE}"
        simulator.faults.add(
            Fault(kind="set_field", path=path, field="lifecycle", value="retired"),
            Fault(kind="set_field", path=path, field="retires_at", value="2025-03-01T00:00:00Z"),
        )

        retired, again = client.models.retrieve(JUDGE), client.models.retrieve(JUDGE)

    assert retired.lifecycle == "retired"
    assert retired.retires_at is not None
    assert again.lifecycle == "active"


@pytest.mark.parametrize(
    "ask",
    [
        lambda client, asked: client.messages.create(**asked),
        lambda client, asked: client.messages.count_tokens(model=asked["model"], messages=asked["messages"]),
        lambda client, asked: client.models.retrieve(asked["model"]),
    ],
)
def test_it_never_answers_for_a_real_model(ask: Callable[["Anthropic", dict[str, Any]], object]) -> None:
    from anthropic import NotFoundError

    with claude() as (_, client), pytest.raises(NotFoundError, match="model: claude-haiku-5-5") as refused:
        ask(client, {**request_about(HELPED), "model": "claude-haiku-5-5"})

    assert refused.value.type == "not_found_error"


def test_a_wrong_key_is_refused() -> None:
    from anthropic import AuthenticationError

    with claude() as (simulator, _), client_of(simulator, key="wrong") as stranger:
        with pytest.raises(AuthenticationError) as refused:
            stranger.models.list()

        assert httpx.get(f"{simulator.url}/v1/models", headers={"x-api-key": "wrong"}).status_code == 401
        assert httpx.get(f"{simulator.url}/v1/models").status_code == 401

    assert refused.value.type == "authentication_error"
    assert refused.value.request_id is not None


def test_without_a_version_nothing_is_answered() -> None:
    with claude() as (simulator, _):
        answer = httpx.get(f"{simulator.url}/v1/models", headers={"x-api-key": "demo"})

    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "type": "invalid_request_error",
        "message": "anthropic-version: header is required",
    }


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 64_001}, "max_tokens: 64001 > 64000"),
        ({"extra_body": {"temperature": 0}}, "temperature: Extra inputs are not permitted"),
        ({"messages": []}, "messages: at least one message"),
        ({"messages": [{"role": "assistant", "content": "I"}]}, "first message must use the 'user' role"),
        ({"messages": [{"role": "user", "content": ""}]}, "non-empty content"),
        ({"system": "word " * 200_000}, "prompt is too long"),
        (with_schema(schema(minimum=0, maximum=100)), "properties maximum, minimum are not supported"),
        (with_schema({"type": "object", "properties": {}}), "'additionalProperties' must be explicitly set to false"),
        (with_schema({"type": "array", "items": {}, "minItems": 2}), "'minItems' values other than 0 or 1"),
    ],
)
def test_a_request_that_the_service_would_refuse_is_refused(changed: dict[str, Any], told: str) -> None:
    from anthropic import BadRequestError

    with claude() as (_, client), pytest.raises(BadRequestError, match=re.escape(told)) as refused:
        client.messages.create(**{**request_about(HELPED), **changed})

    assert refused.value.type == "invalid_request_error"


def test_a_schema_within_the_limits_is_taken() -> None:
    allowed = with_schema(schema(enum=[0, 25, 50, 75, 100]))
    with claude() as (_, client):
        answer = client.messages.create(**{**request_about(HELPED), **allowed})

    assert answer.stop_reason == "end_turn"


def test_an_answer_ends_where_its_tokens_do() -> None:
    with claude() as (_, client):
        whole = judged(client)
        cut = client.messages.create(**{**request_about(HELPED), "max_tokens": 20})

    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 20)
    assert text_of(whole).startswith(text_of(cut))


def test_a_refusal_says_nothing_and_is_billed() -> None:
    with claude() as (simulator, client):
        simulator.faults.add(Fault(kind="refusal", path=MESSAGES))

        refused, judgement = judged(client), judged(client)

    assert (refused.stop_reason, refused.content) == ("refusal", [])
    assert refused.usage.input_tokens == judgement.usage.input_tokens
    assert refused.stop_details is not None
    assert judgement.stop_reason == "end_turn"


@pytest.mark.parametrize(("kind", "stop_reason"), [("truncated", "max_tokens"), ("broken_json", "end_turn")])
def test_an_answer_can_be_no_json(kind: FaultKind, stop_reason: str) -> None:
    with claude() as (simulator, client):
        simulator.faults.add(Fault(kind=kind, path=MESSAGES))

        message = judged(client)

    assert message.stop_reason == stop_reason
    with pytest.raises(json.JSONDecodeError):
        json.loads(text_of(message))


def test_a_judgement_can_be_wrong_in_one_thing() -> None:
    kinds: list[FaultKind] = ["wrong_quote", "out_of_range", "missing_criterion", "extra_field"]
    with claude() as (simulator, client):
        simulator.faults.add(*(Fault(kind=kind, path=MESSAGES, after=at) for at, kind in enumerate(kinds)))
        answers = [json.loads(text_of(judged(client))) for _ in range(5)]

    misquoted, too_high, incomplete, extended, right = answers
    assert misquoted["criteria"]["matter_settled"]["evidence"][0]["quote"] not in str(HELPED)
    assert too_high["criteria"]["matter_settled"]["level"] == 140
    assert list(incomplete["criteria"]) == CRITERIA[1:]
    assert extended.keys() - right.keys() == {"confidence"}
    assert list(right["criteria"]) == CRITERIA


def test_a_message_can_be_changed_by_a_function() -> None:
    with claude() as (simulator, client):
        simulator.faults.add(mutated_records(lambda message: {**message, "stop_reason": "pause_turn"}, path=MESSAGES))

        assert judged(client).stop_reason == "pause_turn"


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (429, "RateLimitError", "rate_limit_error"),
        (500, "InternalServerError", "api_error"),
        (503, "ServiceUnavailableError", "api_error"),
        (529, "OverloadedError", "overloaded_error"),
    ],
)
def test_the_service_can_fail_in_its_own_words(status: int, error: str, kind: str) -> None:
    import anthropic

    with claude() as (simulator, client):
        simulator.faults.add(Fault(kind="status", path=MESSAGES, status=status, headers={"retry-after": "7"}))
        with pytest.raises(getattr(anthropic, error)) as failed:
            judged(client)

        assert judged(client).stop_reason == "end_turn"

    assert (failed.value.type, failed.value.response.headers["retry-after"]) == (kind, "7")


def test_an_error_can_name_its_cause() -> None:
    from anthropic import RateLimitError

    with claude() as (simulator, client):
        cause = {"error_code": "enforced_spend_limit_reached"}
        simulator.faults.add(Fault(kind="status", path=MESSAGES, status=429, value=cause))
        with pytest.raises(RateLimitError) as failed:
            judged(client)

    assert failed.value.error_code == "enforced_spend_limit_reached"


@pytest.mark.parametrize("kind", ["reset", "cut_body"])
def test_an_answer_can_be_lost(kind: FaultKind) -> None:
    from anthropic import APIConnectionError

    with claude() as (simulator, client):
        simulator.faults.add(Fault(kind=kind, path=MESSAGES))
        with pytest.raises(APIConnectionError):
            judged(client)

        assert judged(client).stop_reason == "end_turn"


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v1/complete", 404), ("GET", "/v1/messages", 405)])
def test_what_does_not_exist_is_an_error_in_the_services_shape(method: str, path: str, status: int) -> None:
    headers = {"x-api-key": "demo", "anthropic-version": "2023-06-01"}
    with claude() as (simulator, _):
        answer = httpx.request(method, simulator.url + path, headers=headers)

    assert (answer.status_code, answer.json()["type"]) == (status, "error")


def test_requests_are_recorded_without_key_and_content() -> None:
    with claude() as (simulator, client):
        judged(client)

    (request,) = simulator.requests
    assert (request.method, request.path, request.params, request.status) == ("POST", MESSAGES, {}, 200)
