"""The chats behind a row of a mart are told, and they make that row; what another target had brought."""

import os
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from b2chat_pipeline.commands.what_if import what_if as tell_what_if
from b2chat_pipeline.transform.explain import Explanation, explain
from b2chat_pipeline.transform.models import Model, ModelError, ProjectError
from b2chat_pipeline.transform.project import models_folder, read_project
from b2chat_pipeline.transform.target import Days
from b2chat_pipeline.transform.what_if import Attainment, what_if
from b2chat_pipeline_tests.analyst_support import BOGOTA, FIRST, LAST, Account
from b2chat_pipeline_tests.loading_support import rows
from b2chat_pipeline_tests.models_support import FILES, project_of

pytestmark = pytest.mark.any_postgres

PROJECT_OF_MODELS = read_project(models_folder())
EXPLAINED = sorted(model.name for model in PROJECT_OF_MODELS.models.values() if model.cells)
# B2CHAT_TEST_CELLS=200 asks for more of them, which takes ten minutes.
CELLS = int(os.environ.get("B2CHAT_TEST_CELLS", "20"))
# Marts that say themselves of how many chats a row is made.
COUNTED = {
    "after_hours_daily": "chats",
    "arrival_heat_map": "chats",
    "backlog_daily": "open_chats",
    "backlog_hourly": "open_chats",
    "bot_containment": "chats",
    "broadcast_reach": "chats",
    "chat_flow": "chats",
    "effectiveness_daily": "chats",
    "contact_frequency": "chats",
    "open_now": "open_chats",
    "outcomes_daily": "chats",
    "response_histogram": "chats",
    "scoring_cost_daily": "chats",
    "sla_daily": "chats",
    "survey_daily": "offered",
} | dict.fromkeys(
    ["performance_daily", "agent_daily", "alias_daily", "channel_daily", "department_daily", "tag_daily"], "population"
)
# Of these durations a chat has one for each of its turns.
OF_TURNS = {"next_reply", "next_agent_reply"}


def cells_of(account: Account, model: Model) -> list[dict[str, Any]]:
    """The rows of a model with their day, times as the account tells them."""
    assert model.cells is not None
    day = model.cells.day.replace(":time_zone", f"'{BOGOTA.key}'")
    with account.connected() as connection:
        connection.execute("select set_config('timezone', %s, false)", (BOGOTA.key,))
        told = f'select ({day}) as "day of row", told.* from analytics.{model.name} told order by told'  # noqa: S608
        return rows(connection, told)


def explained(account: Account, model: Model, *cells: dict[str, Any]) -> list[Explanation]:
    assert model.cells is not None
    names = model.cells.key
    with account.connected() as connection:
        # Planning costs more than running.
        connection.prepare_threshold = 0
        connection.execute("set plan_cache_mode = force_generic_plan")
        keys = [{name: None if cell[name] is None else str(cell[name]) for name in names} for cell in cells]
        return [
            explain(connection, account.target, model.name, key, cell["day of row"])
            for key, cell in zip(keys, cells, strict=True)
        ]


def chosen(model: Model, cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Some rows at random, and of each column of the key one in which it is NULL, where there is one."""
    assert model.cells is not None
    draw = random.Random(model.name)
    without = [[cell for cell in cells if cell[column] is None] for column in model.cells.key]
    return draw.sample(cells, min(CELLS, len(cells))) + [draw.choice(them) for them in without if them]


@pytest.mark.parametrize("mart", EXPLAINED)
def test_the_chats_behind_a_row_make_exactly_that_row(mart: str, account: Account) -> None:
    model = account.target.project.models[mart]
    # Of the heat map, also hours in which nobody wrote are rows.
    cells = [cell for cell in cells_of(account, model) if cell.get("chats") != 0]
    assert cells

    found = explained(account, model, *chosen(model, cells))

    assert [it.row for it in found if it.differing] == []
    assert all(it.chats for it in found if it.row.get("max_chats") != 0)
    if mart in COUNTED:
        counted = [it for it in found if it.row.get("metric") not in OF_TURNS]
        assert [len(it.chats) for it in counted] == [it.row[COUNTED[mart]] for it in counted]


def test_every_mart_tells_its_chats_but_those_that_have_none() -> None:
    marts = {path.stem for path in (models_folder() / "models" / "marts").glob("*.sql")}

    # The books of loads and of money, the distribution of all chats over their contacts, and judges beside people.
    without_chats = {"load_completeness", "scoring_spending_daily", "contact_concentration"}
    assert marts - set(EXPLAINED) == without_chats | {"label_agreement", "label_errors"}


def newest_cell(account: Account) -> tuple[Model, dict[str, Any]]:
    """A row of the agents' first responses that is made of several chats."""
    model = account.target.project.models["agent_daily"]
    cells = [it for it in cells_of(account, model) if it["metric"] == "first_response" and it["form"] == "calendar"]
    return model, max(cells, key=lambda cell: (cell["n"], cell["day of row"]))


def test_each_chat_is_told_with_its_clocks_its_targets_and_the_page_it_was_last_told_in(account: Account) -> None:
    model, cell = newest_cell(account)

    (found,) = explained(account, model, cell)

    assert len(found.chats) == cell["population"] > 1
    with account.connected() as connection:
        for chat in found.chats:
            (stored,) = rows(connection, f"select * from chats where id = '{chat.chat_id}'")  # noqa: S608
            (page,) = rows(connection, f"select * from api_response_logs where id = '{chat.page_id}'")  # noqa: S608
            clocks = ("created_at", "opened_at", "picked_up_at", "response_at", "closed_at", "raw_status")
            assert {name: getattr(chat, name) for name in clocks} == {name: stored[name] for name in clocks}
            told = {str(it["chat_id"]) for it in page["raw_response"]["chats"]}  # type: ignore[index]
            assert chat.b2chat_id in told
            assert page["sync_id"] == chat.sync_id
            version = "whatsapp 3" if stored["provider"] == "whatsapp" else "default 1"
            assert f"first response: {version}" in chat.policies


def test_a_row_that_is_older_than_its_tables_differs_from_what_they_make(account: Account) -> None:
    model, cell = newest_cell(account)
    late = explained(account, model, cell)[0].chats[0]
    change = f"update chats set response_at = response_at + %s::interval where id = '{late.chat_id}'"  # noqa: S608

    with account.connected() as connection:
        connection.execute(change.encode(), ("1 hour",))
        try:
            (found,) = explained(account, model, cell)
        finally:
            connection.execute(change.encode(), ("-1 hour",))

    assert "mean_seconds" in found.differing
    assert "population" not in found.differing


@pytest.mark.parametrize(
    ("mart", "column", "where"),
    [
        (
            "performance_daily",
            "value",
            "chat_id in (select chat_id from chat_dimensions where dimension = :dimension and value = :value)",
        ),
        ("department_daily", "department_id", ":department_id is not null and :scope is not null"),
    ],
)
def test_an_entry_that_finds_no_chat_where_a_key_is_null_does_not_make_the_row(
    mart: str, column: str, where: str, account: Account
) -> None:
    model = account.target.project.models[mart]
    assert model.cells is not None
    cell = next(it for it in cells_of(account, model) if it[column] is None and it["population"])
    broken = replace(model, cells=replace(model.cells, where=where))
    project = replace(account.target.project, models={**account.target.project.models, mart: broken})

    (found,) = explained(replace(account, target=replace(account.target, project=project)), broken, cell)

    assert found.chats == []
    assert "population" in found.differing
    assert set(model.cells.key).isdisjoint(found.differing)


def test_a_row_without_a_figure_may_have_no_chat(account: Account) -> None:
    model = account.target.project.models["arrival_heat_map"]
    cell = next(it for it in cells_of(account, model) if it["chats"] == 0)

    (found,) = explained(account, model, cell)

    assert found.chats == []
    assert found.differing == []


def test_a_page_that_is_not_kept_any_more_is_said_to_be_gone(account: Account) -> None:
    model, cell = newest_cell(account)

    with account.connected() as connection:
        connection.execute("update api_response_logs set endpoint = 'dropped ' || endpoint")
        try:
            (found,) = explained(account, model, cell)
        finally:
            connection.execute("update api_response_logs set endpoint = replace(endpoint, 'dropped ', '')")

    assert {(chat.page_id, chat.sync_id) for chat in found.chats} == {(None, None)}
    assert found.differing == []


@pytest.mark.parametrize(
    ("mart", "key", "sentence"),
    [
        ("nothing", {}, "nothing cannot be explained, since there is no such model"),
        ("load_completeness", {}, "its schema file does not say which chats make a row: take one of after_hours"),
        ("agent_daily", {"agent_id": "a"}, "agent_id=a is no key of agent_daily: write agent_id=…,metric=…,form=…"),
        ("agent_daily", {"agent_id": "a", "metric": "m", "form": None}, "has no row with agent_id=a,metric=m,form="),
        (
            "sla_daily",
            dict.fromkeys(["clock", "policy", "department_id", "agent_id", "provider", "alias", "priority"])
            | {"policy_version": "x"},
            "a value is of another type than its column",
        ),
    ],
)
def test_what_cannot_be_explained_is_said(account: Account, mart: str, key: dict[str, Any], sentence: str) -> None:
    with account.connected() as connection, pytest.raises(ModelError) as refused:
        explain(connection, account.target, mart, key, FIRST)

    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("explanation", "sentence"),
    [
        ("{key: [word], day: day, from: nothing}", "which is no model with a column chat_id"),
        ("{key: [other], day: day, from: daily}", "has other in its key, which is no column of it"),
        ("{key: [chat_id], day: day, from: daily, where: 'day = :hour'}", "names :hour, which is no column"),
        ("{key: [chat_id], day: day + 1, from: daily}", "compares its day with nothing: write :day in where"),
        ("{key: [chat_id], day: day}", "explain has no from"),
        ("{key: chat_id, day: day, from: daily}", "key must be a list"),
    ],
)
def test_an_explanation_that_cannot_be_right_is_refused_with_its_line(
    tmp_path: Path, explanation: str, sentence: str
) -> None:
    schema = f"""
        models:
          - name: daily
            description: Chats by day.
            config: {{meta: {{grain: a row per chat, day: day, explain: {explanation}}}}}
            columns: [{{name: day, description: The day.}}, {{name: chat_id, description: The chat.}}]
    """

    with pytest.raises(ProjectError, match=r"daily\.yml:\d+: ") as refused:
        project_of(tmp_path, FILES | {"models/daily.yml": schema})

    assert sentence in str(refused.value)


def plain_attainment(told: list[dict[str, Any]], clock: str, seconds: int | None) -> Attainment:
    """The same in plain Python; without seconds, of the verdicts that were stored."""
    counts = {"met": 0, "breached": 0, "running": 0, "not_judged": 0}
    start, end = {
        "pickup": ("opened_at", "picked_up_at"),
        "first_response": ("created_at", "response_at"),
        "resolution": ("created_at", "closed_at"),
    }[clock]
    for chat in told:
        elapsed, has_ended = chat[f"sla_{clock}_elapsed_seconds"], chat[end] is not None
        if clock == "resolution":
            has_ended = has_ended and chat["is_closed"]
        target = chat[f"sla_{clock}_target_seconds"] if seconds is None else seconds
        if elapsed is not None and (has_ended or elapsed > target):
            counts["met" if elapsed <= target else "breached"] += 1
        else:
            counts["running" if not chat["is_closed"] and chat[start] else "not_judged"] += 1
    return Attainment(**counts)


@pytest.mark.parametrize("clock", ["pickup", "first_response", "resolution"])
@pytest.mark.parametrize("seconds", [0, 60, 301, 86_400])
def test_what_another_target_had_brought_is_what_plain_python_counts(
    account: Account, clock: str, seconds: int
) -> None:
    with account.connected() as connection:
        judged = rows(connection, f"select * from analytics.chat_metrics where sla_{clock}_policy is not null")  # noqa: S608
        told = [chat for chat in judged if chat["created_day"] != LAST]
        reported, supposed = what_if(connection, clock, seconds, Days(FIRST, LAST.replace(day=LAST.day - 1)))

    assert reported == plain_attainment(told, clock, None)
    assert supposed == plain_attainment(told, clock, seconds)


def test_no_chats_have_no_attainment(account: Account) -> None:
    with account.connected() as connection:
        both = what_if(connection, "pickup", 60, Days(FIRST.replace(year=2020), LAST.replace(year=2020)))

    assert both == (Attainment(0, 0, 0, 0),) * 2
    assert both[0].share is None


def test_days_that_were_never_built_are_said_to_hold_nothing(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = {"B2CHAT_DATABASE_URL": account.url, "B2CHAT_TIMEZONE": BOGOTA.key, "B2CHAT_START_DATE": "2020-01-01"}

    tell_what_if(environ, clock="pickup", seconds=60, start="2020-01-01", end="2020-02-01")

    assert "`b2chat build 2020-01-01 2020-02-01` does it" in capsys.readouterr().out
