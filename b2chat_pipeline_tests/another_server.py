"""A second, minimal B2Chat, written from the description of the API alone and unlike the simulator wherever it may be.

It tells the records it is given, and knows nothing of how they came about.
"""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from b2chat_pipeline_tests.serving import served

Record = dict[str, Any]
USES_OF_A_TOKEN = 3


@dataclass
class Account:
    """What the server tells. `counts_last_day`: whether the `to` day of a range belongs to it."""

    chats: list[Record]
    contacts: list[Record]
    counts_last_day: bool
    largest_page: int = 2
    tokens: dict[str, int] = field(default_factory=dict)
    refused: int = 0


class OtherServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, account: Account) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.account = account

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def other_server(account: Account) -> Iterator[OtherServer]:
    with served(OtherServer(account)) as server:
        yield server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: OtherServer

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        expected = "Basic " + base64.b64encode(b"demo:demo").decode()
        if urlsplit(self.path).path != "/oauth/token" or self.headers["Authorization"] != expected:
            self._answer(401, {"error_description": "Full authentication is required", "error": "unauthorized"})
            return
        token = f"ey.{len(self.server.account.tokens)}.sig"
        self.server.account.tokens[token] = USES_OF_A_TOKEN
        self._answer(200, {"scope": "all", "expires_in": 1, "token_type": "bearer", "access_token": token})

    def do_GET(self) -> None:
        account, target = self.server.account, urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(target.query).items()}
        token = (self.headers["Authorization"] or "").removeprefix("Bearer ")
        if not account.tokens.get(token):
            account.refused += 1
            self._answer(401, {"status": 401, "message": "Token expired", "path": target.path})
            return
        account.tokens[token] -= 1
        if target.path == "/chats/export":
            days = (asked["date_range_from"], asked["date_range_to"])
            self._list("chats", account.chats, "created_at", days, asked)
        elif target.path == "/contacts/export":
            self._list("contacts", account.contacts, "updated", (asked["updated_from"], asked["updated_to"]), asked)
        else:
            self._answer(404, {"error": "Not Found"})

    def _list(self, key: str, records: list[Record], clock: str, days: tuple[str, str], asked: dict[str, str]) -> None:
        first, last = days
        if first >= last:
            self._answer(422, {"errors": [{"field": "from", "message": "must be less than to"}]})
            return
        counts_last = self.server.account.counts_last_day
        found = [it for it in records if first <= it[clock][:10] and (it[clock][:10], "") < (last, "x" * counts_last)]
        found.sort(key=lambda it: str(it[clock]), reverse=asked["order_dir"].lower() == "desc")
        offset, limit = int(asked["offset"]), min(int(asked["limit"]), self.server.account.largest_page)
        page = found[offset : offset + limit]
        told = [dict(sorted(record.items(), reverse=True)) for record in page]
        self._answer(200, {"total": len(found), "message": "ok", key: told, "exported": len(page), "trace_id": "t-1"})

    def _answer(self, status: int, content: object) -> None:
        # Indented, with escapes for all that is not ASCII, in chunks of a few bytes.
        body = json.dumps(content, indent=2).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json;charset=UTF-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for start in range(0, len(body), 700):
            chunk = body[start : start + 700]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by the base class
        pass
