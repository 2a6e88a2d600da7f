"""Departures of the API from what we know of it, each kind kept once with its count.

Here belongs `ops.contract_drift`. Not here: finding them (`b2chat/drift.py`).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

from psycopg import Connection

from b2chat_pipeline.warehouse.identifiers import new_id

# Endpoint, path, kind, detail.
Key = TypeVar("Key", bound=tuple[str, str, str, str])


def record_drift(connection: Connection, sync_id: str, departures: Mapping[Key, int], *, now: datetime) -> None:
    """Count departures, each given by its endpoint, path, kind and detail; a new one gets a row."""
    if not departures:
        return
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into contract_drift (id, endpoint, path, kind, detail, first_seen_at, last_seen_at,"
            " occurrences, sync_id) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " on conflict (endpoint, path, kind, detail) do update set last_seen_at = excluded.last_seen_at,"
            " occurrences = contract_drift.occurrences + excluded.occurrences, sync_id = excluded.sync_id",
            [(new_id(), *departure, now, now, number, sync_id) for departure, number in sorted(departures.items())],
        )
