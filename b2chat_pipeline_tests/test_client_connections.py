"""Connections that do not come about, and addresses that no secret may be sent to."""

import socket
from collections.abc import Iterator

import pytest

from b2chat_pipeline.b2chat.client import RetryPolicy
from b2chat_pipeline.b2chat.errors import B2ChatError, PermanentError, TransientError
from b2chat_pipeline_tests.client_loopback import Bench, running_bench


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with running_bench() as bench:
        bench.policy = RetryPolicy(attempts=3)
        yield bench


def assert_retried_and_named(bench: Bench, sentence: str) -> None:
    with pytest.raises(TransientError, match=sentence):
        bench.get()
    assert len(bench.time.slept) == 2
    assert bench.budget.blocked == []


def test_a_refused_connection_is_retried_and_named(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    bench.base_url = f"http://127.0.0.1:{port}"

    assert_retried_and_named(bench, r"POST /oauth/token .*the connection was refused; check the API URL")


def test_a_host_name_that_does_not_exist_is_retried_and_named(bench: Bench) -> None:
    bench.base_url = "https://b2chat.invalid"

    assert_retried_and_named(bench, "the host name was not resolved; check the API URL and this machine's DNS")


def test_a_tls_error_is_retried_and_named(bench: Bench) -> None:
    bench.base_url = bench.api.url.replace("http://", "https://")

    assert_retried_and_named(bench, "TLS could not be agreed on; check the API URL, the trusted certificates")


def test_a_server_that_never_answers_is_retried_and_named(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        bench.base_url = f"http://127.0.0.1:{server.getsockname()[1]}"
        bench.policy = RetryPolicy(attempts=3, read_timeout=0.05)

        assert_retried_and_named(bench, "the answer fell silent")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://api.example.test", "the credentials would travel in clear; use its https:// address"),
        ("http://127.0.0.1.example.test", "in clear"),
        ("http://10.0.0.7:8080", "in clear"),
        ("ftp://api.example.test", "not of the form https://host"),
        ("api.example.test", "not of the form https://host"),
        ("", "not of the form https://host"),
        ("https://", "not of the form https://host"),
        ("https://someone:secret@api.example.test", "not of the form https://host"),
        ("https://api.example.test/?key=secret", "not of the form https://host"),
        ("https://api..example.test", "no URL"),
        ("https://api.example.test:port", "no URL"),
    ],
)
def test_an_unsafe_or_wrong_address_is_refused_before_anything_is_sent(bench: Bench, url: str, sentence: str) -> None:
    bench.base_url = url or " "

    with pytest.raises(PermanentError, match=sentence) as caught:
        bench.client()

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.8.9.10"])
def test_plain_http_is_allowed_to_this_machine(bench: Bench, host: str) -> None:
    bench.base_url = f"http://{host}:1"

    with bench.client():
        pass


def test_plain_http_never_goes_through_a_proxy(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    assert bench.get().attempts == 1


def test_an_error_outside_any_request_is_a_sentence_too() -> None:
    error = B2ChatError("today's 10,000 requests are used up", next_step="a later run continues")

    assert str(error) == "B2Chat request: today's 10,000 requests are used up; a later run continues."
