"""What a model judged, and what it could have judged."""

import statistics
from collections.abc import Iterator
from datetime import date
from typing import Any

from b2chat_pipeline_tests.mart_reference.account import TARGETS, Account, Chat, Row
from b2chat_pipeline_tests.mart_reference.figures import first_response, grouped, mart, mean

_PLACE = ("department_id", "agent_id", "provider")


@mart
def scoring_candidates(account: Account) -> Iterator[Row]:
    for chat in account.chats:
        if chat.is_closed and chat.closed_at is not None:
            yield {
                "chat_id": chat.id,
                "closed_at": chat.closed_at,
                "target_seconds": float(TARGETS["first_response"]),
                "elapsed_seconds": first_response(chat),
                "answered_turns": sum(turn.reply_at is not None for turn in chat.turns),
                "reason": _reason(chat),
            }


def _reason(chat: Chat) -> str | None:
    """The first reason why a chat cannot be scored."""
    texts = [(it, ((it["text"] if it["type"] == "text" else it["caption"]) or "").strip(" \t\r\n")) for it in chat.told]
    words = sum(len(text.split()) for it, text in texts if not it["broadcasted"])
    reasons = {
        "no messages told": not chat.told,
        "no message from the customer": not any(it["incoming"] for it in chat.told),
        "never answered by an agent": chat.response_at is None,
        "only broadcasts from the company": all(it["incoming"] or it["broadcasted"] for it in chat.told),
        "fewer than ten words": words < 10,
        "too long": sum(len(text) for _, text in texts) > 200_000,
        "time of the first response not known": first_response(chat) is None,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


@mart
def effectiveness_daily(account: Account) -> Iterator[Row]:
    could = {row["chat_id"]: row["reason"] is None for row in scoring_candidates(account)}
    closed = [chat for chat in account.chats if chat.id in could]
    days = {chat.id: chat.day_of(chat.closed_at) for chat in closed}
    # In order of time, so the newest one stays.
    newest = {(it["chat_id"], _judge(it)): it for it in account.scorings}
    judges: dict[date, set[tuple[Any, Any]]] = {}
    for chat_id, judge in newest:
        if chat_id in days:
            judges.setdefault(days[chat_id], set()).add(judge)
    cells = grouped(closed, lambda chat: (days[chat.id], *(getattr(chat, name) for name in _PLACE)))
    for key, chats in cells.items():
        for judge in judges.get(key[0], ()):
            scored = [newest[chat.id, judge] for chat in chats if (chat.id, judge) in newest]
            known = [it for it in scored if it["analysis_data"]["satisfaction_basis"] != "none"]
            resolutions = [it["resolution_score"] for it in scored]
            effectiveness = [it["effectiveness_score"] for it in known]
            yield dict(zip(("closed_day", *_PLACE), key, strict=True)) | {
                "model": judge[0],
                "prompt_version": judge[1],
                "chats": len(chats),
                "eligible": sum(could[chat.id] for chat in chats),
                "scored": len(scored),
                "with_satisfaction": len(known),
                "effectiveness_sum": float(sum(effectiveness)),
                **_interval("effectiveness", effectiveness),
                **_interval("satisfaction", [it["customer_satisfaction"] for it in known]),
                "resolution_sum": float(sum(resolutions)),
                **_interval("resolution", resolutions),
            }


def _judge(scoring: Row) -> tuple[Any, Any]:
    return scoring["analysis_data"]["model"], scoring["analysis_data"]["prompt_version"]


def _interval(name: str, values: list[float]) -> Row:
    """A mean with its bounds at 95 %, which need two values."""
    centre = mean(values)
    row: Row = {f"mean_{name}": centre, f"{name}_low": None, f"{name}_high": None}
    if centre is not None and len(values) > 1:
        half = 1.96 * statistics.stdev(values) / len(values) ** 0.5
        row |= {f"{name}_low": centre - half, f"{name}_high": centre + half}
    return row
