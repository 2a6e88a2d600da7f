"""Chats and messages as told, decoded and mapped, for the tests of the mapping."""

import json
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from b2chat_pipeline.b2chat.contract import Chat, Misfit
from b2chat_pipeline.b2chat.decoding import decode_chat
from b2chat_pipeline.ingest.mapping import MappedChat, chat_told, map_chat, message_lines, synced
from b2chat_pipeline.ingest.rows import MESSAGE_COLUMNS, ChatTold
from b2chat_pipeline.warehouse.write import NULL
from b2chat_pipeline.windows import AccountClock

BOGOTA, NEW_YORK = AccountClock(ZoneInfo("America/Bogota")), AccountClock(ZoneInfo("America/New_York"))
NOON = datetime(2025, 3, 10, 12, tzinfo=UTC)


def message(**changes: object) -> dict[str, object]:
    return {"created_at": "2025-03-03 09:12:09", "incoming": True, "type": "TEXT", "body": "Hola"} | changes


def mapped(clock: AccountClock = BOGOTA, **changes: object) -> tuple[MappedChat | None, list[Misfit]]:
    raw = json.dumps({"chat_id": "c1", "created_at": "2025-03-03 09:12:44"} | changes).encode()
    decoded = decode_chat(raw)
    assert isinstance(decoded.record, Chat)
    assert not decoded.misfits
    return map_chat(decoded.record, raw, clock)


def fitting(clock: AccountClock = BOGOTA, **changes: object) -> MappedChat:
    chat, misfits = mapped(clock, **changes)
    assert chat is not None
    assert misfits == []
    return chat


def row(clock: AccountClock = BOGOTA, **changes: object) -> ChatTold:
    chat = fitting(clock, **changes)
    return chat_told(chat, chat.new_id)


class MessageRow(NamedTuple):
    """Of a row of `messages`, what the tests look at."""

    id: str
    text: str | None
    type: str | None
    raw_type: str | None
    image_url: str | None
    file_url: str | None
    timestamp: str
    time_flag: str | None


def messages(*told: dict[str, object], clock: AccountClock = BOGOTA) -> list[MessageRow]:
    lines = message_lines(fitting(clock, messages=list(told)), "row")
    rows = [
        dict(zip(MESSAGE_COLUMNS, synced(line.encode(), NOON).decode().rstrip("\n").split("\t"), strict=True))
        for line in lines.values()
    ]
    assert [row["id"] for row in rows] == list(lines)
    return [MessageRow(*(_told(row[name]) for name in MessageRow._fields)) for row in rows]  # type: ignore[arg-type]


def _told(field: str) -> str | None:
    return None if field == NULL else field
