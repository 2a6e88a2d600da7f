"""A prompt or model on trial: scored apart, compared on labelled chats, promoted only where it does not lose."""

import json
import math
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from b2chat_pipeline.analysis import prompts
from b2chat_pipeline.analysis.comparing import Judged, compare, objection, weighted_kappa
from b2chat_pipeline.analysis.promotion import NotPromotedError
from b2chat_pipeline.analysis.prompts import PromptError, first_version
from b2chat_pipeline.analysis.rubric import NAMES, RUBRIC_VERSION
from b2chat_pipeline.analysis.terms import TermsMissingError
from b2chat_pipeline.cli import cli
from b2chat_pipeline_tests.dagster_support import account_environment
from b2chat_pipeline_tests.mart_reference.labels import weighted_kappa as by_definition
from b2chat_pipeline_tests.scoring_support import KEY, MODEL, Bench, judgement, message, with_criterion

pytestmark = pytest.mark.any_postgres

SCORES = "select count(*) from effectiveness_analysis"
TRIALS = "select count(*) from ops.analysis_trials"


def levels(number: int, shift: int = 0) -> dict[str, int]:
    return {name: (number * (place + 2) + shift) % 5 * 25 for place, name in enumerate(NAMES)}


def judged(chats: int, *, active_wrong: int = 0, trial_wrong: int = 0) -> list[Judged]:
    """Chats of which each judge gets the first so many wrong by a step or four."""
    return [
        Judged(levels(number), levels(number, number < active_wrong), levels(number, number < trial_wrong))
        for number in range(chats)
    ]


@pytest.mark.parametrize(
    ("chats", "missing", "told"),
    [
        (judged(49), 0, "only 49 labelled chats are scored by both judges, and 50 are needed"),
        (judged(50), 0, None),
        (judged(50), 3, "3 of 53 labelled chats that the active judge has scored lack a score"),
        (judged(57), 3, None),
        (judged(100, active_wrong=30, trial_wrong=30), 0, None),
        (judged(100, active_wrong=30), 0, None),
        (judged(100, trial_wrong=30), 0, "its weighted kappa may be lower by"),
        (judged(100, active_wrong=10, trial_wrong=12), 0, None),
    ],
)
def test_a_judge_is_promoted_only_where_it_does_not_lose(chats: list[Judged], missing: int, told: str | None) -> None:
    found = objection(compare(chats, missing))

    assert found is None if told is None else told in (found or "")


def test_a_judge_that_is_off_by_steps_but_in_order_is_stopped_by_its_error() -> None:
    ends = [0, 100]
    off = [
        Judged(
            dict.fromkeys(NAMES, ends[it % 2]),
            dict.fromkeys(NAMES, ends[it % 2]),
            {name: abs(ends[it % 2] - 25) if it % 4 == 0 else ends[it % 2] for name in NAMES},
        )
        for it in range(200)
    ]

    assert "its mean absolute error may be higher by" in (objection(compare(off, 0)) or "")


def test_the_comparison_of_the_same_chats_is_always_the_same() -> None:
    chats = judged(60, active_wrong=5, trial_wrong=9)

    assert compare(chats, 0) == compare(chats, 0)


@pytest.mark.parametrize("wrong", [0, 3, 20, 60])
def test_weighted_kappa_is_that_of_its_definition(wrong: int) -> None:
    labels = [levels(number)["ease"] for number in range(60)]
    scores = [levels(number, number < wrong)["ease"] for number in range(60)]

    wanted = by_definition(list(zip(scores, labels, strict=True)))
    assert wanted is not None
    assert math.isclose(weighted_kappa(labels, scores) or 0, wanted)


def test_weighted_kappa_is_what_hand_work_gives() -> None:
    # One of four chats is off by a step; of the sixteen pairs that chance makes, the squares add up to 20.
    assert weighted_kappa([0, 1, 2, 2], [0, 1, 2, 1]) == pytest.approx(1 - (1 / 4) / (20 / 16))


def test_where_neither_varies_there_is_no_kappa() -> None:
    assert weighted_kappa([50, 50], [50, 50]) is None


@pytest.fixture
def second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The version of a second prompt."""
    first = (prompts.FOLDER / "1.txt").read_text()
    (tmp_path / "1.txt").write_text(first)
    (tmp_path / "2.txt").write_text(f"Be strict. {first}")
    found = prompts.prompts(tmp_path)
    monkeypatch.setattr(prompts, "prompts", lambda: found)
    return list(found)[1]


@pytest.fixture
def labelled(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Three labelled chats, and the environment of the commands."""
    bench.use(3)
    settings = account_environment("http://127.0.0.1:1", bench.url)
    for name, value in (settings | {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": bench.server.url}).items():
        monkeypatch.setenv(name, value)
    bench.connection.execute(
        "insert into ops.analysis_labels (chat_id, labeller, rubric_version, labelled_at, levels, user_id, imported_at)"
        " select id, 'L1', %s, now(), %s, 'system', now() from chats where not is_deleted and id <> 'c2'",
        (RUBRIC_VERSION, json.dumps({"matter_settled": 75, "ease": 50})),
    )
    return bench


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, env=dict(os.environ))


def test_a_prompt_on_trial_scores_labelled_chats_apart_from_what_is_reported(labelled: Bench, second: str) -> None:
    active, trial = run("score", "--labelled"), run("score", "--labelled", "--prompt", "2")
    again = run("score", "--labelled", "--prompt", second)

    assert [it.exit_code for it in (active, trial, again)] == [0, 0, 0], trial.output
    assert f"On trial, not reported: {MODEL} by prompt {second}." in trial.output
    assert "On trial" not in active.output
    assert "Judged already or waiting in a batch, not paid again: 2." in again.output
    assert labelled.rows(SCORES) == labelled.rows(TRIALS) == [(2,)]
    assert labelled.rows("select distinct analysis_data ->> 'prompt_version' from ops.analysis_trials") == [(second,)]
    said = [json.loads(body)["system"][:10] for body in labelled.server.bodies]
    assert said == ["You judge ", "You judge ", "Be strict.", "Be strict."]


def test_a_judge_with_too_few_labels_stays_on_trial_and_the_sentence_says_what_to_do(
    labelled: Bench, second: str
) -> None:
    run("score", "--labelled")
    run("score", "--labelled", "--prompt", "2")

    refused = run("prompt", "promote", "2")

    assert isinstance(refused.exception, NotPromotedError)
    assert str(refused.exception).startswith(f"{MODEL} by prompt {second} was not promoted: only 2 labelled chats")
    assert labelled.rows("select * from ops.analysis_promotions") == []
    assert labelled.rows(TRIALS) == [(2,)]


def test_what_is_promoted_judges_from_then_on_and_its_scores_are_reported(
    labelled: Bench, second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit, value in (("FEWEST", 2), ("KAPPA_MARGIN", 100), ("ERROR_MARGIN", 100)):
        monkeypatch.setattr(f"b2chat_pipeline.analysis.comparing.{limit}", value)
    labelled.connection.execute(
        "update ops.analysis_labels set levels = levels || '{\"ease\": 0}'::jsonb where chat_id = 'c1'"
    )
    run("score", "--labelled")
    labelled.server.will_answer(message(with_criterion("ease", judgement(75, (3, "La página dice entregado")))))
    run("score", "--labelled", "--prompt", "2")

    done = run("prompt", "promote", "2")
    scored = run("score", "2025-03-01", "2025-03-10")
    listed = run("prompt", "list")

    assert done.exit_code == 0, done.exception
    assert f"{MODEL} by prompt {second} judges from now on, in the place of {MODEL} by prompt {first_version()}." in (
        done.output
    )
    assert labelled.rows(TRIALS) == [(0,)]
    assert labelled.rows(
        "select analysis_data ->> 'prompt_version', count(*) from effectiveness_analysis group by 1 order by 1"
    ) == [(first_version(), 2), (second, 3)]
    assert "not paid again: 2." in scored.output
    assert labelled.rows("select model, prompt_version, evidence -> 'chats' from ops.analysis_promotions") == [
        (MODEL, second, 2)
    ]
    assert [line.split("│")[3].strip() for line in listed.output.splitlines() if MODEL in line] == ["", "yes"]
    assert isinstance(run("prompt", "promote", "2").exception, NotPromotedError)


def test_what_is_not_there_cannot_be_tried_or_promoted(labelled: Bench) -> None:
    assert isinstance(run("score", "--labelled", "--prompt", "7").exception, PromptError)
    assert isinstance(run("prompt", "promote", "7").exception, PromptError)
    assert isinstance(run("score", "--labelled", "--model", "unpriced").exception, TermsMissingError)
    assert run("score", "2025-03-01", "2025-03-10", "--prompt", "1").exit_code == 2
    assert run("score").exit_code == 2
    assert labelled.calls == []


def test_a_prompt_without_a_place_for_the_rubric_is_refused(tmp_path: Path) -> None:
    (tmp_path / "1.txt").write_text("Judge.")

    with pytest.raises(PromptError, match=r"1\.txt needs \{rubric\} once"):
        prompts.prompts(tmp_path)


def test_the_first_prompt_is_what_it_was_when_the_first_scores_were_made() -> None:
    assert first_version() == "1.bc6094a4"
