"""What a load is going to take: said before it is begun, and held against what it then took."""

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from b2chat_pipeline.definitions import build_definitions
from b2chat_pipeline.operations.planning import load_plan
from b2chat_pipeline.policy.loads import BY_DAEMON, IN_ONE_PROCESS, Allowance, LoadPlan, Pace, SideExpected, plan_load
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.windows import AccountClock, Window
from b2chat_pipeline_tests.dagster_support import FIRST_DAY, Pipeline, hours_of, running_pipeline

pytestmark = pytest.mark.any_postgres

CLOCK = AccountClock(ZoneInfo("America/Bogota"))
NOON = datetime(2025, 6, 30, 17, tzinfo=UTC)
ANY = Allowance(None, None, 0.0)


def planned(records: float, *, hours: int, per_run: int = 744, allowance: Allowance = ANY) -> LoadPlan:
    side = SideExpected(records, 0.5)
    return plan_load(
        {"chats": side}, hours=hours, pace=Pace(0.0, 5.0, 0.01, 1, per_run), allowance=allowance, clock=CLOCK, now=NOON
    )


@pytest.mark.parametrize(
    ("records", "hours", "per_run", "requests"),
    [(0, 1, 744, 2), (199, 24, 744, 2), (200, 24, 744, 3), (19_900, 744, 744, 101), (19_900, 744, 24, 31 * 5)],
    ids=["an empty hour", "one page", "two pages", "a month in one run", "a month by the day"],
)
def test_each_run_costs_its_pages_and_a_token(records: float, hours: int, per_run: int, requests: int) -> None:
    assert planned(records, hours=hours, per_run=per_run).requests == requests


@pytest.mark.parametrize(("left", "days"), [(101, 1), (100, 2), (71, 2), (70, 3), (0, 5)])
def test_requests_beyond_what_is_left_today_go_over_the_next_days(left: int, days: int) -> None:
    told = planned(19_900, hours=744, allowance=Allowance(left, 30, 5.0))

    assert told.days == days
    midnight = CLOCK.day_window(CLOCK.day_of(NOON) + timedelta(days=days - 1)).start
    assert max(NOON, midnight) < told.finished < max(NOON, midnight) + timedelta(minutes=2)


def test_runs_beside_each_other_start_at_once_and_share_the_machine() -> None:
    def seconds(hours: int, runs_at_once: int) -> float:
        side = SideExpected(19_900, 0.5)
        pace = Pace(begin=30.0, run=10.0, hour=0.1, runs_at_once=runs_at_once, hours_per_run=100)
        told = plan_load({"chats": side}, hours=hours, pace=pace, allowance=ANY, clock=CLOCK, now=NOON)
        return (told.finished - NOON).total_seconds()

    assert seconds(100, 3) == 30 + 10 + 10 + 50
    assert (seconds(300, 3), seconds(300, 1)) == (30 + 10 + 30 + 50, 30 + 30 + 30 + 50)
    assert seconds(400, 3) == 30 + 20 + 40 + 50


@pytest.fixture
def pipeline(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    with running_pipeline(database_url, monkeypatch) as running:
        yield running


def test_of_an_account_that_is_not_known_one_page_of_each_side_tells_what_then_happens(pipeline: Pipeline) -> None:
    days = CLOCK.day_window(FIRST_DAY).start, CLOCK.day_window(date(2025, 3, 5)).end
    with connect(pipeline.database_url, purpose="test") as connection:
        told = load_plan(connection, os.environ, Window(*days), pace=BY_DAEMON)
        asked = len(pipeline.simulator.requests)
        pipeline.run([hours_of(FIRST_DAY)[0], hours_of(date(2025, 3, 5))[-1]])
        took = len(pipeline.simulator.requests) - asked
        again = load_plan(connection, os.environ, Window(*days), pace=BY_DAEMON)

    assert abs(told.requests - took) <= max(1, 0.1 * took)
    assert (asked, abs(again.requests - took) <= max(1, 0.1 * took)) == (4, True)


def test_the_job_shows_the_same_plan_in_the_ui_and_loads_nothing(pipeline: Pipeline) -> None:
    job = build_definitions(os.environ).resolve_job_def("load_plan")
    hours = {"start": "2025-03-03", "end": "2025-03-05T12:00"}
    planned = job.execute_in_process(instance=pipeline.instance, run_config={"ops": {"plan_load": {"config": hours}}})
    (event,) = planned.filter_events(lambda it: it.is_successful_output)
    shown = {name: it.value for name, it in event.step_output_data.metadata.items()}
    refused = job.execute_in_process(
        instance=pipeline.instance,
        run_config={"ops": {"plan_load": {"config": {**hours, "end": "2999-01-01"}}}},
        raise_on_error=False,
    )
    (failure,) = refused.filter_events(lambda it: it.is_step_failure)

    assert (shown["hours"], shown["requests"], shown["days_of_requests"]) == (60, 4, 1)
    assert float(str(shown["done_if_launched_now"])) > datetime.now(UTC).timestamp()
    assert str(shown["plan"]).startswith(
        f"60 hours, about {shown['records']:,} records: 4 requests.\nThey are sent today;"
    )
    assert "2025-03-03 .. 2999-01-01 is not on offer" in str(failure.step_failure_data.error)
    assert pipeline.query("select count(*) from chats") == [(0,)]


def test_a_plan_of_no_hours_in_particular_is_one_of_all_that_can_be_loaded(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = datetime.now(CLOCK.zone).date() - timedelta(days=3)
    monkeypatch.setenv("B2CHAT_START_DATE", first.isoformat())
    job = build_definitions(os.environ).resolve_job_def("load_plan")
    began = datetime.now(UTC)
    planned = job.execute_in_process(instance=pipeline.instance)
    (event,) = planned.filter_events(lambda it: it.is_successful_output)

    hours = event.step_output_data.metadata["hours"].value
    until_then, until_now = (
        (it - CLOCK.day_window(first).start) // timedelta(hours=1) for it in (began, datetime.now(UTC))
    )
    assert hours in (until_then, until_now)


def test_a_single_day_can_be_planned_although_b2chat_is_asked_for_two_at_least(pipeline: Pipeline) -> None:
    with connect(pipeline.database_url, purpose="test") as connection:
        told = load_plan(connection, os.environ, CLOCK.day_window(date(2025, 3, 4)), pace=IN_ONE_PROCESS)

    # Of each side a page, and a token.
    assert told.requests == 4
    assert told.records > 0
