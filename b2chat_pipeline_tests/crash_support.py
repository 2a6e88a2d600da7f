"""Kills a process that loads, at an exact moment: before or after the nth exchange one of its connections has with
PostgreSQL.

Whatever psycopg says to a server passes through `Connection.wait`: statements, the rows of a COPY, BEGIN and COMMIT.
The process counts there, by connection, since each is used by one thread at a time: the numbers are the same in every
run.
Not here: what must be true afterwards.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection as Pipe
from typing import Any, Protocol

import psycopg

from b2chat_pipeline.b2chat.contract import Endpoint
from b2chat_pipeline.ingest.sync import Order, run_sync
from b2chat_pipeline.warehouse.accounts import SYSTEM_USER
from b2chat_pipeline.windows import AccountClock, Window
from b2chat_pipeline_tests.loading_support import Pipeline, tools_for

PATIENCE = 60.0
RUN_ID = "doomed"
# Processes are forked from one that has imported everything and has no threads.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(
    ["__main__", __name__, "anyio", "httpcore", "anthropic", "phonenumbers.data.region_CO"]
)


@dataclass(frozen=True)
class Moment:
    """Just before (or after) an exchange of the connection that was opened for `purpose`, counted from 1."""

    purpose: str
    number: int
    after: bool = False

    def __str__(self) -> str:
        return f"{'after' if self.after else 'before'} {self.purpose} {self.number}"


@dataclass(frozen=True)
class Exchange:
    """One exchange of a load that nothing happened to; psycopg's name for what it does tells where a COMMIT is."""

    purpose: str
    number: int
    name: str

    @property
    def begins(self) -> bool:
        """Whether it began a transaction."""
        return self.name == "_enter_gen"

    @property
    def commits(self) -> bool:
        """Whether it ended a transaction."""
        return self.name == "_exit_gen"


class Doable(Protocol):
    """Something that another process can do with the database at an address."""

    @property
    def url(self) -> str: ...

    def do(self) -> None: ...


@dataclass(frozen=True)
class Work:
    """A load that another process can do: sides and their hours, one sync after the other."""

    api_url: str
    url: str
    clock: AccountClock
    now: datetime
    syncs: Sequence[tuple[Endpoint, Sequence[Window]]]

    def do(self) -> None:
        for endpoint, hours in self.syncs:
            order = Order(endpoint, hours, read=True, load=True, user_id=SYSTEM_USER, operation="manual", run_id=RUN_ID)
            with tools_for(self.api_url, self.url, self.clock, now=lambda: self.now) as tools:
                assert run_sync(order, tools).status == "success"


def work_of(pipeline: Pipeline, *syncs: tuple[Endpoint, Sequence[Window]]) -> Work:
    """Syncs of a pipeline, at the moment its simulator's clock shows."""
    return Work(pipeline.simulator.url, pipeline.url, pipeline.clock, pipeline.simulator.clock.now(), syncs)


def moments(exchanges: Iterable[Exchange]) -> list[Moment]:
    """Before each of some exchanges, and also after it where it is a COMMIT."""
    return [
        Moment(it.purpose, it.number, after)
        for it in exchanges
        for after in ((False, True) if it.commits else (False,))
    ]


def first_transaction(exchanges: Iterable[Exchange], purpose: str) -> list[Exchange]:
    """The exchanges of the first transaction of a connection, BEGIN and COMMIT included."""
    own = [it for it in exchanges if it.purpose == purpose]
    first = next(place for place, it in enumerate(own) if it.begins)
    last = next(place for place, it in enumerate(own) if it.commits)
    return own[first : last + 1]


def counted(work: Doable) -> list[Exchange]:
    """Do the work in another process, undisturbed; returns what it said to PostgreSQL."""
    receiver, sender = _PROCESSES.Pipe(duplex=False)
    process = _PROCESSES.Process(target=_count, args=(work, sender))
    process.start()
    assert receiver.poll(PATIENCE)
    exchanges: list[Exchange] = receiver.recv()
    process.join(PATIENCE)
    assert process.exitcode == 0
    return exchanges


def kill(work: Doable, moment: Moment) -> None:
    """Do the work in another process up to a moment at which it kills itself; fails where it never comes to that."""
    process = _PROCESSES.Process(target=_die, args=(work, moment))
    process.start()
    process.join(PATIENCE)
    assert process.exitcode == -signal.SIGKILL, f"{moment}: it ended with {process.exitcode}"
    wait_until_forgotten(work.url)


def kill_at(moment: Moment) -> None:
    """Have this process kill itself at a moment, counted from now on."""
    _Counter(moment).begin()


def wait_until_forgotten(url: str) -> None:
    """Wait until PostgreSQL has noticed that nobody is behind the connections of a dead process."""
    deadline = time.monotonic() + PATIENCE
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(
            "select 1 from pg_stat_activity where datname = current_database() and application_name like 'b2chat %'"
        ).fetchone():
            assert time.monotonic() < deadline
            time.sleep(0.005)


class _Counter:
    """Counts the exchanges of this process, and may end it at one of them."""

    def __init__(self, last: Moment | None = None) -> None:
        self._last = last
        self._lock = threading.Lock()
        self._numbers = Counter[str]()
        self.exchanges: list[Exchange] = []

    def begin(self) -> None:
        """Count from now on, for the rest of this process's life."""
        plain = psycopg.Connection.wait

        def wait(connection: psycopg.Connection[Any], generator: Any, *args: Any, **named: Any) -> Any:  # noqa: ANN401
            purpose = connection.info.parameter_status("application_name") or ""
            purpose = purpose.removeprefix("b2chat ")
            with self._lock:
                self._numbers[purpose] += 1
                number = self._numbers[purpose]
                self.exchanges.append(Exchange(purpose, number, generator.__name__))
            self._pass(Moment(purpose, number))
            answer = plain(connection, generator, *args, **named)
            self._pass(Moment(purpose, number, after=True))
            return answer

        psycopg.Connection.wait = wait  # type: ignore[assignment,method-assign]

    def _pass(self, moment: Moment) -> None:
        if moment == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


def _count(work: Doable, sender: Pipe) -> None:
    counter = _Counter()
    counter.begin()
    work.do()
    sender.send(counter.exchanges)


def _die(work: Doable, moment: Moment) -> None:
    kill_at(moment)
    work.do()
