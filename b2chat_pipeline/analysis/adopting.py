"""Finds out what became of batches whose creation was never answered: no second one is asked for before that is known.

The service keeps no name of ours for a batch, but for each item: a batch of as many requests from that time is a
candidate, and its results tell whether the items are ours. Hold `scoring_alone` meanwhile: while another process may
still be waiting for the answer, nothing is lost. Not here: reading all results (`collecting.py`).
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from psycopg import Connection

from b2chat_pipeline.analysis.batch_service import BatchInfo, BatchService
from b2chat_pipeline.analysis.batches import Batch, begin_processing, call_ids, known_to_us, lose, open_batches, release

# The clocks of two machines may differ by so much.
_SKEW = timedelta(minutes=15)
# A batch that is not in the list so long after it was asked for was never created.
GRACE = timedelta(hours=1)


def adopt(connection: Connection, service: BatchService, now: datetime) -> None:
    """Adopt the batches that exist, release those that do not, and leave alone what cannot be told yet.

    Raises CallFailedError and ServiceStoppedError.
    """
    for batch in open_batches(connection):
        if batch.service_id is None:
            _resolve(connection, service, batch, now)


def _resolve(connection: Connection, service: BatchService, batch: Batch, now: datetime) -> None:
    ours = call_ids(connection, batch)
    may_come = now < batch.prepared_at + GRACE
    is_gone = False
    for candidate in list(_candidates(connection, service, batch)):
        if not candidate.has_ended:
            may_come = True
            continue
        results = service.results(candidate.id)
        first = None if results is None else next(results, None)
        if first is None:
            is_gone = True
        elif first.custom_id in ours:
            begin_processing(connection, batch.id, candidate.id, now)
            return
    if may_come:
        return
    if is_gone:
        lose(connection, batch.id, now)
    else:
        release(connection, batch.id, now)


def _candidates(connection: Connection, service: BatchService, batch: Batch) -> Iterator[BatchInfo]:
    """The service's batches that may be this one."""
    known = known_to_us(connection)
    for info in service.newest_first():
        if info.created_at < batch.prepared_at - _SKEW:
            return
        is_of_that_time = info.created_at <= batch.prepared_at + GRACE + _SKEW
        if is_of_that_time and info.id not in known and info.requests == batch.requests:
            yield info
