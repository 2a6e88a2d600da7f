"""A sync whose process died leaves open books; the next one closes them, and leaves those of the living alone."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from psycopg import Connection

from b2chat_pipeline.warehouse.accounts import SYSTEM_USER, ensure_users
from b2chat_pipeline.warehouse.books import Sync, close_sync, open_sync
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline_tests.loading_support import rows

NOW = datetime(2025, 3, 12, 18, tzinfo=UTC)
LATER = datetime(2025, 3, 12, 19, tzinfo=UTC)


@pytest.fixture
def books(database_url: str) -> str:
    with connect(database_url, purpose="prepare") as connection:
        ensure_users(connection, (), now=NOW)
    return database_url


def opened(connection: Connection, entities: Sequence[str], *, run_id: str, now: datetime = LATER) -> Sync:
    return open_sync(connection, entities, user_id=SYSTEM_USER, operation="manual", run_id=run_id, metadata={}, now=now)


def found(url: str, query: str) -> list[dict[str, Any]]:
    with connect(url, purpose="compare") as connection:
        return rows(connection, query)


def test_the_books_of_a_dead_sync_are_closed_by_the_next_one(books: str) -> None:
    with connect(books, purpose="books") as dying:
        dead = opened(dying, ["chats", "messages"], run_id="dead", now=NOW)
    with connect(books, purpose="books") as connection:
        alive = opened(connection, ["chats"], run_id="alive")
        logs = {row["id"]: row for row in found(books, "select * from sync_logs")}
        states = {row["entity_type"]: row["sync_status"] for row in found(books, "select * from sync_states")}
        opened(connection, ["contacts"], run_id="another")

    for log_id in dead.log_ids.values():
        log = logs[log_id]
        assert (log["status"], log["error_message"], log["completed_at"]) == ("error", "its process died", LATER)
    assert logs[alive.id]["status"] == "in_progress"
    assert states == {"chats": "running", "messages": "error"}
    (error,) = found(books, "select * from error_logs")
    assert (error["request_id"], error["correlation_id"], error["error_code"]) == (dead.id, "dead", "SyncDiedError")


def test_the_books_of_a_living_sync_stay_open(books: str) -> None:
    with connect(books, purpose="books") as first, connect(books, purpose="books") as second:
        living = opened(first, ["chats"], run_id="first", now=NOW)
        opened(second, ["chats"], run_id="second")
        (log,) = found(books, f"select * from sync_logs where id = '{living.id}'")  # noqa: S608

    assert log["status"] == "in_progress"
    assert found(books, "select * from error_logs") == []


def test_a_closed_sync_is_left_as_it_is_and_holds_no_lock(books: str) -> None:
    with connect(books, purpose="books") as first:
        closed = opened(first, ["chats"], run_id="first", now=NOW)
        close_sync(first, closed, {}, status="success", error=None, now=NOW)
        locks = found(
            books,
            "select 1 from pg_locks join pg_database d on d.oid = database and datname = current_database()"
            " where locktype = 'advisory'",
        )
        opened(first, ["chats"], run_id="second")
        (log,) = found(books, f"select * from sync_logs where id = '{closed.id}'")  # noqa: S608

    assert (log["status"], locks) == ("success", [])
