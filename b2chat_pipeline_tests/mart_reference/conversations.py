"""What became of chats: outcomes, windows, media, bots, surveys, tags."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations

from b2chat_pipeline_tests.mart_reference.account import (
    CLOSED,
    OPEN,
    Account,
    Chat,
    Row,
    seconds_between,
)
from b2chat_pipeline_tests.mart_reference.figures import (
    DAY,
    DIMENSIONS,
    by_dimensions,
    grouped,
    is_inbound,
    mart,
    mean,
    month_of,
    percentile,
    share,
    wilson,
)


@mart
def outcomes_daily(account: Account) -> Iterator[Row]:
    for key, chats in by_dimensions(
        account.chats, lambda it: it.created_day, lambda it: it.direction, chat=lambda it: it
    ).items():
        yield dict(zip(("created_day", "direction", *DIMENSIONS), key, strict=True)) | _outcomes(chats)


def _outcomes(chats: Sequence[Chat]) -> Row:
    told = [chat for chat in chats if chat.has_messages]
    closed = [chat for chat in chats if chat.is_closed]
    closed_told = [chat for chat in closed if chat.has_messages]
    missed = [it for it in (chat.is_missed for chat in chats) if it is not None]
    checks = [it for it in (_confirmed(chat) for chat in told) if it is not None]
    waits = [it for it in (_wait_share(chat) for chat in told) if it is not None]
    scores = [it for it in (chat.score for chat in chats) if it is not None]
    queue = [chat for chat in closed if chat.has_messages or chat.picked_up_at is not None]
    return {
        "chats": len(chats),
        "closed": len(closed),
        "with_messages": len(told),
        "answered": sum(chat.response_at is not None for chat in chats),
        "closed_unanswered": sum(chat.response_at is None for chat in closed),
        "first_response_check_known": len(checks),
        "first_response_differs": sum(not it for it in checks),
        "abandoned_in_queue_known": len(queue),
        "abandoned_in_queue": sum(chat.picked_up_at is None and bool(chat.is_unattended) for chat in queue),
        "abandoned_by_customer_known": len(closed_told),
        "abandoned_by_customer": sum(chat.is_abandoned_by_customer for chat in closed_told),
        "missed_known": len(missed),
        "missed": sum(missed),
        "one_touch_known": len(closed_told),
        "one_touch": sum(chat.touches == 1 and not chat.reopens for chat in closed_told),
        "reopened": sum(chat.reopens > 0 for chat in chats),
        "transferred": sum(chat.is_transferred for chat in chats),
        "messages_in": sum(it["incoming"] for chat in told for it in chat.told),
        "messages_out": sum(not it["incoming"] and not it["broadcasted"] for chat in told for it in chat.told),
        "touches": sum(chat.touches for chat in told),
        "turns": sum(len(chat.turns) for chat in told),
        "unanswered_turns": sum(turn.reply_at is None for chat in told for turn in chat.turns),
        "customer_wait_share_known": len(waits),
        "customer_wait_share_sum": math.fsum(waits),
        "response_time_score_known": len(scores),
        "response_time_score_sum": math.fsum(scores),
    }


def _confirmed(chat: Chat) -> bool | None:
    replied_at = chat.turns[0].reply_at if chat.turns else None
    if replied_at is None and chat.response_at is None:
        return None
    if replied_at is None or chat.response_at is None:
        return False
    return bool(abs((replied_at - chat.response_at).total_seconds()) <= 60)


def _wait_share(chat: Chat) -> float | None:
    waits = [seconds_between(turn.started_at, turn.reply_at) for turn in chat.turns if turn.reply_at is not None]
    whole = seconds_between(chat.created_at, chat.finished_at)
    return math.fsum(it for it in waits if it is not None) / whole if waits and whole else None


@mart
def whatsapp_window_daily(account: Account) -> Iterator[Row]:
    turns = [(chat, turn) for chat in account.chats if chat.provider == "whatsapp" for turn in chat.turns]
    for (day, department), of_day in grouped(turns, lambda it: (it[0].created_day, it[0].department_id)).items():
        counts: Counter[str] = Counter()
        left: list[float] = []
        for chat, turn in of_day:
            closes_at = turn.last_at + DAY
            if turn.reply_at is not None:
                counts["answered_late" if turn.reply_at > closes_at else "answered_in_window"] += 1
                left += [(closes_at - turn.reply_at).total_seconds()] if turn.reply_at <= closes_at else []
            elif chat.finished_at is not None:
                late = chat.finished_at > closes_at
                counts["lapsed_unanswered" if late else "closed_unanswered_in_window"] += 1
            else:
                counts["n_open"] += 1
        names = ("answered_in_window", "answered_late", "lapsed_unanswered", "closed_unanswered_in_window", "n_open")
        yield {
            "created_day": day,
            "department_id": department,
            "turns": len(of_day),
            **{name: counts[name] for name in names},
            "answered_in_window_share": share(counts["answered_in_window"], sum(counts[name] for name in names[:3])),
            "median_window_left_seconds": percentile(left, 0.5),
            "p10_window_left_seconds": percentile(left, 0.1),
        }


@mart
def after_hours_daily(account: Account) -> Iterator[Row]:
    for (day, department, provider), chats in grouped(
        filter(is_inbound, account.chats), lambda it: (it.created_day, it.department_id, it.provider)
    ).items():
        told = [chat.openings.wait(chat.created_at) for chat in chats if chat.openings]
        waits = [it for it in told if it is not None]
        outside = [it for it in waits if it > 0]
        yield {
            "created_day": day,
            "department_id": department,
            "provider": provider,
            "chats": len(chats),
            "n": len(waits),
            "n_null": len(chats) - len(waits),
            "outside_hours": len(outside),
            "outside_hours_share": share(len(outside), len(waits)),
            "mean_wait_until_opening_seconds": mean(outside),
            "median_wait_until_opening_seconds": percentile(outside, 0.5),
            "p90_wait_until_opening_seconds": percentile(outside, 0.9),
        }


@mart
def media_daily(account: Account) -> Iterator[Row]:
    messages = [(chat, message) for chat in account.chats for message in chat.told]
    for key, of_key in grouped(
        messages, lambda it: (it[0].created_day, it[0].department_id, it[0].provider, it[1]["incoming"])
    ).items():
        kinds = Counter(message["type"] for _, message in of_key)
        yield dict(zip(("created_day", "department_id", "provider", "incoming"), key, strict=True)) | {
            "messages": len(of_key),
            "images": kinds["image"],
            "files": kinds["file"],
            "media_not_backed_up": sum(
                message["type"] != "text" and not message["media_backed_up"] for _, message in of_key
            ),
            "media_share": share(kinds["image"] + kinds["file"], len(of_key)),
        }


@mart
def bot_containment(account: Account) -> Iterator[Row]:
    seen = [chat for chat in account.chats if chat.passed_bot]
    for (day, provider, alias), chats in grouped(seen, lambda it: (it.created_day, it.provider, it.alias)).items():
        handed = sum(chat.picked_up_at is not None for chat in chats)
        contained = sum(chat.picked_up_at is None and chat.is_closed for chat in chats)
        yield {
            "created_day": day,
            "provider": provider,
            "alias": alias,
            "chats": len(chats),
            "contained": contained,
            "handed_over": handed,
            "n_open": len(chats) - handed - contained,
            "containment": share(contained, contained + handed),
        }


@mart
def reopens_and_transfers(account: Account) -> Iterator[Row]:
    for chat in account.chats:
        for change in chat.changes:
            kind = _kind_of_change(change)
            if kind:
                yield {
                    "chat_id": chat.id,
                    "kind": kind,
                    "created_day": chat.created_day,
                    "old": change["old"],
                    "new": change["new"],
                    "changed_after": change["seen_before"],
                    "changed_by": change["seen_at"],
                }


def _kind_of_change(change: Row) -> str | None:
    if change["field"] == "status":
        return "reopening" if change["old"] in CLOSED and change["new"] in OPEN else None
    if change["field"] in {"agent", "department"} and change["old"] and change["new"]:
        return f"{change['field']} transfer"
    return None


@mart
def survey_daily(account: Account) -> Iterator[Row]:
    offered = [chat for chat in account.chats if chat.survey]
    names = ("created_day", "department_id", "agent_id", "provider")
    for key, chats in grouped(offered, lambda it: tuple(getattr(it, name) for name in names)).items():
        fates = Counter(chat.survey for chat in chats)
        ratings = [chat.rating for chat in chats if chat.rating is not None]
        top = sum(rating >= 4 for rating in ratings)
        low, high = wilson(top, len(ratings))
        yield dict(zip(names, key, strict=True)) | {
            "offered": len(chats),
            "response_rate": share(fates["completed"], len(chats)),
            **{name: fates[name] for name in ("completed", "abandoned", "pending")},
            "rated": len(ratings),
            "rating_sum": sum(ratings),
            "top_two": top,
            "mean_rating": mean(ratings),
            "top_two_share": share(top, len(ratings)),
            "top_two_share_low": low,
            "top_two_share_high": high,
        }


@mart
def tag_mix_monthly(account: Account) -> Iterator[Row]:
    for month, chats in grouped(account.chats, lambda it: month_of(it.created_day)).items():
        counts = Counter(tag for chat in chats for tag in (set(chat.tags) or {None}))
        for tag, count in counts.items():
            yield {"month": month, "tag": tag, "chats": count, "chats_of_month": len(chats)} | {
                "share": count / len(chats)
            }


@mart
def tag_pairs_monthly(account: Account) -> Iterator[Row]:
    for month, chats in grouped(account.chats, lambda it: month_of(it.created_day)).items():
        single = Counter(tag for chat in chats for tag in set(chat.tags))
        pairs = Counter(pair for chat in chats for pair in combinations(sorted(set(chat.tags)), 2))
        for (first, second), both in pairs.items():
            lift = (both / len(chats)) / ((single[first] / len(chats)) * (single[second] / len(chats)))
            yield {"month": month, "first_tag": first, "second_tag": second, "chats": both, "lift": lift}
