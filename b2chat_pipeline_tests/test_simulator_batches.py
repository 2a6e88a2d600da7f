"""Message batches of the simulator live as the service's do: they take time, end whole, expire, are archived."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from b2chat_pipeline.simulator import Fault, Simulator
from b2chat_pipeline_tests.claude_support import HELPED, claude, judged, request_about, text_of

if TYPE_CHECKING:
    from anthropic import Anthropic
    from anthropic.types.messages import MessageBatch, MessageBatchIndividualResponse

BATCHES = "/v1/messages/batches"
A_WHILE = timedelta(minutes=1)


def create(client: "Anthropic", ids: Sequence[str] = ("a", "b", "c", "d")) -> "MessageBatch":
    requests: list[Any] = [{"custom_id": it, "params": request_about(HELPED)} for it in ids]
    return client.messages.batches.create(requests=requests)


def results(client: "Anthropic", batch_id: str) -> list["MessageBatchIndividualResponse"]:
    return list(client.messages.batches.results(batch_id))


def kinds(client: "Anthropic", batch_id: str) -> dict[str, str]:
    return {it.custom_id: it.result.type for it in results(client, batch_id)}


def status_after(step: timedelta, simulator: Simulator, client: "Anthropic", batch_id: str) -> str:
    simulator.clock.advance(step)
    return client.messages.batches.retrieve(batch_id).processing_status


def test_a_batch_takes_time_and_is_counted_when_it_has_ended() -> None:
    with claude() as (simulator, client):
        created = create(client)
        ended_at = status_after(A_WHILE, simulator, client, created.id)
        ended = client.messages.batches.retrieve(created.id)

    assert (created.processing_status, created.results_url, created.ended_at) == ("in_progress", None, None)
    assert (created.request_counts.processing, created.request_counts.succeeded) == (4, 0)
    assert created.expires_at - created.created_at == timedelta(hours=24)
    assert ended_at == ended.processing_status == "ended"
    assert (ended.request_counts.processing, ended.request_counts.succeeded) == (0, 4)
    assert ended.ended_at is not None
    assert created.created_at < ended.ended_at < created.created_at + A_WHILE


def test_results_are_those_of_single_messages_in_an_order_of_their_own() -> None:
    names = [f"chat-{number}" for number in range(20)]
    with claude() as (simulator, client):
        batch = create(client, names)
        simulator.clock.advance(A_WHILE)
        told, alone = results(client, batch.id), judged(client)

    assert sorted(it.custom_id for it in told) == sorted(names)
    assert [it.custom_id for it in told] != names
    messages = [it.result.message for it in told if it.result.type == "succeeded"]
    assert {text_of(message) for message in messages} == {text_of(alone)}
    assert {message.usage.service_tier for message in messages} == {"batch"}
    assert len({message.id for message in messages}) == 20


def test_a_batch_exists_although_the_answer_to_its_creation_was_lost() -> None:
    from anthropic import APIConnectionError

    with claude() as (simulator, client):
        simulator.faults.add(Fault(kind="reset", path=BATCHES, method="POST"))
        before = list(client.messages.batches.list())
        with pytest.raises(APIConnectionError):
            create(client)
        (found,) = client.messages.batches.list()
        simulator.clock.advance(A_WHILE)

        assert before == []
        assert kinds(client, found.id) == dict.fromkeys("abcd", "succeeded")


def test_a_batch_can_be_unknown_at_first() -> None:
    from anthropic import NotFoundError

    with claude() as (simulator, client):
        simulator.faults.add(Fault(kind="status", path=f"{BATCHES}/*", status=404))
        batch = create(client)
        with pytest.raises(NotFoundError):
            client.messages.batches.retrieve(batch.id)

        assert client.messages.batches.retrieve(batch.id) == batch


def test_batches_are_listed_page_by_page_with_the_newest_first() -> None:
    with claude() as (simulator, client):
        ids = [create(client, ["only"]).id for _ in range(5)][::-1]
        page = client.messages.batches.list(limit=2)
        asked = len(simulator.requests)
        forwards = [batch.id for batch in page]
        pages = len(simulator.requests) - asked
        backwards = client.messages.batches.list(limit=2, before_id=ids[3])

    assert forwards == ids
    assert pages == 2
    assert (page.has_more, page.first_id, page.last_id) == (True, ids[0], ids[1])
    assert ([batch.id for batch in backwards.data], backwards.has_more) == (ids[1:3], True)


def test_an_item_can_fail_or_be_judged_badly_by_its_place_or_its_name() -> None:
    with claude() as (simulator, client):
        simulator.faults.add(
            Fault(kind="item_errored", path=BATCHES, index=1, value="overloaded_error"),
            Fault(kind="refusal", path=BATCHES, record_id="c"),
        )
        batch = create(client)
        simulator.clock.advance(A_WHILE)
        told = {it.custom_id: it.result for it in results(client, batch.id)}
        counts = client.messages.batches.retrieve(batch.id).request_counts

    assert told["b"].type == "errored"
    assert told["b"].error.error.type == "overloaded_error"
    assert (counts.succeeded, counts.errored) == (3, 1)
    assert told["c"].type == "succeeded"
    assert told["c"].message.stop_reason == "refusal"
    assert told["a"].type == "succeeded"
    assert told["a"].message.stop_reason == "end_turn"


def test_an_item_that_does_not_fit_harms_no_other() -> None:
    with claude() as (simulator, client):
        real = {**request_about(HELPED), "model": "claude-haiku-5-5"}
        requests: list[Any] = [
            {"custom_id": "real", "params": real},
            {"custom_id": "ours", "params": request_about(HELPED)},
        ]
        batch = client.messages.batches.create(requests=requests)
        simulator.clock.advance(A_WHILE)
        told = {it.custom_id: it.result for it in results(client, batch.id)}

    assert told["ours"].type == "succeeded"
    assert told["real"].type == "errored"
    assert told["real"].error.error.type == "not_found_error"


def test_a_batch_with_an_item_whose_turn_never_comes_ends_after_a_day() -> None:
    with claude() as (simulator, client):
        simulator.faults.add(Fault(kind="item_expired", path=BATCHES, record_id="b"))
        batch = create(client)

        statuses = [status_after(timedelta(hours=hours), simulator, client, batch.id) for hours in (23, 1)]

        assert statuses == ["in_progress", "ended"]
        assert Counter(kinds(client, batch.id).values()) == {"succeeded": 3, "expired": 1}
        assert client.messages.batches.retrieve(batch.id).request_counts.expired == 1


def test_a_batch_that_takes_two_days_is_half_done_when_it_expires() -> None:
    with claude() as (simulator, client):
        simulator.faults.add(Fault(kind="slow_batch", path=BATCHES, seconds=2 * 86_400))
        batch = create(client)
        simulator.clock.advance(timedelta(days=1))

        assert kinds(client, batch.id) == {"a": "succeeded", "b": "succeeded", "c": "expired", "d": "expired"}


def test_a_canceled_batch_keeps_what_was_done() -> None:
    from anthropic import BadRequestError

    with claude() as (simulator, client):
        simulator.faults.add(Fault(kind="slow_batch", path=BATCHES, seconds=400))
        batch = create(client)
        simulator.clock.advance(timedelta(seconds=250))
        canceling = client.messages.batches.cancel(batch.id)
        again = client.messages.batches.cancel(batch.id)
        simulator.clock.advance(A_WHILE)
        told = kinds(client, batch.id)
        with pytest.raises(BadRequestError):
            client.messages.batches.cancel(batch.id)

    assert (canceling.processing_status, canceling.results_url) == ("canceling", None)
    assert again == canceling
    assert told == {"a": "succeeded", "b": "succeeded", "c": "canceled", "d": "canceled"}


def test_a_batch_can_be_deleted_once_it_has_ended() -> None:
    from anthropic import BadRequestError, NotFoundError

    with claude() as (simulator, client):
        batch = create(client)
        with pytest.raises(BadRequestError):
            client.messages.batches.delete(batch.id)
        simulator.clock.advance(A_WHILE)
        deleted = client.messages.batches.delete(batch.id)
        with pytest.raises(NotFoundError):
            client.messages.batches.retrieve(batch.id)

    assert (deleted.id, deleted.type) == (batch.id, "message_batch_deleted")


def test_results_are_gone_after_29_days_and_before_the_end() -> None:
    headers = {"x-api-key": "demo", "anthropic-version": "2026-10-21"}
    with claude() as (simulator, client):
        batch = create(client)
        address = f"{simulator.url}{BATCHES}/{batch.id}/results"
        early = httpx.get(address, headers=headers).status_code
        simulator.clock.advance(timedelta(days=29))
        archived = client.messages.batches.retrieve(batch.id)
        late = httpx.get(address, headers=headers)

    assert (early, late.status_code) == (404, 404)
    assert late.json()["error"]["type"] == "not_found_error"
    assert (archived.processing_status, archived.results_url) == ("ended", None)
    assert archived.archived_at == batch.created_at + timedelta(days=29)


@pytest.mark.parametrize("ids", [[], ["a", "a"], ["with space"], ["x" * 65]])
def test_a_batch_that_the_service_would_refuse_is_refused(ids: list[str]) -> None:
    from anthropic import BadRequestError

    with claude() as (_, client):
        with pytest.raises(BadRequestError, match="requests"):
            create(client, ids)

        assert list(client.messages.batches.list()) == []


def test_faults_of_batches_can_be_set_over_http() -> None:
    with claude() as (simulator, client):
        fault = {"kind": "item_errored", "path": BATCHES, "method": "POST", "index": 0}
        httpx.post(f"{simulator.url}/_simulator/faults", content=json.dumps(fault)).raise_for_status()
        batch = create(client)
        simulator.clock.advance(A_WHILE)

        assert kinds(client, batch.id) == {"a": "errored", "b": "succeeded", "c": "succeeded", "d": "succeeded"}
