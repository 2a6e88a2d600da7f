"""What one good request to the API looks like, and what it brings."""

import gzip
import logging
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from b2chat_pipeline.b2chat.client import RetryPolicy
from b2chat_pipeline_tests.client_loopback import (
    ACCESS_TOKEN,
    CHATS,
    NOON,
    PAGE,
    TOKEN,
    WINDOW,
    Bench,
    FakeTime,
    Scripted,
    UnlimitedBudget,
    running_bench,
)


@pytest.fixture
def bench() -> Iterator[Bench]:
    with running_bench() as bench:
        yield bench


def test_a_page_is_handed_over_as_received(bench: Bench) -> None:
    answer = bench.get()

    assert answer.body == PAGE
    assert answer.requested_at == NOON
    assert answer.params == {"offset": 0, "limit": 200}
    assert answer.attempts == 1
    assert 0 < answer.seconds < 5


def test_parameters_travel_in_the_query_string_with_the_token_and_the_json_content_type(bench: Bench) -> None:
    bench.get(date_range_from="2025-03-03", order_dir="asc")

    request = bench.api.received[-1]
    assert request.method == "GET"
    assert request.endpoint == CHATS
    assert request.query == {"offset": "0", "limit": "200", "date_range_from": "2025-03-03", "order_dir": "asc"}
    assert request.headers["Authorization"] == f"Bearer {ACCESS_TOKEN}"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Accept-Encoding"] == "gzip"
    assert request.body == b""


def test_a_base_url_with_a_path_keeps_it(bench: Bench) -> None:
    bench.base_url = f"{bench.api.url}/v1/"
    bench.api.will_answer(Scripted(status=404), endpoint=f"/v1{TOKEN}")

    with pytest.raises(Exception, match="404"):
        bench.get()


def test_a_zipped_page_is_unzipped(bench: Bench) -> None:
    bench.api.will_answer(Scripted(body=gzip.compress(PAGE), headers={"Content-Encoding": "gzip"}))

    assert bench.get().body == PAGE


def test_one_connection_and_one_token_serve_many_pages(bench: Bench) -> None:
    with bench.client() as client:
        for offset in (0, 200, 400):
            client.get(CHATS, {"offset": offset, "limit": 200}, window=WINDOW)

    assert bench.api.count(CHATS) == 3
    assert bench.api.count(TOKEN) == 1
    assert bench.api.connections == 1


def test_every_request_is_taken_from_the_budget_the_token_too(bench: Bench) -> None:
    bench.api.will_answer(Scripted(status=503))

    bench.get()

    assert bench.budget.taken == ["hourly"] * 3
    assert len(bench.api.received) == 3


def test_the_budget_is_waited_for_before_sending(bench: Bench) -> None:
    bench.budget = UnlimitedBudget(wait=0.25)

    answer = bench.get()

    assert bench.time.slept == [0.25, 0.25]
    assert answer.requested_at == NOON + timedelta(seconds=0.5)


def test_waiting_for_the_budget_does_not_eat_the_time_of_the_request(bench: Bench) -> None:
    class RealTime(FakeTime):
        def sleep(self, seconds: float) -> None:
            time.sleep(seconds)

    bench.time = RealTime()
    bench.budget = UnlimitedBudget(wait=0.3)
    bench.policy = RetryPolicy(total_deadline=0.5)

    assert bench.get().body == PAGE


def test_each_request_leaves_one_debug_line_and_each_retry_a_warning(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.api.will_answer(Scripted(status=503))

    with caplog.at_level(logging.DEBUG, logger="b2chat_pipeline"):
        bench.get(offset=400)

    ours = [record for record in caplog.records if record.name.startswith("b2chat_pipeline")]
    assert [record.levelname for record in ours] == ["DEBUG", "DEBUG", "WARNING", "DEBUG"]
    assert "GET /chats/export (offset 400, limit 200, attempt 1): status 503 in" in ours[1].getMessage()
    assert "the answer had status 503; trying again in" in ours[2].getMessage()
