"""The books of every sync are honest, complete, and hold nothing of the account's people."""

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from b2chat_pipeline.b2chat.contract import CHATS
from b2chat_pipeline.ingest.sync import Outcome
from b2chat_pipeline.simulator import Fault, World, mutated_records
from b2chat_pipeline.simulator.expectation import expected
from b2chat_pipeline.warehouse.accounts import (
    SYSTEM_USER,
    UnknownUserError,
    ZoneChangedError,
    ensure_users,
    hold_zone,
    stored_settings,
    user_id,
)
from b2chat_pipeline.warehouse.budget import Limits
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline_tests.loading_support import Pipeline, hours_between, rows, running_pipeline

FIRST, LAST = date(2025, 3, 3), date(2025, 3, 5)
NOW = datetime(2025, 3, 12, 18, tzinfo=UTC)
WORLD = World(first_day=FIRST, zone=ZoneInfo("America/Bogota"), chats_per_day=15, contacts=20)
SIDE = ["agents", "chats", "contacts", "departments", "messages"]
BOOKS = ("sync_logs", "sync_states", "sync_checkpoints", "error_logs", "audit_logs", "ops.window_reads", "ops.ledger")
# Planted in the account; they must be found nowhere but in the tables and the raw pages.
NAME, PHONE = "Zoraida Inventada", "+15550199999"


def book(url: str, query: str) -> list[dict[str, Any]]:
    with connect(url, purpose="compare") as connection:
        return rows(connection, query)


def load_day(pipeline: Pipeline, day: date = FIRST) -> Outcome:
    return pipeline.load(CHATS, hours_between(pipeline.clock, day, day, until=NOW))


def refuse(url: str, table: str, value: str, *, when: str = "true") -> None:
    """Let a table refuse rows, with an error text that quotes the row, as PostgreSQL's own texts do."""
    with connect(url, purpose="prepare") as connection:
        connection.execute(
            f"""
            create function refuse() returns trigger language plpgsql as
            $$ begin raise exception 'bad row %', {value} using errcode = 'check_violation', detail = {value}; end $$;
            create trigger refuse before insert on {table} for each row when ({when}) execute function refuse();
            """.encode()
        )


def test_the_books_after_a_success(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        outcome = load_day(pipeline)
        end = pipeline.clock.day_window(FIRST).end
    account = expected(WORLD, NOW, first=FIRST, last=FIRST)

    logs = book(database_url, "select * from sync_logs order by entity_type")
    assert [log["entity_type"] for log in logs] == SIDE
    for log in logs:
        assert (log["user_id"], log["operation"], log["status"]) == (SYSTEM_USER, "manual", "success")
        assert (log["started_at"], log["completed_at"], log["error_message"]) == (NOW, NOW, None)
        assert log["metadata"] | {"hours": 24, "read": True, "load": True, "endpoint": CHATS} == log["metadata"]
    counted = {log["entity_type"]: log["record_count"] for log in logs}
    assert counted["chats"] == len(account.chats)
    assert counted["messages"] == sum(map(len, account.messages.values()))
    assert [log["id"] for log in logs if log["entity_type"] == "chats"] == [outcome.sync_id]

    states = book(database_url, "select * from sync_states order by entity_type")
    assert [state["entity_type"] for state in states] == SIDE
    for state in states:
        assert (state["sync_status"], state["last_sync_timestamp"]) == ("idle", end)
        assert (state["failed_records"], state["sync_duration"]) == (0, 0)
        assert state["total_records"] == counted[state["entity_type"]]


def test_the_checkpoint_the_raw_pages_and_the_audit_after_a_success(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        outcome = load_day(pipeline)
        asked = [request.params for request in pipeline.simulator.requests if request.path == CHATS]

    (checkpoint,) = book(database_url, "select * from sync_checkpoints")
    (page,) = book(database_url, "select * from api_response_logs")
    assert (checkpoint["sync_id"], checkpoint["entity_type"], checkpoint["status"]) == (
        outcome.sync_id,
        "chats",
        "completed",
    )
    assert checkpoint["processed_records"] == checkpoint["successful_records"] == page["record_count"]
    assert checkpoint["total_records"] == page["raw_response"]["total"]
    assert (checkpoint["completed_at"], page["api_timestamp"]) == (NOW, NOW)
    assert (page["sync_id"], page["endpoint"]) == (outcome.sync_id, CHATS)
    assert [{name: str(value) for name, value in page["request_params"].items()}] == asked
    assert page["response_size"] > 1000
    audits = book(database_url, "select * from audit_logs order by id")
    assert [(audit["event_type"], audit["user_id"], audit["success"]) for audit in audits] == [
        ("sync.start", SYSTEM_USER, True),
        ("sync.complete", SYSTEM_USER, True),
    ]
    assert {audit["request_id"] for audit in audits} == {outcome.sync_id}
    assert book(database_url, "select * from error_logs") == []


def test_the_books_after_a_part_failed(database_url: str) -> None:
    odd = next(iter(expected(WORLD, NOW, first=FIRST, last=FIRST).chats))
    refuse(database_url, "chats", "new::text", when=f"new.b2chat_id = '{odd}'")
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        outcome = load_day(pipeline)
    (error,) = outcome.failed.values()

    logs = book(database_url, "select distinct status, error_message from sync_logs")
    assert logs == [{"status": "partial", "error_message": str(error)}]
    assert {state["sync_status"] for state in book(database_url, "select * from sync_states")} == {"idle"}
    (row,) = book(database_url, "select * from error_logs")
    assert (row["error_code"], row["message"], row["request_id"]) == ("LoadError", str(error), outcome.sync_id)
    audits = book(database_url, "select success, error_message from audit_logs order by id")
    assert audits[-1] == {"success": False, "error_message": str(error)}


def test_the_books_after_an_error(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        pipeline.simulator.faults.add(Fault(kind="html"))
        load_day(pipeline)

    assert {log["status"] for log in book(database_url, "select * from sync_logs")} == {"error"}
    states = book(database_url, "select * from sync_states")
    assert {(state["sync_status"], state["last_sync_timestamp"]) for state in states} == {("error", None)}
    (row,) = book(database_url, "select * from error_logs")
    assert row["error_code"] == "ContractError"


def test_a_used_up_budget_is_partial_and_no_error(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        load_day(Pipeline(pipeline.simulator, pipeline.url, pipeline.clock, Limits(0, 1)))

    logs = book(database_url, "select distinct status, error_message from sync_logs")
    assert logs == [{"status": "partial", "error_message": None}]
    assert book(database_url, "select * from error_logs") == []


def test_the_watermark_only_grows(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        for day in (LAST, FIRST):
            load_day(pipeline, day)
        end = pipeline.clock.day_window(LAST).end

    states = book(database_url, "select distinct last_sync_timestamp from sync_states")
    assert states == [{"last_sync_timestamp": end}]


def planted(record: dict[str, Any]) -> dict[str, Any]:
    person = {"id": 7, "name": NAME, "mobile_number": PHONE, "email": f"{NAME.split(maxsplit=1)[0]}@example.test"}
    told = {"created_at": record["created_at"], "incoming": True, "type": "TEXT", "body": f"Soy {NAME}, {PHONE}"}
    return record | {"contact": person, "messages": [told], "alias": NAME}


@pytest.mark.parametrize("table", ["chats", "contacts", "messages", "api_response_logs", "ops.window_reads"])
def test_no_name_number_or_text_of_a_person_enters_the_books(table: str, database_url: str) -> None:
    refuse(database_url, table, "new::text")
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        pipeline.simulator.faults.add(mutated_records(planted))
        hours = hours_between(pipeline.clock, FIRST, FIRST, until=NOW)
        try:
            outcome = pipeline.load(CHATS, hours)
        except psycopg.errors.CheckViolation as error:
            raised = error
            assert table in {"api_response_logs", "ops.window_reads"}
            assert table == "ops.window_reads" or NAME in str(raised)
        else:
            assert outcome.failed

    queries = [f"select b::text from {name} b" for name in BOOKS]  # noqa: S608 - the tables' names
    written = "".join(str(row) for query in queries for row in book(database_url, query))
    assert "CheckViolation" in written
    assert "bad row" not in written
    for told in (NAME, PHONE, "Zoraida", "Soy "):
        assert told not in written
    assert {log["status"] for log in book(database_url, "select status from sync_logs")} <= {"error", "partial"}


def test_another_zone_than_the_tables_were_loaded_in_is_refused(database_url: str) -> None:
    with connect(database_url, purpose="zone") as connection:
        hold_zone(connection, "America/Bogota", now=NOW)
        hold_zone(connection, "America/Bogota", now=NOW)
        with pytest.raises(ZoneChangedError, match=r"B2CHAT_TIMEZONE is Europe/Madrid.* loaded in America/Bogota: set"):
            hold_zone(connection, "Europe/Madrid", now=NOW)

        assert stored_settings(connection)["LOADED_TIMEZONE"] == "America/Bogota"


def test_users_are_the_system_and_the_administrators_each_once(database_url: str) -> None:
    with connect(database_url, purpose="users") as connection:
        connection.execute("insert into users (id, email, role) values ('idp-1', 'ana@example.test', 'Manager')")
        for _ in range(2):
            ensure_users(connection, ("ana@example.test", "luis@example.test"), now=NOW)
        users = connection.execute("select email, role::text from users order by email").fetchall()

        assert users == [("ana@example.test", "Admin"), ("luis@example.test", "Admin"), ("system@localhost", "Admin")]
        assert user_id(connection, None) == user_id(connection, "") == SYSTEM_USER
        assert user_id(connection, " Ana@Example.test ") == "idp-1"
        with pytest.raises(UnknownUserError, match="add the address to B2CHAT_ADMIN_EMAILS") as caught:
            user_id(connection, "nobody@example.test")
        assert "@" not in str(caught.value)


def test_a_system_user_with_another_address_is_left_as_it_is(database_url: str) -> None:
    with connect(database_url, purpose="users") as connection:
        connection.execute("insert into users (id, email, role) values ('system', 'ops@example.test', 'Admin')")

        ensure_users(connection, (), now=NOW)

        assert connection.execute("select id, email from users").fetchall() == [("system", "ops@example.test")]


def test_only_system_wide_settings_are_read(database_url: str) -> None:
    with connect(database_url, purpose="settings") as connection:
        ensure_users(connection, (), now=NOW)
        connection.execute(
            "insert into system_settings (id, key, value, category, is_system_setting, user_id) values"
            " ('1', 'B2CHAT_API_URL', 'https://one.test', 'b2chat', true, null),"
            " ('2', 'THEME', 'dark', 'user', false, 'system'), ('3', 'B2CHAT_ADMIN_EMAILS', '', 'b2chat', true, null)"
        )

        assert stored_settings(connection) == {"B2CHAT_API_URL": "https://one.test"}
