"""No secret and no piece of a body in any text the client leaves behind."""

import base64
import logging
import pickle
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from b2chat_pipeline.b2chat.client import Answer, Credentials
from b2chat_pipeline.b2chat.errors import B2ChatError, BudgetExhausted, ContractError, RateLimitedError
from b2chat_pipeline_tests.client_loopback import (
    ACCESS_TOKEN,
    CHATS,
    PASSWORD,
    TOKEN,
    USERNAME,
    WINDOW,
    Bench,
    Scripted,
    running_bench,
    token_answer,
)

SPOKEN = "spoken-by-a-customer"
SECRETS = (
    USERNAME,
    PASSWORD,
    ACCESS_TOKEN,
    base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode(),
    SPOKEN,
)
FAULTS = {
    "refused": (CHATS, Scripted(status=401, body=SPOKEN.encode())),
    "forbidden": (CHATS, Scripted(status=403, body=SPOKEN.encode())),
    "failing": (CHATS, Scripted(status=500, body=SPOKEN.encode())),
    "told to stay away": (CHATS, Scripted(status=429, headers={"Retry-After": "86400"})),
    "redirected": (CHATS, Scripted(status=302, headers={"Location": "https://example.test/"})),
    "no JSON": (CHATS, Scripted(body=SPOKEN.encode())),
    "malformed": (CHATS, Scripted(body=b'{"%s": x}' % SPOKEN.encode())),
    "cut": (CHATS, Scripted(body=b'{"a": "%s' % SPOKEN.encode())),
    "credentials refused": (TOKEN, Scripted(status=401, body=PASSWORD.encode())),
    "token cut": (TOKEN, Scripted(body=b'{"access_token": "%s' % ACCESS_TOKEN.encode())),
    "token unfit for a header": (TOKEN, token_answer(f"{ACCESS_TOKEN}\r\nX: y")),
    "token of another alphabet": (TOKEN, token_answer(f"{ACCESS_TOKEN}ñ")),
}


@pytest.fixture
def bench() -> Iterator[Bench]:
    with running_bench() as bench:
        yield bench


def assert_no_secret_in(text: str) -> None:
    assert [secret for secret in SECRETS if secret in text] == []


@pytest.mark.parametrize("fault", FAULTS)
def test_no_secret_in_an_error_its_causes_or_any_log_line(
    bench: Bench, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    endpoint, answer = FAULTS[fault]
    bench.api.will_answer(*[answer] * 10, endpoint=endpoint)

    with caplog.at_level(logging.DEBUG), pytest.raises(B2ChatError) as caught:
        bench.get()

    error = caught.value
    assert caplog.records
    assert_no_secret_in(str(error) + repr(error) + "".join(traceback.format_exception(error)) + caplog.text)


def test_no_secret_in_the_log_of_a_good_read(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.api.will_answer(Scripted(body=b'{"chats": ["%s"]}' % SPOKEN.encode()))

    with caplog.at_level(logging.DEBUG):
        answer = bench.get()

    assert_no_secret_in(caplog.text + repr(answer))


def test_a_search_term_is_in_no_error_and_none_of_our_log_lines(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.api.will_answer(*[Scripted(status=500)] * 10)

    with caplog.at_level(logging.DEBUG, logger="b2chat_pipeline"), pytest.raises(B2ChatError) as caught:
        bench.get(contact_lookup="15550102030")

    ours = [record.getMessage() for record in caplog.records if record.name.startswith("b2chat_pipeline")]
    assert ours
    assert "15550102030" not in "".join(ours) + str(caught.value)


def test_no_secret_in_a_representation(bench: Bench) -> None:
    with bench.client() as client:
        client.get(CHATS, {}, window=WINDOW)

        assert_no_secret_in(repr(client) + str(client) + repr(vars(client)))
    assert repr(Credentials(USERNAME, PASSWORD)) == "Credentials()"
    assert_no_secret_in(repr(Answer(SPOKEN.encode(), datetime(2025, 3, 5, tzinfo=UTC), 0.1, {}, 1)))


@pytest.mark.parametrize(
    "error",
    [
        ContractError("p", body=b"raw", method="GET", endpoint=CHATS, window=WINDOW, attempt="offset 0"),
        RateLimitedError("p", retry_at=datetime(2025, 3, 5, tzinfo=UTC)),
        BudgetExhausted("p", until=datetime(2025, 3, 5, tzinfo=UTC), next_step="wait"),
    ],
)
def test_an_error_survives_the_way_to_another_process(error: B2ChatError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - made in the line itself

    assert type(copy) is type(error)
    assert vars(copy) == vars(error)
    assert str(copy) == str(error)
