"""How many chats come, go and stay."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from b2chat_pipeline_tests.mart_reference.account import (
    FOREVER,
    Account,
    Chat,
    Row,
)
from b2chat_pipeline_tests.mart_reference.figures import (
    DAY,
    DIMENSIONS,
    HOUR,
    Rows,
    dimensions,
    first_response,
    grouped,
    hours_between,
    is_inbound,
    mart,
    mean,
    month_of,
    percentile,
    share,
)

AGES = (
    *((0, 1, "under_1_h"), (1, 4, "from_1_to_4_h"), (4, 24, "from_4_to_24_h"), (24, 72, "from_1_to_3_days")),
    *((72, 168, "from_3_to_7_days"), (168, math.inf, "over_7_days")),
)


@mart
def chat_flow(account: Account) -> Iterator[Row]:
    events = [
        (chat.created_day, chat.hour_of(at), event, chat.direction, *dimensions(chat).values())
        for chat in account.chats
        for event, at in (("created", chat.created_at), ("closed", chat.finished_at))
        if at is not None
    ]
    names = ("created_day", "hour_start", "event", "direction", *DIMENSIONS)
    for key, chats in Counter(events).items():
        yield dict(zip(names, key, strict=True)) | {"chats": chats}


def _flow(account: Account, place: Callable[[Chat, datetime], Any]) -> Rows:
    counts: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    for chat in account.chats:
        for column, instant in enumerate((chat.created_at, chat.finished_at)):
            if instant is not None:
                counts[(place(chat, instant), chat.direction, *dimensions(chat).values())][column] += 1
    names = ("when", "direction", *DIMENSIONS)
    return [
        dict(zip(names, key, strict=True)) | {"created": made, "closed": closed, "net_flow": made - closed}
        for key, (made, closed) in counts.items()
    ]


def renamed(rows: Rows, old: str, new: str) -> Rows:
    return [{new if name == old else name: value for name, value in row.items()} for row in rows]


@mart
def hourly_volume(account: Account) -> Rows:
    return renamed(_flow(account, lambda chat, at: chat.hour_of(at)), "when", "hour_start")


@mart
def daily_volume(account: Account) -> Rows:
    return renamed(_flow(account, lambda chat, at: chat.day_of(at)), "when", "day")


Lives = Sequence[tuple[datetime, datetime, Chat]]


def _lives(account: Account) -> Lives:
    """From when to when chats are open; a closed one without a sensible time of closing is never taken for open."""
    return [
        (chat.created_at, (chat.closed_at or chat.created_at) if chat.is_closed else FOREVER, chat)
        for chat in account.chats
    ]


def _open_at(lives: Lives, at: datetime) -> list[Chat]:
    return [chat for began, ended, chat in lives if began <= at < ended]


@mart
def chat_lives(account: Account) -> Iterator[Row]:
    for began, ended, chat in _lives(account):
        if began < ended:
            names = ("created_day", "department_id", "agent_id", "provider")
            yield {name: getattr(chat, name) for name in names} | {
                "chat_id": chat.id,
                "began_at": began,
                "ended_at": ended,
            }


@mart
def backlog_hourly(account: Account) -> Iterator[Row]:
    lives = _lives(account)
    # A chat that was created as an hour ended is open at the end of that hour.
    first = min(chat.hour_of(chat.created_at) for chat in account.chats) - HOUR
    for hour in hours_between(first, account.loaded_until):
        end = hour + HOUR
        for (department, provider), chats in grouped(
            _open_at(lives, end), lambda it: (it.department_id, it.provider)
        ).items():
            ages = [(end - chat.created_at) / HOUR for chat in chats]
            yield {
                "hour_start": hour,
                "day": hour.astimezone(account.zone).date(),
                "department_id": department,
                "provider": provider,
                "open_chats": len(chats),
            } | {name: sum(low <= age < high for age in ages) for low, high, name in AGES}


@mart
def backlog_daily(account: Account) -> Iterator[Row]:
    lives = _lives(account)
    day = min(chat.created_day for chat in account.chats)
    while (end := datetime(day.year, day.month, day.day, tzinfo=account.zone) + DAY) <= account.loaded_until:
        places: dict[Any, list[float]] = defaultdict(list)
        for chat in _open_at(lives, end):
            for place in (("account", None), ("department", chat.department_id), ("channel", chat.provider)):
                places[place].append((end - chat.created_at).total_seconds())
        for (dimension, value), ages in places.items():
            yield {
                "day": day,
                "dimension": dimension,
                "value": value,
                "open_chats": len(ages),
                "mean_age_seconds": mean(ages),
                "max_age_seconds": max(ages),
                "median_age_seconds": percentile(ages, 0.5),
                "p90_age_seconds": percentile(ages, 0.9),
                "p95_age_seconds": percentile(ages, 0.95),
            }
        day += DAY


@mart
def arrival_heat_map(account: Account) -> Iterator[Row]:
    inbound = [chat for chat in account.chats if is_inbound(chat)]
    cells = grouped(
        inbound,
        lambda it: (
            month_of(it.created_day),
            it.created_day.isoweekday(),
            it.created_at.astimezone(account.zone).hour,
        ),
    )
    for month in {month_of(chat.created_day) for chat in inbound}:
        for weekday in range(1, 8):
            for hour in range(24):
                chats = cells.get((month, weekday, hour), [])
                waits = [it for it in (first_response(chat) for chat in chats) if it is not None]
                verdicts = [it for it in (chat.verdict("first_response") for chat in chats) if it is not None]
                yield {
                    "month": month,
                    "weekday": weekday,
                    "hour": hour,
                    "chats": len(chats),
                    "first_response_n": len(waits),
                    "first_response_median_seconds": percentile(waits, 0.5),
                    "sla_n": len(verdicts),
                    "sla_met": sum(verdicts),
                    "sla_met_share_of_judged": share(sum(verdicts), len(verdicts)),
                }
