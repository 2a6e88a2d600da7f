"""`b2chat score`: what it says, what it refuses, and that nothing personal leaves or is told."""

import os
import re
import shlex
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from b2chat_pipeline.analysis.eligibility import MetricsMissingError
from b2chat_pipeline.analysis.label_file import COLUMNS
from b2chat_pipeline.analysis.ledger import ScoringBusyError, scoring_alone
from b2chat_pipeline.analysis.service import ServiceSettingsError
from b2chat_pipeline.analysis.terms import TermsMissingError
from b2chat_pipeline.cli import cli
from b2chat_pipeline.commands.demo import configuration_of_the_demo
from b2chat_pipeline.commands.score import Days, check, preview, score, score_in_batches
from b2chat_pipeline.operations.applying import Account, apply
from b2chat_pipeline.operations.configuration import parse
from b2chat_pipeline.settings import SettingsError
from b2chat_pipeline.simulator import Clock, Simulator
from b2chat_pipeline.warehouse.accounts import SYSTEM_USER
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline_tests.dagster_support import account_environment
from b2chat_pipeline_tests.scoring_support import CLOCK, KEY, NOW, Bench, Scripted, error, model, token_count
from b2chat_pipeline_tests.simulator_support import SMALL

pytestmark = pytest.mark.any_postgres

PAGE = (Path(__file__).parents[1] / "docs" / "scoring.md").read_text()
SPAN = Days("2025-03-01", "2025-03-10")


@pytest.fixture(autouse=True)
def environment(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = account_environment("http://127.0.0.1:1", bench.url)
    settings |= {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": bench.server.url}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


def test_a_summary_says_what_became_of_every_chat(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.use(3)
    bench.connection.execute("update messages set superseded_at = timestamp where chat_id = 'c2'")
    try:
        assert score(os.environ, SPAN, user=None)
    finally:
        bench.connection.execute("update messages set superseded_at = null")

    assert capsys.readouterr().out.splitlines() == [
        "Closed chats: 3, of these eligible: 2.",
        "          1  no messages told",
        "Asked some-model 2 times for $0.0080.",
        "          2  scored",
    ]


def test_a_dry_run_says_what_could_be_spent_and_sends_nothing(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.use(2)

    preview(os.environ, SPAN)

    told = capsys.readouterr().out
    assert "Would be sent to some-model: 2 chats, at most" in told
    assert bench.server.bodies == []
    assert bench.calls == []


def test_a_service_that_stops_is_told_in_one_sentence(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.server.will_answer(error(401, "authentication_error"))

    assert not score(os.environ, SPAN, user=None)

    assert "Stopped: the model's service refuses to work (status 401 authentication_error)" in capsys.readouterr().out


def test_only_one_process_scores_at_a_time(bench: Bench) -> None:
    with connect(bench.url, purpose="other") as other, scoring_alone(other, NOW), pytest.raises(ScoringBusyError):
        score(os.environ, SPAN, user=None)


def test_without_terms_nothing_is_sent(bench: Bench) -> None:
    bench.connection.execute("delete from ops.config_versions where kind = 'scoring'")

    with pytest.raises(TermsMissingError, match="b2chat config apply"):
        score(os.environ, SPAN, user=None)


@pytest.fixture
def without_metrics(bench: Bench) -> Iterator[None]:
    bench.connection.execute("alter view analytics.scoring_candidates rename to hidden")
    yield
    bench.connection.execute("alter view analytics.hidden rename to scoring_candidates")


@pytest.mark.usefixtures("without_metrics")
def test_without_metrics_the_sentence_says_how_to_build_them() -> None:
    with pytest.raises(MetricsMissingError, match="run `b2chat build`"):
        score(os.environ, SPAN, user=None)


def test_without_a_key_the_sentence_says_where_to_put_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")

    with pytest.raises(SettingsError, match="ANTHROPIC_API_KEY is not set"):
        score(os.environ, SPAN, user=None)


@pytest.mark.parametrize("url", ["http://example.test", "https://", "ftp://example.test"])
def test_what_people_wrote_is_sent_to_no_unsafe_address(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", url)

    with pytest.raises((ServiceSettingsError, SettingsError), match="ANTHROPIC_BASE_URL"):
        score(os.environ, SPAN, user=None)


def test_a_check_asks_for_the_model_and_has_a_request_counted_for_free(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.server.will_answer(model(), token_count(1742))

    assert check(os.environ)

    assert capsys.readouterr().out.splitlines() == [
        "some-model: active.",
        "The service takes our requests: 1,742 tokens without a conversation.",
    ]
    assert bench.server.paths == ["/v1/models/some-model", "/v1/messages/count_tokens"]
    assert bench.calls == []


@pytest.mark.parametrize("told", [model("retired"), model("deprecated", "2025-12-01T00:00:00Z")])
def test_a_model_that_is_or_is_about_to_be_retired_fails_the_check(
    bench: Bench, capsys: pytest.CaptureFixture[str], told: Scripted
) -> None:
    bench.server.will_answer(told, token_count(1742))

    assert not check(os.environ)

    assert "Name another model" in capsys.readouterr().out


def test_scores_of_the_demo_bear_the_name_of_its_judge_wherever_they_are_shown(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.use(2)
    account = Account(CLOCK, SYSTEM_USER, NOW)
    apply(bench.connection, parse(configuration_of_the_demo().encode()), account)
    with Simulator(SMALL, clock=Clock(NOW)) as simulator:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "demo")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", simulator.url)
        assert score(os.environ, SPAN, user=None)

    told = capsys.readouterr().out
    scores = "select analysis_data ->> 'model', analysis_data -> 'response' ->> 'model' from effectiveness_analysis"
    assert "Asked simulated-judge 2 times" in told
    assert bench.rows(scores) == [("simulated-judge", "simulated-judge")] * 2
    assert bench.rows("select distinct model from ops.analysis_calls") == [("simulated-judge",)]


def test_batches_are_waited_for_also_by_who_comes_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.use(3)
    apply(bench.connection, parse(configuration_of_the_demo().encode()), Account(CLOCK, SYSTEM_USER, NOW))
    with Simulator(SMALL, clock=Clock(NOW, speed=0)) as simulator:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "demo")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", simulator.url)
        preview(os.environ, SPAN, in_batches=True)
        with monkeypatch.context() as interrupted:
            interrupted.setattr("time.sleep", _interrupt)
            with pytest.raises(KeyboardInterrupt):
                score_in_batches(os.environ, SPAN, user=None)
        first = capsys.readouterr().out
        simulator.clock.advance(timedelta(minutes=1))

        assert score_in_batches(os.environ, SPAN, user=None)

    assert "3 chats, at most" in first
    assert "Sent to simulated-judge: 3 chats in 1 batches, for at most $" in first
    assert first.endswith("run this again to wait for them, or leave them to the sensor `scores`.\n")
    told = capsys.readouterr().out.splitlines()
    assert told[1:3] == [
        "Sent to simulated-judge: 0 chats in 0 batches, for at most $0.00.",
        "Judged already or waiting in a batch, not paid again: 3.",
    ]
    assert told[3].startswith("Collected 1 batches, for $")
    assert "          3  scored" in told
    assert bench.rows("select count(*) from effectiveness_analysis") == [(3,)]


def _interrupt(_seconds: float) -> None:
    raise KeyboardInterrupt


def test_every_command_and_query_of_the_page_works(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    commands = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]

    bench.server.will_answer(model(), token_count(1742))
    done = [page_command(command) for command in commands]

    assert [each.exit_code for each in done] == [0] * len(done), [each.output for each in done]
    assert "1.bc6094a4" in done.pop().output
    assert [each.output.splitlines()[0] for each in done] == [
        "some-model: active.",
        *["Closed chats: 0, of these eligible: 0."] * 3,
        ",".join(COLUMNS),
        "Labels in the file: 0, by 0 people.",
        "Closed chats: 0, of these eligible: 0.",
        "Closed chats: 0, of these eligible: 0.",
    ]
    for query in re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL):
        bench.rows(query)


def page_command(command: str) -> Result:
    """Run a line of the page; what it prints goes into a file where the line says so."""
    words, _, file = command.partition(" > ")
    done = CliRunner().invoke(cli, shlex.split(words.removeprefix("b2chat")))
    if file:
        Path(file).write_text(done.output)
    return done
