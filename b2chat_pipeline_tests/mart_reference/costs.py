"""What it cost to ask models about conversations."""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from b2chat_pipeline_tests.mart_reference.account import Account, Row
from b2chat_pipeline_tests.mart_reference.figures import grouped, mart, share


@mart
def scoring_spending_daily(account: Account) -> Iterator[Row]:
    departments = {chat["id"]: chat["department_id"] for chat in account.tables["chats"]}
    names = ("spent_day", "department_id", "model", "prompt_version", "mode", "is_canary")
    for key, calls in grouped(
        account.calls,
        lambda it: (
            *(it["day"], departments.get(it["chat_id"]), it["model"], it["prompt_version"], it["mode"]),
            it["chat_id"].partition(":")[:2] == ("canary", ":"),
        ),
    ).items():
        by_state = grouped(calls, lambda it: it["state"])
        yield dict(zip(names, key, strict=True)) | {
            "calls": len(calls),
            "open_calls": len(by_state["reserved"]),
            "lost_calls": len(by_state["lost"]),
            "scorings": sum(it["outcome"] == "scored" for it in calls),
            "paid_usd": _dollars(it for it in calls if it["state"] != "reserved"),
            "lost_usd": _dollars(by_state["lost"]),
            "open_usd": _dollars(by_state["reserved"]),
        }


@mart
def scoring_cost_daily(account: Account) -> Iterator[Row]:
    closed = {chat.id: chat for chat in account.chats if chat.finished_at is not None}
    judged = grouped(
        (it for it in account.calls if it["chat_id"] in closed),
        lambda it: (closed[it["chat_id"]].day_of(closed[it["chat_id"]].closed_at), it["model"], it["prompt_version"]),
    )
    for (day, model, version), calls in judged.items():
        that_day = (chat for chat in closed.values() if chat.day_of(chat.closed_at) == day)
        for department, chats in grouped(that_day, lambda chat: chat.department_id).items():
            ids = {chat.id for chat in chats}
            about = [it for it in calls if it["chat_id"] in ids]
            scored = len({it["chat_id"] for it in about if it["outcome"] == "scored"})
            paid = _dollars(it for it in about if it["state"] != "reserved")
            yield {
                "closed_day": day,
                "department_id": department,
                "model": model,
                "prompt_version": version,
                "chats": len(chats),
                "scored": scored,
                "paid_usd": paid,
                "open_usd": _dollars(it for it in about if it["state"] == "reserved"),
                "usd_per_1000_closed": 1000 * float(paid) / len(chats),
                "usd_per_1000_scored": share(1000 * float(paid), scored),
            }


def _dollars(calls: Iterable[Row]) -> Decimal:
    return sum((it["reserved_usd"] if it["cost_usd"] is None else it["cost_usd"] for it in calls), Decimal())
