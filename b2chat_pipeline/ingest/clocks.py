"""The clocks of a chat: read in the account's zone, kept as told, and flagged where they cannot be right.

A clock out of order is loaded all the same; the flag on its row says so. Not here: which column a clock fills.
"""

from dataclasses import dataclass
from datetime import datetime

from b2chat_pipeline.b2chat.contract import Chat
from b2chat_pipeline.ingest.values import UnstorableError
from b2chat_pipeline.windows import AccountClock

_LARGEST_INTEGER = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ChatClocks:
    """The clocks of a chat as instants (UTC), and what was odd about them, by column."""

    created_at: datetime
    opened_at: datetime | None
    picked_up_at: datetime | None
    response_at: datetime | None
    closed_at: datetime | None
    flags: list[str]

    @property
    def latest(self) -> datetime:
        """The latest of them."""
        clocks = (self.created_at, self.opened_at, self.picked_up_at, self.response_at, self.closed_at)
        return max(clock for clock in clocks if clock)


def response_clock(record: Chat) -> str | None:
    """The first answer's clock, under either of the two names it has been seen with."""
    return record.responded_at or record.response_at


def read_created_at(record: Chat, clock: AccountClock) -> datetime:
    """When a chat was created. Raises UnstorableError where that cannot be read."""
    instant = clock.read(record.created_at).instant if record.created_at else None
    if instant is None:
        raise UnstorableError("no time that can be read", "$.created_at")
    return instant


def read_clocks(record: Chat, clock: AccountClock) -> ChatClocks:
    """The clocks of a chat. Raises UnstorableError where created_at cannot be read."""
    flags: list[str] = []

    def instant(column: str, text: str | None) -> datetime | None:
        if not text:
            return None
        reading = clock.read(text)
        if reading.flag:
            flags.append(f"{column} {reading.flag}")
        return reading.instant

    clocks = ChatClocks(
        created_at=instant("created_at", record.created_at) or read_created_at(record, clock),
        opened_at=instant("opened_at", record.opened_at),
        picked_up_at=instant("picked_up_at", record.picked_up_at),
        response_at=instant("response_at", response_clock(record)),
        closed_at=instant("closed_at", record.closed_at),
        flags=flags,
    )
    flags.extend(_out_of_order(clocks))
    if not _duration_agrees(clocks, record.duration):
        flags.append("duration differs from closed_at - opened_at")
    return clocks


def _out_of_order(clocks: ChatClocks) -> list[str]:
    pairs = (
        ("opened_at", clocks.opened_at, "created_at", clocks.created_at),
        ("picked_up_at", clocks.picked_up_at, "opened_at", clocks.opened_at),
        ("response_at", clocks.response_at, "picked_up_at", clocks.picked_up_at),
        ("closed_at", clocks.closed_at, "created_at", clocks.created_at),
    )
    return [f"{late} before {early}" for late, after, early, before in pairs if after and before and after < before]


def _duration_agrees(clocks: ChatClocks, text: str | None) -> bool:
    """Whether the API's `DD:HH:MM:SS` is closed_at - opened_at, give or take a second, where both are told."""
    if not text or not clocks.closed_at or not clocks.opened_at:
        return True
    try:
        days, hours, minutes, seconds = (int(part) for part in text.split(":"))
    except ValueError:
        return False
    told = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    return abs((clocks.closed_at - clocks.opened_at).total_seconds() - told) <= 1


def duration(clocks: ChatClocks) -> int | None:
    """Seconds from created_at to closed_at; None where open, or where the clocks cannot be right."""
    if clocks.closed_at is None:
        return None
    seconds = int((clocks.closed_at - clocks.created_at).total_seconds())
    return seconds if 0 <= seconds <= _LARGEST_INTEGER else None
