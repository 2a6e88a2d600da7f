"""Whatever the database does in the middle of a load, the run says what to do, and the next one puts all right."""

import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, LiteralString, cast
from zoneinfo import ZoneInfo

import psycopg
import pytest

from b2chat_pipeline.b2chat.contract import CHATS
from b2chat_pipeline.ingest.all_contacts import read_all_contacts
from b2chat_pipeline.ingest.bookkeeping import BooksOpenError
from b2chat_pipeline.ingest.loading import DayHeldUpError, LoadError
from b2chat_pipeline.ingest.sync import Order, Outcome, run_sync
from b2chat_pipeline.simulator import World
from b2chat_pipeline.simulator.expectation import expected
from b2chat_pipeline.warehouse.accounts import SYSTEM_USER
from b2chat_pipeline.warehouse.connection import WarehouseStoppedError, connect
from b2chat_pipeline.warehouse.database import ensure_database, migrate
from b2chat_pipeline.warehouse.embedded import EmbeddedPostgres
from b2chat_pipeline.windows import AccountClock
from b2chat_pipeline_tests import dagster_support
from b2chat_pipeline_tests.crash_support import wait_until_forgotten
from b2chat_pipeline_tests.loading_support import (
    Pipeline,
    business_rows,
    hours_between,
    row_versions,
    rows,
    running_pipeline,
    stored,
)
from b2chat_pipeline_tests.postgres import FAST, PostgresServer, chosen_programs, roomy_memory
from b2chat_pipeline_tests.postgres_proxy import Cut, Proxy, proxied

Rows = dict[str, list[dict[str, object]]]

FIRST, LAST = date(2025, 3, 3), date(2025, 3, 4)
NOW = datetime(2025, 3, 12, 18, tzinfo=UTC)
CLOCK = AccountClock(ZoneInfo("America/Bogota"))
WORLD = World(first_day=FIRST, zone=CLOCK.zone, chats_per_day=12, messages_per_chat=4, contacts=10)
HOURS = hours_between(CLOCK, FIRST, LAST, until=NOW)
PATIENCE = 60.0


@contextmanager
def private_server() -> Iterator[EmbeddedPostgres]:
    """A server of a test's own, to be killed: what it has committed stays."""
    settings = {**FAST, "synchronous_commit": "on"}
    with (
        TemporaryDirectory(prefix="b2chat-", dir=roomy_memory()) as directory,
        EmbeddedPostgres(Path(directory), programs=chosen_programs(), settings=settings) as server,
    ):
        yield server


@contextmanager
def private_database(server: EmbeddedPostgres) -> Iterator[Pipeline]:
    url = server.url("account")
    ensure_database(url)
    migrate(url)
    with running_pipeline(url, WORLD, now=NOW) as pipeline:
        yield pipeline


def assert_is_the_account(url: str) -> None:
    held, account = stored(url), expected(WORLD, NOW, first=FIRST, last=LAST)
    assert (held.chats, held.messages, held.agents) == (account.chats, account.messages, account.agents)


def logged(url: str) -> list[dict[str, object]]:
    with connect(url, purpose="compare") as connection:
        return rows(connection, "select distinct status, error_message from sync_logs order by 1")


def errors(url: str) -> list[dict[str, object]]:
    with connect(url, purpose="compare") as connection:
        return rows(connection, "select error_code, message from error_logs")


def execute(url: str, statement: LiteralString) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def wait_for(connection: psycopg.Connection, query: LiteralString) -> None:
    deadline = time.monotonic() + PATIENCE
    while not connection.execute(query).fetchone():
        assert time.monotonic() < deadline, query
        time.sleep(0.01)


def test_postgresql_killed_while_rows_are_copied_is_told_and_the_next_run_loads_them() -> None:
    with private_server() as server, private_database(server) as pipeline, ThreadPoolExecutor(1) as threads:
        execute(
            pipeline.url,
            """
            create function held() returns trigger language plpgsql as
            $$ begin perform pg_advisory_xact_lock_shared(4711); return new; end $$;
            create trigger held before insert on messages for each row execute function held();
            """,
        )
        with psycopg.connect(pipeline.url, autocommit=True) as holder:
            holder.execute("select pg_advisory_lock(4711)")
            load = threads.submit(pipeline.load, CHATS, HOURS)
            wait_for(
                holder,
                "select 1 from pg_stat_activity where wait_event = 'advisory' and query ilike 'copy \"messages\"%'",
            )
            server._cluster._control("stop", "-m", "immediate")
        with pytest.raises(BooksOpenError) as raised:
            load.result(PATIENCE)
        server._cluster.start()
        execute(pipeline.url, "drop trigger held on messages")
        assert stored(pipeline.url).chats == {}

        assert pipeline.load(CHATS, HOURS).status == "success"

        first, second = str(raised.value).split(" Closing the books failed with ")
        assert first.startswith(f"the database stopped the sync of /chats/export {HOURS[0].start.isoformat()} .. ")
        assert first.endswith(
            ", so it is not known whether the day in hand was written: see the PostgreSQL log, then materialize these"
            " hours again."
        )
        assert second.endswith(": see the PostgreSQL log, then materialize these hours again, which closes them.")
        assert_is_the_account(pipeline.url)
        assert logged(pipeline.url) == [
            {"status": "error", "error_message": "its process died"},
            {"status": "success", "error_message": None},
        ]


@contextmanager
def full_disk(url: str, table: str) -> Iterator[None]:
    """No room for the first row of a table: its file lies on the device that is always full.

    The server gets the same answer from the kernel as on any full disk, and nobody needs to be root for it.
    """
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "select current_setting('data_directory'), pg_relation_filepath(%s::text::regclass)", (table,)
        ).fetchone()
    assert row is not None
    file = Path(*row)
    assert file.stat().st_size == 0
    aside = file.with_name(f"{file.name}_aside")
    file.rename(aside)
    file.symlink_to("/dev/full")
    yield
    aside.rename(file)


def test_a_full_disk_is_told_with_the_next_step_and_nothing_of_the_day_is_written(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        with full_disk(database_url, "messages"):
            held_up = pipeline.load(CHATS, HOURS)
            left = stored(database_url)

        again = pipeline.load(CHATS, HOURS)

    assert {type(error) for error in held_up.failed.values()} == {DayHeldUpError}
    assert {str(error) for error in held_up.failed.values()} == {
        f"loading {CLOCK.day_window(day).start.isoformat()} .. {CLOCK.day_window(day).end.isoformat()} failed with"
        " DiskFull (53100); nothing of it was written: free space on PostgreSQL's disk, then materialize these hours"
        " again."
        for day in (FIRST, LAST)
    }
    assert (left.chats, left.contacts, left.departments) == ({}, {}, frozenset())
    assert again.status == "success"
    assert_is_the_account(database_url)


def test_a_disk_too_full_for_the_pages_stops_the_run(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        with full_disk(database_url, "api_response_logs_default"):
            stopped = pipeline.load(CHATS, HOURS)

        again = pipeline.load(CHATS, HOURS)

    (error,) = set(stopped.failed.values())
    assert isinstance(error, WarehouseStoppedError)
    assert str(error) == (
        f"the database stopped the sync of /chats/export {HOURS[0].start.isoformat()} .. {HOURS[-1].end.isoformat()}"
        " with DiskFull (53100): free space on PostgreSQL's disk, then materialize these hours again."
    )
    assert stopped.failed.keys() == {hour.start for hour in HOURS}
    assert logged(database_url) == [
        {"status": "error", "error_message": str(error)},
        {"status": "success", "error_message": None},
    ]
    assert again.status == "success"
    assert_is_the_account(database_url)


def test_a_disk_too_full_for_the_books_hides_nothing_of_what_went_wrong_first(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        with (
            full_disk(database_url, "error_logs"),
            full_disk(database_url, "messages"),
            pytest.raises(BooksOpenError) as raised,
        ):
            pipeline.load(CHATS, HOURS)

        again = pipeline.load(CHATS, HOURS)

    first, second = str(raised.value).split(" Closing the books failed with ")
    assert first.startswith(f"loading {HOURS[0].start.isoformat()} .. ")
    assert second.startswith("DiskFull (53100): free space on PostgreSQL's disk, then ")
    assert again.status == "success"
    assert logged(database_url) == [
        {"status": "error", "error_message": "its process died"},
        {"status": "success", "error_message": None},
    ]
    assert_is_the_account(database_url)


def test_a_disk_too_full_to_begin_with_is_the_runs_one_sentence(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        dagster_support.running_pipeline(database_url, monkeypatch) as pipeline,
        full_disk(database_url, "system_settings"),
    ):
        result = pipeline.run(dagster_support.hours_of(dagster_support.FIRST_DAY)[:1])

    assert set(dagster_support.failure_sentences(result)) == {
        "the database could not go on: DiskFull (53100); free space on PostgreSQL's disk, then run this again."
    }


def load_with(pipeline: Pipeline, setting: LiteralString) -> Outcome:
    """A load whose writing connection has a setting."""
    order = Order(CHATS, HOURS, read=True, load=True, user_id=SYSTEM_USER, operation="manual", run_id="hasty")
    with pipeline.tools() as tools:
        tools.loading.execute(setting)
        return run_sync(order, tools)


def of_hours(held: Rows, starts: Collection[datetime]) -> list[dict[str, object]]:
    """The chats that were created in some hours."""
    return [
        chat for chat in held["chats"] if cast("datetime", chat["created_at"]).replace(minute=0, second=0) in starts
    ]


@pytest.mark.parametrize(
    ("setting", "kind", "told", "remedy"),
    [
        ("set statement_timeout = '200ms'", LoadError, "QueryCanceled (57014)", "give the user that loads a longer"),
        ("set lock_timeout = '200ms'", DayHeldUpError, "LockNotAvailable (55P03)", "end the session that holds the"),
    ],
)
def test_a_row_that_somebody_keeps_locked_ends_in_one_sentence_and_the_next_run_loads_it(
    setting: LiteralString, kind: type[LoadError], told: str, remedy: str, database_url: str
) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        assert pipeline.load(CHATS, HOURS[:24]).status == "success"
        with psycopg.connect(database_url) as holder:
            holder.execute("select * from departments for update")
            before = business_rows(database_url)
            held_up = load_with(pipeline, setting)
            left = business_rows(database_url)

        again = pipeline.load(CHATS, HOURS)

    assert held_up.failed.keys() <= {hour.start for hour in HOURS[24:]}
    assert of_hours(left, held_up.failed.keys()) == []
    assert all(chat in left["chats"] for chat in before["chats"])
    assert {type(error) for error in held_up.failed.values()} == {kind}
    assert all(f"failed with {told}" in str(error) for error in held_up.failed.values())
    assert all(f"nothing of it was written: {remedy}" in str(error) for error in held_up.failed.values())
    assert again.status == "success"
    assert_is_the_account(database_url)


def outcome_of(pipeline: Pipeline) -> str:
    """What a load says that a connection was cut under."""
    try:
        outcome = pipeline.load(CHATS, HOURS)
    except (BooksOpenError, WarehouseStoppedError) as error:
        return str(error)
    (trouble,) = set(outcome.failed.values())
    assert isinstance(trouble, WarehouseStoppedError)
    return str(trouble)


def undisturbed(server: PostgresServer) -> tuple[Rows, Proxy]:
    """What a load makes of empty tables, and the commits it is made of."""
    with server.database(migrated=True) as url, proxied(url) as proxy:
        with running_pipeline(proxy.url, WORLD, now=NOW) as pipeline:
            assert pipeline.load(CHATS, HOURS).status == "success"
        return business_rows(url), proxy


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_cut_at_any_commit_leaves_nothing_twice_and_nothing_out(
    when: Literal["before", "after"], postgres_server: PostgresServer
) -> None:
    tables, proxy = undisturbed(postgres_server)
    cuts = [Cut(purpose, place + 1, when) for purpose, number in proxy.commits.items() for place in range(number)]
    assert {cut.purpose for cut in cuts} == {"load", "read", "books"}
    for cut in cuts:
        with postgres_server.database(migrated=True) as url, proxied(url, cut) as proxy:
            with running_pipeline(proxy.url, WORLD, now=NOW) as pipeline:
                told = outcome_of(pipeline)
                wait_until_forgotten(url)
                written, versions = business_rows(url), row_versions(url)

                again = Pipeline(pipeline.simulator, url, CLOCK).load(CHATS, HOURS)

            assert "OperationalError (no connection)" in told, cut
            assert ("it is not known whether the day in hand was written" in told) is (cut.purpose == "load"), cut
            assert again.status == "success", cut
            assert business_rows(url) == tables, cut
            if written == tables:
                assert row_versions(url) == versions, cut
            assert {log["status"] for log in logged(url)} <= {"error", "partial", "success"}, cut


@pytest.mark.parametrize("purpose", ["load", "read"])
def test_a_read_of_all_contacts_that_the_database_stops_is_told_and_its_books_are_closed(
    purpose: str, postgres_server: PostgresServer
) -> None:
    with postgres_server.database(migrated=True) as url, proxied(url, Cut(purpose, 1, "before")) as proxy:
        with running_pipeline(proxy.url, WORLD, now=NOW) as pipeline, pipeline.tools() as tools:
            stopped = read_all_contacts(tools, user_id=SYSTEM_USER, run_id="stopped")
        (closed,) = logged(url)
        (trace,) = errors(url)

        with running_pipeline(url, WORLD, now=NOW) as pipeline, pipeline.tools() as tools:
            again = read_all_contacts(tools, user_id=SYSTEM_USER, run_id="again")

        assert isinstance(stopped.broken_off, WarehouseStoppedError)
        unknown = ", so it is not known whether the page in hand was written" if purpose == "load" else ""
        assert str(stopped.broken_off) == (
            f"the database stopped the read of all contacts with OperationalError (no connection){unknown}: see the"
            " PostgreSQL log, then materialize all_contacts again."
        )
        assert closed == {"status": "error", "error_message": str(stopped.broken_off)}
        assert trace == {"error_code": "WarehouseStoppedError", "message": str(stopped.broken_off)}
        assert again.status == "success"


def test_a_read_of_all_contacts_tells_what_went_wrong_first_where_its_books_stay_open(database_url: str) -> None:
    with (
        running_pipeline(database_url, WORLD, now=NOW) as pipeline,
        full_disk(database_url, "error_logs"),
        full_disk(database_url, "contacts"),
        pipeline.tools() as tools,
        pytest.raises(BooksOpenError) as raised,
    ):
        read_all_contacts(tools, user_id=SYSTEM_USER, run_id="full")

    first, second = str(raised.value).split(" Closing the books failed with ")
    assert first.startswith("loading ")
    assert second == (
        "DiskFull (53100): free space on PostgreSQL's disk, then materialize all_contacts again, which closes them."
    )
