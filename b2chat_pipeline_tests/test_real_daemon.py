"""Dagster's own daemon, webserver and code servers, hurt as machines and people hurt them: `make daemon`.

The daemon's clock is the real one, so it was off for days in that nobody has asked for their hours. All tests share one
site, whose daemon the first one starts; each leaves it running. Not here: what the daemon decides (`test_gaps.py`,
`test_troubles.py`), which needs no processes.
"""

import re
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from b2chat_pipeline.assets.sides import SIDES
from b2chat_pipeline.simulator import Fault
from b2chat_pipeline_tests.daemon_support import CLOCK, DAYS_OFF, Site, key_of, running_site, wait_for

pytestmark = [pytest.mark.any_postgres, pytest.mark.minutes]

_BOTH = ("daemon", "daemon by mistake")
_SAID_BY_BOTH = "You likely have multiple daemon processes running at once"
_TWO = "2 daemons say that they live"
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with (
        tempfile.TemporaryDirectory(prefix="b2chat-daemon-") as folder,
        running_site(Path(folder)) as site,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name in ("DAGSTER_HOME", "DAGSTER_DATABASE_URL"):
            patch.setenv(name, site.settings[name])
        yield site


def test_a_daemon_that_was_off_for_days_makes_up_for_every_hour_the_newest_first(site: Site) -> None:
    hour = site.first_hour
    said = site.home.run(["b2chat", "load", _wall(hour), _wall(hour + timedelta(hours=1))], site.settings)
    assert said.status == 0, said.errors
    site.start_daemon()
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)

    wait_for(lambda: len(site.runs(tags={"b2chat/gap": "chats"}, statuses=ENDED)) >= 2, seconds=400)
    wait_for(lambda: len(site.runs(tags={"b2chat/gap": "contacts"}, statuses=ENDED)) >= 2, seconds=400)

    runs = site.runs(tags={"b2chat/gap": "chats"})
    assert {it.dagster_run.status for it in runs} == {dg.DagsterRunStatus.SUCCESS}
    first = [it.dagster_run.tags["dagster/asset_partition_range_start"] for it in runs]
    assert first == sorted(first, reverse=True)
    assert first[-1] == key_of(hour + timedelta(hours=1))
    assert (now - hour) / timedelta(days=1) > DAYS_OFF
    # The youngest is the schedule's.
    site.assert_loaded_once(hour, now - timedelta(hours=1))


def run_that_hangs(site: Site) -> tuple[datetime, str]:
    """An hour that nobody has asked for, and its run, which waits for an answer."""
    hour, key = site.hour_before()
    site.simulator.faults.add(Fault(kind="hang", seconds=120))
    asked = len(site.simulator.requests)
    run_id = site.up().launch("hourly_sync", {"dagster/partition": key})
    wait_for(lambda: site.simulator.faults.pending() == () and len(site.simulator.requests) > asked)
    return hour, run_id


def test_a_run_that_dies_with_its_daemon_is_noticed_and_its_hour_loaded_once_by_the_next(site: Site) -> None:
    hour, run_id = run_that_hangs(site)
    assert _status(site, run_id) == dg.DagsterRunStatus.STARTED

    site.kill("daemon")
    site.simulator.faults.clear()
    assert _status(site, run_id) == dg.DagsterRunStatus.STARTED
    site.start_daemon()

    wait_for(lambda: _status(site, run_id) == dg.DagsterRunStatus.FAILURE, seconds=240)
    wait_for(lambda: site.runs(tags={"dagster/parent_run_id": run_id}, statuses=ENDED), seconds=60)
    (again,) = site.runs(tags={"dagster/parent_run_id": run_id})
    assert again.dagster_run.status == dg.DagsterRunStatus.SUCCESS
    site.assert_loaded_once(hour, hour + timedelta(hours=1))
    assert site.query("select distinct error_code from error_logs where correlation_id = %s", run_id) == [
        ("SyncDiedError",)
    ]


def test_a_run_that_is_told_to_end_says_so_within_ten_seconds_and_is_run_again_at_once(site: Site) -> None:
    hour, run_id = run_that_hangs(site)
    worker, told = site.worker(run_id), datetime.now(UTC)

    worker.terminate()

    wait_for(lambda: not worker.is_running(), seconds=20)
    wait_for(lambda: site.runs(tags={"dagster/parent_run_id": run_id}, statuses=ENDED), seconds=120)
    (again,) = site.runs(tags={"dagster/parent_run_id": run_id})
    assert (_status(site, run_id), again.dagster_run.status) == (
        dg.DagsterRunStatus.FAILURE,
        dg.DagsterRunStatus.SUCCESS,
    )
    ((error, closed),) = site.query(
        "select distinct error_code, timestamp from error_logs where correlation_id = %s", run_id
    )
    assert error == "SyncStoppedError"
    assert closed - told < timedelta(seconds=10)
    site.assert_loaded_once(hour, hour + timedelta(hours=1))


def test_two_daemons_at_once_say_so_and_load_nothing_twice(site: Site) -> None:
    webserver = site.up()
    before = {it.dagster_run.run_id for it in site.runs()}
    missing, key_of_missing = site.hour_before()
    _, key = site.hour_before()
    site.start_daemon("daemon by mistake")

    wait_for(lambda: all(_SAID_BY_BOTH in site.log(name).read_text() for name in _BOTH), seconds=240)
    wait_for(lambda: _TWO in site.doctor())
    assert webserver.run("hourly_sync", {"dagster/partition": key}) == "SUCCESS"
    asked_for = {"dagster/asset_partition_range_start": key_of_missing}
    wait_for(lambda: len(site.runs(tags=asked_for, statuses=ENDED)) >= len(SIDES), seconds=400)
    site.kill("daemon by mistake")
    wait_for(lambda: re.search(r"^ok +daemon ", site.doctor(), re.MULTILINE))

    runs = [it.dagster_run for it in site.runs() if it.dagster_run.run_id not in before]
    keys = [run.tags[name] for run in runs for name in ("dagster/run_key",) if name in run.tags]
    assert len(keys) == len(set(keys))
    assert {run.status for run in runs}.isdisjoint({dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED})
    after, key_after = site.hour_before()
    assert webserver.run("hourly_sync", {"dagster/partition": key_after}) == "SUCCESS"
    site.assert_loaded_once(after, missing + timedelta(hours=1))


def test_postgresql_may_be_restarted_under_the_daemon_and_the_webserver(site: Site) -> None:
    webserver, alive = site.up(), site.alive()
    restarted = time.time()
    site.restart_postgresql()

    wait_for(lambda: {"SUCCESS", "SKIPPED"} & set(site.ticks("troubles", since=restarted)), seconds=180)
    hour, key = site.hour_before()
    assert webserver.run("hourly_sync", {"dagster/partition": key}) == "SUCCESS"
    assert site.alive() == alive
    site.assert_loaded_once(hour, hour + timedelta(hours=1))


def test_after_a_full_disk_all_goes_on_by_itself_once_there_is_room_and_postgresql_runs(site: Site) -> None:
    if not site.disk.is_mount():
        pytest.skip("NOT RUN: only root can mount the small disk that this test fills")
    webserver, alive = site.up(), site.alive()
    hour, key = site.hour_before()
    site.simulator.faults.add(Fault(kind="hang", seconds=10))
    run_id = webserver.launch("hourly_sync", {"dagster/partition": key})
    wait_for(lambda: site.simulator.faults.pending() == ())

    with site.full_disk():
        # The run meets it, and so do two ticks of each sensor that looks every minute.
        time.sleep(130)
        assert site.alive() == alive
    emptied = time.time()
    site.start_postgresql_if_it_ended()

    wait_for(lambda: {"SUCCESS", "SKIPPED"} & set(site.ticks("troubles", since=emptied)), seconds=180)
    wait_for(lambda: _status(site, run_id) == dg.DagsterRunStatus.FAILURE, seconds=240)
    assert webserver.run("hourly_sync", {"dagster/partition": key}) == "SUCCESS"
    assert site.alive() == alive
    site.assert_loaded_once(hour, hour + timedelta(hours=1))
    # Nobody is told of what was mended before the sensor looked; the log has it in any case.
    assert site.query("select error_code from error_logs where correlation_id = %s", run_id)
    told = site.query("select metadata ->> 'incident', count(*) from notifications group by 1")
    assert {count for _, count in told} <= {1}


def _wall(hour: datetime) -> str:
    """An hour as people write it."""
    return f"{hour.astimezone(CLOCK.zone):%Y-%m-%dT%H:%M}"


def _status(site: Site, run_id: str) -> dg.DagsterRunStatus:
    (record,) = site.runs(run_ids=[run_id])
    return record.dagster_run.status
