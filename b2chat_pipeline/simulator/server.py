"""The simulator as a running server on the loopback interface.

Belongs here: lifecycle and HTTP reading. Not here: answers (`api`), sending (`wire`).
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from b2chat_pipeline.simulator.api import Api, Request
from b2chat_pipeline.simulator.claude.api import PREFIX as CLAUDE
from b2chat_pipeline.simulator.claude.api import ClaudeApi
from b2chat_pipeline.simulator.clock import Clock
from b2chat_pipeline.simulator.control import PREFIX, control
from b2chat_pipeline.simulator.faults import FaultBook, first_of
from b2chat_pipeline.simulator.gate import RateLimit, TokenOffice
from b2chat_pipeline.simulator.query import BadParameter, merged_parameters
from b2chat_pipeline.simulator.recording import RecordedRequest
from b2chat_pipeline.simulator.wire import deliver
from b2chat_pipeline.simulator.world import World

_LOOPBACK = "127.0.0.1"
# A demo may be left running for weeks.
_REMEMBERED_REQUESTS = 50_000


class Simulator:
    """A local B2Chat, running inside a `with` block. Port 0 takes any free one; `url` says which.

    `requests_per_second` (real time) and `requests_per_day` (account-local, simulated) make it answer 429 above them.
    Below `/v1/` it answers as Claude's API, to whoever has the `api_key`.
    """

    def __init__(
        self,
        world: World,
        *,
        clock: Clock,
        port: int = 0,
        username: str = "demo",
        password: str = "demo",  # noqa: S107 - an invented account's
        requests_per_second: float | None = None,
        requests_per_day: int | None = None,
        api_key: str = "demo",
    ) -> None:
        self.world = world
        self.clock = clock
        self.faults = FaultBook()
        self.requests: list[RecordedRequest] = []
        self.stopping = threading.Event()
        tokens = TokenOffice(username=username, password=password, seed=world.seed)
        limit = RateLimit(per_second=requests_per_second, per_day=requests_per_day)
        self._api = Api(world, clock=clock, tokens=tokens, limit=limit)
        self._claude = ClaudeApi(clock=clock, api_key=api_key)
        self._answering = threading.Lock()
        self._port = port
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The base URL, without a trailing slash. RuntimeError while it is not running."""
        if self._server is None:
            message = "The simulator is not running; use it in a with block."
            raise RuntimeError(message)
        return f"http://{_LOOPBACK}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._server = _Server(self, self._port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="b2chat-simulator")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is None or self._thread is None:
            return
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()
        self._server = self._thread = None

    def respond(self, connection: socket.socket, request: Request) -> bool:
        """Answer one request on its connection; returns whether the connection can serve another."""
        if request.path.startswith(PREFIX):
            return deliver(connection, control(self, request), (), stopping=self.stopping)
        due = self.faults.take(request.path, request.method)
        # One at a time: the work is all processor time, and token, limits and signatures are shared.
        with self._answering:
            asked = self._claude if request.path.startswith(CLAUDE) else self._api
            answer = asked.answer(request, due)
            status = 0 if first_of(due, "reset") else answer.status
            self._record(request, status)
        return deliver(connection, answer, due, stopping=self.stopping)

    def _record(self, request: Request, status: int) -> None:
        try:
            # A token request's body is a form, and none of the log's business.
            params = merged_parameters(request.query, b"" if request.method == "POST" else request.body)
        except BadParameter:
            params = dict(request.query)
        recorded = RecordedRequest(
            method=request.method, path=request.path, params=params, time=self.clock.now(), status=status
        )
        self.requests.append(recorded)
        del self.requests[:-_REMEMBERED_REQUESTS]


def serve(
    world: World,
    *,
    clock: Clock,
    port: int = 0,
    username: str = "demo",
    password: str = "demo",  # noqa: S107 - an invented account's
    on_ready: Callable[[Simulator], None] = lambda _: None,
) -> None:
    """Run a simulator until the process is interrupted (KeyboardInterrupt); `on_ready` is told once it listens."""
    with (
        contextlib.suppress(KeyboardInterrupt),
        Simulator(world, clock=clock, port=port, username=username, password=password) as simulator,
    ):
        on_ready(simulator)
        while True:
            time.sleep(3600)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "_Server"

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the base class's names

    def _serve(self) -> None:
        target = urlsplit(self.path)
        request = Request(
            method=self.command,
            path=target.path,
            query=dict(parse_qsl(target.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(self.headers.get("Content-Length") or 0)),
        )
        self.close_connection = not self.server.simulator.respond(self.connection, request) or self.close_connection

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - the base class's signature
        """Stay silent: requests are recorded, not printed."""


class _Server(ThreadingHTTPServer):
    # Threads are joined on close; connections are hung up first, so that none waits for a next request.
    daemon_threads = False
    block_on_close = True
    request_queue_size = 64

    def __init__(self, simulator: Simulator, port: int) -> None:
        self.simulator = simulator
        self._open: set[socket.socket] = set()
        super().__init__((_LOOPBACK, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the base class's signature
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - the base class's signature
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End every open connection."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the base class's signature
        """Clients may leave whenever they like; everything else is shown."""
        import sys

        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)
