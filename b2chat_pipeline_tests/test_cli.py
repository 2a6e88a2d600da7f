"""The `b2chat` command: what a user can put right is one sentence and exit status 1, never a traceback."""

import os
import re
import signal
import socket
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import LiteralString
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import sql

from b2chat_pipeline.commands.ports import free_port
from b2chat_pipeline.partitions import hours_between
from b2chat_pipeline.settings import Account, read_storage
from b2chat_pipeline.simulator import Clock, Simulator
from b2chat_pipeline.warehouse.connection import REVISION
from b2chat_pipeline.warehouse.location import warehouse_place
from b2chat_pipeline_tests.command_support import (
    GOOD,
    Command,
    Home,
    Said,
    wait_for_file,
    wait_for_line,
    wait_until_none,
)
from b2chat_pipeline_tests.dagster_support import ADMIN, BUSY_WORLD, NOW, PROJECT, account_environment

SECRET = "hunter2-very-secret"
LOAD = ("load", "2025-03-03", "2025-03-04")
DEV = ("dev", "--port", str(free_port()))


COMMANDS: list[tuple[str, ...]] = [
    *((), ("demo",), ("dev",), ("load",), ("doctor",), ("build",), ("db",), ("db", "upgrade"), ("simulate",)),
    ("db", "retain"),
    *(("config",), ("config", "apply"), ("config", "show")),
    *(("notifications",), ("notifications", "list"), ("notifications", "read")),
    *(("quarantine",), ("quarantine", "list"), ("quarantine", "show"), ("quarantine", "replay")),
]


def assert_is_one_sentence(said: Said, beginning: str) -> None:
    assert said.status == 1
    assert said.output == ""
    assert re.fullmatch(rf"b2chat: {re.escape(beginning)}[^\n]*\.\n", said.errors), said.errors


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(b2chat: Command, command: tuple[str, ...]) -> None:
    said = b2chat(*command, "--help")

    assert said.status == 0
    assert said.output.startswith("Usage: b2chat")
    assert len(said.output.splitlines()) > 4


@pytest.mark.parametrize("group", [(), ("db",), ("config",), ("notifications",), ("quarantine",)], ids=" ".join)
def test_a_list_of_commands_cuts_no_sentence(b2chat: Command, group: tuple[str, ...]) -> None:
    _, commands = b2chat(*group, "--help").output.split("Commands:\n")

    assert all(re.fullmatch(r"  [\w-]+ +[A-Z].*[^.]\.", line) for line in commands.splitlines()), commands


def test_the_version_is_told(b2chat: Command) -> None:
    assert re.fullmatch(r"b2chat, version \d+\.\d+\.\d+\n", b2chat("--version").output)


WRONG = [
    ("B2CHAT_USERNAME", None, "B2CHAT_USERNAME is not set: "),
    ("B2CHAT_PASSWORD", None, "B2CHAT_PASSWORD is not set: "),
    ("B2CHAT_TIMEZONE", None, "B2CHAT_TIMEZONE is not set: "),
    ("B2CHAT_START_DATE", None, "B2CHAT_START_DATE is not set: "),
    ("B2CHAT_TIMEZONE", "Mars/Base", "B2CHAT_TIMEZONE is 'Mars/Base', which is no time zone: "),
    ("B2CHAT_START_DATE", "someday", "B2CHAT_START_DATE is 'someday', which is no day: "),
    ("B2CHAT_API_URL", "api", "B2CHAT_API_URL is 'api', which is no address: "),
    ("B2CHAT_REQUESTS_PER_SECOND", "fast", "B2CHAT_REQUESTS_PER_SECOND is 'fast', which is no number of requests: "),
    ("B2CHAT_REQUESTS_PER_DAY", "1.5", "B2CHAT_REQUESTS_PER_DAY is '1.5', which is no number of requests: "),
    ("B2CHAT_ADMIN_EMAILS", "me", "B2CHAT_ADMIN_EMAILS holds something that is no e-mail address: "),
    ("B2CHAT_DATABASE_URL", f"mysql://u:{SECRET}@h/d", "B2CHAT_DATABASE_URL is no PostgreSQL URL: "),
    ("DAGSTER_DATABASE_URL", f"oracle://u:{SECRET}@h/d", "DAGSTER_DATABASE_URL is no PostgreSQL URL: "),
]


@pytest.mark.parametrize(("name", "value", "beginning"), WRONG)
@pytest.mark.parametrize("command", [LOAD, DEV], ids=["load", "dev"])
def test_a_setting_that_is_missing_or_wrong_is_one_sentence(
    b2chat: Command, command: tuple[str, ...], name: str, value: str | None, beginning: str
) -> None:
    said = b2chat(*command, **{name: value})

    assert_is_one_sentence(said, beginning)
    assert SECRET not in said.errors


@pytest.mark.parametrize("command", [LOAD, DEV, ("db", "upgrade")], ids=["load", "dev", "upgrade"])
def test_a_database_that_cannot_be_reached_is_one_sentence(b2chat: Command, command: tuple[str, ...]) -> None:
    closed = f"postgresql://loader:{SECRET}@127.0.0.1:1/warehouse"

    said = b2chat(*command, B2CHAT_DATABASE_URL=closed, DAGSTER_DATABASE_URL=closed)

    assert_is_one_sentence(said, "the databases cannot be made ready (OperationalError): check B2CHAT_DATABASE_URL")
    assert SECRET not in said.errors


GOING_AWAY = [
    (("quarantine", "list"), "ops.quarantine", "quarantine", "the look into the quarantine"),
    (("quarantine", "show", "anything"), "ops.quarantine", "quarantine", "the look into the quarantine"),
    (("db", "retain"), "system_settings", "retention", "the retention"),
    (("build",), "system_settings", "build", "the build of the SQL models"),
]
_END_THE_ONE_THAT_WAITS = """
    select pg_terminate_backend(pid) from pg_stat_activity where application_name = %s and wait_event_type = 'Lock'
"""


@pytest.mark.parametrize(("command", "table", "purpose", "name"), GOING_AWAY, ids=["list", "show", "retain", "build"])
def test_a_database_that_goes_away_is_one_sentence(
    b2chat: Command, database_url: str, command: tuple[str, ...], table: LiteralString, purpose: str, name: str
) -> None:
    def end_connection() -> None:
        deadline = time.monotonic() + 60
        while not holder.execute(_END_THE_ONE_THAT_WAITS, (f"b2chat {purpose}",)).fetchall():
            assert time.monotonic() < deadline
            holder.execute("select pg_stat_clear_snapshot()")
            time.sleep(0.05)

    with psycopg.connect(database_url) as holder, ThreadPoolExecutor(1) as threads:
        holder.execute(sql.SQL("lock table {} in access exclusive mode").format(sql.SQL(table)))
        ending = threads.submit(end_connection)
        said = b2chat(*command, B2CHAT_DATABASE_URL=database_url, DAGSTER_DATABASE_URL=database_url)
        ending.result()

    assert_is_one_sentence(
        said, f"the database stopped {name} with AdminShutdown (57P01): see the PostgreSQL log, then "
    )


@pytest.mark.parametrize("command", [LOAD, DEV, ("db", "upgrade")], ids=["load", "dev", "upgrade"])
def test_a_data_folder_that_cannot_be_made_is_one_sentence(
    b2chat: Command, command: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    embedded = {"B2CHAT_DATABASE_URL": None, "DAGSTER_DATABASE_URL": None}
    said = b2chat(*command, B2CHAT_DATA_DIR=str(tmp_path / "file"), **embedded)

    assert_is_one_sentence(said, f"{tmp_path / 'file' / 'postgres'} cannot be used (Not a directory): set B2CHAT_DATA")


@pytest.mark.parametrize("url", ["postgresql://loader@127.0.0.1:1", "postgresql://[", "postgresql://h:port/d"])
@pytest.mark.parametrize("name", ["B2CHAT_DATABASE_URL", "DAGSTER_DATABASE_URL"])
def test_an_address_without_a_database_or_sense_is_one_sentence(b2chat: Command, name: str, url: str) -> None:
    good = "postgresql://u@127.0.0.1:1/d"

    said = b2chat("db", "upgrade", **{"B2CHAT_DATABASE_URL": good, "DAGSTER_DATABASE_URL": good, name: url})

    assert_is_one_sentence(said, "the databases cannot be made ready")


@pytest.mark.parametrize(
    ("start", "end", "beginning"),
    [
        ("2025-03-04", "2025-03-03", "2025-03-04 .. 2025-03-03 holds no hour: "),
        ("2025-03-03", "2025-03-03", "2025-03-03 .. 2025-03-03 holds no hour: "),
        ("yesterday", "2025-03-04", "'yesterday' is no day and no time: "),
        ("2025-03-03", "2025-02-30", "'2025-02-30' is no day and no time: "),
        ("2025-03-01", "2025-03-04", "2025-03-01 .. 2025-03-04 is not on offer: hours from 2025-03-03-00:00 to "),
        ("2025-03-03", "2999-01-01", "2025-03-03 .. 2999-01-01 is not on offer: "),
        ("2025-03-03T10:10", "2025-03-03T10:50", "2025-03-03T10:10 .. 2025-03-03T10:50 cuts an hour in two: "),
    ],
)
def test_a_range_that_cannot_be_loaded_is_one_sentence(b2chat: Command, start: str, end: str, beginning: str) -> None:
    assert_is_one_sentence(b2chat("load", start, end), beginning)


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        ("2026-03-08", "2026-03-09", 23),
        ("2025-11-02", "2025-11-03", 25),
        ("2025-11-02T01:00", "2025-11-02T02:00", 2),
        ("2025-11-02T14:00", "2025-11-03T02:00:00", 12),
    ],
    ids=["clocks go forward", "clocks go back", "the repeated hour", "over midnight"],
)
def test_a_range_holds_every_hour_that_begins_in_it(start: str, end: str, hours: int) -> None:
    keys = hours_between(Account(ZoneInfo("America/New_York"), date(2025, 1, 1)), start, end)

    assert len(set(keys)) == len(keys) == hours


def test_an_account_whose_first_day_lies_ahead_has_nothing_to_load(b2chat: Command) -> None:
    said = b2chat("load", "2999-01-02", "2999-01-03", B2CHAT_START_DATE="2999-01-01")

    assert_is_one_sentence(said, "2999-01-02 .. 2999-01-03 is not on offer: ")


@pytest.mark.parametrize("command", ["dev", "demo", "simulate"])
def test_a_port_that_is_taken_is_one_sentence(b2chat: Command, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        said = b2chat(command, "--port", str(port))

    assert_is_one_sentence(said, f"port {port} is taken")


@pytest.mark.parametrize(
    "options", [("dev", "--port", "0"), ("simulate", "--zone", "Mars/Base"), ("demo", "--days", "0"), ("load",)]
)
def test_a_wrong_use_is_explained(b2chat: Command, options: tuple[str, ...]) -> None:
    said = b2chat(*options)

    assert said.status == 2
    assert said.errors.startswith("Usage: b2chat")


def test_a_load_says_what_it_did(b2chat: Command, database_url: str, empty_database_url: str) -> None:
    with Simulator(BUSY_WORLD, clock=Clock(NOW)) as simulator:
        settings = account_environment(simulator.url, database_url) | {"DAGSTER_DATABASE_URL": empty_database_url}
        said = b2chat("load", "2025-03-03T09:00", "2025-03-03T12:00", "--user", ADMIN, **settings)

    assert said.status == 0, said.errors
    assert "3 hours in 1 run" in said.output
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "select entity, sum(received), sum(inserted) from ops.ledger group by entity"
        ).fetchall()
        users = connection.execute("select distinct email from sync_logs join users on users.id = user_id").fetchall()
    for entity, received, inserted in rows:
        assert re.search(rf"{entity} +│ +{received} │ +{inserted} │", said.output), said.output
    assert users == [(ADMIN,)]


def test_what_keeps_all_steps_of_a_load_from_starting_is_said_once(
    b2chat: Command, database_url: str, empty_database_url: str
) -> None:
    urls = {"B2CHAT_DATABASE_URL": database_url, "DAGSTER_DATABASE_URL": empty_database_url}

    said = b2chat("load", "2025-03-03T09:00", "2025-03-03T10:00", "--user", "nobody@example.test", **urls)

    assert said.status == 1
    assert said.output.count("names nobody in users") == 1


def test_a_load_with_a_failed_hour_names_it_and_fails(
    b2chat: Command, database_url: str, empty_database_url: str
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "alter table chats add check (created_at not between '2025-03-03 15:00Z' and '2025-03-03 16:00Z')"
        )

    with Simulator(BUSY_WORLD, clock=Clock(NOW)) as simulator:
        settings = account_environment(simulator.url, database_url) | {"DAGSTER_DATABASE_URL": empty_database_url}
        said = b2chat("load", "2025-03-03T09:00", "2025-03-03T12:00", **settings)

    assert said.status == 1
    assert "Failed: 1 of 3 hours of /chats/export are not loaded: 2025-03-03-10:00." in said.output
    assert "Traceback" not in said.output + said.errors


def test_the_tables_can_be_upgraded_twice(b2chat: Command, empty_database_url: str, database_url: str) -> None:
    settings = {"B2CHAT_DATABASE_URL": empty_database_url, "DAGSTER_DATABASE_URL": database_url}

    said = [b2chat("db", "upgrade", **settings) for _ in range(2)]

    assert {(it.status, it.errors) for it in said} == {(0, "")}
    assert {it.output for it in said} == {
        f"The warehouse is at revision {REVISION}: {warehouse_place(read_storage(settings))}.\n"
    }


LOOKS = [("quarantine", "list"), ("quarantine", "replay"), ("db", "retain"), ("replay", "2025-03-03", "2025-03-04")]


@pytest.mark.parametrize("command", LOOKS, ids=" ".join)
def test_a_look_into_a_warehouse_that_was_never_made_is_one_sentence_and_makes_none(
    b2chat: Command, home: Home, command: tuple[str, ...]
) -> None:
    said = b2chat(*command, B2CHAT_DATABASE_URL=None, DAGSTER_DATABASE_URL=None)

    assert_is_one_sentence(said, f"there is no warehouse in {home.data}: make one with `b2chat dev`, or name yours in ")
    assert not home.data.exists()


def test_a_replay_of_hours_that_are_not_over_says_where_to_end(b2chat: Command) -> None:
    said = b2chat("replay", "2025-03-03", "2999-01-01")

    assert_is_one_sentence(said, "2025-03-03 .. 2999-01-01 holds hours that are not over yet: end at ")


def test_plain_dg_dev_without_a_database_says_how_to_start(home: Home) -> None:
    (home.folder / "b2chat_pipeline").symlink_to(PROJECT / "b2chat_pipeline")

    said = home.run(["dg", "dev", "--port", str(free_port())], {})

    assert said.status == 1
    assert "Traceback" not in said.output + said.errors
    assert said.errors.splitlines()[-1] == (
        "DAGSTER_DATABASE_URL is not set and the embedded PostgreSQL is not running: start everything with"
        " `b2chat dev`, or set the variable in .env (see .env.example)."
    )


def test_settings_are_read_from_the_file_in_this_folder(b2chat: Command, home: Home) -> None:
    (home.folder / ".env").write_text("B2CHAT_TIMEZONE=Mars/Base\n")

    said = b2chat("load", "2025-03-03", "2025-03-04", B2CHAT_TIMEZONE=None)

    assert_is_one_sentence(said, "B2CHAT_TIMEZONE is 'Mars/Base', which is no time zone: ")


def test_a_simulated_api_answers_until_it_is_interrupted(home: Home) -> None:
    port = free_port()

    with home.running(["b2chat", "simulate", "--port", str(port), "--now", "2025-03-06T13:00:00"], {}) as process:
        wait_for_line(process.stdout, f"A simulated B2Chat API is at http://127.0.0.1:{port} ")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)

        assert process.wait(10) == 0


# No hour is over yet, so that the schedule starts no run.
IDLE = {**GOOD, "B2CHAT_DATABASE_URL": "", "B2CHAT_START_DATE": "2999-01-01"}


def test_dev_that_is_terminated_while_it_starts_leaves_nothing_behind(home: Home) -> None:
    with home.running(["b2chat", "dev", "--port", str(free_port())], IDLE) as process:
        wait_for_file(home.data / "logs" / "daemon.log")
        process.send_signal(signal.SIGTERM)

        assert process.wait(60) == 1
        wait_until_none(home)


def test_dev_whose_database_dies_says_so_starts_again_and_stops_everything_that_it_started(home: Home) -> None:
    port = free_port()
    dev = ["b2chat", "dev", "--port", str(port)]
    with home.running(dev, IDLE) as process:
        wait_for_line(process.stdout, "Dagster is at ")
        postmaster = int((home.data / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(postmaster, signal.SIGKILL)

        assert process.wait(60) == 1
        wait_until_none(home)
    said = (home.folder / "b2chat.log").read_text()
    assert re.fullmatch(r"b2chat: the embedded PostgreSQL ended by itself: [^\n]*start this again\.\n", said), said

    with home.running(dev, IDLE) as process:
        wait_for_line(process.stdout, f"Dagster is at http://127.0.0.1:{port};")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5) as answer:
            assert answer.status == 200
        assert wait_for_line(process.stdout, f"Tables and books: psql 'postgresql://postgres@/b2chat?host={home.data}")
        assert len(home.processes()) > 4
        process.send_signal(signal.SIGINT)

        assert process.wait(60) == 0
        assert wait_for_line(process.stdout, "Stopped.")
        wait_until_none(home)
