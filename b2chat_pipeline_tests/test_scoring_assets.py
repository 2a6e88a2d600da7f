"""Scoring by Dagster: what the schedule and the sensor ask for, and what runs of the two assets do and show."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache

import dagster as dg
import pytest

from b2chat_pipeline.assets.scoring import ANALYSIS, BATCHES
from b2chat_pipeline.automation.scoring import COLLECTING, PAUSE, SCORING, collecting_sensor
from b2chat_pipeline.definitions import build_definitions
from b2chat_pipeline.partitions import RANGE_END, RANGE_START, range_tags
from b2chat_pipeline.resources import JudgeResource, WarehouseResource, utc_now
from b2chat_pipeline_tests.batch_support import BatchBench, service_at
from b2chat_pipeline_tests.dagster_support import account_environment, failure_sentences
from b2chat_pipeline_tests.scoring_support import KEY, Bench, Scripted, error, model

pytestmark = pytest.mark.any_postgres

# The usual chats of the bench were closed then, at noon; the books are kept by the real clock.
DAY = date(2025, 3, 3)
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
# A minute past the schedule's tick, two days after that day.
TICK = datetime.fromisoformat("2025-03-05T05:23:00-05:00")


@cache
def definitions() -> dg.Definitions:
    return build_definitions(account_environment("http://127.0.0.1:1", "postgresql://u@127.0.0.1:1/d"))


@dataclass
class Scoring:
    """The project's scoring on an instance, over a bench whose service has batches."""

    instance: dg.DagsterInstance
    bb: BatchBench
    done: dg.ExecuteInProcessResult = field(init=False)

    def run(self, job: str, *, first: date = DAY, last: date = DAY, tags: Mapping[str, str] | None = None) -> list[str]:
        """One run over some days; the sentences of its failure, where it failed."""
        self.done = (
            definitions()
            .resolve_job_def(job)
            .execute_in_process(
                instance=self.instance,
                tags={**range_tags(first.isoformat(), last.isoformat()), **(tags or {})},
                run_config=QUIET,
                raise_on_error=False,
            )
        )
        return failure_sentences(self.done)

    @property
    def checked(self) -> dg.AssetCheckEvaluation:
        """What the check of the last run told."""
        [told] = self.done.get_asset_check_evaluations()
        return told

    def shown(self, asset: str) -> dict[str, dict[str, object]]:
        """The metadata of an asset's newest materializations, by day."""
        records = self.instance.fetch_materializations(dg.AssetKey(asset), limit=50, ascending=True).records
        told = (record.asset_materialization for record in records)
        return {
            it.partition: {name: value.value for name, value in it.metadata.items()}
            for it in told
            if it is not None and it.partition is not None
        }

    def tick(self, at: datetime = TICK) -> list[tuple[str, str]] | str:
        """The ranges of days that the schedule asks for, or why it skips."""
        repository = definitions().get_repository_def()
        with (
            dg.DagsterInstance.local_temp() as instance,
            dg.build_schedule_context(
                instance, scheduled_execution_time=at, repository_def=repository, resources=_resources()
            ) as context,
        ):
            return _ranges(repository.get_schedule_def(SCORING).evaluate_tick(context))

    def look(self, at: datetime | None = None) -> list[tuple[str, str]] | str:
        """The ranges of days that the sensor asks for, or why it skips."""
        sensor = collecting_sensor(clock=lambda: at or utc_now())
        with dg.build_sensor_context(self.instance, resources=_resources()) as context:
            return _ranges(sensor.evaluate_tick(context))


def _resources() -> dict[str, object]:
    return {"warehouse": WarehouseResource(), "judge": JudgeResource()}


def _ranges(told: object) -> list[tuple[str, str]] | str:
    requests = getattr(told, "run_requests", None)
    if not requests:
        return str(getattr(told, "skip_message", ""))
    return [(it.tags[RANGE_START], it.tags[RANGE_END]) for it in requests]


@pytest.fixture
def scoring(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scoring]:
    settings = account_environment("http://127.0.0.1:1", bench.url)
    settings |= {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": bench.server.url}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with service_at(bench.server.url) as service, dg.DagsterInstance.ephemeral() as instance:
        yield Scoring(instance, BatchBench.of(bench, service))


def test_they_are_on_from_the_first_start_and_say_what_they_do_and_whose_they_are() -> None:
    repository = definitions().get_repository_def()
    schedule, sensor = repository.get_schedule_def(SCORING), repository.get_sensor_def(COLLECTING)

    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert "newly seen closings" in (schedule.description or "")
    assert sensor.owners == ["team:data-engineering"]


def test_a_day_is_sent_waited_for_collected_and_shown_with_the_name_of_its_judge(scoring: Scoring) -> None:
    bb = scoring.bb
    bb.bench.use(2)

    assert scoring.tick() == [("2025-03-03", "2025-03-03")]
    assert scoring.run(SCORING, tags={"dagster/schedule_name": SCORING}) == []
    assert scoring.tick() == "No day has conversations that were newly closed."
    not_yet = scoring.look()
    scoring.run(COLLECTING)
    waiting = scoring.shown(ANALYSIS)["2025-03-03"]
    bb.batches.have_ended = True
    ended = scoring.look()
    assert scoring.run(COLLECTING) == []

    sent, day = scoring.shown(BATCHES)["2025-03-03"], scoring.shown(ANALYSIS)["2025-03-03"]
    assert (sent["chats"], sent["eligible"], sent["sent"], sent["stopped"]) == (2, 2, 2, "no")
    assert not_yet == "1 batches have not ended."
    assert (waiting["scored"], waiting["waiting"], waiting["models"]) == (0, 2, "none")
    assert ended == [("2025-03-03", "2025-03-03")]
    assert (day["scored"], day["waiting"], day["models"]) == (2, 0, "some-model")
    assert (day["run_batches"], day["run_outcomes"]) == (1, "2 scored")
    assert scoring.look() == "No batch is waited for."


def test_a_day_is_due_again_when_a_closing_of_it_is_newly_seen_and_when_an_item_came_to_nothing(
    scoring: Scoring,
) -> None:
    bb = scoring.bb
    scoring.run(SCORING)
    at_rest = scoring.tick()
    bb.bench.connection.execute("update chats set is_deleted = false, last_sync_at = now() where id = 'c1'")
    changed = scoring.tick()
    scoring.run(SCORING)
    bb.batches.have_ended = True
    bb.batches.judge = lambda _: {"type": "expired"}
    scoring.run(COLLECTING)
    expired = scoring.tick()
    far_later = scoring.tick(TICK + timedelta(days=34))

    assert at_rest == "No day has conversations that were newly closed."
    assert changed == expired == [("2025-03-03", "2025-03-03")]
    assert scoring.shown(BATCHES)["2025-03-03"]["sent"] == 1
    assert far_later == at_rest


def test_what_a_cap_held_back_is_due_the_next_day_and_the_run_is_no_failure(scoring: Scoring) -> None:
    scoring.bb.bench.configure(day="0.001", month="1")

    assert scoring.run(SCORING) == []

    assert str(scoring.shown(BATCHES)["2025-03-03"]["stopped"]).startswith("the cap of the day is reached")
    assert scoring.tick() == [("2025-03-03", "2025-03-03")]


def test_days_that_nobody_looked_at_are_made_up_for_but_not_those_before_the_first(scoring: Scoring) -> None:
    bench = scoring.bb.bench
    bench.connection.execute("insert into ops.analysis_days values ('2025-03-02', '2025-03-04')")
    nine_days_later = scoring.tick(TICK + timedelta(days=9))
    bench.connection.execute("update ops.analysis_days set day = '2025-03-04'")

    assert nine_days_later == [("2025-03-03", "2025-03-03")]
    assert scoring.tick(TICK + timedelta(days=9)) == "No day has conversations that were newly closed."


def test_without_a_key_they_skip_with_a_sentence_and_a_run_by_hand_fails_with_it(
    scoring: Scoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")

    told = [scoring.tick(), scoring.look(), *scoring.run(SCORING)]

    assert {sentence[:64] for sentence in map(str, told)} == {
        "ANTHROPIC_API_KEY is not set: put it into .env (see .env.example)"[:64]
    }
    assert len(told) == 3


def test_without_terms_the_schedule_says_what_to_configure(scoring: Scoring) -> None:
    scoring.bb.bench.connection.execute("delete from ops.config_versions where kind = 'scoring'")

    assert "b2chat config apply" in str(scoring.tick())


def test_a_service_that_refuses_fails_the_run_with_one_sentence(scoring: Scoring) -> None:
    scoring.bb.bench.server.will_answer(error(401, "authentication_error"))

    [sentence] = scoring.run(SCORING)

    assert sentence.startswith("the model's service refuses to work (status 401")


def test_scores_that_could_not_be_collected_are_asked_for_again_after_a_pause(scoring: Scoring) -> None:
    scoring.run(SCORING)
    scoring.bb.batches.have_ended = True
    scoring.bb.bench.server.will_answer(error(401, "authentication_error"))

    [sentence] = scoring.run(COLLECTING)

    assert "refuses to work" in sentence
    assert "they are again after a pause" in str(scoring.look())
    assert scoring.look(utc_now() + PAUSE) == [("2025-03-03", "2025-03-03")]


CHECKED = [
    (model(), True, "some-model: active."),
    (model("deprecated", "2025-06-01T00:00:00Z"), False, "retires on 2025-06-01. Name another model"),
    (error(404, "not_found_error"), False, "some-model could not be looked up"),
]


@pytest.mark.parametrize(("told", "passed", "sentence"), CHECKED, ids=["active", "retires", "unknown"])
def test_the_configured_model_is_looked_up(scoring: Scoring, told: Scripted, passed: bool, sentence: str) -> None:  # noqa: FBT001
    scoring.bb.bench.use(0)
    scoring.bb.bench.server.will_answer(told)
    scoring.run(SCORING)

    assert (scoring.checked.passed, scoring.checked.severity) == (passed, dg.AssetCheckSeverity.WARN)
    assert sentence in str(scoring.checked.description)
