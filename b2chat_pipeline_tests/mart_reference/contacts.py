"""Who comes back, and who answers."""

import math
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any

from b2chat_pipeline_tests.mart_reference.account import (
    Account,
    Chat,
    Row,
    seconds_between,
)
from b2chat_pipeline_tests.mart_reference.figures import (
    DAY,
    DIMENSIONS,
    HOUR,
    dimensions,
    grouped,
    is_inbound,
    mart,
    month_of,
    percentile,
    share,
)


def _by_contact(account: Account) -> dict[Any, list[Chat]]:
    return grouped((chat for chat in account.chats if chat.contact_id is not None), lambda it: it.contact_id)


@mart
def contact_frequency(account: Account) -> Iterator[Row]:
    for contact, chats in _by_contact(account).items():
        times = [chat.created_at for chat in chats]
        yield {
            "contact_id": contact,
            "loaded_until": account.loaded_until,
            "chats": len(times),
            **{
                f"chats_{days}_days": sum(account.loaded_until - at <= days * DAY for at in times)
                for days in (7, 30, 90)
            },
            "first_chat_at": min(times),
            "last_chat_at": max(times),
        }


@mart
def contact_concentration(account: Account) -> Iterator[Row]:
    for days in (7, 30, 90):
        counts = [row[f"chats_{days}_days"] for row in contact_frequency(account)]
        busy = sorted((count for count in counts if count), reverse=True)
        top = math.ceil(len(busy) / 10)
        if busy:
            yield {
                "days": days,
                "contacts": len(busy),
                "chats": sum(busy),
                "top_decile_contacts": top,
                "top_decile_chats": sum(busy[:top]),
                "top_decile_share": sum(busy[:top]) / sum(busy),
            }


@mart
def contact_chains(account: Account) -> Iterator[Row]:
    for contact, chats in _by_contact(account).items():
        chains = [[chats[0]]]
        for before, chat in pairwise(chats):
            if chat.created_at - before.created_at < 72 * HOUR:
                chains[-1].append(chat)
            else:
                chains.append([chat])
        for number, chain in enumerate(chains, start=1):
            yield {
                "contact_id": contact,
                "chain_number": number,
                "first_day": chain[0].created_day,
                "first_chat_at": chain[0].created_at,
                "last_chat_at": chain[-1].created_at,
                "chats": len(chain),
                "is_complete": chain[-1].created_at + 72 * HOUR <= account.loaded_until,
            }


@mart
def repeat_contact(account: Account) -> Iterator[Row]:
    for chats in _by_contact(account).values():
        for chat in (it for it in chats if it.finished_at is not None):
            later = [it for it in chats if is_inbound(it) and it.created_at > chat.closed_at]
            for hours in (24, 72, 168):
                end = chat.closed_at + hours * HOUR
                over = False if end <= account.loaded_until else None
                yield {
                    "chat_id": chat.id,
                    "period_hours": hours,
                    "closed_day": chat.day_of(chat.closed_at),
                    "contact_id": chat.contact_id,
                    "reopens": chat.reopens,
                    **dimensions(chat),
                    "repeated_any_channel": any(it.created_at <= end for it in later) or over,
                    "repeated_same_channel": any(it.created_at <= end and it.provider == chat.provider for it in later)
                    or over,
                }


@mart
def first_contact_resolution(account: Account) -> Iterator[Row]:
    judged = [row for row in repeat_contact(account) if row["period_hours"] == 168]
    names = ("closed_day", *DIMENSIONS)
    for key, chats in grouped(judged, lambda it: tuple(it[name] for name in names)).items():
        fates = Counter("reopened" if it["reopens"] else it["repeated_any_channel"] for it in chats)
        yield dict(zip(names, key, strict=True)) | {
            "closed": len(chats),
            "resolved_at_first_contact": fates[False],
            "repeated": fates[True],
            "n_open": fates[None],
            "n_reopened": fates["reopened"],
            "first_contact_resolution": share(fates[False], fates[False] + fates[True]),
        }


@mart
def new_and_returning(account: Account) -> Iterator[Row]:
    first = {chats[0].id for chats in _by_contact(account).values()}
    names = ("created_day", "provider", "direction")
    for key, chats in grouped(account.chats, lambda it: tuple(getattr(it, name) for name in names)).items():
        known = [chat for chat in chats if chat.contact_id is not None]
        new = sum(chat.id in first for chat in known)
        yield dict(zip(names, key, strict=True)) | {
            "chats": len(chats),
            "new_contacts": new,
            "returning_chats": len(known) - new,
            "without_contact": len(chats) - len(known),
            "new_share": share(new, len(known)),
        }


@mart
def contact_cohorts(account: Account) -> Iterator[Row]:
    months = {
        contact: {month_of(chat.created_day) for chat in chats if is_inbound(chat)}
        for contact, chats in _by_contact(account).items()
    }
    until = account.loaded_until.astimezone(account.zone).replace(tzinfo=None)
    for cohort, contacts in grouped((it for it in months if months[it]), lambda it: min(months[it])).items():
        number, month = 0, cohort
        while datetime(month.year, month.month, 1) < until:  # noqa: DTZ001 - both are local
            following = month_of(month + 31 * DAY)
            writing = sum(month in months[contact] for contact in contacts)
            yield {
                "cohort_month": cohort,
                "month_number": number,
                "contacts": len(contacts),
                "writing_contacts": writing,
                "retention": writing / len(contacts),
                "is_complete": datetime(following.year, following.month, 1) <= until,  # noqa: DTZ001
            }
            number, month = number + 1, following


@mart
def broadcast_reach(account: Account) -> Iterator[Row]:
    sends = [(chat, it["timestamp"]) for chat in account.chats for it in chat.told if it["broadcasted"]]
    for (day, provider, alias), of_day in grouped(
        sends, lambda it: (it[0].day_of(it[1]), it[0].provider, it[0].alias)
    ).items():
        replies = [(sent_at, _reply_after(chat, sent_at)) for chat, sent_at in of_day]
        known = [seconds for _, seconds in replies if seconds is not None]
        row: Row = {
            "sent_day": day,
            "provider": provider,
            "alias": alias,
            "sends": len(of_day),
            "contacts": len({chat.contact_id for chat, _ in of_day if chat.contact_id is not None}),
            "chats": len({chat.id for chat, _ in of_day}),
            "n_reply": len(known),
            "median_reply_seconds": percentile(known, 0.5),
            "p90_reply_seconds": percentile(known, 0.9),
        }
        for hours in (24, 72):
            within = [seconds is not None and seconds <= hours * 3600 for _, seconds in replies]
            over = [sent_at + hours * HOUR <= account.loaded_until for sent_at, _ in replies]
            n = sum(replied or done for replied, done in zip(within, over, strict=True))
            row |= {f"n_{hours}_h": n, f"replied_in_{hours}_h": sum(within)}
            row[f"replied_in_{hours}_h_share"] = share(sum(within), n)
        yield row


def _reply_after(chat: Chat, sent_at: datetime) -> float | None:
    later = [it["timestamp"] for it in chat.told if it["incoming"] and it["timestamp"] > sent_at]
    return seconds_between(sent_at, later[0]) if later else None
