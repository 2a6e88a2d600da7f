"""What the tables must hold once a number of reads of the chats are loaded, in whatever order: the rules, set down
plainly and a second time.

Belongs here: the reference the loader is held against, computed from all that was told at once. Nothing is imported
from the loader.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

Record = dict[str, Any]
Table = dict[Any, Any]
ZONE = ZoneInfo("America/Bogota")
_CLOCKS = ("created_at", "opened_at", "picked_up_at", "responded_at", "closed_at")
READS_TO_DELETE = 2


def instant(text: str) -> datetime:
    """A clock of the account."""
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).astimezone(UTC)


@dataclass(frozen=True)
class CompleteRead:
    """The pages of one read, each with the time it was asked for, and the hours it covers completely."""

    hours: frozenset[datetime]
    pages: Sequence[tuple[datetime, Sequence[Record]]]

    def tellings(self) -> "list[Telling]":
        """What it tells of each chat of its hours: the newest, where pages overlap."""
        newest: dict[str, Telling] = {}
        for read_at, records in self.pages:
            for record in records:
                telling = Telling(record, read_at)
                if telling.hour in self.hours:
                    newest[record["chat_id"]] = telling
        return list(newest.values())

    def hour_read_at(self, hour: datetime) -> datetime:
        """When the oldest record of an hour was asked for; the first page, where it has none."""
        return min(
            (at for at, records in self.pages for record in records if Telling(record, at).hour == hour),
            default=self.pages[0][0],
        )


@dataclass(frozen=True)
class Telling:
    """What one page tells of a chat."""

    record: Record
    read_at: datetime

    @property
    def created_at(self) -> datetime:
        return instant(self.record["created_at"])

    @property
    def hour(self) -> datetime:
        return self.created_at.replace(minute=0, second=0)

    def messages(self) -> Iterator[tuple[tuple[Any, ...], Record]]:
        """Its messages by what tells them apart: all but what may change of one, and which of several alike it is."""
        seen = Counter[tuple[Any, ...]]()
        for message in self.record["messages"]:
            key = (instant(message["created_at"]), message["incoming"], message["body"])
            seen[key] += 1
            yield (*key, seen[key]), message


def reference_tables(reads: Sequence[CompleteRead]) -> dict[str, Table]:
    """The rows that the reads make, by natural keys."""
    told: dict[str, list[Telling]] = {}
    for read in reads:
        for telling in read.tellings():
            told.setdefault(telling.record["chat_id"], []).append(telling)
    tellings = [telling for tellings in told.values() for telling in tellings]
    messages = {key: _messages(tellings) for key, tellings in told.items()}
    return {
        "chats": {key: _chat(tellings, messages[key], reads) for key, tellings in told.items()},
        "messages": {(chat, *key): row for chat, rows in messages.items() for key, row in rows.items()},
        "agents": _agents(tellings),
        "contacts": _contacts(tellings),
        "departments": _last_seen(tellings, "department"),
    }


def _messages(tellings: Sequence[Telling]) -> Table:
    """The newest list that reaches over a moment says which messages there are of it; the others are superseded."""
    lists = [(telling.read_at, dict(telling.messages())) for telling in tellings]
    rows: Table = {}
    for key in {key for _, told in lists for key in told}:
        _, decisive = max(
            ((at, told) for at, told in lists if told and min(told)[0] <= key[0] <= max(told)[0]), key=lambda it: it[0]
        )
        rows[key] = {"told": key in decisive, "broadcasted": decisive[key]["broadcasted"] if key in decisive else None}
    return rows


def _chat(tellings: Sequence[Telling], messages: Table, reads: Sequence[CompleteRead]) -> Record:
    newest = max(tellings, key=lambda it: it.read_at)
    record, held = newest.record, sorted(key for key, row in messages.items() if row["told"])
    outgoing = [place for place, (_, incoming, *_) in enumerate(held) if not incoming]
    clocks = [instant(record[name]) for name in _CLOCKS if record[name]]
    lacking = [
        read
        for read in reads
        if newest.hour in read.hours
        and read.hour_read_at(newest.hour) > newest.read_at
        and all(told.record["chat_id"] != record["chat_id"] for told in read.tellings())
    ]
    return {
        "raw_status": record["status"],
        "agent": record["agent"] and record["agent"]["username"],
        "contact": record["contact"] and str(record["contact"]["id"]),
        "department": record["department"],
        "closed_at": record["closed_at"] and instant(record["closed_at"]),
        "is_deleted": len(lacking) >= READS_TO_DELETE,
        "messages_told": bool(messages),
        "unread_count": len(held) - 1 - outgoing[-1] if outgoing else len(held),
        "last_modified_at": max(clocks + [at for at, *_ in held]),
    }


def _agents(tellings: Sequence[Telling]) -> Table:
    """The name that was read last; the department of the newest chat that was told with one, as it was read last."""
    rows: Table = {}
    for username, seen_at in _last_seen(tellings, "agent", "username").items():
        mine = [it for it in tellings if it.record["agent"] and it.record["agent"]["username"] == username]
        named = max(mine, key=lambda it: (it.read_at, it.created_at)).record["agent"]
        placed = [it for it in mine if it.record["department"]]
        newest = max(placed, key=lambda it: (it.created_at, it.read_at), default=None)
        department = newest and newest.record["department"]
        rows[username] = {"name": named["name"], "email": named["email"], "department": department, "seen_at": seen_at}
    return rows


def _contacts(tellings: Sequence[Telling]) -> Table:
    rows: Table = {}
    for key, seen_at in _last_seen(tellings, "contact", "id").items():
        mine = [it for it in tellings if it.record["contact"] and str(it.record["contact"]["id"]) == key]
        newest = max(mine, key=lambda it: (it.read_at, it.created_at)).record["contact"]
        rows[key] = {"full_name": newest["name"], "email": newest["email"], "seen_at": seen_at}
    return rows


def _last_seen(tellings: Sequence[Telling], field: str, key: str | None = None) -> dict[str, datetime]:
    """When the newest chat was created that tells of each."""
    seen: dict[str, datetime] = {}
    for telling in tellings:
        value = telling.record[field]
        if value:
            name = str(value[key]) if key else value
            seen[name] = max(telling.created_at, seen.get(name, telling.created_at))
    return seen
