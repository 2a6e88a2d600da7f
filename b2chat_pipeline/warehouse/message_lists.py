"""Which lists of a chat's messages decide about which stretch of its time, where that is not simply the newest one.

Here belongs `ops.message_lists`. Not here: what a list means for the stored messages (`ingest/lists.py`). A chat
without rows here was told its newest list whenever it was last told, and that list reaches over all its stored
messages: so it is with nearly every chat.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection


@dataclass(frozen=True)
class MessageList:
    """A list of a chat's messages: when it was asked for, and the times of its first and last message."""

    read_at: datetime
    first_at: datetime
    last_at: datetime

    def reaches_over(self, moment: datetime) -> bool:
        """Whether it says what was written at a moment."""
        return self.first_at <= moment <= self.last_at

    def contains(self, other: "MessageList") -> bool:
        """Whether it reaches over all that another one reaches over."""
        return self.first_at <= other.first_at and other.last_at <= self.last_at


def message_lists(connection: Connection, chat_ids: Sequence[str]) -> dict[str, list[MessageList]]:
    """The lists of those chats, by id, that have rows."""
    lists: dict[str, list[MessageList]] = {}
    for chat_id, *told in connection.execute(
        "select chat_id, read_at, first_at, last_at from message_lists where chat_id = any(%b)", (list(chat_ids),)
    ):
        lists.setdefault(chat_id, []).append(MessageList(*told))
    return lists


def stored_stretches(connection: Connection, chat_ids: Sequence[str]) -> dict[str, tuple[datetime, datetime]]:
    """The times of the first and the last stored message of some chats, by id."""
    rows = connection.execute(
        "select chat_id, min(timestamp), max(timestamp) from messages where chat_id = any(%s) group by chat_id",
        (list(chat_ids),),
    )
    return {row[0]: (row[1], row[2]) for row in rows}


def replace_lists(connection: Connection, lists: Mapping[str, Sequence[MessageList]]) -> None:
    """Remember these lists of some chats, by id, in place of those remembered before."""
    if not lists:
        return
    connection.execute("delete from message_lists where chat_id = any(%b)", (list(lists),))
    rows = [(chat_id, it.read_at, it.first_at, it.last_at) for chat_id, its in lists.items() for it in its]
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into message_lists (chat_id, read_at, first_at, last_at) values (%s, %s, %s, %s)", rows
        )
