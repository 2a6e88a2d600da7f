"""Trouble with the source, from the wire to the tables: each fault ends in right rows or in one sentence.

What the client alone does with a fault is tested in `test_client_*.py`; here a whole sync meets it.
"""

import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from b2chat_pipeline.b2chat.client import RetryPolicy
from b2chat_pipeline.b2chat.contract import CHATS
from b2chat_pipeline.b2chat.errors import (
    AuthenticationError,
    B2ChatError,
    BudgetExhausted,
    ContractError,
    RateLimitedError,
    RequestTimeout,
    TransientError,
)
from b2chat_pipeline.ingest.sync import Outcome
from b2chat_pipeline.simulator import Fault, FaultKind, World, dropped_record, inserted_record, mutated_records
from b2chat_pipeline.simulator.expectation import expected
from b2chat_pipeline.warehouse.budget import Limits
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline_tests.loading_support import Pipeline, hours_between, rows, running_pipeline, stored

pytestmark = pytest.mark.any_postgres

TOKEN = "/oauth/token"
FIRST, LAST = date(2025, 3, 3), date(2025, 3, 5)
NOW = datetime(2025, 3, 12, 18, tzinfo=UTC)
# Three days make four pages: offsets 0, 199, 398, 597.
WORLD = World(first_day=FIRST, zone=ZoneInfo("America/Bogota"), chats_per_day=220, messages_per_chat=1, contacts=30)
ACCOUNT = expected(WORLD, NOW, first=FIRST, last=LAST)
# The list goes on to the day after.
LISTED = expected(WORLD, NOW, first=FIRST, last=date(2025, 3, 6))
WHERE = "GET /chats/export (window 2025-03-03 .. 2025-03-06, offset"


@pytest.fixture
def pipeline(database_url: str) -> Iterator[Pipeline]:
    with running_pipeline(database_url, WORLD, now=NOW) as running:
        yield running


def sleeping(pipeline: Pipeline) -> tuple[Pipeline, list[float]]:
    """The same pipeline, whose sleeps are noted, and pass on the account's clock."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        pipeline.simulator.clock.advance(timedelta(seconds=seconds))

    return replace(pipeline, sleep=sleep), slept


def load(pipeline: Pipeline) -> Outcome:
    return pipeline.load(CHATS, hours_between(pipeline.clock, FIRST, LAST, until=NOW))


def asked(pipeline: Pipeline, path: str = CHATS) -> list[int]:
    """The offsets asked for at an endpoint, whatever was answered."""
    return [int(str(it.params.get("offset", 0))) for it in pipeline.simulator.requests if it.path == path]


def assert_loaded(pipeline: Pipeline, outcome: Outcome) -> None:
    """The tables are those of a load without any fault."""
    assert outcome.status == "success"
    held = stored(pipeline.url)
    assert held.chats.keys() == ACCOUNT.chats.keys()
    assert (held.chats, held.messages) == (ACCOUNT.chats, ACCOUNT.messages)


def assert_untouched(pipeline: Pipeline) -> None:
    """Nothing was loaded, and no hour counts as read."""
    with connect(pipeline.url, purpose="compare") as connection:
        assert rows(connection, "select id from chats") == []
        assert rows(connection, "select hour_start from ops.window_reads") == []


def the_error(outcome: Outcome) -> B2ChatError:
    """The one error of all hours that failed."""
    (error,) = set(outcome.failed.values())
    assert isinstance(error, B2ChatError)
    return error


def drift(pipeline: Pipeline) -> list[tuple[str, str, str]]:
    with connect(pipeline.url, purpose="compare") as connection:
        found = rows(connection, "select path, kind, detail from ops.contract_drift order by path, kind, detail")
    return [(str(row["path"]), str(row["kind"]), str(row["detail"])) for row in found]


def evidence(pipeline: Pipeline) -> list[str]:
    """The answers that were kept although they hold no record that was taken."""
    with connect(pipeline.url, purpose="compare") as connection:
        found = rows(connection, "select raw_response::text as body from api_response_logs where record_count = 0")
    return [str(row["body"]) for row in found]


@pytest.mark.parametrize(
    ("header", "waited"),
    [
        ("2", (2, 2)),
        ("Wed, 12 Mar 2025 18:00:07 GMT", (7, 7)),
        ("Wed, 12 Mar 2025 17:00:00 GMT", (0, 0)),
        (None, (0, 1)),
        ("soon", (0, 1)),
    ],
)
def test_a_pause_asked_for_is_kept_and_the_read_goes_on(
    pipeline: Pipeline, header: str | None, waited: tuple[float, float]
) -> None:
    patient, slept = sleeping(pipeline)
    headers = {} if header is None else {"Retry-After": header}
    pipeline.simulator.faults.add(Fault(kind="status", status=429, headers=headers, after=1))

    outcome = load(patient)

    assert_loaded(pipeline, outcome)
    assert len(slept) == 1
    assert waited[0] <= slept[0] <= waited[1]
    assert asked(pipeline) == [0, 199, 199, 398, 597]


@pytest.mark.parametrize(("seconds", "goes_on_at"), [("7200", 398), ("86400", 0)])
def test_a_long_pause_ends_the_read_without_a_sleep_and_a_later_one_goes_on(
    pipeline: Pipeline, seconds: str, goes_on_at: int
) -> None:
    patient, slept = sleeping(pipeline)
    pipeline.simulator.faults.add(Fault(kind="status", status=429, headers={"Retry-After": seconds}, after=2))

    cut = load(patient)
    sent = len(pipeline.simulator.requests)
    refused = load(patient)

    assert (cut.status, refused.status) == ("partial", "partial")
    until = NOW + timedelta(seconds=int(seconds))
    error = the_error(cut)
    assert isinstance(error, BudgetExhausted)
    assert str(error) == (
        f"{WHERE} 398, limit 200, attempt 1): the answer had status 429 and asked to stay away until"
        f" {until:%Y-%m-%d %H:%M:%S} UTC; nothing is lost, a later run continues from here."
    )
    # Hours that were told before the pause are loaded from the first read; the others name the page they wait for.
    sentence = f"B2Chat asked for a pause that is not over before {until:%Y-%m-%d %H:%M:%S} UTC"
    assert sentence in str(the_error(refused))
    assert (slept, len(pipeline.simulator.requests)) == ([], sent)
    pipeline.simulator.clock.set(until)
    assert load(patient).status == "success"
    assert asked(pipeline)[3] == goes_on_at
    assert stored(pipeline.url).chats.keys() == ACCOUNT.chats.keys()


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_source_that_fails_and_recovers_is_read_as_if_it_had_not(pipeline: Pipeline, status: int) -> None:
    patient, slept = sleeping(pipeline)
    pipeline.simulator.faults.add(Fault(kind="status", status=status, after=2))

    outcome = load(patient)

    assert_loaded(pipeline, outcome)
    assert len(slept) == 1
    assert 0 < slept[0] < 1
    assert asked(pipeline) == [0, 199, 398, 398, 597]


def test_a_source_that_keeps_failing_is_given_up_after_six_attempts_and_changes_nothing(pipeline: Pipeline) -> None:
    pipeline.simulator.faults.add(Fault(kind="status", status=500, times=None))

    outcome = load(pipeline)

    assert outcome.status == "error"
    assert isinstance(the_error(outcome), TransientError)
    assert str(the_error(outcome)) == (
        f"{WHERE} 0, limit 200, attempt 6): the answer had status 500; nothing was changed, the next run reads this"
        " window again; if it lasts, ask B2Chat support."
    )
    assert asked(pipeline) == [0] * 6
    assert outcome.requests == 7
    assert_untouched(pipeline)
    pipeline.simulator.faults.clear()
    assert_loaded(pipeline, load(pipeline))


def test_a_token_that_is_refused_in_mid_read_is_renewed_once_for_the_same_page(pipeline: Pipeline) -> None:
    pipeline.simulator.faults.add(Fault(kind="unauthorized", after=2))

    outcome = load(pipeline)

    assert_loaded(pipeline, outcome)
    assert asked(pipeline) == [0, 199, 398, 398, 597]
    assert len(asked(pipeline, TOKEN)) == 2
    # Two tokens, four pages, one refusal: all were sent.
    assert (outcome.requests, outcome.pages) == (7, 4)


def test_a_second_refusal_is_an_authentication_error_without_a_storm(pipeline: Pipeline) -> None:
    pipeline.simulator.faults.add(Fault(kind="unauthorized", after=2, times=None))

    outcome = load(pipeline)

    assert isinstance(the_error(outcome), AuthenticationError)
    assert str(the_error(outcome)) == (
        f"{WHERE} 398, limit 200, attempt 1): the request was refused with status 401, also with a new token; check the"
        " API user name and password on the account's API credentials page, then run again."
    )
    assert asked(pipeline) == [0, 199, 398, 398]
    assert len(asked(pipeline, TOKEN)) == 2


def test_without_a_token_endpoint_no_page_is_asked_for(pipeline: Pipeline) -> None:
    pipeline.simulator.faults.add(Fault(kind="status", status=503, path=TOKEN, times=None))

    outcome = load(pipeline)

    assert isinstance(the_error(outcome), TransientError)
    assert str(the_error(outcome)).startswith(
        "POST /oauth/token (window 2025-03-03 .. 2025-03-06, offset 0, limit 200, attempt 6): the answer had status 503"
    )
    assert asked(pipeline) == []
    assert outcome.requests == 6
    assert_untouched(pipeline)


@pytest.mark.parametrize("kind", ["cut_body", "cut_json", "broken_gzip", "reset"])
def test_half_a_page_is_never_loaded_but_read_again(pipeline: Pipeline, kind: FaultKind) -> None:
    pipeline.simulator.faults.add(Fault(kind=kind, after=1))

    outcome = load(pipeline)

    assert_loaded(pipeline, outcome)
    assert asked(pipeline) == [0, 199, 199, 398, 597]
    assert evidence(pipeline) == []


@pytest.mark.parametrize(
    ("kind", "problem", "body"),
    [
        ("html", "the answer is an HTML or XML page instead of a JSON object", "<html"),
        ("empty_body", "the answer is empty instead of a JSON object", '""'),
        ("error_message", "the body holds no list named 'chats'", '{"message":"error"}'),
    ],
)
def test_an_answer_that_is_no_page_is_kept_and_is_not_0_records(
    pipeline: Pipeline, kind: FaultKind, problem: str, body: str
) -> None:
    pipeline.simulator.faults.add(Fault(kind=kind))

    outcome = load(pipeline)

    assert isinstance(the_error(outcome), ContractError)
    sentence = re.escape(
        f"): {problem}; look at the stored raw answer and at the API's status page, then run this window again."
    )
    assert re.fullmatch(rf"{re.escape(WHERE)} 0, limit 200(, attempt 1)?{sentence}", str(the_error(outcome)))
    assert outcome.told == {}
    assert_untouched(pipeline)
    (kept,) = evidence(pipeline)
    assert body in kept
    assert_loaded(pipeline, load(pipeline))


def test_an_empty_page_that_claims_records_is_no_complete_read(pipeline: Pipeline) -> None:
    pipeline.simulator.faults.add(mutated_records(lambda _: None))

    outcome = load(pipeline)

    assert isinstance(the_error(outcome), ContractError)
    assert str(the_error(outcome)) == (
        f"{WHERE} 0, limit 200): the page at offset 0 holds no records although its total is {len(LISTED.chats)}, and"
        " 3 walks over the list ended like that, so it cannot be taken for complete; look at the stored raw answer and"
        " at the API's status page, then run this window again."
    )
    assert drift(pipeline) == [("page.total", "wrong total", "more than were told")]
    assert len(evidence(pipeline)) == 3
    assert_untouched(pipeline)
    pipeline.simulator.faults.clear()
    assert_loaded(pipeline, load(pipeline))


def test_a_page_that_was_empty_once_by_mistake_is_asked_for_again(pipeline: Pipeline) -> None:
    pipeline.simulator.faults.add(mutated_records(lambda _: None, times=1))

    assert_loaded(pipeline, load(pipeline))


def test_an_answer_that_drips_is_cut_at_the_deadline_and_asked_for_in_halves(pipeline: Pipeline) -> None:
    hurried = replace(pipeline, policy=RetryPolicy(attempt_deadline=0.5))
    pipeline.simulator.faults.add(Fault(kind="drip", after=1, times=2, bytes_per_second=1000))

    outcome = load(hurried)

    assert_loaded(pipeline, outcome)
    limits = [it.params["limit"] for it in pipeline.simulator.requests if it.path == CHATS]
    assert limits[:4] == ["200", "200", "200", "100"]


def test_an_answer_that_never_stops_dripping_is_one_sentence(pipeline: Pipeline) -> None:
    hurried = replace(pipeline, policy=RetryPolicy(attempts=1, timeout_attempts=1, attempt_deadline=0.2))
    pipeline.simulator.faults.add(Fault(kind="drip", times=None, bytes_per_second=1))

    outcome = load(hurried)

    assert isinstance(the_error(outcome), RequestTimeout)
    assert str(the_error(outcome)) == (
        f"{WHERE} 0, limit 25, attempt 1): the answer was not complete after 0.2 s; the next run reads this window"
        " again; if it lasts, lower the page size."
    )
    assert_untouched(pipeline)


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return f"127.0.0.1:{unused.getsockname()[1]}"


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("https://b2chat.invalid", "the host name was not resolved; check the API URL and this machine's DNS."),
        ("http://{closed}", "the connection was refused; check the API URL and that the service is up."),
        (
            "https://{simulator}",
            "TLS could not be agreed on; check the API URL, the trusted certificates and this clock.",
        ),
    ],
)
def test_without_a_connection_nothing_changes_and_the_sentence_says_what_to_check(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, address: str, problem: str
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    simulator = pipeline.simulator.url.removeprefix("http://")
    url = address.format(closed=closed_port(), simulator=simulator)

    outcome = load(replace(pipeline, api_url=url, policy=RetryPolicy(attempts=2)))

    assert outcome.status == "error"
    assert isinstance(the_error(outcome), TransientError)
    assert str(the_error(outcome)).endswith(f"attempt 2): {problem}")
    assert str(the_error(outcome)).startswith("POST /oauth/token (window 2025-03-03 .. 2025-03-06, offset 0,")
    assert_untouched(pipeline)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (3, {"fewer than were told"}),
        (None, {"Expected `int`, got `null`"}),
        ("660", {"Expected `int`, got `str`"}),
        (-1, {"no count"}),
    ],
)
def test_a_total_that_lies_is_recorded_once_and_every_record_loads(
    pipeline: Pipeline, value: object, told: set[str]
) -> None:
    pipeline.simulator.faults.add(Fault(kind="total", value=value, times=None))

    outcome = load(pipeline)

    assert_loaded(pipeline, outcome)
    assert {detail for path, _, detail in drift(pipeline) if path == "page.total"} == told
    with connect(pipeline.url, purpose="compare") as connection:
        assert len(rows(connection, "select hour_start from ops.window_reads")) == 72


def test_a_total_above_what_the_list_holds_is_recorded_and_the_overlap_alone_shows_the_end(pipeline: Pipeline) -> None:
    # Midnight: the list ends with the window.
    pipeline.simulator.clock.set(datetime(2025, 3, 6, 5, tzinfo=UTC))
    pipeline.simulator.faults.add(Fault(kind="total", value=10**6, times=None))

    assert load(pipeline).status == "success"
    assert stored(pipeline.url).chats.keys() == ACCOUNT.chats.keys()
    assert drift(pipeline) == [("page.total", "wrong total", "more than were told")]


def test_a_total_that_falls_is_recorded(pipeline: Pipeline) -> None:
    pipeline.simulator.faults.add(Fault(kind="total", value=10**6))

    assert_loaded(pipeline, load(pipeline))
    assert drift(pipeline) == [("page.total", "wrong total", "fewer than before")]


def test_a_list_in_another_order_is_read_to_its_end_and_recorded(pipeline: Pipeline) -> None:
    pipeline.simulator.faults.add(Fault(kind="unordered", times=None))

    assert_loaded(pipeline, load(pipeline))
    assert ("$.created_at", "other order", "not asc") in drift(pipeline)


@pytest.mark.parametrize("move", [dropped_record(index=3, after=1), inserted_record(index=3, after=1)])
def test_a_list_that_moves_between_two_pages_is_walked_again_and_recorded(pipeline: Pipeline, move: Fault) -> None:
    pipeline.simulator.faults.add(move)

    outcome = load(pipeline)

    assert outcome.status == "success"
    # The record that was taken out had been told with the first page.
    assert stored(pipeline.url).chats.keys() == ACCOUNT.chats.keys()
    assert ("page", "moved list", "does not continue the page before") in drift(pipeline)


def test_pages_with_fewer_rows_than_asked_for_are_all_read_and_recorded(pipeline: Pipeline) -> None:
    pipeline.simulator.faults.add(Fault(kind="page_cap", value=100, times=None))

    outcome = load(pipeline)

    assert_loaded(pipeline, outcome)
    assert drift(pipeline) == [("page", "short page", "fewer than the 200 asked for")]
    assert asked(pipeline)[:3] == [0, 99, 198]


def test_the_same_page_for_ever_is_noticed_with_its_second_telling_and_kept(pipeline: Pipeline) -> None:
    pipeline.simulator.faults.add(Fault(kind="same_page", times=None))

    outcome = load(pipeline)

    assert asked(pipeline) == [0, 199]
    assert isinstance(the_error(outcome), ContractError)
    assert str(the_error(outcome)) == (
        f"{WHERE} 199, limit 200): the same page was told at offset 199 as before it; look at the stored raw answer and"
        " at the API's status page, then run this window again."
    )
    assert len(evidence(pipeline)) == 1


def test_when_the_days_requests_are_used_up_the_next_day_goes_on(pipeline: Pipeline) -> None:
    pipeline.simulator.clock.set(datetime(2025, 3, 13, 3, tzinfo=UTC))
    # Sixty of a hundred for backfills: here three, of which one brings the token.
    short = replace(pipeline, limits=Limits(0, 5))

    cut = load(short)
    again = load(short)
    pipeline.simulator.clock.set(datetime(2025, 3, 13, 5, tzinfo=UTC))
    rest = load(short)

    assert (cut.status, again.status, rest.status) == ("partial", "partial", "success")
    assert str(the_error(cut)) == (
        f"{WHERE} 398, limit 200, attempt 1): today's share of requests for backfill work (3) is used up; nothing is"
        " lost, a later run continues from here."
    )
    assert asked(pipeline) == [0, 199, 398, 597]
    assert cut.requests == 3
    assert stored(pipeline.url).chats.keys() == ACCOUNT.chats.keys()


def test_a_limit_of_the_source_itself_is_a_pause_that_a_later_read_respects(pipeline: Pipeline) -> None:
    pipeline.simulator.faults.add(Fault(kind="status", status=429, headers={"Retry-After": "300"}, after=1, times=2))
    patient, slept = sleeping(pipeline)

    outcome = load(replace(patient, policy=RetryPolicy(attempts=2)))

    assert slept == [300]
    assert isinstance(the_error(outcome), RateLimitedError)
    assert str(the_error(outcome)).endswith(
        "the answer had status 429; the next run continues; if it happens often, lower the configured request rate."
    )
