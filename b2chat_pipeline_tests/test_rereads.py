"""Days whose chats may have changed are read again, beside the hours and without touching them."""

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from b2chat_pipeline import resources
from b2chat_pipeline.definitions import build_definitions
from b2chat_pipeline.simulator import Fault, World
from b2chat_pipeline.simulator.expectation import expected
from b2chat_pipeline_tests.dagster_support import (
    FIRST_DAY,
    Pipeline,
    account_environment,
    failure_sentences,
    hours_of,
    ranged,
    running_pipeline,
)
from b2chat_pipeline_tests.loading_support import stored

WORLD = World(first_day=FIRST_DAY, zone=ZoneInfo("America/Bogota"), chats_per_day=20)
# Monday's last hour is over.
NOW = datetime(2025, 3, 4, 5, 5, tzinfo=UTC)
DAY = hours_of(FIRST_DAY)
THREE_DAYS = timedelta(days=3)


@pytest.fixture
def pipeline(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    with running_pipeline(database_url, monkeypatch, world=WORLD, now=NOW) as running:
        monkeypatch.setattr(resources, "utc_now", running.simulator.clock.now)
        yield running


def reread(pipeline: Pipeline, first: date, last: date, *, scheduled: bool = True) -> dg.ExecuteInProcessResult:
    """One run over some days, as the schedule or somebody else asks for it."""
    schedule = {"dagster/schedule_name": "rereads"} if scheduled else {}
    return (
        build_definitions(os.environ)
        .resolve_job_def("rereads")
        .execute_in_process(
            instance=pipeline.instance,
            tags={**ranged([first.isoformat(), last.isoformat()]), **schedule},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
        )
    )


def tick(pipeline: Pipeline, *, unfinished: bool = False) -> Sequence[dg.RunRequest] | str:
    """What the schedule does now: the runs it asks for, or why it skips."""

    repository = build_definitions(os.environ).get_repository_def()
    at = pipeline.simulator.clock.now().astimezone(WORLD.zone)
    with (
        dg.DagsterInstance.local_temp() as instance,
        dg.build_schedule_context(
            instance,
            resources={"warehouse": resources.WarehouseResource(), "b2chat": resources.B2ChatResource()},
            scheduled_execution_time=at,
            repository_def=repository,
        ) as context,
    ):
        if unfinished:
            job = build_definitions(os.environ).resolve_job_def("rereads")
            instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        told = repository.get_schedule_def("rereads").evaluate_tick(context)
    return told.run_requests or told.skip_message or ""


def ranges(requests: Sequence[dg.RunRequest] | str) -> list[tuple[str, str]]:
    assert not isinstance(requests, str), requests
    start, end = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
    return [(request.tags[start], request.tags[end]) for request in requests]


def test_a_chat_that_closed_days_later_is_brought_up_to_date(pipeline: Pipeline) -> None:
    pipeline.run(DAY)
    before = expected(WORLD, NOW, first=FIRST_DAY, last=FIRST_DAY)
    pipeline.simulator.clock.advance(THREE_DAYS)
    after = expected(WORLD, NOW + THREE_DAYS, first=FIRST_DAY, last=FIRST_DAY)

    result = reread(pipeline, FIRST_DAY, FIRST_DAY)

    assert result.success
    held = stored(pipeline.database_url)
    assert (held.chats, held.messages) == (after.chats, after.messages)
    late = [key for key, chat in after.chats.items() if chat.status == "closed" != before.chats[key].status]
    assert late
    metadata = pipeline.metadata("chat_updates")[FIRST_DAY.isoformat()]
    changed = [
        key
        for key in after.chats
        if (before.chats[key], before.messages[key]) != (after.chats[key], after.messages[key])
    ]
    assert metadata["changed_chats"] == len(changed)
    assert metadata["staleness_hours"] == 72
    assert metadata["promised_hours"] == 3
    assert (metadata["run_days"], metadata["run_requests"], metadata["run_pages_read"]) == (1, 2, 1)
    assert pipeline.query("select reread from ops.request_budget where reread > 0") == [(2,)]


@pytest.mark.any_postgres
def test_what_somebody_asks_for_leaves_the_share_of_rereads_alone(pipeline: Pipeline) -> None:
    pipeline.run(DAY)
    before = pipeline.query("select sum(reread), sum(backfill) from ops.request_budget")

    assert reread(pipeline, FIRST_DAY, FIRST_DAY, scheduled=False).success

    ((reread_before, others_before),) = before
    after = pipeline.query("select sum(reread), sum(backfill) from ops.request_budget")
    assert after == [(reread_before, others_before + 2)]


@pytest.mark.any_postgres
def test_the_metadata_says_how_all_days_stand(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("B2CHAT_REQUESTS_PER_DAY", "1000")
    for offset in range(3):
        pipeline.simulator.clock.set(NOW + offset * timedelta(days=1))
        pipeline.run(hours_of(FIRST_DAY + offset * timedelta(days=1)))
    pipeline.simulator.clock.advance(timedelta(hours=6))
    # Nearly all of what the share hands out by six in the morning is used.
    pipeline.query("update ops.request_budget set reread = 90 where day = '2025-03-06' returning 1")

    result = reread(pipeline, FIRST_DAY, FIRST_DAY)

    assert result.success, failure_sentences(result)
    metadata = pipeline.metadata("chat_updates")[FIRST_DAY.isoformat()]
    waits = "it waits for the share of re-reads, which is handed out evenly over the day: 90 of 350 are used"
    assert {name: metadata[name] for name in metadata if name != "run_sync_id"} == {
        "dagster/partition_row_count": 22,
        "changed_chats": metadata["changed_chats"],
        "new_chats": 0,
        "staleness_hours": 54,
        "promised_hours": 3,
        "run_days": 1,
        "run_requests": 2,
        "run_pages_read": 1,
        "unsettled_days": 3,
        "due_days": 3,
        "left_out": f"2025-03-04: {waits}; 2025-03-05: {waits}",
        "oldest_hours": 54,
        "share": 350,
        "share_used": 92,
    }


@pytest.mark.any_postgres
def test_a_failed_reread_leaves_the_hours_green(pipeline: Pipeline) -> None:
    pipeline.run(DAY)
    pipeline.simulator.clock.advance(THREE_DAYS)
    pipeline.simulator.faults.add(Fault(kind="html", times=None))

    result = reread(pipeline, FIRST_DAY, FIRST_DAY)

    assert not result.success
    (sentence,) = failure_sentences(result)
    assert sentence.startswith(f"1 of 1 days were not read again: {FIRST_DAY.isoformat()}. ")
    assert set(pipeline.status("chats", DAY).values()) == {"MATERIALIZED"}
    assert pipeline.metadata("chat_updates") == {}


@pytest.mark.any_postgres
def test_the_running_day_is_read_again_as_far_as_it_is_over(pipeline: Pipeline) -> None:
    pipeline.simulator.clock.set(datetime(2025, 3, 3, 18, 30, tzinfo=UTC))

    result = reread(pipeline, FIRST_DAY, FIRST_DAY)

    assert result.success
    (hours,) = pipeline.query("select count(*) from ops.window_reads")
    assert hours == (13,)


@pytest.mark.parametrize("table", ["chats", "messages"])
def test_a_backfill_may_contain_the_running_day_although_not_all_of_its_hours_are_over(table: str) -> None:
    account = account_environment("http://127.0.0.1:1", "postgresql://u@127.0.0.1:1/d")
    graph = build_definitions(account).resolve_asset_graph()
    days, hours = (graph.get(dg.AssetKey(key)).partitions_def for key in ("chat_updates", table))
    mapping = graph.get_partition_mapping(dg.AssetKey("chat_updates"), dg.AssetKey(table))
    assert days is not None
    assert hours is not None

    needed = mapping.get_upstream_mapped_partitions_result_for_partitions(
        days.subset_with_partition_keys([FIRST_DAY.isoformat()]), days, hours, datetime(2025, 3, 3, 18, 30, tzinfo=UTC)
    )

    assert len(needed.partitions_subset) == 13
    assert needed.required_but_nonexistent_subset.is_empty


@pytest.mark.any_postgres
def test_a_day_that_has_just_begun_has_nothing_to_read(pipeline: Pipeline) -> None:
    result = reread(pipeline, date(2025, 3, 4), date(2025, 3, 4))

    assert result.success
    assert pipeline.query("select * from sync_logs") == []


def test_the_schedule_asks_for_a_day_when_it_is_due_and_not_before(pipeline: Pipeline) -> None:
    pipeline.run(DAY)

    early = tick(pipeline)
    pipeline.simulator.clock.advance(timedelta(hours=2, minutes=40) - timedelta(minutes=1))
    due = tick(pipeline)

    assert early == "None of 1 days whose chats may change is due."
    assert ranges(due) == [(FIRST_DAY.isoformat(), FIRST_DAY.isoformat())]
    assert not isinstance(due, str)
    assert due[0].run_key == "2025-03-03..2025-03-03 @ 2025-03-04T02:44:00-05:00"


@pytest.mark.any_postgres
def test_the_schedule_waits_for_the_rereads_it_asked_for_before(pipeline: Pipeline) -> None:
    pipeline.run(DAY)
    pipeline.simulator.clock.advance(THREE_DAYS)

    assert tick(pipeline, unfinished=True) == "The re-reads asked for before are not finished."


@pytest.mark.any_postgres
def test_a_missing_setting_skips_with_the_sentence_that_names_it(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("B2CHAT_PASSWORD")

    told = tick(pipeline)

    assert isinstance(told, str)
    assert told.startswith("B2CHAT_PASSWORD is not set: ")


@pytest.mark.any_postgres
def test_a_warehouse_that_does_not_answer_skips_with_a_sentence(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("B2CHAT_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")

    told = tick(pipeline)

    assert isinstance(told, str)
    assert told.startswith("the warehouse does not answer: ")
