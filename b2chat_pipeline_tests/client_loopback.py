"""A loopback server that answers from a script, and a client for it whose time is not the real one.

Every fault here is written byte for byte, so that the client is tested against what the wire can carry.
"""

import contextlib
import json
import socket
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from b2chat_pipeline.b2chat.client import Answer, B2ChatClient, Credentials, RequestClass, RetryPolicy
from b2chat_pipeline_tests.serving import served

CHATS = "/chats/export"
TOKEN = "/oauth/token"
USERNAME, PASSWORD, ACCESS_TOKEN = "invented-user", "invented-password", "invented-token"
WINDOW = "2025-03-03..2025-03-05"
PAGE = b'{"chats": [{"chat_id": "c1", "tags": []}], "exported": 1, "total": 1}'
NOON = datetime(2025, 3, 5, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Scripted:
    """One answer. `length` lies about the body's length, an empty header is left out.

    `drip` is the pause before each byte, `silence` the one before the whole, in seconds.
    """

    status: int = 200
    body: bytes = PAGE
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    drip: float = 0.0
    drip_from_the_start: bool = False
    silence: float = 0.0

    def wire(self) -> tuple[bytes, bytes]:
        headers = {"Content-Length": str(len(self.body) if self.length is None else self.length), **self.headers}
        lines = [f"HTTP/1.1 {self.status} Scripted", *(f"{name}: {value}" for name, value in headers.items() if value)]
        return "\r\n".join(lines).encode() + b"\r\n\r\n", self.body


def token_answer(token: str = ACCESS_TOKEN, **fields: object) -> Scripted:
    body = {"access_token": token, "token_type": "bearer", "expires_in": 51873, "scope": "all"} | fields
    return Scripted(body=json.dumps(body).encode())


@dataclass(frozen=True)
class Received:
    method: str
    endpoint: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class LoopbackApi(ThreadingHTTPServer):
    """Answers each endpoint with its next scripted answer, and with a good one when the script is at its end."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: defaultdict[str, deque[Scripted]] = defaultdict(deque)
        self.received: list[Received] = []
        self.connections = 0
        self.stopping = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def will_answer(self, *answers: Scripted, endpoint: str = CHATS) -> None:
        self.script[endpoint].extend(answers)

    def count(self, endpoint: str) -> int:
        return sum(request.endpoint == endpoint for request in self.received)

    def get_request(self) -> tuple[socket.socket, Any]:
        self.connections += 1
        return super().get_request()

    def handle_error(self, *_: object) -> None:
        """Stay quiet: a client that hangs up is part of many tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LoopbackApi

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.received.append(
            Received(self.command, url.path, dict(parse_qsl(url.query)), dict(self.headers.items()), body)
        )
        waiting = self.server.script[url.path]
        self._write(waiting.popleft() if waiting else token_answer() if url.path == TOKEN else Scripted())

    do_POST = do_GET  # noqa: N815 - named by the base class

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by the base class
        pass

    def _write(self, answer: Scripted) -> None:
        self.server.stopping.wait(answer.silence)
        head, body = answer.wire()
        dripped = head + body if answer.drip_from_the_start else body
        self.wfile.write(b"" if answer.drip_from_the_start else head)
        for piece in [dripped[at : at + 1] for at in range(len(dripped))] if answer.drip else [dripped]:
            if self.server.stopping.wait(answer.drip):
                break
            self.wfile.write(piece)
        # A body shorter than announced only shows when the connection ends.
        self.close_connection = answer.length is not None or "Connection" in answer.headers


@contextlib.contextmanager
def running_api() -> Iterator[LoopbackApi]:
    with served(LoopbackApi()) as api:
        try:
            yield api
        finally:
            api.stopping.set()


class FakeTime:
    """A clock that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = NOON
        self.slept: list[float] = []

    def clock(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)


class UnlimitedBudget:
    """Grants every request after `wait` seconds, and remembers what it was told."""

    def __init__(self, wait: float = 0.0) -> None:
        self.wait = wait
        self.taken: list[RequestClass] = []
        self.blocked: list[datetime] = []

    def take(self, request_class: RequestClass) -> float:
        self.taken.append(request_class)
        return self.wait

    def block_until(self, moment: datetime) -> None:
        self.blocked.append(moment)


@dataclass
class Bench:
    """One client against one scripted server."""

    api: LoopbackApi
    time: FakeTime = field(default_factory=FakeTime)
    budget: UnlimitedBudget = field(default_factory=UnlimitedBudget)
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    base_url: str = ""

    def client(self) -> B2ChatClient:
        return B2ChatClient(
            self.base_url or self.api.url,
            Credentials(USERNAME, PASSWORD),
            budget=self.budget,
            request_class="hourly",
            policy=self.policy,
            clock=self.time.clock,
            sleep=self.time.sleep,
        )

    def get(self, **params: str | int) -> Answer:
        with self.client() as client:
            return client.get(CHATS, {"offset": 0, "limit": 200} | params, window=WINDOW)


@contextlib.contextmanager
def running_bench() -> Iterator[Bench]:
    with running_api() as api:
        yield Bench(api)
