"""What a run of the assets credits: the hours asked for, of the assets selected, each with its counts."""

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from b2chat_pipeline.assets.sides import ASSETS
from b2chat_pipeline.simulator.expectation import expected
from b2chat_pipeline_tests.dagster_support import (
    ADMIN,
    BUSY_WORLD,
    FIRST_DAY,
    NOW,
    Pipeline,
    failure_sentences,
    hours_of,
    running_pipeline,
)

DAY = hours_of(FIRST_DAY)
MORNING = DAY[9:12]
TABLES = ("departments", "agents", "chats", "messages", "contacts")


@pytest.fixture
def pipeline(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    with running_pipeline(database_url, monkeypatch) as running:
        yield running


def credited(pipeline: Pipeline) -> set[str]:
    """The assets with at least one hour that is materialized."""
    return {asset for asset in ASSETS if pipeline.metadata(asset)}


@pytest.mark.any_postgres
def test_one_hour_is_loaded_and_credited(pipeline: Pipeline) -> None:
    result = pipeline.run([DAY[10]])

    assert result.success
    assert credited(pipeline) == set(ASSETS)
    assert pipeline.status("chats", DAY[9:12]) == {DAY[9]: "MISSING", DAY[10]: "MATERIALIZED", DAY[11]: "MISSING"}
    day = expected(BUSY_WORLD, NOW, first=FIRST_DAY, last=FIRST_DAY)
    in_the_hour = {key for key, chat in day.chats.items() if chat.created_at.hour == 15}  # 10:00 in Bogotá
    assert {key for (key,) in pipeline.query("select b2chat_id from chats")} == in_the_hour
    assert len(in_the_hour) > 1


@pytest.mark.any_postgres
def test_every_hour_of_a_range_has_its_own_counts_also_an_hour_without_rows(pipeline: Pipeline) -> None:
    result = pipeline.run(DAY)

    assert result.success
    created = pipeline.query(
        "select to_char(created_at at time zone 'America/Bogota', 'YYYY-MM-DD-HH24:00'), count(*) from chats group by 1"
    )
    rows = {key: dict(created).get(key, 0) for key in DAY}
    assert 0 in rows.values()
    metadata = pipeline.metadata("chats")
    assert {key: metadata[key]["dagster/partition_row_count"] for key in DAY} == rows
    assert {key: metadata[key]["received"] for key in DAY} == rows
    assert {key: metadata[key]["inserted"] for key in DAY} == rows
    assert {metadata[key]["updated"] for key in DAY} == {metadata[key]["quarantined"] for key in DAY} == {0}
    assert {key: it["dagster/partition_row_count"] for key, it in pipeline.metadata("chat_pages").items()} == rows


@pytest.mark.any_postgres
def test_every_asset_is_materialized_for_every_hour_of_a_range(pipeline: Pipeline) -> None:
    pipeline.run(DAY[:8])

    for asset in ASSETS:
        metadata = pipeline.metadata(asset)
        assert list(metadata) == DAY[:8]
        for counts in metadata.values():
            assert isinstance(counts["dagster/partition_row_count"], int)
            own = [] if asset.endswith("_pages") else ["received", "inserted", "updated", "quarantined"]
            of_run = ["run_hours", "run_requests", "run_pages_read", "run_seconds", "run_sync_id"]
            assert list(counts) == ["dagster/partition_row_count", *own, *of_run]
        assert set(pipeline.status(asset, DAY[:8]).values()) == {"MATERIALIZED"}


@pytest.mark.any_postgres
def test_a_range_run_again_counts_rows_that_it_left_alone(pipeline: Pipeline) -> None:
    pipeline.run(MORNING)
    first = pipeline.metadata("messages")

    pipeline.run(MORNING)

    again = pipeline.metadata("messages")
    counts = ("dagster/partition_row_count", "received")
    assert [[it[name] for name in counts] for it in again.values()] == [
        [it[name] for name in counts] for it in first.values()
    ]
    assert {it["inserted"] for it in again.values()} == {0}
    assert max(int(str(it["inserted"])) for it in first.values()) > 0


@pytest.mark.any_postgres
@pytest.mark.parametrize(
    "assets",
    [
        ("chat_pages",),
        ("chat_pages", "chats"),
        ("chat_pages", "departments", "agents"),
        ("contact_pages",),
        ("contact_pages", "contacts"),
        ("chat_pages", "contact_pages", "contacts"),
    ],
    ids=" ".join,
)
def test_a_subset_credits_exactly_what_is_selected(pipeline: Pipeline, assets: tuple[str, ...]) -> None:
    result = pipeline.run(MORNING, assets=assets)

    assert result.success
    assert credited(pipeline) == set(assets)


@pytest.mark.any_postgres
def test_pages_alone_are_stored_and_nothing_is_loaded(pipeline: Pipeline) -> None:
    result = pipeline.run(MORNING, assets=["chat_pages", "contact_pages"])

    assert result.success
    assert pipeline.query("select count(*) > 0 from api_response_logs") == [(True,)]
    for table in TABLES:
        assert pipeline.query(f"table {table}") == []


@pytest.mark.any_postgres
@pytest.mark.parametrize(
    ("pages", "assets", "loaded"),
    [("chat_pages", ("messages",), "messages"), ("contact_pages", ("contacts",), "contacts")],
)
def test_tables_without_pages_are_loaded_from_the_stored_ones_without_a_request(
    pipeline: Pipeline, pages: str, assets: tuple[str, ...], loaded: str
) -> None:
    pipeline.run(MORNING, assets=[pages])
    asked = len(pipeline.simulator.requests)

    result = pipeline.run(MORNING, assets=assets)

    assert result.success
    assert len(pipeline.simulator.requests) == asked
    assert credited(pipeline) == {pages, *assets}
    assert len(pipeline.query(f"table {loaded}")) > 0


def test_a_load_from_stored_pages_gives_the_same_rows_as_a_load_from_the_api(
    pipeline: Pipeline,
) -> None:
    pipeline.run(MORNING, assets=["chat_pages"])
    pipeline.run(MORNING, assets=["departments", "agents", "chats", "messages"])
    replayed = natural_rows(pipeline)

    pipeline.run(MORNING)

    assert natural_rows(pipeline) == replayed
    assert len(replayed) > 10


def natural_rows(pipeline: Pipeline) -> list[tuple[object, ...]]:
    return pipeline.query(
        "select chats.b2chat_id, chats.status, chats.tags, chats.sync_version, messages.timestamp, messages.text"
        " from chats left join messages on messages.chat_id = chats.id order by 1, messages.timestamp, messages.id"
    )


@pytest.mark.any_postgres
def test_tables_without_any_stored_pages_fail_and_say_what_to_materialize(pipeline: Pipeline) -> None:
    result = pipeline.run([DAY[10]], assets=["messages"])

    assert not result.success
    sentence = (
        f"1 of 1 hours of /chats/export are not loaded: {DAY[10]}. no stored pages cover this hour: materialize"
        " chat_pages together with the tables."
    )
    assert failure_sentences(result) == [sentence]
    assert pipeline.status("messages", [DAY[10]]) == {DAY[10]: "FAILED"}


@pytest.mark.any_postgres
def test_hours_with_stored_pages_are_loaded_beside_hours_without(pipeline: Pipeline) -> None:
    pipeline.run(DAY[9:11], assets=["chat_pages"])

    result = pipeline.run(DAY[9:12], assets=["chats"])

    assert not result.success
    assert pipeline.status("chats", DAY[9:12]) == {
        DAY[9]: "MATERIALIZED",
        DAY[10]: "MATERIALIZED",
        DAY[11]: "FAILED",
    }


@pytest.mark.any_postgres
@pytest.mark.parametrize(
    ("tags", "operation", "request_class"),
    [
        ({}, "manual", "backfill"),
        ({"dagster/schedule_name": "hourly_sync"}, "incremental", "hourly"),
        ({"dagster/sensor_name": "sweeper"}, "incremental", "backfill"),
        ({"dagster/backfill": "abcdefgh"}, "manual", "backfill"),
    ],
    ids=["by hand", "schedule", "sensor", "backfill"],
)
def test_the_books_say_who_asked(pipeline: Pipeline, tags: dict[str, str], operation: str, request_class: str) -> None:
    result = pipeline.run([DAY[10]], tags=tags)

    assert pipeline.query("select distinct operation, user_id, status from sync_logs") == [
        (operation, "system", "success")
    ]
    assert pipeline.query("select distinct metadata ->> 'run_id' from sync_logs") == [(result.run_id,)]
    counted = pipeline.query("select hourly > 0, reread > 0, backfill > 0 from ops.request_budget")
    assert counted == [(request_class == "hourly", False, request_class == "backfill")]


@pytest.mark.any_postgres
def test_the_run_tag_names_the_user_in_the_books(pipeline: Pipeline) -> None:
    result = pipeline.run([DAY[10]], tags={"b2chat/user": ADMIN.upper()})

    assert result.success
    assert pipeline.query("select distinct users.email from sync_logs join users on users.id = user_id") == [(ADMIN,)]


def test_three_days_hold_what_the_account_holds(pipeline: Pipeline) -> None:
    days = [FIRST_DAY + timedelta(days=n) for n in range(3)]
    for day in days:
        assert pipeline.run(hours_of(day)).success

    account = expected(BUSY_WORLD, NOW, first=FIRST_DAY, last=days[-1])
    assert dict(pipeline.query("select b2chat_id, status::text from chats")) == {
        key: chat.status for key, chat in account.chats.items()
    }
    assert pipeline.query("select count(*) from messages") == [(sum(map(len, account.messages.values())),)]
    assert {name for (name,) in pipeline.query("select username from agents")} == account.agents.keys()
    assert {name for (name,) in pipeline.query("select name from departments")} == account.departments
    assert date(2025, 3, 5) == days[-1]
