"""A month in minutes: the daemon's decisions through thirty days in which everything goes wrong that may.

Real are: Dagster's scheduler, sensors, run queue, monitoring and retries of runs, as the daemon's loop calls them; its
instance, as dagster.yaml has it, in PostgreSQL; the project's definitions, warehouse and client; the answers of the
simulator over HTTP; SIGKILL, cut connections, databases that take none.

Accelerated is: the clock, which jumps. The daemon looks once an hour instead of every few seconds, and every two
minutes after a run was killed. Dagster's clock is set where its own `freeze_time` sets it, the pipeline's in
`resources.utc_now`; both go on while something happens, so what is noted is in order. The client's pauses between two
attempts move the clock and are not waited for. The daemon, the code server and the runs are one process, but for a
run that is killed, and runs follow each other (`test_overlapping_loads.py` has them at once). Of the SQL models those
are built that `chat_metrics`, `message_turns` and one nightly mart need.

`make month` lives a little more than a day first, and then thirty.
"""

import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from b2chat_pipeline.assets.sides import ASSETS
from b2chat_pipeline.partitions import hourly_partitions
from b2chat_pipeline.settings import read_account
from b2chat_pipeline.simulator import World
from b2chat_pipeline.simulator.expectation import Expectation, expected
from b2chat_pipeline.transform.build import build
from b2chat_pipeline.transform.target import Target
from b2chat_pipeline_tests.loading_support import stored
from b2chat_pipeline_tests.month.code import project
from b2chat_pipeline_tests.month.incidents import DOWN, KILLED_LOAD, OFF, Incident, drawn
from b2chat_pipeline_tests.month.life import Life, life

pytestmark = [
    pytest.mark.any_postgres,
    pytest.mark.minutes,
    # Dagster's own, where it describes a code location that is not another process.
    pytest.mark.filterwarnings("ignore:Property `ScheduleDefinition.environment_vars`:DeprecationWarning"),
    # Dagster's own logger, of its daemon.
    pytest.mark.filterwarnings("ignore:The 'warn' method is deprecated:DeprecationWarning"),
]

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ZONE = ZoneInfo("America/Bogota")
FIRST_DAY = date(2025, 3, 3)
# Monday, 08:30 in Bogotá: the account is new, and so is the installation.
START = datetime(2025, 3, 3, 13, 30, tzinfo=UTC)
WORLD = World(first_day=FIRST_DAY, zone=ZONE, chats_per_day=20, messages_per_chat=3, contacts=30)
SEED = int(os.environ.get("B2CHAT_TEST_SEED", "6"))
DAYS = float(os.environ.get("B2CHAT_TEST_DAYS", "30"))
# After an incident of the month, until the next one: first the daemon looks every hour, then every three.
QUIET, CALM = 4 * HOUR, 14 * HOUR
# Long enough for each day that may still change to be read again, and its metrics to be built.
LAST_READS = 5 * HOUR


@pytest.fixture
def lived(
    database_url: str, empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Life]:
    with life(database_url, empty_database_url, tmp_path, WORLD, START, monkeypatch) as pipeline:
        yield pipeline


def endure(lived: Life, incident: Incident, *, quiet: timedelta) -> None:
    """Let something happen, and time pass until all should be well; whoever is told is told as expected."""
    began, before = lived.clock.now(), incidents(lived)
    incident.happen(lived, incident.lasts)
    lived.live(lived.clock.now() + quiet, step=HOUR)
    new = incidents(lived)[len(before) :]
    when = f"{incident.name} from {began:%Y-%m-%d %H:%M} UTC on"
    assert incidents(lived)[: len(before)] == before, when
    assert len(new) == (1 if incident.causes else 0) or (incident.may_pass and not new), (
        when,
        new,
        lived.errors[-3:],
        lived.runs(),
    )
    assert all(cause in incident.causes for cause in new), (when, new)


def incidents(lived: Life) -> list[str]:
    """The cause of each incident that people were told of, in order."""
    with lived.connection() as connection:
        return [cause for (cause,) in connection.execute("select cause from ops.incidents order by told_at, id")]


def assert_all_is_well(lived: Life) -> None:
    """The tables are the account, the metrics those of a full build, no hour is missing, and people know what was."""
    end = lived.simulator.clock.now()
    there = expected(WORLD, end, first=FIRST_DAY, last=end.astimezone(ZONE).date())
    assert differences(stored(lived.database_url), there) == {}
    assert_metrics_are_those_of_a_full_build(lived)
    assert_no_hour_is_missing(lived)
    with lived.connection() as connection:
        told = connection.execute(
            "select notifications.metadata ->> 'incident', email, type from notifications"
            " join users on users.id = user_id"
        ).fetchall()
        ids = [it for (it,) in connection.execute("select id from ops.incidents")]
        open_books = connection.execute("select count(*) from sync_logs where status = 'in_progress'").fetchone()
        wrong_books = connection.execute(
            "select count(*) from ops.ledger where received <> inserted + updated + unchanged + repeated + older"
            " + quarantined + outside"
        ).fetchone()
    emails = os.environ["B2CHAT_ADMIN_EMAILS"].split(",")
    assert Counter(told) == Counter((incident, email, "success") for incident in ids for email in emails)
    assert (open_books, wrong_books) == ((0,), (0,))


def differences(held: Expectation, there: Expectation) -> dict[str, object]:
    """By table, what is not the same: held and there, by key."""
    tables: dict[str, object] = {}
    for name in ("chats", "messages", "contacts", "agents"):
        ours, theirs = getattr(held, name), getattr(there, name)
        tables[name] = {
            key: (ours.get(key), theirs.get(key))
            for key in ours.keys() | theirs.keys()
            if ours.get(key) != theirs.get(key)
        }
    tables["departments"] = held.departments ^ there.departments
    return {name: different for name, different in tables.items() if different}


def assert_metrics_are_those_of_a_full_build(lived: Life) -> None:
    """Nothing that changed was left unbuilt."""
    names = ("chat_metrics", "message_turns")
    queries = {name: f"select * from analytics.{name}".encode() for name in names}  # noqa: S608
    with lived.connection() as connection:
        held = {name: sorted(map(repr, connection.execute(query))) for name, query in queries.items()}
        target = Target(project(), {"time_zone": ZONE.key})
        for model in project().models.values():
            build(connection, target, model, None)
        whole = {name: sorted(map(repr, connection.execute(query))) for name, query in queries.items()}
    assert all(held.values())
    assert held == whole


def assert_no_hour_is_missing(lived: Life) -> None:
    """Dagster shows every hour since the first one that was asked for as materialized."""
    partitions = hourly_partitions(read_account(os.environ))
    first = START.replace(minute=0)
    hours = int((lived.clock.now() - first) / HOUR)
    keys = [partitions.get_partition_key_for_timestamp((first + number * HOUR).timestamp()) for number in range(hours)]
    for asset in ASSETS:
        told = lived.instance.get_status_by_partition(dg.AssetKey(asset), keys, partitions) or {}
        assert {key: status and status.value for key, status in told.items()} == dict.fromkeys(keys, "MATERIALIZED")


def settle(lived: Life) -> None:
    """Let the account stand still, and all that changed before be read and built."""
    lived.stand_still()
    lived.live(lived.clock.now() + LAST_READS, step=HOUR)


def test_a_day_of_faults_ends_with_everything_right_and_everybody_told_once(lived: Life) -> None:
    lived.look()
    lived.live(START + 2 * HOUR, step=HOUR)
    for incident in (DOWN, KILLED_LOAD, OFF):
        endure(lived, incident, quiet=3 * HOUR)
    settle(lived)
    assert_all_is_well(lived)


def test_a_month_of_faults_ends_with_everything_right_and_everybody_told_once(lived: Life) -> None:
    end, happened = START + DAYS * DAY, Counter[str]()
    lived.look()
    lived.live(START + 6 * HOUR, step=HOUR)
    for incident in chain.from_iterable(drawn(SEED)):
        if lived.clock.now() > end - 2 * DAY:
            break
        print(f"{lived.clock.now():%Y-%m-%d %H:%M} UTC: {incident.name}", flush=True)  # noqa: T201 - shown by `make month`
        endure(lived, incident, quiet=QUIET)
        lived.live(min(lived.clock.now() + CALM, end), step=3 * HOUR)
        happened[incident.name] += 1
    lived.live(end, step=3 * HOUR)
    settle(lived)
    told = f"{DAYS:g} days, {lived.iterations} looks, {happened.total()} incidents, runs: {lived.runs()}"
    print(told)  # noqa: T201 - shown by `make month`
    assert_all_is_well(lived)
