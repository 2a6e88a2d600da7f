"""Chats that a complete read of their hour lacks: soft-deleted after two such reads, revived when told again.

Here belongs which chats a read tells, and which it lacks. Not here: the rows that remember it (`warehouse/history.py`).
A day that was told completely, by a list that held still, lacks what is absent; a chat that was told but does not fit
is not.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from b2chat_pipeline.b2chat.contract import CHATS
from b2chat_pipeline.ingest.batch import DayWrite, Telling
from b2chat_pipeline.ingest.days import DayRead
from b2chat_pipeline.warehouse.history import (
    Absence,
    HourMissed,
    delete_missed,
    miss_chats,
    miss_late_chats,
    tell_absent,
)


def tell_chats(write: DayWrite, day: DayRead, ids: Mapping[str, str], absences: Mapping[str, Absence]) -> None:
    """Let go of the absences of chats that are told; `ids` are those of the stored chats by their keys."""
    told_at = {chat_id: write.batch.chats[key].read_at for key, chat_id in ids.items() if chat_id in absences}
    if told_at:
        tell_absent(write.connection, told_at, sync_id=day.sync_id)


def miss_absent(
    write: DayWrite, day: DayRead, applied: Mapping[datetime, datetime], *, inserted: Iterable[Telling]
) -> None:
    """Note the chats that a day's read lacks; `applied` is when each hour's newest loaded read was taken before."""
    late = [told.chat.key for told in inserted if told.read_at < applied.get(told.hour, told.read_at)]
    if late:
        miss_late_chats(write.connection, CHATS, list(applied), late)
    if not (day.complete and day.tells_absence):
        return
    unfit = [rejected.record_key for rejected in write.batch.rejected if rejected.entity == "chats"]
    if None in unfit:
        return  # whose record it is cannot be known
    told = [*write.batch.chats, *(key for key in unfit if key is not None)]
    hours = [HourMissed(hour, day.reads[hour.start].read_at, applied.get(hour.start)) for hour in day.hours]
    missed = miss_chats(write.connection, hours, told, sync_id=day.sync_id)
    if missed:
        delete_missed(write.connection, missed, sync_id=day.sync_id, now=write.synced_at)
