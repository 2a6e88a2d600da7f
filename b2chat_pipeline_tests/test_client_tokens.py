"""How tokens are fetched, kept, renewed and refused."""

import base64
from collections.abc import Iterator
from datetime import timedelta

import pytest

from b2chat_pipeline.b2chat.client import B2ChatClient, RetryPolicy
from b2chat_pipeline.b2chat.errors import (
    AuthenticationError,
    ContractError,
    ForbiddenError,
    RequestTimeout,
    TransientError,
)
from b2chat_pipeline_tests.client_loopback import (
    CHATS,
    PAGE,
    PASSWORD,
    TOKEN,
    USERNAME,
    WINDOW,
    Bench,
    Scripted,
    running_bench,
    token_answer,
)


@pytest.fixture
def bench() -> Iterator[Bench]:
    with running_bench() as bench:
        yield bench


def page(client: B2ChatClient) -> None:
    client.get(CHATS, {"offset": 0, "limit": 200}, window=WINDOW)


def test_the_token_is_asked_for_with_basic_authentication_and_a_form(bench: Bench) -> None:
    bench.get()

    request = bench.api.received[0]
    basic = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
    assert (request.method, request.endpoint, request.query) == ("POST", TOKEN, {})
    assert request.headers["Authorization"] == f"Basic {basic}"
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.body == b"grant_type=client_credentials"


def test_a_token_with_two_seconds_left_is_used_for_two_seconds(bench: Bench) -> None:
    bench.api.will_answer(token_answer("old", expires_in=2), token_answer("new"), endpoint=TOKEN)

    with bench.client() as client:
        page(client)
        bench.time.now += timedelta(seconds=1.9)
        page(client)
        bench.time.now += timedelta(seconds=0.1)
        page(client)

    used = [request.headers["Authorization"] for request in bench.api.received if request.endpoint == CHATS]
    assert used == ["Bearer old", "Bearer old", "Bearer new"]


@pytest.mark.parametrize("life", [0, -60, None, "soon", {}, 1e300])
def test_a_token_with_no_usable_life_is_used_until_it_is_refused(bench: Bench, life: object) -> None:
    bench.api.will_answer(token_answer(expires_in=life), endpoint=TOKEN)

    with bench.client() as client:
        for _ in range(3):
            page(client)

    assert bench.api.count(TOKEN) == 1


def test_a_401_in_mid_read_costs_one_new_token_and_one_repetition(bench: Bench) -> None:
    bench.api.will_answer(token_answer("old"), token_answer("new"), endpoint=TOKEN)
    bench.api.will_answer(Scripted(), Scripted(status=401))

    with bench.client() as client:
        page(client)
        answer = client.get(CHATS, {"offset": 200, "limit": 200}, window=WINDOW)

    *_, refused, renewal, repeated = bench.api.received
    assert answer.body == PAGE
    assert refused.query == repeated.query == {"offset": "200", "limit": "200"}
    assert renewal.endpoint == TOKEN
    assert repeated.headers["Authorization"] == "Bearer new"
    assert bench.time.slept == []


def test_a_second_401_is_an_authentication_error_and_no_storm(bench: Bench) -> None:
    bench.api.will_answer(*[Scripted(status=401)] * 10)

    with pytest.raises(AuthenticationError, match="also with a new token"):
        bench.get()

    assert bench.api.count(CHATS) == 2
    assert bench.api.count(TOKEN) == 2
    assert bench.time.slept == []


def test_a_second_401_after_a_retry_is_still_the_second(bench: Bench) -> None:
    bench.api.will_answer(Scripted(status=401), Scripted(status=500), *[Scripted(status=401)] * 10)

    with pytest.raises(AuthenticationError):
        bench.get()

    assert bench.api.count(CHATS) == 3
    assert bench.api.count(TOKEN) == 2


@pytest.mark.parametrize("status", [400, 401])
def test_refused_credentials_end_at_once_without_a_data_call(bench: Bench, status: int) -> None:
    bench.api.will_answer(*[Scripted(status=status)] * 10, endpoint=TOKEN)

    with pytest.raises(AuthenticationError, match=r"POST /oauth/token .*check the API user name and password"):
        bench.get()

    assert [request.endpoint for request in bench.api.received] == [TOKEN]


def test_a_forbidden_token_is_not_tried_again(bench: Bench) -> None:
    bench.api.will_answer(Scripted(status=403), endpoint=TOKEN)

    with pytest.raises(ForbiddenError, match="POST /oauth/token"):
        bench.get()

    assert len(bench.api.received) == 1


def test_a_token_endpoint_that_is_down_is_retried_and_then_fails_without_a_data_call(bench: Bench) -> None:
    bench.api.will_answer(*[Scripted(status=503)] * 10, endpoint=TOKEN)

    with pytest.raises(TransientError, match=r"POST /oauth/token .*attempt 6\): the answer had status 503"):
        bench.get()

    assert bench.api.count(TOKEN) == 6
    assert bench.api.count(CHATS) == 0


def test_a_token_endpoint_that_comes_back_is_waited_for(bench: Bench) -> None:
    bench.api.will_answer(Scripted(status=502), Scripted(status=429), endpoint=TOKEN)

    assert bench.get().attempts == 3


@pytest.mark.parametrize("answer", [Scripted(status=504), Scripted(silence=5.0)], ids=["504", "silence"])
def test_a_slow_token_is_no_reason_for_smaller_pages(bench: Bench, answer: Scripted) -> None:
    bench.policy = RetryPolicy(attempts=3, read_timeout=0.05)
    bench.api.will_answer(*[answer] * 3, endpoint=TOKEN)

    with pytest.raises(TransientError) as caught:
        bench.get()

    assert not isinstance(caught.value, RequestTimeout)
    assert bench.api.count(TOKEN) == 3


def test_a_token_answer_cut_in_the_middle_is_asked_for_again(bench: Bench) -> None:
    bench.api.will_answer(Scripted(body=b'{"access_token": "inv'), endpoint=TOKEN)

    assert bench.get().attempts == 2


@pytest.mark.parametrize(
    "body",
    [
        b"<html>maintenance</html>",
        b"",
        b'{"token_type": "bearer"}',
        b'{"access_token": null}',
        b'{"access_token": ""}',
        b'{"access_token": "two words"}',
        b'{"access_token": "line\\nbreak"}',
        '{"access_token": "señal"}'.encode(),
    ],
)
def test_a_token_answer_without_a_usable_token_is_a_contract_error_and_is_not_kept(bench: Bench, body: bytes) -> None:
    bench.api.will_answer(Scripted(body=body), endpoint=TOKEN)

    with pytest.raises(ContractError) as caught:
        bench.get()

    assert caught.value.body == b""
    assert bench.api.count(CHATS) == 0
