"""Faults on demand: what can go wrong, and which request it hits.

Belongs here: the description of a fault, when it is due, and what it does to a page's records. Not here: what it does
on the wire (`wire`).
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any, Literal

import msgspec

Record = dict[str, Any]

FaultKind = Literal[
    # instead of the answer
    "status",  # `status`, `headers` (Retry-After in any form), `body`
    "unauthorized",  # 401 as an expired token gets it
    "html",  # 200 with a web page
    "error_message",  # 200 with {"message": "error"}
    "empty_body",  # 200 with nothing
    "reset",  # the connection is reset before any answer
    # on the way
    "hang",  # `seconds` of silence, then the answer
    "drip",  # the answer at `bytes_per_second`
    "cut_body",  # the connection ends halfway; Content-Length promised more
    "cut_json",  # half the JSON, with a Content-Length that fits
    "broken_gzip",  # Content-Encoding: gzip, then not gzip
    # in the listing
    "same_page",  # the first page, whatever offset is asked for
    "page_cap",  # at most `value` records a page, whatever limit is asked for
    "hidden_record",  # the record at `index` of the listing, or with `record_id`, is not there
    "unordered",  # the page's records backwards
    # in the page
    "total",  # `total` says `value`
    "duplicate_record",  # the record at `index` twice
    "set_field",  # `field` of the record at `index`, or with `record_id` (of all without), is `value`
    "missing_field",  # `field` is gone
    # in a judgement; of a batch, in the item at `index`, or with the custom_id `record_id` (in all without)
    "refusal",  # the judge declines, and says nothing
    "truncated",  # `max_tokens` is reached halfway
    "broken_json",  # text that is no JSON, though the answer ended well
    "wrong_quote",  # the first criterion quotes what nobody wrote
    "out_of_range",  # the first criterion has level `value` (without: 140)
    "missing_criterion",  # the first criterion is gone
    "extra_field",  # a field that nobody asked for
    # in a batch; the item as above
    "item_errored",  # the item ends with an error of the type `value` (without: api_error)
    "item_expired",  # the item's turn never comes: the batch ends after its 24 hours
    "slow_batch",  # the batch takes `seconds`
    # in-process only
    "mutate",  # `mutate` decides what becomes of each record
    "rewrite",  # `rewrite` decides which bytes the body has
]
_IN_PROCESS_ONLY = frozenset({"mutate", "rewrite"})
_IN_PAGE = frozenset({"total", "duplicate_record", "set_field", "missing_field", "mutate"})


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that goes wrong for `times` requests (None: for ever) to `path`, once `after` of them went well.

    In `path`, a `*` stands for anything. Without `method`, requests of any method are meant.
    """

    kind: FaultKind
    path: str = "/chats/export"
    method: str | None = None
    times: int | None = 1
    after: int = 0
    status: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    seconds: float = 60.0
    bytes_per_second: float = 1.0
    index: int | None = None
    record_id: str | None = None
    field: str = ""
    value: Any = None

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Fault":
        """A fault as the control endpoint takes it; ValueError if a name is unknown."""
        known = [it.name for it in fields(Fault)]
        if unknown := sorted(set(told) - set(known)):
            message = f"A fault has no {', '.join(unknown)}; it has {', '.join(known)}"
            raise ValueError(message)
        fault = msgspec.convert(told, Fault)
        if fault.kind in _IN_PROCESS_ONLY:
            message = f"{fault.kind} needs a function; it works within one process only"
            raise ValueError(message)
        return fault


@dataclass(frozen=True, kw_only=True)
class CodeFault(Fault):
    """A fault that is a function; see `mutated_records` and `rewritten_body`."""

    mutate: Callable[[Record], Record | None] = lambda record: record
    rewrite: Callable[[bytes], bytes] = lambda body: body


def vanished_record(record_id: str, *, path: str = "/chats/export") -> Fault:
    """A chat or contact that no listing shows any more, by its id; `total` follows."""
    return Fault(kind="hidden_record", path=path, record_id=record_id, times=None)


def rewritten_body(rewrite: Callable[[bytes], bytes], *, path: str = "/chats/export", times: int | None = 1) -> Fault:
    """The body becomes what `rewrite` makes of it: for bytes that no JSON encoder writes."""
    return CodeFault(kind="rewrite", path=path, times=times, rewrite=rewrite)


def dropped_record(*, index: int = 0, after: int = 1, path: str = "/chats/export") -> Fault:
    """A record of the listing vanishes after `after` requests: what follows it shifts towards the start."""
    return Fault(kind="hidden_record", path=path, index=index, after=after, times=None)


def inserted_record(*, index: int = 0, after: int = 1, path: str = "/chats/export") -> Fault:
    """A record of the listing appears after `after` requests: what follows it shifts towards the end."""
    return Fault(kind="hidden_record", path=path, index=index, times=after)


def mutated_records(
    mutate: Callable[[Record], Record | None], *, path: str = "/chats/export", times: int | None = None
) -> Fault:
    """Every record of a page passes through `mutate` before it is sent; None leaves it out of the page."""
    return CodeFault(kind="mutate", path=path, times=times, mutate=mutate)


class FaultBook:
    """The faults that are due. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: list[tuple[Fault, int]] = []

    def add(self, *faults: Fault) -> None:
        """Let these happen from the next request on."""
        with self._lock:
            self._seen.extend((fault, 0) for fault in faults)

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self._seen.clear()

    def pending(self) -> tuple[Fault, ...]:
        """Faults that have not run out."""
        with self._lock:
            return tuple(fault for fault, _ in self._seen)

    def take(self, path: str, method: str = "GET") -> tuple[Fault, ...]:
        """The faults that hit a request to this path, which counts as one of theirs."""
        due: list[Fault] = []
        left: list[tuple[Fault, int]] = []
        with self._lock:
            for fault, seen in self._seen:
                mine = fnmatchcase(path, fault.path) and fault.method in {None, method}
                if mine and seen >= fault.after:
                    due.append(fault)
                now_seen = seen + mine
                if fault.times is None or now_seen < fault.after + fault.times:
                    left.append((fault, now_seen))
            self._seen = left
        return tuple(due)


def first_of(due: tuple[Fault, ...], *kinds: FaultKind) -> Fault | None:
    """The first due fault of these kinds."""
    return next((fault for fault in due if fault.kind in kinds), None)


def change_page(page: Record, key: str, due: tuple[Fault, ...]) -> None:
    """Do to a decoded page, in place, what the due faults say; `exported` follows the records."""
    for fault in due:
        if fault.kind == "total":
            page["total"] = fault.value
        elif fault.kind in _IN_PAGE:
            page[key] = _changed_records(page[key], fault)
            page["exported"] = len(page[key])


def changed_object(content: Record, due: tuple[Fault, ...]) -> Record:
    """An answer that is one object, with its fields as the due faults say."""
    for fault in due:
        if fault.kind in {"set_field", "missing_field", "mutate"}:
            content = _changed(content, fault) or {}
    return content


def touches_page(due: tuple[Fault, ...]) -> bool:
    """Whether any due fault changes what a page holds."""
    return any(fault.kind in _IN_PAGE for fault in due)


def _changed_records(records: list[Record], fault: Fault) -> list[Record]:
    if fault.kind == "duplicate_record":
        at = fault.index or 0
        return [*records[: at + 1], *records[at : at + 1], *records[at + 1 :]]
    changed = (_changed(record, fault) if _is_meant(record, at, fault) else record for at, record in enumerate(records))
    return [record for record in changed if record is not None]


def _is_meant(record: Record, at: int, fault: Fault) -> bool:
    if fault.record_id is not None:
        return fault.record_id in {record.get("chat_id"), str(record.get("contact_id"))}
    return fault.index in {None, at}


def _changed(record: Record, fault: Fault) -> Record | None:
    if fault.kind == "set_field":
        return {**record, fault.field: fault.value}
    if fault.kind == "missing_field":
        return {name: value for name, value in record.items() if name != fault.field}
    return fault.mutate(record) if isinstance(fault, CodeFault) else record
