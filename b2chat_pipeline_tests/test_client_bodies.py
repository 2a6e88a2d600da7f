"""Bodies that are cut, broken, late or of another kind: never half a page, never "no records"."""

import gzip
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2chat_pipeline.b2chat.body import require_object
from b2chat_pipeline.b2chat.client import RetryPolicy
from b2chat_pipeline.b2chat.deadline import Deadline
from b2chat_pipeline.b2chat.errors import ContractError, ForbiddenError, RequestTimeout, TransientError
from b2chat_pipeline_tests.client_loopback import CHATS, PAGE, Bench, Scripted, running_bench

ZIPPED = {"Content-Encoding": "gzip"}
# Numbers of every form, escapes and characters of several bytes: a cut may fall into each.
VARIED = '{"a": [-1.5e-3, true, null], "b": {"c": "\\u00f1 ñ 👍"}, "d": 12}'.encode()


@pytest.fixture
def bench() -> Iterator[Bench]:
    with running_bench() as bench:
        yield bench


@pytest.mark.parametrize(
    "cut",
    [
        pytest.param(Scripted(body=PAGE[:30], length=len(PAGE)), id="fewer bytes than announced"),
        pytest.param(Scripted(length=len(PAGE) - 10), id="more bytes than announced"),
        pytest.param(Scripted(body=PAGE[:30]), id="JSON ends in the middle"),
        pytest.param(Scripted(body=b"", length=len(PAGE)), id="nothing of what was announced"),
        pytest.param(Scripted(body=gzip.compress(PAGE)[:-12], headers=ZIPPED), id="gzip cut"),
        pytest.param(Scripted(body=gzip.compress(PAGE)[:-8], headers=ZIPPED), id="gzip without its checksum"),
        pytest.param(Scripted(body=gzip.compress(PAGE)[:12], headers=ZIPPED), id="gzip cut before its first byte"),
        pytest.param(Scripted(body=b"\x1f\x8b" + bytes(40), headers=ZIPPED), id="gzip broken"),
        pytest.param(Scripted(body=PAGE, headers=ZIPPED), id="gzip that is none"),
    ],
)
def test_a_body_that_did_not_arrive_whole_is_read_again(bench: Bench, cut: Scripted) -> None:
    bench.api.will_answer(cut)

    answer = bench.get()

    assert answer.body == PAGE
    assert answer.attempts == 2


def test_a_refusal_counts_as_one_even_if_its_body_is_cut(bench: Bench) -> None:
    bench.api.will_answer(Scripted(status=403, body=b"no", length=100, headers=ZIPPED))

    with pytest.raises(ForbiddenError):
        bench.get()


def test_a_body_that_never_arrives_whole_is_a_transient_error(bench: Bench) -> None:
    bench.api.will_answer(*[Scripted(body=PAGE[:30], length=len(PAGE))] * 10)

    with pytest.raises(TransientError, match="the connection broke before the answer was complete"):
        bench.get()

    assert bench.api.count(CHATS) == 6


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html><body>maintenance</body></html>", "an HTML or XML page"),
        (b"", "empty"),
        (b" \n", "empty"),
        (b"[]", "another JSON value"),
        (b"null", "no JSON"),
        (b'{"chats": [],}', "malformed"),
        (b'{"chats": []} and more}', "malformed"),
        (b'{"chats": %s}' % (b"[" * 100_000), "malformed"),
        (b'{"a": tru}', "malformed"),
    ],
)
def test_a_whole_body_of_another_kind_is_a_contract_error_that_keeps_it(bench: Bench, body: bytes, kind: str) -> None:
    bench.api.will_answer(Scripted(body=body))

    with pytest.raises(ContractError, match=kind) as caught:
        bench.get()

    assert caught.value.body == body
    assert bench.api.count(CHATS) == 1


def test_a_zipped_html_page_is_kept_unzipped(bench: Bench) -> None:
    bench.api.will_answer(Scripted(body=gzip.compress(b"<html>"), headers=ZIPPED))

    with pytest.raises(ContractError) as caught:
        bench.get()

    assert caught.value.body == b"<html>"


@given(st.integers(min_value=1, max_value=len(VARIED) - 1))
def test_wherever_an_object_is_cut_the_cut_is_noticed(length: int) -> None:
    with pytest.raises(TransientError):
        require_object(VARIED[:length])


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Scripted(drip=0.02), id="body"),
        pytest.param(Scripted(drip=0.02, drip_from_the_start=True), id="headers too"),
        pytest.param(Scripted(drip=0.02, headers={"Connection": "close"}), id="on a closing connection"),
    ],
)
def test_an_answer_that_drips_ends_at_the_deadline(bench: Bench, answer: Scripted) -> None:
    bench.policy = RetryPolicy(timeout_attempts=1, attempt_deadline=0.3)
    bench.api.will_answer(answer)
    started = time.monotonic()

    with pytest.raises(RequestTimeout, match="not complete after"):
        bench.get()

    assert time.monotonic() - started < 2


def test_an_answer_that_only_ends_with_its_connection_cannot_be_taken_for_whole_at_the_deadline(bench: Bench) -> None:
    bench.policy = RetryPolicy(timeout_attempts=1, attempt_deadline=0.3)
    no_length = {"Connection": "close", "Content-Length": ""}
    bench.api.will_answer(Scripted(body=b"{}" + b" " * 1000, drip=0.001, headers=no_length))

    with pytest.raises(RequestTimeout):
        bench.get()


def test_the_deadline_of_the_whole_call_holds_for_one_attempt_too(bench: Bench) -> None:
    bench.policy = RetryPolicy(total_deadline=0.4)
    bench.api.will_answer(Scripted(drip=0.02))

    with pytest.raises(RequestTimeout):
        bench.get()

    assert bench.api.count(CHATS) == 1


def test_an_answer_that_falls_silent_ends_at_the_read_time_out(bench: Bench) -> None:
    bench.policy = RetryPolicy(read_timeout=0.2)
    bench.api.will_answer(Scripted(silence=5.0), Scripted(drip=5.0))
    started = time.monotonic()

    with pytest.raises(RequestTimeout, match="fell silent"):
        bench.get()

    assert bench.api.count(CHATS) == 2
    assert time.monotonic() - started < 2


def test_a_connection_that_comes_about_after_the_deadline_is_cut() -> None:
    @dataclass
    class Stream:
        end: socket.socket

        def get_extra_info(self, _: str) -> socket.socket:
            return self.end

    ours, theirs = socket.socketpair()
    deadline = Deadline()

    with ours, theirs, deadline.limit(0.01):
        time.sleep(0.05)
        theirs.settimeout(1)
        deadline.trace("connection.connect_tcp.complete", {"return_value": Stream(ours)})

        assert deadline.passed
        assert theirs.recv(1) == b""


def test_the_page_after_a_deadline_is_read_as_if_nothing_had_been(bench: Bench) -> None:
    bench.policy = RetryPolicy(attempt_deadline=0.3)
    bench.api.will_answer(Scripted(drip=0.02))

    answer = bench.get()

    assert answer.body == PAGE
    assert answer.attempts == 2
