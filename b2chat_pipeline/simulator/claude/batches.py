"""The life of message batches on the simulator's clock.

Belongs here: what becomes of a batch and its items as time passes. Not here: their answers (`messages`), paths (`api`).
"""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from b2chat_pipeline.simulator.claude.messages import answer_message
from b2chat_pipeline.simulator.claude.wire import Refused, new_id
from b2chat_pipeline.simulator.faults import Fault, first_of

Record = dict[str, Any]

# The real service takes minutes to hours; nobody wants to wait that long for a demo.
_USUAL_TIME = timedelta(seconds=20)
_CANCELING_TIME = timedelta(seconds=5)
_LIFE = timedelta(hours=24)
_KEPT = timedelta(days=29)
_MOST_REQUESTS = 100_000
_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True, kw_only=True)
class Item:
    """One request of a batch: its result once its turn has come, and when that is (None: never)."""

    custom_id: str
    result: bytes
    result_type: str
    turn: datetime | None


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A batch as it was created, and when its cancellation was asked for."""

    id: str
    created_at: datetime
    items: tuple[Item, ...]
    cancel_initiated_at: datetime | None = None

    @property
    def expires_at(self) -> datetime:
        """When whatever has not had its turn expires."""
        return self.created_at + _LIFE

    @property
    def ended_at(self) -> datetime:
        """When processing ends: with its last item, after its life, or a moment after it was canceled."""
        turns = [item.turn or self.expires_at for item in self.items]
        ends = [self.expires_at, max(turns)]
        if self.cancel_initiated_at is not None:
            ends.append(self.cancel_initiated_at + _CANCELING_TIME)
        return min(ends)

    @property
    def archived_at(self) -> datetime:
        """When its results are thrown away."""
        return self.created_at + _KEPT

    def has_ended(self, now: datetime) -> bool:
        """Whether processing is over."""
        return now >= self.ended_at

    def outcome(self, item: Item) -> str:
        """The type of the item's result once the batch has ended."""
        if item.turn is not None and item.turn <= (self.cancel_initiated_at or self.expires_at):
            return item.result_type
        return "expired" if self.cancel_initiated_at is None else "canceled"

    def described(self, now: datetime, *, results_url: str) -> Record:
        """The batch as the service shows it at `now`."""
        ended, archived = self.has_ended(now), now >= self.archived_at
        counts = Counter(map(self.outcome, self.items)) if ended else Counter(processing=len(self.items))
        kinds = ("processing", "succeeded", "errored", "canceled", "expired")
        unfinished = "in_progress" if self.cancel_initiated_at is None else "canceling"
        return {
            "id": self.id,
            "type": "message_batch",
            "processing_status": "ended" if ended else unfinished,
            "request_counts": {kind: counts[kind] for kind in kinds},
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "cancel_initiated_at": self.cancel_initiated_at,
            "ended_at": self.ended_at if ended else None,
            "archived_at": self.archived_at if archived else None,
            "results_url": results_url if ended and not archived else None,
        }

    def results(self) -> bytes:
        """The results of an ended batch as JSON lines, in an order that is not that of the requests."""
        shuffled = sorted(self.items, key=lambda item: hashlib.sha256(item.custom_id.encode()).digest())
        return b"".join(self._line(item) for item in shuffled)

    def _line(self, item: Item) -> bytes:
        outcome = self.outcome(item)
        result = msgspec.Raw(item.result) if outcome == item.result_type else {"type": outcome}
        return msgspec.json.encode({"custom_id": item.custom_id, "result": result}) + b"\n"


class Batches:
    """All batches of the account, newest last."""

    def __init__(self) -> None:
        self._batches: dict[str, Batch] = {}

    def create(self, told: Record, now: datetime, due: tuple[Fault, ...]) -> Batch:
        """A new batch of the requests in a body. Refused if they are not as they should be."""
        requests = _checked(told.get("requests"))
        slow = first_of(due, "slow_batch")
        time = _USUAL_TIME if slow is None else timedelta(seconds=slow.seconds)
        items = tuple(
            _item(request, now + time * (at + 1) / len(requests), _faults_of(request["custom_id"], at, due))
            for at, request in enumerate(requests)
        )
        batch = Batch(id=new_id("msgbatch"), created_at=now, items=items)
        self._batches[batch.id] = batch
        return batch

    def get(self, batch_id: str) -> Batch:
        """The batch of this id. Refused if there is none."""
        if batch_id not in self._batches:
            raise Refused(404, f"Message Batch with id {batch_id} not found.")
        return self._batches[batch_id]

    def newest_first(self) -> list[str]:
        """The ids of all batches."""
        return list(reversed(self._batches))

    def cancel(self, batch_id: str, now: datetime) -> Batch:
        """The batch, whose items get no turn any more. Refused if it has ended."""
        batch = self.get(batch_id)
        if batch.has_ended(now):
            raise Refused(400, f"Batch {batch_id} cannot be canceled: its processing has ended.")
        if batch.cancel_initiated_at is None:
            self._batches[batch_id] = replace(batch, cancel_initiated_at=now)
        return self._batches[batch_id]

    def delete(self, batch_id: str, now: datetime) -> None:
        """Forget a batch. Refused while it is processed."""
        if not self.get(batch_id).has_ended(now):
            raise Refused(400, f"Batch {batch_id} cannot be deleted while it is processed; cancel it first.")
        del self._batches[batch_id]


def _checked(requests: object) -> list[Record]:
    if not isinstance(requests, list) or not 1 <= len(requests) <= _MOST_REQUESTS:
        raise Refused(400, f"requests: List should have 1 to {_MOST_REQUESTS} items")
    seen: set[str] = set()
    for at, request in enumerate(requests):
        if not isinstance(request, Mapping) or not isinstance(request.get("params"), dict):
            raise Refused(400, f"requests.{at}.params: Field required")
        custom_id = request.get("custom_id")
        if not isinstance(custom_id, str) or _CUSTOM_ID.fullmatch(custom_id) is None:
            raise Refused(400, f"requests.{at}.custom_id: String should match pattern '^{_CUSTOM_ID.pattern}$'")
        if custom_id in seen:
            raise Refused(400, f"requests.{at}.custom_id: every custom_id must be unique within the batch")
        seen.add(custom_id)
    return requests


def _faults_of(custom_id: str, at: int, due: tuple[Fault, ...]) -> tuple[Fault, ...]:
    """The faults that hit the item at a place of the batch."""
    return tuple(it for it in due if custom_id == it.record_id or (it.record_id is None and it.index in {None, at}))


def _item(request: Record, turn: datetime, due: tuple[Fault, ...]) -> Item:
    result = _result(request["params"], due)
    return Item(
        custom_id=request["custom_id"],
        result=msgspec.json.encode(result),
        result_type=result["type"],
        turn=None if first_of(due, "item_expired") else turn,
    )


def _result(params: Record, due: tuple[Fault, ...]) -> Record:
    """What becomes of an item's parameters: they are looked at one by one, so one that does not fit harms no other."""
    try:
        if fault := first_of(due, "item_errored"):
            error: Record = {"type": fault.value or "api_error", "message": "Internal server error"}
        else:
            return {"type": "succeeded", "message": answer_message(params, due, "batch")}
    except Refused as refused:
        error = refused.error
    return {"type": "errored", "error": {"type": "error", "error": error, "request_id": new_id("req")}}
