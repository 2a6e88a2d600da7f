"""Which of several lists of a chat's messages decides about a message, in whatever order they are loaded.

The newest list that reaches over a moment decides about it: what it tells of that moment is there, what it lacks is
superseded. So what is remembered of the lists loaded before is which stretch of time each was the newest for. Here
belongs that, and nothing about rows of messages (`messages.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from b2chat_pipeline.ingest.batch import Telling
from b2chat_pipeline.warehouse.message_lists import MessageList


@dataclass(frozen=True)
class ListTold:
    """A telling's list of messages, which is not empty, and those that were loaded before it."""

    telling: Telling
    before: Sequence[MessageList]

    @cached_property
    def itself(self) -> MessageList:
        """The list that is told."""
        times = [epoch for epoch, _, _ in self.telling.chat.stamps]
        return MessageList(self.telling.read_at, _instant(min(times)), _instant(max(times)))

    @cached_property
    def decisive(self) -> list[MessageList]:
        """Of all those lists the ones that are the newest for any stretch of time, the newest first."""
        kept: list[MessageList] = []
        lists = sorted([*self.before, self.itself], key=lambda it: (it.read_at, it.last_at - it.first_at))
        for it in reversed(lists):
            if not any(newer.contains(it) for newer in kept):
                kept.append(it)
        return kept

    @property
    def is_newest(self) -> bool:
        """Whether no newer list has been loaded before."""
        return all(it.read_at <= self.itself.read_at for it in self.before)

    def overruled(self) -> dict[int, datetime]:
        """The places of those of its messages that a newer list decides about, and when that was read."""
        newer = [it for it in self.before if it.read_at > self.itself.read_at]
        places = {}
        for place, (epoch, _, _) in enumerate(self.telling.chat.stamps if newer else ()):
            moment = _instant(epoch)
            read_at = min((it.read_at for it in newer if it.reaches_over(moment)), default=None)
            if read_at is not None:
                places[place] = read_at
        return places


def _instant(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)
