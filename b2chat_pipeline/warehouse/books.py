"""The honest books of every sync: sync_logs, sync_states, audit_logs, error_logs.

Here belongs writing them. Not here: pages and checkpoints (`reads.py`), counts per hour (`ledger.py`).
`sync_logs` gets one row per entity and run; the row of the side's main entity lends its id to pages and checkpoints.
A running sync holds an advisory lock on the connection it was opened with. PostgreSQL takes that back when the process
dies, which is how the next sync knows whose books are never going to be closed.
"""

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import Connection
from psycopg.types.json import Jsonb

from b2chat_pipeline.policy.circuit import opens
from b2chat_pipeline.warehouse.connection import named, remedy
from b2chat_pipeline.warehouse.identifiers import new_id


class SyncDiedError(Exception):
    """A sync whose process ended without closing its books."""


class SyncStoppedError(Exception):
    """A sync whose process was told to end, by Ctrl-C, SIGTERM or from the UI."""


@dataclass(frozen=True)
class Sync:
    """One run's entries in the books, as opened."""

    log_ids: Mapping[str, str]
    main_entity: str
    user_id: str
    run_id: str
    started_at: datetime

    @property
    def id(self) -> str:
        """The id that pages, checkpoints and the ledger refer to."""
        return self.log_ids[self.main_entity]


@dataclass(frozen=True)
class EntityTotals:
    """What became of an entity's records in one transaction."""

    received: int
    loaded: int
    quarantined: int


def open_sync(
    connection: Connection,
    entities: Sequence[str],
    *,
    user_id: str,
    operation: str,
    run_id: str,
    metadata: Mapping[str, object],
    now: datetime,
) -> Sync:
    """Open the books of a run, and close those of dead runs. The first entity is the main one.

    The connection must be the caller's own until `close_sync`: it holds the lock that says that the run is alive.
    """
    log_ids = {entity: new_id() for entity in entities}
    sync = Sync(log_ids, entities[0], user_id, run_id, now)
    details = {**metadata, "run_id": run_id, "sync_id": sync.id}
    close_dead(connection, entities, now=now)
    _hold(connection, sync.id)
    with connection.transaction():
        for entity in sorted(entities):
            connection.execute(
                "insert into sync_logs (id, user_id, entity_type, operation, record_count, status, started_at,"
                " metadata) values (%s, %s, %s, %s, 0, 'in_progress', %s, %s)",
                (log_ids[entity], user_id, entity, operation, now, Jsonb(details)),
            )
            _touch_state(connection, entity, now)
        _audit(connection, sync, "sync.start", details, now=now, error=None)
    return sync


def _hold(connection: Connection, sync_id: str) -> bool:
    """Whether this connection now owns a sync; false where a living process does."""
    query = "select pg_try_advisory_lock(hashtextextended(%s, 0))"
    row = connection.execute(query, (f"b2chat sync {sync_id}",)).fetchone()
    return row is not None and bool(row[0])


def _let_go(connection: Connection, sync_id: str) -> None:
    connection.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", (f"b2chat sync {sync_id}",))


def close_dead(connection: Connection, entities: Sequence[str], *, now: datetime) -> None:
    """Close the books of syncs of these entities whose owner is gone."""
    rows = connection.execute(
        "select distinct metadata ->> 'sync_id', metadata ->> 'run_id', user_id from sync_logs"
        " where status = 'in_progress' and entity_type = any(%s) and metadata ? 'sync_id'",
        (list(entities),),
    ).fetchall()
    for sync_id, run_id, user_id in rows:
        if _hold(connection, sync_id):
            with connection.transaction():
                _bury(connection, sync_id, run_id=run_id or "", user_id=user_id, now=now)
            _let_go(connection, sync_id)


def _bury(connection: Connection, sync_id: str, *, run_id: str, user_id: str, now: datetime) -> None:
    error = SyncDiedError("its process died")
    rows = connection.execute(
        "update sync_logs set status = 'error', completed_at = %s, error_message = %s"
        " where status = 'in_progress' and metadata ->> 'sync_id' = %s returning entity_type",
        (now, str(error), sync_id),
    ).fetchall()
    if not rows:
        return  # it closed its books itself in this very moment
    connection.execute(
        "update sync_states set sync_status = 'error', updated_at = %s where entity_type = any(%s)"
        " and sync_status = 'running' and not exists (select from sync_logs"
        " where sync_logs.entity_type = sync_states.entity_type and status = 'in_progress')",
        (now, [row[0] for row in rows]),
    )
    record_error(connection, error, sync_id=sync_id, run_id=run_id, user_id=user_id, now=now)


def _touch_state(connection: Connection, entity: str, now: datetime) -> None:
    connection.execute(
        "insert into sync_states (id, entity_type, sync_status, created_at, updated_at)"
        " values (%s, %s, 'running', %s, %s)"
        " on conflict (entity_type) do update set sync_status = 'running', updated_at = excluded.updated_at",
        (new_id(), entity, now, now),
    )


def record_progress(
    connection: Connection, sync: Sync, totals: Mapping[str, EntityTotals], *, watermark: datetime | None
) -> None:
    """Add a transaction's counts to the run's rows and move the watermark (the end of the newest hour loaded, or None).

    Called last in the transaction that loads the rows: all runs share the states, so their locks are held shortest.
    """
    for entity in sorted(totals):
        count = totals[entity]
        connection.execute(
            "update sync_logs set record_count = record_count + %s where id = %s",
            (count.received, sync.log_ids[entity]),
        )
    for entity in sorted(totals):
        connection.execute(
            "update sync_states set last_sync_timestamp = greatest(last_sync_timestamp, %s) where entity_type = %s",
            (watermark, entity),
        )


def close_sync(
    connection: Connection,
    sync: Sync,
    totals: Mapping[str, EntityTotals],
    *,
    status: str,
    error: BaseException | None,
    now: datetime,
) -> None:
    """Close the books of a run: success, partial or error, with one row in error_logs where something failed."""
    message = None if error is None else error_text(error)
    with connection.transaction():
        connection.execute(
            "update sync_logs set status = %s, completed_at = %s, error_message = %s where id = any(%s)",
            (status, now, message, list(sync.log_ids.values())),
        )
        _audit(connection, sync, "sync.complete", {"status": status, "sync_id": sync.id}, now=now, error=message)
        if error is not None:
            record_error(connection, error, sync_id=sync.id, run_id=sync.run_id, user_id=sync.user_id, now=now)
        state = _state(status, error)
        for entity in sorted(sync.log_ids):
            _close_state(connection, entity, totals.get(entity, EntityTotals(0, 0, 0)), sync, state=state, now=now)
    _let_go(connection, sync.id)


def _close_state(
    connection: Connection, entity: str, totals: EntityTotals, sync: Sync, *, state: str, now: datetime
) -> None:
    connection.execute(
        "update sync_states set sync_status = %s, total_records = %s, successful_records = %s, failed_records = %s,"
        " sync_duration = %s, updated_at = %s where entity_type = %s",
        (
            *(state, totals.received, totals.loaded, totals.quarantined),
            *(int((now - sync.started_at).total_seconds() * 1000), now, entity),
        ),
    )


def _state(status: str, error: BaseException | None) -> str:
    """How an entity stands after a sync: paused while its source is down, until a probe can read it."""
    if status != "error":
        return "idle"
    return "paused" if opens(status, type(error).__name__) else "error"


def error_text(error: BaseException) -> str:
    """What may be kept of an error: our own sentences hold no values, but the text of a library may quote a record."""
    if type(error).__module__.startswith("b2chat_pipeline."):
        return str(error)
    if isinstance(error, psycopg.OperationalError):
        return f"the database could not go on: {named(error)}; {remedy(error)}, then run this again."
    state = f" ({error.sqlstate})" if isinstance(error, psycopg.Error) and error.sqlstate else ""
    return f"the run ended with an unforeseen {type(error).__name__}{state}: see stack_trace in error_logs, report it."


def record_error(
    connection: Connection, error: BaseException, *, sync_id: str, run_id: str, user_id: str, now: datetime
) -> None:
    """One row of error_logs. The trace names places in the code only: values might be personal data."""
    frames = traceback.extract_tb(error.__traceback__)
    trace = "\n".join(f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames)
    connection.execute(
        "insert into error_logs (id, timestamp, level, message, error_code, stack_trace, user_id, request_id,"
        " correlation_id, source, created_at) values (%s, %s, 'error', %s, %s, %s, %s, %s, %s, 'sync', %s)",
        (new_id(), now, error_text(error), type(error).__name__, trace, user_id, sync_id, run_id, now),
    )


def _audit(
    connection: Connection, sync: Sync, event: str, details: Mapping[str, object], *, now: datetime, error: str | None
) -> None:
    connection.execute(
        "insert into audit_logs (id, timestamp, user_id, user_email, event_type, severity, resource, action, details,"
        " success, error_message, request_id, correlation_id, created_at)"
        " select %s, %s, users.id, users.email, %s, 'low', %s, 'update', %s, %s, %s, %s, %s, %s"
        " from users where users.id = %s",
        (
            *(new_id(), now, event, f"sync:{sync.main_entity}", Jsonb(details), error is None, error),
            *(sync.id, sync.run_id, now, sync.user_id),
        ),
    )
