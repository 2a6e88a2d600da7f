"""The pipeline as it lives: an account, a database server, and a daemon, on a clock that jumps from step to step.

Here belongs how time passes, and how everything may be broken and mended. Not here: what is broken when
(`incidents.py`), what must be true afterwards (`test_month.py`).
"""

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from unittest import mock

import dagster as dg
import pytest
from psycopg import Connection

from b2chat_pipeline.b2chat.client import B2ChatClient
from b2chat_pipeline.simulator import Clock, Simulator, World
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.warehouse.database import ensure_weekly_partitions
from b2chat_pipeline_tests.crash_support import PATIENCE, Moment, kill_at, wait_until_forgotten
from b2chat_pipeline_tests.dagster_support import ADMIN, account_environment, instance_in_postgres
from b2chat_pipeline_tests.month.code import defs
from b2chat_pipeline_tests.month.daemon import (
    LAUNCHER,
    Daemon,
    InProcessLauncher,
    clock_of_dagster,
    clock_of_pipeline,
    execute_here,
)
from b2chat_pipeline_tests.postgres_proxy import Proxy, proxied

SECOND_ADMIN = "second@example.test"
# A look that takes no time would have everything happen at one moment.
_MOMENT = timedelta(seconds=1)
_PROCESSES = multiprocessing.get_context("forkserver")


class _SourcesClock(Clock):
    """The clock of the account: that of the pipeline, until the account stands still."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._end: datetime | None = None

    def now(self) -> datetime:
        """The moment that the account is at."""
        now = self._clock.now()
        return now if self._end is None else min(now, self._end)

    def stop(self) -> None:
        """Nothing happens in the account any more."""
        self._end = self._clock.now()


@dataclass
class Life:
    """The pipeline with everything around it."""

    simulator: Simulator
    clock: Clock
    instance: dg.DagsterInstance
    warehouse: Proxy
    storage: Proxy
    database_url: str
    # Runs to be killed, by the job: each at a moment.
    doomed: dict[str, Moment] = field(default_factory=dict)
    killed: list[str] = field(default_factory=list)
    iterations: int = 0
    errors: list[object] = field(default_factory=list)
    _daemon: Daemon | None = None

    def live(self, until: datetime, *, step: timedelta) -> None:
        """Let time pass with the daemon at work."""
        while self.clock.now() < until:
            self.clock.set(min(max(self.clock.now() + _MOMENT, _next(self.clock.now(), step)), until))
            self.look()

    def look(self) -> None:
        """One iteration of the daemon."""
        self.iterations += 1
        self.errors += self.daemon().iterate(self.clock.now())

    def daemon(self) -> Daemon:
        """The daemon, which is started where it is not running."""
        if self._daemon is None:
            self._daemon = Daemon(self.instance).__enter__()
        return self._daemon

    def sleep(self, until: datetime) -> None:
        """Let time pass without a daemon: it is ended, and started again at the next look."""
        self.end()
        self.clock.set(until)

    def end(self) -> None:
        """End the daemon."""
        if self._daemon is not None:
            self._daemon.__exit__()
            self._daemon = None

    def stop_postgres(self) -> None:
        """The server of both databases goes away."""
        self.warehouse.stop()
        self.storage.stop()

    def start_postgres(self) -> None:
        """It is back."""
        self.warehouse.start()
        self.storage.start()

    def stand_still(self) -> None:
        """Nothing happens in the account any more."""
        assert isinstance(self.simulator.clock, _SourcesClock)
        self.simulator.clock.stop()

    def execute(self, run: dg.DagsterRun) -> None:
        """Carry out a run; where its job is doomed, in a process that is killed."""
        self.clock.advance(_MOMENT)
        moment = self.doomed.pop(run.job_name, None)
        if moment is None:
            execute_here(self.daemon().repository(), self.instance, run)
            return
        doomed = _Doomed(dict(os.environ), run.run_id, self.clock.now(), moment)
        process = _PROCESSES.Process(target=doomed.die)
        process.start()
        process.join(PATIENCE)
        assert process.exitcode == -signal.SIGKILL, f"a run of {run.job_name} ended with {process.exitcode}"
        wait_until_forgotten(self.database_url)
        self.killed.append(run.job_name)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A way to the warehouse that is always there."""
        with connect(self.database_url, purpose="compare") as connection:
            yield connection

    def runs(self) -> Counter[tuple[str, str]]:
        """How many runs of each job ended how."""
        return Counter((run.job_name, run.status.value) for run in self.instance.get_runs())


def _next(now: datetime, step: timedelta) -> datetime:
    """The next look: so much later than the last one as the steps are, a little after the hour's load is due."""
    began = now.replace(minute=8, second=0, microsecond=0) - timedelta(days=1)
    return began + ((now - began) // step + 1) * step


@dataclass(frozen=True)
class _Doomed:
    """A run that another process carries out until it kills itself."""

    environ: Mapping[str, str]
    run_id: str
    now: datetime
    moment: Moment

    def die(self) -> None:
        """Carry it out until then."""
        os.environ.update(self.environ)
        clock = Clock(self.now, speed=1)
        with clock_of_dagster(clock.now), clock_of_pipeline(clock.now), dg.DagsterInstance.get() as instance:
            run = instance.get_run_by_id(self.run_id)
            assert run is not None
            repository = defs().get_repository_def()
            kill_at(self.moment)
            execute_here(repository, instance, run)


@contextmanager
def life(
    warehouse_url: str, dagster_url: str, folder: Path, world: World, start: datetime, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Life]:
    """The pipeline of a new account, with no tick behind it, when it is `start`."""
    clock = Clock(start, speed=1)
    with ExitStack() as stack:
        stack.enter_context(clock_of_dagster(clock.now))
        stack.enter_context(clock_of_pipeline(clock.now))
        # What would be waited for passes at once.
        sleeps = {"sleep": lambda seconds: clock.advance(timedelta(seconds=seconds))}
        stack.enter_context(mock.patch.dict(B2ChatClient.__init__.__kwdefaults__, sleeps))
        simulator = stack.enter_context(Simulator(world, clock=_SourcesClock(clock)))
        warehouse, storage = (stack.enter_context(proxied(url)) for url in (warehouse_url, dagster_url))
        with connect(warehouse_url, purpose="partitions") as connection:
            ensure_weekly_partitions(connection, now=start)
        for name, value in account_environment(simulator.url, warehouse.url).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("B2CHAT_START_DATE", world.first_day.isoformat())
        monkeypatch.setenv("B2CHAT_TIMEZONE", world.zone.key)
        monkeypatch.setenv("B2CHAT_ADMIN_EMAILS", f"{ADMIN},{SECOND_ADMIN}")
        instance = stack.enter_context(instance_in_postgres(storage.url, folder, monkeypatch, more=LAUNCHER))
        lived = Life(simulator, clock, instance, warehouse, storage, warehouse_url)
        launcher = instance.run_launcher
        assert isinstance(launcher, InProcessLauncher)
        launcher.execute = lived.execute
        stack.callback(lived.end)
        yield lived
