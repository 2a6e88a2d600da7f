"""What a model judged, and what it could have judged."""

import statistics
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from typing import Any

from b2chat_pipeline_tests.mart_reference.account import TARGETS, Account, Chat, Row
from b2chat_pipeline_tests.mart_reference.figures import first_response, grouped, mart, mean

_PLACE = ("department_id", "agent_id", "provider")
# What may change once the chats were measured: promises to all until an instant and from then on, to a channel and to a
# priority; chats that are new, gone, or of another priority.
_NEW_PROMISES = datetime(2025, 3, 8, 23, tzinfo=UTC)
_NO_PROMISES = datetime(2025, 3, 10, 15, tzinfo=UTC)
_NEW = "new "
SINCE_MEASURED = f"""
    delete from ops.sla_policies where clock = 'first_response';
    insert into ops.sla_policies
        (policy, version, clock, priority, channel, target_seconds, in_business_hours, valid_from, valid_to)
    values ('old', 1, 'first_response', null, null, 400, false, null, '{_NEW_PROMISES}'),
           ('new', 1, 'first_response', null, null, 500, true, '{_NEW_PROMISES}', '{_NO_PROMISES}'),
           ('channel', 1, 'first_response', null, 'whatsapp', 600, false, null, null),
           ('urgent', 1, 'first_response', 'urgent', null, 700, true, null, null),
           ('both', 1, 'first_response', 'urgent', 'whatsapp', 800, false, null, null);
    update chats set priority = 'urgent' where md5('of ' || id) < '4';
    update chats set is_deleted = true where md5(id) > 'e';
    insert into chats
    select (jsonb_populate_record(chat, jsonb_build_object(
               'id', '{_NEW}' || id, 'b2chat_id', '{_NEW}' || b2chat_id,
               'closed_at', case when md5(id) < '2' then timestamptz '2025-04-02 15:00Z' else closed_at end
           ))).*
      from chats as chat
     where closed_at is not null and (md5(id) < '3' or provider <> 'whatsapp');
    insert into messages
    select (jsonb_populate_record(said, jsonb_build_object('id', '{_NEW}' || said.id, 'chat_id', chat.id))).*
      from messages as said
      join chats as chat on chat.id = '{_NEW}' || said.chat_id;
    insert into effectiveness_analysis
    select (jsonb_populate_record(told, jsonb_build_object('id', '{_NEW}' || told.id, 'chat_id', chat.id))).*
      from effectiveness_analysis as told
      join chats as chat on chat.id = '{_NEW}' || told.chat_id;
"""  # noqa: S608 - of constants
# A promise: its target, and whether it is one of business hours.
_Promise = tuple[int, bool]


@mart
def scoring_candidates(account: Account) -> Iterator[Row]:
    for chat in _closed(account):
        yield _candidate(chat, (TARGETS["first_response"], False))


def scoring_candidates_since(account: Account) -> list[Row]:
    """The rows of scoring_candidates once promises have changed, and chats are new or gone.

    Inbound chats that were measured keep the promise they were measured by.
    """
    return [
        _candidate(chat, (TARGETS["first_response"], False))
        if chat.direction == "inbound" and _is_measured(chat)
        else _candidate(chat, _promise_now(chat), is_measured=_is_measured(chat))
        for chat in _closed(account)
    ]


def _closed(account: Account) -> Iterator[Chat]:
    return (chat for chat in account.chats if chat.is_closed and chat.closed_at is not None)


def _is_measured(chat: Chat) -> bool:
    return not chat.id.startswith(_NEW)


def _promise_now(chat: Chat) -> _Promise | None:
    is_urgent, by_channel = chat.priority == "urgent", chat.provider == "whatsapp"
    if is_urgent:
        return (800, False) if by_channel else (700, True)
    if by_channel:
        return 600, False
    if chat.created_at < _NEW_PROMISES:
        return 400, False
    return (500, True) if chat.created_at < _NO_PROMISES else None


def _candidate(chat: Chat, promise: _Promise | None, *, is_measured: bool = True) -> Row:
    target, in_business_hours = promise or (None, False)
    elapsed = None
    if is_measured:
        business = chat.openings.seconds(chat.created_at, chat.response_at) if chat.openings else None
        elapsed = business if in_business_hours else first_response(chat)
    return {
        "chat_id": chat.id,
        "closed_at": chat.closed_at,
        "target_seconds": None if target is None else float(target),
        "elapsed_seconds": elapsed,
        "answered_turns": sum(turn.reply_at is not None for turn in chat.turns) if is_measured else 0,
        "reason": _reason(chat, target, elapsed, is_measured=is_measured),
    }


def _reason(chat: Chat, target: int | None, elapsed: float | None, *, is_measured: bool) -> str | None:
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
        "metrics not built: run `b2chat build`": not is_measured,
        "no target for the first response": target is None,
        "time of the first response not known": elapsed is None,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


@mart
def effectiveness_daily(account: Account) -> Iterator[Row]:
    return _effectiveness(account, scoring_candidates(account))


def effectiveness_daily_since(account: Account) -> list[Row]:
    """The rows of effectiveness_daily after the same changes."""
    return list(_effectiveness(account, scoring_candidates_since(account)))


def _effectiveness(account: Account, candidates: Iterable[Row]) -> Iterator[Row]:
    could = {row["chat_id"]: row["reason"] is None for row in candidates}
    # Those that are not measured yet are in no cell, but tell who judged that day.
    closed = [chat for chat in account.chats if chat.id in could]
    days = {chat.id: chat.day_of(chat.closed_at) for chat in closed}
    # In order of time, so the newest one stays.
    newest = {(it["chat_id"], _judge(it)): it for it in account.scorings}
    judges: dict[date, set[tuple[Any, Any]]] = {}
    for chat_id, judge in newest:
        if chat_id in days:
            judges.setdefault(days[chat_id], set()).add(judge)
    cells = grouped(
        filter(_is_measured, closed), lambda chat: (days[chat.id], *(getattr(chat, name) for name in _PLACE))
    )
    for key, chats in cells.items():
        for judge in judges.get(key[0], ()):
            scored = [newest[chat.id, judge] for chat in chats if (chat.id, judge) in newest]
            ratings = {chat.id: chat.rating for chat in chats}
            known = [it for it in scored if it["analysis_data"]["satisfaction_basis"] != "none"]
            resolutions = [it["resolution_score"] for it in scored]
            effectiveness = [it["effectiveness_score"] for it in known]
            quickness = [it["response_time_score"] for it in scored]
            differences = [
                it["customer_satisfaction"] - (rating - 1) * 25.0
                for it in known
                if (rating := ratings[it["chat_id"]]) is not None
            ]
            distances = list(map(abs, differences))
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
                "response_time_sum": float(sum(quickness)),
                **_interval("response_time", quickness),
                "rated": len(differences),
                "rating_difference_sum": float(sum(differences)),
                "mean_rating_difference": mean(differences),
                "rating_distance_sum": float(sum(distances)),
                "mean_rating_distance": mean(distances),
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
