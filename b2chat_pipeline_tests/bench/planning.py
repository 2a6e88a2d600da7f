"""What `b2chat load --plan` says of a month, against what the load then takes: requests and seconds.

Once in one process, as `b2chat load` works where no daemon runs, and once as a backfill that the daemon works off, with
what the command plans beside each. The account is new, so the plan rests on one page of each side. Not here:
how fast a backfill is (`backfill.py`).
"""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import psycopg

from b2chat_pipeline.commands.ports import free_port
from b2chat_pipeline.operations.planning import load_plan
from b2chat_pipeline.policy.loads import BY_DAEMON, IN_ONE_PROCESS, LoadPlan, Pace
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.windows import AccountClock, Window
from b2chat_pipeline_tests.bench.account import FIRST_DAY, ZONE, BenchAccount, running_account
from b2chat_pipeline_tests.bench.databases import production_server, settle
from b2chat_pipeline_tests.bench.report import Measure
from b2chat_pipeline_tests.command_support import Home, home_in, wait_for_daemon, wait_for_line
from b2chat_pipeline_tests.dagster_support import account_environment

CHATS_PER_DAY = 200
_PATIENCE = 3600
# What runs beside the load.
_Working = Callable[[Home, Mapping[str, str]], AbstractContextManager[None]]
# How far a plan may be off, in either direction.
_REQUESTS_OFF, _SECONDS_OFF = 1.1, 1.25


def measure_plan(*, days: int) -> list[Measure]:
    """Two measures of each way to load, of one round: it takes long. Raises RuntimeError where a load fails."""
    with running_account(chats_per_day=CHATS_PER_DAY, days=days) as account, production_server() as server:
        measures = []
        for way, pace, working in (
            ("one process", IN_ONE_PROCESS, _alone),
            ("the daemon", BY_DAEMON, _with_daemon),
        ):
            with server.database(migrated=True) as url, server.database(migrated=False) as dagster_url:
                settings = account_environment(account.url, url) | {
                    "DAGSTER_DATABASE_URL": dagster_url,
                    "B2CHAT_REQUESTS_PER_SECOND": "5",
                }
                measures += _planned_and_happened(account, way, pace, settings, working)
        return measures


def _planned_and_happened(
    account: BenchAccount, way: str, pace: Pace, settings: Mapping[str, str], working: _Working
) -> list[Measure]:
    url = settings["B2CHAT_DATABASE_URL"]
    end = account.last_day + timedelta(days=1)
    clock = AccountClock(ZONE)
    window = Window(clock.day_window(FIRST_DAY).start, clock.day_window(account.last_day).end)
    with (
        TemporaryDirectory(prefix="b2chat-bench-") as folder,
        home_in(Path(folder)) as home,
        working(home, settings),
    ):
        settle(url)
        began = datetime.now(UTC)
        with connect(url, purpose="bench") as connection:
            plan = load_plan(connection, {**os.environ, **settings}, window, pace=pace)
        asked = _requests(url)
        started = perf_counter()
        said = home.run(["b2chat", "load", FIRST_DAY.isoformat(), end.isoformat()], settings, seconds=_PATIENCE)
        took = perf_counter() - started
        if said.status:
            raise RuntimeError(f"`b2chat load` ended with {said.status}: {said.output[-2000:]}{said.errors[-2000:]}")
        sent = _requests(url) - asked
    return _measures(way, account.days, plan, seconds=(plan.finished - began).total_seconds(), sent=sent, took=took)


def _measures(way: str, days: int, plan: LoadPlan, *, seconds: float, sent: int, took: float) -> list[Measure]:
    name = way.replace(" ", "_")
    return [
        Measure(
            f"plan_of_{days}_days_by_{name}_{what}",
            f"plan of {days} days by {way}: {what}, how far off",
            most,
            "less",
            [max(planned / happened, happened / planned)],
            f"planned {planned:,.0f}, happened {happened:,.0f}, ratio {planned / happened:.2f}",
        )
        for what, planned, happened, most in (
            ("requests", plan.requests, sent, _REQUESTS_OFF),
            ("seconds", seconds, took, _SECONDS_OFF),
        )
    ]


def _requests(url: str) -> int:
    """The requests sent so far for history: beside a backfill the daemon reads what is fresh."""
    with psycopg.connect(url) as connection:
        ((sent,),) = connection.execute("select coalesce(sum(backfill), 0) from ops.request_budget").fetchall()
        return int(sent)


@contextmanager
def _alone(_home: Home, _settings: Mapping[str, str]) -> Iterator[None]:
    yield


@contextmanager
def _with_daemon(home: Home, settings: Mapping[str, str]) -> Iterator[None]:
    with home.running(["b2chat", "dev", "--port", str(free_port())], settings) as dev:
        wait_for_line(dev.stdout, "Dagster is at ")
        wait_for_daemon(settings["DAGSTER_DATABASE_URL"])
        yield
        dev.send_signal(signal.SIGTERM)
        dev.wait(60)
