"""Tables rebuilt from the stored pages equal the live ones; whatever differs is named, and nothing live is touched."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import sql

from b2chat_pipeline.b2chat.contract import CHATS, CONTACTS
from b2chat_pipeline.commands.replay import replay as replay_command
from b2chat_pipeline.ingest.replay import NotLoadedError, PagesGoneError, Place, RebuildError, WindowCompared, replay
from b2chat_pipeline.simulator import Fault, World, mutated_records, vanished_record
from b2chat_pipeline.simulator.expectation import expected
from b2chat_pipeline.warehouse import differences
from b2chat_pipeline.warehouse.connection import WarehouseStoppedError, connect
from b2chat_pipeline.warehouse.side_schema import SIDE, ReplayRunningError, hold_side_schema
from b2chat_pipeline.warehouse.write import lock_day
from b2chat_pipeline.windows import AccountClock, Window
from b2chat_pipeline_tests.command_support import Command
from b2chat_pipeline_tests.dagster_support import account_environment
from b2chat_pipeline_tests.loading_support import (
    Pipeline,
    all_loaded,
    hours_between,
    rows,
    running_pipeline,
    stored,
)
from b2chat_pipeline_tests.postgres_proxy import Cut, proxied

FIRST, LAST = date(2025, 3, 3), date(2025, 3, 6)
# The last day is over.
NOW = datetime(2025, 3, 7, 6, tzinfo=UTC)
WORLD = World(first_day=FIRST, zone=ZoneInfo("America/Bogota"), chats_per_day=25, contacts=60)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
TABLES_ONLY, PAGES_ONLY = "only in the tables", "only in the pages"
STRAY = """
    insert into messages (id, chat_id, type, incoming, timestamp, raw_type, position)
    select %s, max(id), 'text', true, now(), 'TEXT', 99 from chats
"""
NEVER_COMPARED = {
    "departments": "b2chat_code parent_id path level is_leaf is_active last_sync_at created_at",
    "agents": "is_active is_deleted deleted_at deletion_reason last_sync_at created_at updated_at read_at"
    " department_read_at",
    "contacts": "is_deleted deleted_at deletion_reason last_sync_at read_at",
    "chats": "priority topic resolution_note last_sync_at sync_version read_at",
    "messages": "b2chat_message_id local_image_path local_file_path media_backed_up media_size media_mime_type"
    " last_sync_at",
}


@pytest.fixture
def pipeline(database_url: str) -> Iterator[Pipeline]:
    with running_pipeline(database_url, WORLD, now=NOW) as running:
        yield running


@pytest.fixture
def loaded(pipeline: Pipeline) -> Pipeline:
    assert all_loaded(pipeline.load_days(FIRST, LAST))
    return pipeline


def rebuild(
    pipeline: Pipeline, first: date = FIRST, last: date = LAST, *, meanwhile: Callable[[], object] = lambda: None
) -> WindowCompared:
    """A replay of some days; `meanwhile` happens when it has begun."""

    def begin(_hours: int) -> Callable[[int], None]:
        meanwhile()
        return lambda _done: None

    window = Window(pipeline.clock.day_window(first).start, pipeline.clock.day_window(last).end)
    with connect(pipeline.url, purpose="compare") as live, connect(pipeline.url, purpose="replay") as side:
        return replay(window, Place(live, side, pipeline.clock, lambda: datetime.now(UTC)), begin)


def reread(pipeline: Pipeline, first: date = FIRST, last: date = LAST) -> None:
    """The chats of some days read again, a day later."""
    pipeline.simulator.clock.advance(DAY)
    hours = hours_between(pipeline.clock, first, last, until=pipeline.simulator.clock.now())
    assert pipeline.load(CHATS, hours).status == "success"


def found(replayed: WindowCompared) -> list[tuple[str, str, str, list[str]]]:
    return [tuple(difference) for table in replayed.tables for difference in table.differences]  # type: ignore[misc]


def compared(replayed: WindowCompared) -> dict[str, int]:
    return {table.table: table.rows for table in replayed.tables}


def value(pipeline: Pipeline, query: str) -> Any:  # noqa: ANN401 - whatever the query returns
    with connect(pipeline.url, purpose="compare") as connection:
        (row,) = connection.execute(query.encode()).fetchall()
    return row[0]


def ids(pipeline: Pipeline, query: str) -> list[str]:
    with connect(pipeline.url, purpose="compare") as connection:
        return [row[0] for row in connection.execute(query.encode())]


def everything(url: str) -> dict[str, list[dict[str, object]]]:
    """Where each row of every live table lies, and which transaction wrote it."""
    with connect(url, purpose="compare") as connection:
        names = connection.execute(
            "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname in ('public', 'ops')"
        ).fetchall()
        return {
            name: rows(connection, f"select ctid::text, xmin::text from {name} order by 1")  # noqa: S608
            for (name,) in names
        }


def test_a_loaded_window_is_rebuilt_equal_from_its_pages_alone(loaded: Pipeline) -> None:
    asked = len(loaded.simulator.requests)
    account = expected(WORLD, NOW, first=FIRST, last=LAST)

    replayed = rebuild(loaded)

    assert found(replayed) == []
    assert compared(replayed)["chats"] == len(account.chats)
    assert compared(replayed)["messages"] == sum(map(len, account.messages.values()))
    assert len(loaded.simulator.requests) == asked
    assert (replayed.hours, replayed.reads) == (96, 2)


def test_the_live_tables_and_the_books_are_not_written(loaded: Pipeline) -> None:
    before = everything(loaded.url)

    rebuild(loaded)

    assert everything(loaded.url) == before
    assert before["public.messages"]
    assert before["ops.hour_loads"]


def test_what_weeks_of_changes_and_rereads_made_of_an_account_is_rebuilt_as_the_source_has_it(
    pipeline: Pipeline,
) -> None:
    earliest = FIRST - 10 * DAY
    for _ in range(2):
        today = pipeline.clock.day_of(pipeline.simulator.clock.now()) - DAY
        assert all_loaded(pipeline.load_days(earliest, today))
        pipeline.simulator.clock.advance(10 * DAY)
    reread(pipeline, FIRST, today)
    now = pipeline.simulator.clock.now()

    replayed = rebuild(pipeline, earliest, today)

    assert found(replayed) == []
    account, again = expected(WORLD, now, first=FIRST, last=today), stored(pipeline.url, schema=SIDE)
    assert (again.chats, again.messages) == (account.chats, account.messages)
    assert (again.agents, again.departments) == (account.agents, account.departments)
    assert value(pipeline, "select count(*) from contacts where is_full") > 10
    assert again.contacts == stored(pipeline.url).contacts
    assert value(pipeline, "select max(sync_version) from chats") > 1


def test_superseded_messages_and_absent_chats_come_out_the_same(loaded: Pipeline) -> None:
    gone = min(stored(loaded.url).chats)

    def thinned(chat: dict[str, Any]) -> dict[str, Any]:
        first, *others = chat["messages"] or [None]
        return chat | {"messages": [first, *others[1:]]} if others else chat

    loaded.simulator.faults.add(mutated_records(thinned), vanished_record(gone))
    reread(loaded)
    reread(loaded)

    replayed = rebuild(loaded)

    assert found(replayed) == []
    assert value(loaded, "select count(*) from messages where superseded_at is not null") > 10
    assert value(loaded, "select count(*) from b2chat_replay.messages where superseded_at is not null") > 10
    assert value(loaded, "select b2chat_id from b2chat_replay.chats where is_deleted") == gone
    for table in ("chat_history", "chat_absences"):
        live, side = (ids(loaded, f"select t::text from {schema}.{table} t order by 1") for schema in ("ops", SIDE))  # noqa: S608
        assert live == side != []


def test_what_is_in_quarantine_is_missing_on_both_sides(pipeline: Pipeline) -> None:
    pipeline.simulator.faults.add(
        mutated_records(lambda chat: chat | {"messages": [{"body": "odd"}, *chat["messages"][1:]]}),
        mutated_records(lambda it: it | {"email": "x" * 501} if it["contact_id"] % 2 else it, path=CONTACTS),
    )
    pipeline.load_days(FIRST, LAST)
    before = value(pipeline, "select sum(occurrences) from ops.quarantine")

    assert found(rebuild(pipeline)) == []
    assert before == value(pipeline, "select sum(occurrences) from ops.quarantine")
    assert before == value(pipeline, "select sum(occurrences) from b2chat_replay.quarantine")


def test_hours_loaded_one_by_one_in_any_order_are_rebuilt_equal(pipeline: Pipeline) -> None:
    hours = hours_between(pipeline.clock, FIRST, FIRST, until=NOW)
    for hour in [*hours[::-2], *hours[-2::-2]]:
        assert all_loaded([pipeline.load(endpoint, [hour]) for endpoint in (CHATS, CONTACTS)])

    replayed = rebuild(pipeline, FIRST, FIRST)

    assert found(replayed) == []
    assert (replayed.hours, replayed.reads) == (24, 48)


def test_a_read_that_was_cut_off_and_continued_and_one_that_was_given_up_are_rebuilt_equal(database_url: str) -> None:
    busy = World(first_day=FIRST, zone=WORLD.zone, chats_per_day=150, messages_per_chat=2, contacts=60)
    hours = hours_between(AccountClock(WORLD.zone), FIRST, LAST, until=NOW)
    statuses = []
    with running_pipeline(database_url, busy, now=NOW) as pipeline:
        for pause in (HOUR, 7 * HOUR):  # a read is continued within six hours
            pipeline.simulator.faults.add(Fault(kind="status", status=503, after=2, times=6))
            statuses.append(pipeline.load(CHATS, hours).status)
            pipeline.simulator.faults.clear()
            pipeline.simulator.clock.advance(pause)
            statuses.append(pipeline.load(CHATS, hours).status)
        statuses.append(pipeline.load(CONTACTS, hours).status)

        replayed = rebuild(pipeline)

    assert statuses == ["partial", "success", "partial", "success", "success"]
    assert found(replayed) == []
    assert replayed.reads == 4


def test_what_people_are_told_of_outside_the_window_is_no_difference(loaded: Pipeline) -> None:
    def renamed(chat: dict[str, Any]) -> dict[str, Any]:
        return chat | {"agent": chat["agent"] | {"full_name": "Another", "name": "Another"}} if chat["agent"] else chat

    loaded.simulator.clock.advance(DAY)
    loaded.simulator.faults.add(mutated_records(renamed))
    assert all_loaded(loaded.load_days(LAST + DAY, LAST + DAY))

    replayed = rebuild(loaded, FIRST + DAY, FIRST + DAY)

    assert found(replayed) == []
    assert value(loaded, "select count(*) from agents where name = 'Another'") > 0
    assert {table.table for table in replayed.tables if table.partly} == {"departments", "agents", "contacts"}
    chats = expected(WORLD, NOW, first=FIRST + DAY, last=FIRST + DAY).chats
    assert compared(replayed)["chats"] == len(chats) > 5


def test_a_load_that_goes_on_meanwhile_is_no_difference(loaded: Pipeline) -> None:
    before = everything(loaded.url)

    replayed = rebuild(loaded, meanwhile=lambda: reread(loaded))

    assert found(replayed) == []
    assert everything(loaded.url)["public.chats"] != before["public.chats"]


def test_a_rebuild_does_not_wait_for_a_load_of_the_same_day(loaded: Pipeline) -> None:
    with connect(loaded.url, purpose="load") as load, ThreadPoolExecutor(1) as threads:
        with load.transaction():
            lock_day(load, CHATS, FIRST.isoformat())
            rebuilding = threads.submit(rebuild, loaded, FIRST, FIRST)
            done, _ = wait([rebuilding], timeout=30)

        assert done
        assert rebuilding.result().equal


def test_every_row_that_was_tampered_with_is_named_with_its_columns_and_nothing_else_is(loaded: Pipeline) -> None:
    chats = ids(loaded, "select id from chats where contact_id is not null order by id")
    texts = ids(loaded, "select id from messages where type = 'text' order by id")
    agents, departments = (ids(loaded, f"select id from {table} order by id") for table in ("agents", "departments"))  # noqa: S608
    contacts = ids(loaded, "select id from contacts where is_full and updated_at >= '2025-03-03 05:00+00' order by id")
    tampered = [
        (chats[0], "update chats set status = 'unknown', unread_count = 999 where id = %s", "status unread_count"),
        (chats[1], "update chats set contact_id = (select max(id) from contacts) where id = %s", "contact_id"),
        (chats[2], "update chats set created_at = '2025-01-01' where id = %s", "created_at"),
        (texts[7], "delete from messages where id = %s", PAGES_ONLY),
        (texts[9], "update messages set text = 'another' where id = %s", "text"),
        (texts[11], "update messages set superseded_at = now() where id = %s", "superseded_at"),
        ("stray", STRAY, TABLES_ONLY),
        (agents[0], "update agents set name = 'Somebody', email = null where id = %s", "email name"),
        ("nobody", "insert into agents (id, b2chat_id, name, read_at) values (%s, 'n', '', now())", TABLES_ONLY),
        (contacts[0], "update contacts set city = 'Nowhere' where id = %s", "city"),
        (departments[0], "update departments set last_seen_at = '2025-03-03 06:00+00' where id = %s", "last_seen_at"),
    ]
    with connect(loaded.url, purpose="tamper") as connection:
        for key, statement, _ in tampered:
            assert connection.execute(statement.encode(), (key,)).rowcount == 1

    replayed = rebuild(loaded)

    assert sorted((key, " ".join(sorted(columns)) or kind) for _, key, kind, columns in found(replayed)) == sorted(
        (key, told) for key, _, told in tampered
    )
    assert {kind for _, _, kind, columns in found(replayed) if columns} == {"differs"}
    assert not replayed.equal
    with connect(loaded.url, purpose="compare") as connection:
        assert sorted(connection.execute("select * from b2chat_replay.differences")) == sorted(found(replayed))


def test_a_chat_that_is_gone_is_named_with_its_messages(loaded: Pipeline) -> None:
    messages = ids(loaded, "select id from messages where chat_id = (select min(chat_id) from messages) order by id")
    (chat,) = ids(loaded, "delete from chats where id = (select min(chat_id) from messages) returning id")

    told = found(rebuild(loaded))

    assert [it for it in told if it[0] == "chats"] == [("chats", chat, PAGES_ONLY, [])]
    assert [it for it in told if it[0] == "messages"] == [("messages", key, PAGES_ONLY, []) for key in messages]
    assert messages


@pytest.mark.parametrize("endpoint", [CHATS, CONTACTS])
def test_hours_whose_pages_are_gone_are_refused_and_the_last_rebuild_stays(loaded: Pipeline, endpoint: str) -> None:
    rebuild(loaded)
    chats = value(loaded, "select count(*) from b2chat_replay.chats")
    reread(loaded, FIRST, FIRST)
    oldest = f"select min(id) from api_response_logs where endpoint = '{endpoint}' and record_count > 0"  # noqa: S608
    ids(loaded, f"delete from api_response_logs where id = ({oldest}) returning id")  # noqa: S608

    with pytest.raises(PagesGoneError, match=r"^96 hours of \w+ within 2025-03-03T00:00 \.\. 2025-03-06T23:59 were "):
        rebuild(loaded)

    assert value(loaded, "select count(*) from b2chat_replay.chats") == chats > 0


def test_hours_that_were_never_loaded_completely_are_refused(loaded: Pipeline) -> None:
    loaded.simulator.clock.advance(2 * DAY)
    later = hours_between(loaded.clock, LAST + DAY, LAST + DAY, until=loaded.simulator.clock.now())
    assert loaded.load(CHATS, later[:20]).status == "success"
    assert loaded.load(CHATS, later[20:], load=False).status == "success"

    with pytest.raises(NotLoadedError, match=r"^4 hours of chats within 2025-03-07T20:00 \.\. 2025-03-07T23:59 were "):
        rebuild(loaded, LAST, LAST + DAY)
    assert loaded.load(CHATS, later).status == "success"
    with pytest.raises(NotLoadedError, match=r"^24 hours of contacts within 2025-03-07T00:00 "):
        rebuild(loaded, LAST, LAST + DAY)


def test_an_hour_that_cannot_be_rebuilt_is_told_with_the_next_step_of_a_rebuild(loaded: Pipeline) -> None:
    with connect(loaded.url, purpose="tamper") as connection:
        connection.execute("alter table messages add constraint never check (position < 0) not valid")

    with pytest.raises(RebuildError) as raised:
        rebuild(loaded, FIRST, FIRST)

    text = str(raised.value)
    assert " cannot be rebuilt from its stored pages, since loading " in text
    assert text.endswith(
        " failed with CheckViolation (23514) in table messages; nothing of it was written: see the PostgreSQL log, then"
        " run `b2chat replay` again."
    )


def test_a_database_that_goes_away_is_told_with_the_next_step(loaded: Pipeline) -> None:
    with (
        proxied(loaded.url, Cut("replay", 3, "before")) as proxy,
        pytest.raises(
            WarehouseStoppedError,
            match=r"^the database stopped the rebuild of 2025-.* with OperationalError \(no connection\): see the"
            r" PostgreSQL log, then run `b2chat replay` again\.$",
        ),
    ):
        rebuild(Pipeline(loaded.simulator, proxy.url, loaded.clock))

    assert rebuild(loaded).equal


def test_a_database_that_cannot_go_on_before_the_rebuild_is_told_with_the_next_step(database_url: str) -> None:
    with psycopg.connect(database_url) as holder:
        holder.execute(
            sql.SQL("alter database {} set statement_timeout = 500").format(sql.Identifier(holder.info.dbname))
        )
        holder.commit()
        holder.execute("lock table system_settings")
        environ = account_environment("http://127.0.0.1:1", database_url)

        with pytest.raises(WarehouseStoppedError) as raised:
            replay_command(environ, start="2025-03-03", end="2025-03-04")

    sentence = str(raised.value)
    assert sentence.startswith("the database stopped the rebuild of 2025-03-03")
    assert sentence.endswith("a longer statement_timeout, then run `b2chat replay` again.")


def test_a_second_replay_beside_the_first_is_refused_and_one_after_it_is_not(loaded: Pipeline) -> None:
    with connect(loaded.url, purpose="other") as other:
        hold_side_schema(other)
        with pytest.raises(ReplayRunningError, match=r"^another replay is running in this database: "):
            rebuild(loaded)

    assert rebuild(loaded).equal
    assert rebuild(loaded).equal


def test_every_column_is_compared_or_known_never_to_be(database_url: str) -> None:
    left_out = {}
    with connect(database_url, purpose="compare") as connection:
        values = {"keys": [], "start": NOW, "end": NOW}
        for table, comparison in differences._COMPARISONS.items():
            described = connection.execute(comparison.rows, values).description or []
            selected = {column.name for column in described} - differences._NOT_COMPARED
            query = "select column_name from information_schema.columns where table_schema = 'public' and table_name"
            columns = {row[0] for row in connection.execute(f"{query} = '{table}'".encode())}
            # Its key at the source pairs a row with its like, and is compared by that.
            left_out[table] = columns - selected - {"id", "b2chat_id", "name" if table == "departments" else ""}

    assert left_out == {table: set(columns.split()) for table, columns in NEVER_COMPARED.items()}


def test_the_command_says_what_it_compared_and_what_differs(loaded: Pipeline, b2chat: Command) -> None:
    urls = {"B2CHAT_DATABASE_URL": loaded.url, "DAGSTER_DATABASE_URL": loaded.url}

    equal = b2chat("replay", "2025-03-03", "2025-03-07", **urls)
    (chat,) = ids(loaded, "update chats set alias = 'Ana Invented' where id = (select min(id) from chats) returning id")
    differing = b2chat("replay", "2025-03-03", "2025-03-04T00:00", **urls)
    refused = b2chat("replay", "2025-03-03", "2025-03-08", **urls)

    assert equal.status == 0, equal
    assert "96 hours rebuilt from 2 reads" in equal.output
    assert equal.output.splitlines()[-1] == (
        "The tables say what the stored pages say. The rebuilt ones are in schema b2chat_replay."
    )
    assert differing.status == 1
    assert differing.output.splitlines()[-2:] == [
        f"chats {chat} differs: alias",
        "1 row differs; b2chat_replay.differences holds every one, beside the rebuilt tables.",
    ]
    assert "Invented" not in differing.output + differing.errors
    assert (refused.status, refused.output) == (1, "")
    assert refused.errors.startswith("b2chat: 24 hours of chats within 2025-03-07T00:00 .. 2025-03-07T23:59 were never")
    assert refused.errors.count("\n") == 1
