"""Notices to channels outside: every one arrives, in order, however long a channel is dead, and nothing else leaves."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import Connection

from b2chat_pipeline.analysis.ledger import CapReachedError
from b2chat_pipeline.analysis.notices import notify_cap
from b2chat_pipeline.operations.channels import Delivery, channel_name, deliver
from b2chat_pipeline.operations.troubles import watch
from b2chat_pipeline.policy.troubles import CHANNEL_PAUSE, WATCHED, Failure, Trouble, cause_of
from b2chat_pipeline.warehouse.accounts import SYSTEM_USER, ensure_users
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.warehouse.incidents import Audience, begin, end, open_incidents
from b2chat_pipeline.warehouse.outbox import waiting
from b2chat_pipeline_tests.serving import served

NOW = datetime(2025, 3, 12, 18, tzinfo=UTC)
SECRET = "a-secret-token"


class Hook(ThreadingHTTPServer):
    """A web hook that remembers what it was told, and refuses while `status` says so."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.told: list[dict[str, Any]] = []
        self.status = 200

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.server_port}/{SECRET}"


class _Answer(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.told.append(body)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Stay silent."""


@pytest.fixture
def hook() -> Iterator[Hook]:
    with served(Hook()) as server:
        yield server


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    with connect(database_url, purpose="test") as connection:
        ensure_users(connection, (), now=NOW)
        yield connection


def tell(connection: Connection, *urls: str, code: str = "TransientError", now: datetime = NOW) -> None:
    """Have a trouble begin that these channels are told of."""
    failure = Failure("chats", code, "It did not answer.", now, "run")
    begin(connection, Trouble(cause_of(failure), [failure]), audience(*urls), now=now)


def audience(*urls: str) -> Audience:
    return Audience([SYSTEM_USER], [channel_name(url) for url in urls], ZoneInfo("America/Bogota"))


def go(connection: Connection, *urls: str, at: datetime = NOW) -> Delivery:
    return deliver(connection, urls, now=at, seconds=10)


def test_a_trouble_and_its_end_arrive_once_and_in_order(connection: Connection, hook: Hook) -> None:
    tell(connection, hook.url)
    (incident,) = open_incidents(connection)
    end(connection, incident, audience(hook.url), lapsed=False, now=NOW + timedelta(minutes=5))
    first, second = (go(connection, hook.url, at=NOW + timedelta(minutes=5)) for _ in range(2))

    assert (first, second) == (Delivery(2, 0), Delivery(0, 0))
    assert [(it["type"], it["title"]) for it in hook.told] == [
        ("failure", "B2Chat cannot be read"),
        ("success", "Over: B2Chat cannot be read"),
    ]
    assert "It did not answer." in hook.told[0]["message"]


def test_a_dead_channel_gets_every_notice_later_and_does_not_hold_up_another(
    connection: Connection, hook: Hook
) -> None:
    with served(Hook()) as dead:
        dead.status = 500
        tell(connection, dead.url, hook.url)
        tell(connection, dead.url, hook.url, code="LoadError")
        at_first = go(connection, dead.url, hook.url)
        too_early = go(connection, dead.url, hook.url)
        again = go(connection, dead.url, hook.url, at=NOW + CHANNEL_PAUSE)
        (left,) = waiting(connection)
        dead.status = 200
        mended = go(connection, dead.url, hook.url, at=NOW + 3 * CHANNEL_PAUSE)

        assert (at_first, too_early, again, mended) == (
            *(Delivery(2, 1), Delivery(0, 0)),
            *(Delivery(0, 1), Delivery(2, 0)),
        )
        assert (left.notices, left.next_at) == (2, NOW + 3 * CHANNEL_PAUSE)
        titles = [it["title"] for it in hook.told]
        assert titles == ["B2Chat cannot be read", "Some chats could not be loaded"]
        assert [it["title"] for it in dead.told] == [titles[0], titles[0], *titles]


def test_a_process_that_dies_while_it_sends_has_the_notice_sent_again(
    connection: Connection, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(connection, hook.url)
    with monkeypatch.context() as patch:
        patch.setattr("b2chat_pipeline.operations.channels.sent", _die)
        with pytest.raises(KeyboardInterrupt):
            go(connection, hook.url)
    go(connection, hook.url)

    assert len(hook.told) == 2
    assert waiting(connection) == []


def _die(*_arguments: object, **_options: object) -> None:
    raise KeyboardInterrupt


def test_two_processes_do_not_send_one_notice_both(connection: Connection, database_url: str, hook: Hook) -> None:
    tell(connection, hook.url)
    with _in_hand(database_url):
        meanwhile = go(connection, hook.url)
    afterwards = go(connection, hook.url)

    assert (meanwhile, afterwards) == (Delivery(0, 0), Delivery(1, 0))


@contextmanager
def _in_hand(database_url: str) -> Iterator[None]:
    """While another process is sending."""
    with psycopg.connect(database_url) as other:
        other.execute("select from ops.outbox for update")
        yield
        other.rollback()


def test_two_watchers_that_see_one_trouble_tell_of_it_once(connection: Connection, hook: Hook) -> None:
    tell(connection, hook.url)
    tell(connection, hook.url)
    go(connection, hook.url)

    assert len(hook.told) == 1
    assert connection.execute("select count(*) from notifications").fetchall() == [(1,)]


def test_what_waits_for_a_channel_that_is_not_set_any_more_or_too_long_is_given_up(
    connection: Connection, hook: Hook
) -> None:
    tell(connection, "json://127.0.0.1:1/", hook.url)
    hook.status = 500
    given_up = go(connection, hook.url, at=NOW + WATCHED + timedelta(seconds=1))

    assert given_up == Delivery(0, 0)
    assert (waiting(connection), hook.told) == ([], [])


def test_an_address_that_is_none_is_said_and_nobody_learns_it(connection: Connection) -> None:
    url = f"nosuchservice://{SECRET}@127.0.0.1"
    tell(connection, url)
    go(connection, url)

    (left,) = waiting(connection)
    assert left.trouble == "apprise knows no such address: correct it in B2CHAT_NOTIFY_URLS"
    assert left.channel.startswith("nosuchservice-")


def test_no_part_of_an_address_is_logged_or_stored(
    connection: Connection, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    hook.status = 500
    caplog.set_level("DEBUG", logger="apprise")
    tell(connection, hook.url)
    go(connection, hook.url)

    ((stored,),) = connection.execute("select string_agg(outbox::text, '') from ops.outbox outbox").fetchall()
    assert len(hook.told) == 1
    assert SECRET not in caplog.text + stored


def test_what_no_incident_tells_reaches_the_channels_too_each_once(connection: Connection, hook: Hook) -> None:
    reached = CapReachedError("Scoring stopped: 5 of 5 USD of today are spent.", cap="per day", day=NOW.date())
    environ = {"B2CHAT_NOTIFY_URLS": hook.url, "B2CHAT_TIMEZONE": "America/Bogota"}
    notify_cap(connection, SYSTEM_USER, reached, NOW)
    for minutes in range(2):
        at = NOW + timedelta(minutes=minutes)
        watch(connection, environ, lambda _since, _told: [], [], {}, now=at)
        go(connection, hook.url, at=at)

    assert [(it["type"], it["title"]) for it in hook.told] == [("warning", "Scoring stopped at its cap")]
