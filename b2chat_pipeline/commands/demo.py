"""`b2chat demo`: everything on a laptop without an account, on invented data, away from any real tables."""

import json
import re
import shlex
import sys
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from urllib.request import urlopen
from zoneinfo import ZoneInfo

import click

from b2chat_pipeline.assets.scoring import BATCHES
from b2chat_pipeline.assets.shell import USER_TAG
from b2chat_pipeline.commands.backfill import BackfillError, launch_backfill
from b2chat_pipeline.commands.config import apply_to
from b2chat_pipeline.commands.dev import Services, open_services
from b2chat_pipeline.commands.load import LoadStoppedError, Request, load_hours
from b2chat_pipeline.commands.ports import HOST, free_port
from b2chat_pipeline.commands.processes import answers
from b2chat_pipeline.commands.project import project_folder
from b2chat_pipeline.partitions import hours_between
from b2chat_pipeline.settings import read_account, read_configuration_file, read_storage
from b2chat_pipeline.simulator.claude.models import NAME as JUDGE
from b2chat_pipeline.windows import AccountClock, Window

ZONE = "America/Bogota"
# The invented account's first day. Fixed, so that a day of it is the same in every demo.
FIRST_DAY = date(2025, 1, 6)
_ADMIN = "admin@example.test"
# Seconds between two looks whether the conversations can be scored.
_LOOK_EVERY = 5.0


def demo(environ: Mapping[str, str], *, days: int, port: int, leave: bool) -> None:
    """Load the last days of an invented account and leave the UI running, or `leave` when all is loaded."""
    simulator_port = free_port()
    settings = demo_environment(
        environ, days=days, simulator_port=simulator_port, today=datetime.now(ZoneInfo(ZONE)).date()
    )
    with open_services(settings, port=port) as services:
        _start_simulator(services, simulator_port)
        services.start_webserver()
        read_configuration_file(services.environ).write_text(configuration_of_the_demo(), encoding="utf-8")
        apply_to(services.databases.warehouse, services.environ)
        _load(services)
        services.start_daemon()
        services.wait_for_webserver()
        click.echo(f"Dagster is at {services.address}; the schedule loads each hour as it ends.")
        if not leave:
            services.watch(lambda: _say_how_to_look(services), meanwhile=_Scoring(services).look)
    click.echo("Stopped.")


def demo_environment(environ: Mapping[str, str], *, days: int, simulator_port: int, today: date) -> dict[str, str]:
    """The settings of the demo: nothing of a real account is left in them."""
    kept = {name: value for name, value in environ.items() if name not in _REAL}
    folder, simulator = read_storage(kept).data_dir / "demo", f"http://{HOST}:{simulator_port}"
    return {
        **kept,
        "B2CHAT_API_URL": simulator,
        "B2CHAT_USERNAME": "demo",
        "B2CHAT_PASSWORD": "demo",
        "B2CHAT_TIMEZONE": ZONE,
        "B2CHAT_START_DATE": (today - timedelta(days=days)).isoformat(),
        "B2CHAT_ADMIN_EMAILS": _ADMIN,
        "ANTHROPIC_BASE_URL": simulator,
        "ANTHROPIC_API_KEY": "demo",
        # Before the first load, so that it holds for all of it: numbers of business hours need hours.
        "B2CHAT_CONFIG": str(folder / "config.yaml"),
        "B2CHAT_DATA_DIR": str(folder),
    }


def _say_how_to_look(services: Services) -> None:
    """Print what another shell needs: without it, commands are about the account in .env."""
    settings = " ".join(f"{name}={shlex.quote(services.environ[name])}" for name in _DEMO)
    click.echo(
        "For `b2chat load`, `build`, `explain` and the like on these data, in another shell in this folder first:"
    )
    click.echo(f"  export {settings}")
    services.say_where_the_tables_are()
    click.echo(f"Conversations are scored when they are measured, by {JUDGE}: a set of rules, no model.")
    click.echo("Ctrl-C stops everything.")


_DEMO = (
    "B2CHAT_DATA_DIR",
    "B2CHAT_API_URL",
    "B2CHAT_USERNAME",
    "B2CHAT_PASSWORD",
    "B2CHAT_TIMEZONE",
    "B2CHAT_START_DATE",
    "B2CHAT_ADMIN_EMAILS",
    "B2CHAT_CONFIG",
    "ANTHROPIC_BASE_URL",
    "ANTHROPIC_API_KEY",
)
_REAL = ("B2CHAT_DATABASE_URL", "DAGSTER_DATABASE_URL", "DAGSTER_HOME")


def configuration_of_the_demo() -> str:
    """The example's configuration, but for the one model that the simulator has, which costs nobody anything."""
    example = (project_folder() / "config.example.yaml").read_text(encoding="utf-8")
    with_judge = re.sub(r"(?m)^  model: .*$", f"  model: {JUDGE}", example)
    return re.sub(r"(?m)^  caps: .*$", "  caps: {day: 100, month: 1000}", with_judge)


class _Scoring:
    """Has all conversations scored, once, as soon as their metrics are built: the schedule would begin tomorrow."""

    def __init__(self, services: Services) -> None:
        self._services = services
        account, now = read_account(services.environ), datetime.now(UTC)
        clock = AccountClock(account.zone)
        yesterday = clock.day_of(now) - timedelta(days=1)
        self._days = [account.first_day + timedelta(days=it) for it in range((yesterday - account.first_day).days + 1)]
        self._closed = Window(clock.day_window(account.first_day).start, clock.day_window(yesterday).end)
        self._next_look = 0.0
        self._is_done = not self._days

    def look(self) -> None:
        """Hand the days to the daemon if they are measured by now."""
        if self._is_done or time.monotonic() < self._next_look:
            return
        if self._can_be_scored():
            self._is_done = True
            keys = [day.isoformat() for day in self._days]
            try:
                launch_backfill([BATCHES], keys, {USER_TAG: _ADMIN}, title=f"b2chat demo: scores by {JUDGE}")
            except BackfillError as error:
                click.echo(f"No conversation is scored: {error}")
        self._next_look = time.monotonic() + _LOOK_EVERY

    def _can_be_scored(self) -> bool:
        from b2chat_pipeline.analysis.eligibility import NOT_MEASURED, MetricsMissingError, eligible
        from b2chat_pipeline.warehouse.connection import connect

        with connect(self._services.databases.warehouse, purpose="demo") as connection:
            try:
                found = eligible(connection, self._closed, datetime.now(UTC))
            except MetricsMissingError:
                return False
        return bool(found.candidates) and not found.reasons.get(NOT_MEASURED)


def _start_simulator(services: Services, port: int) -> None:
    command = [sys.executable, "-m", "b2chat_pipeline.cli", "simulate", "--port", str(port), "--zone", ZONE]
    command += ["--first-day", FIRST_DAY.isoformat()]
    simulator = services.processes.start("simulator", command, services.environ)
    address = f"http://{HOST}:{port}"
    services.processes.wait_until(simulator, lambda: answers(f"{address}/health"), seconds=30)
    _add_misfits(address)


def _add_misfits(simulator: str) -> None:
    """Have two records of yesterday told oddly, so that there is something to see in the quarantine."""
    yesterday = datetime.now(ZoneInfo(ZONE)).date() - timedelta(days=1)
    order = json.dumps({"day": yesterday.isoformat()}).encode()
    urlopen(f"{simulator}/_simulator/misfits", data=order).close()  # noqa: S310 - the address is ours


def _load(services: Services) -> None:
    account = read_account(services.environ)
    now = datetime.now(UTC).astimezone(account.zone).replace(minute=0, second=0, microsecond=0)
    keys = hours_between(account, account.first_day.isoformat(), now.replace(tzinfo=None).isoformat(sep=" "))
    click.echo(f"Loading {len(keys)} hours of an invented account through Dagster.")
    try:
        load_hours(Request(keys, _ADMIN), services.databases)
    except LoadStoppedError:
        raise KeyboardInterrupt from None  # nobody goes on with the load of a demo
