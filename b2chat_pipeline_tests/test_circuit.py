"""While a source is down it is asked little, and everything that asks knows: real runs, books, schedules."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import psycopg
import pytest

from b2chat_pipeline.assets.sides import ASSETS, SIDES
from b2chat_pipeline.definitions import build_definitions
from b2chat_pipeline.resources import B2ChatResource, WarehouseResource
from b2chat_pipeline.simulator import Fault, World
from b2chat_pipeline_tests.dagster_support import Pipeline, hours_of, running_pipeline

pytestmark = pytest.mark.any_postgres

ZONE = ZoneInfo("America/Bogota")
# Dagster's own clock is the real one, so an hour that may fail has to be over.
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
FIRST_DAY = NOW.astimezone(ZONE).date() - timedelta(days=3)
WORLD = World(first_day=FIRST_DAY, zone=ZONE, chats_per_day=12, messages_per_chat=1, contacts=10)
HOURS = hours_of(FIRST_DAY)
MINUTE = timedelta(minutes=1)
# Refused at once; what is down by and by is retried six times before.
REFUSED = Fault(kind="status", path="/chats/export", status=403, times=None)
DOWN = Fault(kind="status", path="/chats/export", status=503, times=1)


@pytest.fixture
def pipeline(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    with running_pipeline(database_url, monkeypatch, world=WORLD, now=NOW) as running:
        monkeypatch.setenv("B2CHAT_START_DATE", FIRST_DAY.isoformat())
        yield running


def tick(name: str, *, at: datetime) -> dg.RunRequest | str:
    """What a schedule does: the run it asks for, or why it skips."""
    repository = build_definitions(os.environ).get_repository_def()
    with (
        dg.DagsterInstance.local_temp() as instance,
        dg.build_schedule_context(
            instance,
            scheduled_execution_time=at,
            repository_def=repository,
            resources={"warehouse": WarehouseResource(), "b2chat": B2ChatResource()},
        ) as context,
    ):
        told = repository.get_schedule_def(name).evaluate_tick(context)
    return told.run_requests[0] if told.run_requests else str(told.skip_message)


def states(pipeline: Pipeline) -> dict[str, str]:
    return dict(pipeline.query("select entity_type, sync_status from sync_states"))


def test_it_opens_where_nothing_could_be_read_and_closes_with_the_probe_that_can(pipeline: Pipeline) -> None:
    pipeline.simulator.faults.add(REFUSED)
    pipeline.run(HOURS[:1])
    opened = states(pipeline)
    pipeline.simulator.faults.clear()
    pipeline.run(HOURS[:1])

    assert opened == {**dict.fromkeys(("chats", "messages", "agents", "departments"), "paused"), "contacts": "idle"}
    assert set(states(pipeline).values()) == {"idle"}


def test_a_run_while_it_is_open_asks_once_and_goes_on_as_ever_after_the_first_answer(pipeline: Pipeline) -> None:
    pipeline.simulator.faults.add(REFUSED)
    pipeline.run(HOURS[:1], assets=SIDES["chats"])
    pipeline.simulator.faults.clear()
    pipeline.simulator.faults.add(DOWN)
    sent = len(pipeline.simulator.requests)
    probe = pipeline.run(HOURS, assets=SIDES["chats"])
    asked = [it.path for it in pipeline.simulator.requests[sent:]]
    # The first answer of the next one is followed by trouble that passes.
    pipeline.simulator.faults.add(Fault(kind="status", path="/chats/export", status=503, times=1, after=1))
    mended = pipeline.run([HOURS[0], HOURS[-1]], assets=SIDES["chats"])

    assert (probe.success, mended.success) == (False, True)
    assert asked == ["/oauth/token", "/chats/export"]


def test_the_schedules_ask_for_nothing_before_the_next_probe_and_say_when_that_is(pipeline: Pipeline) -> None:
    pipeline.run(HOURS, assets=SIDES["chats"])
    pipeline.simulator.faults.add(Fault(kind="status", path="*/export", status=403, times=None))
    pipeline.run(HOURS[:1])
    now = datetime.now(UTC)
    told = {name: tick(name, at=now) for name in ("hourly_sync", "rereads", "contacts_full_read")}
    due = {name: tick(name, at=now + 6 * MINUTE) for name in ("hourly_sync", "contacts_full_read")}

    for name, why in told.items():
        assert isinstance(why, str), name
        assert "B2Chat has not been readable for" in why
        assert "the next probe is due at" in why
    assert isinstance(due["hourly_sync"], dg.RunRequest)
    assert due["hourly_sync"].asset_selection is None
    assert isinstance(due["contacts_full_read"], dg.RunRequest)


def test_trouble_at_one_endpoint_does_not_hold_up_the_other(pipeline: Pipeline) -> None:
    pipeline.simulator.faults.add(REFUSED)
    pipeline.run(HOURS[:1], assets=ASSETS)

    request = tick("hourly_sync", at=datetime.now(UTC))

    assert isinstance(request, dg.RunRequest)
    assert {key.to_user_string() for key in request.asset_selection or ()} == set(SIDES["contacts"])


def test_a_probe_by_the_schedule_of_re_reads_is_one_day(pipeline: Pipeline) -> None:
    two_days = [*HOURS, *hours_of(FIRST_DAY + timedelta(days=1))]
    pipeline.run(two_days, assets=SIDES["chats"])
    with psycopg.connect(pipeline.database_url) as connection:
        connection.execute("update ops.window_reads set read_at = read_at - interval '1 day'")
        connection.execute("update chats set status = 'open'")
    pipeline.simulator.faults.add(REFUSED)
    pipeline.run(HOURS[:1], assets=SIDES["chats"])
    request = tick("rereads", at=datetime.now(UTC) + 6 * MINUTE)

    assert isinstance(request, dg.RunRequest), request
    assert request.tags["dagster/asset_partition_range_start"] == request.tags["dagster/asset_partition_range_end"]
