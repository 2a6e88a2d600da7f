"""`python -m b2chat_pipeline_tests.soak`: an hour of hourly runs and re-reads by the real daemon: `make soak-hour`.

Databases, webserver, daemon and their code servers run as under `b2chat dev`, schedules and sensors on. Dagster's clock
is the real one, so the account lives in another time: the simulator's clock begins some weeks back and is set an hour
further each time. That hour is then loaded, and after each fourth two days are read again, by runs launched over the
webserver with the tags of the schedules, so that their requests count as the schedules'. The metrics of these days are
built by the sensor meanwhile, and the schedules' own ticks go on. Here belongs the order of it all.
"""

import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import click
import dagster as dg
import psycopg

from b2chat_pipeline.commands.dev import Services, open_services
from b2chat_pipeline.commands.ports import free_port
from b2chat_pipeline.partitions import range_tags
from b2chat_pipeline.simulator import Clock, Simulator, World
from b2chat_pipeline.simulator.expectation import expected
from b2chat_pipeline.windows import AccountClock
from b2chat_pipeline_tests.dagster_support import PROJECT
from b2chat_pipeline_tests.soak.memory import ROLES, Memory
from b2chat_pipeline_tests.soak.runs import Webserver
from b2chat_pipeline_tests.soak.tables import Growth, Size, growth, removable_later, sizes

REPORT = Path("build/soak.json")
ZONE = ZoneInfo("America/Bogota")
# Dagster leaves a hole of more than a month alone: what lies between these hours and today is not asked for.
_DAYS_BACK = 50
_PER_SECOND, _PER_DAY = 5, 10_000
_ALLOWED_GROWTH = 1.05
# Of four hours that are loaded, the days are read again with one.
_REREAD_EVERY = 4
# Seconds that runs may take to end when no more are launched.
_PATIENCE = 300


@dataclass
class Soak:
    """What is seen on the way."""

    services: Services
    simulator: Simulator
    memory: Memory
    minutes: float
    began: float = field(default_factory=time.monotonic)
    ended: "Counter[str]" = field(default_factory=Counter)
    settled: dict[str, Size] = field(default_factory=dict)
    next_look: float = 0.0

    @property
    def minute(self) -> float:
        """Minutes since the beginning."""
        return (time.monotonic() - self.began) / 60

    @property
    def settling(self) -> float:
        """The minute from which on nothing should grow."""
        return self.minutes / 4

    def look(self) -> None:
        """Once a minute, take a sample; end where a process has ended."""
        self.services.processes.check()
        if self.minute < self.next_look:
            return
        self.next_look += 1
        sample = self.memory.look(self.minute)
        if not self.settled and self.minute >= self.settling:
            self.settled = self.sizes()
        told = ", ".join(f"{role} {size:.0f} MB" for role, size in sample.megabytes.items())
        click.echo(f"{self.minute:5.1f} min: {told}; {dict(self.ended)}", err=True)

    def sizes(self) -> dict[str, Size]:
        """The tables of both databases."""
        return sizes(self.services.databases.warehouse, self.services.databases.dagster)


@click.command()
@click.option("--minutes", default=60.0, show_default=True, help="How long; nothing may grow after the first quarter.")
@click.option("--every", default=15.0, show_default=True, help="Seconds between the starts of two hours, at least.")
def soak(minutes: float, every: float) -> None:
    """Work for an hour, and tell what grew."""
    clock = AccountClock(ZONE)
    first = clock.day_of(datetime.now(UTC)) - timedelta(days=_DAYS_BACK)
    world = World(first_day=first, zone=ZONE)
    start = clock.day_window(first).start
    with (
        TemporaryDirectory(prefix="b2chat-soak-") as folder,
        Simulator(world, clock=Clock(start), requests_per_second=_PER_SECOND) as simulator,
        open_services(_environment(Path(folder), simulator.url, first), port=free_port()) as services,
    ):
        services.start_webserver()
        services.start_daemon()
        services.wait_for_webserver()
        pids = {child.name: child.process.pid for child in services.processes.children}
        seen = Soak(services, simulator, Memory(pids["daemon"], pids["webserver"]), minutes)
        last = _work(seen, clock, start, every=every)
        _let_runs_end()
        report = _report(seen, world, first, last)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=2, default=asdict) + "\n", encoding="utf-8")
    sys.exit(0 if _tell(report) else 1)


def _environment(folder: Path, api_url: str, first: date) -> dict[str, str]:
    """An account on the simulator with everything else as a user has it; Dagster's files are in the folder too."""
    import os

    shutil.copy(PROJECT / "dagster.yaml", folder)
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "PYTHONPATH", "LANG")}
    return kept | {
        "B2CHAT_API_URL": api_url,
        "B2CHAT_USERNAME": "demo",
        "B2CHAT_PASSWORD": "demo",
        "B2CHAT_TIMEZONE": ZONE.key,
        "B2CHAT_START_DATE": first.isoformat(),
        "B2CHAT_ADMIN_EMAILS": "admin@example.test",
        "B2CHAT_REQUESTS_PER_SECOND": str(_PER_SECOND),
        "B2CHAT_REQUESTS_PER_DAY": str(_PER_DAY),
        "B2CHAT_DATA_DIR": str(folder / "data"),
        "DAGSTER_HOME": str(folder),
    }


def _work(seen: Soak, clock: AccountClock, start: datetime, *, every: float) -> datetime:
    """Load hour after hour until the time is over; the end of the last one."""
    webserver, hour, done = Webserver(seen.services.address), start, 0
    while seen.minute < seen.minutes:
        began = time.monotonic()
        # As late as the schedule is.
        seen.simulator.clock.set(hour + timedelta(hours=1, minutes=7))
        key = hour.astimezone(clock.zone).strftime("%Y-%m-%d-%H:%M")
        _run(seen, webserver, "hourly_sync", {"dagster/partition": key})
        hour, done = hour + timedelta(hours=1), done + 1
        if done % _REREAD_EVERY == 0:
            today = clock.day_of(hour - timedelta(hours=1))
            before = max(clock.day_of(start), today - timedelta(days=1))
            _run(seen, webserver, "rereads", range_tags(before.isoformat(), today.isoformat()))
        while time.monotonic() - began < every:
            seen.look()
            time.sleep(0.5)
    seen.look()
    return hour


def _run(seen: Soak, webserver: Webserver, job: str, tags: Mapping[str, str]) -> None:
    status = webserver.run(job, {**tags, "dagster/schedule_name": job}, meanwhile=seen.look)
    seen.ended[f"{job} {status}"] += 1


def _let_runs_end() -> None:
    """Wait until nothing runs, so that what was sent and what was counted can be compared."""
    unfinished = [it for it in dg.DagsterRunStatus if it.value in ("QUEUED", "NOT_STARTED", "STARTING", "STARTED")]
    deadline = time.monotonic() + _PATIENCE
    with dg.DagsterInstance.get() as instance:
        while instance.get_runs_count(dg.RunsFilter(statuses=unfinished)):
            if time.monotonic() > deadline:
                raise RuntimeError(f"runs did not end in {_PATIENCE} s")
            time.sleep(1)


def _report(seen: Soak, world: World, first: date, end: datetime) -> dict[str, object]:
    after = seen.sizes()
    with dg.DagsterInstance.get() as instance:
        removable = removable_later(seen.services.databases.warehouse, instance)
        runs = Counter(f"{it.job_name} {it.status.value}" for it in instance.get_runs())
    with psycopg.connect(seen.services.databases.warehouse) as connection:
        counted = connection.execute(
            "select day, hourly, reread, backfill from ops.request_budget order by 1"
        ).fetchall()
        failures = connection.execute("select timestamp::text, error_code, message from error_logs").fetchall()
        chats = connection.execute("select count(*) from chats where created_at < %s", [end]).fetchall()[0][0]
    last = AccountClock(world.zone).day_of(end)
    there = [it for it in expected(world, end, first=first, last=last).chats.values() if it.created_at < end]
    answered = Counter(it.status for it in seen.simulator.requests)
    return {
        "minutes": seen.minutes,
        "hours": round((end - AccountClock(world.zone).day_window(first).start) / timedelta(hours=1)),
        "launched": dict(seen.ended),
        "runs": dict(runs),
        "failures": failures,
        "megabytes": {
            role: [seen.memory.at(role, seen.settling), seen.memory.at(role, seen.minutes)] for role in ROLES
        },
        "settling": seen.settling,
        "samples": seen.memory.samples,
        "requests": {
            "received": sum(answered.values()),
            "counted": sum(sum(row[1:]) for row in counted),
            "refused": answered[429],
            "days": {str(row[0]): row[1:] for row in counted},
        },
        "chats": {"loaded": chats, "there": len(there)},
        "growth": growth(seen.settled, after, removable),
    }


def _tell(report: Mapping[str, object]) -> bool:
    """Show everything as tables; whether all is as it should be."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=140)
    megabytes, requests, chats = (report[name] for name in ("megabytes", "requests", "chats"))
    grown = report["growth"]
    if not (isinstance(megabytes, dict) and isinstance(requests, dict) and isinstance(chats, dict)):
        raise TypeError("a report holds tables")
    if not isinstance(grown, Sequence):
        raise TypeError("a report lists what grew")
    memory = Table("process", f"MB at minute {report['settling']:g}", f"at minute {report['minutes']:g}", "ratio")
    for role, (before, after) in megabytes.items():
        memory.add_row(role, f"{before:.1f}", f"{after:.1f}", f"{after / before:.3f}")
    console.print(memory)
    tables = Table("table", "rows more", "KB more", "rows", "kept small by")
    lines: list[Growth] = [it for it in grown if isinstance(it, Growth)]
    for it in lines:
        tables.add_row(
            it.table, f"{it.rows:,}", f"{it.size / 1024:,.0f}", f"{it.total_rows:,}", it.covered_by or "NOTHING"
        )
    console.print(tables)
    console.print(f"runs: {report['runs']}")
    console.print(f"failures: {report['failures']}")
    console.print(f"requests: {requests}")
    console.print(f"chats: {chats}")
    verdicts = {
        "no process grew by more than 5 %": all(
            after <= before * _ALLOWED_GROWTH for before, after in megabytes.values()
        ),
        "every table that grew is kept small": all(it.covered_by for it in lines),
        "requests received are those counted": requests["received"] == requests["counted"],
        "no request was above the limit": requests["refused"] == 0,
        "every chat was loaded": chats["loaded"] == chats["there"],
        "every run succeeded": all("SUCCESS" in it for it in report["runs"] or ()),  # type: ignore[attr-defined]
    }
    for sentence, holds in verdicts.items():
        console.print(f"{'yes' if holds else 'NO '}  {sentence}")
    return all(verdicts.values())


if __name__ == "__main__":
    soak()
