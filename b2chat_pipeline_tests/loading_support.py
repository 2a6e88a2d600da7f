"""Runs the real sync against a simulator and a real database, without Dagster, and compares tables with the world."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from psycopg import Connection
from psycopg.rows import dict_row

from b2chat_pipeline.b2chat.client import B2ChatClient, Credentials
from b2chat_pipeline.b2chat.contract import CHATS, CONTACTS, Endpoint
from b2chat_pipeline.ingest.budget import SharedBudget
from b2chat_pipeline.ingest.sync import Order, Outcome, Tools, run_sync
from b2chat_pipeline.simulator import Simulator
from b2chat_pipeline.warehouse.accounts import SYSTEM_USER, ensure_users
from b2chat_pipeline.warehouse.budget import Limits
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.windows import AccountClock, Window


@dataclass(frozen=True)
class Pipeline:
    """The pipeline without Dagster, on one simulator and one database."""

    simulator: Simulator
    url: str
    clock: AccountClock

    def load(self, endpoint: Endpoint, hours: Sequence[Window], *, read: bool = True) -> Outcome:
        """One sync of some hours."""
        order = Order(
            endpoint, hours, read=read, load=True, user_id=SYSTEM_USER, operation="manual", run_id="a test's run"
        )
        with self._tools() as tools:
            return run_sync(order, tools)

    def load_days(self, first: date, last: date) -> list[Outcome]:
        """Both sides of whole account-local days, `last` included, as far as they are over."""
        hours = hours_between(self.clock, first, last, until=self.simulator.clock.now())
        return [self.load(CHATS, hours), self.load(CONTACTS, hours)]

    @contextmanager
    def _tools(self) -> Iterator[Tools]:
        with ExitStack() as stack:
            reading, loading, books, counting = (
                stack.enter_context(connect(self.url, purpose=purpose))
                for purpose in ("read", "load", "books", "budget")
            )
            now = self.simulator.clock.now
            ensure_users(books, (), now=now())
            budget = SharedBudget(counting, Limits(0, 0), self.clock, now=now)
            client = stack.enter_context(
                B2ChatClient(
                    self.simulator.url,
                    Credentials("demo", "demo"),
                    budget=budget,
                    request_class="backfill",
                    clock=now,
                    sleep=lambda _: None,
                )
            )
            yield Tools(client, reading, loading, books, self.clock, now)


def hours_between(clock: AccountClock, first: date, last: date, *, until: datetime) -> list[Window]:
    """The hours of some account-local days that are over by `until`."""
    start, end = clock.day_window(first).start, min(clock.day_window(last).end, until)
    hours = []
    while start + timedelta(hours=1) <= end:
        hours.append(Window(start, start + timedelta(hours=1)))
        start += timedelta(hours=1)
    return hours


def rows(connection: Connection, query: str) -> list[dict[str, object]]:
    """The rows of a query as dictionaries."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode()).fetchall()
