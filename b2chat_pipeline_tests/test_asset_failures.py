"""A run that goes wrong: good hours stay green, bad ones are named, once, in a sentence without a secret."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import dagster as dg
import psycopg
import pytest

from b2chat_pipeline.assets.sides import ASSETS
from b2chat_pipeline.simulator import Fault, dropped_record
from b2chat_pipeline.simulator.expectation import expected
from b2chat_pipeline_tests.dagster_support import (
    BUSY_WORLD,
    FIRST_DAY,
    NOW,
    Pipeline,
    failure_sentences,
    hours_of,
    running_pipeline,
)

pytestmark = pytest.mark.any_postgres

DAY = hours_of(FIRST_DAY)
MORNING = DAY[9:13]
SECRET = "hunter2-very-secret"

# One hour of chats that the database refuses, as it would where a disk or a constraint is in the way.
_REFUSE = """
    create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused'; end $$;
    create trigger refuse before insert or update on chats for each row
      when (date_trunc('hour', new.created_at at time zone 'America/Bogota') = timestamp '2025-03-03 11:00')
      execute function refuse();
"""


@pytest.fixture
def pipeline(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    with running_pipeline(database_url, monkeypatch) as running:
        yield running


def told_by_dagster(pipeline: Pipeline, result: dg.ExecuteInProcessResult) -> str:
    """Everything that is kept of a run in Dagster's own storage."""
    return "\n".join(map(repr, pipeline.instance.all_logs(result.run_id)))


def attempts(result: dg.ExecuteInProcessResult) -> list[str]:
    """The steps of a run, once per start or restart."""
    kinds = (dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_RESTARTED)
    return [str(event.step_key) for event in result.all_events if event.event_type in kinds]


def test_a_bad_hour_is_named_and_the_others_are_credited(pipeline: Pipeline) -> None:
    with psycopg.connect(pipeline.database_url) as connection:
        connection.execute(_REFUSE)

    result = pipeline.run(MORNING)

    assert not result.success
    (sentence,) = failure_sentences(result)
    assert sentence.startswith(f"1 of 4 hours of /chats/export are not loaded: {DAY[11]}. loading 2025-03-03T16:00")
    for asset in ("chat_pages", "departments", "agents", "chats", "messages"):
        assert pipeline.status(asset, MORNING) == {
            key: "FAILED" if key == DAY[11] else "MATERIALIZED" for key in MORNING
        }
    assert set(pipeline.status("contacts", MORNING).values()) == {"MATERIALIZED"}
    hours = "select distinct to_char(created_at at time zone 'America/Bogota', 'HH24') from chats order by 1"
    assert pipeline.query(hours) == [("09",), ("10",), ("12",)]


def test_the_counts_of_credited_hours_are_those_of_a_green_run(pipeline: Pipeline) -> None:
    with psycopg.connect(pipeline.database_url) as connection:
        connection.execute(_REFUSE)
    pipeline.run(MORNING)
    credited = pipeline.metadata("chats")

    rows = pipeline.query(
        "select to_char(created_at at time zone 'America/Bogota', 'YYYY-MM-DD-HH24:00'), count(*) from chats group by 1"
    )
    assert {key: it["dagster/partition_row_count"] for key, it in credited.items()} == dict(rows)


def test_a_bad_hour_asked_for_again_is_mended(pipeline: Pipeline) -> None:
    with psycopg.connect(pipeline.database_url) as connection:
        connection.execute(_REFUSE)
    pipeline.run(MORNING)
    with psycopg.connect(pipeline.database_url) as connection:
        connection.execute("drop trigger refuse on chats")

    result = pipeline.run([DAY[11]])

    assert result.success
    assert set(pipeline.status("chats", MORNING).values()) == {"MATERIALIZED"}
    assert pipeline.query(
        "select status, count(*) from sync_logs where entity_type = 'chats' group by 1 order by 1"
    ) == [
        ("partial", 1),
        ("success", 1),
    ]


def test_an_api_that_is_down_is_one_failure_per_side(pipeline: Pipeline) -> None:
    pipeline.simulator.faults.add(Fault(kind="status", path="*", status=503, headers={"Retry-After": "0"}, times=None))

    result = pipeline.run(MORNING)

    assert attempts(result) == ["chats_side", "contacts_side"]
    chats, contacts = sorted(failure_sentences(result))
    assert chats.startswith(f"4 of 4 hours of /chats/export are not loaded: {', '.join(MORNING)}. POST /oauth/token")
    assert contacts.startswith("4 of 4 hours of /contacts/export are not loaded")
    assert chats.count("status 503") == 1
    assert {status for asset in ASSETS for status in pipeline.status(asset, MORNING).values()} == {"FAILED"}


def test_trouble_at_one_endpoint_leaves_the_other_alone(pipeline: Pipeline) -> None:
    pipeline.simulator.faults.add(Fault(kind="status", path="/contacts/export", status=404, times=None))

    result = pipeline.run(MORNING)

    assert len(failure_sentences(result)) == 1
    assert set(pipeline.status("messages", MORNING).values()) == {"MATERIALIZED"}
    assert set(pipeline.status("contacts", MORNING).values()) == {"FAILED"}


@pytest.mark.parametrize("status", [401, 403, 404, 422])
def test_a_permanent_refusal_is_asked_for_once(pipeline: Pipeline, status: int) -> None:
    pipeline.simulator.faults.add(Fault(kind="status", status=status, times=None))

    result = pipeline.run(MORNING, assets=["chat_pages", "chats"])

    # After a 401 the client asks once more, with a new token.
    asked = [request for request in pipeline.simulator.requests if request.path == "/chats/export"]
    assert len(asked) == (2 if status == 401 else 1)
    assert attempts(result) == ["chats_side"]
    assert len(pipeline.instance.get_runs()) == 1


WRONG_SETTINGS = [
    ("B2CHAT_PASSWORD", None, "B2CHAT_PASSWORD is not set: "),
    ("B2CHAT_USERNAME", " ", "B2CHAT_USERNAME is not set: "),
    ("B2CHAT_API_URL", "api.b2chat.io", "B2CHAT_API_URL is 'api.b2chat.io', which is no address: "),
    ("B2CHAT_API_URL", "http://api.example.test", "B2Chat request: "),
    ("B2CHAT_REQUESTS_PER_SECOND", "fast", "B2CHAT_REQUESTS_PER_SECOND is 'fast', which is no number"),
    ("B2CHAT_REQUESTS_PER_DAY", "-1", "B2CHAT_REQUESTS_PER_DAY is '-1', which is no number"),
    ("B2CHAT_ADMIN_EMAILS", "nobody", "B2CHAT_ADMIN_EMAILS holds something that is no e-mail address"),
    ("B2CHAT_TIMEZONE", None, "B2CHAT_TIMEZONE is not set: "),
    ("B2CHAT_TIMEZONE", "Mars/Base", "B2CHAT_TIMEZONE is 'Mars/Base', which is no time zone: "),
    ("B2CHAT_START_DATE", "someday", "B2CHAT_START_DATE is 'someday', which is no day: "),
    ("B2CHAT_DATABASE_URL", f"mysql://u:{SECRET}@h/d", "B2CHAT_DATABASE_URL is no PostgreSQL URL: "),
    ("B2CHAT_DATABASE_URL", f"postgresql://u:{SECRET}@127.0.0.1:1/d", "the warehouse does not answer: "),
]


@pytest.mark.parametrize(("name", "value", "beginning"), WRONG_SETTINGS)
def test_a_setting_that_is_missing_or_wrong_is_the_runs_one_sentence(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, name: str, value: str | None, beginning: str
) -> None:
    monkeypatch.setenv("B2CHAT_PASSWORD", SECRET)
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)

    result = pipeline.run(MORNING, assets=["chat_pages", "chats"])

    (sentence,) = failure_sentences(result)
    assert_is_one_sentence(sentence, beginning)
    assert_nothing_else_is_told(pipeline, result)
    assert pipeline.simulator.requests == []


def assert_is_one_sentence(sentence: str, beginning: str) -> None:
    assert sentence.startswith(beginning)
    assert sentence.endswith(".")
    assert "\n" not in sentence


def assert_nothing_else_is_told(pipeline: Pipeline, result: dg.ExecuteInProcessResult) -> None:
    told = told_by_dagster(pipeline, result)
    assert SECRET not in told
    (record,) = pipeline.instance.all_logs(result.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    failure = record.get_dagster_event().step_failure_data
    assert failure.error is not None
    # The trace is that of the one line which turns an outcome into a failure, with nothing chained to it.
    assert (failure.error.cause, failure.error.context) == (None, None)


def test_a_database_without_tables_says_how_to_make_them(
    pipeline: Pipeline, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("B2CHAT_DATABASE_URL", empty_database_url)

    result = pipeline.run(MORNING)

    assert set(failure_sentences(result)) == {"the warehouse has no tables yet: run `b2chat db upgrade`."}


def test_what_nobody_foresaw_is_one_sentence_that_quotes_no_record(pipeline: Pipeline) -> None:
    with psycopg.connect(pipeline.database_url) as connection:
        connection.execute("alter table api_response_logs add check (record_count < 0)")

    result = pipeline.run(MORNING)

    assert set(failure_sentences(result)) == {
        "the run ended with an unforeseen CheckViolation (23514): see stack_trace in error_logs, report it."
    }
    assert "Failing row" not in told_by_dagster(pipeline, result)
    assert pipeline.query("select distinct status from sync_logs") == [("error",)]


def test_another_zone_than_the_tables_were_loaded_in_is_refused_before_any_request(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.run([DAY[10]])
    asked = len(pipeline.simulator.requests)
    monkeypatch.setenv("B2CHAT_TIMEZONE", "America/Santiago")

    result = pipeline.run([DAY[10]])

    refusal = (
        "B2CHAT_TIMEZONE is America/Santiago, but the tables were loaded in America/Bogota: set it back, or use an"
        " empty database."
    )
    assert set(failure_sentences(result)) == {refusal}
    assert len(pipeline.simulator.requests) == asked


def test_a_user_whom_nobody_knows_is_refused_without_repeating_the_address(pipeline: Pipeline) -> None:
    result = pipeline.run([DAY[10]], tags={"b2chat/user": "stranger@example.test"}, assets=["chat_pages"])

    (sentence,) = failure_sentences(result)
    assert sentence == (
        "--user, or the run tag b2chat/user, names nobody in users: add the address to B2CHAT_ADMIN_EMAILS and run"
        " again."
    )
    assert pipeline.simulator.requests == []


def test_a_list_that_shifts_while_it_is_read_still_loads_every_hour(pipeline: Pipeline) -> None:
    pipeline.simulator.faults.add(dropped_record(index=3, after=1))

    assert pipeline.run(DAY).success


def test_two_runs_of_the_same_hours_at_once_are_both_green_and_load_each_row_once(pipeline: Pipeline) -> None:
    with dg.DagsterInstance.ephemeral() as other, ThreadPoolExecutor(2) as threads:
        beside = replace(pipeline, instance=other)
        results = list(threads.map(lambda it: it.run(DAY), [pipeline, beside]))

    assert [result.success for result in results] == [True, True]
    day = expected(BUSY_WORLD, NOW, first=FIRST_DAY, last=FIRST_DAY)
    assert pipeline.query("select count(*), count(distinct b2chat_id) from chats") == [(len(day.chats),) * 2]
    assert pipeline.query("select count(*) from messages") == [(sum(map(len, day.messages.values())),)]
    assert pipeline.query("select distinct status from sync_logs") == [("success",)]
