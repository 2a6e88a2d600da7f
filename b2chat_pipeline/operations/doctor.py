"""What of the pipeline is well and what is not, as far as the settings, the warehouse and the machine tell it.

Here belong checks that change nothing, each with what mends it. Not here: what Dagster knows, and the screen
(`commands/doctor.py`).
"""

import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Literal

from psycopg import Connection

from b2chat_pipeline.b2chat.contract import CONTACTS, ENTITIES
from b2chat_pipeline.b2chat.errors import B2ChatError
from b2chat_pipeline.b2chat.paging import Query
from b2chat_pipeline.operations.probing import ask_once, utc_now
from b2chat_pipeline.policy.health import Judgement, judge_budget, judge_quarantine
from b2chat_pipeline.settings import OperatorError, Storage, check_all, read_account, read_source
from b2chat_pipeline.warehouse.accounts import require_zone, stored_settings
from b2chat_pipeline.warehouse.budget import blocked_until
from b2chat_pipeline.warehouse.circuit import outage_of
from b2chat_pipeline.warehouse.connection import REVISION
from b2chat_pipeline.warehouse.health import quarantined
from b2chat_pipeline.warehouse.incidents import open_incidents
from b2chat_pipeline.warehouse.location import warehouse_place
from b2chat_pipeline.warehouse.outbox import waiting
from b2chat_pipeline.warehouse.staleness import requests_sent
from b2chat_pipeline.windows import AccountClock

# fine; a note, that nobody has to act on at once; bad, which somebody has to put right.
State = Literal["fine", "note", "bad"]
# A day of an account of 10,000 chats a day, with its raw pages, needs less.
LEAST_SPACE = 2 * 1024**3
# Beyond this, hours are asked for before they are over, or late.
LARGEST_DRIFT = timedelta(seconds=60)


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, how it is, and what mends it (empty where nothing has to be done)."""

    subject: str
    state: State
    told: str
    mend: str = ""


def judged(subject: str, judgement: Judgement) -> Finding:
    """A judgement as a line."""
    return Finding(subject, judgement.trouble or "fine", judgement.told, judgement.mend)


def trouble(subject: str, error: Exception) -> Finding:
    """An error of ours: its sentence ends with the next step, behind a colon."""
    told, _, mend = str(error).partition(": ")
    return Finding(subject, "bad", told, mend)


def settings_finding(environ: Mapping[str, str]) -> Finding:
    """Whether every setting can be read."""
    try:
        check_all(environ)
    except OperatorError as error:
        return trouble("settings", error)
    return Finding("settings", "fine", "all are set and can be read")


def versions_finding() -> Finding:
    """What runs."""
    told = (f"{name} {version(name)}" for name in ("b2chat-pipeline", "dagster", "psycopg"))
    return Finding("versions", "fine", ", ".join([*told, f"Python {platform.python_version()}"]))


def warehouse_findings(
    connection: Connection, storage: Storage, environ: Mapping[str, str], *, now: datetime
) -> list[Finding]:
    """What the warehouse tells, over a connection to one at this code's revision."""
    return [
        Finding("warehouse", "fine", f"{warehouse_place(storage)}, PostgreSQL {_server_version(connection)}"),
        Finding("migrations", "fine", f"at revision {REVISION}, as this code needs it"),
        _zone(connection, environ),
        _budget(connection, environ, now=now),
        _quarantine(connection, now=now),
        *_outages(connection, environ, now=now),
        _notices(connection),
        _disk(connection, storage),
        _clock(connection, now=now),
    ]


def _server_version(connection: Connection) -> str:
    number = connection.info.server_version
    return f"{number // 10_000}.{number % 10_000}"


def _zone(connection: Connection, environ: Mapping[str, str]) -> Finding:
    try:
        zone = read_account(environ).zone.key
        require_zone(connection, zone)
    except OperatorError as error:
        return trouble("zone", error)
    return Finding("zone", "fine", zone)


def _budget(connection: Connection, environ: Mapping[str, str], *, now: datetime) -> Finding:
    try:
        clock = AccountClock(read_account(environ).zone)
        per_day = read_source(environ, stored_settings(connection)).requests_per_day
    except OperatorError as error:
        return trouble("budget", error)
    sent = sum(requests_sent(connection, clock.day_of(now)).values())
    until = blocked_until(connection, now=now)
    return judged("budget", judge_budget(sent, per_day, blocked_until=until, zone=clock.zone))


def _quarantine(connection: Connection, *, now: datetime) -> Finding:
    still_open, put_aside, received = quarantined(connection, since=now - timedelta(days=1))
    return judged("quarantine", judge_quarantine(still_open, put_aside=put_aside, received=received))


def _outages(connection: Connection, environ: Mapping[str, str], *, now: datetime) -> list[Finding]:
    """The sides of the API that could not be read."""
    try:
        zone = read_account(environ).zone
    except OperatorError:
        return []  # said as that of the zone
    open_ones = {entities[0]: outage_of(connection, entities[0], now=now) for entities in ENTITIES.values()}
    return [
        Finding(
            f"source of {side}",
            "bad",
            f"it has not been readable since {it.since.astimezone(zone):%Y-%m-%d %H:%M}",
            f"see why: b2chat notifications list; one hour is tried at {it.next_probe.astimezone(zone):%Y-%m-%d %H:%M}",
        )
        for side, it in open_ones.items()
        if it is not None
    ]


def _notices(connection: Connection) -> Finding:
    """Trouble that people were told of and that lasts; notices that a channel does not take."""
    lasting = len(open_incidents(connection))
    dead = sum(it.notices for it in waiting(connection) if it.trouble is not None)
    if lasting:
        return Finding("troubles", "bad", f"{lasting} last that people were told of", "b2chat notifications list")
    if dead:
        told = f"{dead} notices wait for a channel that does not take them"
        return Finding("troubles", "bad", told, "see the ticks of the sensor notices; correct B2CHAT_NOTIFY_URLS")
    return Finding("troubles", "fine", "none lasts that people were told of")


def _disk(connection: Connection, storage: Storage) -> Finding:
    """Room for the embedded server; of another one only the size of its database can be asked."""
    ((size,),) = connection.execute("select pg_database_size(current_database())").fetchall()
    held = f"the warehouse holds {size / 1024**3:.2f} GiB"
    if storage.database_url is not None:
        return Finding("disk", "fine", f"{held}; the server's free space is not known here")
    free = shutil.disk_usage(storage.data_dir).free
    told = f"{held}, {free / 1024**3:.1f} GiB are free"
    if free < LEAST_SPACE:
        return Finding("disk", "bad", told, "free space, or b2chat db retain with fewer B2CHAT_RAW_RETENTION_DAYS")
    return Finding("disk", "fine", told)


def _clock(connection: Connection, *, now: datetime) -> Finding:
    """This machine's clock beside that of the database, which may be another machine's."""
    ((theirs,),) = connection.execute("select clock_timestamp()").fetchall()
    apart = abs(theirs - now)
    if apart > LARGEST_DRIFT:
        told = f"this machine and the database differ by {apart.total_seconds():,.0f} s"
        return Finding("clock", "bad", told, "set both by NTP: hours would be asked for before they are over")
    return Finding("clock", "fine", f"{now:%Y-%m-%d %H:%M:%S} UTC, as the database has it")


def credentials_finding(connection: Connection, environ: Mapping[str, str]) -> Finding:
    """Whether B2Chat takes the user and the password: asks for a token and one contact, and counts both requests."""
    today = AccountClock(read_account(environ).zone).day_of(utc_now())
    query = Query(CONTACTS, today, today + timedelta(days=1), "asc")
    try:
        answer = ask_once(connection, environ, query, limit=1)
    except B2ChatError as error:
        return Finding("credentials", "bad", str(error), "check B2CHAT_USERNAME, B2CHAT_PASSWORD and B2CHAT_API_URL")
    return Finding("credentials", "fine", f"B2Chat took them, and answered after {answer.seconds:.1f} s")
