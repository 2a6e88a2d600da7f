"""How long things took."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from b2chat_pipeline_tests.mart_reference.account import (
    Account,
    Chat,
    Row,
    seconds_between,
)
from b2chat_pipeline_tests.mart_reference.figures import (
    DIMENSIONS,
    REFERENCES,
    Rows,
    dimensions,
    is_inbound,
    mart,
    mean,
    percentile,
)

BUCKETS = (
    *((60, "up to 1 min"), (300, "1 to 5 min"), (900, "5 to 15 min"), (1800, "15 to 30 min"), (3600, "30 to 60 min")),
    *((14_400, "1 to 4 h"), (28_800, "4 to 8 h"), (86_400, "8 to 24 h"), (math.inf, "over 24 h")),
)


def _values(account: Account, chat: Chat) -> Iterator[tuple[str, Any]]:
    yield from (("account", None), ("agent", chat.agent_id), ("department", chat.department_id))
    yield from (("channel", chat.provider), ("alias", chat.alias))
    yield from (("department_tree", department) for department in account.ancestors[chat.department_id])
    yield from (("tag", tag) for tag in (set(chat.tags) or {None}))


@mart
def performance_daily(account: Account) -> Iterator[Row]:
    asked: dict[Any, list[tuple[float | None, bool]]] = defaultdict(list)
    for chat in account.chats:
        values = list(_values(account, chat))
        for metric, form, seconds in chat.durations():
            for dimension, value in values:
                asked[(chat.created_day, dimension, value, metric, form)].append((seconds, chat.is_closed))
    for key, told in asked.items():
        yield dict(zip(("created_day", "dimension", "value", "metric", "form"), key, strict=True)) | _summary(told)


def _summary(told: Sequence[tuple[float | None, bool]]) -> Row:
    known = [seconds for seconds, _ in told if seconds is not None]
    return {
        "population": len(told),
        "n": len(known),
        "n_null": sum(seconds is None and closed for seconds, closed in told),
        "n_open": sum(seconds is None and not closed for seconds, closed in told),
        "mean_seconds": mean(known),
        "median_seconds": percentile(known, 0.5),
        "p90_seconds": percentile(known, 0.9),
        "p95_seconds": percentile(known, 0.95),
        "max_seconds": max(known, default=None),
    }


def _of_dimension(name: str, dimension: str, column: str) -> None:
    def view(account: Account) -> Rows:
        return [_named(row, column) for row in performance_daily(account) if row["dimension"] == dimension]

    REFERENCES[name] = view


def _named(row: Row, column: str) -> Row:
    """A row of one dimension, its value under the dimension's own name."""
    return {column: row["value"]} | {name: row[name] for name in row if name not in {"dimension", "value"}}


_of_dimension("agent_daily", "agent", "agent_id")
_of_dimension("channel_daily", "channel", "provider")
_of_dimension("alias_daily", "alias", "alias")
_of_dimension("tag_daily", "tag", "tag")


@mart
def department_daily(account: Account) -> Iterator[Row]:
    scopes = {"department": "own", "department_tree": "subtree"}
    for row in performance_daily(account):
        if row["dimension"] in scopes:
            yield _named(row, "department_id") | {"scope": scopes[row["dimension"]]}


@mart
def response_histogram(account: Account) -> Iterator[Row]:
    counts: Counter[Any] = Counter()
    for chat in filter(is_inbound, account.chats):
        for start in ("created_at", "opened_at"):
            bucket = _bucket(chat, seconds_between(getattr(chat, start), chat.response_at))
            counts[(chat.created_day, start, *bucket, *dimensions(chat).values())] += 1
    names = ("created_day", "measured_from", "bucket_order", "bucket", *DIMENSIONS)
    for key, chats in counts.items():
        yield dict(zip(names, key, strict=True)) | {"chats": chats}


def _bucket(chat: Chat, seconds: float | None) -> tuple[int, str]:
    if seconds is None:
        if chat.response_at is not None:
            return 10, "not measurable"
        return (11, "closed unanswered") if chat.is_closed else (12, "not answered yet")
    return next((place, name) for place, (upper, name) in enumerate(BUCKETS, start=1) if seconds <= upper)
