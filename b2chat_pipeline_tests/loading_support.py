"""Runs the real sync against a simulator and a real database, without Dagster, and compares tables with the world."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, cast

from psycopg import Connection
from psycopg.rows import dict_row

from b2chat_pipeline.b2chat.client import B2ChatClient, Credentials, RetryPolicy
from b2chat_pipeline.b2chat.contract import CHATS, CONTACTS, Endpoint
from b2chat_pipeline.ingest.budget import SharedBudget
from b2chat_pipeline.ingest.days import days_told
from b2chat_pipeline.ingest.loading import DayLoader
from b2chat_pipeline.ingest.reading import told_pages
from b2chat_pipeline.ingest.sync import Order, Outcome, Tools, run_sync
from b2chat_pipeline.policy import RequestClass
from b2chat_pipeline.simulator import Clock, Simulator, World
from b2chat_pipeline.simulator.expectation import (
    Expectation,
    ExpectedAgent,
    ExpectedChat,
    ExpectedContact,
    ExpectedMessage,
)
from b2chat_pipeline.warehouse.accounts import SYSTEM_USER, ensure_users
from b2chat_pipeline.warehouse.books import open_sync
from b2chat_pipeline.warehouse.budget import Limits
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.warehouse.reads import stored_pages
from b2chat_pipeline.windows import AccountClock, Window, hours_of

UNLIMITED = Limits(0, 0)
PATIENT = RetryPolicy()


@dataclass(frozen=True)
class Pipeline:
    """The pipeline without Dagster, on one simulator and one database."""

    simulator: Simulator
    url: str
    clock: AccountClock
    limits: Limits = UNLIMITED
    policy: RetryPolicy = PATIENT
    # Where requests go instead of to the simulator.
    api_url: str = ""
    sleep: Callable[[float], None] = lambda _: None

    def load(self, endpoint: Endpoint, hours: Sequence[Window], *, read: bool = True, load: bool = True) -> Outcome:
        """One sync of some hours."""
        order = Order(
            endpoint, hours, read=read, load=load, user_id=SYSTEM_USER, operation="manual", run_id="a test's run"
        )
        with self.tools() as tools:
            return run_sync(order, tools)

    def load_days(self, first: date, last: date) -> list[Outcome]:
        """Both sides of whole account-local days, `last` included, as far as they are over."""
        hours = hours_between(self.clock, first, last, until=self.simulator.clock.now())
        return [self.load(CHATS, hours), self.load(CONTACTS, hours)]

    def load_account(self, first: date, last: date) -> list[Outcome]:
        """The chats of some days, and every contact: each has been updated within the last twelve weeks."""
        now = self.simulator.clock.now()
        earliest = self.clock.day_of(now - timedelta(days=85))
        return [
            self.load(CHATS, hours_between(self.clock, first, last, until=now)),
            self.load(CONTACTS, hours_between(self.clock, earliest, self.clock.day_of(now), until=now)),
        ]

    def tools(self) -> AbstractContextManager[Tools]:
        """What a sync of this pipeline works with."""
        return tools_for(
            *(self.api_url or self.simulator.url, self.url, self.clock),
            now=self.simulator.clock.now,
            limits=self.limits,
            policy=self.policy,
            sleep=self.sleep,
        )


@contextmanager
def tools_for(
    api_url: str,
    url: str,
    clock: AccountClock,
    *,
    now: Callable[[], datetime],
    limits: Limits = UNLIMITED,
    policy: RetryPolicy = PATIENT,
    sleep: Callable[[float], None] = lambda _: None,
    request_class: RequestClass = "backfill",
) -> Iterator[Tools]:
    """What a sync works with: connections to a database, and a client of an API that never really sleeps."""
    with ExitStack() as stack:
        reading, loading, books, counting = (
            stack.enter_context(connect(url, purpose=purpose)) for purpose in ("read", "load", "books", "budget")
        )
        ensure_users(books, (), now=now())
        client = stack.enter_context(
            B2ChatClient(
                api_url,
                Credentials("demo", "demo"),
                budget=SharedBudget(counting, limits, clock, now=now),
                policy=policy,
                request_class=request_class,
                clock=now,
                sleep=sleep,
            )
        )
        yield Tools(client, reading, loading, books, clock, now)


@contextmanager
def running_pipeline(url: str, world: World, *, now: datetime) -> Iterator[Pipeline]:
    """The pipeline on a database and a simulator whose clock stands still."""
    with Simulator(world, clock=Clock(now)) as simulator:
        yield Pipeline(simulator, url, AccountClock(world.zone))


def load_pages_of(pipeline: Pipeline, sync_id: str, hours: Sequence[Window]) -> dict[str, int]:
    """Load the chats of one read, whatever has been read since; returns how many records became what."""
    sums: dict[str, int] = {}
    with pipeline.tools() as tools:
        sync = open_sync(
            tools.books, ["chats"], user_id=SYSTEM_USER, operation="manual", run_id="late", metadata={}, now=tools.now()
        )
        loader = DayLoader(tools.loading, CHATS, tools.clock, sync, now=tools.now)
        pages = told_pages(stored_pages(tools.reading, sync_id, CHATS), CHATS, tools.clock)
        for day in days_told(pages, hours, tools.clock):
            loaded = loader.load(loader.prepare(day))
            assert not loaded.failed
            for (entity, _), counts in loaded.tally.items():
                for term in ("inserted", "updated", "older", "unchanged"):
                    sums[f"{entity} {term}"] = sums.get(f"{entity} {term}", 0) + getattr(counts, term)
    return sums


def all_loaded(outcomes: Sequence[Outcome]) -> bool:
    """Whether every hour of some syncs was loaded."""
    return all(outcome.status == "success" for outcome in outcomes)


def hours_between(clock: AccountClock, first: date, last: date, *, until: datetime) -> list[Window]:
    """The hours of some account-local days that are over by `until`."""
    return hours_of(Window(clock.day_window(first).start, clock.day_window(last).end), until=until)


def rows(connection: Connection, query: str) -> list[dict[str, object]]:
    """The rows of a query as dictionaries."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode()).fetchall()


def row_versions(url: str) -> dict[str, list[dict[str, object]]]:
    """Where each row of the five tables lies and which transaction wrote it: equal means that nothing was written."""
    with connect(url, purpose="compare") as connection:
        return {
            table: rows(connection, f"select id, ctid::text, xmin::text from {table} order by id")  # noqa: S608
            for table in _BUSINESS
        }


def business_rows(url: str) -> dict[str, list[dict[str, object]]]:
    """Every column of the five tables that says something about the account, without the times of our own work."""
    with connect(url, purpose="compare") as connection:
        return {table: rows(connection, query) for table, query in _BUSINESS.items()}


def stored(url: str, *, schema: str = "public") -> Expectation:
    """What the tables hold, in the words of the simulator's expectation: by natural key, URLs without their query."""
    with connect(url, purpose="compare") as connection:
        connection.execute("select set_config('search_path', %s, false)", (schema,))
        chats, messages = stored_chats(connection)
        contacts = {str(row["b2chat_id"]): ExpectedContact(**_contact(row)) for row in rows(connection, _CONTACTS)}
        agents = {str(row["username"]): ExpectedAgent(**row) for row in rows(connection, _AGENTS)}  # type: ignore[arg-type]
        departments = frozenset(str(row["name"]) for row in rows(connection, "select name from departments"))
    return Expectation(chats=chats, messages=messages, contacts=contacts, agents=agents, departments=departments)


def stored_chats(connection: Connection) -> tuple[dict[str, ExpectedChat], dict[str, list[ExpectedMessage]]]:
    """The chats, and the messages of each that are not superseded."""
    chats = {str(row["b2chat_id"]): ExpectedChat(**_chat(row)) for row in rows(connection, _CHATS)}
    messages: dict[str, list[ExpectedMessage]] = {key: [] for key in chats}
    for row in rows(connection, _MESSAGES):
        messages[str(row.pop("chat"))].append(ExpectedMessage(**row))  # type: ignore[arg-type]
    return chats, messages


def _chat(row: dict[str, object]) -> dict[str, Any]:
    return row | {"tags": tuple(cast("list[str]", row["tags"]))}


def _contact(row: dict[str, object]) -> dict[str, Any]:
    attributes, tags = (cast("list[dict[str, str]]", row[name] or []) for name in ("custom_attributes", "tags"))
    return row | {
        "custom_attributes": tuple((it["name"], it["value"]) for it in attributes),
        "tags": tuple(it["name"] for it in tags),
    }


_CHATS = """
    select c.b2chat_id, c.provider::text, c.status::text, c.alias, c.tags, c.unread_count, c.created_at, c.opened_at,
           c.picked_up_at, c.response_at, c.closed_at, c.duration, a.username as agent, k.b2chat_id as contact,
           d.name as department, c.is_agent_available, c.last_modified_at
      from chats c left join agents a on a.id = c.agent_id left join contacts k on k.id = c.contact_id
      left join departments d on d.id = c.department_id
     order by c.b2chat_id
"""
_MESSAGES = """
    select c.b2chat_id as chat, m.timestamp, m.incoming, m.type::text, m.text,
           split_part(m.image_url, '?', 1) as image_url, split_part(m.file_url, '?', 1) as file_url, m.caption
      from messages m join chats c on c.id = m.chat_id
     where m.superseded_at is null
     order by m.timestamp, m.position
"""
_CONTACTS = """
    select b2chat_id, full_name, mobile, phone_number, email, identification, address, city, country, company,
           custom_attributes, tags
      from contacts order by b2chat_id
"""
_AGENTS = """
    select a.username, a.name, a.email, d.name as department
      from agents a left join departments d on d.id = a.department_id order by a.username
"""
_BUSINESS = {
    "chats": """
        select id, b2chat_id, agent_id, contact_id, department_id, provider::text, raw_provider, status::text,
               raw_status, is_agent_available, alias, tags, unread_count, created_at, opened_at, picked_up_at,
               response_at, closed_at, duration, raw_duration, time_flags, last_modified_at, row_hash, messages_hash,
               messages_told, is_deleted, priority::text, topic, resolution_note
          from chats order by id
    """,
    "messages": """
        select id, chat_id, text, type::text, raw_type, incoming, broadcasted, split_part(image_url, '?', 1) as image,
               split_part(file_url, '?', 1) as file, caption, location, position, timestamp, time_flag,
               superseded_at is null as told
          from messages order by id
    """,
    "contacts": """
        select id, b2chat_id, full_name, mobile, raw_mobile, phone_number, email, identification, address, city,
               country, company, merchant_id, custom_attributes, tags, is_full, time_flags, row_hash, last_seen_at,
               case when is_full then created_at end as created_at, case when is_full then updated_at end as updated_at
          from contacts order by id
    """,
    "agents": """
        select id, b2chat_id, username, name, email, department_id, department_seen_at, last_seen_at, is_active
          from agents order by id
    """,
    # Of two departments with one slug, the code of the one met first has no hash.
    "departments": "select id, name, is_leaf, parent_id, path, level, last_seen_at from departments order by id",
}
