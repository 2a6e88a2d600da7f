"""Chats and messages as told, decoded and mapped, for the tests of the mapping."""

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from b2chat_pipeline.b2chat.contract import Chat, Misfit, decode_chat
from b2chat_pipeline.ingest.mapping import MappedChat, Parents, chat_row, map_chat, message_rows
from b2chat_pipeline.ingest.rows import ChatRow, MessageRow
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


def row(clock: AccountClock = BOGOTA, **changes: object) -> ChatRow:
    chat = fitting(clock, **changes)
    return chat_row(chat, chat.new_id, Parents({}, {}, {}), read_at=NOON, synced_at=NOON)


def messages(*told: dict[str, object], clock: AccountClock = BOGOTA) -> list[MessageRow]:
    return message_rows(fitting(clock, messages=list(told)), "row", synced_at=NOON)
