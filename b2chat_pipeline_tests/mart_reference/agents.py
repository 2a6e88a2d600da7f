"""Agents hour by hour, and side by side."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

from b2chat_pipeline_tests.mart_reference.account import Account, Chat, Row, merged, seconds_between
from b2chat_pipeline_tests.mart_reference.figures import (
    HOUR,
    first_response,
    grouped,
    hours_between,
    is_inbound,
    mart,
    mean,
    percentile,
    share,
    wilson,
)


@mart
def agent_concurrency_hourly(account: Account) -> Iterator[Row]:
    for agent, chats in grouped(account.chats, lambda it: it.agent_id).items():
        held = [it for it in (_held(chat, account.loaded_until) for chat in chats) if it]
        if agent is None or not held:
            continue
        active = merged([span for chat, *_ in held for span in chat.active])
        first = min(start for _, start, _ in held)
        for hour in hours_between(chats[0].hour_of(first), account.loaded_until):
            yield {"agent_id": agent, "hour_start": hour} | _load(held, active, hour)


def _held(chat: Chat, until: datetime) -> tuple[Chat, datetime, datetime] | None:
    """From when to when somebody had the chat in hand."""
    if chat.picked_up_at is None or (chat.is_closed and chat.closed_at is None):
        return None
    end = min(chat.finished_at or until, until)
    return (chat, chat.picked_up_at, end) if chat.picked_up_at < end else None


def _load(
    held: Sequence[tuple[Chat, datetime, datetime]], active: Sequence[tuple[datetime, datetime]], hour: datetime
) -> Row:
    spans = [(it[0], max(it[1], hour), min(it[2], hour + HOUR)) for it in held]
    inside = [it for it in spans if it[1] < it[2]]
    at_once = [sum(start <= moment < end for _, start, end in inside) for _, moment, _ in inside]
    told = sum(((end - start) / HOUR for chat, start, end in inside if chat.has_messages), 0.0)
    busy = sum(
        ((min(end, hour + HOUR) - max(start, hour)).total_seconds() for start, end in active
         if start < hour + HOUR and end > hour), 0.0
    )  # fmt: skip
    known = not inside or told > 0
    return {
        "mean_chats": sum(((end - start) / HOUR for _, start, end in inside), 0.0),
        "max_chats": max(at_once, default=0),
        "mean_chats_with_messages": told,
        "active_seconds": busy if known else None,
        "occupancy_proxy": busy / 3600 if known else None,
    }


@mart
def agent_board_weekly(account: Account) -> Iterator[Row]:
    def week_of(chat: Chat) -> date:
        return chat.created_day - timedelta(days=chat.created_day.weekday())

    owned = [chat for chat in account.chats if chat.agent_id is not None]
    for (agent, week), chats in grouped(owned, lambda it: (it.agent_id, week_of(it))).items():
        waits = [it for it in (first_response(chat) for chat in chats if is_inbound(chat)) if it is not None]
        handled = [seconds_between(chat.picked_up_at, chat.finished_at) for chat in chats]
        handles = [it for it in handled if it is not None]
        verdicts = [
            it for it in (chat.verdict("first_response") for chat in chats if is_inbound(chat)) if it is not None
        ]
        ends = [chat.reopens > 0 for chat in chats if chat.is_closed or chat.reopens]
        ratings = [chat.rating for chat in chats if chat.rating is not None]
        yield {
            "agent_id": agent,
            "week": week,
            "chats": len(chats),
            "closed": sum(it.is_closed for it in chats),
            "first_response_n": len(waits),
            "first_response_median_seconds": percentile(waits, 0.5),
            "first_response_p90_seconds": percentile(waits, 0.9),
            "handle_n": len(handles),
            "handle_median_seconds": percentile(handles, 0.5),
            **_interval("sla", "sla", verdicts),
            **_interval("reopened", "reopened", ends),
            **_interval("rating", "top_two", [rating >= 4 for rating in ratings]),
            "mean_rating": mean(ratings),
        }


def _interval(counted: str, name: str, verdicts: Sequence[bool]) -> Row:
    low, high = wilson(sum(verdicts), len(verdicts))
    return {
        f"{counted}_n": len(verdicts),
        f"{name}_share": share(sum(verdicts), len(verdicts)),
        f"{name}_share_low": low,
        f"{name}_share_high": high,
    }
