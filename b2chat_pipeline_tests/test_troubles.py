"""People hear of trouble once: the sensor that watches, on a real instance with real runs and books."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
import psycopg
import pytest

from b2chat_pipeline.assets.sides import SIDES
from b2chat_pipeline.automation.troubles import NOTICES, TROUBLES, trouble_sensor
from b2chat_pipeline.definitions import build_definitions
from b2chat_pipeline.ingest.loading import DayHeldUpError
from b2chat_pipeline.policy.troubles import HELD, SILENCE, WATCHED
from b2chat_pipeline.resources import WarehouseResource
from b2chat_pipeline.simulator import Fault
from b2chat_pipeline.warehouse.accounts import SYSTEM_USER, ensure_users
from b2chat_pipeline.warehouse.books import close_sync, open_sync
from b2chat_pipeline.warehouse.connection import WarehouseStoppedError, connect
from b2chat_pipeline_tests.dagster_support import ADMIN, FIRST_DAY, NOW, Pipeline, hours_of, ranged, running_pipeline

pytestmark = pytest.mark.any_postgres

SECOND_ADMIN = "second@example.test"
HOURS = hours_of(FIRST_DAY)
MINUTE = timedelta(minutes=1)
REFUSED = Fault(kind="status", path="*/export", status=403, times=None)
GONE = Fault(kind="status", path="*/export", status=404, times=None)


@pytest.fixture
def pipeline(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    with running_pipeline(database_url, monkeypatch, now=NOW) as running:
        monkeypatch.setenv("B2CHAT_ADMIN_EMAILS", f"{ADMIN},{SECOND_ADMIN}")
        yield running


def look(pipeline: Pipeline, *, later: timedelta = timedelta()) -> str:
    """What the sensor says that it did."""
    sensor = trouble_sensor(clock=lambda: datetime.now(UTC) + later)
    resources = {"warehouse": WarehouseResource()}
    with dg.build_sensor_context(instance=pipeline.instance, resources=resources) as context:
        told = sensor.evaluate_tick(context)
    assert not told.run_requests
    return str(told.skip_message)


def notices(pipeline: Pipeline) -> list[tuple[str, str, str, int]]:
    """Who was told what: address, kind, title, and how many more failures were not told."""
    return pipeline.query(
        "select email, type, title, (notifications.metadata ->> 'suppressed')::int"
        " from notifications join users on users.id = user_id order by notifications.created_at, title, email"
    )


def told_to_both(*rows: tuple[str, str, int]) -> list[tuple[str, str, str, int]]:
    return [(email, *row) for row in rows for email in (ADMIN, SECOND_ADMIN)]


def test_both_are_on_from_the_first_start_and_say_what_they_do_and_whose_they_are() -> None:
    repository = build_definitions({}).get_repository_def()

    for name in (TROUBLES, NOTICES):
        sensor = repository.get_sensor_def(name)
        assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
        assert sensor.description
        assert sensor.owners == ["team:data-engineering"]


def test_an_outage_is_told_once_to_each_administrator_and_so_is_its_end(pipeline: Pipeline) -> None:
    pipeline.simulator.faults.add(GONE)
    pipeline.run(HOURS[:1])
    at_first = look(pipeline)
    begun = notices(pipeline)
    pipeline.run(HOURS[1:2])
    pipeline.run(HOURS[1:2])
    again, repeated = look(pipeline), look(pipeline)
    during = notices(pipeline)
    pipeline.simulator.faults.clear()
    pipeline.run(HOURS[1:2])
    too_soon, over = look(pipeline), look(pipeline, later=HELD)

    assert at_first.startswith("1 troubles began, 0 came again, 0 are over")
    assert begun == told_to_both(("error", "B2Chat cannot be read", 1))
    assert again.startswith("0 troubles began, 1 came again, 0 are over")
    assert repeated.startswith("0 troubles began, 0 came again, 0 are over")
    assert during == told_to_both(("error", "B2Chat cannot be read", 5))
    assert too_soon.startswith("0 troubles began, 0 came again, 0 are over")
    assert over.startswith("0 troubles began, 0 came again, 1 are over")
    assert notices(pipeline) == told_to_both(("success", "B2Chat cannot be read", 5))
    ((message, is_read),) = pipeline.query("select distinct message, is_read from notifications")
    assert message.startswith("Over, seen ")
    assert "status 404" in message
    assert not is_read


def test_an_outage_that_a_full_read_of_contacts_met_is_over_when_an_hour_of_contacts_is_read(
    pipeline: Pipeline,
) -> None:
    pipeline.simulator.faults.add(GONE)
    full_read = build_definitions(os.environ).resolve_job_def("contacts_full_read")
    failed = full_read.execute_in_process(instance=pipeline.instance, raise_on_error=False)
    look(pipeline)
    begun = notices(pipeline)
    pipeline.simulator.faults.clear()
    pipeline.run(HOURS[:1], assets=SIDES["chats"])
    look(pipeline, later=HELD)
    chats_alone = notices(pipeline)
    pipeline.run(HOURS[:1], assets=SIDES["contacts"])
    look(pipeline, later=HELD)

    assert not failed.success
    assert begun == chats_alone == told_to_both(("error", "B2Chat cannot be read", 0))
    assert notices(pipeline) == told_to_both(("success", "B2Chat cannot be read", 0))


def test_each_failure_has_one_row_of_the_log_that_leads_to_its_run_and_its_sync(pipeline: Pipeline) -> None:
    pipeline.simulator.faults.add(REFUSED)
    run = pipeline.run(HOURS[:1])
    for _ in range(2):
        look(pipeline)

    syncs = pipeline.query("select id from sync_logs where id = metadata ->> 'sync_id'")
    logged = pipeline.query("select error_code, request_id, correlation_id, source from error_logs")
    assert sorted(logged) == sorted(("ForbiddenError", sync, run.run_id, "sync") for (sync,) in syncs)
    ((about,),) = pipeline.query("select distinct metadata from notifications")
    assert (about["run_id"], about["cause"]) == (run.run_id, "credentials")
    assert (about["sync_id"],) in syncs


def test_a_run_that_no_sync_tells_of_is_logged_and_told_until_one_of_its_job_ends_well(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.run(HOURS[:1])
    monkeypatch.setenv("B2CHAT_TIMEZONE", "America/Lima")
    run = pipeline.run(HOURS[1:2])
    for _ in range(2):
        look(pipeline)
    begun = notices(pipeline)
    monkeypatch.setenv("B2CHAT_TIMEZONE", "America/Bogota")
    pipeline.run(HOURS[1:2])
    look(pipeline, later=HELD)

    assert begun == told_to_both(("error", "A setting has to be put right", 0))
    logged = pipeline.query("select error_code, message, request_id, correlation_id, source from error_logs")
    ((code, message, *ids),) = logged
    assert (code, ids) == ("ZoneChangedError", [run.run_id, run.run_id, "cron"])
    assert "B2CHAT_TIMEZONE is America/Lima" in message
    assert notices(pipeline) == told_to_both(("success", "A setting has to be put right", 0))


def test_trouble_with_the_rows_of_an_hour_lasts_until_that_hour_is_loaded(pipeline: Pipeline) -> None:
    with psycopg.connect(pipeline.database_url) as connection:
        connection.execute("alter table chats add constraint no_noon check (extract(hour from created_at) <> 17)")
    noon, later = HOURS[12:13], HOURS[14:15]
    failed = pipeline.run(noon, assets=SIDES["chats"])
    look(pipeline)
    pipeline.run(later, assets=SIDES["chats"])
    look(pipeline)
    while_it_lasts = notices(pipeline)
    with psycopg.connect(pipeline.database_url) as connection:
        connection.execute("alter table chats drop constraint no_noon")
    pipeline.run(noon, assets=SIDES["chats"])
    look(pipeline, later=HELD)

    assert not failed.success
    assert while_it_lasts == told_to_both(("error", "Some chats could not be loaded", 0))
    assert notices(pipeline) == told_to_both(("success", "Some chats could not be loaded", 0))


def test_hours_that_the_days_requests_cut_off_are_a_warning_until_they_are_loaded(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("B2CHAT_REQUESTS_PER_DAY", "2")
    pipeline.run(HOURS[:1], assets=SIDES["contacts"])
    look(pipeline)
    begun = notices(pipeline)
    monkeypatch.setenv("B2CHAT_REQUESTS_PER_DAY", "0")
    pipeline.run(HOURS[:1], assets=SIDES["contacts"])
    look(pipeline, later=HELD)

    assert begun == told_to_both(("warning", "Loading has to pause", 0))
    assert notices(pipeline) == told_to_both(("success", "Loading has to pause", 0))
    assert pipeline.query("select count(*) from error_logs") == [(0,)]


def test_a_pause_that_cut_off_a_read_of_hours_loaded_before_is_over_when_others_are_read(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduled = {"dagster/schedule_name": "rereads"}
    pipeline.run(HOURS[:1], assets=SIDES["contacts"])
    monkeypatch.setenv("B2CHAT_REQUESTS_PER_DAY", "2")
    pipeline.run(HOURS[:1], assets=SIDES["contacts"], tags=scheduled)
    look(pipeline, later=HELD)
    begun = notices(pipeline)
    monkeypatch.setenv("B2CHAT_REQUESTS_PER_DAY", "0")
    pipeline.run(HOURS[1:2], assets=SIDES["contacts"])
    look(pipeline, later=HELD)

    assert begun == told_to_both(("warning", "Loading has to pause", 0))
    assert notices(pipeline) == told_to_both(("success", "Loading has to pause", 0))


@pytest.mark.parametrize(
    "error", [DayHeldUpError("no room", "free some"), WarehouseStoppedError("It stopped.")], ids=repr
)
def test_a_database_that_cannot_go_on_is_told_of_as_one_cause_whatever_it_lacks(
    pipeline: Pipeline, error: Exception
) -> None:
    now = datetime.now(UTC)
    with connect(pipeline.database_url, purpose="books") as books:
        ensure_users(books, (), now=now)
        for entity in ("chats", "contacts"):
            about = {"endpoint": f"/{entity}/export"}
            sync = open_sync(
                books,
                [entity],
                user_id=SYSTEM_USER,
                operation="incremental",
                run_id="r",
                metadata=about,
                now=now,
            )
            close_sync(books, sync, {}, status="error", error=error, now=now)
    look(pipeline)

    assert notices(pipeline) == told_to_both(("error", "The database could not go on", 1))


# Opens the books of a run as a load does, says so, and waits to be killed.
_DYING = """
import sys
from datetime import UTC, datetime
from b2chat_pipeline.warehouse.accounts import SYSTEM_USER, ensure_users
from b2chat_pipeline.warehouse.books import open_sync
from b2chat_pipeline.warehouse.connection import connect
url, run_id, first, last = sys.argv[1:]
with connect(url, purpose="books") as connection:
    ensure_users(connection, (), now=datetime.now(UTC))
    about = {"endpoint": "/chats/export", "from": first, "to": last, "hours": 1, "read": True, "load": True}
    open_sync(connection, ["chats"], user_id=SYSTEM_USER, operation="incremental", run_id=run_id, metadata=about,
              now=datetime.now(UTC))
    print("open", flush=True)
    sys.stdin.read()
"""


def killed_while_it_loads(pipeline: Pipeline, keys: Sequence[str]) -> str:
    """A run that Dagster takes for alive, and whose process was killed with its books open; its id."""
    job = build_definitions(os.environ).resolve_job_def("hourly_sync")
    run = pipeline.instance.create_run_for_job(job, tags=ranged(keys), status=dg.DagsterRunStatus.STARTED)
    hour = ("2025-03-03T00:00:00-05:00", "2025-03-03T01:00:00-05:00")
    with subprocess.Popen(
        [sys.executable, "-c", _DYING, pipeline.database_url, run.run_id, *hour],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "open\n"
        look(pipeline, later=2 * SILENCE)
        process.send_signal(signal.SIGKILL)
    return run.run_id


def test_a_run_that_was_killed_is_ended_and_told_once_and_over_when_its_hours_are_loaded(pipeline: Pipeline) -> None:
    run_id = killed_while_it_loads(pipeline, HOURS[:1])
    while_it_lived = notices(pipeline)
    at_first = look(pipeline)
    soon = pipeline.instance.get_run_by_id(run_id)
    after_a_minute = look(pipeline, later=MINUTE)
    ended = pipeline.instance.get_run_by_id(run_id)
    look(pipeline, later=MINUTE)
    told = notices(pipeline)
    pipeline.run(HOURS[:1], assets=SIDES["chats"])
    look(pipeline, later=MINUTE + HELD)

    assert while_it_lived == []
    assert at_first.startswith("1 troubles began,")
    assert " 1 runs that had died were ended." in after_a_minute
    assert soon is not None
    assert ended is not None
    assert (soon.status, ended.status) == (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE)
    assert told == told_to_both(("warning", "The process of a run died", 0))
    assert pipeline.query("select error_code, correlation_id from error_logs") == [("SyncDiedError", run_id)]
    assert notices(pipeline) == told_to_both(("success", "The process of a run died", 0))


@pytest.mark.parametrize("chosen", [True, False], ids=["of assets that were chosen", "of a job"])
def test_a_load_that_dies_with_no_sync_open_is_ended_and_told_after_ten_minutes(
    pipeline: Pipeline, *, chosen: bool
) -> None:
    job = build_definitions(os.environ).resolve_job_def("hourly_sync")
    assets = frozenset({dg.AssetKey("contacts")}) if chosen else None
    run = pipeline.instance.create_run_for_job(
        job, tags=ranged(HOURS[:1]), status=dg.DagsterRunStatus.STARTED, asset_selection=assets
    )
    at_first = look(pipeline, later=SILENCE - MINUTE)
    ended = look(pipeline, later=SILENCE + MINUTE)
    told = look(pipeline, later=SILENCE + 2 * MINUTE)
    failed = pipeline.instance.get_run_by_id(run.run_id)

    assert " 0 runs that had died were ended." in at_first
    assert " 1 runs that had died were ended." in ended
    assert told.startswith("1 troubles began")
    assert failed is not None
    assert failed.status is dg.DagsterRunStatus.FAILURE
    assert notices(pipeline) == told_to_both(("warning", "The process of a run died", 0))


def test_a_run_that_does_more_than_load_may_be_silent_for_longer(pipeline: Pipeline) -> None:
    every = build_definitions(os.environ).resolve_implicit_global_asset_job_def()
    assets = frozenset({dg.AssetKey("chat_updates"), dg.AssetKey("chat_metrics")})
    pipeline.instance.create_run_for_job(every, status=dg.DagsterRunStatus.STARTED, asset_selection=assets)

    assert " 0 runs that had died were ended." in look(pipeline, later=SILENCE + MINUTE)


def test_what_nobody_tries_again_for_a_week_is_not_watched_any_more(pipeline: Pipeline) -> None:
    pipeline.simulator.faults.add(GONE)
    pipeline.run(HOURS[:1], assets=SIDES["contacts"])
    look(pipeline)
    lapsed = look(pipeline, later=WATCHED)

    assert "1 are over" in lapsed
    assert notices(pipeline) == told_to_both(("info", "B2Chat cannot be read", 0))


def test_without_administrators_the_systems_own_user_is_told(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("B2CHAT_ADMIN_EMAILS")
    pipeline.simulator.faults.add(GONE)
    pipeline.run(HOURS[:1], assets=SIDES["contacts"])
    look(pipeline)

    assert notices(pipeline) == [("system@localhost", "error", "B2Chat cannot be read", 0)]


def test_where_it_cannot_look_its_tick_fails(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("B2CHAT_DATABASE_URL", "postgresql://u@127.0.0.1:1/d")

    with pytest.raises(Exception, match="the warehouse does not answer"):
        look(pipeline)
