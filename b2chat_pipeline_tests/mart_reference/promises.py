"""Whether promises were kept."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from b2chat_pipeline_tests.mart_reference.account import TARGETS, Account, Chat, Row, seconds_between
from b2chat_pipeline_tests.mart_reference.figures import DIMENSIONS, by_dimensions, dimensions, is_inbound, mart, share


def _clocks(account: Account) -> Iterator[tuple[Chat, str, float | None, bool | None]]:
    """Each promise to each inbound chat: how long it took, and whether it was kept."""
    for chat in filter(is_inbound, account.chats):
        for clock, start, _, stopped in chat.clocks():
            yield chat, clock, seconds_between(start, stopped), chat.verdict(clock)


@mart
def sla_daily(account: Account) -> Iterator[Row]:
    for key, clocks in by_dimensions(
        _clocks(account), lambda it: it[0].created_day, lambda it: it[1], chat=lambda it: it[0]
    ).items():
        verdicts = Counter(verdict for *_, verdict in clocks)
        running = sum(
            verdict is None and not chat.is_closed and (clock != "pickup" or chat.opened_at is not None)
            for chat, clock, _, verdict in clocks
        )
        yield dict(zip(("created_day", "clock", *DIMENSIONS), key, strict=True)) | {
            "policy": "default",
            "policy_version": 1,
            "chats": len(clocks),
            "met": verdicts[True],
            "breached": verdicts[False],
            "running": running,
            "not_judged": verdicts[None] - running,
            "met_share_of_judged": share(verdicts[True], verdicts[True] + verdicts[False]),
        }


@mart
def sla_breaches(account: Account) -> Iterator[Row]:
    for chat, clock, elapsed, verdict in _clocks(account):
        if verdict is False and elapsed is not None:
            started_at = chat.opened_at if clock == "pickup" else chat.created_at
            target = TARGETS[clock]
            yield _breach(chat, clock, target, elapsed) | {
                "policy": "default",
                "policy_version": 1,
                "in_business_time": False,
                "breached_at": started_at + timedelta(seconds=target),
            }


# A promise in business time to close each chat of a channel; it goes before the default one.
CALM_SECONDS = 90_000
CALM = """
    insert into ops.sla_policies (policy, version, clock, channel, target_seconds, in_business_hours)
    values ('calm', 3, 'resolution', 'whatsapp', 90000, true)
"""


def sla_breaches_if_calm(account: Account) -> list[Row]:
    """The rows of sla_breaches under that promise."""
    under_it = [chat for chat in account.chats if is_inbound(chat) and chat.provider == "whatsapp"]
    keys = {chat.id for chat in under_it}
    others = [row for row in sla_breaches(account) if row["clock"] != "resolution" or row["chat_id"] not in keys]
    return others + [row for chat in under_it for row in _calm_breaches(chat)]


def _calm_breaches(chat: Chat) -> Iterator[Row]:
    if chat.openings is None:
        return
    elapsed = chat.openings.seconds(chat.created_at, chat.finished_at)
    if elapsed is not None and elapsed > CALM_SECONDS:
        yield _breach(chat, "resolution", CALM_SECONDS, elapsed) | {
            "policy": "calm",
            "policy_version": 3,
            "in_business_time": True,
            "breached_at": chat.openings.used_up(chat.created_at, CALM_SECONDS),
        }


def _breach(chat: Chat, clock: str, target: int, elapsed: float) -> Row:
    return {
        "chat_id": chat.id,
        "clock": clock,
        "created_day": chat.created_day,
        **dimensions(chat),
        "target_seconds": target,
        "elapsed_seconds": elapsed,
        "excess_seconds": elapsed - target,
    }
