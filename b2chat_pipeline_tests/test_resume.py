"""A read that was cut off goes on from its checkpoint; one that failed leaves what it saw."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from b2chat_pipeline.b2chat.contract import CHATS
from b2chat_pipeline.b2chat.errors import BudgetExhausted, ContractError, TransientError
from b2chat_pipeline.simulator import Fault, World, rewritten_body
from b2chat_pipeline.simulator.expectation import expected
from b2chat_pipeline.warehouse.budget import Limits
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.warehouse.reads import lease, stored_pages
from b2chat_pipeline.windows import AccountClock, Window
from b2chat_pipeline_tests.loading_support import Pipeline, hours_between, rows, running_pipeline, stored

FIRST, LAST = date(2025, 3, 3), date(2025, 3, 5)
NOW = datetime(2025, 3, 12, 18, tzinfo=UTC)
# Three days make four pages.
WORLD = World(first_day=FIRST, zone=ZoneInfo("America/Bogota"), chats_per_day=220, messages_per_chat=2, contacts=30)
# One day's chats need several pages.
BUSY = World(first_day=FIRST, zone=WORLD.zone, chats_per_day=500, messages_per_chat=1, contacts=20)
HOURS = hours_between(AccountClock(WORLD.zone), FIRST, LAST, until=NOW)
PAGES = 4
NESTED = b'{"chats":[%s]}' % (b"[" * 5000 + b"]" * 5000)


def cut_off(*, after: int) -> Fault:
    """Trouble that outlasts all attempts of one request."""
    return Fault(kind="status", status=503, after=after, times=6)


def offsets(pipeline: Pipeline) -> list[int]:
    """Where the chats were asked for, of the requests that brought a page."""
    return [
        int(str(request.params["offset"]))
        for request in pipeline.simulator.requests
        if request.path == CHATS and request.status == 200
    ]


def checkpoints(url: str) -> list[tuple[object, ...]]:
    with connect(url, purpose="compare") as connection:
        return connection.execute(
            "select sync_id, status, processed_records from sync_checkpoints order by created_at, id"
        ).fetchall()


@pytest.mark.parametrize("page", range(1, PAGES))
def test_a_read_cut_off_after_any_page_goes_on_behind_it_under_its_own_id(page: int, database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        pipeline.simulator.faults.add(cut_off(after=page))
        cut = pipeline.load(CHATS, HOURS, load=False)
        before = offsets(pipeline)
        pipeline.simulator.clock.advance(timedelta(hours=5, minutes=59))

        rest = pipeline.load(CHATS, HOURS, load=False)

        after = offsets(pipeline)[len(before) :]
    assert {type(error) for error in cut.failed.values()} <= {TransientError}
    assert cut.failed
    assert rest.status == "success"
    assert min(after) == page * 199
    assert len(before) + len(after) == PAGES
    assert [status for _, status, _ in checkpoints(database_url)] == ["completed"]
    with connect(database_url, purpose="compare") as connection:
        read_by = rows(connection, "select distinct sync_id from ops.window_reads")
        assert len(list(stored_pages(connection, cut.sync_id, CHATS))) == PAGES
    assert read_by == [{"sync_id": cut.sync_id}]


def test_after_an_interruption_the_tables_are_as_if_there_had_been_none(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        pipeline.simulator.faults.add(cut_off(after=2))
        cut = pipeline.load(CHATS, HOURS)
        assert cut.status == "partial"

        assert pipeline.load(CHATS, HOURS).status == "success"

    account, held = expected(WORLD, NOW, first=FIRST, last=LAST), stored(database_url)
    assert (held.chats, held.messages, held.agents) == (account.chats, account.messages, account.agents)


def test_a_read_whose_owner_lives_is_not_taken_over(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        pipeline.simulator.faults.add(cut_off(after=2))
        cut = pipeline.load(CHATS, HOURS, load=False)
        with connect(database_url, purpose="owner") as owner:
            ((checkpoint,),) = owner.execute("select id from sync_checkpoints").fetchall()
            assert lease(owner, checkpoint)

            other = pipeline.load(CHATS, HOURS, load=False)

    assert offsets(pipeline)[2:] == [0, 199, 398, 597]
    assert [(sync, status) for sync, status, _ in checkpoints(database_url)] == [
        (cut.sync_id, "active"),
        (other.sync_id, "completed"),
    ]


def test_a_read_older_than_six_hours_starts_afresh(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        pipeline.simulator.faults.add(cut_off(after=2))
        pipeline.load(CHATS, HOURS, load=False)
        pipeline.simulator.clock.advance(timedelta(hours=6, seconds=1))

        assert pipeline.load(CHATS, HOURS, load=False).status == "success"

    assert offsets(pipeline)[2:] == [0, 199, 398, 597]


def test_a_read_of_other_days_is_not_continued(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        pipeline.simulator.faults.add(cut_off(after=1))
        pipeline.load(CHATS, HOURS, load=False)

        pipeline.load(CHATS, HOURS[:24], load=False)

    assert offsets(pipeline)[1:] == [0, 199]


def test_a_read_of_the_running_day_is_not_continued_for_an_hour_that_had_not_ended(database_url: str) -> None:
    now = datetime(2025, 3, 4, 23, 10, tzinfo=UTC)
    with running_pipeline(database_url, BUSY, now=now) as pipeline:
        today = hours_between(pipeline.clock, date(2025, 3, 4), date(2025, 3, 4), until=now)
        pipeline.simulator.faults.add(cut_off(after=1))
        pipeline.load(CHATS, today, load=False)
        pipeline.simulator.clock.advance(timedelta(hours=1))
        ended = Window(today[-1].end, today[-1].end + timedelta(hours=1))

        assert pipeline.load(CHATS, [*today, ended], load=False).status == "success"

    assert offsets(pipeline)[:2] == [0, 0]


def test_when_the_budget_is_used_up_the_read_goes_on_another_day(database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        # Sixty of a hundred for backfills: here three, of which one brings the token.
        short = Pipeline(pipeline.simulator, pipeline.url, pipeline.clock, Limits(0, 5))
        cut = short.load(CHATS, HOURS, load=False)
        pipeline.simulator.clock.advance(timedelta(hours=5))

        assert pipeline.load(CHATS, HOURS, load=False).status == "success"

    assert cut.status == "partial"
    assert {type(error) for error in cut.failed.values()} == {BudgetExhausted}
    assert offsets(pipeline) == [0, 199, 398, 597]


@pytest.mark.parametrize(
    "body",
    [
        *(b"<html>maintenance</html>", b'{"message":"error"}', b'{"chats":null,"x":"\\u0000"}', b'{"chats":NaN}'),
        *(b"\xff", NESTED),
    ],
)
def test_a_failed_read_leaves_what_it_was_answered(body: bytes, database_url: str) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        pipeline.simulator.faults.add(Fault(kind="total", after=0, value=7), rewritten_body(lambda _: body))
        outcome = pipeline.load(CHATS, HOURS)

    assert outcome.status == "error"
    assert {type(error) for error in outcome.failed.values()} == {ContractError}
    assert checkpoints(database_url) == [(outcome.sync_id, "failed", 0)]
    with connect(database_url, purpose="compare") as connection:
        (evidence,) = stored_pages(connection, outcome.sync_id, CHATS)
    assert evidence.body == body.decode("utf-8", "replace").encode()


def test_evidence_of_an_earlier_failure_does_not_stop_a_read_from_being_continued(database_url: str) -> None:
    """Both reads of one run, of past days and of the running day, keep their pages under the run's id."""
    now = datetime(2025, 3, 5, 22, tzinfo=UTC)
    with running_pipeline(database_url, BUSY, now=now) as pipeline:
        hours = hours_between(pipeline.clock, FIRST, LAST, until=now)
        today = hours_between(pipeline.clock, LAST, LAST, until=now)
        pipeline.simulator.faults.add(Fault(kind="html"), cut_off(after=2))
        pipeline.load(CHATS, hours, load=False)

        again = pipeline.load(CHATS, today)

    assert again.status == "success"
    assert len(stored(database_url).chats) == len(expected(BUSY, now, first=LAST, last=LAST).chats)


@pytest.mark.parametrize(
    ("event", "refused"),
    [("update on sync_checkpoints", "new.status = 'failed'"), ("insert on api_response_logs", "new.record_count = 0")],
)
def test_what_the_source_did_is_told_although_the_database_takes_nothing_down_of_it(
    event: str, refused: str, database_url: str
) -> None:
    with running_pipeline(database_url, WORLD, now=NOW) as pipeline:
        with connect(database_url, purpose="refuse") as connection:
            connection.execute(
                f"""
                create function refuse() returns trigger language plpgsql as
                $$ begin raise exception 'no room' using errcode = 'disk_full'; end $$;
                create trigger refuse before {event} for each row when ({refused}) execute function refuse();
                """.encode()
            )
        pipeline.simulator.faults.add(Fault(kind="html"))
        outcome = pipeline.load(CHATS, HOURS)

    assert {type(error) for error in outcome.failed.values()} == {ContractError}
