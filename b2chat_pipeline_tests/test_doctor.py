"""`b2chat doctor`: what it finds, what mends it, and the exit status that a script reads."""

import os
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import psycopg
import pytest
from dagster._daemon.types import DaemonHeartbeat

from b2chat_pipeline.assets.sides import ASSETS
from b2chat_pipeline.commands.doctor import doctor
from b2chat_pipeline.operations.doctor import warehouse_findings
from b2chat_pipeline.settings import read_storage
from b2chat_pipeline.simulator import Clock, Simulator
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline_tests.command_support import Home, Said
from b2chat_pipeline_tests.dagster_support import BUSY_WORLD, NOW, account_environment

pytestmark = pytest.mark.any_postgres

ZONE = ZoneInfo("America/Bogota")


@pytest.fixture
def settings(
    home: Home, database_url: str, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Mapping[str, str]]:
    """Settings over both databases, which this process has too."""
    told = {
        **account_environment("http://127.0.0.1:1", database_url),
        "B2CHAT_START_DATE": (today() - timedelta(days=20)).isoformat(),
        "DAGSTER_DATABASE_URL": empty_database_url,
        "DAGSTER_HOME": str(home.folder),
        "B2CHAT_DATA_DIR": str(home.data),
    }
    monkeypatch.chdir(home.folder)
    before = dict(os.environ)
    os.environ.update(told)
    yield told
    # The command makes its whole environment this process's own.
    os.environ.clear()
    os.environ.update(before)


def today() -> date:
    """The account's day of this moment: one may end while tests run."""
    return datetime.now(ZONE).date()


def found(settings: Mapping[str, str], capsys: pytest.CaptureFixture[str], *, online: bool = False) -> dict[str, str]:
    """The line of each subject; under `status` whether nothing has to be put right."""
    status = doctor(settings, online=online)
    lines = re.findall(r"^(?:ok|note|BAD) +(.+?)  +.*$", (told := capsys.readouterr().out), re.MULTILINE)
    return {it: next(line for line in told.splitlines() if f" {it}  " in line) for it in lines} | {
        "status": str(status)
    }


def lives(instance: dg.DagsterInstance, *, ago: float = 0, part: str = "SENSOR", daemon: str = "one daemon") -> None:
    """Have a part of a daemon say that it lived so many seconds ago."""
    instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - ago, part, daemon, []))


def paint(instance: dg.DagsterInstance, days_ago: int, hours: range) -> None:
    day = today() - timedelta(days=days_ago)
    for asset in ASSETS:
        for hour in hours:
            key = f"{day.isoformat()}-{hour:02}:00"
            instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=key))


def test_where_dagster_has_never_run_it_says_how_to_start_it_and_makes_nothing(
    settings: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    told = found(settings, capsys)

    assert told["warehouse"].startswith("ok")
    assert re.search(r"^BAD +Dagster .* b2chat dev", told["Dagster"])
    assert told["status"] == "False"
    with psycopg.connect(settings["DAGSTER_DATABASE_URL"]) as connection:
        assert connection.execute("select count(*) from pg_tables where schemaname = 'public'").fetchall() == [(0,)]


def test_each_trouble_is_a_line_with_what_mends_it(
    settings: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with dg.DagsterInstance.get() as instance:
        lives(instance, ago=600)
        paint(instance, 5, range(3))
        paint(instance, 4, range(3))
    with psycopg.connect(settings["B2CHAT_DATABASE_URL"]) as connection:
        connection.execute(
            "insert into users (id, email, role, updated_at) values ('system', 's@localhost', 'Admin', now())"
        )
        connection.execute(
            "insert into ops.quarantine (id, entity, endpoint, reason, raw_record, record_hash, sync_id, read_at)"
            " values ('1', 'chats', '/chats/export', 'no key', '{}', '', 's', now())"
        )
        connection.execute("insert into ops.request_budget (day, hourly) values (%s, 96)", [today()])
        connection.execute(
            "insert into ops.incidents (id, cause, title, since, last_at) values ('1', 'source', 't', now(), now())"
        )
        connection.execute(
            "insert into sync_logs (id, user_id, entity_type, operation, record_count, status, started_at,"
            " completed_at, metadata) values ('1', 'system', 'chats', 'manual', 0, 'error', now(), now(),"
            """ '{"sync_id": "1", "from": "2025-03-03"}')"""
        )
        connection.execute(
            "insert into error_logs (id, level, message, error_code, request_id, source)"
            " values ('1', 'error', 'm', 'TransientError', '1', 'sync')"
        )
    told = found({**settings, "B2CHAT_REQUESTS_PER_DAY": "100"}, capsys)

    assert re.search(r"^BAD +daemon +it has said nothing for 10 minutes +b2chat dev", told["daemon"])
    assert re.search(r"^BAD +gaps +it has never been on +b2chat dev", told["gaps"])
    assert f"b2chat load {today() - timedelta(days=5)}T03:00 " in told["hours of chats"]
    assert told["hours of contacts"].startswith("BAD")
    assert re.search(r"^note +quarantine +1 records .* b2chat quarantine list", told["quarantine"])
    assert re.search(r"^BAD +troubles +1 last .* b2chat notifications list", told["troubles"])
    assert re.search(r"^BAD +source of chats +it has not been readable since ", told["source of chats"])
    assert re.search(r"^note +budget +96 of 100 requests of today are used", told["budget"])
    assert told["status"] == "False"


def test_gaps_that_are_young_are_a_note_since_the_sensor_has_them_loaded(
    settings: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with dg.DagsterInstance.get() as instance:
        lives(instance)
        paint(instance, 2, range(3))

    told = found(settings, capsys)

    assert told["daemon"].startswith("ok")
    assert re.search(r"^note +hours of chats .* nothing: the sensor gaps has them loaded", told["hours of chats"])


def test_two_daemons_at_once_are_bad(settings: Mapping[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with dg.DagsterInstance.get() as instance:
        lives(instance)
        lives(instance, ago=20, part="SCHEDULER", daemon="another daemon")

    told = found(settings, capsys)

    assert re.search(r"^BAD +daemon +2 daemons say that they live +end all but one", told["daemon"])
    assert told["status"] == "False"


def test_the_credentials_are_tried_only_when_asked_for(
    settings: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with Simulator(BUSY_WORLD, clock=Clock(NOW)) as simulator:
        there = {**settings, "B2CHAT_API_URL": simulator.url}
        silent, asked = found(there, capsys)["credentials"], len(simulator.requests)
        good = found(there, capsys, online=True)["credentials"]
        bad = found({**there, "B2CHAT_PASSWORD": "hunter2-very-secret"}, capsys, online=True)["credentials"]

    assert (silent.split()[0], asked) == ("note", 0)
    assert good.startswith("ok")
    assert bad.startswith("BAD")
    assert "hunter2" not in bad
    with psycopg.connect(settings["B2CHAT_DATABASE_URL"]) as connection:
        assert connection.execute("select sum(hourly) from ops.request_budget").fetchall() == [(3,)]


def test_the_exit_status_is_1_and_a_missing_setting_a_line(home: Home) -> None:
    said: Said = home.run(["b2chat", "doctor"], {})

    assert said.status == 1
    assert re.search(r"^BAD +settings +B2CHAT_TIMEZONE is not set ", said.output, re.MULTILINE)
    assert re.search(r"^BAD +warehouse +there is no warehouse in ", said.output, re.MULTILINE)
    assert not home.data.exists()


def test_a_clock_that_is_wrong_is_bad(database_url: str, settings: Mapping[str, str]) -> None:
    five_minutes_ago = datetime.now(UTC) - timedelta(minutes=5)

    with connect(database_url, purpose="test") as connection:
        told = warehouse_findings(connection, read_storage(settings), settings, now=five_minutes_ago)

    (finding,) = [it for it in told if it.subject == "clock"]
    assert (finding.state, finding.mend.split(":")[0]) == ("bad", "set both by NTP")
