"""A loopback service that answers from a script, chats to be scored, and answers written by hand.

Everything the service says is written here byte for byte, so that the code is tested against what the wire can carry
and not against anybody's judge.
"""

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from zoneinfo import ZoneInfo

from psycopg import Connection

from b2chat_pipeline.analysis.direct import Order, Tally, score
from b2chat_pipeline.analysis.eligibility import eligible
from b2chat_pipeline.analysis.ledger import scoring_alone
from b2chat_pipeline.analysis.service import Patience, Service
from b2chat_pipeline.analysis.terms import read_terms
from b2chat_pipeline.operations.applying import Account, apply
from b2chat_pipeline.operations.configuration import parse
from b2chat_pipeline.settings import ModelService
from b2chat_pipeline.warehouse.accounts import SYSTEM_USER, ensure_users
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.windows import AccountClock, Window
from b2chat_pipeline_tests.metric_reference import Chat, Message
from b2chat_pipeline_tests.metric_support import build_core, store
from b2chat_pipeline_tests.serving import served

KEY = "invented-key-of-the-model-service"
MODEL = "some-model"
ZONE = "America/Bogota"
CLOCK = AccountClock(ZoneInfo(ZONE))
NOON = datetime(2025, 3, 3, 17, tzinfo=UTC)
NOW = datetime(2025, 3, 10, 17, tzinfo=UTC)
WEEK = Window(datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 3, 10, tzinfo=UTC))
USAGE = {"input_tokens": 2000, "output_tokens": 400}
LABEL_VIEWS = ("label_pairs", "label_agreement", "label_errors")
# 2,000 tokens in at 1 dollar and 400 out at 5 dollars a million.
COST = "0.00400000"
# Chats that are in the warehouse, all but some of them left out by `use`.
CHATS = 10
TALK = (
    (True, "Hola, mi pedido no ha llegado y ya pasaron ocho días"),
    (False, "Buen día, permítame validar con la transportadora"),
    (True, "La página dice entregado"),
    (False, "Ya fue reprogramado para mañana en la mañana"),
    (True, "Ahora sí, muchas gracias"),
)
IMPATIENT = Patience(attempts=3, first_wait=0.001, longest_wait=0.002, longest_pause=5, attempt_timeout=5)


def configuration(*, day: str = "5", month: str = "100") -> bytes:
    prices = f"{{{MODEL}: {{input: 1, output: 5}}}}"
    return f"scoring: {{model: {MODEL}, prices: {prices}, caps: {{day: {day}, month: {month}}}}}".encode()


def judgement(level: int | None, *evidence: tuple[int, str]) -> dict[str, object]:
    return {
        "evidence": [{"message": number, "quote": quote} for number, quote in evidence],
        "reason": "so it is",
        "level": level,
    }


def answer(**changes: object) -> dict[str, Any]:
    """A good answer about TALK: resolution 81.25, satisfaction 67.5."""
    criteria = {
        "matter_settled": judgement(75, (4, "reprogramado para mañana")),
        "questions_answered": judgement(100, (2, "permítame validar")),
        "next_step_clear": judgement(75, (4, "mañana en la mañana")),
        "satisfaction": judgement(75, (5, "muchas gracias")),
        "ease": judgement(50, (3, "La página dice entregado")),
    }
    whole: dict[str, Any] = {
        "criteria": criteria,
        "sentiment": {"start": "negative", "end": "positive"},
        "language": "es",
        "topics": ["pedido"],
        "root_causes": ["transportadora"],
        "recommendations": [{"message": 2, "advice": "Dar un plazo."}],
        "injection_suspected": False,
    }
    return whole | changes


def with_criterion(name: str, told: object) -> dict[str, Any]:
    whole = answer()
    whole["criteria"][name] = told
    return whole


@dataclass(frozen=True)
class Scripted:
    """One answer. `silence` is the pause before it in seconds; `hangs_up` ends the connection instead, and `part` below
    1 ends it amid the body.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    silence: float = 0.0
    hangs_up: bool = False
    part: float = 1.0


def message(text: object = None, *, stop_reason: str = "end_turn", usage: object = None) -> Scripted:
    """A message of the service with a text, or with a good answer."""
    said = text if isinstance(text, str) else json.dumps(answer() if text is None else text)
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "stop_sequence": None,
        "content": [{"type": "text", "text": said}],
        "stop_reason": stop_reason,
        "usage": usage or USAGE,
    }
    return Scripted(body=json.dumps(body).encode(), headers={"request-id": "req_1"})


def model(lifecycle: str = "active", retires_at: str | None = None) -> Scripted:
    """What the service says of a model."""
    told = {"id": MODEL, "type": "model", "display_name": "Some model", "created_at": "2025-01-01T00:00:00Z"}
    return Scripted(body=json.dumps({**told, "lifecycle": lifecycle, "retires_at": retires_at}).encode())


def token_count(tokens: int) -> Scripted:
    return Scripted(body=json.dumps({"input_tokens": tokens}).encode())


def error(status: int, kind: str = "api_error", code: str | None = None, **headers: str) -> Scripted:
    told = {"type": kind, "message": "what people wrote"} | ({"details": {"error_code": code}} if code else {})
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Scripted(status, json.dumps({"type": "error", "error": told}).encode(), named)


class LoopbackService(ThreadingHTTPServer):
    """Answers with the next scripted answer, with a good one when the script is at its end."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: deque[Scripted] = deque()
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.on_request: Callable[[], None] = lambda: None
        # Answers what the script does not: method, path and body.
        self.otherwise: Callable[[str, str, bytes], Scripted] = lambda *_: message()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def will_answer(self, *answers: Scripted) -> None:
        self.script.extend(answers)

    @property
    def texts(self) -> list[str]:
        """What was told of each conversation, as the model reads it."""
        return [json.loads(body)["messages"][0]["content"][0]["text"] for body in self.bodies]

    def handle_error(self, *_: object) -> None:
        """Stay quiet: a client that hangs up is part of many tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LoopbackService

    def do_POST(self) -> None:
        server = self.server
        server.paths.append(self.path)
        server.headers.append({name.lower(): value for name, value in self.headers.items()})
        server.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        server.on_request()
        told = (
            server.script.popleft() if server.script else server.otherwise(self.command, self.path, server.bodies[-1])
        )
        if told.silence:
            threading.Event().wait(told.silence)
        if told.hangs_up:
            self.close_connection = True
            return
        self.send_response(told.status)
        for name, value in {"Content-Type": "application/json", **told.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(told.body)))
        self.end_headers()
        self.wfile.write(told.body[: int(told.part * len(told.body))])
        self.close_connection = told.part < 1

    do_GET = do_POST  # noqa: N815 - named by the base class

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by the base class
        pass


@contextmanager
def running_service() -> Iterator[LoopbackService]:
    with served(LoopbackService()) as server:
        yield server


def talk(*said: tuple[bool, str], begins: datetime = NOON) -> tuple[Message, ...]:
    """Messages half a minute apart."""
    return tuple(
        Message(begins + timedelta(seconds=30 * place), incoming, text)
        for place, (incoming, text) in enumerate(said or TALK)
    )


def chat(key: str = "c1", **changes: object) -> Chat:
    """A chat that can be scored: answered after a minute, closed after an hour."""
    told: dict[str, Any] = {
        "key": key,
        "created": NOON,
        "raw_status": "CLOSED",
        "opened": NOON,
        "picked_up": NOON,
        "response": NOON + timedelta(seconds=60),
        "closed": NOON + timedelta(hours=1),
        "provider": "whatsapp",
        "priority": "normal",
        "department": None,
        "available": True,
        "tags": (),
        "time_flags": (),
        "messages": talk(),
        "history": (),
    }
    return Chat(**(told | changes))


def score_week(
    connection: Connection, service_url: str, now: datetime, *, is_manual: bool = True, patience: Patience = IMPATIENT
) -> Tally:
    """Score the chats of a week by a service."""
    order = Order(
        *(eligible(connection, WEEK, now).candidates, read_terms(connection, now), CLOCK, SYSTEM_USER),
        is_manual=is_manual,
    )
    with Service(ModelService(service_url, KEY), patience=patience) as service, scoring_alone(connection, now):
        return score(connection, service, order, lambda: now)


@dataclass(frozen=True)
class ScoringWork:
    """Scoring that another process can do."""

    url: str
    service_url: str

    def do(self) -> None:
        with connect(self.url, purpose="scoring") as connection:
            score_week(connection, self.service_url, NOW)


@dataclass
class Bench:
    """A warehouse with chats, and a service to judge them."""

    url: str
    connection: Connection
    server: LoopbackService
    now: datetime = NOW

    def hold(self, *chats: Chat) -> None:
        """Make some chats all there is, with their metrics."""
        store(self.connection, chats)
        self.build()

    def build(self) -> None:
        """Build the metrics of all chats."""
        build_core(self.connection, ZONE, also=LABEL_VIEWS)

    def reset(self) -> None:
        """Forget every call, and hold the one usual chat of ten."""
        self.connection.execute(
            "truncate effectiveness_analysis, ops.analysis_calls, ops.analysis_outcomes, ops.analysis_batches,"
            " ops.analysis_batch_items, ops.analysis_days, ops.analysis_labels, ops.analysis_trials,"
            " ops.analysis_promotions, notifications"
        )
        if self.rows("select count(*), count(distinct messages_out) from analytics.chat_metrics") != [(CHATS, 1)]:
            self.hold(*(chat(f"c{number}") for number in range(CHATS)))
        self.connection.execute("delete from messages where id = 'later'")
        self.use(1)
        self.now = NOW
        self.connection.execute("delete from ops.config_versions where kind = 'scoring'")
        self.configure()
        self.server.script.clear()
        self.server.otherwise = lambda *_: message()
        self.server.bodies.clear()
        self.server.headers.clear()
        self.server.paths.clear()

    def use(self, chats: int) -> None:
        """Let so many of the usual chats count."""
        self.connection.execute("update chats set is_deleted = id >= %s", (f"c{chats}",))

    def configure(self, **caps: str) -> None:
        apply(self.connection, parse(configuration(**caps)), Account(CLOCK, SYSTEM_USER, self.now))

    def score(self, *, is_manual: bool = True, patience: Patience = IMPATIENT) -> Tally:
        """Score the chats of a week as the command does."""
        return score_week(self.connection, self.server.url, self.now, is_manual=is_manual, patience=patience)

    def rows(self, query: str) -> Sequence[tuple[Any, ...]]:
        return self.connection.execute(query.encode()).fetchall()

    @property
    def calls(self) -> Sequence[tuple[Any, ...]]:
        """State, outcome and cost of each call, in order."""
        return self.rows("select state, outcome, cost_usd::text from ops.analysis_calls order by reserved_at, id")


@contextmanager
def running_bench(url: str) -> Iterator[Bench]:
    """A bench over an empty warehouse; to be `reset` before each use."""
    with running_service() as server, connect(url, purpose="test") as connection:
        # Not the name of a process that scores: the tests wait until those are gone.
        connection.execute("set application_name = 'bench'")
        bench = Bench(url, connection, server)
        ensure_users(connection, (), now=NOW)
        bench.hold(*(chat(f"c{number}") for number in range(CHATS)))
        yield bench
