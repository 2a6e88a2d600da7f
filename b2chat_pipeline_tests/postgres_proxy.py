"""Stands between a load and PostgreSQL on the loopback interface: cuts a connection at a COMMIT, or all and new ones.

Not here: what must be true afterwards.
"""

import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

from psycopg.conninfo import conninfo_to_dict

# What psycopg sends for the end of a transaction, alone, after everything before has been answered.
_COMMIT = b"COMMIT\x00"
_PURPOSE = re.compile(rb"application_name\x00b2chat (\w+)\x00")


@dataclass(frozen=True)
class Cut:
    """Where to cut: at the nth COMMIT of the connection for `purpose`, before the server has it or before it is
    answered."""

    purpose: str
    number: int
    when: Literal["before", "after"]


@dataclass
class Proxy:
    """A way to a server that counts COMMITs by the purpose of their connections; `url` leads to the database by it."""

    url: str
    target: str
    cut: Cut | None
    commits: Counter[str] = field(default_factory=Counter)
    _links: "list[_Link]" = field(default_factory=list)
    _is_stopped: bool = False

    def stop(self) -> None:
        """Look like a server that has been stopped: cut every connection, and every new one."""
        self._is_stopped = True
        while self._links:
            self._links.pop().hang_up()

    def start(self) -> None:
        """Take connections again."""
        self._is_stopped = False

    def serve(self, listener: socket.socket) -> None:
        """Take connections until the listener is closed."""
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                if self._is_stopped:
                    client.close()
                    continue
                server = socket.socket(socket.AF_UNIX)
                server.connect(self.target)
                self._links.append(_Link(self, client, server))
                self._links[-1].start()


class _Link:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._purpose = ""
        self._silent = False

    def start(self) -> None:
        for pump in (self._forward, self._answer):
            threading.Thread(target=pump, daemon=True).start()

    def _forward(self) -> None:
        with suppress(OSError):
            while data := self._client.recv(65536):
                if not self._purpose and (found := _PURPOSE.search(data)):
                    self._purpose = found[1].decode()
                if data.endswith(_COMMIT) and self._is_cut():
                    if self._proxy.cut and self._proxy.cut.when == "before":
                        break
                    self._silent = True
                self._server.sendall(data)
        self.hang_up()

    def _answer(self) -> None:
        with suppress(OSError):
            while (data := self._server.recv(65536)) and not self._silent:
                self._client.sendall(data)
        self.hang_up()

    def _is_cut(self) -> bool:
        commits = self._proxy.commits
        commits[self._purpose] += 1
        cut = self._proxy.cut
        return cut is not None and (cut.purpose, cut.number) == (self._purpose, commits[self._purpose])

    def hang_up(self) -> None:
        """Close both sides."""
        for side in (self._client, self._server):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()


@contextmanager
def proxied(url: str, cut: Cut | None = None) -> Iterator[Proxy]:
    """A way to the database at `url`, whose server listens on a Unix socket."""
    parts = conninfo_to_dict(url)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        options = "sslmode=disable&gssencmode=disable"
        proxy = Proxy(
            f"postgresql://{parts['user']}@127.0.0.1:{port}/{parts['dbname']}?{options}",
            f"{parts['host']}/.s.PGSQL.5432",
            cut,
        )
        thread = threading.Thread(target=proxy.serve, args=(listener,))
        thread.start()
        yield proxy
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
