"""Books are kept as long as the data dictionary recommends, and longer where something still goes by them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from b2chat_pipeline.warehouse import removal
from b2chat_pipeline.warehouse.books_retention import retain_books
from b2chat_pipeline.warehouse.connection import connect

NOW = datetime(2025, 6, 9, 12, tzinfo=UTC)
HOUR = datetime(2025, 1, 1, 5, tzinfo=UTC)
USER = "insert into users (id, email, role) values ('u', 'u@example.test', 'Admin')"
SYNC = (
    "insert into sync_logs (id, user_id, entity_type, operation, record_count, status, started_at, error_message)"
    " values (%s, 'u', 'contacts', %s, 0, %s, %s, %s)"
)
CHECKPOINT = (
    "insert into sync_checkpoints (id, sync_id, entity_type, status, updated_at) values (%s, %s, 'chats', 'active', %s)"
)
PAGE = "insert into api_response_logs values ('p', %s, '/chats/export', '{}', '{}', 2, 0, %s, %s)"
ERROR = "insert into error_logs (id, timestamp, level, message, source) values (%s, %s, 'error', 'm', 'sync')"
NOTICE = (
    "insert into notifications (id, user_id, title, message, type, created_at) values (%s, 'u', 't', 'm', 'error', %s)"
)
TOLD = (
    "insert into notifications (id, user_id, title, message, type, metadata, created_at)"
    " select %s, 'u', 't', 'm', 'error', jsonb_build_object('incident', %s::text), %s"
)
INCIDENT = "insert into ops.incidents (id, cause, title, since, last_at, over_at) values (%s, %s, 't', %s, %s, %s)"
OUTBOX = (
    "insert into ops.outbox (id, incident_id, event, channel, title, body, type, sent_at)"
    " values (%s, %s, 'begun', 'c', 't', 'b', 'error', %s)"
)
LEDGER = "insert into ops.ledger (sync_id, entity, hour_start, loaded_at) values (%s, %s, %s, %s)"


@pytest.fixture
def books(database_url: str) -> Iterator[psycopg.Connection]:
    with connect(database_url, purpose="test") as connection:
        connection.execute(USER)
        yield connection


def before(days: float) -> datetime:
    return NOW - timedelta(days=days)


def fill(books: psycopg.Connection) -> None:
    """Two rows of each table about its limit, and those that stay however old they are."""
    for it in (
        *(("old", "manual", "success", before(90.1), None), ("young", "manual", "success", before(89.9), None)),
        *(("failed", "manual", "error", before(99), "m"), ("open", "manual", "in_progress", before(99), None)),
        *(("all", "full", "success", before(99), None), ("all failed", "full", "error", before(99), "m")),
        *(("cut off", "manual", "partial", before(99), None), ("in part", "manual", "partial", before(99), "m")),
    ):
        books.execute(SYNC, it)
    for name, days in (("old", 90.1), ("young", 89.9), ("with pages", 99)):
        books.execute(CHECKPOINT, (name, name, before(days)))
    books.execute(PAGE, ("with pages", before(99), before(99)))
    for statement, limit in ((ERROR, 90), (NOTICE, 30)):
        books.execute(statement, ("old", before(limit + 0.1)))
        books.execute(statement, ("young", before(limit - 0.1)))
    for name, over in (("lasting", None), ("old", before(90.1)), ("young", before(89.9))):
        books.execute(INCIDENT, (name, name, before(99), before(99), over))
        books.execute(TOLD, (f"of {name}", name, before(99)))
    for name, sent in (("waiting", None), ("old", before(30.1)), ("young", before(29.9))):
        books.execute(OUTBOX, (name, name, sent))
    ledger = (
        *(("first", "chats", HOUR, before(99)), ("second", "chats", HOUR, before(98))),
        *(("first", "messages", HOUR, before(99)), ("first", "chats", HOUR + timedelta(hours=1), before(99))),
        *(("young", "agents", HOUR, before(89)), ("younger", "agents", HOUR, before(88))),
    )
    books.cursor().executemany(LEDGER, ledger)


def kept(books: psycopg.Connection) -> dict[str, list[str]]:
    return {
        table: [row[0] for row in books.execute(f"select {key} from {table} order by 1".encode())]  # noqa: S608
        for table, key in (
            *(("sync_logs", "id"), ("sync_checkpoints", "id"), ("error_logs", "id"), ("notifications", "id")),
            *(("ops.incidents", "id"), ("ops.outbox", "id")),
            ("ops.ledger", "concat_ws(' ', sync_id, entity, extract(hour from hour_start))"),
        )
    }


def test_books_are_removed_when_they_are_old_and_nothing_goes_by_them(books: psycopg.Connection) -> None:
    fill(books)
    everything = kept(books)

    would = retain_books(books, now=NOW, dry_run=True)
    untouched = kept(books)
    done = retain_books(books, now=NOW)

    assert untouched == everything
    assert would == done
    # Who was told of an incident goes once it is over, or forgotten itself.
    assert done == {
        "sync_logs": 4,
        "sync_checkpoints": 1,
        "error_logs": 1,
        "notifications": 3,
        "ops.incidents": 1,
        "ops.outbox": 1,
        "ops.ledger": 1,
    }
    assert kept(books) == {
        "sync_logs": ["all", "cut off", "open", "young"],
        "sync_checkpoints": ["with pages", "young"],
        "error_logs": ["young"],
        "notifications": ["of lasting", "young"],
        "ops.incidents": ["lasting", "young"],
        "ops.outbox": ["waiting", "young"],
        "ops.ledger": [
            *("first chats 6", "first messages 5", "second chats 5", "young agents 5", "younger agents 5"),
        ],
    }
    assert not any(retain_books(books, now=NOW).values())


def test_a_large_table_is_gone_through_in_many_short_statements(
    books: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "_PAGES", 1)
    rows = [(f"{number:04}", before(80 + number % 20)) for number in range(1_000)]
    books.cursor().executemany(ERROR, rows)

    done = retain_books(books, now=NOW)

    assert done["error_logs"] == 450
    assert kept(books)["error_logs"] == [name for name, at in rows if at >= before(90)]


def test_a_load_that_writes_books_is_not_kept_waiting(books: psycopg.Connection, database_url: str) -> None:
    fill(books)
    with psycopg.connect(database_url, options="-c timezone=UTC -c lock_timeout=1s") as load:
        load.execute("update sync_logs set record_count = 1 where id = 'young'")
        load.execute(ERROR, ("being written", before(99)))
        done = retain_books(books, now=NOW)
        load.execute("update sync_logs set record_count = 2 where id = 'open'")

    assert (done["sync_logs"], done["error_logs"]) == (4, 1)
    assert kept(books)["error_logs"] == ["being written", "young"]
