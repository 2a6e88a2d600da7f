"""Whether promises were kept."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from b2chat_pipeline_tests.mart_reference.account import TARGETS, Account, Chat, Row, seconds_between
from b2chat_pipeline_tests.mart_reference.figures import DIMENSIONS, dimensions, grouped, is_inbound, mart, share

# Promises in business time to the chats of a channel; they go before the default ones.
CALM_TARGETS = {"pickup": 3600, "resolution": 90_000}
CALM = """
    insert into ops.sla_policies (policy, version, clock, channel, target_seconds, in_business_hours)
    values ('calm', 3, 'resolution', 'whatsapp', 90000, true), ('calm', 3, 'pickup', 'whatsapp', 3600, true)
"""
_BREACH = (
    *("chat_id", "clock", "created_day", *DIMENSIONS, "policy", "policy_version", "in_business_time"),
    *("target_seconds", "elapsed_seconds"),
)


@mart
def sla_clocks(account: Account) -> Iterator[Row]:
    for chat in filter(is_inbound, account.chats):
        for clock, start, _, stopped in chat.clocks():
            yield {
                "chat_id": chat.id,
                "created_day": chat.created_day,
                **dimensions(chat),
                "is_closed": chat.is_closed,
                "calendar": "default" if chat.openings else None,
                "clock": clock,
                "policy": "default",
                "policy_version": 1,
                "started_at": start,
                "ended_at": stopped,
                "target_seconds": TARGETS[clock],
                "in_business_time": False,
                "elapsed_seconds": seconds_between(start, stopped),
                "is_met": chat.verdict(clock),
            }


def sla_clocks_if_calm(account: Account) -> list[Row]:
    """The rows of sla_clocks under the calm promises."""
    chats = {chat.id: chat for chat in account.chats}
    return [row | _calm(chats[row["chat_id"]], row) if _is_calm(row) else row for row in sla_clocks(account)]


def _is_calm(row: Row) -> bool:
    return row["clock"] in CALM_TARGETS and row["provider"] == "whatsapp"


def _calm(chat: Chat, row: Row) -> Row:
    target = CALM_TARGETS[row["clock"]]
    elapsed = chat.openings.seconds(row["started_at"], row["ended_at"]) if chat.openings else None
    has_ended = row["clock"] == "resolution" or chat.picked_up_at is not None
    met = None if elapsed is None else elapsed <= target
    return {
        "policy": "calm",
        "policy_version": 3,
        "target_seconds": target,
        "in_business_time": True,
        "elapsed_seconds": elapsed,
        "is_met": met if has_ended or met is False else None,
    }


@mart
def sla_daily(account: Account) -> Iterator[Row]:
    names = ("created_day", "clock", "policy", "policy_version", *DIMENSIONS)
    for key, clocks in grouped(sla_clocks(account), lambda it: tuple(it[name] for name in names)).items():
        verdicts = Counter(it["is_met"] for it in clocks)
        running = sum(it["is_met"] is None and not it["is_closed"] and it["started_at"] is not None for it in clocks)
        yield dict(zip(names, key, strict=True)) | {
            "chats": len(clocks),
            "met": verdicts[True],
            "breached": verdicts[False],
            "running": running,
            "not_judged": verdicts[None] - running,
            "met_share_of_judged": share(verdicts[True], verdicts[True] + verdicts[False]),
        }


@mart
def sla_breaches(account: Account) -> Iterator[Row]:
    for row in sla_clocks(account):
        if row["is_met"] is False:
            yield _breach(row) | {"breached_at": row["started_at"] + timedelta(seconds=row["target_seconds"])}


def sla_breaches_if_calm(account: Account) -> list[Row]:
    """The rows of sla_breaches under the calm promises."""
    openings = {chat.id: chat.openings for chat in account.chats if chat.openings}
    others = [row for row in sla_breaches(account) if not _is_calm(row)]
    broken = [row for row in sla_clocks_if_calm(account) if _is_calm(row) and row["is_met"] is False]
    return others + [
        _breach(row) | {"breached_at": openings[row["chat_id"]].used_up(row["started_at"], row["target_seconds"])}
        for row in broken
    ]


def _breach(row: Row) -> Row:
    excess = row["elapsed_seconds"] - row["target_seconds"]
    return {name: row[name] for name in _BREACH} | {"excess_seconds": excess}
