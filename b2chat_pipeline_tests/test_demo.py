"""`b2chat demo`: a newcomer's first command, in an empty home."""

import re

import psycopg
import pytest

from b2chat_pipeline.commands.ports import free_port
from b2chat_pipeline_tests.command_support import Home, Said
from b2chat_pipeline_tests.dagster_support import PROJECT

pytestmark = pytest.mark.any_postgres

# The code beside these tests, wherever the command was installed from.
OURS = {"PYTHONPATH": str(PROJECT)}
MISFITS = [("chats", "$.duration"), ("contacts", "$.email")]


def loaded(said: Said) -> dict[str, int]:
    """The records that the summary says were received, by entity."""
    assert said.status == 0, said.output + said.errors
    return {entity: int(count.replace(",", "")) for entity, count in re.findall(r"│ (\w+) +│ +([\d,]+) │", said.output)}


def test_it_loads_an_invented_account_and_leaves_nothing_running_nor_touches_the_users_own(
    home: Home, empty_database_url: str
) -> None:
    users_own = {
        "B2CHAT_DATABASE_URL": empty_database_url,
        "DAGSTER_DATABASE_URL": empty_database_url,
        "B2CHAT_API_URL": "http://127.0.0.1:1",
        "B2CHAT_TIMEZONE": "Mars/Base",
        **OURS,
    }

    first = home.run(["b2chat", "demo", "--days", "2", "--exit", "--port", str(free_port())], users_own)
    aside = home.run(["b2chat", "quarantine", "list"], {"B2CHAT_DATA_DIR": str(home.data / "demo"), **OURS})
    account = {"B2CHAT_TIMEZONE": "America/Bogota", "B2CHAT_START_DATE": "2025-01-06"}
    configured = home.run(["b2chat", "config", "show"], {"B2CHAT_DATA_DIR": str(home.data / "demo"), **account, **OURS})
    left = [process.cmdline() for process in home.processes()]

    counts = loaded(first)
    assert left == []
    assert re.findall(r"│ (\w+) +│ Expected[^│]+│ (\S+) +│ 1 ", aside.output) == MISFITS
    assert "`b2chat quarantine list` says why" in first.output
    assert re.search(r"│ calendar +│ default +│ 1 ", configured.output), configured.output + configured.errors
    assert counts.keys() == {"agents", "chats", "contacts", "departments", "messages"}
    assert counts["messages"] > counts["chats"] > 50
    assert first.output.splitlines()[-1] == "Stopped."
    assert "Traceback" not in first.output + first.errors
    with psycopg.connect(empty_database_url) as connection:
        tables = "select count(*) from pg_tables where schemaname not in ('pg_catalog', 'information_schema')"
        assert connection.execute(tables).fetchone() == (0,)
