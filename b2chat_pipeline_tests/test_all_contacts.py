"""All contacts are read at first start and monthly, beside the hours and without touching them."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import psycopg
import pytest
from dagster import DagsterInstance

from b2chat_pipeline import resources
from b2chat_pipeline.b2chat.contract import CONTACTS
from b2chat_pipeline.definitions import build_definitions
from b2chat_pipeline.policy import FullReads, full_read_due_at
from b2chat_pipeline.simulator import Fault, World, mutated_records
from b2chat_pipeline.simulator.expectation import expected
from b2chat_pipeline_tests.dagster_support import FIRST_DAY, Pipeline, failure_sentences, hours_of, running_pipeline
from b2chat_pipeline_tests.loading_support import row_versions, stored

# Three pages of contacts, most of them last updated before the first day that is loaded.
WORLD = World(first_day=FIRST_DAY, zone=ZoneInfo("America/Bogota"), chats_per_day=10, contacts=420)
NOW = datetime(2025, 3, 4, 5, 5, tzinfo=UTC)
ACCOUNT = expected(WORLD, NOW, first=FIRST_DAY, last=FIRST_DAY)
DAY = hours_of(FIRST_DAY)
PAGES = -(-len(ACCOUNT.contacts) // 199)


@pytest.fixture
def pipeline(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    with running_pipeline(database_url, monkeypatch, world=WORLD, now=NOW) as running:
        monkeypatch.setattr(resources, "utc_now", running.simulator.clock.now)
        yield running


def read_all(pipeline: Pipeline) -> dg.ExecuteInProcessResult:
    return (
        build_definitions(os.environ)
        .resolve_job_def("contacts_full_read")
        .execute_in_process(
            instance=pipeline.instance,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
        )
    )


def figures(pipeline: Pipeline) -> dict[str, object]:
    """The metadata of the newest materialization."""
    event = pipeline.instance.get_latest_materialization_event(dg.AssetKey("all_contacts"))
    assert event is not None
    assert event.asset_materialization is not None
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def offsets(pipeline: Pipeline) -> list[object]:
    return [
        request.params["offset"]
        for request in pipeline.simulator.requests
        if request.path == CONTACTS and "created_from" in request.params and request.status == 200
    ]


def tick(pipeline: Pipeline, *, unfinished: bool = False) -> dg.RunRequest | str:
    """What the schedule does now: the run it asks for, or why it skips."""
    repository = build_definitions(os.environ).get_repository_def()
    with (
        DagsterInstance.local_temp() as instance,
        dg.build_schedule_context(
            instance,
            resources={"warehouse": resources.WarehouseResource()},
            scheduled_execution_time=pipeline.simulator.clock.now().astimezone(WORLD.zone),
            repository_def=repository,
        ) as context,
    ):
        if unfinished:
            job = build_definitions(os.environ).resolve_job_def("contacts_full_read")
            instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        told = repository.get_schedule_def("contacts_full_read").evaluate_tick(context)
    return told.run_requests[0] if told.run_requests else told.skip_message or ""


def test_every_contact_is_loaded_in_full_and_the_hours_stay_as_they_are(pipeline: Pipeline) -> None:
    pipeline.run(DAY[:2])
    watermark = pipeline.query("select last_sync_timestamp from sync_states where entity_type = 'contacts'")
    reads = pipeline.query("select * from ops.window_reads order by endpoint, hour_start")

    result = read_all(pipeline)

    assert result.success
    assert stored(pipeline.database_url).contacts == ACCOUNT.contacts
    told = figures(pipeline)
    # A token and the pages; each page tells the last contact of the one before again.
    assert (told["run_pages_read"], told["run_requests"]) == (PAGES, PAGES + 1)
    assert told["received"] == len(ACCOUNT.contacts) + PAGES - 1
    assert pipeline.query("select last_sync_timestamp from sync_states where entity_type = 'contacts'") == watermark
    assert pipeline.query("select * from ops.window_reads order by endpoint, hour_start") == reads
    assert pipeline.query("select operation, status from sync_logs where operation = 'full'") == [("full", "success")]
    assert pipeline.query("select backfill from ops.request_budget") >= [(PAGES + 1,)]
    assert pipeline.query("select * from ops.contract_drift") == []
    (sums,) = pipeline.query(
        "select sum(received), sum(inserted + updated + unchanged + repeated + older + quarantined) from ops.ledger"
        " where sync_id in (select id from sync_logs where operation = 'full')"
    )
    assert sums == (told["received"], told["received"])


def test_a_second_read_of_all_contacts_writes_no_row(pipeline: Pipeline) -> None:
    read_all(pipeline)
    before = row_versions(pipeline.database_url)

    assert read_all(pipeline).success

    assert row_versions(pipeline.database_url) == before
    assert figures(pipeline)["unchanged"] == figures(pipeline)["received"]


def test_a_read_that_was_cut_off_goes_on_where_it_ended(pipeline: Pipeline) -> None:
    # Half an hour before midnight.
    pipeline.simulator.clock.set(datetime(2025, 3, 5, 4, 30, tzinfo=UTC))
    pipeline.simulator.faults.add(Fault(kind="status", status=404, path=CONTACTS, after=1))
    pipeline.simulator.faults.add(
        Fault(kind="status", status=429, headers={"Retry-After": "3600"}, path=CONTACTS, after=3)
    )
    lost = read_all(pipeline)
    cut = read_all(pipeline)
    pipeline.simulator.clock.advance(timedelta(hours=1))

    rest = read_all(pipeline)

    # What failed for good starts afresh; what waits for the source goes on, over midnight too.
    assert [lost.success, cut.success, rest.success] == [False, False, True]
    assert offsets(pipeline) == ["0", "0", *(str(page * 199) for page in range(1, PAGES))]
    (sentence,) = failure_sentences(cut)
    assert sentence.startswith("not all contacts are loaded: 200 of 200 told in 1 pages. GET /contacts/export (window ")
    known = expected(WORLD, pipeline.simulator.clock.now(), first=FIRST_DAY, last=FIRST_DAY).contacts
    assert stored(pipeline.database_url).contacts.keys() == known.keys()
    statuses = "select status from sync_logs where operation = 'full' order by started_at, id"
    assert pipeline.query(statuses) == [("partial",), ("partial",), ("success",)]


@pytest.mark.any_postgres
def test_a_failed_read_of_all_contacts_leaves_the_hours_green(pipeline: Pipeline) -> None:
    pipeline.run(DAY[:2])
    pipeline.simulator.faults.add(Fault(kind="html", path=CONTACTS, times=None))

    result = read_all(pipeline)

    (sentence,) = failure_sentences(result)
    assert "the answer is an HTML or XML page instead of a JSON object" in sentence
    assert set(pipeline.status("contacts", DAY[:2]).values()) == {"MATERIALIZED"}
    assert pipeline.query("select status from sync_logs where operation = 'full'") == [("error",)]
    pipeline.simulator.clock.advance(timedelta(hours=1))
    assert isinstance(tick(pipeline), dg.RunRequest)


@pytest.mark.any_postgres
def test_a_page_that_cannot_be_written_is_named_and_the_others_load(pipeline: Pipeline) -> None:
    refused = min(ACCOUNT.contacts, key=int)
    with psycopg.connect(pipeline.database_url) as connection:
        connection.execute(f"alter table contacts add constraint refused check (b2chat_id <> '{refused}')".encode())

    result = read_all(pipeline)

    (sentence,) = failure_sentences(result)
    assert "failed with CheckViolation (23514) in table contacts; nothing of it was written" in sentence
    # The last of the page that failed is the first of the next one.
    assert len(stored(pipeline.database_url).contacts) == len(ACCOUNT.contacts) - 199
    pipeline.simulator.clock.advance(timedelta(hours=1))
    assert isinstance(tick(pipeline), dg.RunRequest)
    with psycopg.connect(pipeline.database_url) as connection:
        connection.execute("alter table contacts drop constraint refused")
    assert read_all(pipeline).success
    assert stored(pipeline.database_url).contacts == ACCOUNT.contacts


def test_contacts_that_do_not_fit_are_put_aside_and_the_others_load(pipeline: Pipeline) -> None:
    odd = min(ACCOUNT.contacts)
    pipeline.simulator.faults.add(
        mutated_records(lambda it: it | {"email": 7} if str(it["contact_id"]) == odd else it, path=CONTACTS)
    )

    assert read_all(pipeline).success

    assert stored(pipeline.database_url).contacts.keys() == ACCOUNT.contacts.keys() - {odd}
    assert pipeline.query("select entity, record_key from ops.quarantine") == [("contacts", odd)]


@pytest.mark.parametrize("updated", [None, "0000-00-00 00:00:00", "2999-12-31 23:59:59", "1970-01-01 00:00:00"])
def test_a_contact_whose_last_update_cannot_be_believed_counts_in_the_hour_it_was_read(
    pipeline: Pipeline, updated: str | None
) -> None:
    pipeline.simulator.faults.add(mutated_records(lambda it: it | {"updated": updated}, path=CONTACTS))

    assert read_all(pipeline).success

    assert stored(pipeline.database_url).contacts.keys() == ACCOUNT.contacts.keys()
    assert pipeline.query("select distinct hour_start at time zone 'UTC' from ops.ledger") == [
        (NOW.replace(minute=0, tzinfo=None),)
    ]


def test_a_full_read_is_due_where_there_was_none_and_after_a_month() -> None:
    assert full_read_due_at(FullReads(None)) is None
    assert full_read_due_at(FullReads(NOW)) == NOW + timedelta(days=30)


@pytest.mark.parametrize(("failures", "hours"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 24), (10_000, 24)])
@pytest.mark.parametrize("completed", [None, NOW - timedelta(days=30, hours=1)])
def test_after_each_read_that_failed_the_next_one_waits_longer_up_to_a_day(
    failures: int, hours: int, completed: datetime | None
) -> None:
    due = full_read_due_at(FullReads(completed, failures, NOW))

    # Asked for at the same minute of an hour, a read begins a little later.
    assert due is not None
    assert NOW + timedelta(hours=hours - 1) < due < NOW + timedelta(hours=hours)


@pytest.mark.any_postgres
def test_the_schedule_asks_again_after_a_pause_that_grows_until_a_read_is_complete(pipeline: Pipeline) -> None:
    def asked_for() -> int:
        """After how many hours the schedule asks again."""
        for hour in range(1, 30):
            pipeline.simulator.clock.advance(timedelta(hours=1))
            if isinstance(tick(pipeline), dg.RunRequest):
                return hour
        raise AssertionError

    pipeline.simulator.faults.add(Fault(kind="html", path=CONTACTS, times=2))
    read_all(pipeline)
    waiting = tick(pipeline)
    first = asked_for()
    read_all(pipeline)
    second = asked_for()
    assert read_all(pipeline).success

    assert waiting == (
        "1 read of all contacts failed since the last complete one; the next is not due before 2025-03-04 00:55."
    )
    assert (first, second) == (1, 2)
    assert tick(pipeline) == "All contacts were read less than 30 days ago."


@pytest.mark.any_postgres
def test_a_read_that_the_days_requests_cut_off_is_asked_for_again_within_the_hour(pipeline: Pipeline) -> None:
    pipeline.simulator.faults.add(
        Fault(kind="status", status=429, headers={"Retry-After": "3600"}, path=CONTACTS, after=1)
    )

    assert not read_all(pipeline).success

    assert isinstance(tick(pipeline), dg.RunRequest)


def test_contacts_in_another_order_than_that_of_their_creation_are_read_and_recorded(pipeline: Pipeline) -> None:
    pipeline.simulator.faults.add(Fault(kind="unordered", path=CONTACTS, times=None))

    assert read_all(pipeline).success

    assert stored(pipeline.database_url).contacts.keys() == ACCOUNT.contacts.keys()
    assert ("$.created", "other order") in pipeline.query("select path, kind from ops.contract_drift")


def test_the_schedule_asks_once_at_first_start_and_again_after_a_month(pipeline: Pipeline) -> None:
    first = tick(pipeline)
    waiting = tick(pipeline, unfinished=True)
    read_all(pipeline)
    done = tick(pipeline)
    pipeline.simulator.clock.advance(timedelta(days=30))
    again = tick(pipeline)

    assert isinstance(first, dg.RunRequest)
    assert waiting == "The read of all contacts asked for before is not finished."
    assert done == "All contacts were read less than 30 days ago."
    assert isinstance(again, dg.RunRequest)
    assert first.run_key != again.run_key


@pytest.mark.any_postgres
def test_nothing_is_asked_for_before_the_first_hour_is_over(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("B2CHAT_START_DATE", "2025-03-04")

    early = tick(pipeline)
    pipeline.simulator.clock.advance(timedelta(hours=1))

    assert early == "No hour is over yet: B2CHAT_START_DATE lies ahead."
    assert isinstance(tick(pipeline), dg.RunRequest)


@pytest.mark.any_postgres
def test_a_missing_setting_skips_with_the_sentence_that_names_it(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("B2CHAT_PASSWORD")

    told = tick(pipeline)

    assert isinstance(told, str)
    assert told.startswith("B2CHAT_PASSWORD is not set: ")
