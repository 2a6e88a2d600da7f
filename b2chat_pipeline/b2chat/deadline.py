"""A limit on how long one HTTP exchange may last in all.

A read time-out only limits the silence between two reads: an answer, or its headers, dripping one byte a second never
meets it. When time is up the socket is shut down, which ends whatever read or write is waiting on it. Not here: HTTP.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any


class Deadline:
    """The time limit of one exchange at a time, over a connection that is reused for the next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._timer: threading.Timer | None = None
        self.passed = False

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Take note of each new connection: this is httpx's `trace` extension."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            with self._lock:
                self._socket = info["return_value"].get_extra_info("socket")
                if self.passed:
                    self._shut_down()

    @contextlib.contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        """Cut the connection if the body of this block takes longer than `seconds`; `passed` then says so."""
        timer = threading.Timer(seconds, lambda: self._expire(timer))
        timer.daemon = True
        with self._lock:
            self.passed, self._timer = False, timer
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            with self._lock:
                self._timer = None

    def _expire(self, timer: threading.Timer) -> None:
        with self._lock:
            # A timer that fires while its exchange ends must not cut the next one.
            if timer is self._timer:
                self.passed = True
                self._shut_down()

    def _shut_down(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # Not SSLSocket.shutdown, which also takes the TLS layer away from under a reading thread.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
