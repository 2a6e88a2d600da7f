"""Raw records on their way from a stored page into a day's batch, and how what becomes of them is counted.

Not here: decoding (`batch.py`, `contacts.py`), and which day a record belongs to (`days.py`).
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from b2chat_pipeline.b2chat.contract import Misfit
from b2chat_pipeline.warehouse.ledger import Counts, Rejected
from b2chat_pipeline.warehouse.reads import storable_json

# Counts by entity and hour (its start).
Tally = defaultdict[tuple[str, datetime], Counts]


@dataclass(frozen=True, slots=True)
class Received:
    """A raw record, when its page was asked for, and the hour (its start) it is loaded for."""

    raw: bytes
    read_at: datetime
    hour: datetime


def count_outside(tally: Tally, entity: str, outside: Mapping[datetime, int]) -> None:
    """Count records that lie outside the hours asked for, given by their own hour."""
    for hour, number in outside.items():
        tally[entity, hour].received += number
        tally[entity, hour].outside += number


def rejected(misfit: Misfit, received: Received, endpoint: str) -> Rejected:
    """A record, or a part of one, as it goes to quarantine."""
    return Rejected(
        entity=misfit.entity,
        endpoint=endpoint,
        record_key=misfit.key,
        reason=misfit.reason,
        json_path=misfit.path,
        raw_record=storable_json(misfit.raw),
        hour=received.hour,
        read_at=received.read_at,
    )
