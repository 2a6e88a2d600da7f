"""A conversation as it is judged: its messages in order, numbered from 1.

Here belong reading them and the form they are sent in. Not here: what is taken out of the texts (`redaction.py`).
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import msgspec
from psycopg import Connection

Side = Literal["customer", "company"]

# What was told and is still told. In a chat with a survey, what follows the closing is the survey: left out, so that a
# score never knows the rating it is compared with.
_MESSAGES = """
    select m.chat_id, m.incoming, m.timestamp, m.type::text, case when m.type = 'text' then m.text else m.caption end
      from messages m
      join chats c on c.id = m.chat_id
     where m.chat_id = any(%s)
       and m.superseded_at is null
       and (upper(btrim(coalesce(c.raw_status, ''))) not like '%%\\_POLL'
            or c.closed_at is null or m.timestamp <= c.closed_at)
     order by m.chat_id, m.timestamp, m.position, m.id
"""


class Line(msgspec.Struct, frozen=True):
    """One message. `text` is the caption where `kind` is image or file; None where there are no words."""

    n: int
    side: Side = msgspec.field(name="from")
    at: str
    kind: str
    text: str | None


class _Block(msgspec.Struct, frozen=True):
    messages: Sequence[Line]


@dataclass(frozen=True)
class Transcript:
    """The messages of one chat, in order of time."""

    lines: Sequence[Line] = field(repr=False)

    def block(self) -> str:
        """The one JSON object that is sent."""
        return msgspec.json.encode(_Block(self.lines)).decode()

    def digest(self) -> str:
        """What tells this conversation from what it was before another message came: SHA-256, in hexadecimal."""
        return hashlib.sha256(self.block().encode()).hexdigest()

    def text_of(self, number: int) -> str | None:
        """What the message with an ordinal says; None where it says nothing, or there is no such message."""
        return self.lines[number - 1].text if 1 <= number <= len(self.lines) else None


def read_transcripts(connection: Connection, chat_ids: Sequence[str]) -> Mapping[str, Transcript]:
    """The transcripts of some chats, by id, texts as they were written; chats without messages are missing."""
    found: dict[str, list[Line]] = {}
    for chat_id, *message in connection.execute(_MESSAGES, (list(chat_ids),)):
        lines = found.setdefault(chat_id, [])
        lines.append(_line(len(lines) + 1, *message))
    return {chat_id: Transcript(lines) for chat_id, lines in found.items()}


def words(transcript: Transcript) -> Iterator[str]:
    """All words of all messages."""
    for line in transcript.lines:
        yield from (line.text or "").split()


def _line(number: int, incoming: bool, sent_at: datetime, kind: str, text: str | None) -> Line:  # noqa: FBT001 - a row
    side: Side = "customer" if incoming else "company"
    return Line(number, side, f"{sent_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", kind, text or None)
