"""A site whose daemon, webserver, code servers, PostgreSQL and API are real processes, each to be hurt alone.

Here belongs starting and hurting them, and waiting. Not here: what must be true afterwards.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import psutil
import psycopg

from b2chat_pipeline.commands.ports import HOST, free_port
from b2chat_pipeline.commands.processes import answers
from b2chat_pipeline.simulator import FLAT_WEEK, Clock, Simulator, World
from b2chat_pipeline.simulator.expectation import expected
from b2chat_pipeline.warehouse.database import ensure_database, migrate
from b2chat_pipeline.warehouse.embedded import EmbeddedPostgres
from b2chat_pipeline.windows import AccountClock
from b2chat_pipeline_tests.command_support import SCRIPTS, Home, home_in
from b2chat_pipeline_tests.dagster_support import account_environment
from b2chat_pipeline_tests.postgres import FAST
from b2chat_pipeline_tests.soak.runs import Webserver

CLOCK = AccountClock(ZoneInfo("America/Bogota"))
# The account begins so many days before today, and the daemon was off for the last ones of them.
DAYS, DAYS_OFF = 4, 3


@dataclass
class Site:
    """The processes of one account. PostgreSQL's files are on `disk`; `first_hour` is the earliest asked for."""

    home: Home
    server: EmbeddedPostgres
    disk: Path
    simulator: Simulator
    settings: Mapping[str, str]
    port: int
    first_hour: datetime
    processes: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)

    @property
    def warehouse(self) -> str:
        """The address of the tables."""
        return self.settings["B2CHAT_DATABASE_URL"]

    def start_daemon(self, name: str = "daemon") -> None:
        """Start the daemon, or, under another name, one more of it."""
        self._start(name, ["dagster-daemon", "run", "-w", "workspace.yaml"])

    def up(self) -> Webserver:
        """Have daemon and webserver run, and wait until the latter answers."""
        if "daemon" not in self.processes:
            self.start_daemon()
        address = f"http://{HOST}:{self.port}"
        if "webserver" not in self.processes:
            self._start("webserver", ["dagster-webserver", "-w", "workspace.yaml", "-h", HOST, "-p", str(self.port)])
        wait_for(lambda: answers(f"{address}/server_info"))
        return Webserver(address)

    def _start(self, name: str, command: Sequence[str]) -> None:
        with self.log(name).open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [SCRIPTS / command[0], *command[1:]],
                env=self.home.environment(self.settings),
                cwd=self.home.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def log(self, name: str) -> Path:
        """What a process has said."""
        return self.home.folder / f"{name}.log"

    def kill(self, name: str) -> None:
        """End a process with its code server and its runs, as the power being cut does."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def end(self) -> None:
        """Leave nothing behind."""
        for name in list(self.processes):
            self.kill(name)

    def restart_postgresql(self) -> None:
        """Stop the server, which cuts all connections, and start it again some seconds later."""
        assert self.server.stop()
        time.sleep(10)
        self.server.start()

    def start_postgresql_if_it_ended(self) -> None:
        """What an operator does after he has made room."""
        if self.server.has_ended():
            self.server.stop()
            self.server.start()

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Take all the room that PostgreSQL has not taken yet."""
        ballast = self.disk / "ballast"
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(2**16)):
                pass
        try:
            yield
        finally:
            ballast.unlink()

    def doctor(self) -> str:
        """What the operator's command says."""
        return self.home.run(["b2chat", "doctor"], {**self.settings, "COLUMNS": "300"}).output

    def alive(self) -> dict[str, int]:
        """The processes that live, by name."""
        return {name: process.pid for name, process in self.processes.items() if process.poll() is None}

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """Dagster's books, over connections of their own."""
        with dg.DagsterInstance.get() as instance:
            yield instance

    def runs(self, **of: Any) -> list[dg.RunRecord]:  # noqa: ANN401 - those of RunsFilter
        """The runs that a filter finds, the oldest first."""
        with self.instance() as instance:
            return list(instance.get_run_records(dg.RunsFilter(**of), ascending=True))

    def worker(self, run_id: str) -> psutil.Process:
        """The process of a run, which its events name."""
        with self.instance() as instance:
            events = instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
        told = (re.search(r"Started process for run \(pid: (\d+)\)", it.message) for it in events)
        (pid,) = (int(found[1]) for found in told if found)
        return psutil.Process(pid)

    def hour_before(self) -> tuple[datetime, str]:
        """An hour that nobody has asked for, next to those that were; and its key."""
        self.first_hour -= timedelta(hours=1)
        return self.first_hour, key_of(self.first_hour)

    def ticks(self, name: str, *, since: float) -> list[str]:
        """How the ticks of a schedule or sensor ended since a moment, the oldest first."""
        with self.instance() as instance:
            states = {state.instigator_name: state for state in instance.all_instigator_state()}
            if (state := states.get(name)) is None:
                return []
            ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, after=since)
        return [it.status.value for it in reversed(ticks) if it.status.value != "STARTED"]

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of the warehouse."""
        with psycopg.connect(self.warehouse, options="-c timezone=UTC") as connection:
            return connection.execute(statement.encode(), values).fetchall()

    def assert_loaded_once(self, first: datetime, end: datetime) -> None:
        """The tables hold every chat that was created in these hours, and no message more often than the account."""
        account = expected(
            self.simulator.world,
            self.simulator.clock.now(),
            first=CLOCK.day_of(first),
            last=CLOCK.day_of(end - timedelta(seconds=1)),
        )
        there = {key for key, chat in account.chats.items() if first <= chat.created_at < end}
        held = self.query("select b2chat_id from chats where created_at >= %s and created_at < %s", first, end)
        assert {key for (key,) in held} == there
        assert there
        rows = self.query(
            "select b2chat_id, timestamp, incoming, messages.text from messages join chats on chats.id = chat_id"
            " where b2chat_id = any(%s)",
            list(there),
        )
        told = Counter((key, it.timestamp, it.incoming, it.text) for key in there for it in account.messages[key])
        assert Counter(rows) <= told
        assert rows


@contextmanager
def running_site(directory: Path) -> Iterator[Site]:
    """A site whose account has been loaded up to some days ago; neither daemon nor webserver run yet."""
    with ExitStack() as stack:
        disk = stack.enter_context(_small_disk(directory / "disk"))
        server = stack.enter_context(EmbeddedPostgres(disk, settings={**FAST, "max_wal_size": "64MB"}))
        first_day = CLOCK.day_of(datetime.now(UTC)) - timedelta(days=DAYS)
        world = World(
            first_day=first_day, zone=CLOCK.zone, chats_per_day=200, messages_per_chat=3, weekly_shape=FLAT_WEEK
        )
        clock = Clock(datetime.now(UTC), speed=1)
        simulator = stack.enter_context(Simulator(world, clock=clock))
        for database in ("b2chat", "dagster"):
            ensure_database(server.url(database))
        migrate(server.url("b2chat"))
        folder = directory / "home"
        folder.mkdir()
        home = stack.enter_context(home_in(folder))
        settings = account_environment(simulator.url, server.url("b2chat")) | {
            "B2CHAT_START_DATE": first_day.isoformat(),
            "DAGSTER_DATABASE_URL": server.url("dagster"),
            "DAGSTER_HOME": str(folder),
            **{name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ},
        }
        # The afternoon, so that there are chats in every hour that the tests go back.
        first_hour = CLOCK.day_window(first_day).start + timedelta(hours=16)
        site = Site(home, server, disk, simulator, settings, free_port(), first_hour)
        stack.callback(site.end)
        yield site


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    """A disk of its own for a folder, where this user may mount one; else the folder alone."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=800m", "b2chat", str(folder)]
    is_mounted = os.geteuid() == 0 and shutil.which("mount") and subprocess.run(mount, check=False).returncode == 0
    try:
        yield folder
    finally:
        if is_mounted:
            subprocess.run(["umount", folder], check=True)


def key_of(hour: datetime) -> str:
    """The partition key of an hour."""
    return hour.astimezone(CLOCK.zone).strftime("%Y-%m-%d-%H:%M")


def wait_for(is_true: Callable[[], object], *, seconds: float = 90) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.5)
