"""Every command of docs/analysts.md is run, as are the queries that it names."""

import re
import shlex
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner
from psycopg import errors

from b2chat_pipeline.cli import cli
from b2chat_pipeline.settings import SettingsError
from b2chat_pipeline.warehouse.access import ANALYST, MANAGER
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.warehouse.embedded import embedded_programs
from b2chat_pipeline_tests.analyst_support import Account
from b2chat_pipeline_tests.dagster_support import account_environment
from b2chat_pipeline_tests.loading_support import rows

pytestmark = pytest.mark.any_postgres

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "analysts.md").read_text()
ANALYSES = ROOT / "dbt_like_sql" / "analyses"
FOR_MANAGERS = {"chat_dashboard", "chat_history", "sync_status"}


def lines(language: str) -> list[str]:
    """The lines of the page's blocks in a language."""
    return [line for block in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


def said_by(command: str, account: Account, monkeypatch: pytest.MonkeyPatch, folder: Path) -> str:
    """What a `b2chat` command prints, run in this process away from any settings file."""
    for name, value in account_environment("http://127.0.0.1:1", account.url).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(cli, shlex.split(command.removeprefix(".venv/bin/b2chat")), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_every_command_of_the_page_works(account: Account, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commands = [line for line in lines("sh") if line.startswith(".venv/bin/b2chat ")]

    access, explained, supposed = (said_by(command, account, monkeypatch, tmp_path) for command in commands)

    assert f"{ANALYST} reads schema analytics" in access
    assert explained.endswith("These chats make exactly this row.\n")
    assert "600 seconds" in supposed


@pytest.mark.parametrize("columns", ["80", "300"])
def test_explain_shows_ids_in_full_however_narrow_the_terminal_is(
    columns: str, account: Account, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (command,) = (line for line in lines("sh") if " explain " in line)
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")

    shown = said_by(command, account, monkeypatch, tmp_path)

    with account.connected() as connection:
        behind = rows(
            connection,
            "select b2chat_id from analytics.chat_metrics where provider = 'whatsapp' and created_day = '2026-01-02'"
            " and chat_id in (select chat_id from analytics.chat_durations where metric = 'first_response')",
        )
    assert "…" not in shown
    # An id that goes on in the next line stands in one column.
    column = "".join(line.split("│")[1].strip() for line in shown.splitlines() if line.count("│") == 6)
    assert behind
    assert [it["b2chat_id"] for it in behind if str(it["b2chat_id"]) not in column] == []


@pytest.mark.parametrize(
    "key",
    ["''", "provider", "provider=a,provider=b", "'\"provider=a'", "'provider=a\nb'"],
)
def test_a_key_that_cannot_be_read_is_said_to_be_none(
    key: str, account: Account, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="is no key: write COLUMN=VALUE,COLUMN=VALUE, each column once"):
        said_by(f"explain channel_daily {key} 2026-01-02", account, monkeypatch, tmp_path)


def test_explain_shows_no_personal_data(account: Account, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (command,) = (line for line in lines("sh") if " explain " in line)
    shown = said_by(command, account, monkeypatch, tmp_path)

    with account.connected() as connection:
        told = rows(
            connection,
            "select unnest(array[full_name, mobile, email, identification]) as value from contacts"
            " union select text from messages where length(text) > 5",
        )
    assert [it["value"] for it in told if it["value"] and str(it["value"]) in shown] == []


def test_every_query_that_is_shipped_runs_and_finds_rows(account: Account) -> None:
    named = [line for line in lines("sh") if line.startswith("psql ")]
    assert {Path(line.split()[-1]) for line in named} == {it.relative_to(ROOT) for it in ANALYSES.glob("*.sql")}
    with account.connected() as connection:
        (chat,) = rows(connection, "select b2chat_id from chats where messages_told order by id limit 1")

    for line in named:
        done = subprocess.run(
            line.replace("KEY", str(chat["b2chat_id"])),
            shell=True,
            cwd=ROOT,
            env={"PATH": f"{embedded_programs().directory}:/usr/bin:/bin", "B2CHAT_DATABASE_URL": account.url},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), line
        found = int(re.findall(r"\((\d+) rows?\)", done.stdout)[-1])
        # The account lies too far back for what is asked of the last thirty days.
        assert found > 0 or "response_times" in line or "dashboard" in line, line


@pytest.mark.parametrize("query", sorted(ANALYSES.glob("*.sql")), ids=lambda query: query.stem)
def test_the_queries_are_for_those_who_may_read_what_they_ask(account: Account, query: Path) -> None:
    text = query.read_text().replace(":'chat'", "'any'").encode()
    with account.connected() as connection:
        connection.execute(f"set role {MANAGER}".encode())
        connection.execute(text)
        connection.execute(f"set role {ANALYST}".encode())
        if query.stem in FOR_MANAGERS:
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(text)
        else:
            connection.execute(text)


def test_an_account_made_as_the_page_says_reads_what_an_analyst_reads(account: Account) -> None:
    (statement,) = lines("sql")
    name = f"test_{uuid4().hex[:8]}"
    with account.connected() as connection:
        connection.execute(statement.replace(" ana ", f" {name} ").encode())
        try:
            connection.execute(f"set role {name}".encode())
            assert rows(connection, "select count(*) as n from analytics.masked_contacts") != [{"n": 0}]
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute("select full_name from public.contacts")
        finally:
            connection.execute("reset role")
            connection.execute(f"drop role {name}".encode())


def test_response_times_are_those_of_the_chats_as_plain_python_has_them(account: Account) -> None:
    """The page's first query over the days of the account instead of the last thirty."""
    text = (ANALYSES / "agent_response_times.sql").read_text().replace("current_date - 30", "date '2025-12-31'")
    with account.connected() as connection:
        found = rows(connection, text)
        agents = {it["id"]: it["name"] for it in rows(connection, "select id, name from agents")}
        chats = rows(connection, "select * from analytics.chat_metrics where direction = 'inbound'")
    waits: dict[object, list[float]] = {}
    for chat in chats:
        if chat["agent_id"] is not None:
            waited = waits.setdefault(chat["agent_id"], [])
            if chat["first_response_seconds"] is not None:
                waited.append(float(str(chat["first_response_seconds"])))
    wanted = sorted((str(agents[it]), len(of), round(sum(of) / len(of)) if of else None) for it, of in waits.items())

    assert sorted((str(it["agent"]), it["answered"], it["mean_seconds"]) for it in found) == wanted


def test_the_dashboard_reads_the_days_it_is_about_by_the_index_on_them(database_url: str) -> None:
    with connect(database_url, purpose="prepare") as connection:
        connection.execute(
            "insert into chats (id, b2chat_id, provider, status, created_at, response_at, row_hash, read_at)"
            " select n::text, n::text, 'whatsapp', 'closed', now() - n * interval '1 hour',"
            " now() - n * interval '59 minutes', '', now() from generate_series(1, 12000) as n"
        )
        connection.execute("analyze chats")
        query = b"explain " + (ANALYSES / "chat_dashboard.sql").read_bytes()
        plan = "\n".join(line for (line,) in connection.execute(query))

    assert "chats_created_at_last_modified_at_idx" in plan
    assert "Seq Scan" not in plan
