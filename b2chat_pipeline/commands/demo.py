"""`b2chat demo`: everything on a laptop without an account, on invented data, away from any real tables."""

import json
import shlex
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from urllib.request import urlopen
from zoneinfo import ZoneInfo

import click

from b2chat_pipeline.commands.config import apply_to
from b2chat_pipeline.commands.dev import Services, open_services
from b2chat_pipeline.commands.load import Request, hours_between, load_hours
from b2chat_pipeline.commands.ports import HOST, free_port
from b2chat_pipeline.commands.processes import answers
from b2chat_pipeline.commands.project import project_folder
from b2chat_pipeline.settings import read_account, read_storage

ZONE = "America/Bogota"
# The invented account's first day. Fixed, so that a day of it is the same in every demo.
FIRST_DAY = date(2025, 1, 6)


def demo(environ: Mapping[str, str], *, days: int, port: int, leave: bool) -> None:
    """Load the last days of an invented account and leave the UI running, or `leave` when all is loaded."""
    simulator_port = free_port()
    settings = demo_environment(
        environ, days=days, simulator_port=simulator_port, today=datetime.now(ZoneInfo(ZONE)).date()
    )
    with open_services(settings, port=port) as services:
        _start_simulator(services, simulator_port)
        services.start_webserver()
        apply_to(services.databases.warehouse, services.environ)
        _load(services)
        services.start_daemon()
        services.wait_for_webserver()
        click.echo(f"Dagster is at {services.address}; the schedule loads each hour as it ends.")
        if not leave:
            services.watch(lambda: _say_how_to_look(services))
    click.echo("Stopped.")


def demo_environment(environ: Mapping[str, str], *, days: int, simulator_port: int, today: date) -> dict[str, str]:
    """The settings of the demo: nothing of a real account is left in them."""
    kept = {name: value for name, value in environ.items() if name not in _REAL}
    return {
        **kept,
        "B2CHAT_API_URL": f"http://{HOST}:{simulator_port}",
        "B2CHAT_USERNAME": "demo",
        "B2CHAT_PASSWORD": "demo",
        "B2CHAT_TIMEZONE": ZONE,
        "B2CHAT_START_DATE": (today - timedelta(days=days)).isoformat(),
        "B2CHAT_ADMIN_EMAILS": "admin@example.test",
        # Before the first load, so that it holds for all of it: numbers of business hours need hours.
        "B2CHAT_CONFIG": str(project_folder() / "config.example.yaml"),
        "B2CHAT_DATA_DIR": str(read_storage(kept).data_dir / "demo"),
    }


def _say_how_to_look(services: Services) -> None:
    """Print what another shell needs: without it, commands are about the account in .env."""
    settings = " ".join(f"{name}={shlex.quote(services.environ[name])}" for name in _DEMO)
    click.echo(
        "For `b2chat load`, `build`, `explain` and the like on these data, in another shell in this folder first:"
    )
    click.echo(f"  export {settings}")
    services.say_where_the_tables_are()
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
)
_REAL = ("B2CHAT_DATABASE_URL", "DAGSTER_DATABASE_URL", "DAGSTER_HOME")


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
    load_hours(Request(keys, "admin@example.test"), services.databases)
