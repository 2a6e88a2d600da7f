"""Whatever the account does between reads, and in whatever order they are loaded, repeated or cut off, the tables end
as one plain computation over all that was told says they must (`account_reference.py`).

`make test` takes a few walks, `make soak` many.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from b2chat_pipeline.b2chat.contract import CHATS
from b2chat_pipeline.ingest.days import days_told
from b2chat_pipeline.ingest.loading import DayLoader
from b2chat_pipeline.ingest.reading import told_pages
from b2chat_pipeline.ingest.sync import Order, Tools, run_sync
from b2chat_pipeline.warehouse.accounts import SYSTEM_USER
from b2chat_pipeline.warehouse.books import Sync, open_sync
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.warehouse.reads import HourRead, PageToStore, insert_page, record_hours_read, stored_pages
from b2chat_pipeline.windows import AccountClock, Window, hours_of
from b2chat_pipeline_tests.account_reference import ZONE, CompleteRead, Record, Table, instant, reference_tables
from b2chat_pipeline_tests.another_server import Account, OtherServer, other_server
from b2chat_pipeline_tests.loading_support import row_versions, tools_for

pytestmark = pytest.mark.any_postgres

WALKS = int(os.environ.get("B2CHAT_TEST_WALKS", "4"))
STEPS = 18
# Loading a few reads in some order costs a quarter of a walk.
ORDERS = 4 * WALKS
CLOCK = AccountClock(ZONE)
START = datetime(2025, 3, 6, 18, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
# Chats are created in four hours of two days, of which any stretch may be asked for.
SLOTS = ("2025-03-03 10", "2025-03-03 11", "2025-03-03 23", "2025-03-04 00")
WINDOWS = (Window(instant(f"{first}:00:00"), instant(f"{last}:00:00") + timedelta(hours=1))
           for place, first in enumerate(SLOTS) for last in SLOTS[place:])  # fmt: skip
HOURS = [hours_of(window, until=START) for window in WINDOWS]
EVERY_HOUR = max(HOURS, key=len)
AGENTS, CONTACTS, DEPARTMENTS = ("ana", "beto"), (7, 8), ("Sales", "Support")
STATUSES = ("OPENED", "RESPONDED_BY_AGENT", "CLOSED")
NAMES = ("A", "B", "C")

ROWS = {
    "chats": """
        select c.b2chat_id, c.raw_status, a.b2chat_id as agent, k.b2chat_id as contact, d.name as department,
               c.closed_at, c.is_deleted, c.messages_told, c.unread_count, c.last_modified_at
          from chats c left join agents a on a.id = c.agent_id left join contacts k on k.id = c.contact_id
          left join departments d on d.id = c.department_id
    """,
    "messages": """
        select c.b2chat_id, m.timestamp, m.incoming, m.text,
               row_number() over (partition by c.id, m.timestamp, m.incoming, m.text
                                  order by m.superseded_at nulls first) as n,
               m.superseded_at is null as told, case when m.superseded_at is null then m.broadcasted end as broadcasted
          from messages m join chats c on c.id = m.chat_id
    """,
    "agents": """
        select a.b2chat_id, a.name, a.email, d.name as department, a.last_seen_at as seen_at
          from agents a left join departments d on d.id = a.department_id
    """,
    "contacts": "select b2chat_id, full_name, email, last_seen_at as seen_at from contacts",
    "departments": "select name, last_seen_at as seen_at from departments",
}
# Deleting a few rows is several times as fast as truncating, or as another database.
EMPTYING = """
    select string_agg(format('delete from %I.%I', schemaname, tablename), ';') from pg_tables
     where schemaname in ('public', 'ops') and tablename not in ('alembic_version', 'users')
"""


class Killed(BaseException):
    """The run's process has died."""


@dataclass
class Laboratory:
    """A database and a server that many walks use one after the other; each begins with nothing."""

    url: str
    server: OtherServer
    now: datetime = START
    # After so many looks at the clock the connections of the running sync are cut.
    dies_after: int | None = None
    _tools: Tools | None = None
    _held: AbstractContextManager[Tools] | None = None
    _emptying: str = ""

    def begin(self, *, now: datetime = START) -> None:
        self.now, self.dies_after = now, None
        with self.connection() as connection:
            self._emptying = self._emptying or connection.execute(EMPTYING).fetchall()[0][0]
            connection.execute("set session_replication_role = replica")
            connection.execute(self._emptying.encode())

    def tools(self) -> Tools:
        if self._held is None:
            self._held = tools_for(self.server.url, self.url, CLOCK, now=self.clock)
            self._tools = self._held.__enter__()
        assert self._tools is not None
        return self._tools

    def let_go(self) -> None:
        if self._held is not None:
            self._held.__exit__(None, None, None)
        self._held = self._tools = None

    def clock(self) -> datetime:
        if self.dies_after is not None:
            self.dies_after -= 1
            if self.dies_after < 0:
                self.cut_connections()
                raise Killed
        return self.now

    def store_read(self, hours: Sequence[Window], records: Sequence[Record]) -> str:
        """A complete read of some hours, as the reader would have left it; returns its id."""
        self.now += MINUTE
        tools, page = self.tools(), {"chats": list(records), "total": len(records)}
        sync = self._open_sync()
        body = json.dumps(page).encode()
        insert_page(tools.reading, sync.id, PageToStore(CHATS, {}, self.now, body, len(records)), now=self.now)
        record_hours_read(tools.books, CHATS, [HourRead(hour.start, sync.id, self.now, 0) for hour in hours])
        return sync.id

    def load_pages_of(self, sync_id: str, hours: Sequence[Window]) -> None:
        """Load the stored pages of one read, whatever has been loaded since."""
        tools = self.tools()
        loader = DayLoader(tools.loading, CHATS, CLOCK, self._open_sync(), now=tools.now)
        pages = told_pages(stored_pages(tools.reading, sync_id, CHATS), CHATS, CLOCK)
        for day in days_told(pages, hours, CLOCK):
            assert not loader.load(loader.prepare(day)).failed

    def complete_reads(self, hours: Mapping[str, Sequence[Window]]) -> list[CompleteRead]:
        """The reads that are stored, as the reference wants them; `hours` are those that each was made for."""
        with self.connection() as connection:
            pages = connection.execute(
                "select sync_id, api_timestamp, raw_response -> 'chats' from api_response_logs order by 2, id"
            ).fetchall()
        return [
            CompleteRead(
                frozenset(hour.start for hour in its_hours),
                [(at, told) for owner, at, told in pages if owner == sync_id],
            )
            for sync_id, its_hours in hours.items()
        ]

    def check_tables(self, hours: Mapping[str, Sequence[Window]], *, apart_from: Sequence[str] = ()) -> None:
        """Compare the tables with the reference."""
        wanted = reference_tables(self.complete_reads(hours))
        for table, held in self.tables().items():
            assert _columns(held, apart_from) == _columns(wanted[table], apart_from)

    def tables(self) -> dict[str, Table]:
        """What the tables hold, in the reference's words."""
        with connect(self.url, purpose="compare") as connection:
            return {table: _keyed(connection, table, query) for table, query in ROWS.items()}

    def _open_sync(self) -> Sync:
        return open_sync(
            self.tools().books,
            ["chats"],
            user_id=SYSTEM_USER,
            operation="manual",
            run_id="walk",
            metadata={},
            now=self.clock(),
        )

    def cut_connections(self) -> None:
        with self.connection() as connection:
            connection.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )

    def connection(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url, autocommit=True)


def load_hours(laboratory: Laboratory, hours: Sequence[Window], *, read: bool = True, load: bool = True) -> None:
    """One run of the pipeline, which must go well."""
    laboratory.now += MINUTE
    order = Order(CHATS, hours, read=read, load=load, user_id=SYSTEM_USER, operation="manual", run_id="walk")
    outcome = run_sync(order, laboratory.tools())
    assert outcome.status == "success", outcome.failed


class Walk(RuleBasedStateMachine):
    """The account's own doings, and the pipeline's."""

    laboratory: Laboratory

    def __init__(self) -> None:
        super().__init__()
        self.chats: dict[str, Record] = {}
        self.gone: set[str] = set()
        self.former: dict[str, list[list[Record]]] = {}
        self.names: dict[str | int, str] = dict.fromkeys((*AGENTS, *CONTACTS), "A")
        self.reads: dict[str, Sequence[Window]] = {}
        # The hours that a killed run leaves behind: they are the next run's.
        self.unfinished: Sequence[Window] | None = None
        self.laboratory.begin()

    # The account

    @initialize()
    def two_chats(self) -> None:
        self.new_chat(slot=0, minute=0)
        self.new_chat(slot=2, minute=30)

    @precondition(lambda self: len(self.chats) < 5)
    @rule(slot=st.integers(0, len(SLOTS) - 1), minute=st.integers(0, 59))
    def new_chat(self, slot: int, minute: int) -> None:
        key = f"chat {len(self.chats)}"
        created_at = f"{SLOTS[slot]}:{minute:02}:{len(self.chats):02}"
        self.chats[key] = {
            "chat_id": key, "created_at": created_at, "status": "OPENED", "provider": "WHATSAPP", "messages": [],
            "opened_at": created_at, "picked_up_at": None, "responded_at": None, "closed_at": None,
            "agent": AGENTS[0], "contact": CONTACTS[0], "department": DEPARTMENTS[0],
        }  # fmt: skip
        self.former[key] = []
        for place in (2, 4, 6):
            self._set_messages(key, [*self.chats[key]["messages"], _message(place, "hello")])

    @rule(data=st.data(), status=st.sampled_from(STATUSES))
    def close_or_reopen(self, data: st.DataObject, status: str) -> None:
        self._chat(data).update(status=status, closed_at="2025-03-04 12:00:00" if status == "CLOSED" else None)

    @rule(data=st.data(), agent=st.sampled_from((*AGENTS, None)), department=st.sampled_from((*DEPARTMENTS, None)))
    def hand_over(self, data: st.DataObject, agent: str | None, department: str | None) -> None:
        self._chat(data).update(agent=agent, department=department)

    @rule(data=st.data(), contact=st.sampled_from((*CONTACTS, None)))
    def give_to_another_contact(self, data: st.DataObject, contact: int | None) -> None:
        self._chat(data).update(contact=contact)

    @rule(who=st.sampled_from((*AGENTS, *CONTACTS)), name=st.sampled_from(NAMES))
    def rename(self, who: str | int, name: str) -> None:
        self.names[who] = name

    @rule(data=st.data(), place=st.integers(0, 9), body=st.sampled_from(("hello", "well")))
    def add_a_message(self, data: st.DataObject, place: int, body: str) -> None:
        chat = self._chat(data)
        self._set_messages(chat["chat_id"], [*chat["messages"], _message(place, body)])

    @rule(data=st.data(), fate=st.sampled_from(("remove", "edit")))
    def change_a_message(self, data: st.DataObject, fate: str) -> None:
        chat = self._chat(data)
        messages = chat["messages"]
        if not messages:
            return
        at = data.draw(st.integers(0, len(messages) - 1))
        changed = {
            "remove": [],
            "edit": [messages[at] | {"body": "edited"}],
            "broadcast": [messages[at] | {"broadcasted": not messages[at]["broadcasted"]}],
        }
        self._set_messages(chat["chat_id"], [*messages[:at], *changed[fate], *messages[at + 1 :]])

    @rule(data=st.data(), broadcasted=st.booleans())
    def broadcast(self, *, data: st.DataObject, broadcasted: bool) -> None:
        chat = self._chat(data)
        self._set_messages(chat["chat_id"], [it | {"broadcasted": broadcasted} for it in chat["messages"]])

    @rule(data=st.data())
    def tell_messages_in_another_order(self, data: st.DataObject) -> None:
        chat = self._chat(data)
        chat["messages"] = data.draw(st.permutations(chat["messages"]))

    @rule(data=st.data())
    def tell_messages_as_before(self, data: st.DataObject) -> None:
        chat = self._chat(data)
        chat["messages"] = data.draw(st.sampled_from([[], *self.former[chat["chat_id"]]]))

    @rule(data=st.data())
    def vanish_or_return(self, data: st.DataObject) -> None:
        self.gone ^= {self._chat(data)["chat_id"]}

    # The pipeline

    @rule(hours=st.sampled_from(HOURS))
    def load(self, hours: Sequence[Window]) -> None:
        self._finish()
        self._run(hours)

    @rule(hours=st.sampled_from(HOURS))
    def read_without_loading(self, hours: Sequence[Window]) -> None:
        self._finish()
        self._run(hours, load=False)

    @precondition(lambda self: self.reads)
    @rule(data=st.data())
    def load_from_the_newest_stored_pages(self, data: st.DataObject) -> None:
        self._finish()
        hours = data.draw(st.sampled_from(list(self.reads.values())))
        self._run(hours, read=False)

    @precondition(lambda self: self.reads)
    @rule(data=st.data())
    def load_pages_of_any_read(self, data: st.DataObject) -> None:
        self._finish()
        self._load_again(data.draw(st.sampled_from(list(self.reads))))

    @rule(hours=st.sampled_from(HOURS), after=st.integers(0, 60))
    def die_while_loading(self, hours: Sequence[Window], after: int) -> None:
        self._finish()
        self.laboratory.dies_after = after
        try:
            self._run(hours)
        except (Killed, psycopg.Error):
            self.unfinished = hours
        finally:
            self.laboratory.dies_after = None
            if self.unfinished:
                self.laboratory.let_go()

    def teardown(self) -> None:
        """Load every read, in an order of its own, and look at the tables; then once more, which changes nothing."""
        try:
            self._settle()
        finally:
            self.laboratory.let_go()

    def _settle(self) -> None:
        self._finish()
        assert self._unfinished_reads() == []
        order = sorted(self.reads, key=lambda sync_id: sync_id[::-1])
        for sync_id in order:
            self._load_again(sync_id)
        self.laboratory.check_tables(self.reads, apart_from=["is_deleted"])
        for _ in range(2):
            sync_id = self.laboratory.store_read(EVERY_HOUR, self._told())
            self.reads[sync_id] = EVERY_HOUR
            self._load_again(sync_id)
        self.laboratory.check_tables(self.reads)

        versions = row_versions(self.laboratory.url)
        for sync_id in order:
            self._load_again(sync_id)
        assert row_versions(self.laboratory.url) == versions

    def _chat(self, data: st.DataObject) -> Record:
        return self.chats[data.draw(st.sampled_from(sorted(self.chats)))]

    def _set_messages(self, key: str, messages: list[Record]) -> None:
        self.chats[key]["messages"] = sorted(messages, key=lambda it: str(it["created_at"]))
        self.former[key].append(self.chats[key]["messages"])

    def _told(self) -> list[Record]:
        """The records as the account now tells them."""
        return [
            record
            | {
                "agent": record["agent"] and _person("username", record["agent"], self.names),
                "contact": record["contact"] and _person("id", record["contact"], self.names),
            }
            for name, record in self.chats.items()
            if name not in self.gone
        ]

    def _run(self, hours: Sequence[Window], *, read: bool = True, load: bool = True) -> None:
        self.laboratory.server.account.chats[:] = self._told()
        try:
            load_hours(self.laboratory, hours, read=read, load=load)
        finally:
            if read:
                self._note_reads(hours)

    def _finish(self) -> None:
        if self.unfinished:
            hours, self.unfinished = self.unfinished, None
            self._run(hours)

    def _note_reads(self, hours: Sequence[Window]) -> None:
        """A read that is cut off is continued under the id it began with, so each id has one set of hours."""
        with self.laboratory.connection() as connection:
            for (sync_id,) in connection.execute("select sync_id from sync_checkpoints").fetchall():
                self.reads.setdefault(sync_id, hours)

    def _load_again(self, sync_id: str) -> None:
        self.laboratory.load_pages_of(sync_id, self.reads[sync_id])

    def _unfinished_reads(self) -> list[Any]:
        with self.laboratory.connection() as connection:
            return connection.execute("select * from sync_checkpoints where status <> 'completed'").fetchall()


def _keyed(connection: psycopg.Connection[Any], table: str, query: str) -> Table:
    """The rows of a query by their keys, as the reference writes them."""
    cursor = connection.execute(query.encode())
    names = [column.name for column in cursor.description or ()]
    if table == "departments":
        return dict(cursor.fetchall())
    keys = 5 if table == "messages" else 1
    return {
        row[:keys] if keys > 1 else row[0]: dict(zip(names[keys:], row[keys:], strict=True))
        for row in cursor.fetchall()
    }


def _columns(rows: Table, apart_from: Sequence[str]) -> set[tuple[object, ...]]:
    """Each value by itself, so that a difference is plain to see."""
    return {
        (key, column, value)
        for key, row in rows.items()
        for column, value in (row.items() if isinstance(row, dict) else [("seen_at", row)])
        if column not in apart_from
    }


def _message(place: int, body: str) -> Record:
    """A message of a customer at even places, of an agent at odd ones: no two of one second differ in that."""
    return {
        "body": body, "broadcasted": False, "created_at": f"2025-03-04 08:{place:02}:00", "type": "TEXT",
        "incoming": place % 2 == 0,
    }  # fmt: skip


@pytest.fixture
def laboratory(database_url: str) -> Iterator[Laboratory]:
    account = Account(chats=[], contacts=[], counts_last_day=True, largest_page=2)
    with other_server(account) as server:
        yield Laboratory(database_url, server)


def test_the_tables_follow_the_account_whatever_happens_in_whatever_order(laboratory: Laboratory) -> None:
    walk = type("WalkHere", (Walk,), {"laboratory": laboratory})
    run_state_machine_as_test(
        walk,
        settings=settings(
            max_examples=WALKS,
            stateful_step_count=STEPS,
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        ),
    )


# What one chat is told as, at one read; None where it is not told.
CHAT_STATES = st.none() | st.fixed_dictionaries(
    {
        "status": st.sampled_from(STATUSES),
        "agent": st.sampled_from((*AGENTS, None)),
        "department": st.sampled_from((*DEPARTMENTS, None)),
        "contact": st.sampled_from((*CONTACTS, None)),
        "messages": st.lists(
            st.builds(_message, st.integers(0, 5), st.sampled_from(("hello", "well"))),
            max_size=5,
        ),
        "broadcasted": st.booleans(),
        "names": st.fixed_dictionaries(dict.fromkeys((*AGENTS, *CONTACTS), st.sampled_from(NAMES))),
    }
)
READS = st.lists(
    st.tuples(st.integers(0, len(HOURS) - 1), st.tuples(CHAT_STATES, CHAT_STATES, CHAT_STATES)), min_size=2, max_size=5
)


@given(reads=READS, data=st.data())
@settings(max_examples=ORDERS, suppress_health_check=list(HealthCheck), print_blob=False)
def test_reads_of_an_account_may_be_loaded_in_any_order_and_more_than_once(
    laboratory: Laboratory, reads: list[tuple[int, tuple[Any, ...]]], data: st.DataObject
) -> None:
    laboratory.begin()
    stored = {}
    for stretch, states in reads:
        # A name is one for the whole account.
        names: dict[str | int, str] = next((state["names"] for state in states if state), {})
        told = [_told(place, state, names) for place, state in enumerate(states) if state]
        stored[laboratory.store_read(HOURS[stretch], told)] = HOURS[stretch]
    order = data.draw(st.permutations(list(stored)))

    for sync_id in order:
        laboratory.load_pages_of(sync_id, stored[sync_id])
    # Of a chat that an old page brings in late, not every read is known that lacked it before: the next ones tell.
    laboratory.check_tables(stored, apart_from=["is_deleted"])

    for _ in range(2):
        sync_id = laboratory.store_read(EVERY_HOUR, told)
        stored[sync_id] = EVERY_HOUR
        laboratory.load_pages_of(sync_id, EVERY_HOUR)
    laboratory.check_tables(stored)


def _told(place: int, state: Record, names: Mapping[str | int, str]) -> Record:
    created_at = f"{SLOTS[place]}:00:{place:02}"
    return {
        "chat_id": f"chat {place}", "created_at": created_at, "opened_at": created_at, "picked_up_at": None,
        "responded_at": None, "closed_at": None, "provider": "WHATSAPP", "status": state["status"],
        "department": state["department"],
        "messages": [it | {"broadcasted": state["broadcasted"]} for it in state["messages"]],
        "agent": state["agent"] and _person("username", state["agent"], names),
        "contact": state["contact"] and _person("id", state["contact"], names),
    }  # fmt: skip


def _person(key: str, value: str | int, names: Mapping[str | int, str]) -> Record:
    return {key: value, "name": names[value], "email": f"{names[value]}@example.test".lower()}


def _opened(**told: object) -> Record:
    """The state of an open chat that tells nothing, but for what is given."""
    nothing: Record = {"agent": None, "department": None, "contact": None, "messages": [], "broadcasted": False}
    return {"status": "OPENED"} | nothing | told


def _renamed(name: str) -> tuple[Record, ...]:
    """Two chats, one in each of two hours, of an agent and a contact with a name."""
    state = _opened(agent="ana", contact=7)
    return tuple(_told(place, state, dict.fromkeys(("ana", 7), name)) for place in (0, 1))


@pytest.mark.parametrize("stretches", [(1, 1, 1), (0, 0, 4), (0, 4, 0)], ids=str)
def test_the_name_that_was_read_last_stays_although_an_older_one_is_loaded_after_it(
    stretches: tuple[int, ...], laboratory: Laboratory
) -> None:
    """An answer that tells an agent or a contact as stored writes nothing, and yet it is the newest."""
    reads = [(HOURS[stretch], _renamed(name)) for stretch, name in zip(stretches, "ABA", strict=True)]

    check_every_order(laboratory, reads)


@pytest.mark.parametrize(
    "places",
    [
        ("ana Support", "ana Sales", "ana"),
        ("ana Sales", "ana Support", "ana Sales", "ana"),
        ("ana Sales", "ana Support", "ana Sales", "bob Sales"),
        ("ana Sales", "ana Support", "bob Sales", "bob"),
    ],
    ids=str,
)
def test_the_department_that_was_read_last_stays_although_the_chat_no_longer_names_it(
    places: tuple[str, ...], laboratory: Laboratory
) -> None:
    reads = []
    for place in places:
        agent, _, department = place.partition(" ")
        state = _opened(agent=agent, department=department or None)
        reads.append((HOURS[0], [_told(0, state, {agent: agent.title()})]))

    check_every_order(laboratory, reads)


@pytest.mark.parametrize(
    "lists",
    [
        ((1, 2, 3), (2, 3), (2, 3)),
        ((1, 2, 3), (1, 3), (1, 3)),
        ((1, 2, 3, 4), (1, 3, 4), (3, 4)),
        ((2, 3), (1, 2, 3, 4), (3,)),
        ((1, 3), (), (1, 2, 3)),
        ((1, 3), (1, 2, 3), ()),
        ((1, 2, 3), (3,), (1, 3)),
        ((0, 2), (0, 1, 2, 5), (2, 5)),
    ],
    ids=str,
)
def test_lists_that_grow_and_shrink_leave_the_same_messages_in_whatever_order_they_are_loaded(
    lists: tuple[tuple[int, ...], ...], laboratory: Laboratory
) -> None:
    messages = [[_message(place, "hello") for place in places] for places in lists]

    check_every_order(laboratory, [(HOURS[0], [_told(0, _opened(messages=told), {})]) for told in messages])


def check_every_order(laboratory: Laboratory, reads: Sequence[tuple[Sequence[Window], Sequence[Record]]]) -> None:
    """Load some reads in every order there is."""
    for order in permutations(range(len(reads))):
        laboratory.begin()
        stored = {laboratory.store_read(hours, records): hours for hours, records in reads}
        for place in order:
            laboratory.load_pages_of(list(stored)[place], reads[place][0])
        laboratory.check_tables(stored)
