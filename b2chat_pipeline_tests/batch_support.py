"""The service's batches, kept and ended by hand, and scoring in batches on a bench.

Every result is written here or in the test that asks for it. Not here: single calls (`scoring_support.py`).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection

from b2chat_pipeline.analysis import prompts
from b2chat_pipeline.analysis.batch_service import BatchService
from b2chat_pipeline.analysis.canaries import canaries
from b2chat_pipeline.analysis.collecting import Collection, collect
from b2chat_pipeline.analysis.direct import Order
from b2chat_pipeline.analysis.eligibility import eligible
from b2chat_pipeline.analysis.ledger import scoring_alone
from b2chat_pipeline.analysis.submitting import Submission, submit
from b2chat_pipeline.analysis.terms import read_terms
from b2chat_pipeline.settings import ModelService
from b2chat_pipeline.warehouse.accounts import SYSTEM_USER
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline_tests.scoring_support import (
    CLOCK,
    IMPATIENT,
    KEY,
    MODEL,
    NOW,
    USAGE,
    WEEK,
    Bench,
    Scripted,
    answer,
    error,
    judgement,
)

PATH = "/v1/messages/batches"
CANARIES = len(canaries(prompts.Judge(MODEL, prompts.first_version())))
# Half of what the same call costs alone.
BATCH_COST = "0.00200000"
Result = dict[str, Any]
# What an item's conversation says, and what becomes of it.
Judge = Callable[[str], Result]


def succeeded(said: object = None, *, stop_reason: str = "end_turn", usage: object = None) -> Result:
    """An item that was answered with a judgement, or with a text."""
    text = said if isinstance(said, str) else json.dumps(answer() if said is None else said)
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "stop_sequence": None,
        "content": [{"type": "text", "text": text}],
        "stop_reason": stop_reason,
        "usage": usage or USAGE,
    }
    return {"type": "succeeded", "message": message}


def errored(kind: str) -> Result:
    return {"type": "errored", "error": {"type": "error", "error": {"type": kind, "message": "what people wrote"}}}


def of_canary(level: int) -> Result:
    """A judgement of a canary: matter and satisfaction at one level."""
    nothing = {name: judgement(None) for name in ("questions_answered", "next_step_clear", "ease")}
    known = {
        "matter_settled": judgement(level, (2, "ya le reviso")),
        "satisfaction": judgement(level, (5, "Qué mal servicio")),
    }
    return succeeded(answer(criteria=known | nothing))


def is_canary(conversation: str) -> bool:
    return "hace dos semanas y todavía no llega" in conversation


def is_planted(conversation: str) -> bool:
    """Whether a conversation is a canary with an order."""
    return is_canary(conversation) and "\\n" in conversation


def fair(conversation: str) -> Result:
    """A judge that no order moves."""
    return of_canary(0) if is_canary(conversation) else succeeded()


@dataclass
class Batches:
    """The endpoint: what was asked for, by the service's id, as custom id and conversation."""

    url: str
    clock: Callable[[], datetime]
    created: dict[str, dict[str, str]] = field(default_factory=dict)
    created_at: dict[str, datetime] = field(default_factory=dict)
    have_ended: bool = False
    results_are_gone: bool = False
    judge: Judge = fair
    # Creations whose answer never comes, though the batch is there.
    answers_to_lose: int = 0
    # How much of the results comes before the connection ends.
    part: float = 1.0
    results: dict[str, bytes] = field(default_factory=dict)

    def answer(self, method: str, path: str, body: bytes) -> Scripted:
        """What the service answers to a request about batches."""
        path, _, query = path.partition("?")
        if method == "POST" and path == PATH:
            return self._create(json.loads(body)["requests"])
        if path == PATH:
            newest = list(reversed(self.created))
            start = newest.index(query.split("after_id=")[1].split("&")[0]) + 1 if "after_id=" in query else 0
            page = newest[start : start + 2]
            more = start + 2 < len(newest)
            told = {
                "data": [self._described(it) for it in page],
                "has_more": more,
                "last_id": page[-1] if page else None,
            }
            return _json(told)
        batch_id = path.removeprefix(f"{PATH}/").removesuffix("/results")
        if batch_id not in self.created:
            return error(404, "not_found_error")
        return self._results(batch_id) if path.endswith("/results") else _json(self._described(batch_id))

    def add(self, conversations: dict[str, str]) -> None:
        """Keep a batch, as somebody else might ask for one."""
        batch_id = f"msgbatch_{len(self.created) + 1}"
        self.created[batch_id] = conversations
        self.created_at[batch_id] = self.clock() + timedelta(seconds=1)

    def _create(self, requests: list[dict[str, Any]]) -> Scripted:
        self.add({it["custom_id"]: it["params"]["messages"][0]["content"][0]["text"] for it in requests})
        if self.answers_to_lose:
            self.answers_to_lose -= 1
            return Scripted(hangs_up=True)
        return _json(self._described(list(self.created)[-1]))

    def _described(self, batch_id: str) -> dict[str, Any]:
        is_readable = self.have_ended and not self.results_are_gone
        return {
            "id": batch_id,
            "type": "message_batch",
            "processing_status": "ended" if self.have_ended else "in_progress",
            "request_counts": {"processing": len(self.created[batch_id]), "succeeded": 0},
            "created_at": self.created_at[batch_id].isoformat(),
            "results_url": f"{self.url}{PATH}/{batch_id}/results" if is_readable else None,
        }

    def _results(self, batch_id: str) -> Scripted:
        if batch_id not in self.results:
            # Another order than that of the requests; a text may hold what some take for the end of a line.
            items = reversed(self.created[batch_id].items())
            lines = [{"custom_id": it, "note": "\u2028", "result": self.judge(said)} for it, said in items]
            self.results[batch_id] = b"".join(json.dumps(it, ensure_ascii=False).encode() + b"\n" for it in lines)
        headers = {"Content-Type": "application/x-jsonl"}
        return Scripted(body=self.results[batch_id], headers=headers, part=self.part)


def _json(told: object) -> Scripted:
    return Scripted(body=json.dumps(told).encode(), headers={"request-id": "req_1"})


@dataclass(frozen=True)
class BatchWork:
    """Sending, or collecting, that another process can do."""

    url: str
    service_url: str
    collects: bool

    def do(self) -> None:
        with connect(self.url, purpose="scoring") as connection, service_at(self.service_url) as service:
            if self.collects:
                collect(connection, service, lambda: NOW)
            else:
                submit_week(connection, service, NOW)


def service_at(url: str) -> BatchService:
    return BatchService(ModelService(url, KEY), patience=IMPATIENT)


def submit_week(connection: Connection, service: BatchService, now: datetime, *, is_manual: bool = False) -> Submission:
    """Send the chats of a week in batches."""
    order = Order(
        *(eligible(connection, WEEK, now).candidates, read_terms(connection, now), CLOCK, SYSTEM_USER),
        is_manual=is_manual,
    )
    with scoring_alone(connection, now):
        return submit(connection, service, order, lambda: now)


@dataclass
class BatchBench:
    """A bench whose service has batches."""

    bench: Bench
    service: BatchService
    batches: Batches

    @staticmethod
    def of(bench: Bench, service: BatchService) -> "BatchBench":
        """A bench that was reset, and a service that knows no batch."""
        batches = Batches(bench.server.url, lambda: bench.now)
        bench.server.otherwise = batches.answer
        return BatchBench(bench, service, batches)

    def submit(self, *, is_manual: bool = False) -> Submission:
        return submit_week(self.bench.connection, self.service, self.bench.now, is_manual=is_manual)

    def collect(self) -> Collection:
        return collect(self.bench.connection, self.service, lambda: self.bench.now)

    @property
    def states(self) -> list[str]:
        """How each batch stands, the oldest first."""
        return [
            state for (state,) in self.bench.rows("select state from ops.analysis_batches order by prepared_at, id")
        ]

    @property
    def calls(self) -> list[tuple[Any, ...]]:
        """State, outcome and cost of each call about a chat, in order."""
        found = self.bench.rows(
            "select state, outcome, cost_usd::text from ops.analysis_calls where chat_id not like 'canary:%'"
            " order by reserved_at, id"
        )
        return list(found)
