"""`b2chat doctor`: one screen that says what is well and what is not, each line with what mends it.

Here belong the screen, and checks of what Dagster knows. Not here: those of settings, warehouse and machine
(`operations/doctor.py`). Nothing is made, migrated or changed.
"""

import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import click
import dagster as dg
from dagster._core.scheduler.instigation import InstigatorState

from b2chat_pipeline.commands.backfill import SILENCE
from b2chat_pipeline.commands.databases import open_warehouse
from b2chat_pipeline.commands.existing import existing_instance
from b2chat_pipeline.operations.doctor import (
    Finding,
    credentials_finding,
    judged,
    settings_finding,
    trouble,
    versions_finding,
    warehouse_findings,
)
from b2chat_pipeline.policy.health import judge_hours
from b2chat_pipeline.settings import OperatorError, Storage, read_account

_MARKS = {"fine": ("ok", "green"), "note": ("note", "yellow"), "bad": ("BAD", "red")}
# Two such after the last tick that was due, something is wrong: by the hour of the cron line, or the sensor's interval.
_EVERY_HOUR, _EVERY_DAY, _SENSOR = timedelta(hours=2), timedelta(hours=26), timedelta(minutes=20)
_START = "b2chat dev"


def doctor(environ: Mapping[str, str], *, online: bool) -> bool:
    """Print a line for everything that can be looked at, and return whether nothing has to be put right.

    The API is only asked where `online` says so: that costs two requests.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table("", "", "", "what mends it", box=None, pad_edge=False)
    findings = list(_findings(environ, online=online))
    for it in findings:
        mark, colour = _MARKS[it.state]
        table.add_row(f"[{colour}]{mark}[/]", it.subject, _plain(it.told), _plain(it.mend))
    console = Console()
    Console(width=None if console.is_terminal else 160).print(table)
    bad = sum(it.state == "bad" for it in findings)
    click.echo(f"{bad} to put right." if bad else "Nothing has to be put right.")
    return not bad


def _plain(text: str) -> str:
    """Text that holds no markup, whatever is in it."""
    from rich.markup import escape

    return escape(text)


def _findings(environ: Mapping[str, str], *, online: bool) -> Iterator[Finding]:
    settings = settings_finding(environ)
    yield settings
    yield versions_finding()
    try:
        with open_warehouse(environ) as storage:
            yield from _of_warehouse(environ, storage, online=online and settings.state == "fine")
            yield from _of_dagster(environ, storage)
    except OperatorError as error:
        yield trouble("warehouse", error)


def _of_warehouse(environ: Mapping[str, str], storage: Storage, *, online: bool) -> Iterator[Finding]:
    from b2chat_pipeline.warehouse.connection import connect
    from b2chat_pipeline.warehouse.location import warehouse_url

    try:
        with connect(warehouse_url(storage), purpose="doctor") as connection:
            yield from warehouse_findings(connection, storage, environ, now=datetime.now(UTC))
            if online:
                yield credentials_finding(connection, environ)
            else:
                yield Finding("credentials", "note", "not tried", "b2chat doctor --online (two requests)")
    except OperatorError as error:
        yield trouble("warehouse", error)


def _of_dagster(environ: Mapping[str, str], storage: Storage) -> Iterator[Finding]:
    """What Dagster knows."""
    with existing_instance(environ, storage) as instance:
        if instance is None:
            told = "its database does not answer, or has no tables"
            yield Finding("Dagster", "bad", told, f"{_START}, which makes them")
            return
        repository = _repository()
        yield _daemon(instance)
        yield from _automation(instance, repository)
        yield from _hours(instance, repository, storage)


def _repository() -> dg.RepositoryDefinition:
    from b2chat_pipeline.definitions import build_definitions

    return build_definitions(os.environ).get_repository_def()


def _daemon(instance: dg.DagsterInstance) -> Finding:
    beats = instance.get_daemon_heartbeats()
    if not beats:
        return Finding("daemon", "bad", "it does not run", _START)
    newest = max(beat.timestamp for beat in beats.values())
    silent = [name for name, beat in beats.items() if newest - beat.timestamp > SILENCE]
    age = time.time() - newest
    if age > SILENCE:
        return Finding("daemon", "bad", f"it has said nothing for {age / 60:,.0f} minutes", f"{_START}, or restart it")
    if silent:
        return Finding("daemon", "bad", f"its part {', '.join(sorted(silent))} is silent", "restart it, see its log")
    # Each part keeps its last heartbeat only; those of two daemons are seen where the last ones are not all of one.
    if (daemons := len({beat.daemon_id for beat in beats.values()})) > 1:
        told = f"{daemons} daemons say that they live"
        return Finding("daemon", "bad", told, "end all but one; look again where it was just restarted")
    return Finding("daemon", "fine", f"it said {age:.0f} s ago that it lives")


def _automation(instance: dg.DagsterInstance, repository: dg.RepositoryDefinition) -> Iterator[Finding]:
    """Whether each schedule and sensor is on, and its last tick recent and good."""
    allowed = {
        it.name: _EVERY_DAY if str(it.cron_schedule).split()[1] != "*" else _EVERY_HOUR
        for it in repository.schedule_defs
    }
    allowed |= {it.name: _SENSOR for it in repository.sensor_defs}
    states = {state.instigator_name: state for state in instance.all_instigator_state()}
    troubles = list[Finding]()
    for name, longest in sorted(allowed.items()):
        state = states.get(name)
        if state is None:
            troubles.append(Finding(name, "bad", "it has never been on", _START))
        elif not state.is_running:
            troubles.append(Finding(name, "bad", "it is switched off", "switch it on in the UI, under Automation"))
        else:
            troubles += _of_ticks(instance, state, longest)
    yield from troubles
    if not troubles:
        yield Finding(
            "automation", "fine", f"{len(allowed)} schedules and sensors are on, and their last ticks are good"
        )


def _of_ticks(instance: dg.DagsterInstance, state: InstigatorState, longest: timedelta) -> Iterator[Finding]:
    ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
    if not ticks:
        return  # it has just been started
    age = timedelta(seconds=time.time() - ticks[0].timestamp)
    if ticks[0].is_failure:
        yield Finding(state.instigator_name, "bad", "its last tick failed", "read why in the UI, under Automation")
    elif age > longest:
        yield Finding(
            state.instigator_name, "bad", f"it has not ticked for {age / timedelta(hours=1):,.0f} hours", _START
        )


def _hours(instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, storage: Storage) -> Iterator[Finding]:
    """The hours of each side that failed or are missing, and those that nobody ever asked for."""
    from b2chat_pipeline.assets.gaps import given_up_hours
    from b2chat_pipeline.assets.hours import hours_of_sides
    from b2chat_pipeline.partitions import hourly_partitions
    from b2chat_pipeline.warehouse.connection import connect
    from b2chat_pipeline.warehouse.location import warehouse_url

    try:
        account = read_account(os.environ)
    except OperatorError:
        return  # said as that of the settings
    now, partitions = datetime.now(UTC), hourly_partitions(account)
    sides = hours_of_sides(instance, repository.asset_graph, partitions, now=now)
    try:
        with connect(warehouse_url(storage), purpose="doctor") as connection:
            given_up = given_up_hours(instance, connection, partitions, sides)
    except OperatorError:
        return  # said as that of the warehouse
    for side, hours in sides.items():
        judgement = judge_hours(hours, given_up=given_up[side], now=now, zone=account.zone)
        yield judged(f"hours of {side}", judgement)
