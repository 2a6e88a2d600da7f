"""What the computations of all marts share: their registry, grouping, and the figures of statistics.

Not here: what one chat tells (`account.py`).
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

from b2chat_pipeline_tests.mart_reference.account import (
    Account,
    Chat,
    Row,
    seconds_between,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
Rows = list[Row]
REFERENCES: dict[str, Callable[[Account], Rows]] = {}
DIMENSIONS = ("department_id", "agent_id", "provider", "alias", "priority")


def mart(function: Callable[[Account], Iterable[Row]]) -> Callable[[Account], Rows]:
    """Registers the rows of the mart that the function is named after."""

    @cache
    def computed(account: Account) -> Rows:
        return list(function(account))

    REFERENCES[function.__name__] = computed
    return computed


def grouped(items: Iterable[Any], key: Callable[[Any], Any]) -> dict[Any, list[Any]]:
    groups: dict[Any, list[Any]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups


def percentile(values: Sequence[float], share: float) -> float | None:
    """Interpolated between the two nearest, as analysts do it."""
    if not values:
        return None
    place = share * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(values) - 1)
    ordered = sorted(values)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def wilson(successes: int, n: int) -> tuple[float | None, float | None]:
    """Bounds of a share at 95 %: the shares from which the one seen is 1.96 standard errors away."""
    if not n:
        return None, None
    z, seen = 1.96, successes / n
    spread = z * math.sqrt(seen * (1 - seen) / n + z * z / (4 * n * n))
    return tuple((seen + z * z / (2 * n) + sign * spread) / (1 + z * z / n) for sign in (-1, 1))  # type: ignore[return-value]


def dimensions(chat: Chat) -> Row:
    return {name: getattr(chat, name) for name in DIMENSIONS}


def by_dimensions(chats: Iterable[Any], *more: Callable[[Any], Any], chat: Callable[[Any], Chat]) -> dict[Any, Any]:
    return grouped(chats, lambda it: (*(one(it) for one in more), *dimensions(chat(it)).values()))


def month_of(day: date) -> date:
    return day.replace(day=1)


def is_inbound(chat: Chat) -> bool:
    return chat.direction == "inbound"


def hours_between(first: datetime, until: datetime) -> Iterator[datetime]:
    """The starts of the hours that have ended by `until`, in UTC, where no hour is skipped or repeated."""
    hour = first.astimezone(UTC)
    while hour < until:
        yield hour
        hour += HOUR


def first_response(chat: Chat) -> float | None:
    return seconds_between(chat.created_at, chat.response_at)
